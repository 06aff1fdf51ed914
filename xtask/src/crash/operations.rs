//! What is crashed: one operation a row, as data.
//!
//! `@` in a word stands for the token of the worker, so that names of containers tell whose they
//! are, and `%` for the folder of the archives that [`super::fixtures`] makes. An operation is run on a copy of its template, once whole to learn its points, then once for
//! each crash.

mod images;
mod life;
mod logs;
mod networks;
mod rename;
mod stores;
mod update;

/// Which binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// `berth`.
    Berth,
    /// The example `store` of berth-image.
    Store,
}

/// A command; with a fault, in the form of `BERTH_FAULT`, it is expected to die of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) fault: Option<&'static str>,
    /// Another program than the operation's.
    pub(super) by: Option<Program>,
    pub(super) words: &'static [&'static str],
}

/// A command that ends well.
const fn step(words: &'static [&'static str]) -> Step {
    Step {
        fault: None,
        by: None,
        words,
    }
}

/// A command of the example `store` that ends well, in the preparation of an operation of `berth`.
const fn stored(words: &'static [&'static str]) -> Step {
    Step {
        fault: None,
        by: Some(Program::Store),
        words,
    }
}

/// A command that dies.
const fn dies(fault: &'static str, words: &'static [&'static str]) -> Step {
    Step {
        fault: Some(fault),
        by: None,
        words,
    }
}

/// A command that ends well although something fails.
const fn copes(fault: &'static str, words: &'static [&'static str]) -> Step {
    dies(fault, words)
}

/// What an operation needs of the machine, and is left out without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Needs {
    Nothing,
    /// A network namespace for each crash, and `nft` to look at its packet filter.
    Network,
    /// The archives of images, in which a static busybox is what runs.
    Archives,
    /// These, and a registry that has their image.
    Registry,
}

/// One operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation {
    pub(super) name: &'static str,
    pub(super) program: Program,
    /// What the template holds beside what every template holds; `None`: nothing is there at all.
    pub(super) setup: Option<&'static [Step]>,
    /// Done on each copy, before the crash.
    pub(super) before: &'static [Step],
    /// What is crashed.
    pub(super) run: &'static [&'static str],
    /// Its exit code when nothing is wrong.
    pub(super) code: i32,
    /// Done after the crash and the recovery: the operation again, in a form that must succeed if
    /// it had not happened, and `done` must succeed if it had, or fail if it begins with `!`.
    pub(super) again: &'static [&'static str],
    pub(super) done: &'static [&'static str],
    /// What must be possible then of what runs; a loss of power ends that with the host.
    pub(super) running: &'static [&'static [&'static str]],
    /// What must be possible then.
    pub(super) verify: &'static [&'static [&'static str]],
    /// What must succeed when power is lost after the operation succeeded; nothing where it makes no
    /// such promise.
    pub(super) survives: &'static [&'static str],
    pub(super) needs: Needs,
    /// Containers and images that were there before and are never lost.
    pub(super) keeps: &'static [&'static str],
    pub(super) keeps_images: &'static [&'static str],
    /// What the operation's monitors execute is crashed instead of itself; `until` succeeds once they
    /// are done.
    pub(super) until: &'static [&'static str],
    /// Images of which a container can run `true` after the recovery.
    pub(super) runs: &'static [&'static str],
}

impl Operation {
    /// Whether what its monitors execute is crashed.
    pub(super) const fn is_beyond(&self) -> bool {
        !self.until.is_empty()
    }

    /// What recovers its store.
    pub(super) const fn recovery(&self) -> &'static [&'static str] {
        match self.program {
            Program::Berth => RESTORE,
            Program::Store => &["sweep"],
        }
    }
}

const BERTH: Operation = Operation {
    name: "",
    program: Program::Berth,
    setup: Some(&[]),
    before: &[],
    run: &[],
    code: 0,
    again: &[],
    done: &[],
    running: &[],
    verify: &[],
    survives: &[],
    needs: Needs::Nothing,
    keeps: &["@keep", "@old"],
    keeps_images: &["keep:latest"],
    until: &[],
    runs: &[],
};

/// Left in every template of [`Program::Berth`]: one container that never ran, one that has, and an
/// image.
pub(super) const BERTH_TEMPLATE: &[Step] = &[
    step(&["create", "--name", "@keep", "--net", "none", "host", "true"]),
    step(&["run", "--name", "@old", "--net", "none", "host", "true"]),
    stored(&["image", "keep", "kept"]),
    stored(&["unpack", "keep"]),
];

/// Left in every template of [`Program::Store`].
pub(super) const STORE_TEMPLATE: &[Step] =
    &[step(&["image", "keep", "kept"]), step(&["unpack", "keep"])];

const CREATE: &[&str] = &["create", "--name", "@new", "--net", "none", "host", "true"];
const CREATE_VICTIM: &[&str] = &[
    "create", "--name", "@victim", "--net", "none", "host", "true",
];
const CREATE_IMAGE: &[&str] = &["create", "--name", "@new", "--net", "none", "new", "/none"];
const RUN: &[&str] = &["run", "--name", "@new", "--net", "none", "host", "true"];
const RUN_VICTIM: &[&str] = &["run", "--name", "@victim", "--net", "none", "host", "true"];
const START: &[&str] = &["start", "-a", "@victim"];
const REMOVE: &[&str] = &["rm", "-f", "@victim"];
const RESTORE: &[&str] = &["system", "restore"];

