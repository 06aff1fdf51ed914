use super::*;
use std::path::Path;

/// A configuration with a log in a folder.
pub(super) fn config(folder: &Path, log: LogConfig) -> MonitorConfig {
    let json = serde_json::json!({
        "version": 1, "id": "0".repeat(64), "name": "a", "run": 1, "spec": "/none",
        "root": {"kind": "host"}, "persistent_dir": folder, "volatile_dir": folder,
        "cache_dir": folder, "joined": [], "init": false, "on_exit": [],
        "client_handles_exit": false, "log": log,
        "stdio": {"terminal": false, "stdin": false, "stdin_once": false, "attached": false,
                  "size": [0, 0]},
    });
    serde_json::from_value(json).unwrap()
}

pub(super) fn json_file(folder: &Path, max_bytes: u64, max_files: u32) -> LogConfig {
    LogConfig {
        path: folder.join("log.json"),
        max_bytes,
        max_files,
        ..LogConfig::default()
    }
}

fn open(folder: &Path, log: LogConfig) -> Log {
    Log::open(&config(folder, log)).unwrap()
}

/// The records of a file.
pub(super) fn records(path: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The texts of all files, the oldest first.
pub(super) fn texts(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("log.json"))
        .collect();
    names.sort();
    names
        .iter()
        .rev()
        .flat_map(|name| records(&folder.join(name)))
        .map(|record| record["log"].as_str().unwrap().trim_end().to_owned())
        .collect()
}

#[test]
fn lines_are_joined_across_chunks() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path(), json_file(folder.path(), 0, 0));
    log.append(Stream::Stdout, b"one\ntw");
    log.append(Stream::Stderr, b"oops\n");
    log.append(Stream::Stdout, b"o\nrest");
    log.finish();
    let records = records(&folder.path().join("log.json"));
    let texts: Vec<_> = records.iter().map(|r| r["log"].as_str().unwrap()).collect();
    assert_eq!(texts, ["one\n", "oops\n", "two\n", "rest"]);
    assert_eq!(records[1]["stream"], "stderr");
}

#[test]
fn long_lines_are_split_and_odd_bytes_kept_legal() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path(), json_file(folder.path(), 0, 0));
    let mut long = vec![b'a'; MAX_LINE + 10];
    long.extend_from_slice(b"\x1b\"\\\xff\n");
    log.append(Stream::Stdout, &long);
    let records = records(&folder.path().join("log.json"));
    assert_eq!(records[0]["log"].as_str().unwrap().len(), MAX_LINE);
    assert_eq!(records[1]["log"], "aaaaaaaaaa\u{1b}\"\\\u{fffd}\n");
}

#[test]
fn turned_files_are_in_order_and_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path(), json_file(folder.path(), 1000, 3));
    for number in 0..100 {
        log.append(Stream::Stdout, format!("{number}\n").as_bytes());
    }
    let texts = texts(folder.path());
    let last: Vec<_> = (100 - texts.len()..100).map(|n| n.to_string()).collect();
    assert!(texts.len() > 20, "{texts:?}");
    assert_eq!(texts, last);
    for name in ["log.json", "log.json.1", "log.json.2"] {
        let length = folder.path().join(name).metadata().unwrap().len();
        assert!((1..=1000).contains(&length), "{name}: {length}");
    }
    assert!(!folder.path().join("log.json.3").exists());
}

