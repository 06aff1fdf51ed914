//! Fake hosts: a procfs tree and a state directory in a temporary folder.

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]
#![allow(unreachable_pub, missing_docs, reason = "a module of test binaries")]

pub mod engines;
pub mod updates;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;

use berth_base::state::{CgroupPaths, RunFile, STATE_VERSION};
use berth_base::{HostPid, NamespaceId, NamespaceKind, ProcessIdentity, Timestamp};
use berth_map::attribute::KnownContainer;
use berth_map::discover::{EngineRoots, ProcRoot, Sources};
use berth_map::model::{
    CgroupEntry, CgroupSet, Details, Extent, Host, Links, NamespaceSet, Parts, Process, Source,
    World, decode_untrusted,
};
use tempfile::TempDir;

/// The boot that fake hosts have.
pub const BOOT: &str = "0b00f0ad-0000-4000-8000-000000000001";
/// The host's PID namespace on fake hosts.
pub const HOST_PIDNS: u64 = 100;

/// A container id made of one digit.
pub fn id(digit: char) -> String {
    digit.to_string().repeat(64)
}

pub fn pid(number: u32) -> HostPid {
    HostPid::new(number).unwrap()
}

/// One fake process. Namespaces default to the host's: inode 100 (pid) and 101.. by kind.
#[derive(Clone)]
pub struct Fake {
    pids: Vec<u32>,
    ppid: u32,
    comm: Vec<u8>,
    state: char,
    start: u64,
    uid: u32,
    flags: u32,
    cgroup: String,
    namespaces: BTreeMap<&'static str, u64>,
}

/// The host's namespaces on fake hosts.
pub fn host_namespaces() -> BTreeMap<&'static str, u64> {
    let kinds = NamespaceKind::ALL.into_iter().map(NamespaceKind::as_str);
    let mut all: BTreeMap<_, _> = kinds.zip(101..).collect();
    all.insert("pid", HOST_PIDNS);
    all
}

impl Fake {
    /// A process with these PIDs, the host's first.
    pub fn new(pids: &[u32], ppid: u32, comm: impl AsRef<[u8]>) -> Self {
        Self {
            pids: pids.to_vec(),
            ppid,
            comm: comm.as_ref().to_vec(),
            state: 'S',
            start: 1000 + u64::from(pids[0]),
            uid: 0,
            flags: 0x0040_0000,
            cgroup: "/".to_owned(),
            namespaces: host_namespaces(),
        }
    }

    pub fn ns(mut self, kind: &'static str, inode: u64) -> Self {
        self.namespaces.insert(kind, inode);
        self
    }

    /// All namespaces but user of its own, numbered from `base`.
    pub fn isolated(mut self, base: u64) -> Self {
        for (kind, inode) in &mut self.namespaces {
            if *kind != "user" {
                *inode += base - 100;
            }
        }
        self
    }

    pub fn cgroup(mut self, path: &str) -> Self {
        self.cgroup = path.to_owned();
        self
    }

    pub fn state(mut self, state: char) -> Self {
        self.state = state;
        self
    }

    pub fn kernel_thread(mut self) -> Self {
        self.flags = 0x0020_8040;
        self
    }

    fn zombie(&self) -> bool {
        self.state == 'Z'
    }

    /// The same process without a procfs.
    pub fn process(&self) -> Process {
        let entry = CgroupEntry {
            hierarchy: 0,
            controllers: String::new(),
            path: self.cgroup.clone(),
        };
        let namespaces = NamespaceKind::ALL.into_iter().map(|kind| NamespaceId {
            kind,
            inode: self.namespaces[kind.as_str()],
        });
        Process {
            pid: pid(self.pids[0]),
            pids: self.pids.clone(),
            namespaces: namespaces.collect(),
            links: Links::Read,
            parent: HostPid::new(self.ppid),
            comm: decode_untrusted(&self.comm),
            state: self.state,
            start_ticks: self.start,
            cgroups: Arc::new(CgroupSet {
                entries: vec![entry],
            }),
            uid: self.uid,
            kernel_thread: self.flags & 0x0020_0000 != 0,
        }
    }

