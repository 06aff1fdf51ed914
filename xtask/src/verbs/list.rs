//! Docker's commands and flags as lines of a file.

use crate::failure::{Failure, Outcome};

/// A command of docker's. The path of the program itself is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Verb {
    pub(super) path: String,
    /// Other paths to the same command.
    pub(super) aliases: Vec<String>,
    pub(super) flags: Vec<Flag>,
}

/// A flag of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flag {
    /// Without dashes.
    pub(super) long: String,
    pub(super) short: Option<char>,
    /// The type of its value, in docker's word.
    pub(super) value: Option<String>,
}

const NONE: &str = "-";

/// The file: a line for each command, `COMMAND = ALIAS, ...`, and below it an indented one for each
/// flag, `--FLAG LETTER TYPE`.
pub(super) fn text(verbs: &[Verb], version: &str) -> String {
    let mut text = format!(
        "# The command line of docker {version}, from its --help; \"cargo xtask verbs --write\" makes it.\n"
    );
    for verb in verbs {
        let path = if verb.path.is_empty() {
            "."
        } else {
            &verb.path
        };
        text.push_str(path);
        if !verb.aliases.is_empty() {
            text.push_str(&format!(" = {}", verb.aliases.join(", ")));
        }
        text.push('\n');
        for flag in &verb.flags {
            let short = flag.short.map_or_else(|| NONE.to_owned(), String::from);
            let value = flag.value.as_deref().unwrap_or(NONE);
            text.push_str(&format!("    --{} {short} {value}\n", flag.long));
        }
    }
    text
}

/// The version in the file's first line.
pub(super) fn version(text: &str) -> String {
    let after = text.split_once("docker ").map_or("", |(_, after)| after);
    after.split(',').next().unwrap_or_default().to_owned()
}

/// Reads the file.
///
/// # Errors
/// A line is not as [`text`] writes it.
pub(super) fn parse(text: &str) -> Outcome<Vec<Verb>> {
    let mut verbs: Vec<Verb> = Vec::new();
    for (at, line) in text
        .lines()
        .enumerate()
        .filter(|(_, l)| !l.starts_with('#'))
    {
        let mistake = || Failure::new(format!("line {} of docker.txt makes no sense", at + 1));
        if let Some(flag) = line.strip_prefix("    --") {
            let words: Vec<&str> = flag.split(' ').collect();
            let [long, short, value] = words[..] else {
                return Err(mistake());
            };
            let flag = Flag {
                long: long.to_owned(),
                short: short.chars().next().filter(|_| short != NONE),
                value: (value != NONE).then(|| value.to_owned()),
            };
            verbs.last_mut().ok_or_else(mistake)?.flags.push(flag);
            continue;
        }
        let (path, aliases) = line.split_once(" = ").unwrap_or((line, ""));
        verbs.push(Verb {
            path: path.trim_start_matches('.').to_owned(),
            aliases: aliases
                .split(", ")
                .filter(|alias| !alias.is_empty())
                .map(str::to_owned)
                .collect(),
            flags: Vec::new(),
        });
    }
    Ok(verbs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let flag = |long: &str, short, value: Option<&str>| Flag {
            long: long.to_owned(),
            short,
            value: value.map(str::to_owned),
        };
        let verbs = vec![
            Verb {
                flags: vec![flag("debug", Some('D'), None)],
                ..Verb::default()
            },
            Verb {
                path: "container ls".to_owned(),
                aliases: vec!["container ps".to_owned(), "ps".to_owned()],
                flags: vec![
                    flag("all", Some('a'), None),
                    flag("format", None, Some("string")),
                ],
            },
        ];
        let text = text(&verbs, "28.1");
        assert_eq!(version(&text), "28.1");
        assert_eq!(parse(&text).unwrap(), verbs);
        assert!(parse("    --all a -\n").is_err());
        assert!(parse("ps\n    --all\n").is_err());
    }
}