/// A packer that has looked for the last time is alive a while longer: what is turned then is another's,
/// at the latest once nothing is written any more.
#[test]
fn what_a_packer_came_too_late_for_is_packed_at_the_end() {
    for (lines, started) in [(10, 0), (40, 1), (100, 2)] {
        let folder = tempfile::tempdir().unwrap();
        let begun = folder.path().join("begun");
        let script = format!("echo x >> {}; exec sleep 1", begun.display());
        let pack = ["sh", "-c", &script].map(str::to_owned).to_vec();
        let log = LogConfig {
            pack,
            ..json_file(folder.path(), 2000, 10)
        };
        let mut log = open(folder.path(), log);
        for number in 0..lines {
            log.append(Stream::Stdout, format!("{number}\n").as_bytes());
        }
        log.finish();
        let count = || std::fs::read_to_string(&begun).unwrap_or_default().len() / 2;
        for _ in 0..500 {
            if count() >= started {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert_eq!(count(), started, "{lines}");
    }
}

#[test]
fn one_file_alone_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path(), json_file(folder.path(), 500, 1));
    for number in 0..20 {
        log.append(Stream::Stdout, format!("{number}\n").as_bytes());
    }
    assert_eq!(texts(folder.path()).last().unwrap(), "19");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_log_that_is_removed_or_emptied_under_us_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.json");
    let mut log = open(folder.path(), json_file(folder.path(), 0, 0));
    log.append(Stream::Stdout, b"one\n");
    std::fs::remove_file(&path).unwrap();
    log.append(Stream::Stdout, b"two\n");
    assert_eq!(texts(folder.path()), ["two"]);
    std::fs::write(&path, "").unwrap();
    log.append(Stream::Stdout, b"three\n");
    assert_eq!(texts(folder.path()), ["three"]);
    std::fs::remove_dir_all(folder.path()).unwrap();
    log.append(Stream::Stdout, b"four\n");
    std::fs::create_dir(folder.path()).unwrap();
    log.append(Stream::Stdout, b"five\n");
    let left = texts(folder.path());
    assert!(left[0].starts_with("berth: 1 record of output lost here: "));
    assert_eq!(left[1..], ["five"]);
}

#[test]
fn what_a_killed_writer_left_half_written_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.json");
    let mut log = open(folder.path(), json_file(folder.path(), 0, 0));
    log.append(Stream::Stdout, b"one\ntwo\n");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
    let mut log = open(folder.path(), json_file(folder.path(), 0, 0));
    log.append(Stream::Stdout, b"three\n");
    assert_eq!(texts(folder.path()), ["one", "three"]);
}

#[test]
fn local_keeps_every_byte_and_cuts_torn_frames_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.local");
    let config = || LogConfig {
        path: path.clone(),
        driver: LogDriver::Local,
        ..LogConfig::default()
    };
    open(folder.path(), config()).append(Stream::Stdout, b"one\n\xff\x00\n");
    let whole = std::fs::read(&path).unwrap();
    assert_eq!(local::whole(&whole), (whole.len(), 2));
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    open(folder.path(), config()).append(Stream::Stderr, b"three\n");
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(local::whole(&bytes), (bytes.len(), 2));
    assert!(bytes.windows(6).any(|window| window == b"three\n"));
    assert!(!bytes.contains(&0xff));
}

/// What the children of the test below do: write lines, and note each once it is written.
fn write_until_killed(folder: &Path) {
    let mut log = open(folder, json_file(folder, 300, 5));
    for number in 0..40 {
        log.append(Stream::Stdout, format!("{number}\n").as_bytes());
        std::fs::write(folder.join("written"), number.to_string()).unwrap();
    }
}

/// Each step of a turn is a place to be killed at. Whoever goes on then finds every line that was
/// written, in order and once, but for those in the oldest files.
#[test]
fn a_turn_can_be_killed_anywhere() {
    const FOLDER: &str = "BERTH_TEST_LOG_FOLDER";
    if let Some(folder) = std::env::var_os(FOLDER) {
        return write_until_killed(Path::new(&folder));
    }
    let mut killed = 0;
    for point in ["log.turn.remove", "log.turn.shift", "log.turn.newest"] {
        for action in ["kill-before", "kill-after"] {
            for nth in 1..=12 {
                let folder = tempfile::tempdir().unwrap();
                let mut child = std::process::Command::new(std::env::current_exe().unwrap());
                let name = "monitor::log::tests::a_turn_can_be_killed_anywhere";
                child.args(["--exact", name]).env(FOLDER, folder.path());
                child.env("BERTH_FAULT", format!("{action} {point} {nth}"));
                killed += u32::from(!child.output().unwrap().status.success());
                let what = format!("{action} {point} {nth}");
                after_kill(folder.path(), &what);
            }
        }
    }
    assert!(killed > 30, "{killed} were killed");
}

