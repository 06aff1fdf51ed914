//! A host with one link, and a user on it.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::cli::{Done, eventually, finish};
use crate::support::{Ids, User};

/// The host's own addresses.
pub const V4: &str = "198.51.100.2";
pub const V6: &str = "2001:db8:1::2";

const LINK: &str = "
    set -e
    ip link set lo up
    ip link add up0 type veth peer name up1
    ip address add 198.51.100.2/24 dev up0
    ip -6 address add 2001:db8:1::2/64 dev up0 nodad
    ip link set up1 up
    ip link set up0 up
    ip route add default via 198.51.100.1
    ip -6 route add default via 2001:db8:1::1";

pub struct Host {
    pub user: User,
    namespace: OwnedFd,
}

/// A host where these programs are installed; `None`, with the reason said, where one is not.
pub fn host(programs: &[&str]) -> Option<Host> {
    let user = User::new(Ids::Many)?;
    for program in ["ip"].iter().chain(programs) {
        if path_of(program).is_none() {
            berth_testkit::skip(&format!("{program} is not installed"));
            return None;
        }
    }
    let namespace = std::thread::spawn(|| {
        berth_sys::unshare_namespaces(berth_runtime::namespaces::NEW_NET).unwrap();
        let status = Command::new("sh").args(["-c", LINK]).status().unwrap();
        assert!(status.success());
        OwnedFd::from(File::open("/proc/thread-self/ns/net").unwrap())
    });
    Some(Host {
        user,
        namespace: namespace.join().unwrap(),
    })
}

impl Host {
    /// Runs `berth` as the user, with networks by default.
    pub fn run(&self, arguments: &[&str]) -> Done {
        self.run_with(arguments, None)
    }

    /// The same with these programs alone within reach.
    pub fn run_with(&self, arguments: &[&str], programs: Option<&[&str]>) -> Done {
        let mut command = self.user.command(arguments);
        command.env("BERTH_DEFAULT_NETWORK", "bridge");
        if let Some(programs) = programs {
            let folder = self.user.path(&format!("programs{}", programs.len()));
            std::fs::create_dir_all(&folder).unwrap();
            for program in programs {
                let link = folder.join(program);
                if !link.exists() {
                    std::os::unix::fs::symlink(path_of(program).unwrap(), link).unwrap();
                }
            }
            command = with_path(&command, &folder);
        }
        self.within(|| finish(command.spawn().unwrap()))
    }

    /// What a command that must succeed prints.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        assert_eq!(done.code, 0, "{arguments:?}: {done:?}");
        done.out.trim_end().to_owned()
    }

    /// What a command that must fail says, the warning about the image left out.
    pub fn fails(&self, arguments: &[&str], programs: Option<&[&str]>) -> String {
        let done = self.run_with(arguments, programs);
        assert_ne!(done.code, 0, "{arguments:?}: {done:?}");
        let lines = done.err.lines().filter(|l| !l.contains("warning"));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Does something on the host, in a thread of its own.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        within(self.namespace.as_fd(), work)
    }

    /// Does something in a container's network namespace.
    pub fn inside<T: Send>(&self, name: &str, work: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/proc/{}/ns/net", self.init(name))).unwrap();
        within(namespace.as_fd(), work)
    }

    /// PID 1 of a container.
    pub fn init(&self, name: &str) -> u32 {
        let pid = self.ok(&["inspect", "-f", "{{.State.Pid}}", name]);
        pid.parse().unwrap()
    }

    /// Who serves a container.
    pub fn servants(&self, name: &str) -> Servants {
        let monitor = parent(self.init(name));
        let children = children(monitor);
        let mut wardens = children.into_iter().filter(|c| comm(*c) == "berth-network");
        let warden = wardens.next().unwrap();
        let program = self::children(warden)[0];
        Servants {
            keeper: Held::new(parent(monitor)),
            monitor: Held::new(monitor),
            warden: Held::new(warden),
            program: Held::new(program),
        }
    }
}

/// The processes around a container.
pub struct Servants {
    pub keeper: Held,
    pub monitor: Held,
    pub warden: Held,
    /// pasta or slirp4netns.
    pub program: Held,
}

/// A process that is surely the one meant.
pub struct Held(OwnedFd);

impl Held {
    pub fn new(pid: u32) -> Self {
        let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        Self(pidfd_open(pid, PidfdFlags::empty()).unwrap())
    }

    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    pub fn signal(&self, signal: Signal) {
        pidfd_send_signal(&self.0, signal).unwrap();
    }

    pub fn has_ended(&self) -> bool {
        let mut polled = [rustix::event::PollFd::new(
            &self.0,
            rustix::event::PollFlags::IN,
        )];
        let now = rustix::event::Timespec::default();
        rustix::event::poll(&mut polled, Some(&now)).unwrap() > 0
    }

    pub fn wait(&self, what: &str) {
        eventually(what, || self.has_ended());
    }
}

/// A command with another PATH for its last part, `berth` itself.
fn with_path(command: &Command, folder: &Path) -> Command {
    let mut other = Command::new(command.get_program());
    let arguments: Vec<_> = command.get_args().collect();
    let at = arguments.iter().position(|a| *a == "--").unwrap() + 1;
    // The first "--" is setpriv's.
    other.args(&arguments[..at]);
    other.arg("/usr/bin/env");
    other.arg(format!("PATH={}", folder.display()));
    other.args(&arguments[at..]).env_clear();
    for (key, value) in command.get_envs() {
        if let Some(value) = value {
            other.env(key, value);
        }
    }
    other
        .current_dir(command.get_current_dir().unwrap())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    other
}

fn within<T: Send>(namespace: BorrowedFd<'_>, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let inside = scope.spawn(|| {
            move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network)).unwrap();
            work()
        });
        inside.join().unwrap()
    })
}

fn path_of(program: &str) -> Option<std::path::PathBuf> {
    let folders = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"].iter();
    let mut paths = folders.map(|folder| Path::new(folder).join(program));
    paths.find(|path| path.is_file())
}

fn comm(pid: u32) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    text.trim_end().to_owned()
}

fn children(pid: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    text.split_whitespace()
        .map(|p| p.parse().unwrap())
        .collect()
}

fn parent(pid: u32) -> u32 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|l| l.strip_prefix("PPid:")).unwrap();
    line.trim().parse().unwrap()
}