    fn write(&self, proc: &std::path::Path) {
        let dir = proc.join(self.pids[0].to_string());
        fs::create_dir_all(dir.join("ns")).unwrap();
        let mut stat = format!("{} (", self.pids[0]).into_bytes();
        stat.extend_from_slice(&self.comm);
        let (state, ppid, flags, start) = (self.state, self.ppid, self.flags, self.start);
        let rest =
            format!(") {state} {ppid} 1 1 0 -1 {flags} 0 0 0 0 0 0 0 0 20 0 1 0 {start} 0 0 0\n");
        stat.extend_from_slice(rest.as_bytes());
        fs::write(dir.join("stat"), stat).unwrap();
        let pids: Vec<String> = self.pids.iter().map(u32::to_string).collect();
        let (uid, pids) = (self.uid, pids.join("\t"));
        let status = format!("Name:\tx\nUid:\t0\t{uid}\t0\t0\nNStgid:\t{pids}\nNSpid:\t{pids}\n");
        fs::write(dir.join("status"), status).unwrap();
        // As on a hybrid host: v1, which forgets zombies, and v2, which tells removed cgroups.
        let path = &self.cgroup;
        let cgroups = if self.zombie() && path != "/" {
            format!("4:memory:/\n0::{path} (deleted)\n")
        } else {
            format!("4:memory:{path}\n0::/\n")
        };
        fs::write(dir.join("cgroup"), cgroups).unwrap();
        for (kind, inode) in &self.namespaces {
            if !self.zombie() || matches!(*kind, "pid" | "user") {
                symlink(format!("{kind}:[{inode}]"), dir.join("ns").join(kind)).unwrap();
            }
        }
    }
}

/// A fake host on disk.
pub struct FakeHost {
    folder: TempDir,
}

impl FakeHost {
    pub fn new(processes: &[Fake]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let proc = folder.path().join("proc");
        fs::create_dir_all(proc.join("sys/kernel/random")).unwrap();
        fs::write(proc.join("sys/kernel/random/boot_id"), format!("{BOOT}\n")).unwrap();
        fs::write(proc.join("sys/kernel/hostname"), "fake\n").unwrap();
        fs::write(proc.join("sys/kernel/pid_max"), "32768\n").unwrap();
        fs::create_dir_all(folder.path().join("state/containers")).unwrap();
        fs::create_dir(folder.path().join("root")).unwrap();
        let host = Self { folder };
        for process in processes {
            process.write(&host.proc());
        }
        host
    }

    pub fn proc(&self) -> PathBuf {
        self.folder.path().join("proc")
    }

