//! Operations of the image store by itself, through the example `store` of berth-image.

use super::{BERTH, Operation, Program, dies, step};

const STORE: Operation = Operation {
    program: Program::Store,
    keeps: &[],
    ..BERTH
};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "image-put",
        run: &["image", "new", "fresh"],
        again: &["image", "new", "fresh"],
        survives: &["unpack", "new"],
        ..STORE
    },
    Operation {
        name: "image-put-first",
        setup: None,
        run: &["image", "new", "fresh"],
        again: &["image", "new", "fresh"],
        survives: &["unpack", "new"],
        ..STORE
    },
    Operation {
        name: "image-unpack",
        setup: Some(&[step(&["image", "new", "fresh"])]),
        run: &["unpack", "new"],
        again: &["unpack", "new"],
        survives: &["unpack", "new"],
        ..STORE
    },
    Operation {
        name: "image-load",
        setup: Some(&[
            step(&["image", "new", "fresh"]),
            step(&["save", "new", "archive"]),
            step(&["forget", "new"]),
            step(&["collect"]),
        ]),
        run: &["load", "archive"],
        again: &["load", "archive"],
        verify: &[&["unpack", "new"]],
        survives: &["unpack", "new"],
        ..STORE
    },
    Operation {
        name: "image-put-again",
        before: &[dies(
            "kill-after image.blob.publish 4",
            &["image", "new", "fresh"],
        )],
        run: &["image", "new", "fresh"],
        again: &["image", "new", "fresh"],
        survives: &["unpack", "new"],
        ..STORE
    },
    Operation {
        name: "image-tag",
        run: &["tag", "keep", "new"],
        again: &["tag", "keep", "new"],
        survives: &["unpack", "new"],
        ..STORE
    },
    Operation {
        name: "image-untag",
        setup: Some(&[step(&["tag", "keep", "new"])]),
        run: &["untag", "new"],
        again: &["untag", "new"],
        ..STORE
    },
    Operation {
        name: "image-forget",
        setup: Some(&[step(&["image", "new", "fresh"])]),
        run: &["forget", "new"],
        again: &["forget", "new"],
        ..STORE
    },
    Operation {
        name: "image-collect",
        setup: Some(&[
            step(&["image", "new", "fresh"]),
            step(&["unpack", "new"]),
            step(&["forget", "new"]),
            dies("kill-before image.blob.publish 3", &["image", "a", "part"]),
        ]),
        run: &["collect"],
        again: &["collect"],
        verify: &[&["image", "new", "fresh"], &["unpack", "new"]],
        ..STORE
    },
    Operation {
        name: "image-settle",
        run: &["settle"],
        again: &["settle"],
        ..STORE
    },
    Operation {
        name: "image-sweep",
        setup: Some(&[
            step(&["image", "new", "fresh"]),
            dies("kill-before image.layer.publish 1", &["unpack", "new"]),
            dies("kill-before image.blob.publish 2", &["image", "a", "part"]),
            step(&["image", "gone", "gone"]),
            step(&["unpack", "gone"]),
            step(&["forget", "gone"]),
            dies("kill-after image.layer.remove 1", &["collect"]),
        ]),
        run: &["sweep"],
        again: &["sweep"],
        verify: &[&["unpack", "new"], &["image", "a", "part"]],
        ..STORE
    },
    Operation {
        name: "image-drop-parts",
        setup: Some(&[dies(
            "kill-before image.blob.publish 1",
            &["image", "new", "fresh"],
        )]),
        run: &["drop-parts"],
        again: &["drop-parts"],
        verify: &[&["image", "new", "fresh"]],
        ..STORE
    },
];
