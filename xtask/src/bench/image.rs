//! `bench image`: a 1 GiB image loaded, run, saved, removed, pulled, run, pushed and removed by us,
//! docker and podman.
//!
//! All start from an empty store, have their stores on the file system of the temporary folder, and
//! talk to the same registries over the same loopback. Before each measurement everything is
//! synced, so that nobody pays for the writing of another.

mod archive;
mod content;
mod density;
mod engines;
mod registry;
mod results;
mod shares;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::How;
use super::peers::{self, Peers, Watches};
use crate::berth::Berth;
use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::scratch::Scratch;
use crate::setup::{self, Purpose};
use archive::{Archive, Size};
use engines::{Engine, Names, Work};
use registry::Registry;
use results::Lane;

/// Each takes minutes.
const ROUNDS: usize = 3;

/// How long one command may take.
const DEADLINE: Duration = Duration::from_secs(600);

/// After the removal of an image. For a minute ext4 reuses no inode of a deleted file and looks at
/// each of them again for every new file (fs/ext4/ialloc.c, RECENTCY_MIN): with tens of thousands
/// just deleted, unpacking takes ten times as long, whoever does it.
const PAUSE: Duration = Duration::from_secs(61);

/// What the image is called.
const IMAGE: &str = "bench:latest";

/// Runs the measurement; `quick` takes a sixth of the image, to see that everything works.
pub(super) fn run(how: &How, quick: bool) -> Outcome {
    setup::ensure(&[Purpose::Images])?;
    let binaries = super::prepare(how)?;
    let program = crate::build::example("berth-image", "shares", how.dev)?;
    let interrupt = Interrupt::catch()?;
    let scratch = Scratch::make("bench")?;
    let folder = scratch.path();
    let (rounds, size) = match quick {
        true => (how.rounds.unwrap_or(1), Size::QUICK),
        false => (how.rounds.unwrap_or(ROUNDS), Size::WHOLE),
    };
    let source = Registry::alone(folder, 5000)?;
    let sink = source.beside(folder, 5001)?;
    let (name, pushed) = (source.name(IMAGE), sink.name(IMAGE));
    exec::announce("bench: making the image");
    let archive = archive::make(folder, &name, size)?;
    publish(&source, &archive, &name)?;
    let peers = peers::start_empty(folder, &source.net(), DEADLINE)?;
    let berth = Berth::new(&binaries[0], folder);
    let names = Names {
        source: &name,
        sink: &pushed,
        archive: &archive.path,
        saved: &folder.join("saved.tar"),
    };
    let bench = Bench {
        engines: Engine::all(&berth, &peers),
        names,
        sink: &sink,
        interrupt: &interrupt,
        pause: if quick { Duration::ZERO } else { PAUSE },
    };
    bench.measure(&peers, &archive, rounds, how.markdown)?;
    let own = Own {
        berth: &berth,
        program: &program,
        folder,
        markdown: how.markdown,
    };
    own.after_load(&bench.names)?;
    bench.rest()?;
    own.after_pull(&source, &bench.names)
}

/// Puts the image into the registry, its layers packed by gzip.
fn publish(registry: &Registry, archive: &Archive, name: &str) -> Outcome {
    let words = registry.entrance();
    let mut copy = Command::new(&words[0]);
    copy.args(&words[1..])
        .args(["skopeo", "--insecure-policy", "copy", "-q"])
        .args(["--dest-tls-verify=false", "--dest-compress-format=gzip"])
        .arg(format!("docker-archive:{}", archive.path.display()))
        .arg(format!("docker://{name}"));
    exec::read(&mut copy).map(drop)
}

/// Who takes part, and with what.
struct Bench<'a> {
    engines: Vec<Engine>,
    names: Names<'a>,
    sink: &'a Registry,
    interrupt: &'a Interrupt,
    pause: Duration,
}