    /// The root of the fake file system, in which other engines keep their files.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// Writes a file of another engine's.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes a file of the root that a process of the fake host sees.
    pub fn write_in(&self, pid: u32, path: &str, text: &str) {
        let path = self.proc().join(format!("{pid}/root/{path}"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Sets the command line of a process.
    pub fn command(&self, pid: u32, arguments: &[&str]) {
        let text = arguments.join("\0") + "\0";
        fs::write(self.proc().join(format!("{pid}/cmdline")), text).unwrap();
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Records a container whose first process is `init`, as it is (or is not) in the tree.
    pub fn record(&self, digit: char, name: &str, init: &Fake, own_pid_namespace: bool) {
        self.record_run(&run_file(digit, name, init, own_pid_namespace));
    }

    pub fn record_run(&self, run: &RunFile) {
        self.record_text(run.id.as_str(), &serde_json::to_string(run).unwrap());
    }

    pub fn record_text(&self, id: &str, text: &str) {
        let dir = self.state().join("containers").join(id);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("run.json"), text).unwrap();
    }

    pub fn remove(&self, pid: u32) {
        fs::remove_dir_all(self.proc().join(pid.to_string())).unwrap();
    }

    /// Puts a file or folder with a name that is not UTF-8 into the procfs.
    pub fn add_odd_name(&self) {
        fs::create_dir(self.proc().join(OsStr::from_bytes(b"\xff7"))).unwrap();
    }

    pub fn sources(&self) -> Sources {
        Sources {
            proc: ProcRoot::open(self.proc()).unwrap(),
            state_dir: Some(self.state()),
            roots: EngineRoots {
                root: Some(self.root()),
                more: Vec::new(),
            },
        }
    }

    pub fn world(&self) -> World {
        World::discover(&self.sources()).unwrap()
    }
}

/// The parts of a fake world without a disk.
pub fn parts(processes: Vec<Process>) -> Parts {
    let namespaces = host_namespaces();
    let namespaces = NamespaceKind::ALL.into_iter().map(|kind| NamespaceId {
        kind,
        inode: namespaces[kind.as_str()],
    });
    let namespaces: NamespaceSet = namespaces.collect();
    Parts {
        source: Source::Procfs,
        extent: Extent::Host,
        host: Host {
            pid_namespace: namespaces.of(NamespaceKind::Pid),
            namespaces,
            hostname: Some("fake".to_owned()),
            pid_max: Some(32_768),
            boot_id: Some(BOOT.to_owned()),
        },
        processes,
        namespaces: Vec::new(),
        known: Vec::new(),
        stale: Vec::new(),
        details: Details::default(),
        warnings: Vec::new(),
    }
}

/// A fake world without a disk.
pub fn assemble(processes: &[Fake], known: Vec<KnownContainer>) -> World {
    let processes = processes.iter().map(Fake::process).collect();
    World::assemble(Parts {
        known,
        ..parts(processes)
    })
}

/// A run file about a fake process.
pub fn run_file(digit: char, name: &str, init: &Fake, own_pid_namespace: bool) -> RunFile {
    let namespaces = NamespaceKind::ALL.into_iter().map(|kind| NamespaceId {
        kind,
        inode: init.namespaces[kind.as_str()],
    });
    RunFile {
        version: STATE_VERSION,
        id: id(digit).parse().unwrap(),
        name: name.to_owned(),
        run: 1,
        init: ProcessIdentity {
            pid: pid(init.pids[0]),
            start_ticks: init.start,
            boot_id: BOOT.to_owned(),
        },
        keeper: pid(2),
        network_warden: None,
        own_pid_namespace,
        namespaces: namespaces.collect(),
        made_namespaces: Vec::new(),
        filter: None,
        namespace_ids: std::collections::BTreeMap::new(),
        cgroups: CgroupPaths {
            v2: None,
            v1: [(
                "memory".to_owned(),
                format!("/sys/fs/cgroup/memory/berth/{}", id(digit)),
            )]
            .into(),
        },
        started_at: Timestamp::from_nanos(0),
        protocol: 1,
    }
}

/// The host of most tests.
///
/// Container web: its own namespaces (200..), a worker, an exec'd shell, a zombie, and a further
/// PID namespace (300) of no container. Container side: joins web's PID namespace, net of the
/// host. Container agent: the host's PID and network namespaces.
pub fn three_levels() -> FakeHost {
    let web = format!("/berth/{}", id('a'));
    let side = format!("/berth/{}", id('b'));
    let agent = format!("/berth/{}", id('c'));
    let init = Fake::new(&[500, 1], 400, "nginx")
        .isolated(200)
        .cgroup(&web);
    let side_init = Fake::new(&[600, 40], 410, "probe")
        .isolated(400)
        .ns("pid", 200)
        .ns("net", 104)
        .cgroup(&side);
    let agent_init = Fake::new(&[700], 420, "agent")
        .isolated(500)
        .ns("pid", 100)
        .ns("net", 104)
        .cgroup(&agent);
    let inside =
        |pids: &[u32], ppid, comm: &str| Fake::new(pids, ppid, comm).isolated(200).cgroup(&web);
    let host = FakeHost::new(&[
        Fake::new(&[1], 0, "systemd"),
        Fake::new(&[2], 0, "kthreadd").kernel_thread(),
        Fake::new(&[3], 2, "kworker/0:1").kernel_thread(),
        Fake::new(&[400], 1, "berth-keeper"),
        Fake::new(&[410], 1, "berth-keeper"),
        Fake::new(&[420], 1, "berth-keeper"),
        init.clone(),
        inside(&[501, 7], 500, "worker"),
        inside(&[502, 8], 500, "sh").state('Z'),
        inside(&[510, 12], 400, "sh"),
        inside(&[520, 20], 510, "unshare"),
        inside(&[521, 21, 1], 520, "inner").ns("pid", 300),
        inside(&[522, 22, 2], 521, "deep").ns("pid", 300).state('T'),
        side_init.clone(),
        agent_init.clone(),
    ]);
    host.record('a', "web", &init, true);
    host.record('b', "side", &side_init, false);
    host.record('c', "agent", &agent_init, false);
    host
}