/// A start, of a container that `setup` makes.
const fn start(name: &'static str, setup: &'static [Step]) -> Operation {
    Operation {
        name,
        setup: Some(setup),
        run: START,
        again: START,
        done: &["wait", "@victim"],
        verify: &[&["wait", "@victim"], START],
        survives: &["inspect", "@victim"],
        ..BERTH
    }
}

/// A removal.
const fn remove(
    name: &'static str,
    setup: &'static [Step],
    before: &'static [Step],
    run: &'static [&'static str],
) -> Operation {
    Operation {
        name,
        setup: Some(setup),
        before,
        run,
        again: REMOVE,
        verify: &[CREATE_VICTIM],
        ..BERTH
    }
}

/// Every operation.
pub(super) fn all() -> impl Iterator<Item = &'static Operation> {
    [
        OPERATIONS,
        images::OPERATIONS,
        logs::OPERATIONS,
        life::OPERATIONS,
        networks::OPERATIONS,
        rename::OPERATIONS,
        stores::OPERATIONS,
        update::OPERATIONS,
    ]
    .into_iter()
    .flatten()
}

/// Those of networks alone.
pub(super) fn networks() -> impl Iterator<Item = &'static Operation> {
    networks::OPERATIONS.iter()
}

/// Those of the life of containers.
pub(super) fn life() -> impl Iterator<Item = &'static Operation> {
    [
        life::OPERATIONS,
        rename::OPERATIONS,
        update::OPERATIONS,
        logs::OPERATIONS,
    ]
    .into_iter()
    .flatten()
}

