//! Who is measured, at what.

use super::peers::{CGROUP, Peers};
use super::rootfs::Stage;
use crate::berth::Berth;

/// What is done, to compare like with like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Work {
    /// A container from an OCI bundle, from start to end.
    Bundle,
    /// A container in the foreground, network namespace with loopback alone, removed at its end.
    Run,
    /// A container started in the background, and removed by force.
    RunAndRemove,
    /// As `Run`, many at once.
    Crowd,
    /// `true` in a running container.
    Exec,
}

impl Work {
    /// As a heading.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Bundle => "OCI bundle, true",
            Self::Run => "run --rm --net none, true",
            Self::RunAndRemove => "run -d, rm -f",
            Self::Crowd => "32 at once of run --rm --net none, true",
            Self::Exec => "exec, true",
        }
    }

    /// How many run at once.
    pub(super) const fn copies(self) -> usize {
        match self {
            Self::Crowd => 32,
            _ => 1,
        }
    }
}

/// Where a contestant lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The host as it is.
    Host,
    /// Namespaces of its own without the v2 hierarchy of a hybrid host, which some peers refuse.
    Apart,
}

/// One program at one work. In words, `{}` stands for the number of the round.
pub(super) struct Contestant {
    pub(super) name: &'static str,
    pub(super) work: Work,
    pub(super) place: Place,
    /// Once, before all rounds.
    pub(super) before: Vec<Vec<String>>,
    /// Each round, timed as a whole.
    pub(super) timed: Vec<Vec<String>>,
    /// Once, after all rounds.
    pub(super) after: Vec<Vec<String>>,
}

impl Contestant {
    fn new(name: &'static str, work: Work, place: Place, timed: Vec<Vec<String>>) -> Self {
        Self {
            name,
            work,
            place,
            before: vec![],
            timed,
            after: vec![],
        }
    }
}

/// What engines with Docker's command line say differently.
struct Dialect<'a> {
    /// Options of `run` for a network namespace with loopback alone.
    options: &'a str,
    /// The image whose `true` and `sleep` are run.
    image: &'static str,
    /// Removal by SIGKILL, without a stop signal before.
    remove: &'static str,
}

/// Everybody who can take part here, those on the floor first.
pub(super) fn all(stage: &Stage, ours: &Berth, peers: &Peers) -> Vec<Contestant> {
    let mut all = floor(stage);
    all.extend(bundles(stage));
    let berth = Dialect {
        options: "--net none",
        image: "host",
        remove: "rm -f",
    };
    all.extend(engine("berth", Place::Host, ours.start(), &berth));
    let run = words(ours.start(), "run --rm --net none host true");
    all.push(Contestant::new(
        "berth",
        Work::Crowd,
        Place::Host,
        vec![run],
    ));
    let options = &format!("--network none --cgroup-parent /{CGROUP}");
    if let Some(start) = peers.docker() {
        let docker = Dialect {
            options,
            image: "bench",
            remove: "rm -f",
        };
        all.extend(engine("docker", Place::Host, start, &docker));
    }
    if let Some(start) = peers.podman() {
        let podman = Dialect {
            options,
            image: "bench",
            remove: "rm -f -t 0",
        };
        all.extend(engine("podman", Place::Apart, start, &podman));
    }
    all
}

fn floor(stage: &Stage) -> Vec<Contestant> {
    let floor = [stage.floor.to_string_lossy().into_owned()];
    let bundle = words(&floor, &format!("{} /bin/true", stage.rootfs.display()));
    let host = words(&floor, "host /usr/bin/true");
    vec![
        Contestant::new("floor", Work::Bundle, Place::Host, vec![bundle]),
        Contestant::new("floor", Work::Run, Place::Host, vec![host.clone()]),
        Contestant::new("floor", Work::Crowd, Place::Host, vec![host]),
    ]
}

fn bundles(stage: &Stage) -> Vec<Contestant> {
    let Some(bundle) = &stage.bundle else {
        return Vec::new();
    };
    let one = |name: &'static str, program: String, place| {
        let state = stage.folder.join(format!("oci-{name}"));
        let rest = format!("run --bundle {} bench-{{}}", bundle.display());
        let start = [
            program,
            "--root".to_owned(),
            state.to_string_lossy().into_owned(),
        ];
        Contestant::new(name, Work::Bundle, place, vec![words(&start, &rest)])
    };
    let runtime = stage.runtime.to_string_lossy().into_owned();
    let mut all = vec![one("berth-runtime", runtime, Place::Host)];
    let installed = ["crun", "runc"]
        .into_iter()
        .filter(|name| crate::exec::installed(name));
    all.extend(installed.map(|name| one(name, name.to_owned(), Place::Apart)));
    all
}

/// The three works of an engine; `start` are the words up to the subcommand.
fn engine(
    name: &'static str,
    place: Place,
    start: &[String],
    dialect: &Dialect<'_>,
) -> Vec<Contestant> {
    let Dialect {
        options,
        image,
        remove,
    } = dialect;
    let words = |rest: String| words(start, &rest);
    let run = words(format!("run --rm {options} {image} true"));
    let detached = words(format!("run -d {options} --name d{{}} {image} sleep 1000"));
    let removed = words(format!("{remove} d{{}}"));
    let exec = words("exec bench true".to_owned());
    let before = words(format!("run -d {options} --name bench {image} sleep 9999"));
    let after = words(format!("{remove} bench"));
    vec![
        Contestant::new(name, Work::Run, place, vec![run]),
        Contestant::new(name, Work::RunAndRemove, place, vec![detached, removed]),
        Contestant {
            before: vec![before],
            after: vec![after],
            ..Contestant::new(name, Work::Exec, place, vec![exec])
        },
    ]
}

/// A command line from its first words and the rest, which has no spaces within a word.
fn words(start: &[String], rest: &str) -> Vec<String> {
    start
        .iter()
        .cloned()
        .chain(rest.split(' ').map(str::to_owned))
        .collect()
}
