//! Flags with an empty value, as scripts give them by `--ip "$IP"`: to Docker they were not given.
//!
//! Which flags these are is known once clap refuses the value: what follows the image or the container
//! is then not looked at, whatever it looks like.

use std::any::TypeId;
use std::ffi::{OsStr, OsString};

use clap::Arg;
use clap::builder::NonEmptyStringValueParser;
use clap::error::{ContextKind, ErrorKind};

use super::usage::{bare_flag, text_of};

/// The flags, with their letters, whose empty value says nothing. Docker refuses that of others, such
/// as --memory; we refuse that of --user too, lest an unset variable make somebody root
/// (CVE-2026-30892).
const FLAGS: [(&str, Option<char>); 27] = [
    ("--cgroup-parent", None),
    ("--cgroupns", None),
    ("--cidfile", None),
    ("--cpuset-cpus", None),
    ("--cpuset-mems", None),
    ("--detach-keys", None),
    ("--domainname", None),
    ("--filter", Some('f')),
    ("--format", Some('f')),
    ("--hostname", Some('h')),
    ("--ip", None),
    ("--ip6", None),
    ("--ipc", None),
    ("--isolation", None),
    ("--log-driver", None),
    ("--mac-address", None),
    ("--name", None),
    ("--pid", None),
    ("--platform", None),
    ("--pull", None),
    ("--restart", None),
    ("--signal", Some('s')),
    ("--since", None),
    ("--stop-signal", None),
    ("--until", None),
    ("--userns", None),
    ("--uts", None),
];

/// The same for paths inside, of which `-w` is one and `--mount`'s are none.
const WORKDIR: (&str, Option<char>) = ("--workdir", Some('w'));

/// Has an empty template be refused where it would be taken as one that prints nothing.
pub(super) fn refuse_format(arg: Arg) -> Arg {
    let is_template =
        arg.get_id() == "format" && arg.get_value_parser().type_id() == TypeId::of::<String>();
    match is_template {
        true => arg.value_parser(NonEmptyStringValueParser::new()),
        false => arg,
    }
}

/// Takes the flag whose empty value clap refused out of the arguments; `false` where that is not what
/// was wrong, or where it means something.
pub(super) fn take_out(arguments: &mut Vec<OsString>, error: &clap::Error) -> bool {
    let is_value = matches!(
        error.kind(),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation
    );
    let value = text_of(error, ContextKind::InvalidValue).unwrap_or_default();
    if !is_value || !value.is_empty() {
        return false;
    }
    let flag = bare_flag(&text_of(error, ContextKind::InvalidArg).unwrap_or_default());
    let known = FLAGS
        .iter()
        .chain([&WORKDIR])
        .find(|(long, _)| *long == flag);
    let Some(&(long, letter)) = known else {
        return false;
    };
    if let Some(at) = position(arguments, &format!("{long}=")) {
        arguments.remove(at);
        return true;
    }
    let has_letter = |word: &OsStr| {
        let word = word
            .to_str()
            .filter(|word| word.starts_with('-') && !word.starts_with("--"));
        letter.is_some_and(|letter| word.is_some_and(|word| word.ends_with(letter)))
    };
    let pair = arguments
        .windows(2)
        .position(|two| two[1].is_empty() && (two[0] == long || has_letter(&two[0])));
    let Some(at) = pair else {
        return false;
    };
    arguments.remove(at + 1);
    // Letters before it, as in -itw, stay.
    let letters = arguments[at]
        .to_str()
        .filter(|word| *word != long && word.len() > 2);
    match letters.map(|word| word[..word.len() - 1].to_owned()) {
        Some(letters) => arguments[at] = letters.into(),
        None => drop(arguments.remove(at)),
    }
    true
}

fn position(arguments: &[OsString], word: &str) -> Option<usize> {
    arguments.iter().position(|argument| argument == word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::usage;

    fn words(line: &[&str]) -> Vec<OsString> {
        let program = std::iter::once(&"berth");
        program.chain(line).map(OsString::from).collect()
    }

    /// What is left of a line, or the refusal.
    fn left(line: &[&str]) -> String {
        match usage::parse(&words(line)) {
            Ok(cli) => format!("{:?}", cli.command),
            Err(usage::Early::Fail(failure)) => failure.message.clone(),
            Err(usage::Early::Show(_)) => "help".to_owned(),
        }
    }

    #[test]
    fn an_empty_value_is_none() {
        let bare = left(&["run", "-it", "img", "sh"]);
        for empty in [
            &["--name", ""][..],
            &["--name="],
            &["-w", ""],
            &["--ip", "", "--pid", "", "-h", ""],
            &["--platform", "", "--pull", "", "--cidfile", ""],
            &["--ipc=", "--uts=", "--userns=", "--cgroupns="],
            &["--stop-signal", "", "--log-driver", ""],
        ] {
            let line = [&["run", "-it"], empty, &["img", "sh"]].concat();
            assert_eq!(left(&line), bare, "{line:?}");
        }
        assert_eq!(left(&["run", "-itw", "", "img", "sh"]), bare);
        assert_eq!(left(&["ps", "--format", "", "-f", ""]), left(&["ps"]));
        assert_eq!(
            left(&["inspect", "-f", "", "web"]),
            left(&["inspect", "web"])
        );
    }

    #[test]
    fn what_docker_refuses_is_refused_and_an_empty_user() {
        for line in [
            &["run", "--user", "", "img"][..],
            &["exec", "--user=", "web", "sh"],
            &["run", "--memory", "", "img"],
            &["run", "-v", "", "img"],
            &["run", "--pull"],
        ] {
            let flag = line[1].trim_end_matches('=');
            assert!(left(line).contains(flag), "{line:?}: {}", left(line));
        }
    }

    #[test]
    fn arguments_of_the_command_stay() {
        let line = ["run", "--name", "", "img", "tool", "--name", ""];
        assert!(
            left(&line).contains("[\"img\", \"tool\", \"--name\", \"\"]"),
            "{}",
            left(&line)
        );
    }
}