/// Those of containers and volumes, and a few of images that are never run.
const OPERATIONS: &[Operation] = &[
    Operation {
        name: "create",
        run: CREATE,
        again: CREATE,
        done: &["inspect", "@new"],
        verify: &[&["start", "-a", "@new"]],
        survives: &["start", "-a", "@new"],
        ..BERTH
    },
    Operation {
        name: "create-first",
        setup: None,
        run: CREATE,
        again: CREATE,
        done: &["inspect", "@new"],
        verify: &[&["start", "-a", "@new"]],
        survives: &["start", "-a", "@new"],
        ..BERTH
    },
    Operation {
        name: "create-over",
        setup: Some(&[dies("kill-after container.name.claim 1", CREATE)]),
        run: CREATE,
        again: CREATE,
        done: &["inspect", "@new"],
        verify: &[&["start", "-a", "@new"]],
        survives: &["start", "-a", "@new"],
        ..BERTH
    },
    start("start", &[step(CREATE_VICTIM)]),
    start("start-again", &[step(RUN_VICTIM)]),
    start(
        "start-mapped",
        &[step(&[
            "create", "--name", "@victim", "--net", "none", "--userns", "private", "host", "true",
        ])],
    ),
    Operation {
        name: "start-fails",
        setup: Some(&[step(&[
            "create", "--name", "@victim", "--net", "none", "host", "/none",
        ])]),
        run: &["start", "@victim"],
        code: 1,
        again: &["inspect", "@victim"],
        survives: &["inspect", "@victim"],
        ..BERTH
    },
    Operation {
        name: "run-fails",
        run: &["run", "--name", "@new", "--net", "none", "host", "/none"],
        code: 127,
        again: CREATE,
        done: &["inspect", "@new"],
        verify: &[&["rm", "@new"], CREATE],
        survives: &["inspect", "@new"],
        ..BERTH
    },
    Operation {
        name: "run",
        run: RUN,
        again: RUN,
        done: &["inspect", "@new"],
        survives: &["inspect", "@new"],
        ..BERTH
    },
    Operation {
        name: "run-rm",
        run: &[
            "run", "--rm", "--name", "@new", "--net", "none", "host", "true",
        ],
        again: RUN,
        done: &["inspect", "@new"],
        ..BERTH
    },
    remove("rm", &[step(RUN_VICTIM)], &[], &["rm", "@victim"]),
    remove(
        "rm-running",
        &[],
        &[step(&[
            "run", "-d", "--name", "@victim", "--net", "none", "host", "sleep", "1000",
        ])],
        REMOVE,
    ),
    remove(
        "rm-again",
        &[
            step(RUN_VICTIM),
            dies("kill-before container.remove.volatile 1", REMOVE),
        ],
        &[],
        REMOVE,
    ),
    Operation {
        name: "restore",
        setup: Some(&[
            dies("kill-before container.create.publish 1", CREATE),
            step(RUN_VICTIM),
            dies("kill-after container.remove.persistent 1", REMOVE),
            dies("kill-before container.create.settings 1", CREATE),
            step(RUN_VICTIM),
            dies("kill-before container.remove.persistent 1", REMOVE),
            dies("kill-before container.status.write 1", &["start", "@keep"]),
        ]),
        run: RESTORE,
        again: RESTORE,
        verify: &[CREATE, CREATE_VICTIM, &["start", "-a", "@keep"]],
        ..BERTH
    },
    Operation {
        name: "restore-boot",
        setup: Some(&[
            dies("kill-after container.status.write 1", &["start", "@keep"]),
            dies("kill-before container.create.publish 1", CREATE),
        ]),
        run: RESTORE,
        again: RESTORE,
        verify: &[CREATE, &["start", "-a", "@keep"]],
        ..BERTH
    },
    Operation {
        name: "create-image",
        setup: Some(&[stored(&["image", "new", "fresh"])]),
        run: CREATE_IMAGE,
        again: CREATE_IMAGE,
        done: &["inspect", "@new"],
        verify: &[&["rm", "@new"], &["rmi", "new"]],
        survives: &["inspect", "@new"],
        ..BERTH
    },
    Operation {
        name: "tag",
        setup: Some(&[stored(&["image", "new", "fresh"])]),
        run: &["tag", "new", "newer"],
        again: &["tag", "new", "newer"],
        verify: &[&["rmi", "new", "newer"]],
        survives: &["rmi", "newer"],
        ..BERTH
    },
    Operation {
        name: "rmi",
        setup: Some(&[
            stored(&["image", "new", "fresh"]),
            stored(&["unpack", "new"]),
        ]),
        run: &["rmi", "new"],
        again: &["rmi", "new"],
        done: &["!", "image", "inspect", "new"],
        ..BERTH
    },
    Operation {
        name: "image-prune",
        setup: Some(&[
            stored(&["image", "new", "fresh"]),
            stored(&["unpack", "new"]),
            stored(&["image", "new", "another"]),
        ]),
        run: &["image", "prune", "-f"],
        again: &["image", "prune", "-f"],
        ..BERTH
    },
    Operation {
        name: "volume-create",
        run: &["volume", "create", "new"],
        again: &["volume", "create", "new"],
        verify: &[&["volume", "rm", "new"]],
        survives: &["volume", "rm", "new"],
        ..BERTH
    },
    Operation {
        name: "volume-create-first",
        setup: None,
        run: &["volume", "create", "new"],
        again: &["volume", "create", "new"],
        verify: &[&["volume", "rm", "new"]],
        survives: &["volume", "rm", "new"],
        ..BERTH
    },
    Operation {
        name: "volume-rm",
        setup: Some(&[step(&["volume", "create", "new"])]),
        run: &["volume", "rm", "new"],
        again: &["volume", "rm", "-f", "new"],
        verify: &[&["volume", "create", "new"], &["volume", "rm", "new"]],
        ..BERTH
    },
    Operation {
        name: "volume-prune",
        setup: Some(&[
            step(&["volume", "create", "new"]),
            dies(
                "kill-before volume.create.publish 1",
                &["volume", "create", "half"],
            ),
            step(&["volume", "create", "gone"]),
            dies("kill-after volume.remove.hide 1", &["volume", "rm", "gone"]),
        ]),
        run: &["volume", "prune", "-a", "-f"],
        again: &["volume", "prune", "-a", "-f"],
        verify: &[&["volume", "create", "half"], &["volume", "rm", "half"]],
        ..BERTH
    },
    Operation {
        name: "volume-restore",
        setup: Some(&[
            dies(
                "kill-before volume.create.publish 1",
                &["volume", "create", "half"],
            ),
            step(&["volume", "create", "gone"]),
            dies("kill-after volume.remove.hide 1", &["volume", "rm", "gone"]),
        ]),
        run: RESTORE,
        again: RESTORE,
        verify: &[&["volume", "create", "gone"], &["volume", "rm", "gone"]],
        ..BERTH
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rows_have_names_of_their_own_and_say_what_they_need() {
        let mut names = BTreeSet::new();
        for operation in all() {
            let name = operation.name;
            assert!(names.insert(name), "there are two rows {name}");
            let steps = operation.setup.unwrap_or_default().iter();
            let steps = steps.chain(operation.before).map(|step| step.words);
            let commands = steps.chain(operation.verify.iter().copied()).chain([
                operation.run,
                operation.again,
                operation.survives,
            ]);
            let needs = commands.flatten().map(|word| match word {
                word if word.starts_with("127.0.0.1:") => Needs::Registry,
                word if word.starts_with('%') => Needs::Archives,
                word if word.ends_with("network") => Needs::Network,
                _ => Needs::Nothing,
            });
            assert_eq!(needs.max(), Some(operation.needs), "{name}");
        }
    }

    #[test]
    fn what_is_asked_for_by_another_word_is_no_row() {
        let loops = super::super::churn::LOOPS.map(|which| which.name);
        let words = [
            super::super::NETWORKS,
            super::super::LIFE,
            super::super::disk::NAME,
        ];
        let mut words: Vec<&str> = words.into_iter().chain(loops).collect();
        words.extend(all().map(|operation| operation.name));
        let distinct: BTreeSet<&str> = words.iter().copied().collect();
        assert_eq!(distinct.len(), words.len());
    }
}
