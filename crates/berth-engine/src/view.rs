//! What a container is right now: its files, seen by the light of the kernel.
//!
//! Readers never lock. `status.json` says what was meant, `run.json` who was started, the kernel
//! whether that one lives, `exits/N.json` how it ended.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use berth_base::state::{
    ExitFile, HealthFile, HealthStatus, RestartRecord, RunFile, STATE_VERSION, StatusFile,
};
use berth_base::{ContainerId, Status, Timestamp, in_parts};

use crate::life;
use crate::limits::is_frozen;
use crate::process::{Process, boot_id};
use crate::store::StoreError;
use crate::{Container, CreateFile, Engine, EngineError, Session};

/// How long somebody who wants to know how a container ended waits for the monitor's record of it: it
/// follows the end within milliseconds, unless the monitor is stopped or the disk is slow.
const OUTCOME_WITHIN: Duration = Duration::from_secs(1);
/// Between two looks for it.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Fewer containers are read by one thread: making others would take longer.
const FEW: usize = 64;

/// Where a container stands in a listing.
type Place<'a> = (Reverse<Timestamp>, &'a ContainerId);

/// What is known of one run besides the status that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunEvidence {
    /// `exits/N.json` exists.
    pub(crate) has_exit: bool,
    /// `run.json` is there, of this run.
    pub(crate) was_started: bool,
    /// Its process lives, by identity.
    pub(crate) is_alive: bool,
    /// The kernel has it frozen, as far as a pause was meant.
    pub(crate) is_frozen: bool,
    /// Somebody of this boot has claimed its next start.
    pub(crate) is_claimed: bool,
}

/// Derives the status. `written` is intent; whoever crashed after writing it left it behind.
pub(crate) const fn derive(written: Status, evidence: RunEvidence) -> Status {
    match written {
        Status::Created | Status::Exited | Status::Removing => written,
        Status::Restarting if evidence.is_claimed => Status::Restarting,
        // The boot ended while it waited.
        Status::Restarting => Status::Exited,
        _ if evidence.has_exit => Status::Exited,
        Status::Starting if evidence.is_alive => Status::Running,
        Status::Starting if evidence.was_started => Status::Exited,
        Status::Starting => Status::Starting,
        Status::Running if evidence.is_alive => written,
        Status::Paused if evidence.is_alive && evidence.is_frozen => written,
        // Whoever paused it died before, whoever let it go on after.
        Status::Paused if evidence.is_alive => Status::Running,
        // Its process is gone, or was of an earlier boot.
        Status::Running | Status::Paused => Status::Exited,
    }
}

/// A container together with a hold on its first process.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) container: Container,
    /// What `status.json` says.
    pub(crate) written: StatusFile,
    /// `run.json` of the last run, also when that run is over.
    pub(crate) last_run: Option<RunFile>,
    /// The first process, when it lives.
    pub(crate) process: Option<Process>,
}

/// What there is, or what somebody made of it.
#[derive(Debug)]
pub struct Listing<T = Container> {
    /// Newest first.
    pub containers: Vec<T>,
    /// Those that cannot be read.
    pub unreadable: Vec<(ContainerId, EngineError)>,
}

impl Engine {
    /// One container. Takes no lock.
    pub fn inspect(&self, id: &ContainerId) -> Result<Container, EngineError> {
        let mut container = self.view(id)?.container;
        // Between its end and the claim on its next start nobody is to take it for one that stays so.
        if life::is_about_to_restart(&container) {
            container.status = Status::Restarting;
        }
        Ok(container)
    }

