//! Containers that work against `cp`. Each test was seen to fail once with its guard taken out.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use berth_testkit::Bundle;
use rustix::fs::inotify;

use crate::cli::Berth;
use crate::support::tree;

/// Rounds of each race.
const ROUNDS: u32 = 200;

/// A container `c` over a directory that the test sees as well, in which a process exchanges
/// `data`, a folder, with a link to a folder of the host's as fast as it can.
struct Race {
    berth: Berth,
    _bundle: Bundle,
    root: PathBuf,
    outside: PathBuf,
    before: BTreeMap<String, String>,
}

impl Race {
    fn new() -> Self {
        let berth = Berth::new();
        let bundle = Bundle::new();
        let root = bundle.rootfs();
        let outside = berth.path("outside");
        fs::create_dir_all(outside.join("sub")).unwrap();
        fs::write(outside.join("f"), "the host's\n").unwrap();
        fs::write(outside.join("sub/g"), "the host's\n").unwrap();
        fs::create_dir_all(root.join("data/sub")).unwrap();
        fs::write(root.join("data/f"), "inside\n").unwrap();
        fs::write(root.join("data/sub/g"), "inside\n").unwrap();
        symlink(&outside, root.join("link")).unwrap();
        let path = root.to_str().unwrap();
        // Three renames, since busybox has no exchange of two names.
        let swap = "while :; do mv /data /away; mv /link /data; mv /data /link; mv /away /data; \
                    echo >> /count; done";
        let run = [
            "run", "-d", "--name", "c", "--net", "none", "--rootfs", path, "--rw",
        ];
        berth.ok(&[&run[..], &["sh", "-c", swap]].concat());
        let before = tree(&outside);
        Self {
            berth,
            _bundle: bundle,
            root,
            outside,
            before,
        }
    }

    /// How often it swapped.
    fn swaps(&self) -> usize {
        fs::read(self.root.join("count")).map_or(0, |text| text.len())
    }

    #[track_caller]
    fn is_untouched(&self) {
        assert_eq!(tree(&self.outside), self.before, "the host was changed");
    }
}

/// Nothing of the host's comes out, whatever a name leads to at any moment.
///
/// Seen to fail without its guard: in `copy/inside.rs`, openat(2) of the whole path below the root.
/// Then: the host's file was copied.
#[test]
fn cve_2018_15664_what_comes_out_was_inside() {
    let race = Race::new();
    let to = race.berth.path("out");
    let mut copied = 0;
    for round in 0..ROUNDS {
        let from = ["c:/data/f", "c:/data/sub", "c:/data/"][round as usize % 3];
        let flags = if round % 2 == 0 { "-q" } else { "-qL" };
        let done = race.berth.run(&["cp", flags, from, to.to_str().unwrap()]);
        if done.code == 0 {
            copied += 1;
            for (name, text) in tree(&to) {
                assert!(!text.contains("the host's"), "{name}: {text}");
            }
        }
        remove(&to);
    }
    assert!(copied > 0, "no copy was made");
    assert!(race.swaps() > ROUNDS as usize, "no race was run");
    race.is_untouched();
}

/// Nothing is written outside.
///
/// Seen to fail without its guard: as above. Then: the host's folder had the file.
#[test]
fn cve_2018_15664_what_goes_in_stays_inside() {
    let race = Race::new();
    let from = race.berth.path("in");
    fs::create_dir_all(from.join("sub")).unwrap();
    fs::write(from.join("evil"), "evil\n").unwrap();
    fs::write(from.join("sub/g"), "evil\n").unwrap();
    let from = from.to_str().unwrap();
    let stream = std::process::Command::new("tar")
        .args(["-C", from, "-c", "."])
        .output()
        .unwrap()
        .stdout;
    let (file, content) = (format!("{from}/evil"), format!("{from}/."));
    let mut copied = 0;
    for round in 0..ROUNDS {
        let done = match round % 4 {
            0 => race.berth.run(&["cp", &file, "c:/data/evil"]),
            1 => race.berth.run(&["cp", &content, "c:/data"]),
            2 => race.berth.run(&["cp", &file, "c:/data/sub/"]),
            _ => race.berth.run_with(&["cp", "-", "c:/data"], &stream),
        };
        copied += u32::from(done.code == 0);
        race.is_untouched();
    }
    assert!(copied > 0, "no copy was made");
    assert!(race.swaps() > ROUNDS as usize, "no race was run");
}

