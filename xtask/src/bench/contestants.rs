//! Who is measured, at what.

use super::peers::{CGROUP, Peers};
use super::rootfs::Stage;
use super::stopwatch::{AWAIT, COPY};
use crate::berth::Berth;

/// What is done, to compare like with like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Work {
    /// With runc's default spec, so many at once.
    Oci(Oci, usize),
    /// A container in the foreground, network namespace with loopback alone, removed at its end.
    Run,
    /// A container started in the background, and removed by force.
    RunAndRemove,
    /// As `Run`, many at once.
    Crowd,
    /// `true` in a running container.
    Exec,
    /// A container that is there, started and killed.
    StartStop,
    /// A container in the foreground, of a busybox image, so many at once.
    Net(Net, usize),
}

/// What network a measured container gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Net {
    /// Loopback alone.
    None,
    /// The default bridge.
    Bridge,
    /// The default bridge, and a published port.
    Publish,
}

/// What an OCI runtime is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Oci {
    /// `run`, from start to end.
    Run,
    /// `create`, `start`, the end of the process, `delete`.
    Lifecycle,
    /// `exec` in a running container.
    Exec,
}

/// Who has runc's command line; ours first.
pub(super) const RUNTIMES: [&str; 4] = [OURS, "crun", "runc", "youki"];

const OURS: &str = "berth-runtime";

/// How many of an OCI work run at once.
pub(super) const SIZES: [usize; 3] = [1, 8, 32];

impl Work {
    /// As a heading.
    pub(super) fn title(self) -> String {
        let (what, copies) = match self {
            Self::Oci(Oci::Run, copies) => ("OCI run, true", copies),
            Self::Oci(Oci::Lifecycle, copies) => ("OCI create, start, delete, true", copies),
            Self::Oci(Oci::Exec, copies) => ("OCI exec, true", copies),
            Self::Run => ("run --rm --net none, true", 1),
            Self::RunAndRemove => ("run -d, rm -f", 1),
            Self::Crowd => ("run --rm --net none, true", self.copies()),
            Self::Exec => ("exec, true", 1),
            Self::StartStop => ("start, stop -t 0", 1),
            Self::Net(Net::None, copies) => ("run --rm --network none, true", copies),
            Self::Net(Net::Bridge, copies) => ("run --rm --network bridge, true", copies),
            Self::Net(Net::Publish, copies) => ("run --rm -p 8099:80, true", copies),
        };
        match copies {
            1 => what.to_owned(),
            many => format!("{many} at once of {what}"),
        }
    }