    /// As [`Engine::inspect`], but waits for a second at most for how a container ended that has
    /// ended already, while its monitor is there to write it down.
    pub fn inspect_with_outcome(&self, id: &ContainerId) -> Result<Container, EngineError> {
        let begun = Instant::now();
        loop {
            let container = self.inspect(id)?;
            let is_settled = container.status != Status::Exited || container.exit.is_some();
            if is_settled || begun.elapsed() >= OUTCOME_WITHIN {
                return Ok(container);
            }
            // Who is gone after the look has written before it.
            if !Session::is_served(&container.volatile_dir) {
                return self.inspect(id);
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// All containers, newest first. Takes no lock. One that vanishes meanwhile is left out, as is
    /// one whose files cannot be read: [`Engine::listing`] names those.
    pub fn list(&self) -> Result<Vec<Container>, EngineError> {
        Ok(self.listing()?.containers)
    }

    /// All containers, and those that exist but cannot be read, each with the reason: a damaged file
    /// after a loss of power, or one that a newer berth wrote. `remove` with force takes them away.
    pub fn listing(&self) -> Result<Listing, EngineError> {
        self.listing_of(Some)
    }

    /// What `visit` makes of each container, in the order of [`Engine::listing`]; `None` leaves it
    /// out. Many are visited by several threads at once, each as soon as it is read: thousands are
    /// never held at the same time.
    pub fn listing_of<T: Send>(
        &self,
        visit: impl Fn(Container) -> Option<T> + Sync,
    ) -> Result<Listing<T>, EngineError> {
        let ids = self.store().ids()?;
        let (mut made, mut unreadable) = (Vec::with_capacity(ids.len()), Vec::new());
        for part in in_parts(&ids, FEW, |ids| self.visit(ids, &visit)) {
            made.extend(part.containers);
            unreadable.extend(part.unreadable);
        }
        made.sort_unstable_by_key(|(place, _)| *place);
        Ok(Listing {
            containers: made.into_iter().map(|(_, thing)| thing).collect(),
            unreadable,
        })
    }

    /// Visits containers in the order of `ids`.
    fn visit<'a, T>(
        &self,
        ids: &'a [ContainerId],
        visit: impl Fn(Container) -> Option<T>,
    ) -> Listing<(Place<'a>, T)> {
        let mut part = Listing {
            containers: Vec::with_capacity(ids.len()),
            unreadable: Vec::new(),
        };
        for id in ids {
            match self.inspect(id) {
                Ok(container) => {
                    let place = (Reverse(container.create.created_at), id);
                    let made = visit(container).map(|thing| (place, thing));
                    part.containers.extend(made);
                }
                Err(error) if self.store().exists(id) => part.unreadable.push((id.clone(), error)),
                // It vanished meanwhile.
                Err(_) => {}
            }
        }
        part
    }

    /// The containers that exist but cannot be read.
    pub fn unreadable(&self) -> Result<Vec<(ContainerId, EngineError)>, EngineError> {
        Ok(self.listing()?.unreadable)
    }

    pub(crate) fn read_create(&self, id: &ContainerId) -> Result<CreateFile, EngineError> {
        let create = self.store().read_create(id)?;
        let mut create = create.ok_or_else(|| self.store().absent(id, "create.json"))?;
        // Connected and disconnected since.
        if !create.options.networks.is_empty()
            && let Some(file) = self.store().read_networks(id)?
        {
            create.options.networks = file.networks;
        }
        Ok(create)
    }

    /// Reads a container's files and asks the kernel about its process.
    pub(crate) fn view(&self, id: &ContainerId) -> Result<View, EngineError> {
        let store = self.store();
        // In this order: what is read later is newer, so that an end is never overlooked.
        let written = store.read_status(id)?;
        let mut create = self.read_create(id)?;
        let mut written = match written {
            Some(written) => written,
            None => self.status_after_loss(&create)?,
        };
        let settings = store.read_settings(id)?;
        let settings = settings.ok_or_else(|| store.absent(id, "settings.json"))?;
        let resources = &mut create.options.resources;
        *resources = settings.resources.over(resources);
        let last_run = match written.run {
            0 => None,
            run => store.read_run(id)?.filter(|file| file.run == run),
        };
        let ran_in_this_boot = last_run
            .as_ref()
            .is_some_and(|run| Some(&run.init.boot_id) == boot_id().as_ref());
        if life::may_come_back(&create.options, settings.restart, &written.restarts)
            && store.stopped_mark(id, written.run).is_some()
        {
            life::stop_by_hand(&mut written.restarts, ran_in_this_boot);
        }
        let process = last_run.as_ref().and_then(|run| Process::open(&run.init));
        let exit = self.exit_of(id, written.run)?;
        let evidence = RunEvidence {
            has_exit: exit.is_some(),
            was_started: last_run.is_some(),
            is_alive: process.is_some(),
            // Asked only where it matters.
            is_frozen: written.status == Status::Paused && last_run.as_ref().is_some_and(is_frozen),
            is_claimed: written
                .restarts
                .claim
                .as_ref()
                .is_some_and(life::is_of_this_boot),
        };
        let status = derive(written.status, evidence);
        let wiring = match create.options.networks.is_empty() {
            true => None,
            false => store.read_wiring(id)?,
        };
        let container = Container {
            id: id.clone(),
            wiring: wiring.unwrap_or_default(),
            name: settings.name,
            restart: settings.restart,
            restarts: written.restarts.clone(),
            health: self.health_of(&create, written.run)?,
            ran_in_this_boot,
            create,
            status,
            run: written.run,
            live: last_run.clone().filter(|_| status.is_live()),
            exit,
            error: written.error.clone(),
            persistent_dir: store.persistent_dir(id),
            volatile_dir: store.volatile_dir(id),
        };
        Ok(View {
            container,
            written,
            last_run,
            process: process.filter(|_| status.is_live()),
        })
    }

    /// What is known of a container whose status was lost with the power: it is not synced. The exit
    /// records say how often it ran, and nothing of it runs, unless somebody emptied the file: then
    /// there is a record of the run in this boot.
    fn status_after_loss(&self, create: &CreateFile) -> Result<StatusFile, StoreError> {
        let recorded = self.store().last_recorded_run(&create.id);
        let run = self.store().read_run(&create.id)?.map_or(0, |run| run.run);
        let status = match (recorded, run) {
            (0, 0) => Status::Created,
            _ if run > recorded => Status::Running,
            _ => Status::Exited,
        };
        Ok(StatusFile {
            version: STATE_VERSION,
            status,
            run: run.max(recorded),
            changed_at: create.created_at,
            error: None,
            restarts: RestartRecord::default(),
        })
    }

    /// What is known of a container's health; one whose probes have not begun is starting.
    fn health_of(&self, create: &CreateFile, run: u32) -> Result<Option<HealthFile>, StoreError> {
        if !life::is_probed(&create.options) {
            return Ok(None);
        }
        let found = self.store().read_health(&create.id)?;
        Ok(Some(found.filter(|health| health.run == run).unwrap_or(
            HealthFile {
                version: STATE_VERSION,
                run,
                status: HealthStatus::Starting,
                failing_streak: 0,
                log: Vec::new(),
            },
        )))
    }

    fn exit_of(&self, id: &ContainerId, run: u32) -> Result<Option<ExitFile>, StoreError> {
        if run == 0 {
            return Ok(None);
        }
        self.store().read_exit(id, run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: RunEvidence = RunEvidence {
        has_exit: false,
        was_started: false,
        is_alive: false,
        is_frozen: false,
        is_claimed: false,
    };
    const ALIVE: RunEvidence = RunEvidence {
        has_exit: false,
        was_started: true,
        is_alive: true,
        is_frozen: false,
        is_claimed: false,
    };
    const FROZEN: RunEvidence = RunEvidence {
        is_frozen: true,
        ..ALIVE
    };
    const DEAD: RunEvidence = RunEvidence {
        has_exit: false,
        was_started: true,
        is_alive: false,
        is_frozen: false,
        is_claimed: false,
    };
    const ENDED: RunEvidence = RunEvidence {
        has_exit: true,
        was_started: true,
        is_alive: false,
        is_frozen: false,
        is_claimed: false,
    };
    const CLAIMED: RunEvidence = RunEvidence {
        is_claimed: true,
        ..ENDED
    };

    #[test]
    fn the_kernel_and_the_exit_record_win_over_what_was_written() {
        for (written, evidence, status) in [
            (Status::Created, NOTHING, Status::Created),
            (Status::Starting, NOTHING, Status::Starting),
            (Status::Starting, ALIVE, Status::Running),
            (Status::Starting, DEAD, Status::Exited),
            (Status::Starting, ENDED, Status::Exited),
            (Status::Running, ALIVE, Status::Running),
            (Status::Running, DEAD, Status::Exited),
            (Status::Running, ENDED, Status::Exited),
            // After a reboot the volatile folder is gone.
            (Status::Running, NOTHING, Status::Exited),
            (Status::Paused, FROZEN, Status::Paused),
            (Status::Paused, ALIVE, Status::Running),
            (Status::Running, FROZEN, Status::Running),
            (Status::Paused, NOTHING, Status::Exited),
            (Status::Exited, NOTHING, Status::Exited),
            (Status::Restarting, CLAIMED, Status::Restarting),
            (Status::Restarting, ENDED, Status::Exited),
            (Status::Starting, CLAIMED, Status::Exited),
            (Status::Removing, ALIVE, Status::Removing),
        ] {
            assert_eq!(derive(written, evidence), status, "{written} {evidence:?}");
        }
    }

    #[test]
    fn an_exit_record_is_believed_before_a_living_process() {
        // The monitor writes it once the first process is gone; a PID seen alive is a race.
        let both = RunEvidence {
            has_exit: true,
            ..ALIVE
        };
        assert_eq!(derive(Status::Running, both), Status::Exited);
    }
}
