//! Times snapshots of this host by each source, and one translation, in process.
//!
//! `cargo run --release -p berth-map --example measure [STATE_DIR] [ROUNDS [PROCFS_ROUNDS]]`
//! prints lines of a name, a tab and a number: counts, then medians in nanoseconds, each with the
//! least behind another tab. With `--once STATE_DIR` it takes one snapshot by BPF and says nothing,
//! so that its system calls can be counted. `cargo xtask bench map` starts it.

use std::error::Error;
use std::time::{Duration, Instant};

use berth_base::HostPid;
use berth_map::discover::Sources;
use berth_map::draw::{self, MapOptions};
use berth_map::json::{Layout, MapDocument, to_text};
use berth_map::model::{Source, Wanted, World};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mut words = words.iter().map(String::as_str);
    let first = words.next().unwrap_or("/run/berth");
    if first == "--once" {
        let sources = Sources::host(words.next().unwrap_or("/run/berth"))?;
        World::discover_by(&sources, &Wanted::default(), Source::Bpf)?;
        return Ok(());
    }
    let rounds: usize = words.next().map_or(Ok(11), str::parse)?;
    let procfs_rounds: usize = words.next().map_or(Ok(rounds), str::parse)?;
    let sources = Sources::host(first)?;
    let world = World::discover(&sources)?;
    println!("processes\t{}", world.processes().len());
    println!("namespaces\t{}", world.namespaces().count());
    println!("containers\t{}", world.containers().len());
    let map_by = |source| {
        move |sources: &Sources| World::discover_by(sources, &Wanted::default(), source).map(drop)
    };
    if world.source() == Source::Bpf {
        time("map by bpf", rounds, || map_by(Source::Bpf)(&sources))?;
    } else {
        eprintln!("{}", world.warnings().join("\n"));
    }
    time("map by procfs", procfs_rounds, || {
        map_by(Source::Procfs)(&sources)
    })?;
    let own = HostPid::new(std::process::id()).ok_or("no PID")?;
    let deepest = world.processes().iter().max_by_key(|p| p.level());
    let deepest = deepest.map_or(own, |process| process.pid);
    time("one translation", rounds.max(11), || {
        World::around(&sources, deepest).map(drop)
    })?;
    time("drawing", procfs_rounds, || {
        draw::map(&world, &MapOptions::default());
        Ok::<(), Box<dyn Error>>(())
    })?;
    time("json", procfs_rounds, || {
        to_text(&MapDocument::from(&world), Layout::Compact).map(drop)
    })?;
    Ok(())
}

/// Runs something so many times, after once to warm up, and prints how long it took.
fn time<E>(what: &str, rounds: usize, mut run: impl FnMut() -> Result<(), E>) -> Result<(), E> {
    let mut times: Vec<Duration> = Vec::with_capacity(rounds);
    for round in 0..=rounds {
        let start = Instant::now();
        run()?;
        let time = start.elapsed();
        // Where once takes seconds, there is nothing to warm up.
        if round > 0 || time > Duration::from_secs(1) {
            times.push(time);
        }
        if times.len() >= rounds {
            break;
        }
    }
    times.sort();
    let at = |place: usize| times.get(place).map_or(0, Duration::as_nanos);
    println!("{what}\t{}\t{}", at(times.len() / 2), at(0));
    Ok(())
}
