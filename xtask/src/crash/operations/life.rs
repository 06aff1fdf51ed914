//! Restarts, by users, by policies and by probes of health. Of the latter two it is the process that
//! the monitor executes which is crashed.

use super::{BERTH, Operation, RESTORE, Step, step};

/// Fails unless the victim is as the template says.
macro_rules! victim {
    ($condition:literal) => {
        &[
            "inspect",
            "-f",
            concat!(
                "{{if ",
                $condition,
                "}}{{.Id}}{{else}}{{index .Args 99}}{{end}}"
            ),
            "@victim",
        ]
    };
}

/// A container that sleeps.
macro_rules! sleeper {
    ($verb:literal $(, $flag:literal)*) => {
        step(&[
            $verb, "--name", "@victim", "--net", "none", "--stop-timeout", "0", $($flag,)* "host",
            "sleep", "1000",
        ])
    };
}

const START: &[&str] = &["start", "@victim"];
const STOP: &[&str] = &["stop", "@victim"];
const RESTART: &[&str] = &["restart", "@victim"];
const RUNS: &[&str] = &["exec", "@victim", "true"];
const IS_OVER: &[&str] = victim!("eq .State.Status \"exited\"");
const HAS_RESTARTED: &[&str] = victim!("eq .RestartCount 1");
const RUNNING: &[Step] = &[sleeper!("run", "-d")];

const MARKED: &[Step] = &[
    sleeper!("run", "-d", "--restart", "unless-stopped"),
    super::copes("fail=28 container.status.write 1", STOP),
];

pub(super) const OPERATIONS: &[Operation] = &[
    // A restart that was begun is finished, or the container still runs. One that failed is told.
    Operation {
        name: "restart",
        before: RUNNING,
        run: RESTART,
        again: RUNS,
        done: START,
        verify: &[RUNS, RESTART, RUNS],
        ..BERTH
    },
    Operation {
        name: "restart-stopped",
        setup: Some(&[sleeper!("create")]),
        run: RESTART,
        again: RESTART,
        verify: &[RUNS],
        ..BERTH
    },
    Operation {
        name: "stop",
        before: RUNNING,
        run: STOP,
        again: STOP,
        running: &[IS_OVER],
        verify: &[START, RUNS],
        ..BERTH
    },
    // What a user stopped stays so, whatever its policy.
    Operation {
        name: "stop-policy",
        before: &[sleeper!("run", "-d", "--restart", "unless-stopped")],
        run: STOP,
        again: STOP,
        verify: &[RESTORE, IS_OVER, START, RUNS],
        survives: IS_OVER,
        ..BERTH
    },
    // The same where the disk was full, and only a mark could be made.
    Operation {
        name: "restore-marked",
        before: MARKED,
        run: RESTORE,
        again: RESTORE,
        verify: &[IS_OVER, START, RUNS],
        survives: IS_OVER,
        ..BERTH
    },
    Operation {
        name: "start-marked",
        before: MARKED,
        run: START,
        again: START,
        verify: &[RUNS, STOP, RESTORE, IS_OVER],
        ..BERTH
    },
    Operation {
        name: "rm-policy",
        before: &[sleeper!("run", "-d", "--restart", "always")],
        run: &["rm", "-f", "@victim"],
        again: &["rm", "-f", "@victim"],
        verify: &[&[
            "create", "--name", "@victim", "--net", "none", "host", "true",
        ]],
        ..BERTH
    },
    // A wanted container comes back, once.
    Operation {
        name: "restore-wanted",
        setup: Some(&[
            sleeper!("create", "--restart", "always"),
            super::dies("kill-after container.status.write 2", START),
        ]),
        run: RESTORE,
        again: RUNS,
        verify: &[RUNS, STOP, RESTORE, IS_OVER],
        ..BERTH
    },
    Operation {
        name: "restart-policy",
        setup: Some(&[step(&[
            "create",
            "--name",
            "@victim",
            "--net",
            "none",
            "--restart",
            "on-failure:1",
            "host",
            "false",
        ])]),
        run: START,
        until: victim!("and (eq .RestartCount 1) (eq .State.Status \"exited\")"),
        again: HAS_RESTARTED,
        verify: &[&["wait", "@victim"], IS_OVER, START],
        ..BERTH
    },
    Operation {
        name: "health-stop",
        setup: Some(&[sleeper!(
            "create",
            "--health-cmd",
            "false",
            "--health-interval",
            "20ms",
            "--health-retries",
            "1",
            "--health-on-failure",
            "stop"
        )]),
        run: START,
        until: IS_OVER,
        again: STOP,
        verify: &[IS_OVER, START],
        ..BERTH
    },
    // Unwell in its first run alone. Who dies before he has said that he restarts it leaves it running.
    Operation {
        name: "health-restart",
        before: &[sleeper!(
            "create",
            "--volume",
            "mark:/mnt",
            "--health-cmd",
            "test -e /mnt/x || { touch /mnt/x; false; }",
            "--health-interval",
            "20ms",
            "--health-retries",
            "1",
            "--health-on-failure",
            "restart"
        )],
        run: START,
        until: victim!("eq .State.Health.Status \"healthy\""),
        again: RUNS,
        done: START,
        verify: &[RUNS, RESTART, RUNS],
        ..BERTH
    },
    Operation {
        name: "health-kill",
        setup: Some(&[sleeper!(
            "create",
            "--restart",
            "on-failure:1",
            "--health-cmd",
            "false",
            "--health-interval",
            "20ms",
            "--health-retries",
            "1",
            "--health-on-failure",
            "kill"
        )]),
        run: START,
        until: victim!("and (eq .RestartCount 1) (eq .State.Status \"exited\")"),
        again: HAS_RESTARTED,
        verify: &[&["wait", "@victim"], IS_OVER, START],
        ..BERTH
    },
];
