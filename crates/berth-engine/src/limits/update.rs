//! `update`: other limits for a container that exists.
//!
//! Of a running one the cgroup is written: first `settings.json` says what it said before, then the
//! kernel is told, then `settings.json` says what holds now. Whoever dies in between leaves a note
//! by which the next who has the container's lock takes the change back.

use berth_base::state::{Resources, RestartPolicy, SettingsFile, Updating};
use berth_base::{ContainerId, ErrorClass};
use berth_runtime::cgroup::CgroupError;
use oci_spec::runtime::{LinuxCpu, LinuxMemory, LinuxResources};

use crate::spec::changeable_resources;
use crate::store::{ContainerLock, Durability};
use crate::view::View;
use crate::{Container, CreateOptions, Engine, EngineError, cgroup, facts};

/// What an update leaves to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Updated {
    /// What the user should know, one line each.
    pub warnings: Vec<String>,
}

impl Engine {
    /// Changes the limits that are given of a container that exists, running or not, and when it is
    /// started again; what is absent stays. All of it or, with an error, nothing.
    pub fn update(
        &self,
        id: &ContainerId,
        change: &Resources,
        restart: Option<RestartPolicy>,
    ) -> Result<Updated, EngineError> {
        let lock = self.store().lock(id)?;
        self.settle_update(&lock)?;
        let view = self.view(id)?;
        let container = &view.container;
        if container.status == berth_base::Status::Removing {
            return Err(crate::not_running(container));
        }
        let mut settings = self.settings_of(&lock)?;
        let mut options = container.create.options.clone();
        check_against(&options.resources, change)?;
        let change = &with_swap(&options.resources, change);
        options.resources = change.over(&options.resources);
        let limit_facts = facts::limit_facts(&options);
        let mut warnings = Vec::new();
        let resources = changeable_resources(&options, &limit_facts, &mut warnings)
            .map_err(|e| EngineError::from(e).on(container.name.as_str()))?;
        // Of the others whoever created it has been told.
        warnings.retain(|line| change.blkio_weight.is_some() && line.starts_with("--blkio-weight"));
        if let Some(policy) = restart {
            self.prepare_restart_policy(&lock, container, policy)?;
        }
        if let Some(live) = container.live.as_ref().filter(|_| !change.is_empty()) {
            let asked = asked_part(resources, change);
            let group = cgroup::of_run(live);
            let failed = |e: CgroupError| cannot_update(container, &e);
            settings.updating = Some(Updating {
                run: live.run,
                before: group.before_update(&asked).map_err(failed)?,
            });
            self.write_settings(&lock, &options, &settings)?;
            if let Err(error) = group.update(&asked) {
                let undone = self.settle_update(&lock);
                return undone.and(Err(cannot_update(container, &error)));
            }
        }
        settings.updating = None;
        settings.resources = change.over(&settings.resources);
        settings.restart = restart.unwrap_or(settings.restart);
        self.write_settings(&lock, &options, &settings)?;
        self.emit_of(container, "update", &[]);
        Ok(Updated { warnings })
    }

    /// Takes back a change of limits that was not finished.
    pub(crate) fn settle_update(&self, lock: &ContainerLock) -> Result<(), EngineError> {
        let mut settings = self.settings_of(lock)?;
        let Some(updating) = settings.updating.take() else {
            return Ok(());
        };
        let view = self.view(lock.id())?;
        let container = &view.container;
        if let Some(live) = container
            .live
            .as_ref()
            .filter(|live| live.run == updating.run)
        {
            cgroup::of_run(live)
                .restore(&updating.before)
                .map_err(|e| cgroup::on_cgroup(container, e))?;
        }
        self.write_settings(lock, &container.create.options, &settings)
    }

    pub(crate) fn settings_of(&self, lock: &ContainerLock) -> Result<SettingsFile, EngineError> {
        let settings = self.store().read_settings(lock.id())?;
        settings.ok_or_else(|| self.store().absent(lock.id(), "settings.json").into())
    }

    fn write_settings(
        &self,
        lock: &ContainerLock,
        options: &CreateOptions,
        settings: &SettingsFile,
    ) -> Result<(), EngineError> {
        let durability = match options.auto_remove {
            true => Durability::Process,
            false => Durability::Power,
        };
        Ok(self.store().write_settings(lock, settings, durability)?)
    }

    /// Whether a change of limits was not finished, by a container's files.
    pub(crate) fn is_updating(&self, view: &View) -> bool {
        let settings = self.store().read_settings(&view.container.id);
        matches!(
            settings,
            Ok(Some(SettingsFile {
                updating: Some(_),
                ..
            }))
        )
    }
}

