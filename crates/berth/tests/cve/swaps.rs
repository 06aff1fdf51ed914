//! What a container swaps while it is set up or looked at: account files, devices, terminals,
//! procfs.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use berth_testkit::{Bundle, Console, Runtime};
use rustix::fs::{FileType, Mode, makedev, mknodat};
use serde_json::json;

use crate::cli::{Berth, Terminal};
use crate::support::{ROUNDS, Swap, oci, root_for};

/// Exchanges `etc` with a link to a folder of the host's that knows somebody else.
fn swapped_accounts(root: &Path, outside: &Path) {
    fs::write(
        outside.join("passwd"),
        "root:x:0:0::/stolen:/bin/sh\nother:x:4242:4242::/stolen:/bin/sh\n",
    )
    .unwrap();
    fs::write(outside.join("group"), "other:x:4242:\n").unwrap();
    symlink(outside, root.join("link")).unwrap();
}

/// Seen to fail without its guard: RESOLVE_IN_ROOT in `user.rs` and `oci/home.rs`. Then: `exec -u`
/// took a user of the host's; the races of `berth cp` are in `tests/cp/attacks.rs`, those of
/// unpacking layers come with issue 6.
#[test]
fn cve_2018_15664_2026_42306_2026_41567_files_of_the_root_are_read_inside_it() {
    let berth = Berth::new();
    let (bundle, root) = root_for(&berth);
    let outside = bundle.join("outside");
    fs::create_dir(&outside).unwrap();
    swapped_accounts(&bundle.rootfs(), &outside);
    let keep = [
        "run", "-d", "--name", "a", "--rootfs", &root, "--rw", "sleep", "1000",
    ];
    berth.ok(&keep);
    let swap = Swap::between(&bundle.rootfs(), "etc", "link");
    for _ in 0..ROUNDS {
        let done = berth.run(&["exec", "-u", "other", "a", "id", "-u"]);
        assert_eq!(done.code, 125, "a user of the host: {done:?}");
        let run = [
            "run",
            "--rm",
            "--rootfs",
            &root,
            "--rw",
            "-u",
            "other",
            "/bin/true",
        ];
        let done = berth.run(&run);
        assert_eq!(done.code, 125, "a user of the host: {done:?}");
    }
    swap.stop();

    // The OCI command line reads one thing in the root: HOME, where the caller gives none.
    let runtime = oci();
    let bundle = runtime.bundle().sh("echo $HOME");
    let outside = bundle.join("outside");
    fs::create_dir(&outside).unwrap();
    swapped_accounts(&bundle.rootfs(), &outside);
    let swap = Swap::between(&bundle.rootfs(), "etc", "link");
    for round in 0..ROUNDS {
        let home = runtime.run(&format!("r{round}"), &bundle).ok();
        assert_ne!(home.text(), "/stolen");
    }
    swap.stop();
}

/// A folder for /dev that the container's neighbour can write: nodes, and `evil`, a link.
fn devices(bundle: &Bundle, evil: &str) -> PathBuf {
    let folder = bundle.join("devices");
    fs::create_dir(&folder).unwrap();
    let open = fs::File::open(&folder).unwrap();
    for (name, major, minor) in [("null", 1, 3), ("zero", 1, 5), ("tty", 5, 0)] {
        let mode = Mode::from_raw_mode(0o666);
        let number = makedev(major, minor);
        mknodat(&open, name, FileType::CharacterDevice, mode, number).unwrap();
    }
    fs::create_dir(folder.join("pts")).unwrap();
    symlink(evil, folder.join("evil")).unwrap();
    folder
}

/// A bundle whose /dev is that folder.
fn bundle_with_devices(runtime: &Runtime, evil: &str) -> (Bundle, PathBuf) {
    let mut bundle = runtime.bundle();
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
    fs::write(bundle.rootfs().join("victim"), "dear\n").unwrap();
    fs::write(bundle.rootfs().join("secret"), "hidden\n").unwrap();
    let devices = devices(&bundle, evil);
    (bundle.bind(&devices, "/dev", &["rbind"]), devices)
}

