//! Operations of `berth` on images that can be run: `app` of two layers from the archive `app.tar`,
//! and `base`, the lower of them, from `base.tar`.

use super::{BERTH, Needs, Operation, Step, start, step, stored};

const IMAGES: Operation = Operation {
    needs: Needs::Archives,
    ..BERTH
};

const REGISTRY: Operation = Operation {
    needs: Needs::Registry,
    ..BERTH
};

const LOAD: &[&str] = &["load", "-q", "-i", "%/app.tar"];
const RUN_APP: &[&str] = &["run", "--rm", "--net", "none", "app", "cat", "/two"];
const RUN_NEW: &[&str] = &["run", "--rm", "--net", "none", "new", "cat", "/data/one"];
const IMPORT: &[&str] = &["import", "-q", "%/base.tar", "new"];
const PULL: &[&str] = &["pull", "-q", "127.0.0.1:5000/app"];
const PUSH: &[&str] = &["push", "-q", "127.0.0.1:5000/@app"];
const COMMIT: &[&str] = &["commit", "@victim", "new"];
const CREATE: &[&str] = &["create", "--name", "@new", "--net", "none", "app", "true"];
const CREATE_VICTIM: &[&str] = &[
    "create", "--name", "@victim", "--net", "none", "app", "true",
];
const RUN_VICTIM: &[&str] = &[
    "run",
    "--name",
    "@victim",
    "--net",
    "none",
    "app",
    "sh",
    "-c",
    "echo 3 >/three",
];
const RUN_VOLUME: &[&str] = &[
    "run",
    "--name",
    "@new",
    "--net",
    "none",
    "-v",
    "fresh:/data",
    "app",
    "cat",
    "/data/one",
    "/data/deep/two",
];
const PRUNE_IMAGES: &[&str] = &["image", "prune", "-a", "-f"];
const PRUNE_SYSTEM: &[&str] = &["system", "prune", "-a", "-f", "--volumes"];

/// The image, unpacked.
const APP: &[Step] = &[step(LOAD), step(RUN_APP)];

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "load",
        run: LOAD,
        again: LOAD,
        verify: &[RUN_APP],
        survives: RUN_APP,
        ..IMAGES
    },
    Operation {
        name: "load-first",
        setup: None,
        run: LOAD,
        again: LOAD,
        verify: &[RUN_APP],
        survives: RUN_APP,
        ..IMAGES
    },
    Operation {
        name: "import",
        setup: Some(APP),
        run: IMPORT,
        again: IMPORT,
        verify: &[RUN_NEW],
        survives: RUN_NEW,
        runs: &["app"],
        ..IMAGES
    },
    Operation {
        name: "pull",
        run: PULL,
        again: PULL,
        verify: &[&["run", "--rm", "--net", "none", "127.0.0.1:5000/app", "true"]],
        survives: &["run", "--rm", "--net", "none", "127.0.0.1:5000/app", "true"],
        ..REGISTRY
    },
    Operation {
        name: "push",
        setup: Some(&[step(LOAD), step(&["tag", "app", "127.0.0.1:5000/@app"])]),
        run: PUSH,
        again: PUSH,
        verify: &[
            &["rmi", "127.0.0.1:5000/@app"],
            &["pull", "-q", "127.0.0.1:5000/@app"],
        ],
        runs: &["app"],
        ..REGISTRY
    },
    Operation {
        name: "commit",
        setup: Some(&[step(LOAD), step(RUN_VICTIM)]),
        run: COMMIT,
        again: COMMIT,
        verify: &[&[
            "run", "--rm", "--net", "none", "new", "cat", "/two", "/three",
        ]],
        survives: &[
            "run", "--rm", "--net", "none", "new", "cat", "/two", "/three",
        ],
        keeps: &["@keep", "@old", "@victim"],
        runs: &["app"],
        ..IMAGES
    },
    Operation {
        name: "rmi-shared",
        setup: Some(&[step(LOAD), step(RUN_APP), step(IMPORT), step(RUN_NEW)]),
        run: &["rmi", "app"],
        again: &["rmi", "app"],
        done: &["!", "image", "inspect", "app"],
        verify: &[LOAD, RUN_APP],
        runs: &["new"],
        ..IMAGES
    },
    Operation {
        name: "image-prune-all",
        setup: Some(&[
            step(LOAD),
            step(RUN_APP),
            step(&["create", "--name", "@user", "--net", "none", "app", "true"]),
            stored(&["image", "new", "fresh"]),
            stored(&["unpack", "new"]),
        ]),
        run: PRUNE_IMAGES,
        again: PRUNE_IMAGES,
        verify: &[&["start", "-a", "@user"]],
        keeps: &["@keep", "@old", "@user"],
        keeps_images: &["app:latest"],
        runs: &["app"],
        ..IMAGES
    },
    Operation {
        name: "system-prune",
        setup: Some(&[
            step(LOAD),
            step(IMPORT),
            step(RUN_NEW),
            step(&["create", "--net", "none", "-v", "/data", "new", "true"]),
        ]),
        before: &[step(&[
            "run", "-d", "--name", "@user", "--net", "none", "app", "busybox", "sleep", "1000",
        ])],
        run: PRUNE_SYSTEM,
        again: PRUNE_SYSTEM,
        verify: &[IMPORT, RUN_NEW],
        keeps: &["@user"],
        keeps_images: &["app:latest"],
        runs: &["app"],
        ..IMAGES
    },
    Operation {
        name: "create-app",
        setup: Some(&[step(LOAD)]),
        run: CREATE,
        again: CREATE,
        done: &["inspect", "@new"],
        verify: &[&["start", "-a", "@new"]],
        survives: &["start", "-a", "@new"],
        runs: &["app"],
        ..IMAGES
    },
    Operation {
        needs: Needs::Archives,
        runs: &["app"],
        ..start("start-app", &[step(LOAD), step(CREATE_VICTIM)])
    },
    Operation {
        name: "run-rm-app",
        setup: Some(&[step(LOAD)]),
        run: &[
            "run", "--rm", "--name", "@new", "--net", "none", "app", "true",
        ],
        again: CREATE,
        done: &["inspect", "@new"],
        runs: &["app"],
        ..IMAGES
    },
    Operation {
        name: "rm-app",
        setup: Some(&[step(LOAD), step(RUN_VICTIM)]),
        run: &["rm", "@victim"],
        again: &["rm", "-f", "@victim"],
        verify: &[RUN_VICTIM],
        runs: &["app"],
        ..IMAGES
    },
    Operation {
        name: "volume-copy",
        setup: Some(APP),
        run: RUN_VOLUME,
        again: RUN_VOLUME,
        done: &["inspect", "@new"],
        verify: &[
            &["start", "-a", "@new"],
            &["rm", "@new"],
            RUN_VOLUME,
            &["rm", "@new"],
            &["volume", "rm", "fresh"],
        ],
        survives: &["inspect", "@new"],
        runs: &["app"],
        ..IMAGES
    },
];
