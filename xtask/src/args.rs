//! Command lines of xtask: a few flags a command, no library needed.

use crate::failure::{Failure, Outcome};

/// The words after a command's name; each accessor removes what it reads.
pub(crate) struct Args {
    command: String,
    rest: Vec<String>,
    known: Vec<&'static str>,
}

impl Args {
    /// The words that follow `command`.
    pub(crate) fn new(command: &str, rest: &[String]) -> Self {
        Self {
            command: command.to_owned(),
            rest: rest.to_vec(),
            known: Vec::new(),
        }
    }

    /// Whether the flag is there.
    pub(crate) fn flag(&mut self, name: &'static str) -> bool {
        self.known.push(name);
        let before = self.rest.len();
        self.rest.retain(|word| word != name);
        self.rest.len() != before
    }

    /// The number given as `name N` or `name=N`.
    ///
    /// # Errors
    /// The value is missing or is not a number of at least 1.
    pub(crate) fn number(&mut self, name: &'static str) -> Outcome<Option<usize>> {
        self.known.push(name);
        let prefix = format!("{name}=");
        let Some(at) = self
            .rest
            .iter()
            .position(|w| w == name || w.starts_with(&prefix))
        else {
            return Ok(None);
        };
        let word = self.rest.remove(at);
        let value = match word.strip_prefix(&prefix) {
            Some(value) => value.to_owned(),
            None if at < self.rest.len() => self.rest.remove(at),
            None => return Err(Failure::usage(format!("{name} needs a number after it"))),
        };
        match value.parse::<usize>() {
            Ok(number) if number > 0 => Ok(Some(number)),
            _ => Err(Failure::usage(format!(
                "{name} needs a number from 1 on, not \"{value}\""
            ))),
        }
    }

    /// The next word that is no flag.
    pub(crate) fn word(&mut self) -> Option<String> {
        let at = self.rest.iter().position(|word| !word.starts_with('-'))?;
        Some(self.rest.remove(at))
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// A word is left that no accessor asked for.
    pub(crate) fn finish(self) -> Outcome {
        let Some(word) = self.rest.first() else {
            return Ok(());
        };
        let hint = nearest(word, self.known.iter().copied())
            .map_or_else(String::new, |known| format!("; did you mean {known}?"));
        Err(Failure::usage(format!(
            "{} does not know \"{word}\"{hint}",
            self.command
        )))
    }
}

/// The candidate most like `word`, if one is near enough to be what was meant.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let limit = word.chars().count().div_ceil(2).min(3);
    candidates
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// The number of insertions, removals, replacements and swaps of neighbours between two words
/// (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut older: Vec<usize> = Vec::new();
    let mut previous: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replace = previous[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replace.min(previous[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(older[j - 2] + 1);
            }
        }
        older = std::mem::replace(&mut previous, row);
    }
    previous[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &[&str]) -> Args {
        Args::new(
            "try",
            &words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>(),
        )
    }

    #[test]
    fn reads_flags_numbers_and_words_in_any_order() {
        let mut args = args(&["start", "--rounds=7", "--quick", "--share", "20"]);
        assert!(args.flag("--quick"));
        assert!(!args.flag("--markdown"));
        assert_eq!(args.number("--rounds").unwrap(), Some(7));
        assert_eq!(args.number("--share").unwrap(), Some(20));
        assert_eq!(args.word().as_deref(), Some("start"));
        args.finish().unwrap();
    }

    #[test]
    fn refuses_what_is_no_number() {
        for words in [&["--share"][..], &["--share", "0"], &["--share", "x"]] {
            assert!(args(words).number("--share").is_err(), "{words:?}");
        }
    }

    #[test]
    fn a_leftover_names_the_nearest_flag() {
        let mut args = args(&["--qiuck"]);
        assert!(!args.flag("--quick"));
        let message = args.finish().unwrap_err().to_string();
        assert_eq!(
            message,
            "try does not know \"--qiuck\"; did you mean --quick?"
        );
    }

    #[test]
    fn nearness_has_a_limit() {
        let commands = ["setup", "build", "test", "tidy"];
        assert_eq!(nearest("tset", commands.into_iter()), Some("test"));
        assert_eq!(nearest("biuld", commands.into_iter()), Some("build"));
        assert_eq!(nearest("zzzzzz", commands.into_iter()), None);
    }
}
