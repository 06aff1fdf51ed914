//! The loop of networks: containers with published ports on one network or two, connected and
//! disconnected.

use super::{Loop, Round};

pub(super) const LOOP: Loop = Loop {
    name: "churn",
    on_networks: true,
    victims: &[
        "command",
        "keeper",
        "monitor",
        "stage",
        "container",
        "resolver",
    ],
    rounds: ROUNDS,
    rivals: &[],
};

const ROUNDS: &[Round] = &[
    &[
        &[
            "run",
            "-d",
            "--name",
            "@c",
            "--network",
            "blue",
            "-p",
            "8080:80",
            "host",
            "sleep",
            "1000",
        ],
        &["stop", "-t", "0", "@c"],
        &["rm", "-f", "@c"],
    ],
    &[
        &[
            "run", "-d", "--rm", "--name", "@c", "-p", "8080:80", "host", "sleep", "1000",
        ],
        &["stop", "-t", "0", "@c"],
    ],
    &[
        &[
            "run",
            "--rm",
            "--name",
            "@c",
            "--network",
            "blue",
            "-p",
            "8080:80",
            "host",
            "true",
        ],
        &[
            "run",
            "--rm",
            "--name",
            "@d",
            "--network",
            "red",
            "-P",
            "host",
            "true",
        ],
    ],
    &[
        &[
            "run",
            "-d",
            "--name",
            "@c",
            "--network",
            "blue",
            "--network",
            "red",
            "-p",
            "8080:80/udp",
            "-p",
            "8080:80",
            "host",
            "sleep",
            "1000",
        ],
        &["network", "disconnect", "blue", "@c"],
        &["stop", "-t", "0", "@c"],
        &["start", "@c"],
        &["rm", "-f", "@c"],
    ],
    &[
        &[
            "run",
            "-d",
            "--name",
            "@c",
            "--network",
            "red",
            "-p",
            "8080:80",
            "host",
            "sleep",
            "1000",
        ],
        &["network", "connect", "blue", "@c"],
        &["network", "disconnect", "red", "@c"],
        &["rm", "-f", "@c"],
    ],
];
