//! `bench engine`: what people do every day, by our engine, docker and podman in one run.
//!
//! Starts, `exec` and a stop; a list of 1,000 containers; a log of 1 GiB, written and read; what 200
//! containers cost that do nothing but have their health looked after.

mod idle;
mod listing;
mod logs;
mod starts;

use std::time::Duration;

use super::How;
use super::contestants::{Place, words};
use super::net::{IMAGE, Space};
use super::peers::{self, CGROUP, Peers, Watches};
use super::rootfs::{self, Stage};
use crate::berth::Berth;
use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::scratch::Scratch;
use crate::setup::{self, Purpose};

/// The parts, in their order.
const PARTS: [&str; 4] = ["starts", "ps", "logs", "idle"];

/// How long one command may take where it handles a GiB.
const PATIENCE: Duration = Duration::from_secs(900);

/// How much is measured.
struct Scale {
    rounds: usize,
    /// In the list.
    containers: usize,
    /// In the log.
    mebibytes: usize,
    /// With a health check.
    checked: usize,
    markdown: bool,
}

impl Scale {
    fn of(how: &How, quick: bool) -> Self {
        let pick = |whole, small| if quick { small } else { whole };
        Self {
            rounds: how.rounds.unwrap_or(pick(20, 2)),
            containers: pick(1000, 20),
            mebibytes: pick(1024, 16),
            checked: pick(200, 5),
            markdown: how.markdown,
        }
    }
}

/// Runs the measurement, or one part of it; `quick` takes less of everything, to see that every row
/// works.
pub(super) fn run(how: &How, quick: bool, part: Option<&str>) -> Outcome {
    if let Some(other) = part.filter(|part| !PARTS.contains(part)) {
        return Err(Failure::usage(format!(
            "bench engine has the parts {}, not \"{other}\"",
            PARTS.join(", ")
        )));
    }
    let has = |one: &str| part.is_none_or(|part| part == one);
    setup::ensure(&[Purpose::Peers, Purpose::Nets])?;
    let binaries = super::prepare(how)?;
    let interrupt = Interrupt::catch()?;
    let scratch = Scratch::make("bench")?;
    let stage = rootfs::prepare(&scratch, &binaries)?;
    let host = Space::new()?;
    let berth = Berth::within(host.entrance(), &stage.berth, &stage.folder);
    let archive = peers::archive(&stage)?;
    berth.read(&["import", "-q", &archive.to_string_lossy(), IMAGE])?;
    let scale = Scale::of(how, quick);
    if has("starts") {
        let peers = peers::start_bridged(&stage, &host.net())?;
        starts::measure(&berth, &peers, &interrupt, &scale)?;
    }
    if ["ps", "logs", "idle"].into_iter().any(has) {
        let mut world = World::new(&stage, &host, &berth)?;
        if has("ps") {
            listing::measure(&mut world, &interrupt, &scale)?;
        }
        if has("logs") {
            logs::measure(&mut world, &interrupt, &scale)?;
        }
        if has("idle") {
            idle::measure(&mut world, &interrupt, &scale)?;
        }
    }
    Ok(())
}

/// An engine that takes part.
struct Engine {
    name: &'static str,
    place: Place,
    /// The words up to the subcommand.
    start: Vec<String>,
    /// What `run` and `create` need beside the network, with a space before it.
    options: String,
    /// Removal by SIGKILL, without a stop signal before.
    remove: &'static str,
}

impl Engine {
    /// Ours, and the peers that are there.
    fn all(berth: &Berth, peers: &Peers) -> Vec<Self> {
        let options = format!(" --cgroup-parent /{CGROUP}");
        let theirs = [
            ("docker", Place::Host, peers.docker(), "rm -f"),
            ("podman", Place::Apart, peers.podman(), "rm -f -t 0"),
        ];
        let ours = Self {
            name: "berth",
            place: Place::Host,
            start: berth.start().to_vec(),
            options: String::new(),
            remove: "rm -f",
        };
        let theirs = theirs
            .into_iter()
            .filter_map(|(name, place, start, remove)| {
                Some(Self {
                    name,
                    place,
                    start: start?.to_vec(),
                    options: options.clone(),
                    remove,
                })
            });
        [ours].into_iter().chain(theirs).collect()
    }

    /// A command line, without spaces within a word.
    fn words(&self, rest: &str) -> Vec<String> {
        words(&self.start, rest)
    }

    /// A container without a network in the background.
    fn detached(&self, options: &str, name: &str, command: &str) -> Vec<String> {
        let own = &self.options;
        self.words(&format!(
            "run -d --network none{own}{options} --name {name} {IMAGE} {command}"
        ))
    }
}

/// The engines without bridges, and who times them.
struct World {
    engines: Vec<Engine>,
    watches: Watches,
    // Ended with the world.
    _peers: Peers,
}

impl World {
    fn new(stage: &Stage, host: &Space, berth: &Berth) -> Outcome<Self> {
        let peers = peers::start_empty(&stage.folder, &host.net(), PATIENCE)?;
        peers.give_image(stage)?;
        Ok(Self {
            engines: Engine::all(berth, &peers),
            watches: peers.watches()?,
            _peers: peers,
        })
    }

    /// Does something by an engine; the time, or the reason why there is none.
    fn time(
        &mut self,
        engine: usize,
        commands: &[Vec<String>],
    ) -> Outcome<Result<Duration, String>> {
        let place = self.engines[engine].place;
        let timed = self.watches.row(place, commands)?;
        Ok(timed.map_err(|miss| miss.to_string()))
    }

    /// The same for what must be done.
    fn must(&mut self, engine: usize, commands: &[Vec<String>]) -> Outcome<Duration> {
        let name = self.engines[engine].name;
        self.time(engine, commands)?
            .map_err(|why| Failure::new(format!("{name}: {why}")))
    }
}

/// Says what is measured next.
fn announce(what: &str) {
    exec::announce(&format!("bench: {what}"));
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