/// Seen to fail without its guard: the mask taken from the container's /dev/null, unchecked. Then:
/// a masked file was a regular one.
#[test]
fn cve_2025_31133_2025_62161_masks_are_the_null_device() {
    let runtime = oci();
    let (bundle, devices) = bundle_with_devices(&runtime, "/victim");
    let bundle = bundle
        .push("/linux/maskedPaths", "/secret")
        .sh("stat -c %F:%t:%T /secret /proc/keys; cat /secret; cat /victim");
    let masked = "character special file:1:3\ncharacter special file:1:3\ndear\n";
    let swap = Swap::between(&devices, "null", "evil");
    let mut ran = 0;
    for round in 0..ROUNDS {
        let done = runtime.run(&format!("r{round}"), &bundle);
        if done.code == 0 {
            assert_eq!(done.out, masked);
            ran += 1;
        }
    }
    swap.stop();
    assert!(ran > 0, "no run got through");
    runtime.assert_nothing_left();

    let berth = Berth::new();
    let hidden = [
        "run",
        "--rm",
        "host",
        "sh",
        "-c",
        "stat -c %F:%t:%T /proc/keys /proc/timer_list",
    ];
    let null = "character special file:1:3";
    assert_eq!(berth.ok(&hidden), format!("{null}\n{null}"));
}

/// Seen to fail without its guard: `Links::InRoot` for /dev/console; the file system's magic in
/// `enter.rs`. Then: the terminal lay on the file that a link named; `exec -it` took a FIFO for
/// ptmx.
#[test]
fn cve_2025_52565_the_console_is_our_terminal() {
    let runtime = oci();
    let shown = "stat -c %t /dev/console; readlink /proc/self/fd/0; tty; cat /victim; echo end";
    let run = |id: &str, bundle: &Bundle| -> Option<String> {
        let console = Console::listen();
        let flags = ["--console-socket", console.path().to_str().unwrap()].map(str::to_owned);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let created = runtime.create_with(id, bundle, &flags);
        if created.code != 0 {
            return None;
        }
        let mut terminal = console.receive_terminal();
        drop(runtime.start(id).ok());
        let said = Console::read_until(&mut terminal, "end\r\n");
        drop(runtime.delete_force(id));
        Some(said)
    };
    let bundle = runtime.bundle().terminal(true).sh(shown);
    fs::write(bundle.rootfs().join("victim"), "dear\n").unwrap();
    let said = run("plain", &bundle).unwrap();
    // Majors 136 to 143 are pseudo terminals.
    assert_eq!(said, "88\r\n/dev/pts/0\r\n/dev/pts/0\r\ndear\r\nend\r\n");
    // A /dev of somebody else's: whatever becomes of the console, no link is followed.
    let (bundle, devices) = bundle_with_devices(&runtime, "/victim");
    fs::write(devices.join("console"), "").unwrap();
    let bundle = bundle
        .mount(
            "devpts",
            "devpts",
            "/dev/pts",
            &["newinstance", "ptmxmode=0666"],
        )
        .terminal(true)
        .sh(shown);
    let swap = Swap::between(&devices, "console", "evil");
    for round in 0..ROUNDS / 3 {
        if let Some(said) = run(&format!("r{round}"), &bundle) {
            assert!(said.contains("/dev/pts/0\r\n"), "{said}");
            assert!(said.ends_with("dear\r\nend\r\n"), "{said}");
        }
    }
    swap.stop();

    // exec -t takes its terminal from what lies at /dev/pts, which must be a devpts.
    let berth = Berth::new();
    let own = "mount -t tmpfs t /dev/pts && mkfifo /dev/pts/ptmx && sleep 1000";
    let keep = [
        "run",
        "-d",
        "--name",
        "a",
        "--privileged",
        "host",
        "sh",
        "-c",
        own,
    ];
    berth.ok(&keep);
    crate::cli::eventually("the mount", || {
        berth
            .run(&["exec", "a", "test", "-p", "/dev/pts/ptmx"])
            .code
            == 0
    });
    let mut terminal = Terminal::start(&berth, &["exec", "-it", "a", "tty"]);
    assert!(terminal.rest().contains("no devpts"));
    assert_eq!(crate::cli::exit_code(&mut terminal.child), 125);
}

