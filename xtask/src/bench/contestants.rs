//! Who is measured, at what.

use super::peers::Peers;
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
            Self::Exec => "exec, true",
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
    fn new(name: &'static str, work: Work, place: Place, timed: &[&[&str]]) -> Self {
        Self {
            name,
            work,
            place,
            before: vec![],
            timed: lines(timed),
            after: vec![],
        }
    }

    fn between(mut self, before: &[&[&str]], after: &[&[&str]]) -> Self {
        self.before = lines(before);
        self.after = lines(after);
        self
    }
}

fn lines(commands: &[&[&str]]) -> Vec<Vec<String>> {
    commands
        .iter()
        .map(|words| words.iter().map(|word| (*word).to_owned()).collect())
        .collect()
}

/// Everybody who can take part here, those on the floor first.
pub(super) fn all(stage: &Stage, ours: &Berth, peers: &Peers) -> Vec<Contestant> {
    let mut all = floor(stage);
    all.extend(bundles(stage));
    all.extend(berth(ours));
    if let Some(docker) = peers.docker() {
        all.extend(engine("docker", Place::Host, &docker));
    }
    if let Some(podman) = peers.podman() {
        all.extend(engine("podman", Place::Apart, &podman));
    }
    all
}

fn floor(stage: &Stage) -> Vec<Contestant> {
    let floor = &*stage.floor.to_string_lossy();
    let rootfs = &*stage.rootfs.to_string_lossy();
    vec![
        Contestant::new(
            "floor",
            Work::Bundle,
            Place::Host,
            &[&[floor, rootfs, "/bin/true"]],
        ),
        Contestant::new(
            "floor",
            Work::Run,
            Place::Host,
            &[&[floor, "host", "/usr/bin/true"]],
        ),
    ]
}

fn bundles(stage: &Stage) -> Vec<Contestant> {
    let Some(bundle) = &stage.bundle else {
        return Vec::new();
    };
    let bundle = &*bundle.to_string_lossy();
    let runtime = &*stage.runtime.to_string_lossy();
    let state = |name: &str| stage.folder.join(name).to_string_lossy().into_owned();
    let (ours, crun, runc) = (state("oci-berth"), state("oci-crun"), state("oci-runc"));
    let mut all = Vec::new();
    for (name, program, state, place) in [
        ("berth-runtime", runtime, &ours, Place::Host),
        ("crun", "crun", &crun, Place::Apart),
        ("runc", "runc", &runc, Place::Apart),
    ] {
        if program == runtime || crate::exec::installed(program) {
            let words = [
                program, "--root", state, "run", "--bundle", bundle, "bench-{}",
            ];
            all.push(Contestant::new(name, Work::Bundle, place, &[&words]));
        }
    }
    all
}

/// Our own engine, which names things as Docker does but calls its built-in image `host`.
fn berth(berth: &Berth) -> Vec<Contestant> {
    let start: Vec<&str> = berth.start().iter().map(String::as_str).collect();
    let with = |rest: &[&'static str]| [&start[..], rest].concat();
    let run = with(&["run", "--rm", "--net", "none", "host", "true"]);
    let detached = with(&[
        "run", "-d", "--net", "none", "--name", "d{}", "host", "sleep", "1000",
    ]);
    let removed = with(&["rm", "-f", "d{}"]);
    let executed = with(&["exec", "bench", "true"]);
    let before = with(&[
        "run", "-d", "--net", "none", "--name", "bench", "host", "sleep", "9999",
    ]);
    let after = with(&["rm", "-f", "bench"]);
    vec![
        Contestant::new("berth", Work::Run, Place::Host, &[&run]),
        Contestant::new(
            "berth",
            Work::RunAndRemove,
            Place::Host,
            &[&detached, &removed],
        ),
        Contestant::new("berth", Work::Exec, Place::Host, &[&executed])
            .between(&[&before], &[&after]),
    ]
}

/// The three works of docker or podman; `start` are the words up to the subcommand.
fn engine(name: &'static str, place: Place, start: &[String]) -> Vec<Contestant> {
    let start: Vec<&str> = start.iter().map(String::as_str).collect();
    let with = |rest: &[&'static str]| [&start[..], rest].concat();
    let run = with(&["run", "--rm", "--network=none", "bench", "true"]);
    let detached = with(&[
        "run",
        "-d",
        "--network=none",
        "--name=d{}",
        "bench",
        "sleep",
        "1000",
    ]);
    let removed = with(&["rm", "-f", "d{}"]);
    let executed = with(&["exec", "bench", "true"]);
    let before = with(&[
        "run",
        "-d",
        "--network=none",
        "--name=bench",
        "bench",
        "sleep",
        "9999",
    ]);
    let after = with(&["rm", "-f", "bench"]);
    vec![
        Contestant::new(name, Work::Run, place, &[&run]),
        Contestant::new(name, Work::RunAndRemove, place, &[&detached, &removed]),
        Contestant::new(name, Work::Exec, place, &[&executed]).between(&[&before], &[&after]),
    ]
}
