//! The end of exec sessions: by their id, and with their client.

use rustix::process::Signal;

use crate::support::{Berth, eventually, exit_code, signal};
use crate::world::{marker, monitor_of, send, sessions, with_argument};

/// Children that daemonize in all the ways there are, and one that ignores what can be ignored.
fn script(sleep: &str) -> String {
    format!(
        "trap '' HUP TERM INT; setsid sleep {sleep} & (sleep {sleep} & setsid sh -c 'sleep {sleep} & sleep {sleep}' &) ; \
         nohup sleep {sleep} >/dev/null 2>&1 & sleep {sleep}"
    )
}

/// How many processes the script comes to that have the argument.
const COUNT: usize = 6;

fn kills_everything(flags: &[&str], number: u32) {
    let berth = Berth::new();
    let sleep = marker(number);
    let beside = marker(number + 50);
    let arguments = [
        &["run", "-d", "--name", "a"],
        flags,
        &["host", "sleep", "1000"],
    ]
    .concat();
    berth.ok(&arguments);
    berth.ok(&["exec", "-d", "a", "sleep", &beside]);
    let mut client = berth.spawn(&["exec", "a", "sh", "-c", &script(&sleep)]);
    eventually("all to run", || with_argument(&sleep).len() == COUNT);
    let id = sessions(&berth, "a").remove(1);
    assert_eq!(berth.ok(&["exec", "kill", &id[..12]]), &id[..12]);
    assert_eq!(with_argument(&sleep), [0; 0], "with the command's end");
    assert_eq!(exit_code(&mut client), 137);
    assert_eq!(with_argument(&beside).len(), 1, "another session goes on");
    assert_eq!(sessions(&berth, "a").len(), 1);
    assert_eq!(berth.ok(&["ps", "--format", "{{.State}}"]), "running");
}

#[test]
fn a_kill_ends_all_that_a_session_started() {
    kills_everything(&[], 100);
}

#[test]
fn also_in_the_pid_namespace_of_the_host() {
    kills_everything(&["--pid", "host"], 200);
}

#[test]
fn also_in_that_of_another_container() {
    let berth = Berth::new();
    let sleep = marker(300);
    berth.ok(&["run", "-d", "--name", "o", "host", "sleep", "1000"]);
    berth.ok(&[
        "run",
        "-d",
        "--name",
        "a",
        "--pid",
        "container:o",
        "host",
        "sleep",
        "1000",
    ]);
    berth.ok(&["exec", "-d", "a", "sh", "-c", &script(&sleep)]);
    eventually("all to run", || with_argument(&sleep).len() == COUNT);
    berth.ok(&["exec", "kill", &sessions(&berth, "a")[0]]);
    assert_eq!(with_argument(&sleep), [0; 0]);
    assert_eq!(berth.ok(&["ps", "-q"]).lines().count(), 2);
}

/// What forks faster than it is found is frozen for a moment.
#[test]
fn a_session_that_forks_without_end_is_ended() {
    let berth = Berth::new();
    let limit = [
        "run",
        "-d",
        "--name",
        "a",
        "--pids-limit",
        "150",
        "host",
        "sleep",
        "1000",
    ];
    berth.ok(&limit);
    let sleep = marker(400);
    // Each makes two of itself and ends.
    let bomb = format!(
        "f() {{ f & f & }}; f 2>/dev/null; while :; do f 2>/dev/null; sleep 0.01; done # {sleep}"
    );
    berth.ok(&["exec", "-d", "a", "bash", "-c", &bomb]);
    let processes = ["exec", "ls", "--format", "{{.Processes}}", "a"];
    eventually("it to have grown", || {
        berth.ok(&processes).parse::<u32>().unwrap() > 50
    });
    berth.ok(&["exec", "kill", &sessions(&berth, "a")[0]]);
    assert!(sessions(&berth, "a").is_empty());
    assert_eq!(berth.ok(&["exec", "a", "echo", "well"]), "well");
}

