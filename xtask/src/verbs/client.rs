//! What the installed docker client says of itself. It is asked for its help alone, no daemon.

use std::process::Command;

use super::list::{Flag, Verb};
use crate::exec;
use crate::failure::Outcome;

/// The client's version.
///
/// # Errors
/// It cannot be started.
pub(super) fn version() -> Outcome<String> {
    let said = exec::read(Command::new("docker").arg("--version"))?;
    let after = said.split_once("version ").map_or("", |(_, after)| after);
    Ok(after.split(',').next().unwrap_or_default().to_owned())
}

/// Every command that its help names, itself first, with its flags.
///
/// # Errors
/// It cannot be started.
pub(super) fn read() -> Outcome<Vec<Verb>> {
    let mut verbs = Vec::new();
    descend("", &mut verbs)?;
    Ok(verbs)
}

fn descend(path: &str, verbs: &mut Vec<Verb>) -> Outcome {
    let words = path.split_whitespace();
    let mut docker = Command::new("docker");
    // An empty folder of settings: no plugins of the user who happens to run this.
    docker
        .args(["--config", "/nonexistent"])
        .args(words)
        .arg("--help");
    let help = exec::read(&mut docker)?;
    let (verb, below) = parse(path, &help);
    verbs.push(verb);
    for name in below {
        descend(format!("{path} {name}").trim_start(), verbs)?;
    }
    Ok(())
}

/// A help text: the command that it is about, and the names of those below it.
fn parse(path: &str, help: &str) -> (Verb, Vec<String>) {
    let mut verb = Verb {
        path: path.to_owned(),
        ..Verb::default()
    };
    let mut below = Vec::new();
    let mut section = "";
    for line in help.lines() {
        if !line.starts_with(' ') {
            section = line.trim_end();
            continue;
        }
        match section {
            "Aliases:" => verb.aliases = aliases(path, line),
            "Options:" | "Global Options:" => verb.flags.extend(flag(line)),
            commands if commands.ends_with("ommands:") => {
                let name = line.split_whitespace().next().unwrap_or_default();
                // A star marks a plugin, which is a program of its own.
                if line.starts_with("  ") && !line.starts_with("   ") && !name.ends_with('*') {
                    below.push(name.to_owned());
                }
            }
            _ => {}
        }
    }
    verb.flags.retain(|flag| flag.long != "help");
    (verb, below)
}

fn aliases(path: &str, line: &str) -> Vec<String> {
    let all = line.split(',').map(|alias| {
        let alias = alias.trim();
        alias.strip_prefix("docker ").unwrap_or(alias).to_owned()
    });
    all.filter(|alias| alias != path).collect()
}

/// `  -a, --attach list   Attach`; a line of a long description is none.
fn flag(line: &str) -> Option<Flag> {
    let text = line.trim_start();
    let (short, text) = match text.split_once(", --") {
        Some((short, _)) if short.len() == 2 && short.starts_with('-') => {
            (short.chars().nth(1), &text[4..])
        }
        _ => (None, text),
    };
    // Descriptions of flags begin further to the right.
    if line.len() - line.trim_start().len() > 6 {
        return None;
    }
    let head = text.strip_prefix("--")?;
    let head = head.split("  ").next().unwrap_or(head);
    let (long, value) = match head.split_once(' ') {
        Some((long, value)) => (long, Some(value.to_owned())),
        None => (head, None),
    };
    Some(Flag {
        long: long.to_owned(),
        short,
        value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_help_text_is_understood() {
        let help = "Usage:  docker container ls [OPTIONS]\n\nList containers\n\nAliases:\n  docker container ls, docker ps\n\nOptions:\n  -a, --all             Show all\n      --format string   Format --output\n                        'json': --of this\n  -h, --help   Print\n\nManagement Commands:\n  below       Further\n  plugin*     Else\n";
        let (verb, below) = parse("container ls", help);
        assert_eq!(verb.aliases, ["ps"]);
        assert_eq!(below, ["below"]);
        let flags: Vec<_> = verb
            .flags
            .iter()
            .map(|f| (f.long.as_str(), f.short, f.value.as_deref()))
            .collect();
        assert_eq!(
            flags,
            [("all", Some('a'), None), ("format", None, Some("string"))]
        );
    }
}