impl Bench<'_> {
    fn measure(&self, peers: &Peers, archive: &Archive, rounds: usize, markdown: bool) -> Outcome {
        let mut watches = peers.watches()?;
        let mut lanes: Vec<Lane> = self.engines.iter().map(|e| Lane::new(e.name)).collect();
        exec::announce(&format!(
            "bench: {} engines, {rounds} rounds, an image of {:.0} MiB in {} files",
            lanes.len(),
            archive.bytes as f64 / f64::from(1 << 20),
            archive.files
        ));
        let done = self.rounds(&mut lanes, &mut watches, rounds);
        // What was measured until a failure is worth a look, too.
        print!("{}", results::render(&lanes, rounds, markdown));
        done
    }

    fn rounds(&self, lanes: &mut [Lane], watches: &mut Watches, rounds: usize) -> Outcome {
        let count = self.engines.len();
        for round in 0..rounds {
            // Everybody comes first in turn.
            for at in (0..count).map(|at| (at + round) % count) {
                self.turn(&self.engines[at], &mut lanes[at], watches)?;
            }
        }
        Ok(())
    }

    /// All works of one engine, from an empty store to an empty store.
    fn turn(&self, engine: &Engine, lane: &mut Lane, watches: &mut Watches) -> Outcome {
        for work in Work::ALL {
            self.interrupt.check()?;
            let before = engine.before(work, &self.names);
            let ready = watches.row(engine.place, &before)?;
            rustix::fs::sync();
            let timed = engine.timed(work, &self.names);
            let done = match ready {
                Ok(_) => watches.row(engine.place, &[timed])?,
                Err(why) => Err(why),
            };
            match done {
                Ok(time) => lane.times[work as usize].push(time),
                Err(why) => lane.failed[work as usize] = Some(why),
            }
            self.clear(work)?;
        }
        Ok(())
    }

    /// Removes what a work leaves outside of the engine's store, and lets a removal be forgotten.
    fn clear(&self, work: Work) -> Outcome {
        match work {
            Work::Save => remove(self.names.saved),
            Work::Push => self.sink.empty(),
            Work::RemoveLoaded | Work::RemovePulled => self.rest(),
            _ => Ok(()),
        }
    }

    fn rest(&self) -> Outcome {
        rustix::fs::sync();
        let end = Instant::now() + self.pause;
        while Instant::now() < end {
            self.interrupt.check()?;
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }
}

fn remove(path: &Path) -> Outcome {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::file("remove", path, &error))
        }
        _ => Ok(()),
    }
}

/// What is measured of us alone.
struct Own<'a> {
    berth: &'a Berth,
    program: &'a Path,
    folder: &'a Path,
    markdown: bool,
}

impl Own<'_> {
    fn after_load(&self, names: &Names<'_>) -> Outcome {
        let archive = names.archive.to_string_lossy();
        self.berth.read(&["load", "-q", "-i", &archive])?;
        self.shares(names.source, "load, layers not packed")?;
        let text = density::measure(self.berth, names.source, self.markdown)?;
        print!("{text}");
        self.berth.read(&["rmi", names.source]).map(drop)
    }

    fn after_pull(&self, source: &Registry, names: &Names<'_>) -> Outcome {
        let words = source.entrance();
        let mut pull = Command::new(&words[0]);
        pull.args(&words[1..]).args(self.berth.start());
        exec::read(pull.args(["pull", "-q", names.source]))?;
        self.shares(names.source, "pull, layers packed by gzip")?;
        self.berth.read(&["rmi", names.source]).map(drop)
    }

    fn shares(&self, image: &str, how: &str) -> Outcome {
        let folder = self.folder.join("unpacked");
        fs::create_dir(&folder).map_err(|error| Failure::file("create", &folder, &error))?;
        let named = (image, how);
        let root = self.berth.root();
        let text = shares::measure(self.program, root, named, &folder, self.markdown)?;
        print!("{text}");
        fs::remove_dir_all(&folder).map_err(|error| Failure::file("remove", &folder, &error))
    }
}
