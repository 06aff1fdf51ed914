//! The loop of the life of containers: started, stopped, restarted, renamed, updated, paused and
//! removed, probed and logging, while another command is at work on the same container.

use super::{Loop, Round};

pub(super) const LOOP: Loop = Loop {
    name: "churn-life",
    on_networks: false,
    victims: &[
        "command",
        "internal",
        "keeper",
        "monitor",
        "stage",
        "container",
        "probe",
    ],
    rounds: ROUNDS,
    rivals: RIVALS,
};

/// Runs a container that sleeps, with these flags.
macro_rules! sleeper {
    ($($flag:literal),*) => {
        &["run", "-d", "--name", "@c", "--net", "none", $($flag,)* "host", "sleep", "1000"]
    };
}

const START: &[&str] = &["start", "@c"];
const STOP: &[&str] = &["stop", "-t", "0", "@c"];
const RESTART: &[&str] = &["restart", "-t", "0", "@c"];
const REMOVE: &[&str] = &["rm", "-f", "@c"];
const UPDATE: &[&str] = &["update", "-m", "64m", "--pids-limit", "50", "@c"];
/// Meanwhile there are some probes.
const LINGER: &[&str] = &["exec", "@c", "sleep", "0.15"];

const ROUNDS: &[Round] = &[
    &[sleeper!("-m", "32m"), RESTART, UPDATE, STOP, START, REMOVE],
    &[
        sleeper!("--restart", "unless-stopped"),
        &["rename", "@c", "@d"],
        &["restart", "-t", "0", "@d"],
        &["rename", "@d", "@c"],
        STOP,
        START,
    ],
    &[
        sleeper!("--restart", "on-failure:2"),
        &["pause", "@c"],
        UPDATE,
        &["unpause", "@c"],
        &["kill", "@c"],
        START,
    ],
    &[
        &[
            "run",
            "-d",
            "--name",
            "@c",
            "--net",
            "none",
            "--restart",
            "on-failure:2",
            "host",
            "false",
        ],
        &["wait", "@c"],
        STOP,
        START,
    ],
    &[
        sleeper!(
            "--health-cmd",
            "sleep 0.03",
            "--health-interval",
            "20ms",
            "--health-timeout",
            "5s"
        ),
        LINGER,
        RESTART,
        LINGER,
        STOP,
    ],
    &[
        sleeper!(
            "--health-cmd",
            "sleep 0.03; false",
            "--health-interval",
            "20ms",
            "--health-retries",
            "1",
            "--health-on-failure",
            "restart"
        ),
        LINGER,
        UPDATE,
        LINGER,
        STOP,
    ],
    &[
        &[
            "run",
            "--name",
            "@c",
            "--net",
            "none",
            "--log-opt",
            "max-size=2k",
            "--log-opt",
            "max-file=3",
            "--log-opt",
            "compress=true",
            "host",
            "seq",
            "1",
            "500",
        ],
        &["start", "-a", "@c"],
        &["logs", "@c"],
        RESTART,
    ],
    &[
        &[
            "run",
            "--rm",
            "--name",
            "@c",
            "--net",
            "none",
            "--log-driver",
            "local",
            "--log-opt",
            "max-size=2k",
            "host",
            "seq",
            "1",
            "500",
        ],
        &["create", "--name", "@c", "--net", "none", "host", "true"],
        REMOVE,
    ],
];

/// One of these is done at a random moment. None is a pause, in which commands rightly wait for ever.
const RIVALS: &[&[&str]] = &[
    START,
    STOP,
    RESTART,
    REMOVE,
    UPDATE,
    &["rename", "@c", "@e"],
    &["kill", "@c"],
    &["logs", "@c"],
    &["system", "restore"],
];