/// Nothing of the container's that could be loaded or executed is opened: docker-tar loaded
/// libnss_files.so of the container it had entered.
///
/// Seen to fail without its guard: the worker opens /etc/nsswitch.conf while it is in the mount
/// namespace (`copy/root.rs`). Then: inotify saw it.
#[test]
fn cve_2019_14271_nothing_of_the_container_is_loaded() {
    let berth = Berth::new();
    let bundle = Bundle::new();
    let root = bundle.rootfs();
    let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
    for folder in [
        "lib",
        "lib64",
        "usr/lib",
        "lib/x86_64-linux-gnu",
        "usr/share/zoneinfo",
    ] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    for file in [
        "lib/x86_64-linux-gnu/libnss_files.so.2",
        "lib/x86_64-linux-gnu/libc.so.6",
        "lib64/ld-linux-x86-64.so.2",
        "etc/nsswitch.conf",
        "etc/ld.so.cache",
        "etc/ld.so.preload",
        "etc/localtime",
        "bin/tar",
        "bin/berth",
    ] {
        // One of busybox's many names, else.
        drop(fs::remove_file(root.join(file)));
        fs::write(root.join(file), "files dns\n").unwrap();
    }
    let path = root.to_str().unwrap();
    let run = [
        "run", "-d", "--name", "c", "--net", "none", "--rootfs", path, "--rw",
    ];
    berth.ok(&[&run[..], &["sleep", "1000"]].concat());
    let flags = inotify::WatchFlags::OPEN | inotify::WatchFlags::ACCESS;
    for folder in [
        "lib",
        "lib64",
        "usr/lib",
        "lib/x86_64-linux-gnu",
        "etc",
        "bin",
    ] {
        inotify::add_watch(&watch, root.join(folder), flags).unwrap();
    }
    fs::write(berth.path("f"), "f\n").unwrap();
    let (from, to) = (berth.path("f"), berth.path("g"));
    berth.ok(&["cp", from.to_str().unwrap(), "c:/tmp/f"]);
    berth.ok(&["cp", "-a", "c:/tmp/f", to.to_str().unwrap()]);
    let stream = berth.run(&["cp", "c:/tmp", "-"]).out;
    let done = berth.run_with(&["cp", "-", "c:/root"], stream.as_bytes());
    assert_eq!(done.code, 0, "{done:?}");
    let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
    let mut events = inotify::Reader::new(&watch, &mut buffer);
    let event = events
        .next()
        .map(|event| format!("{:?}", event.file_name()));
    assert_eq!(event, Err(rustix::io::Errno::AGAIN), "a file was opened");
}

/// A device or a pipe in the place of a file neither blocks nor is read.
#[test]
fn what_is_no_file_is_not_opened() {
    let berth = Berth::new();
    let bundle = Bundle::new();
    let path = bundle.rootfs();
    let run = [
        "run",
        "-d",
        "--name",
        "c",
        "--net",
        "none",
        "--rootfs",
        path.to_str().unwrap(),
    ];
    let script = "mkdir /d && mkfifo /d/pipe && ln -s pipe /d/link && echo x > /d/x && sleep 1000";
    berth.ok(&[&run[..], &["sh", "-c", script]].concat());
    crate::cli::eventually("the files", || {
        berth.run(&["exec", "c", "cat", "/d/x"]).out == "x\n"
    });
    let to = berth.path("d");
    berth.ok(&["cp", "c:/d", to.to_str().unwrap()]);
    use std::os::unix::fs::FileTypeExt;
    let kind = |name: &str| fs::symlink_metadata(to.join(name)).unwrap().file_type();
    assert!(kind("pipe").is_fifo() && kind("link").is_symlink() && kind("x").is_file());
    let x = to.join("x");
    let done = berth.run(&["cp", x.to_str().unwrap(), "c:/d/link"]);
    insta::assert_snapshot!(done.err.trim_end(), @"berth: cannot copy to c:/d/link: it is a device, a pipe or a socket; give a folder or a regular file");
    assert_eq!(done.code, 1);
}

fn remove(path: &Path) {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path).unwrap(),
        Ok(_) => fs::remove_file(path).unwrap(),
        Err(_) => {}
    }
}
