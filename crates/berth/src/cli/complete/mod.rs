//! What could come next on a command line: asked by the completion of a shell.
//!
//! Walks the same description of the command line that parses it. What a value names, the name of the
//! value says: CONTAINER, IMAGE, NETWORK, VOLUME, FILE and so on. Not clap_complete's own engine for
//! this: it is unstable, and would need each argument to be marked a second time. Nothing is written,
//! and whatever fails is as if there were nothing to offer.

mod choices;
mod names;

use clap::builder::ArgAction;
use clap::{Arg, Command};

pub(super) use names::EngineNames;

/// The built-in image.
const HOST: &str = "host";

/// What the shell is to do beside what is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    /// Nothing.
    Nothing,
    /// Offer files and folders as well.
    Files,
    /// Offer folders as well.
    Folders,
}

/// What could come next.
#[derive(Debug)]
pub(super) struct Answer {
    /// Whole words, with a line about each.
    offers: Vec<(String, String)>,
    beside: Beside,
}

/// What exists, by its name.
pub(super) trait Names {
    /// Containers that `fit`, with their images.
    fn containers(&self, fit: Fit) -> Vec<(String, String)>;
    /// Images by name.
    fn images(&self) -> Vec<String>;
    /// Networks.
    fn networks(&self) -> Vec<String>;
    /// Volumes.
    fn volumes(&self) -> Vec<String>;
}

/// Which containers a command is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    All,
    Live,
    Paused,
    Ended,
}

impl Fit {
    fn of(command: &str) -> Self {
        match command {
            "attach" | "enter" | "exec" | "kill" | "map" | "ns" | "pause" | "pid" | "stop"
            | "top" | "who" => Self::Live,
            "unpause" => Self::Paused,
            "start" => Self::Ended,
            _ => Self::All,
        }
    }
}

impl Answer {
    const fn nothing(beside: Beside) -> Self {
        Self {
            offers: Vec::new(),
            beside,
        }
    }

    /// A line for each offer, then one for the shell. What could break a line or steer a terminal is
    /// not offered.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let plain = |word: &str| !word.is_empty() && !word.chars().any(char::is_control);
        for (word, about) in self.offers.iter().filter(|(word, _)| plain(word)) {
            let about: String = about.chars().filter(|c| !c.is_control()).collect();
            text.push_str(&format!("{word}\t{about}\n"));
        }
        text.push_str(match self.beside {
            Beside::Nothing => ":none\n",
            Beside::Files => ":files\n",
            Beside::Folders => ":folders\n",
        });
        text
    }
}

/// Where on the command line we are.
struct Place<'a> {
    command: &'a Command,
    /// The flag whose value comes next.
    flag: Option<&'a Arg>,
    /// Arguments that were no flags.
    seen: usize,
    /// Behind `--`, or within the command of a container.
    plain: bool,
    /// Behind `help`: commands alone.
    help: bool,
}

/// Completes the last of the words, which stand behind the program's name.
pub(super) fn complete(root: &Command, words: &[String], names: &dyn Names) -> Answer {
    let (typed, before) = match words.split_last() {
        Some((typed, before)) => (typed.as_str(), before),
        None => ("", words),
    };
    let mut place = Place {
        command: root,
        flag: None,
        seen: 0,
        plain: false,
        help: false,
    };
    for word in before {
        place.step(word);
    }
    let mut answer = place.answer(typed, names);
    answer.offers.retain(|(word, _)| word.starts_with(typed));
    // Behind the colon of a mount or a copy is the inside of a container.
    if answer.beside == Beside::Files && typed.contains(':') {
        answer.beside = Beside::Nothing;
    }
    answer
}

