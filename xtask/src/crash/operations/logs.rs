//! Operations of logs: the monitor turns files, and another process compresses them. The monitor is
//! what dies of most of these, and then the keeper that takes over from it at the same place.

use super::{BERTH, Operation, step};

/// Turned more often than there may be files, so that the oldest go.
const RUN: &[&str] = &[
    "run",
    "--name",
    "@new",
    "--net",
    "none",
    "--log-opt",
    "max-size=400",
    "--log-opt",
    "max-file=3",
    "host",
    "seq",
    "1",
    "22",
];
const RUN_PACKED: &[&str] = &[
    "run",
    "--name",
    "@new",
    "--net",
    "none",
    "--log-driver",
    "local",
    "--log-opt",
    "max-size=200",
    "host",
    "seq",
    "1",
    "30",
];
const START: &[&str] = &["start", "-a", "@victim"];

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "log-turn",
        run: RUN,
        again: RUN,
        done: &["inspect", "@new"],
        ..BERTH
    },
    Operation {
        name: "log-pack",
        run: RUN_PACKED,
        again: RUN_PACKED,
        done: &["inspect", "@new"],
        ..BERTH
    },
    Operation {
        name: "log-turn-again",
        setup: Some(&[step(&[
            "run",
            "--name",
            "@victim",
            "--net",
            "none",
            "--log-opt",
            "max-size=400",
            "--log-opt",
            "compress=true",
            "host",
            "seq",
            "1",
            "20",
        ])]),
        run: START,
        again: START,
        done: &["wait", "@victim"],
        verify: &[
            &["logs", "@victim"],
            START,
            &["logs", "--tail", "3", "@victim"],
        ],
        ..BERTH
    },
];
