//! What is measured of an image, and how each engine is asked for it.

use std::path::Path;

use super::super::contestants::Place;
use super::super::peers::{CGROUP, Peers};
use crate::berth::Berth;

/// One thing that is done with an image, in the order of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    Load,
    /// The first container of what was loaded.
    RunLoaded,
    Save,
    RemoveLoaded,
    Pull,
    /// The first container of what was pulled.
    RunPulled,
    Push,
    RemovePulled,
}

impl Work {
    pub(super) const ALL: [Self; 8] = [
        Self::Load,
        Self::RunLoaded,
        Self::Save,
        Self::RemoveLoaded,
        Self::Pull,
        Self::RunPulled,
        Self::Push,
        Self::RemovePulled,
    ];

    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::RunLoaded => "first run after load",
            Self::Save => "save",
            Self::RemoveLoaded => "rmi after load",
            Self::Pull => "pull",
            Self::RunPulled => "first run after pull",
            Self::Push => "push",
            Self::RemovePulled => "rmi after pull",
        }
    }
}

/// The image by its names, and its archives.
pub(super) struct Names<'a> {
    /// At the registry from which it is pulled; the archive gives it the same.
    pub(super) source: &'a str,
    /// At the registry to which it is pushed.
    pub(super) sink: &'a str,
    /// What is loaded.
    pub(super) archive: &'a Path,
    /// What is saved.
    pub(super) saved: &'a Path,
}

/// An engine that takes part.
pub(super) struct Engine {
    pub(super) name: &'static str,
    pub(super) place: Place,
    /// The words up to the subcommand.
    start: Vec<String>,
    /// What `run` needs.
    run: String,
    /// What talking to a registry without TLS needs.
    plain: &'static str,
}

impl Engine {
    /// Ours, and the peers that are there.
    pub(super) fn all(berth: &Berth, peers: &Peers) -> Vec<Self> {
        let mut all = vec![Self {
            name: "berth",
            place: Place::Host,
            start: berth.start().to_vec(),
            run: "--net none".to_owned(),
            plain: "",
        }];
        let run = format!("--network none --cgroup-parent /{CGROUP}");
        if let Some(start) = peers.docker() {
            all.push(Self {
                name: "docker",
                place: Place::Host,
                start: start.to_vec(),
                run: run.clone(),
                plain: "",
            });
        }
        if let Some(start) = peers.podman() {
            all.push(Self {
                name: "podman",
                place: Place::Apart,
                start: start.to_vec(),
                run,
                plain: "--tls-verify=false",
            });
        }
        all
    }

    /// What is to be done before the work is timed.
    pub(super) fn before(&self, work: Work, names: &Names<'_>) -> Vec<Vec<String>> {
        match work {
            Work::Push => vec![self.words(&format!("tag {} {}", names.source, names.sink))],
            _ => Vec::new(),
        }
    }

    /// The command that is timed.
    pub(super) fn timed(&self, work: Work, names: &Names<'_>) -> Vec<String> {
        let Names { source, sink, .. } = names;
        let (archive, saved) = (names.archive.display(), names.saved.display());
        let (run, plain) = (&self.run, self.plain);
        self.words(&match work {
            Work::Load => format!("load -q -i {archive}"),
            Work::RunLoaded | Work::RunPulled => format!("run --rm {run} {source} true"),
            Work::Save => format!("save -o {saved} {source}"),
            Work::RemoveLoaded => format!("rmi {source}"),
            Work::Pull => format!("pull -q {plain} {source}"),
            Work::Push => format!("push -q {plain} {sink}"),
            Work::RemovePulled => format!("rmi {source} {sink}"),
        })
    }

    fn words(&self, text: &str) -> Vec<String> {
        let mut words = self.start.clone();
        words.extend(text.split_whitespace().map(str::to_owned));
        words
    }
}