impl<'a> Place<'a> {
    /// Goes past a word.
    fn step(&mut self, word: &str) {
        if self.flag.take().is_some() || self.is_within_container() {
            return;
        }
        match word {
            _ if self.plain => self.seen += 1,
            "--" => self.plain = true,
            long if long.starts_with("--") => {
                let name = &long[2..];
                // `--name=value` is whole.
                self.flag = self.long(name).filter(|arg| takes_word(arg));
            }
            short if short.len() > 1 && short.starts_with('-') => self.flag = self.cluster(short),
            "help" if self.seen == 0 && self.command.has_subcommands() => self.help = true,
            _ => match self.command.find_subcommand(word) {
                Some(below) if self.seen == 0 => self.command = below,
                _ => self.seen += 1,
            },
        }
    }

    /// The flag of `-it` or `-e` that waits for a value.
    fn cluster(&self, word: &str) -> Option<&'a Arg> {
        let mut letters = word.chars();
        letters.next();
        while let Some(letter) = letters.next() {
            let arg = self.flags().find(|arg| arg.get_short() == Some(letter))?;
            if takes_word(arg) {
                // What follows in the same word is its value.
                return letters.as_str().is_empty().then_some(arg);
            }
        }
        None
    }

    fn flags(&self) -> impl Iterator<Item = &'a Arg> + use<'a> {
        self.command
            .get_arguments()
            .filter(|arg| !arg.is_positional())
    }

    fn long(&self, name: &str) -> Option<&'a Arg> {
        self.flags().find(|arg| {
            let aliases = arg.get_all_aliases().unwrap_or_default();
            arg.get_long() == Some(name) || aliases.contains(&name)
        })
    }

    /// The positional argument that comes next.
    fn positional(&self) -> Option<&'a Arg> {
        let all: Vec<&Arg> = self.command.get_positionals().collect();
        let last = all.last().copied().filter(|arg| is_many(arg));
        all.get(self.seen).copied().or(last)
    }

    /// Behind the image of `run` or the container of `exec` nothing is ours.
    fn is_within_container(&self) -> bool {
        let trails = |arg: &Arg| arg.is_trailing_var_arg_set();
        self.seen > 0 && self.command.get_positionals().any(trails)
    }

    fn answer(&self, typed: &str, names: &dyn Names) -> Answer {
        if let Some(flag) = self.flag {
            return self.value(flag, "", names);
        }
        if self.is_within_container() {
            return Answer::nothing(Beside::Files);
        }
        if self.help && !self.command.has_subcommands() {
            return Answer::nothing(Beside::Nothing);
        }
        if !self.plain && typed.starts_with('-') {
            let Some((flag, _)) = typed.split_once('=') else {
                return self.flag_names();
            };
            let arg = self.long(flag.trim_start_matches('-'));
            return match arg {
                Some(arg) => self.value(arg, &format!("{flag}="), names),
                None => Answer::nothing(Beside::Nothing),
            };
        }
        if self.command.has_subcommands() {
            // Behind a word that is no command nothing makes sense.
            return match self.seen {
                0 => self.subcommands(),
                _ => Answer::nothing(Beside::Nothing),
            };
        }
        match self.positional() {
            Some(arg) => self.value(arg, "", names),
            None => Answer::nothing(Beside::Nothing),
        }
    }

    fn subcommands(&self) -> Answer {
        let visible = self.command.get_subcommands().filter(|c| !c.is_hide_set());
        let about = |c: &Command| c.get_about().map(ToString::to_string).unwrap_or_default();
        Answer {
            offers: visible
                .map(|c| (c.get_name().to_owned(), about(c)))
                .chain(
                    (!self.help).then(|| ("help".to_owned(), "Tell more of a command".to_owned())),
                )
                .collect(),
            beside: Beside::Nothing,
        }
    }

    fn flag_names(&self) -> Answer {
        let mut offers = Vec::new();
        for arg in self.flags().filter(|arg| !arg.is_hide_set()) {
            let about = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let long = arg.get_long().map(|long| format!("--{long}"));
            let short = arg.get_short().map(|short| format!("-{short}"));
            offers.extend(long.or(short).map(|word| (word, about)));
        }
        Answer {
            offers,
            beside: Beside::Nothing,
        }
    }

    /// What a flag or an argument could be, each behind a prefix.
    fn value(&self, arg: &Arg, prefix: &str, names: &dyn Names) -> Answer {
        let command = self.command.get_name();
        let (words, beside) = values(arg, command, names);
        Answer {
            offers: words
                .into_iter()
                .map(|(word, about)| (format!("{prefix}{word}"), about))
                .collect(),
            beside,
        }
    }
}

