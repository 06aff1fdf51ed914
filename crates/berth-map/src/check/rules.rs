//! The table of rules. An id is never given to another rule.

/// What is looked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Stable id: `BM001`.
    pub id: &'static str,
    /// Stable name in words.
    pub name: &'static str,
    /// What it finds, one sentence.
    pub summary: &'static str,
}

const fn rule(id: &'static str, name: &'static str, summary: &'static str) -> Rule {
    Rule { id, name, summary }
}

pub(super) static SHARED_PID: Rule = rule(
    "BM001",
    "shared-pid-namespace",
    "A container lives in the host's PID namespace: it sees, and with the rights may signal and trace, every process of the host.",
);
pub(super) static SHARED_NET: Rule = rule(
    "BM002",
    "shared-network-namespace",
    "A container lives in the host's network namespace: it sees the host's traffic, ports and abstract sockets.",
);
pub(super) static SHARED_MNT: Rule = rule(
    "BM003",
    "shared-mount-namespace",
    "A container lives in the host's mount namespace: it has the host's files.",
);
pub(super) static SHARED_IPC: Rule = rule(
    "BM004",
    "shared-ipc-namespace",
    "A container lives in the host's IPC namespace: it reaches shared memory, semaphores and queues of the host.",
);
pub(super) static SHARED_UTS: Rule = rule(
    "BM005",
    "shared-uts-namespace",
    "A container lives in the host's UTS namespace: with the rights it may rename the host.",
);
pub(super) static SHARED_CGROUP: Rule = rule(
    "BM006",
    "shared-cgroup-namespace",
    "A container lives in the host's cgroup namespace: it sees the paths of the host's cgroups.",
);
pub(super) static SHARED_TIME: Rule = rule(
    "BM007",
    "shared-time-namespace",
    "A container lives in the host's time namespace: it sees since when the host is up.",
);
pub(super) static SAME_ROOT: Rule = rule(
    "BM010",
    "root-is-host-root",
    "uid 0 in a container is uid 0 on the host: what escapes from it is root.",
);
pub(super) static PIDS_MAX: Rule = rule(
    "BM020",
    "pids-limit-near",
    "A container has almost as many processes and threads as it may have.",
);
pub(super) static PID_MAX: Rule = rule(
    "BM021",
    "pid-max-near",
    "The host has almost as many processes and threads as it has PIDs.",
);
pub(super) static ZOMBIES: Rule = rule(
    "BM030",
    "pid-1-does-not-reap",
    "PID 1 of a PID namespace leaves processes unreaped, which it alone can reap.",
);
pub(super) static ZOMBIES_OF_OTHERS: Rule = rule(
    "BM031",
    "parent-does-not-reap",
    "A process leaves its children unreaped.",
);
pub(super) static LEAKED: Rule = rule(
    "BM040",
    "leaked-namespace",
    "A namespace in which nothing lives is kept alive by descriptors, sockets or mounts.",
);
pub(super) static JOINED: Rule = rule(
    "BM050",
    "joined-from-outside",
    "A process came into a container's namespaces from outside.",
);

/// All rules, by id.
pub static RULES: [&Rule; 14] = [
    &SHARED_PID,
    &SHARED_NET,
    &SHARED_MNT,
    &SHARED_IPC,
    &SHARED_UTS,
    &SHARED_CGROUP,
    &SHARED_TIME,
    &SAME_ROOT,
    &PIDS_MAX,
    &PID_MAX,
    &ZOMBIES,
    &ZOMBIES_OF_OTHERS,
    &LEAKED,
    &JOINED,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_in_order() {
        assert!(RULES.windows(2).all(|pair| pair[0].id < pair[1].id));
    }
}
