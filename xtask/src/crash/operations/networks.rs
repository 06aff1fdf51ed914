//! Operations on networks, and on containers that are on one with a published port. Each crash has
//! a host of its own ([`super::super::host`]). Containers know the paths of their files, so that they
//! are made before each crash and not in the template.

use super::{BERTH, Needs, Operation, RESTORE, Step, dies, step};

const NETWORKS: Operation = Operation {
    needs: Needs::Network,
    ..BERTH
};

const CREATE_BLUE: &[&str] = &["network", "create", "blue"];
const CREATE_RED: &[&str] = &["network", "create", "--subnet", "10.60.0.0/24", "red"];
const CREATE_GONE: &[&str] = &["network", "create", "gone"];
const REMOVE_BLUE: &[&str] = &["network", "rm", "blue"];
const REMOVE_RED: &[&str] = &["network", "rm", "red"];
const INSPECT_BLUE: &[&str] = &["network", "inspect", "blue"];
const PRUNE: &[&str] = &["network", "prune", "-f"];
const CONNECT: &[&str] = &["network", "connect", "red", "@victim"];
const DISCONNECT: &[&str] = &["network", "disconnect", "red", "@victim"];
const REMOVE: &[&str] = &["rm", "-f", "@victim"];

/// A container that serves nothing, at a port that it publishes.
macro_rules! serve {
    ($($flag:literal),* ; $name:literal) => {
        &[
            "run", "-d", "--name", $name, $("--network", $flag,)* "-p", "8080:80", "host", "sleep",
            "1000",
        ]
    };
}

const SERVE: &[&str] = serve!("blue"; "@new");
const SERVE_DEFAULT: &[&str] = serve!("bridge"; "@new");
const SERVE_VICTIM: &[&str] = serve!("blue"; "@victim");
const SERVE_BOTH: &[&str] = serve!("blue", "red"; "@victim");
const CREATE_VICTIM: &[&str] = &[
    "create",
    "--name",
    "@victim",
    "--network",
    "blue",
    "-p",
    "8080:80",
    "host",
    "true",
];
/// Makes the network's bridge.
const USE_BLUE: &[&str] = &[
    "run",
    "--rm",
    "--name",
    "@first",
    "--network",
    "blue",
    "-p",
    "8080:80",
    "host",
    "true",
];

const BLUE: &[Step] = &[step(CREATE_BLUE)];
const BOTH: &[Step] = &[step(CREATE_BLUE), step(CREATE_RED)];

