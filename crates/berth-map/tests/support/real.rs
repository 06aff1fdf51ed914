//! Small worlds on the real kernel: threads and children in namespaces of their own.

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]
#![allow(unreachable_pub, missing_docs, reason = "a module of test binaries")]

use std::fs;
use std::os::fd::{AsFd, AsRawFd as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use berth_base::{HostPid, NamespaceId, NamespaceKind};
use berth_map::model::{Wanted, World};
use berth_map::{EngineRoots, ProcRoot, Sources};
pub use berth_testkit::skip;
use rustix::thread::UnshareFlags;

/// Whether we may make namespaces; says so where not.
pub fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skip("no root for namespaces");
    }
    root
}

/// Moves the calling thread into new namespaces.
pub fn unshare(flags: UnshareFlags) {
    berth_sys::unshare_namespaces(u64::from(flags.bits())).unwrap();
}

/// Runs something in a thread that has ended when this returns.
pub fn apart<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    thread::spawn(run).join().unwrap()
}

/// A thread that stays in its namespaces until it is dropped.
pub struct Resident<T> {
    pub tid: HostPid,
    pub value: T,
    leave: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Starts a thread that runs something, hands over what it made, and stays.
pub fn stay<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> Resident<T> {
    let (leave, wait): (Sender<()>, Receiver<()>) = channel();
    let (give, take) = channel();
    let thread = thread::spawn(move || {
        let tid = rustix::thread::gettid().as_raw_nonzero().get();
        give.send((tid, run())).unwrap();
        // Nothing comes: it ends when the other side is dropped.
        assert!(wait.recv().is_err());
    });
    let (tid, value) = take.recv().unwrap();
    Resident {
        tid: HostPid::new(u32::try_from(tid).unwrap()).unwrap(),
        value,
        leave: Some(leave),
        thread: Some(thread),
    }
}

impl<T> Drop for Resident<T> {
    fn drop(&mut self) {
        drop(self.leave.take());
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// A child that ends with the test.
pub struct Own(pub Child);

impl Own {
    pub fn start(program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null());
        Self(command.spawn().unwrap())
    }

    pub fn pid(&self) -> HostPid {
        HostPid::new(self.0.id()).unwrap()
    }

    /// Waits until it runs a program under this name.
    pub fn until(&self, comm: &str) {
        let path = format!("/proc/{}/comm", self.0.id());
        eventually(|| fs::read_to_string(&path).unwrap().trim_end() == comm);
    }

    /// The namespace of a kind, by its link.
    pub fn namespace(&self, kind: NamespaceKind) -> NamespaceId {
        namespace_at(&format!("/proc/{}/ns/{}", self.0.id(), kind.as_str()), kind)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// How long anything may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for something to become true.
pub fn eventually(mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_true() {
        assert!(Instant::now() < deadline, "never became true");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Runs a program to its end, which must be a success.
pub fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}");
}

/// The namespace that a link names.
pub fn namespace_at(path: &str, kind: NamespaceKind) -> NamespaceId {
    use std::os::unix::fs::MetadataExt as _;
    let inode = fs::metadata(path).unwrap().ino();
    NamespaceId { kind, inode }
}

/// The namespace that the calling thread lives in.
pub fn own_namespace(kind: NamespaceKind) -> NamespaceId {
    namespace_at(&format!("/proc/thread-self/ns/{}", kind.as_str()), kind)
}

/// The namespace behind a descriptor.
pub fn namespace_of(descriptor: impl AsFd, kind: NamespaceKind) -> NamespaceId {
    let inode = rustix::fs::fstat(descriptor).unwrap().st_ino;
    NamespaceId { kind, inode }
}

pub fn own_pid() -> HostPid {
    HostPid::new(std::process::id()).unwrap()
}

/// The number of a descriptor.
pub fn number(descriptor: impl AsFd) -> u32 {
    u32::try_from(descriptor.as_fd().as_raw_fd()).unwrap()
}

pub fn sources() -> Sources {
    Sources {
        proc: ProcRoot::open("/proc").unwrap(),
        state_dir: None,
        roots: EngineRoots::default(),
    }
}

pub fn discover(wanted: &Wanted) -> World {
    World::discover_with(&sources(), wanted).unwrap()
}

/// Runs something in a thread without any privilege.
pub fn unprivileged<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    apart(|| {
        let group = rustix::fs::Gid::from_raw(65_534);
        rustix::thread::set_thread_groups(&[]).unwrap();
        rustix::thread::set_thread_res_gid(group, group, group).unwrap();
        let nobody = rustix::fs::Uid::from_raw(65_534);
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        run()
    })
}
