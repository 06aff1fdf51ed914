//! Values that a flag chooses from, where its parser knows more than these words.

use clap::Arg;

use crate::cli::filter::{HEALTHS, KEYS, STATUSES};
use crate::cli::parse::capability::CAPABILITIES;

/// The words that a flag of a command takes; none where they cannot be listed. One that ends in `=`
/// goes on.
pub(super) fn choices(arg: &Arg, value: &str, command: &str) -> Vec<String> {
    let few: &[&str] = match (value, arg.get_id().as_str()) {
        ("POLICY", _) => &["no", "on-failure", "always", "unless-stopped"],
        ("WHAT", _) => &["none", "kill", "stop", "restart"],
        ("STREAM", _) => &["stdin", "stdout", "stderr"],
        ("DRIVER", "log_driver") => &["json-file", "local", "journald", "none"],
        ("OPTION", "security_opt") => {
            &["no-new-privileges", "seccomp=unconfined", "seccomp=builtin"]
        }
        ("CAPABILITY", _) => return capabilities(),
        ("KEY=VALUE", "filter") if command == "ps" => return filters(),
        _ => &[],
    };
    few.iter().map(|word| (*word).to_owned()).collect()
}

fn capabilities() -> Vec<String> {
    let named = CAPABILITIES.iter().map(|name| (*name).to_owned());
    std::iter::once("ALL".to_owned()).chain(named).collect()
}

/// Of `ps`.
fn filters() -> Vec<String> {
    let known = |key: &str| -> &'static [&'static str] {
        match key {
            "status" => &STATUSES,
            "health" => &HEALTHS,
            _ => &[],
        }
    };
    let mut all = Vec::new();
    for key in KEYS {
        match known(key) {
            [] => all.push(format!("{key}=")),
            words => all.extend(words.iter().map(|word| format!("{key}={word}"))),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::cli::usage::{parse, surface};

    #[test]
    fn what_is_offered_is_taken() {
        let root = surface();
        let mut tried = 0;
        for verb in ["run", "update", "ps"] {
            let command = root.find_subcommand(verb).unwrap();
            for arg in command.get_arguments() {
                let value = arg.get_value_names().and_then(|names| names.first());
                let Some((long, value)) = arg.get_long().zip(value) else {
                    continue;
                };
                for word in choices(arg, value, verb) {
                    let mut line = vec!["berth".to_owned(), verb.to_owned()];
                    line.push(format!("--{long}={word}"));
                    match verb {
                        "run" => line.push("host".to_owned()),
                        "update" => line.push("web".to_owned()),
                        _ => {}
                    }
                    let words: Vec<OsString> = line.iter().map(OsString::from).collect();
                    assert!(parse(&words).is_ok(), "{line:?}");
                    tried += 1;
                }
            }
        }
        assert!(tried > 100, "{tried}");
    }
}