fn is_many(arg: &Arg) -> bool {
    arg.get_num_args()
        .is_some_and(|range| range.max_values() > 1)
        || matches!(arg.get_action(), ArgAction::Append)
}

/// Whether the next word is its value.
fn takes_word(arg: &Arg) -> bool {
    let takes = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    takes && !arg.is_require_equals_set()
}

/// What an argument of a command could be, as the name of its value says.
fn values(arg: &Arg, command: &str, names: &dyn Names) -> (Vec<(String, String)>, Beside) {
    let bare = |words: Vec<String>| words.into_iter().map(|w| (w, String::new())).collect();
    let fixed: Vec<String> = arg
        .get_possible_values()
        .iter()
        .map(|value| value.get_name().to_owned())
        .collect();
    if !fixed.is_empty() {
        return (bare(fixed), Beside::Nothing);
    }
    let containers = |end: &str| -> Vec<(String, String)> {
        let all = names.containers(Fit::of(command)).into_iter();
        all.map(|(name, image)| (format!("{name}{end}"), image))
            .collect()
    };
    let joined = || -> Vec<(String, String)> {
        let all = names.containers(Fit::Live).into_iter();
        all.map(|(name, image)| (format!("container:{name}"), image))
            .collect()
    };
    let value = arg
        .get_value_names()
        .and_then(|names| names.first())
        .map_or("", |name| name.as_str());
    let offers = match value {
        "CONTAINER" | "CONTAINER[:ro]" | "NS|PATH|CONTAINER" | "PID" | "SCOPE" => containers(""),
        "IMAGE" | "NAME[:TAG]" => {
            let mut offers: Vec<_> = bare(names.images());
            if ["run", "create"].contains(&command) {
                offers.push((HOST.to_owned(), "a throwaway view of this host".to_owned()));
            }
            offers
        }
        "NETWORK" if arg.is_positional() => bare(names.networks()),
        "NETWORK" => {
            let mut offers: Vec<_> = bare(names.networks());
            offers.extend(bare(vec!["none".into(), "host".into()]));
            offers.extend(joined());
            offers
        }
        "MODE" => {
            let mut offers: Vec<_> = bare(vec!["private".into(), "host".into()]);
            offers.extend(joined());
            offers
        }
        "VOLUME" => bare(names.volumes()),
        "NAME" if arg.is_positional() => {
            let mut offers = containers("");
            offers.extend(bare(names.images()));
            offers.extend(bare(names.networks()));
            offers.extend(bare(names.volumes()));
            offers
        }
        "SIGNAL" => bare(signals()),
        "FILE" | "FILE|URL|-" => return (Vec::new(), Beside::Files),
        "DIR" => return (Vec::new(), Beside::Folders),
        "SRC" | "DEST" => return (containers(":"), Beside::Files),
        mounts if mounts.starts_with("[SOURCE:]") => {
            let volumes = names.volumes().into_iter();
            let offers = volumes.map(|name| format!("{name}:")).collect();
            return (bare(offers), Beside::Files);
        }
        other => bare(choices::choices(arg, other, command)),
    };
    (offers, Beside::Nothing)
}

/// The signals that people send.
fn signals() -> Vec<String> {
    [
        "HUP", "INT", "QUIT", "KILL", "USR1", "USR2", "TERM", "CONT", "STOP", "WINCH",
    ]
    .map(str::to_owned)
    .to_vec()
}

#[cfg(test)]
mod tests;
