//! Another name for a container: it has the one or the other, and both can be used.

use super::{BERTH, CREATE, CREATE_VICTIM, Operation, step};

const RENAME: &[&str] = &["rename", "@victim", "@new"];

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "rename",
        setup: Some(&[step(CREATE_VICTIM)]),
        run: RENAME,
        again: RENAME,
        done: &["inspect", "@new"],
        verify: &[CREATE_VICTIM, &["start", "-a", "@new"]],
        survives: &["inspect", "@new"],
        ..BERTH
    },
    Operation {
        name: "rename-running",
        before: &[step(&[
            "run", "-d", "--name", "@victim", "--net", "none", "host", "sleep", "1000",
        ])],
        run: RENAME,
        again: RENAME,
        done: &["inspect", "@new"],
        running: &[&["exec", "@new", "true"]],
        verify: &[&["rm", "-f", "@new"], CREATE_VICTIM],
        ..BERTH
    },
    Operation {
        name: "rename-taken",
        setup: Some(&[step(CREATE_VICTIM), step(CREATE)]),
        run: RENAME,
        code: 1,
        again: &["inspect", "@victim"],
        survives: &["inspect", "@new"],
        ..BERTH
    },
];
