//! The order of `berth help`: what is needed every day first, then groups, then the rest.

use clap::Command;

/// What is typed every day.
const COMMON: [&str; 12] = [
    "run", "exec", "ps", "logs", "stop", "pull", "push", "images", "login", "logout", "version",
    "info",
];

/// What no other engine has.
const NAMESPACES: [&str; 6] = ["map", "ns", "pid", "who", "enter", "check"];

/// Makes the help of the whole program; that of a command is left as it is.
///
/// A command that no list names is shown by whether it has commands of its own, so that none is
/// forgotten.
pub(super) fn arrange(command: Command) -> Command {
    let groups = Groups::of(&command);
    let mut text = String::from("{usage-heading} {usage}\n\n{about}\n");
    for (title, names) in [
        ("Common commands", &groups.common),
        ("Management commands", &groups.management),
        ("Commands", &groups.others),
        ("Namespaces and PIDs", &groups.namespaces),
    ] {
        text.push_str(&format!("\n{title}:\n"));
        for name in names {
            let about = command.find_subcommand(name).and_then(Command::get_about);
            let about = about.map(ToString::to_string).unwrap_or_default();
            text.push_str(&format!("  {name:<11} {about}\n"));
        }
    }
    text.push_str("\nGlobal options:\n{options}\n\n");
    text.push_str("\"berth help COMMAND\" tells more of one of them.\n");
    command.help_template(text)
}

/// The visible commands, each in one list.
#[derive(Debug, Default)]
struct Groups {
    common: Vec<String>,
    management: Vec<String>,
    others: Vec<String>,
    namespaces: Vec<String>,
}

impl Groups {
    fn of(command: &Command) -> Self {
        let mut groups = Self::default();
        let named = |names: &[&str]| {
            let there = names
                .iter()
                .filter(|n| command.find_subcommand(n).is_some());
            there.map(|name| (*name).to_owned()).collect()
        };
        groups.common = named(&COMMON);
        groups.namespaces = named(&NAMESPACES);
        for one in command.get_subcommands().filter(|c| !c.is_hide_set()) {
            let name = one.get_name();
            if COMMON.contains(&name) || NAMESPACES.contains(&name) {
                continue;
            }
            let list = match one.has_subcommands() {
                true => &mut groups.management,
                false => &mut groups.others,
            };
            list.push(name.to_owned());
        }
        groups.management.sort_unstable();
        groups.others.sort_unstable();
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::usage::surface;

    #[test]
    fn every_command_is_shown_once() {
        let command = surface();
        let groups = Groups::of(&command);
        let mut shown = [
            groups.common,
            groups.management,
            groups.others,
            groups.namespaces,
        ]
        .concat();
        shown.sort_unstable();
        let mut visible: Vec<&str> = command
            .get_subcommands()
            .filter(|c| !c.is_hide_set())
            .map(Command::get_name)
            .collect();
        visible.sort_unstable();
        assert_eq!(shown, visible);
        assert!(COMMON.iter().all(|name| visible.contains(name)));
        assert!(NAMESPACES.iter().all(|name| visible.contains(name)));
    }

    #[test]
    fn each_has_a_short_line() {
        fn walk(command: &Command, path: &str) {
            for one in command.get_subcommands().filter(|c| !c.is_hide_set()) {
                let path = format!("{path} {}", one.get_name());
                let about = one.get_about().map(ToString::to_string).unwrap_or_default();
                assert!(
                    !about.is_empty() && about.len() <= 66 && !about.ends_with('.'),
                    "{path}: {about:?}"
                );
                walk(one, &path);
            }
        }
        walk(&surface(), "berth");
    }
}