/// The victim's place is free again: its address, its port, its networks.
const ONCE_MORE: &[&[&str]] = &[REMOVE, SERVE_BOTH, REMOVE, REMOVE_RED];

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "network-create",
        setup: Some(&[step(CREATE_RED)]),
        run: CREATE_BLUE,
        again: CREATE_BLUE,
        done: INSPECT_BLUE,
        verify: &[REMOVE_BLUE, &["network", "inspect", "red"]],
        survives: INSPECT_BLUE,
        ..NETWORKS
    },
    Operation {
        name: "network-create-first",
        setup: None,
        run: CREATE_BLUE,
        again: CREATE_BLUE,
        done: INSPECT_BLUE,
        verify: &[REMOVE_BLUE],
        survives: INSPECT_BLUE,
        ..NETWORKS
    },
    Operation {
        name: "network-rm",
        setup: Some(BLUE),
        run: REMOVE_BLUE,
        again: REMOVE_BLUE,
        done: &["!", "network", "inspect", "blue"],
        verify: &[CREATE_BLUE, REMOVE_BLUE],
        ..NETWORKS
    },
    Operation {
        name: "network-rm-used",
        setup: Some(BLUE),
        before: &[step(USE_BLUE)],
        run: REMOVE_BLUE,
        again: REMOVE_BLUE,
        done: &["!", "network", "inspect", "blue"],
        verify: &[CREATE_BLUE, USE_BLUE, REMOVE_BLUE],
        ..NETWORKS
    },
    Operation {
        name: "network-prune",
        setup: Some(&[
            step(CREATE_BLUE),
            step(CREATE_RED),
            dies(
                "kill-before network.publish 1",
                &["network", "create", "half"],
            ),
            step(CREATE_GONE),
            dies("kill-after network.retire 1", &["network", "rm", "gone"]),
        ]),
        before: &[step(USE_BLUE)],
        run: PRUNE,
        again: PRUNE,
        verify: &[CREATE_BLUE, CREATE_GONE, USE_BLUE],
        ..NETWORKS
    },
    Operation {
        name: "network-connect",
        setup: Some(BOTH),
        before: &[step(SERVE_VICTIM)],
        run: CONNECT,
        again: CONNECT,
        done: DISCONNECT,
        verify: ONCE_MORE,
        ..NETWORKS
    },
    Operation {
        name: "network-connect-stopped",
        setup: Some(BOTH),
        before: &[step(CREATE_VICTIM)],
        run: CONNECT,
        again: CONNECT,
        done: DISCONNECT,
        verify: &[&["start", "-a", "@victim"], REMOVE, SERVE_BOTH],
        survives: DISCONNECT,
        ..NETWORKS
    },
    Operation {
        name: "network-disconnect",
        setup: Some(BOTH),
        before: &[step(SERVE_BOTH)],
        run: DISCONNECT,
        again: DISCONNECT,
        done: CONNECT,
        verify: ONCE_MORE,
        ..NETWORKS
    },
    Operation {
        name: "network-run",
        setup: Some(BLUE),
        run: SERVE,
        again: SERVE,
        done: &["inspect", "@new"],
        verify: &[&["rm", "-f", "@new"], SERVE],
        survives: &["inspect", "@new"],
        ..NETWORKS
    },
    Operation {
        name: "network-run-first",
        setup: None,
        run: SERVE_DEFAULT,
        again: SERVE_DEFAULT,
        done: &["inspect", "@new"],
        verify: &[&["rm", "-f", "@new"], SERVE_DEFAULT],
        survives: &["inspect", "@new"],
        ..NETWORKS
    },
    Operation {
        name: "network-run-rm",
        setup: Some(BLUE),
        run: USE_BLUE,
        again: SERVE,
        done: &["inspect", "@new"],
        ..NETWORKS
    },
    Operation {
        name: "network-run-fails",
        setup: Some(BLUE),
        run: &[
            "run",
            "--name",
            "@new",
            "--network",
            "blue",
            "-p",
            "8080:80",
            "host",
            "/none",
        ],
        code: 127,
        again: SERVE,
        done: &["inspect", "@new"],
        ..NETWORKS
    },
    Operation {
        name: "network-start",
        setup: Some(BLUE),
        before: &[step(CREATE_VICTIM)],
        run: &["start", "-a", "@victim"],
        again: &["start", "-a", "@victim"],
        done: &["wait", "@victim"],
        verify: &[&["wait", "@victim"], &["start", "-a", "@victim"]],
        survives: &["inspect", "@victim"],
        ..NETWORKS
    },
    Operation {
        name: "network-restart",
        setup: Some(BLUE),
        before: &[step(SERVE_VICTIM), step(&["stop", "-t", "0", "@victim"])],
        run: &["start", "@victim"],
        again: &["start", "@victim"],
        done: &["inspect", "@victim"],
        verify: &[REMOVE, SERVE_VICTIM],
        ..NETWORKS
    },
    Operation {
        name: "network-stop",
        setup: Some(BLUE),
        before: &[step(SERVE_VICTIM)],
        run: &["stop", "-t", "0", "@victim"],
        again: &["stop", "-t", "0", "@victim"],
        verify: &[&["start", "@victim"], REMOVE, SERVE_VICTIM],
        ..NETWORKS
    },
    Operation {
        name: "network-rm-running",
        setup: Some(BLUE),
        before: &[step(SERVE_VICTIM)],
        run: REMOVE,
        again: REMOVE,
        verify: &[SERVE_VICTIM],
        ..NETWORKS
    },
    Operation {
        name: "network-restore",
        setup: Some(&[
            step(CREATE_BLUE),
            step(CREATE_RED),
            dies(
                "kill-before network.publish 1",
                &["network", "create", "half"],
            ),
            step(CREATE_GONE),
            dies("kill-after network.retire 1", &["network", "rm", "gone"]),
        ]),
        before: &[
            dies("kill-before container.wiring 1", SERVE_VICTIM),
            dies("kill-after container.files.write 2", SERVE),
            dies("kill-before network.erase 1", REMOVE_RED),
        ],
        run: RESTORE,
        again: RESTORE,
        verify: &[REMOVE, SERVE_VICTIM],
        ..NETWORKS
    },
];
