//! A systemd, and the units that containers are to be.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use berth_testkit::{Bundle, Runtime, skip, soon};
use rustix::process::geteuid;

use crate::{rootless_runtime, runtime};

/// A runtime that is told to ask systemd, and the systemd that it is to ask.
pub(super) struct Systemd {
    pub(super) runtime: Runtime,
    pub(super) is_user: bool,
}

/// A bundle and the unit that its container is to be.
pub(super) struct Unit {
    pub(super) bundle: Bundle,
    pub(super) name: String,
}

impl Systemd {
    /// `None`, with the reason printed, where systemd is not PID 1 (`sd_booted(3)`) or the user
    /// has no manager.
    pub(super) fn here() -> Option<Self> {
        if !Path::new("/run/systemd/system").exists() {
            skip("systemd is not PID 1");
            return None;
        }
        let user = geteuid();
        let runtime = if user.is_root() {
            runtime()
        } else {
            rootless_runtime(user.as_raw())
        };
        let here = Self {
            runtime: runtime.with_globals(&["--systemd-cgroup"]),
            is_user: !user.is_root(),
        };
        if here.is_user && !here.systemctl(&["is-active", "--quiet", "dbus.socket"]).0 {
            skip("the user has no systemd of its own");
            return None;
        }
        Some(here)
    }

    /// The same for what the user's systemd cannot do.
    pub(super) fn of_the_system() -> Option<Self> {
        let here = Self::here()?;
        if here.is_user {
            skip("the user's systemd has no device filter");
            return None;
        }
        Some(here)
    }

    /// Whether systemctl succeeds, and what it says.
    pub(super) fn systemctl(&self, args: &[&str]) -> (bool, String) {
        let mut command = Command::new("systemctl");
        if self.is_user {
            command.arg("--user");
        }
        let output = command
            .args(args)
            .output()
            .unwrap_or_else(|error| panic!("cannot start systemctl: {error}"));
        let out = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        (output.status.success(), out)
    }

    pub(super) fn reload(&self) {
        assert!(self.systemctl(&["daemon-reload"]).0);
    }

    /// A bundle whose container is to be a scope in a slice; "" is the default.
    pub(super) fn unit_in(&self, slice: &str) -> Unit {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let id = format!("{}_{count}", std::process::id());
        let path = format!("{slice}:berthtest:{id}");
        Unit {
            bundle: self.runtime.bundle().set("/linux/cgroupsPath", path),
            name: format!("berthtest-{id}.scope"),
        }
    }

    pub(super) fn unit(&self) -> Unit {
        self.unit_in("")
    }

    /// A property of a unit as `systemctl show` prints it.
    pub(super) fn property(&self, unit: &str, name: &str) -> String {
        let property = format!("--property={name}");
        let (is_known, value) = self.systemctl(&["show", "--value", &property, unit]);
        assert!(is_known, "{unit} has no {name}");
        value
    }

    /// The cgroup of a unit, for reading.
    pub(super) fn cgroup(&self, unit: &str) -> PathBuf {
        let path = self.property(unit, "ControlGroup");
        assert!(path.ends_with(unit), "{unit} is in {path:?}");
        PathBuf::from(format!("/sys/fs/cgroup{path}"))
    }

    /// What a file of the unit's cgroup says.
    pub(super) fn limit(&self, unit: &str, file: &str) -> String {
        let path = self.cgroup(unit).join(file);
        match fs::read_to_string(&path) {
            Ok(text) => text.trim().to_owned(),
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }

    /// systemd collects a unit in its own time.
    #[track_caller]
    pub(super) fn forgets(&self, unit: &str) {
        soon(&format!("the end of {unit}"), || {
            (self.property(unit, "LoadState") == "not-found").then_some(())
        });
    }
}

impl Unit {
    pub(super) fn map(self, change: impl FnOnce(Bundle) -> Bundle) -> Self {
        Self {
            bundle: change(self.bundle),
            ..self
        }
    }

    pub(super) fn resources(self, resources: serde_json::Value) -> Self {
        self.map(|mut bundle| {
            for (name, value) in resources.as_object().into_iter().flatten() {
                bundle.config["linux"]["resources"][name] = value.clone();
            }
            bundle
        })
    }
}