/// A container's first limit of memory brings one of swap, as at its creation; later ones leave
/// that as it is.
fn with_swap(had: &Resources, change: &Resources) -> Resources {
    match (had.memory_bytes, had.memory_swap_bytes) {
        (None, None) => change.clone().with_swap(),
        _ => change.clone(),
    }
}

/// `--cpus` is a quota and a period in one, so once one form is chosen, the other is refused.
/// `--memory` leaves the limit of memory and swap together as it is, so it stays below that.
fn check_against(had: &Resources, change: &Resources) -> Result<(), EngineError> {
    if let (Some(memory), None) = (change.memory_bytes, change.memory_swap_bytes)
        && let Some(swap) = had.memory_swap_bytes.filter(|swap| *swap > 0)
        && i64::try_from(memory).is_ok_and(|memory| memory > swap)
    {
        return Err(EngineError::new(
            ErrorClass::Conflict,
            format!(
                "--memory {memory} is more than the {swap} that the container has of memory and swap \
                 together; give --memory-swap along with it"
            ),
        ));
    }
    let given = |value: Option<u64>| value.is_some_and(|value| value != 0);
    let quota = |resources: &Resources| resources.cpu_quota_us.is_some_and(|us| us != 0);
    let conflicts = [
        (
            given(change.nano_cpus) && (given(had.cpu_period_us) || quota(had)),
            "--cpus",
            "--cpu-period or --cpu-quota",
        ),
        (
            given(had.nano_cpus) && given(change.cpu_period_us),
            "--cpu-period",
            "--cpus",
        ),
        (
            given(had.nano_cpus) && quota(change),
            "--cpu-quota",
            "--cpus",
        ),
    ];
    match conflicts.into_iter().find(|(is_one, ..)| *is_one) {
        Some((_, asked, set)) => Err(EngineError::new(
            ErrorClass::Conflict,
            format!("{asked} cannot be changed: the container has {set}; change that instead"),
        )),
        None => Ok(()),
    }
}

/// What has to be written for a change: values that the kernel checks against each other go
/// together, whatever else is set is left alone.
fn asked_part(all: LinuxResources, change: &Resources) -> LinuxResources {
    let mut asked = LinuxResources::default();
    asked.set_memory(all.memory().and_then(|memory| memory_part(&memory, change)));
    let cpu = all.cpu().as_ref();
    asked.set_cpu(cpu.and_then(|cpu| cpu_part(cpu, change)));
    if let Some(limit) = change.pids_limit {
        // None of its own is to be told as well.
        let mut pids = all.pids().unwrap_or_default();
        pids.set_limit(if limit > 0 { limit } else { -1 });
        asked.set_pids(Some(pids));
    }
    if change.blkio_weight.is_some() {
        asked.set_block_io(all.block_io().clone());
    }
    asked
}

fn memory_part(all: &LinuxMemory, change: &Resources) -> Option<LinuxMemory> {
    let mut memory = LinuxMemory::default();
    if change.memory_bytes.is_some() || change.memory_swap_bytes.is_some() {
        memory
            .set_limit(all.limit())
            .set_swap(all.swap())
            .set_check_before_update(Some(true));
    }
    if change.memory_reservation_bytes.is_some() {
        memory.set_reservation(all.reservation());
    }
    (memory != LinuxMemory::default()).then_some(memory)
}

fn cpu_part(all: &LinuxCpu, change: &Resources) -> Option<LinuxCpu> {
    let mut cpu = LinuxCpu::default();
    if change.nano_cpus.is_some() || change.cpu_period_us.is_some() || change.cpu_quota_us.is_some()
    {
        cpu.set_quota(all.quota()).set_period(all.period());
    }
    if change.cpu_shares.is_some() {
        cpu.set_shares(all.shares());
    }
    if change.cpu_rt_period_us.is_some() || change.cpu_rt_runtime_us.is_some() {
        cpu.set_realtime_period(all.realtime_period())
            .set_realtime_runtime(all.realtime_runtime());
    }
    if change.cpuset_cpus.is_some() {
        cpu.set_cpus(all.cpus().clone());
    }
    if change.cpuset_mems.is_some() {
        cpu.set_mems(all.mems().clone());
    }
    (cpu != LinuxCpu::default()).then_some(cpu)
}

fn cannot_update(container: &Container, error: &CgroupError) -> EngineError {
    let name = &container.name;
    let class = match error.class() {
        ErrorClass::NotFound => ErrorClass::Internal,
        class => class,
    };
    let text = format!("cannot update container {name}: {error}; nothing was changed");
    EngineError::new(class, text).on(name.as_str())
}
