//! The driver journald, with a journal of the test's own.

use std::os::unix::net::UnixDatagram;

use crate::support::Done;
use crate::world::{World, done};

fn berth(world: &World, words: &[&str]) -> Done {
    let mut command = world.command(env!("CARGO_BIN_EXE_berth"));
    command.args([
        "--root",
        &world.text("root"),
        "--state",
        &world.text("state"),
    ]);
    command.args(["--cgroup-parent", &world.cgroup_parent()]);
    command.args(["--default-network", "none"]);
    done(command.args(words))
}

#[test]
fn records_arrive_with_their_fields() {
    let world = World::new("journal");
    let run = [
        "run",
        "--name",
        "a",
        "--label",
        "com.example.x=1",
        "--log-driver",
        "journald",
        "--log-opt",
        "labels=com.example.x",
        "host",
        "sh",
        "-c",
        "echo out; echo err >&2",
    ];
    let refused = berth(&world, &run);
    assert_eq!(refused.code, 125);
    assert_eq!(
        refused.err,
        "berth: cannot log to the journal: nothing listens on /run/systemd/journal/socket; start systemd-journald, or choose another --log-driver\n"
    );
    assert_eq!(berth(&world, &["ps", "-aq"]).out, "");

    // Of the world's own /run.
    let folder = world.seen("/run/systemd/journal");
    std::fs::create_dir_all(&folder).unwrap();
    let journal = UnixDatagram::bind(folder.join("socket")).unwrap();
    journal
        .set_read_timeout(Some(crate::support::PATIENCE))
        .unwrap();
    let ran = berth(&world, &run);
    assert_eq!((ran.code, ran.out.as_str()), (0, "out\n"), "{ran:?}");
    let mut records = Vec::new();
    for _ in 0..2 {
        let mut bytes = [0; 4096];
        let length = journal.recv(&mut bytes).unwrap();
        let text = String::from_utf8(bytes[..length].to_vec()).unwrap();
        records.push(text.lines().map(str::to_owned).collect::<Vec<_>>());
    }
    let id = berth(&world, &["ps", "-aq", "--no-trunc"]).out;
    for (stream, priority) in [("out", "6"), ("err", "3")] {
        let message = format!("MESSAGE={stream}");
        let record = records.iter().find(|r| r.contains(&message)).unwrap();
        for field in [
            format!("PRIORITY={priority}"),
            "CONTAINER_NAME=a".to_owned(),
            format!("CONTAINER_ID_FULL={}", id.trim()),
            format!("CONTAINER_ID={}", &id[..12]),
            format!("CONTAINER_TAG={}", &id[..12]),
            "IMAGE_NAME=host".to_owned(),
            "COM_EXAMPLE_X=1".to_owned(),
        ] {
            assert!(record.contains(&field), "{field} is not in {record:?}");
        }
    }
    let logs = berth(&world, &["logs", "a"]);
    assert_eq!(logs.code, 1);
    let hint = format!(
        "read it with \"journalctl CONTAINER_ID_FULL={}\"",
        id.trim()
    );
    assert!(logs.err.contains(&hint), "{logs:?}");
    berth(&world, &["rm", "-f", "a"]);
}
