//! The host's own program and descriptors: nothing inside reaches them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use berth_testkit::{Bundle, Runtime, soon};
use rustix::fs::{StatVfsMountFlags, inotify};
use serde_json::json;

use crate::cli::Berth;
use crate::support::{oci, program};

/// A copy of the runtime that a test may lose.
fn copy_of_runtime(folder: &Path) -> PathBuf {
    let copy = folder.join("berth-runtime");
    fs::copy(program(), &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    copy
}

/// Holds what every process runs from, and writes to it as soon as the kernel lets it: when
/// nothing executes it any more (ETXTBSY until then).
const OVERWRITE: &str = "
    hold() {
        exec 9<\"$1\" || exit
        i=0
        while [ $i -lt 100 ]; do
            (printf X >> /proc/self/fd/9) && echo \"wrote $1\" >> /hit
            (: > /proc/self/fd/9) && echo \"emptied $1\" >> /hit
            test -e /stop && exit
            usleep 5000
            i=$((i+1))
        done
    }
    mkdir /held
    touch /ready
    while ! test -e /stop; do
        for p in /proc/[0-9]*; do
            case $(readlink $p/exe) in
                /bin/*|'') ;;
                *) mkdir /held${p#/proc} && hold $p/exe & ;;
            esac
        done 2>/dev/null
    done 2>/dev/null
    wait";

/// All that a container can ask for, and a script that names the runtime as its interpreter.
fn hostile(runtime: &Runtime) -> Bundle {
    let bundle = runtime.bundle().all_capabilities();
    let script = bundle.rootfs().join("exe");
    fs::write(&script, "#!/proc/self/exe\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    bundle
}

/// Seen to fail without its guard: `oci/shield.rs` not called and no entry point
/// of ours (`build.rs`); each of the two is enough. Then: the copy was emptied, and
/// could not be started any more.
#[test]
fn cve_2019_5736_the_runtime_is_not_overwritten_from_inside() {
    let dir = tempfile::tempdir().unwrap();
    let copy = copy_of_runtime(dir.path());
    let before = fs::read(&copy).unwrap();
    let runtime = Runtime::new(&copy);
    for (at, entry) in ["/exe", "/proc/self/exe"].into_iter().enumerate() {
        let bundle = hostile(&runtime).args(&[entry, "--version"]);
        drop(runtime.run(&format!("entry{at}"), &bundle));
    }
    // PID 1 of a container that was created and not started is the runtime itself.
    let mine = hostile(&runtime).sh(OVERWRITE);
    let root = mine.rootfs();
    let attacker = runtime.started("attacker", &mine);
    soon("the attacker", || root.join("ready").exists().then_some(()));
    let pid_namespace = format!("/proc/{}/ns/pid", attacker.pid);
    for round in 0..10 {
        let bundle = hostile(&runtime).namespace_at("pid", &pid_namespace);
        let waiting = runtime.created(&format!("w{round}"), &bundle.args(&["/exe"]));
        std::thread::sleep(std::time::Duration::from_millis(20));
        runtime.start(&waiting.id);
        waiting.wait();
        drop(runtime.delete_force(&waiting.id));
        for entry in ["/exe", "/proc/self/exe", "true"] {
            drop(runtime.exec("attacker", &[entry]));
        }
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
    fs::write(root.join("stop"), "").unwrap();
    attacker.wait();
    let hit = fs::read_to_string(root.join("hit")).unwrap_or_default();
    assert_eq!(hit, "", "the runtime was written to");
    assert!(
        fs::read(&copy).unwrap() == before,
        "the runtime was changed"
    );
    attacker.delete();
}

/// Seen to fail without its guard: MOUNT_ATTR_RDONLY in `launch.rs`. Then: the mount of what PID 1
/// runs from was writable.
#[test]
fn cve_2019_5736_neither_is_what_keeps_and_runs_sessions() {
    let berth = Berth::new();
    let keep = [
        "run", "-d", "--init", "--name", "a", "host", "sleep", "1000",
    ];
    berth.ok(&keep);
    berth.ok(&["exec", "-d", "a", "sleep", "1000"]);
    // While a program runs, a writable file is as busy (ETXTBSY) as one on a read-only mount is
    // read-only: the mount itself is looked at, of all that run from the runtime's binary.
    let init = berth.ok(&["inspect", "--format", "{{.State.Pid}}", "a"]);
    let monitor = parent_of(&init).unwrap();
    let children = || processes().filter(|pid| parent_of(pid).as_ref() == Some(&monitor));
    // Whoever set the session up is about to end.
    let children = soon("PID 1 and the session's init alone", || {
        let all: Vec<String> = children().collect();
        (all.len() == 2).then_some(all)
    });
    let keepers = [parent_of(&monitor).unwrap(), monitor.clone()];
    let all = keepers.into_iter().chain(children);
    for pid in all {
        let flags = rustix::fs::statvfs(format!("/proc/{pid}/exe"))
            .unwrap()
            .f_flag;
        assert!(
            flags.contains(StatVfsMountFlags::RDONLY),
            "{pid}: {flags:?}"
        );
    }
    let shebang = berth.path("exe");
    fs::write(&shebang, "#!/proc/self/exe\n").unwrap();
    let mount = format!("{}:/mnt/exe", shebang.display());
    let done = berth.run(&["run", "--rm", "-v", &mount, "host", "/mnt/exe"]);
    assert_ne!(done.code, 0);
}

fn processes() -> impl Iterator<Item = String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.bytes().all(|b| b.is_ascii_digit()))
}

fn parent_of(pid: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    Some(parent.trim().to_owned())
}

/// The type of a program header that names an interpreter, and of one for dynamic linking
/// (elf(5)).
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;

/// The types of a 64-bit little-endian ELF file's program headers.
fn program_headers(path: &Path) -> Vec<u32> {
    let bytes = fs::read(path).unwrap();
    let number = |at: usize, length: usize| {
        let mut word = [0u8; 8];
        word[..length].copy_from_slice(&bytes[at..at + length]);
        usize::try_from(u64::from_le_bytes(word)).unwrap()
    };
    assert_eq!(&bytes[..6], b"\x7fELF\x02\x01", "{}", path.display());
    let (table, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    (0..count)
        .map(|index| u32::try_from(number(table + index * size, 4)).unwrap())
        .collect()
}

/// Seen to fail without its guard: init opens /etc/nsswitch.conf after the pivot. Then: inotify saw
/// the open; the look at program headers refuses a dynamic /bin/ls.
#[test]
fn cve_2019_14271_no_library_of_the_container_is_loaded() {
    for name in ["berth", "berth-runtime"] {
        let headers = program_headers(&program().with_file_name(name));
        assert!(!headers.contains(&PT_INTERP), "{name} has an interpreter");
        assert!(!headers.contains(&PT_DYNAMIC), "{name} loads libraries");
    }
    // And nothing of the root is opened by what would load a library for a name: by NSS.
    let runtime = oci();
    let bundle = runtime.bundle();
    let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
    for folder in ["lib", "lib64", "usr/lib", "lib/x86_64-linux-gnu"] {
        let folder = bundle.rootfs().join(folder);
        fs::create_dir_all(&folder).unwrap();
        for library in ["libnss_files.so.2", "libc.so.6", "ld-linux-x86-64.so.2"] {
            fs::write(folder.join(library), "not a library\n").unwrap();
        }
        let all = inotify::WatchFlags::OPEN | inotify::WatchFlags::ACCESS;
        inotify::add_watch(&watch, &folder, all).unwrap();
    }
    let switch = bundle.rootfs().join("etc/nsswitch.conf");
    fs::write(&switch, "passwd: files\ngroup: files\nhosts: files dns\n").unwrap();
    inotify::add_watch(&watch, &switch, inotify::WatchFlags::OPEN).unwrap();
    // busybox is static, and `sleep` looks nothing up.
    let bundle = bundle.args(&["sleep", "100"]);
    let container = runtime.started("a", &bundle);
    drop(runtime.exec_with("a", &["--user", "1000:1000"], &["true"]));
    container.end();
    let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
    let mut events = inotify::Reader::new(&watch, &mut buffer);
    let event = events
        .next()
        .map(|event| format!("{:?}", event.file_name()));
    assert_eq!(event, Err(rustix::io::Errno::AGAIN), "a file was opened");
}

/// Seen to fail without its guard: `stage::forbid_tracing` sets Dumpable. Then: `/proc/N/exe` of an
/// exec was readable inside.
#[test]
fn cve_2016_9962_who_joins_is_not_traceable() {
    // Root of a container may look at any process of its user that is dumpable: at what it runs
    // from and at its descriptors (ptrace(2), PTRACE_MODE_READ). A program of the container's own
    // runs from its /bin, or from the host's /usr under berth, and has its streams alone; the
    // runtime's own lies on a mount that is attached nowhere, and shows as /.
    let look = "for p in /proc/[0-9]*; do
            case $(cat $p/comm) in sh|ls|cat|readlink) continue;; esac
            case $(readlink $p/exe) in ''|/bin/*|/usr/*) ;; *) echo $p/exe;; esac
            for fd in $(cd $p && ls -d fd/*); do
                case $fd in fd/0|fd/1|fd/2) continue;; esac
                readlink $p/$fd && echo looked at $p/$fd
            done
        done 2>/dev/null; true";
    let runtime = oci();
    let sleeping = runtime.started("sleeping", &runtime.bundle().sleeping());
    let pid_namespace = format!("/proc/{}/ns/pid", sleeping.pid);
    // It waits for its start as one of that container's processes.
    let waiting = runtime.bundle().namespace_at("pid", &pid_namespace);
    let waiting = runtime.created("waiting", &waiting);
    let seen = sleeping.sh(&format!("ls -d /proc/[0-9]* | wc -l; {look}"));
    let (count, looked) = seen.out.split_once('\n').unwrap();
    // Its own shell, ls and wc, PID 1 with its sleep, and the one that waits.
    assert!(count.trim().parse::<u32>().unwrap() >= 5, "{seen:?}");
    assert_eq!(looked, "", "{seen:?}");
    // Its own PID 1, while it is the runtime.
    let created = runtime.created("created", &runtime.bundle());
    let own = created.sh(look);
    assert_eq!(own.ok().out, "");
    // Those who join while the container watches.
    let watch = format!("while ! test -e /stop; do {look}; done > /seen");
    let bundle = runtime.bundle().sh(&watch);
    let root = bundle.rootfs();
    let watcher = runtime.started("watcher", &bundle);
    for _ in 0..30 {
        drop(runtime.exec("watcher", &["true"]).ok());
    }
    fs::write(root.join("stop"), "").unwrap();
    watcher.wait();
    assert_eq!(fs::read_to_string(root.join("seen")).unwrap(), "");
    drop(waiting);

    let berth = Berth::new();
    berth.ok(&["run", "-d", "--name", "a", "host", "sleep", "1000"]);
    // The session init of this exec is not berth's to show either.
    assert_eq!(berth.ok(&["exec", "a", "sh", "-c", look]), "");
}

/// Seen to fail without its guard: `close_on_exec_from` in `init.rs`; the working directory by
/// chdir(2). Then: `ls /proc/self/fd` showed 5, 7 and 9; `/proc/self/fd/3` was entered.
#[test]
fn cve_2024_21626_no_descriptor_of_the_host_comes_along() {
    let open = "exec ls /proc/self/fd";
    let audit = "0\n1\n2\n3";
    let runtime = oci();
    let run = |id: &str, bundle: &Bundle, verb: &str| {
        bundle.write();
        let folder = bundle.path().to_str().unwrap();
        // What a careless caller leaves open: the host's root, and a file.
        let script = "exec 5</ 7</etc/passwd 9</; exec \"$@\"";
        let words = [verb, "--bundle", folder, id];
        runtime.finish(&mut runtime.through_shell(script, &words))
    };
    // ls itself opens the folder, as the lowest free number.
    let bundle = runtime.bundle().sh(open);
    assert_eq!(run("audit", &bundle, "run").ok().text(), audit);
    let kept = runtime.started("kept", &runtime.bundle().sleeping());
    assert_eq!(kept.sh(open).ok().text(), audit);
    let fds = fs::read_dir(format!("/proc/{}/fd", kept.pid)).unwrap();
    assert_eq!(fds.count(), 3, "PID 1 holds more than its streams");
    for number in 3..=64 {
        let plain = format!("/proc/self/fd/{number}");
        // The ones that the caller left open also by a longer way.
        let further = format!("/proc/1/fd/{number}/../../..");
        let directories = if number < 10 {
            vec![plain, further]
        } else {
            vec![plain]
        };
        for directory in directories {
            let bundle = runtime.bundle().set("/process/cwd", json!(directory));
            let done = run(&format!("cwd{number}"), &bundle.sh("pwd; ls"), "run");
            assert!(done.code > 0 && done.out.is_empty(), "{directory} {done:?}");
            let done = runtime.exec_with("kept", &["--cwd", &directory], &["pwd"]);
            assert!(done.code > 0 && done.out.is_empty(), "{directory} {done:?}");
        }
    }

    let berth = Berth::new();
    assert_eq!(berth.ok(&["run", "--rm", "host", "sh", "-c", open]), audit);
    berth.ok(&["run", "-d", "--name", "a", "host", "sleep", "1000"]);
    assert_eq!(berth.ok(&["exec", "a", "sh", "-c", open]), audit);
    for number in 3..24 {
        let directory = format!("/proc/self/fd/{number}");
        for command in [
            &["run", "--rm", "-w", &directory, "host", "pwd"][..],
            &["exec", "-w", &directory, "a", "pwd"][..],
        ] {
            let done = berth.run(command);
            assert_eq!(done.code, 125, "{command:?} {done:?}");
        }
    }
}