fn after_kill(folder: &Path, what: &str) {
    let written: usize =
        std::fs::read_to_string(folder.join("written")).map_or(0, |text| text.parse().unwrap());
    // Read as it was left, and after more turns.
    let left = texts(folder);
    let last: usize = left.last().unwrap().parse().unwrap();
    assert!(last == written || last == written + 1, "{what}: {left:?}");
    let mut log = open(folder, json_file(folder, 300, 5));
    let end = last + 9;
    for number in last + 1..end {
        log.append(Stream::Stdout, format!("{number}\n").as_bytes());
    }
    let after = texts(folder);
    for lines in [&left, &after] {
        let first: usize = lines[0].parse().unwrap();
        let wanted: Vec<_> = (first..first + lines.len())
            .map(|n| n.to_string())
            .collect();
        assert_eq!(*lines, wanted, "{what}");
        // Three records fill a file here, and two files can be missing for a gap and the newest.
        assert!(first == 0 || lines.len() >= 6, "{what}: {lines:?}");
    }
    assert_eq!(after.last().unwrap(), &(end - 1).to_string(), "{what}");
}

#[test]
fn a_full_disk_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let full = LogConfig {
        path: "/dev/full".into(),
        ..LogConfig::default()
    };
    let mut log = open(folder.path(), full);
    log.append(Stream::Stdout, b"one\ntwo\nthree");
    log.append(Stream::Stderr, b"four\n");
    log.finish();
    let noted = std::fs::read(folder.path().join("log.lost")).unwrap();
    let noted: berth_base::state::LostFile = serde_json::from_slice(&noted).unwrap();
    assert_eq!((noted.run, noted.records), (1, 4));
    assert_eq!(noted.reason, "No space left on device (os error 28)");
}

mod journal {
    use super::*;
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
    use std::collections::BTreeMap;
    use std::io::{IoSliceMut, Read as _, Seek as _};
    use std::mem::MaybeUninit;
    use std::os::unix::net::UnixDatagram;

    fn config(path: &Path) -> LogConfig {
        LogConfig {
            path: path.to_owned(),
            driver: LogDriver::Journald,
            fields: [("CONTAINER_NAME".to_owned(), "a\nb".to_owned())].into(),
            ..LogConfig::default()
        }
    }