/// Files of a root that have the names of files of procfs.
fn traps_in(proc: &Path) -> Vec<std::path::PathBuf> {
    let names = [
        "sys/net/ipv4/ip_forward",
        "sys/kernel/shmmni",
        "self/attr/exec",
        "self/attr/apparmor/exec",
        "self/oom_score_adj",
        "thread-self/attr/exec",
    ];
    let lay = |name: &str| {
        let trap = proc.join(name);
        fs::create_dir_all(trap.parent().unwrap()).unwrap();
        fs::write(&trap, "trap").unwrap();
        fs::set_permissions(&trap, fs::Permissions::from_mode(0o666)).unwrap();
        trap
    };
    names.map(lay).to_vec()
}

/// Seen to fail without its guard: sysctls by the root's /proc in `act/files.rs`. Then: ip_forward
/// stayed 0, a file of the root was written.
#[test]
fn cve_2025_52881_2025_62596_procfs_is_written_by_a_mount_of_our_own() {
    let runtime = oci();
    // A root that looks like procfs to who walks it by name, and no procfs over it.
    let mut bundle = runtime.bundle();
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    mounts.retain(|mount| mount["type"] != "proc");
    let proc = bundle.rootfs().join("proc");
    let traps = traps_in(&proc);
    let untouched = || {
        for trap in &traps {
            assert_eq!(
                fs::read_to_string(trap).unwrap(),
                "trap",
                "{}",
                trap.display()
            );
        }
    };
    let bundle = bundle
        .set(
            "/linux/sysctl",
            json!({"net.ipv4.ip_forward": "1", "kernel.shmmni": "1234"}),
        )
        .set("/process/oomScoreAdj", 500)
        .without("/linux/maskedPaths")
        .without("/linux/readonlyPaths")
        .sleeping();
    let container = runtime.started("a", &bundle);
    let shown = |namespaces: &[&str], file: &str| {
        let mut command = Command::new("nsenter");
        command
            .args(["-t", &container.pid.to_string()])
            .args(namespaces);
        let output = command.args(["cat", file]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(shown(&["-n"], "/proc/sys/net/ipv4/ip_forward"), "1");
    assert_eq!(shown(&["-i"], "/proc/sys/kernel/shmmni"), "1234");
    let score = fs::read_to_string(format!("/proc/{}/oom_score_adj", container.pid)).unwrap();
    assert_eq!(score.trim(), "500");
    untouched();
    // A label that cannot be set is an error, and is not written to what pretends to be its file.
    if !Path::new("/sys/kernel/security/apparmor").exists() {
        let labelled = bundle.set("/process/apparmorProfile", "some-profile");
        drop(runtime.run("b", &labelled).refused());
        untouched();
        let labelled = runtime.bundle().set("/process/selinuxLabel", "a:b:c:s0");
        drop(runtime.run("c", &labelled).refused());
    }
    let device = fs::metadata("/dev/null").unwrap().file_type();
    assert!(device.is_char_device(), "the host's own /dev/null");
}

/// Seen to fail without its guard: sysctls by the root's /proc in `act/files.rs`. Then: ip_forward
/// stayed 0, a file of the root was written.
#[test]
fn cve_2025_52881_the_engine_writes_no_procfs_of_the_roots() {
    let berth = Berth::new();
    let (bundle, root) = root_for(&berth);
    let trap = bundle.rootfs().join("proc/self");
    fs::create_dir_all(&trap).unwrap();
    fs::write(trap.join("oom_score_adj"), "trap").unwrap();
    let run = [
        "run",
        "--rm",
        "--rootfs",
        &root,
        "--rw",
        "/bin/cat",
        "/proc/self/oom_score_adj",
    ];
    assert_eq!(berth.ok(&run), "0");
    assert_eq!(
        fs::read_to_string(trap.join("oom_score_adj")).unwrap(),
        "trap"
    );
}
