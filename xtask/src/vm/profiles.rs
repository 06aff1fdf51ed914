//! What runs in which guest, as whom, and how long it may take.
//!
//! A profile is a way to be a host: who PID 1 is and who runs the tests. Profiles of one guest
//! share its boot. The table, `rows`, is all there is to edit when a suite comes or grows.

mod rows;

use crate::args::nearest;
use crate::failure::{Failure, Outcome};
use rows::ROWS;

/// Who PID 1 of a guest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guest {
    /// A shell script, and nobody who manages cgroups.
    Shell,
    /// systemd with its buses, logind and a lingering user manager.
    Systemd,
}

impl Guest {
    pub(super) const ALL: [Self; 2] = [Self::Shell, Self::Systemd];

    /// Its name in messages and file names.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Shell => "shell",
            Self::Systemd => "systemd",
        }
    }

    /// The program that initramfs.sh executes.
    pub(super) const fn init(self) -> &'static str {
        match self {
            Self::Shell => "/tests/init.sh",
            Self::Systemd => "/usr/lib/systemd/systemd",
        }
    }
}

/// A way to be a host; harness.sh has a function `enter_NAME` for each.
struct Profile {
    name: &'static str,
    guest: Guest,
}

const PROFILES: [Profile; 5] = [
    Profile {
        name: "plain",
        guest: Guest::Shell,
    },
    Profile {
        name: "rootless",
        guest: Guest::Shell,
    },
    Profile {
        name: "undelegated",
        guest: Guest::Shell,
    },
    Profile {
        name: "systemd",
        guest: Guest::Systemd,
    },
    Profile {
        name: "systemd_rootless",
        guest: Guest::Systemd,
    },
];

/// Tests that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Suite {
    /// The shell scripts in `xtask/vm/tests`.
    Scripts,
    /// The unit tests of a crate's library.
    Units(&'static str),
    /// The tests of a crate against its programs, `tests/NAME`.
    Programs(&'static str, &'static str),
}

impl Suite {
    /// What `cargo test` has to be told to build it.
    pub(super) fn target(self) -> Vec<&'static str> {
        match self {
            Self::Scripts => Vec::new(),
            Self::Units(package) => vec!["--package", package, "--lib"],
            Self::Programs(package, name) => vec!["--package", package, "--test", name],
        }
    }

    /// How the rows of the guest and the names of results call it.
    pub(super) fn name(self) -> String {
        match self {
            Self::Scripts => "scripts".to_owned(),
            Self::Units(package) => format!("{package}-units"),
            Self::Programs(package, name) => format!("{package}-{name}"),
        }
    }
}

/// What of a row `cargo xtask test` runs, whose ten minutes are for everything.
#[derive(Clone, Copy, Debug)]
enum Share {
    /// The same as `cargo xtask vm`.
    All,
    /// Tests with one of these names.
    Only(&'static [&'static str]),
}

/// A suite in a profile.
struct Row {
    profile: &'static str,
    suite: Suite,
    /// A test runs if its name contains one of these, and none of those that begin with `!`.
    names: &'static [&'static str],
    share: Share,
    /// For the whole row; tests that have not begun by then fail.
    limit_s: u64,
}

/// What a command asks for.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    /// One profile instead of all.
    profile: Option<&'static str>,
    /// Only tests whose names contain this.
    only: String,
    /// Only what fits into `cargo xtask test`.
    share: bool,
}

impl Selection {
    /// What `cargo xtask test` runs.
    pub(crate) fn share() -> Self {
        Self {
            share: true,
            ..Self::default()
        }
    }

    /// From the words of `cargo xtask vm [PROFILE] [TEXT]`.
    ///
    /// # Errors
    /// There are two words and the first is no profile.
    pub(super) fn parse(first: Option<String>, second: Option<String>) -> Outcome<Self> {
        let known = |word: &str| PROFILES.iter().find(|profile| profile.name == word);
        let first = first.unwrap_or_default();
        let (profile, only) = match (known(&first), second) {
            (None, None) => (None, first),
            (Some(profile), text) => (Some(profile.name), text.unwrap_or_default()),
            (None, Some(_)) => return Err(unknown(&first)),
        };
        Ok(Self {
            profile,
            only,
            share: false,
        })
    }

