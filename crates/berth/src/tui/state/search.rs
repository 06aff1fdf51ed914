//! Finding processes by any PID at any level, or by name.

use std::collections::HashMap;

use berth_base::{HostPid, escape_untrusted};
use berth_map::model::Process;
use berth_map::{ContainerIndex, World};

/// The most matches that are listed.
const MOST: usize = 1000;

/// A process that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    /// Its PID on the host.
    pub(crate) pid: HostPid,
    /// Its PID at every level, the host's first.
    pub(crate) pids: Vec<u32>,
    /// Its name, escaped.
    pub(crate) name: String,
    /// The container it belongs to, escaped; `host` where it belongs to none.
    pub(crate) place: String,
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Matches {
    /// What was looked for.
    pub(crate) text: String,
    /// The processes, by host PID.
    pub(crate) all: Vec<Match>,
    /// How many more there are.
    pub(crate) more: usize,
}

impl Matches {
    /// Looks for a text: a number is a PID at any level, `web:29` one in a container, anything
    /// else a part of a process's or container's name.
    pub(super) fn find(world: &World, text: &str) -> Self {
        let text = text.trim();
        let mut matches = Self {
            text: text.to_owned(),
            ..Self::default()
        };
        if text.is_empty() {
            return matches;
        }
        let wanted = Wanted::parse(text);
        let labels: HashMap<ContainerIndex, String> = world
            .indexed_containers()
            .map(|(index, _)| (index, world.container_label(index)))
            .collect();
        for process in world.processes() {
            let owner = world.owner(process.pid);
            let place = owner.and_then(|index| labels.get(&index));
            if !wanted.means(world, process, place) {
                continue;
            }
            if matches.all.len() == MOST {
                matches.more += 1;
                continue;
            }
            matches.all.push(Match {
                pid: process.pid,
                pids: process.pids.clone(),
                name: escape_untrusted(&process.comm).into_owned(),
                place: place.map_or_else(|| "host".to_owned(), String::clone),
            });
        }
        matches
    }

    /// `29 is three processes`.
    pub(crate) fn sentence(&self) -> String {
        let text = escape_untrusted(&self.text);
        let count = self.all.len() + self.more;
        let is_number = self.text.bytes().all(|b| b.is_ascii_digit());
        let (verb, count) = match (is_number, count) {
            (true, 0) => ("is", "no process".to_owned()),
            (true, 1) => ("is", "one process".to_owned()),
            (true, n) => ("is", format!("{} processes", in_words(n))),
            (false, 0) => ("names", "no process".to_owned()),
            (false, 1) => ("names", "one process".to_owned()),
            (false, n) => ("names", format!("{} processes", in_words(n))),
        };
        format!("{text} {verb} {count}")
    }
}

/// What is looked for.
enum Wanted {
    /// A PID at any level.
    Pid(u32),
    /// A PID in containers of a name, lower case.
    Inside(String, u32),
    /// A part of a name, lower case.
    Name(String),
}

impl Wanted {
    fn parse(text: &str) -> Self {
        if let Ok(pid) = text.parse() {
            return Self::Pid(pid);
        }
        match text.rsplit_once(':') {
            Some((container, pid)) if !container.is_empty() => match pid.parse() {
                Ok(pid) => Self::Inside(container.to_lowercase(), pid),
                Err(_) => Self::Name(text.to_lowercase()),
            },
            _ => Self::Name(text.to_lowercase()),
        }
    }

    fn means(&self, world: &World, process: &Process, place: Option<&String>) -> bool {
        let in_place = |name: &str| place.is_some_and(|p| p.to_lowercase().contains(name));
        match self {
            Self::Pid(pid) => {
                let mut threads = world.threads(process.pid).iter();
                process.pids.contains(pid) || threads.any(|t| t.tids.contains(pid))
            }
            Self::Inside(name, pid) => process.pids.contains(pid) && in_place(name),
            Self::Name(name) => process.comm.to_lowercase().contains(name) || in_place(name),
        }
    }
}

/// Small numbers as words.
fn in_words(number: usize) -> String {
    const WORDS: [&str; 11] = [
        "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    ];
    let word = number.checked_sub(2).and_then(|at| WORDS.get(at));
    word.map_or_else(|| number.to_string(), |word| (*word).to_owned())
}
