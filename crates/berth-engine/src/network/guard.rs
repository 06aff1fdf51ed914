//! Sees to it that the rules of the packet filter stay, while somebody needs them: part of the
//! process that answers questions for names, `berth internal dns`.
//!
//! It hears from the kernel that our table was taken away, or that Docker's chain for others was made,
//! and does what `network reload` does. It waits for nobody: while others change the rules it comes
//! back later, and whoever starts a container looks for itself. What it does stands in `packets.log`
//! in the state folder.

use std::io::Write as _;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use berth_base::state::{WiredInterface, WiredLink, Wiring};
use berth_base::{Status, Timestamp, escape_untrusted};
use berth_net::dns::{DnsError, Needs, Resolver, Upkeep};
use berth_net::nft::{Loss, Watch};

use super::pace::Pace;
use super::packets::Mended;
use crate::{Engine, EngineError, facts};

const LOG: &str = "packets.log";
/// When the log is long enough to begin anew.
const LOG_LIMIT_BYTES: i64 = 64 << 10;
/// From this pause on somebody is said to be fighting us.
const FIGHT: Duration = Duration::from_secs(1);
/// How long a start may take that is still counted on.
const START: Duration = Duration::from_secs(120);

/// The process's part of it.
pub(super) struct Guard {
    engine: Engine,
    watch: Watch,
    pace: Pace,
    /// Who took it.
    by: Option<String>,
}

impl Guard {
    /// Begins to listen, and will look once whether everything is there; `None` for who may not, or
    /// where the kernel has no such filter.
    pub(super) fn open(engine: &Engine) -> Option<Self> {
        if facts::is_rootless() {
            return None;
        }
        let watch = Watch::open(&engine.tag().ok()?).ok()?;
        let mut pace = Pace::default();
        pace.hear(Instant::now());
        Some(Self {
            engine: engine.clone(),
            watch,
            pace,
            by: None,
        })
    }

    fn log(&self, text: &str) {
        let path: PathBuf = self.engine.store().state().join(LOG);
        let now = Timestamp::from(SystemTime::now());
        // by path: a state folder
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(path);
        let written = file.and_then(|mut file| {
            if rustix::fs::fstat(&file)?.st_size > LOG_LIMIT_BYTES {
                file.set_len(0)?;
            }
            writeln!(file, "{now} {text}")
        });
        // Nobody is there to hear of it.
        drop(written);
    }
}

impl Upkeep for Guard {
    fn source(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }

    fn hear(&mut self, now: Instant) {
        match self.watch.wait() {
            Ok(None) => {}
            Ok(Some(loss)) => {
                if let Loss::Removed {
                    by: Some((program, pid)),
                } = loss
                {
                    self.by = Some(format!("{} ({pid})", escape_untrusted(&program)));
                }
                self.pace.hear(now);
            }
            Err(error) => {
                self.log(&error.to_string());
                self.pace.hear(now);
            }
        }
    }

    fn due(&self) -> Option<Instant> {
        self.pace.due()
    }

    fn act(&mut self, now: Instant) {
        match self.engine.mend_packets() {
            Ok(Mended::Busy) => return self.pace.put_off(now),
            Ok(Mended::Whole) => self.pace.saw(now),
            Ok(Mended::Anew) => {
                self.pace.mend(now);
                let by = self.by.as_deref().unwrap_or("somebody");
                let pause = self.pace.pause();
                let wait = match pause >= FIGHT {
                    true => format!(
                        ", as often before: they are left alone for {} s now",
                        pause.as_secs()
                    ),
                    false => String::new(),
                };
                self.log(&format!(
                    "rules of the packet filter were missing, last taken by {by}, and are there again{wait}"
                ));
            }
            Err(error) => {
                self.pace.fail(now);
                self.log(&error.to_string());
            }
        }
        self.by = None;
    }

    fn needs(&mut self) -> Needs {
        let mut needs = Needs::default();
        for id in self.engine.store().ids().unwrap_or_default() {
            let Ok(Some(wiring)) = self.engine.store().read_wiring(&id) else {
                continue;
            };
            if !is_guarded(&wiring) {
                continue;
            }
            let Ok(view) = self.engine.view(&id) else {
                continue;
            };
            match &view.process {
                Some(process) => match process.pidfd().try_clone_to_owned() {
                    Ok(pidfd) => needs.running.push(pidfd),
                    Err(_) => needs.starting = true,
                },
                None => {
                    let now = Timestamp::from(SystemTime::now());
                    let is_young = now.since(view.written.changed_at) < START;
                    needs.starting |= view.container.status == Status::Starting && is_young;
                }
            }
        }
        needs
    }
}

/// Whether a container needs rules of the packet filter: who is on a bridge has its addresses
/// translated there, and others kept away from it.
fn is_guarded(wiring: &Wiring) -> bool {
    let is_pair = |interface: &WiredInterface| matches!(interface.link, WiredLink::Pair { .. });
    wiring.interfaces.iter().any(is_pair)
}

impl Engine {
    /// Has a process there that looks after the rules, for a container that needs some. What is
    /// returned keeps it there until the container runs; one that was only just started waits for a
    /// while by itself.
    pub(super) fn ask_guard(&self, wiring: &Wiring) -> Result<Option<Resolver>, EngineError> {
        if !is_guarded(wiring) || facts::is_rootless() {
            return Ok(None);
        }
        match Resolver::connect(self.store().state()) {
            Ok(connection) => Ok(Some(connection)),
            Err(DnsError::NotRunning(_)) => self.start_resolver().map(|()| None),
            Err(error) => Err(error.into()),
        }
    }
}