    /// The part of a test's name that `cargo xtask vm` was given, else nothing.
    pub(super) fn only(&self) -> &str {
        &self.only
    }

    /// What this means for a guest; without rows the guest need not boot.
    pub(super) fn errands(&self, guest: Guest) -> Vec<Errand> {
        let lives_here = |row: &&Row| {
            PROFILES
                .iter()
                .any(|profile| profile.name == row.profile && profile.guest == guest)
        };
        ROWS.iter()
            .filter(lives_here)
            .filter(|row| self.profile.is_none_or(|name| name == row.profile))
            .map(|row| row.errand(self.share))
            .collect()
    }
}

impl Row {
    fn errand(&self, share: bool) -> Errand {
        let names = match self.share {
            Share::Only(names) if share => names,
            Share::Only(_) | Share::All => self.names,
        };
        Errand {
            profile: self.profile,
            suite: self.suite,
            names,
            limit_s: self.limit_s,
        }
    }
}

/// A row as a guest gets it.
#[derive(Debug)]
pub(super) struct Errand {
    profile: &'static str,
    /// Which tests.
    pub(super) suite: Suite,
    names: &'static [&'static str],
    /// Seconds until the rest of its tests fail.
    pub(super) limit_s: u64,
}

impl Errand {
    /// The line that harness.sh reads: profile, seconds, suite, names.
    pub(super) fn line(&self) -> String {
        let suite = self.suite.name();
        let names = self.names.join(" ");
        format!("{} {} {suite} {names}\n", self.profile, self.limit_s)
    }
}

fn unknown(word: &str) -> Failure {
    let names: Vec<_> = PROFILES.iter().map(|profile| profile.name).collect();
    let hint = nearest(word, names.iter().copied())
        .map_or_else(String::new, |near| format!("; did you mean {near}?"));
    Failure::usage(format!(
        "vm knows the profiles {}, not \"{word}\"{hint}",
        names.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Boots and builds are paid apart; more than this does not fit beside the other tests.
    const SHARE_LIMIT_S: u64 = 600;

    #[test]
    fn every_row_has_a_profile_and_every_profile_a_row() {
        for row in ROWS {
            assert!(PROFILES.iter().any(|profile| profile.name == row.profile));
            assert!(row.limit_s <= SHARE_LIMIT_S, "{}", row.profile);
        }
        for profile in &PROFILES {
            assert!(
                ROWS.iter().any(|row| row.profile == profile.name),
                "{}",
                profile.name
            );
        }
    }

    #[test]
    fn a_word_is_a_profile_or_a_part_of_a_tests_name() {
        let parse = |words: &[&str]| {
            let mut words = words.iter().map(|word| (*word).to_owned());
            Selection::parse(words.next(), words.next())
        };
        let profile = parse(&["systemd"]).unwrap();
        assert!(profile.errands(Guest::Shell).is_empty());
        assert!(!profile.errands(Guest::Systemd).is_empty());
        let text = parse(&["limit"]).unwrap();
        assert_eq!(text.only(), "limit");
        assert!(!text.errands(Guest::Shell).is_empty());
        let both = parse(&["plain", "limit"]).unwrap();
        assert_eq!((both.only(), both.profile), ("limit", Some("plain")));
        let wrong = parse(&["plane", "limit"]).unwrap_err().to_string();
        assert!(wrong.contains("did you mean plain?"), "{wrong}");
    }

    #[test]
    fn the_share_narrows_the_names() {
        let names = |selection: &Selection| -> Vec<usize> {
            let errands = selection.errands(Guest::Systemd);
            errands.iter().map(|errand| errand.names.len()).collect()
        };
        let (all, share) = (names(&Selection::default()), names(&Selection::share()));
        assert_eq!(all.len(), share.len());
        assert_ne!(all, share);
    }
}