    /// How many run at once.
    pub(super) const fn copies(self) -> usize {
        match self {
            Self::Oci(_, copies) | Self::Net(_, copies) => copies,
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

/// One program at one work. In words, `{}` stands for the number of the round, and
/// [`COPY`](super::stopwatch::COPY) for that of the copy.
pub(super) struct Contestant {
    pub(super) name: &'static str,
    pub(super) work: Work,
    pub(super) place: Place,
    /// Once, before all rounds.
    pub(super) before: Vec<Vec<String>>,
    /// Each round, by each copy, timed as a whole.
    pub(super) timed: Vec<Vec<String>>,
    /// Once, after all rounds.
    pub(super) after: Vec<Vec<String>>,
}

impl Contestant {
    pub(super) fn new(
        name: &'static str,
        work: Work,
        place: Place,
        timed: Vec<Vec<String>>,
    ) -> Self {
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

/// Everybody who takes part in `bench start`, those on the floor first.
pub(super) fn start(stage: &Stage, ours: &Berth, peers: &Peers) -> Vec<Contestant> {
    let mut all = floor(stage);
    for runtime in Runtime::all(stage) {
        all.push(runtime.run(stage, 1));
    }
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

/// Everybody who takes part in `bench oci`.
pub(super) fn oci(stage: &Stage) -> Vec<Contestant> {
    let runtimes = Runtime::all(stage);
    let mut all = Vec::new();
    for copies in SIZES {
        all.push(floor_of_bundle(stage, copies));
        all.push(floor_of_spec(stage, copies));
        for runtime in &runtimes {
            all.push(runtime.run(stage, copies));
            all.push(runtime.lifecycle(stage, copies));
            all.push(runtime.exec(stage, copies));
        }
    }
    all
}

fn floor(stage: &Stage) -> Vec<Contestant> {
    let floor = [stage.floor.to_string_lossy().into_owned()];
    let host = words(&floor, "host /usr/bin/true");
    vec![
        floor_of_bundle(stage, 1),
        Contestant::new("floor", Work::Run, Place::Host, vec![host.clone()]),
        Contestant::new("floor", Work::Crowd, Place::Host, vec![host]),
    ]
}

fn floor_of_bundle(stage: &Stage, copies: usize) -> Contestant {
    on_the_floor("floor", stage, "", copies)
}

/// The floor, with what the default spec asks for besides.
fn floor_of_spec(stage: &Stage, copies: usize) -> Contestant {
    on_the_floor("floor, spec", stage, "spec ", copies)
}

fn on_the_floor(name: &'static str, stage: &Stage, mode: &str, copies: usize) -> Contestant {
    let floor = [stage.floor.to_string_lossy().into_owned()];
    let bundle = words(
        &floor,
        &format!("{mode}{} /bin/true", stage.rootfs.display()),
    );
    let work = Work::Oci(Oci::Run, copies);
    Contestant::new(name, work, Place::Apart, vec![bundle])
}

/// A program with runc's command line.
struct Runtime {
    name: &'static str,
    /// The words up to the subcommand.
    start: Vec<String>,
}

impl Runtime {
    /// Ours, and the installed ones; none where no bundle could be made.
    fn all(stage: &Stage) -> Vec<Self> {
        if !stage.has_bundles {
            return Vec::new();
        }
        let one = |name: &'static str, program: String| {
            let state = stage.folder.join(format!("oci-{name}"));
            let start = vec![
                program,
                "--root".to_owned(),
                state.to_string_lossy().into_owned(),
            ];
            Self { name, start }
        };
        let there = |name: &&str| *name == OURS || crate::exec::installed(name);
        let program = |name| match name {
            OURS => stage.runtime.to_string_lossy().into_owned(),
            peer => peer.to_owned(),
        };
        RUNTIMES
            .into_iter()
            .filter(there)
            .map(|name| one(name, program(name)))
            .collect()
    }

    fn run(&self, stage: &Stage, copies: usize) -> Contestant {
        let bundle = stage.bundle(COPY);
        let run = self.words(format!("run --bundle {bundle} run-{COPY}"));
        self.contestant(Oci::Run, copies, vec![run])
    }

    /// Who calls `start` waits for the container's end itself, as shims do: asking for `state` again
    /// and again would be most of the time.
    fn lifecycle(&self, stage: &Stage, copies: usize) -> Contestant {
        let bundle = stage.bundle(COPY);
        let id = format!("{}-{copies}-{COPY}", self.name);
        let file = stage.folder.join(format!("{id}.pid"));
        let file = file.to_string_lossy().into_owned();
        let timed = vec![
            self.words(format!("create --bundle {bundle} --pid-file {file} {id}")),
            self.words(format!("start {id}")),
            vec![AWAIT.to_owned(), file],
            self.words(format!("delete {id}")),
        ];
        // What a round that failed has left.
        let after = (0..copies)
            .map(|copy| self.words(format!("delete --force {}-{copies}-{copy}", self.name)))
            .collect();
        Contestant {
            after,
            ..self.contestant(Oci::Lifecycle, copies, timed)
        }
    }

    fn exec(&self, stage: &Stage, copies: usize) -> Contestant {
        let id = exec_bundle(self.name, copies);
        let bundle = stage.bundle(&id);
        let exec = self.words(format!("exec {id} /bin/true"));
        Contestant {
            before: vec![
                self.words(format!("create --bundle {bundle} {id}")),
                self.words(format!("start {id}")),
            ],
            after: vec![self.words(format!("delete --force {id}"))],
            ..self.contestant(Oci::Exec, copies, vec![exec])
        }
    }

    fn contestant(&self, oci: Oci, copies: usize, timed: Vec<Vec<String>>) -> Contestant {
        Contestant::new(self.name, Work::Oci(oci, copies), Place::Apart, timed)
    }

    fn words(&self, rest: String) -> Vec<String> {
        words(&self.start, &rest)
    }
}

/// The name of a bundle, and of the container that sleeps in it for `exec`.
pub(super) fn exec_bundle(name: &str, copies: usize) -> String {
    format!("exec-{name}-{copies}")
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
pub(super) fn words(start: &[String], rest: &str) -> Vec<String> {
    start
        .iter()
        .cloned()
        .chain(rest.split(' ').map(str::to_owned))
        .collect()
}
