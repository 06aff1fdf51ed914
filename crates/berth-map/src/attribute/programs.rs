//! Sandboxes without state files or cgroups of their own: known by their first process and the
//! program that made it.
//!
//! The kernel says which process is another's parent and which namespaces it has; the name of a
//! program is its own choice. So such an attribution is a guess, except that nobody else could be
//! meant: a program can only name sandboxes that it made itself.

use berth_base::NamespaceKind;

use crate::model::{Engine, Process};

/// What the command line of a maker, or of a first process, tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    /// What was recognised.
    pub(crate) engine: Engine,
    /// Its name, where it has one.
    pub(crate) name: Option<String>,
    /// What its root was made from, where that is said.
    pub(crate) image: Option<String>,
}

/// Whose command line has to be read to tell what made a first process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Its parent's.
    Maker,
    /// Its own.
    Itself,
    /// None: nothing known makes such.
    Nobody,
}

/// Names of bubblewrap and systemd-nspawn, as `comm` shows them.
pub(crate) const BWRAP: &str = "bwrap";
const NSPAWN: &str = "systemd-nspawn";
/// How Chromium's setuid helper is called, cut to 15 characters.
const CHROME_HELPERS: [&str; 2] = ["chrome-sandbox", "chromium-sandbo"];
/// The process type that Chromium's sandboxed processes are forked from.
const ZYGOTE: &str = "--type=zygote";

/// Whom to ask about a first process of namespaces.
pub(crate) fn whom_to_ask(maker: &Process, init: &Process, monitors: &[&str]) -> Ask {
    let comm = maker.comm.as_str();
    let in_lxc = || {
        let mut paths = init.cgroups.entries.iter();
        paths.any(|entry| entry.path.contains("/lxc.payload.") || entry.path.contains("/lxc/"))
    };
    if comm == BWRAP || comm == NSPAWN || monitors.contains(&comm) || in_lxc() {
        return Ask::Maker;
    }
    let own = |kind| init.namespaces.of(kind) != maker.namespaces.of(kind);
    let alike = init.comm == maker.comm || CHROME_HELPERS.contains(&comm);
    if alike && own(NamespaceKind::Net) && own(NamespaceKind::Pid) {
        return Ask::Itself;
    }
    Ask::Nobody
}

/// Recognises a sandbox by the command line of its maker.
pub(crate) fn recognise_maker(maker: &Process, arguments: &[String]) -> Option<Made> {
    match maker.comm.as_str() {
        BWRAP => Some(Made {
            engine: Engine::Bubblewrap,
            name: None,
            image: None,
        }),
        NSPAWN => {
            let root = option(arguments, &["-D", "--directory", "-i", "--image"]);
            let machine = option(arguments, &["-M", "--machine"]);
            let name = machine.or_else(|| root.as_deref().and_then(machine_name));
            Some(Made {
                engine: Engine::Nspawn,
                name,
                image: root,
            })
        }
        _ => None,
    }
}

/// Recognises a sandbox by the command line of its first process.
pub(crate) fn recognise_init(arguments: &[String]) -> Option<Made> {
    // Chromium writes its whole title as one argument.
    let is_zygote = arguments
        .iter()
        .any(|a| a.split(' ').any(|word| word == ZYGOTE));
    is_zygote.then_some(Made {
        engine: Engine::Chrome,
        name: None,
        image: None,
    })
}

/// The value of an option, written `-M x`, `-Mx`, `--machine x` or `--machine=x`; nothing behind
/// `--` or the command counts, but the first that is found does.
pub(crate) fn option(arguments: &[String], names: &[&str]) -> Option<String> {
    let mut words = arguments.iter().skip(1);
    while let Some(word) = words.next() {
        if word == "--" {
            return None;
        }
        for name in names {
            if word == name {
                return words.next().cloned();
            }
            let rest = word.strip_prefix(name).filter(|rest| !rest.is_empty());
            let value = match name.starts_with("--") {
                true => rest.and_then(|rest| rest.strip_prefix('=')),
                false => rest.filter(|_| !word.starts_with("--")),
            };
            if let Some(value) = value {
                return Some(value.to_owned());
            }
        }
    }
    None
}

/// The machine name that systemd-nspawn takes from a root: its last component, without `.raw`.
fn machine_name(root: &str) -> Option<String> {
    let last = root.trim_end_matches('/').rsplit('/').next()?;
    let bare = last.strip_suffix(".raw").unwrap_or(last);
    (!bare.is_empty()).then(|| bare.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn options_are_read_in_each_way_of_writing() {
        for line in [
            "x -M deb",
            "x -Mdeb",
            "x --machine deb",
            "x -q --machine=deb -D /y",
        ] {
            let found = option(&words(line), &["-M", "--machine"]);
            assert_eq!(found.as_deref(), Some("deb"), "{line}");
        }
        for line in ["x", "x -D /y", "x -- -M deb", "x --machined", "x -M"] {
            assert_eq!(option(&words(line), &["-M", "--machine"]), None, "{line}");
        }
        assert_eq!(machine_name("/srv/deb/").as_deref(), Some("deb"));
        assert_eq!(machine_name("/srv/deb.raw").as_deref(), Some("deb"));
        assert_eq!(machine_name("/"), None);
    }

    #[test]
    fn a_zygote_is_known_with_its_title_in_one_piece_too() {
        assert!(recognise_init(&words("/x/chrome --type=zygote --y")).is_some());
        assert!(recognise_init(&["/x/chrome --type=zygote --y".to_owned()]).is_some());
        assert!(recognise_init(&words("/x/chrome --type=zygotes")).is_none());
    }
}
