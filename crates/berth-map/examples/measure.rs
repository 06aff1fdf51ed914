//! Times one snapshot of this host and one translation, in process.
//!
//! `cargo run --release -p berth-map --example measure [STATE_DIR]`

use std::time::{Duration, Instant};

use berth_base::HostPid;
use berth_map::discover::Sources;
use berth_map::draw::{self, MapOptions};
use berth_map::json::{Layout, MapDocument, to_text};
use berth_map::model::World;

const ROUNDS: usize = 11;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let state_dir = std::env::args().nth(1).unwrap_or("/run/berth".to_owned());
    let sources = Sources::host(state_dir)?;
    let mut whole = Vec::new();
    let mut world = World::discover(&sources)?;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        world = World::discover(&sources)?;
        whole.push(start.elapsed());
    }
    let own = HostPid::new(std::process::id()).ok_or("no PID")?;
    let deepest = world.processes().iter().max_by_key(|p| p.level());
    let mut one = Vec::new();
    for pid in [Some(own), deepest.map(|p| p.pid)].into_iter().flatten() {
        for _ in 0..ROUNDS {
            let start = Instant::now();
            World::around(&sources, pid)?;
            one.push(start.elapsed());
        }
    }
    let processes = world.processes().len();
    let whole = median(whole);
    println!(
        "{processes} processes, {} namespaces, {} containers",
        world.namespaces().count(),
        world.containers().len()
    );
    println!(
        "whole host: {whole:?}, {:?} per 1,000 processes",
        whole * 1000 / u32::try_from(processes)?
    );
    let start = Instant::now();
    let drawn = draw::map(&world, &MapOptions::default()).len();
    println!("drawing {drawn} bytes: {:?}", start.elapsed());
    let start = Instant::now();
    let json = to_text(&MapDocument::from(&world), Layout::Compact)?.len();
    println!("{json} bytes of JSON: {:?}", start.elapsed());
    println!("one process: {:?}", median(one));
    Ok(())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
