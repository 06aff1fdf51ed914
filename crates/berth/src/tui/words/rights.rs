//! What a process may do: its id mappings, capabilities, system calls.

use berth_base::NamespaceKind;
use berth_map::World;
use berth_map::model::Process;

use super::{Fact, MOST, Weight};
use crate::tui::facts::{Capabilities, Facts};

/// The mappings of its user namespace.
pub(super) fn id_maps(world: &World, process: &Process) -> Vec<Fact> {
    let user = process.namespaces.of(NamespaceKind::User);
    let maps = user.and_then(|id| world.details().id_maps.get(&id));
    let Some(maps) = maps else { return Vec::new() };
    let mut facts = Vec::new();
    for (name, ranges) in [("uid map", &maps.uids), ("gid map", &maps.gids)] {
        for (at, range) in ranges.iter().enumerate().take(MOST) {
            let name = if at == 0 { name } else { "" };
            let text = match (range.inside, range.outside, range.count) {
                (0, 0, u32::MAX) => "all, as they are".to_owned(),
                (inside, outside, 1) => format!("{inside} is {outside}"),
                (inside, outside, count) => {
                    let last = |first: u32| u64::from(first) + u64::from(count) - 1;
                    format!("{inside}-{} are {outside}-{}", last(inside), last(outside))
                }
            };
            facts.push(Fact::new(name, text));
        }
    }
    facts
}

/// Capabilities and the filter of system calls.
pub(super) fn privileges(facts: Option<&Facts>) -> Vec<Fact> {
    let Some(facts) = facts.filter(|facts| !facts.is_gone) else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    if let Some(sets) = &facts.capabilities {
        lines.extend(describe_capabilities(sets));
    }
    let filter = match facts.seccomp {
        Some(0) => Some(("no filter of system calls", Weight::Alarm)),
        Some(1) => Some(("strict", Weight::Plain)),
        Some(_) => Some(("filtered", Weight::Plain)),
        None => None,
    };
    if let Some((text, weight)) = filter {
        lines.push(Fact {
            name: "seccomp",
            words: vec![(text.to_owned(), weight)],
        });
    }
    if facts.no_new_privileges == Some(true) {
        lines.push(Fact::new("", "no new privileges"));
    }
    lines
}

/// capabilities(7) by their numbers, up to the last one as of Linux 6.18.
const CAPABILITIES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

fn describe_capabilities(sets: &Capabilities) -> Vec<Fact> {
    let mut facts = vec![Fact::new("caps", name_capabilities(sets.effective))];
    let others = [
        ("permitted", sets.permitted, sets.effective),
        ("bounding", sets.bounding, sets.effective),
        ("inherited", sets.inheritable, 0),
        ("ambient", sets.ambient, 0),
    ];
    for (name, set, known) in others {
        if set != known {
            facts.push(Fact::new(name, name_capabilities(set)));
        }
    }
    facts
}

fn name_capabilities(set: u64) -> String {
    let known = (1u64 << CAPABILITIES.len()) - 1;
    if set == 0 {
        return "none".to_owned();
    }
    if set & known == known {
        return "all".to_owned();
    }
    let has = |at: usize| set >> at & 1 == 1;
    let lacking = CAPABILITIES.iter().enumerate().filter(|(at, _)| !has(*at));
    let lacking: Vec<&str> = lacking.map(|(_, name)| *name).collect();
    if lacking.len() <= 5 {
        return format!("all but {}", lacking.join(" "));
    }
    let named = CAPABILITIES.iter().enumerate().filter(|(at, _)| has(*at));
    let mut named: Vec<String> = named.map(|(_, name)| (*name).to_owned()).collect();
    named.extend(
        (CAPABILITIES.len()..64)
            .filter(|at| has(*at))
            .map(|at| at.to_string()),
    );
    named.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_named_shortly() {
        let all = (1 << CAPABILITIES.len()) - 1;
        assert_eq!(name_capabilities(0), "none");
        assert_eq!(name_capabilities(all), "all");
        assert_eq!(name_capabilities(all & !(1 << 24)), "all but sys_resource");
        assert_eq!(name_capabilities(1 << 13 | 1 << 5), "kill net_raw");
        assert_eq!(name_capabilities(1 | 1 << 60), "chown 60");
    }
}