#[test]
fn a_signal_goes_to_the_main_process_alone() {
    let berth = Berth::new();
    berth.ok(&["run", "-d", "--name", "a", "host", "sleep", "1000"]);
    let script = "trap 'exit 33' USR1; echo ready; sleep 1000 & while :; do sleep 0.05; done";
    let mut client = berth.spawn(&["exec", "a", "bash", "-c", script]);
    let mut line = [0; 6];
    std::io::Read::read_exact(client.stdout.as_mut().unwrap(), &mut line).unwrap();
    let id = sessions(&berth, "a").remove(0);
    berth.ok(&["exec", "kill", "--signal", "USR1", &id]);
    drop(client.stdout.take());
    assert_eq!(exit_code(&mut client), 33);
}

/// As Docker has it: without the flag a session outlives its client.
#[test]
fn a_session_goes_on_without_its_client() {
    let berth = Berth::new();
    let sleep = marker(500);
    berth.ok(&["run", "-d", "--name", "a", "host", "sleep", "1000"]);
    let mut client = berth.spawn(&["exec", "a", "sleep", &sleep]);
    eventually("it to run", || sessions(&berth, "a").len() == 1);
    client.kill().unwrap();
    client.wait().unwrap();
    // The monitor has noticed once a further session was begun.
    berth.ok(&["exec", "a", "true"]);
    assert_eq!(with_argument(&sleep).len(), 1);
}

#[test]
fn with_the_flag_all_of_a_session_ends_with_its_client() {
    let berth = Berth::new();
    berth.ok(&["run", "-d", "--name", "a", "host", "sleep", "1000"]);
    for (number, ending) in [(600, Signal::KILL), (601, Signal::INT), (602, Signal::HUP)] {
        let sleep = marker(number);
        let command = [
            "exec",
            "--end-with-client",
            "a",
            "sh",
            "-c",
            &script(&sleep),
        ];
        let mut client = berth.spawn(&command);
        eventually("all to run", || with_argument(&sleep).len() == COUNT);
        signal(&client, ending);
        exit_code(&mut client);
        eventually("all to have ended", || with_argument(&sleep).is_empty());
        eventually("the session to be off the list", || {
            sessions(&berth, "a").is_empty()
        });
    }
    // What the command itself leaves behind, too.
    let sleep = marker(603);
    let text = format!("setsid sleep {sleep} >/dev/null 2>&1 & exit 4");
    let done = berth.run(&["exec", "--end-with-client", "a", "sh", "-c", &text]);
    assert_eq!(done.code, 4);
    eventually("the orphan to have ended", || {
        with_argument(&sleep).is_empty()
    });
}

/// A new monitor knows the sessions of the one before it, and that their clients are gone.
#[test]
fn sessions_outlive_their_monitor() {
    let berth = Berth::new();
    let (stays, goes) = (marker(700), marker(701));
    berth.ok(&["run", "-d", "--name", "a", "host", "sleep", "1000"]);
    berth.ok(&["exec", "-d", "a", "sleep", &stays]);
    let mut client = berth.spawn(&["exec", "--end-with-client", "a", "sleep", &goes]);
    eventually("both to run", || sessions(&berth, "a").len() == 2);
    let monitor = monitor_of(&berth, "a");
    send(monitor, Signal::KILL);
    assert_eq!(exit_code(&mut client), 125);
    eventually("the one to have ended", || with_argument(&goes).is_empty());
    assert_eq!(with_argument(&stays).len(), 1);
    let id = sessions(&berth, "a").remove(0);
    berth.ok(&["exec", "kill", &id]);
    assert_eq!(with_argument(&stays), [0; 0]);
    let folder = crate::world::volatile_dir(&berth, "a").join("sessions");
    eventually("their records to be gone", || {
        std::fs::read_dir(&folder).unwrap().count() == 0
    });
}

/// "this is a defect of berth", it used to say, or "No such process".
#[test]
fn a_session_in_a_container_that_is_killed_says_so() {
    let berth = Berth::new();
    for _ in 0..8 {
        berth.background("some", "sleep 1000");
        let sessions: Vec<_> = (0..4)
            .map(|_| berth.spawn(&["exec", "some", "true"]))
            .collect();
        std::thread::sleep(std::time::Duration::from_millis(30));
        berth.ok(&["kill", "some"]);
        for session in sessions {
            let done = crate::support::finish(session);
            let known = ["is not running", "has ended", "killed before"];
            let is_known = known.iter().any(|words| done.err.contains(words));
            assert!([0, 137].contains(&done.code) || is_known, "{done:?}");
        }
        berth.ok(&["rm", "-f", "some"]);
    }
}