    /// A datagram, or what is in the file that it passes.
    fn receive(socket: &UnixDatagram) -> Vec<u8> {
        let mut bytes = vec![0; 1 << 20];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::empty();
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let length = recvmsg(socket, &mut parts, &mut control, flags)
            .unwrap()
            .bytes;
        bytes.truncate(length);
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(mut descriptors) = message {
                let mut file = std::fs::File::from(descriptors.next().unwrap());
                file.rewind().unwrap();
                file.read_to_end(&mut bytes).unwrap();
            }
        }
        bytes
    }

    /// The fields of a record, as the protocol has them.
    fn fields(mut bytes: &[u8]) -> BTreeMap<String, String> {
        let mut fields = BTreeMap::new();
        while !bytes.is_empty() {
            let end = bytes.iter().position(|b| *b == b'\n').unwrap();
            let (line, rest) = bytes.split_at(end);
            let line = std::str::from_utf8(line).unwrap();
            bytes = &rest[1..];
            let (name, value) = match line.split_once('=') {
                Some((name, value)) => (name, value.to_owned()),
                None => {
                    let (length, rest) = bytes.split_first_chunk().unwrap();
                    let length = usize::try_from(u64::from_le_bytes(*length)).unwrap();
                    let value = String::from_utf8(rest[..length].to_vec()).unwrap();
                    assert_eq!(rest[length], b'\n');
                    bytes = &rest[length + 1..];
                    (line, value)
                }
            };
            fields.insert(name.to_owned(), value);
        }
        fields
    }

    #[test]
    fn records_are_datagrams_and_large_ones_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let socket = UnixDatagram::bind(&path).unwrap();
        let mut large = config(&path);
        // A datagram is as large as the sender's buffer at most.
        large
            .fields
            .insert("FILLER".to_owned(), "x".repeat(400_000));
        let mut log = open(folder.path(), config(&path));
        log.append(Stream::Stdout, b"out\n");
        log.append(Stream::Stderr, &[b'e'; MAX_LINE + 1]);
        log.finish();
        let records: Vec<_> = (0..3).map(|_| fields(&receive(&socket))).collect();
        let of = |name: &str| {
            records
                .iter()
                .map(|r| r.get(name).cloned())
                .collect::<Vec<_>>()
        };
        assert_eq!(records[0]["MESSAGE"], "out");
        assert_eq!(records[1]["MESSAGE"].len(), MAX_LINE);
        assert_eq!(of("PRIORITY"), ["6", "3", "3"].map(|p| Some(p.to_owned())));
        let partial = of("CONTAINER_PARTIAL_MESSAGE");
        assert_eq!(partial, [None, Some("true".to_owned()), None]);
        assert_eq!(records[2]["CONTAINER_NAME"], "a\nb");
        let mut log = open(folder.path(), large);
        log.append(Stream::Stdout, b"large\n");
        let record = fields(&receive(&socket));
        assert_eq!(record["MESSAGE"], "large");
        assert_eq!(record["FILLER"].len(), 400_000);
    }

    #[test]
    fn a_journal_that_does_not_read_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let socket = UnixDatagram::bind(&path).unwrap();
        let mut log = open(folder.path(), config(&path));
        let mut sent = 0;
        while !log.holds_up() {
            log.append(Stream::Stdout, format!("{sent}\n").as_bytes());
            sent += 1;
            assert!(sent < 100_000);
        }
        assert!(log.wants_write().is_some());
        for number in 0..sent {
            assert_eq!(fields(&receive(&socket))["MESSAGE"], number.to_string());
            log.write_waiting();
        }
        assert!(!log.holds_up());
    }

    #[test]
    fn or_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let socket = UnixDatagram::bind(&path).unwrap();
        let mut log = open(
            folder.path(),
            LogConfig {
                buffer_bytes: 100,
                ..config(&path)
            },
        );
        while log.wants_write().is_none() {
            log.append(Stream::Stdout, b"before\n");
        }
        for _ in 0..50 {
            log.append(Stream::Stdout, b"123456789\n");
            assert!(!log.holds_up());
        }
        // "before" takes 7 bytes of the 100, and 9 of 50 records fit beside it.
        let mut messages = Vec::new();
        while log.wants_write().is_some() {
            messages.push(fields(&receive(&socket)));
            log.write_waiting();
        }
        socket.set_nonblocking(true).unwrap();
        let mut bytes = [0; 1000];
        while let Ok(length) = socket.recv(&mut bytes) {
            messages.push(fields(&bytes[..length]));
        }
        let lost = messages.iter().find_map(|record| record.get("BERTH_LOST"));
        assert_eq!(lost.unwrap(), "41");
        let kept = messages.iter().filter(|m| m["MESSAGE"] == "123456789");
        assert_eq!(kept.count(), 9);
    }

    /// The journal was started again, on a new socket.
    #[test]
    fn a_new_journal_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let first = UnixDatagram::bind(&path).unwrap();
        let mut log = open(folder.path(), config(&path));
        log.append(Stream::Stdout, b"one\n");
        drop(first);
        log.append(Stream::Stdout, b"two\n");
        std::fs::remove_file(&path).unwrap();
        let second = UnixDatagram::bind(&path).unwrap();
        log.append(Stream::Stdout, b"three\n");
        let said = fields(&receive(&second));
        assert!(said["MESSAGE"].starts_with("berth: 1 record of output lost here: "));
        assert_eq!(fields(&receive(&second))["MESSAGE"], "three");
    }
}
