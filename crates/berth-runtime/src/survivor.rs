//! A process that did not end, described so that one sees why.

use std::fs;

use berth_base::{HostPid, escape_untrusted};

/// One process that should be gone, and who could be holding it.
#[derive(Debug, PartialEq, Eq)]
pub struct Survivor {
    pid: HostPid,
    comm: String,
    /// The state letter and its meaning, `Z (zombie)`.
    state: String,
    wait_channel: String,
    parent: String,
    tracer: Option<String>,
}

impl Survivor {
    /// What the kernel says of a process; `None` when it is gone.
    pub fn look(pid: HostPid) -> Option<Self> {
        let status = fs::read(format!("/proc/{pid}/status")).ok()?;
        let status = String::from_utf8_lossy(&status).into_owned();
        let field = |name: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .map(str::trim)
        };
        let relative = |name: &str| {
            let pid = field(name)?.parse().ok().and_then(HostPid::new)?;
            Some(format!("{pid} {}", comm(pid)))
        };
        let wait_channel = fs::read_to_string(format!("/proc/{pid}/wchan"))
            .ok()
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty() && text != "0")
            .unwrap_or_else(|| "-".into());
        Some(Self {
            pid,
            comm: comm(pid),
            state: field("State").unwrap_or("?").to_owned(),
            wait_channel,
            parent: relative("PPid").unwrap_or_else(|| "0 (outside)".into()),
            tracer: relative("TracerPid"),
        })
    }
}

fn comm(pid: HostPid) -> String {
    let bytes = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    escape_untrusted(text.trim_end_matches('\n')).into_owned()
}

impl std::fmt::Display for Survivor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {} state {}, waits in {}, parent {}",
            self.pid, self.comm, self.state, self.wait_channel, self.parent
        )?;
        match &self.tracer {
            Some(tracer) => write!(f, ", traced by {tracer}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_survivor_is_described_with_its_parent() {
        let mut child = std::process::Command::new("/bin/sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let pid = HostPid::new(child.id()).unwrap();
        // The name changes at execve, and it sleeps a moment after that.
        let text = loop {
            let text = Survivor::look(pid).unwrap().to_string();
            if text.contains(" sleep state S") {
                break text;
            }
            std::thread::yield_now();
        };
        child.kill().unwrap();
        child.wait().unwrap();
        let expected = format!("{pid} sleep state S (sleeping), waits in ");
        assert!(text.starts_with(&expected), "{text}");
        assert!(
            text.contains(&format!("parent {} ", std::process::id())),
            "{text}"
        );
        assert!(!text.contains("traced"), "{text}");
        assert_eq!(Survivor::look(pid), None);
    }
}
