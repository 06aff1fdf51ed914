//! What is done to a container that runs, or does not: limits, a pause. It knows the paths of its
//! files, so that it is started before each crash and not in the template.

use super::{BERTH, Operation, Step, step};

const SLEEP: &[Step] = &[step(&[
    "run", "-d", "--name", "@victim", "--net", "none", "-m", "64m", "host", "sleep", "1000",
])];
const UPDATE: &[&str] = &["update", "-m", "128m", "--pids-limit", "50", "@victim"];
const EXEC: &[&str] = &["exec", "@victim", "true"];
const PAUSE: &[&str] = &["pause", "@victim"];
const UNPAUSE: &[&str] = &["unpause", "@victim"];
// Of one that runs, nothing; after a loss of power it does not.
const START: &[&str] = &["start", "@victim"];
const KILL: &[&str] = &["kill", "@victim"];

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "update",
        before: SLEEP,
        run: UPDATE,
        again: UPDATE,
        verify: &[START, UPDATE, EXEC, KILL, START, EXEC],
        ..BERTH
    },
    Operation {
        name: "update-stopped",
        setup: Some(&[step(&[
            "create", "--name", "@victim", "--net", "none", "host", "true",
        ])]),
        run: UPDATE,
        again: UPDATE,
        verify: &[&["start", "-a", "@victim"]],
        survives: &["start", "-a", "@victim"],
        ..BERTH
    },
    Operation {
        name: "pause",
        before: SLEEP,
        run: PAUSE,
        again: START,
        done: UNPAUSE,
        verify: &[START, EXEC, PAUSE, KILL],
        ..BERTH
    },
    Operation {
        name: "unpause",
        before: &[
            step(&[
                "run", "-d", "--name", "@victim", "--net", "none", "-m", "64m", "host", "sleep",
                "1000",
            ]),
            step(PAUSE),
        ],
        run: UNPAUSE,
        again: START,
        done: UNPAUSE,
        verify: &[START, EXEC, PAUSE, KILL],
        ..BERTH
    },
];
