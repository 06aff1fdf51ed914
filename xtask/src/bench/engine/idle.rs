//! What it costs to look after the health of containers that do nothing.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::super::table::{grid, shown};
use super::{Scale, World, announce};
use crate::failure::{Failure, Outcome};
use crate::interrupt::Interrupt;

/// Between two probes of a container.
const INTERVAL: &str = "10s";
/// How long is measured: several intervals.
const SPAN: Duration = Duration::from_secs(40);
/// What the starts leave is over after that.
const PAUSE: Duration = Duration::from_secs(5);

/// The machine's processor time with each engine's containers there, and without any. podman takes no
/// part: its probes are timers of systemd.
pub(super) fn measure(world: &mut World, interrupt: &Interrupt, scale: &Scale) -> Outcome {
    announce(&format!("{} containers with health checks", scale.checked));
    let mut rows = vec![vec!["nobody".to_owned(), share(interrupt)?]];
    for at in 0..world.engines.len() {
        let name = world.engines[at].name;
        if name == "podman" {
            continue;
        }
        let health = format!(" --health-cmd true --health-interval {INTERVAL}");
        for number in 0..scale.checked {
            interrupt.check()?;
            let run = world.engines[at].detached(&health, &format!("h{number}"), "sleep 99999");
            world.must(at, &[run])?;
        }
        std::thread::sleep(PAUSE);
        rows.push(vec![name.to_owned(), share(interrupt)?]);
        // A daemon of others' can take minutes for it, or hang: its containers go with its world.
        if name == "berth" {
            remove(world, at, scale)?;
        }
    }
    let head = [
        format!("{} containers, a probe each {INTERVAL}", scale.checked),
        "% of one CPU, the whole machine".to_owned(),
    ];
    print!("\n{}", grid(&[&head[0], &head[1]], &rows, scale.markdown));
    Ok(())
}

fn remove(world: &mut World, at: usize, scale: &Scale) -> Outcome {
    let names: Vec<String> = (0..scale.checked).map(|n| format!("h{n}")).collect();
    for names in names.chunks(50) {
        let engine = &world.engines[at];
        let remove = engine.words(&format!("{} {}", engine.remove, names.join(" ")));
        world.must(at, &[remove])?;
    }
    Ok(())
}

/// How much of one processor the machine uses, in percent.
fn share(interrupt: &Interrupt) -> Outcome<String> {
    let (before, begun) = (busy_ticks()?, Instant::now());
    while begun.elapsed() < SPAN {
        interrupt.check()?;
        std::thread::sleep(Duration::from_millis(200));
    }
    let ticks = busy_ticks()?.saturating_sub(before);
    let ticks = f64::from(u32::try_from(ticks).unwrap_or(u32::MAX));
    // USER_HZ, which is 100 on every architecture that we run on (proc_stat(5)).
    let seconds = ticks / 100.0;
    Ok(shown(
        Some(100.0 * seconds / begun.elapsed().as_secs_f64()),
        1,
    ))
}

/// Ticks of all processors that were not idle: user, nice, system, irq, softirq.
fn busy_ticks() -> Outcome<u64> {
    let path = Path::new("/proc/stat");
    let text = fs::read_to_string(path).map_err(|error| Failure::file("read", path, &error))?;
    let line = text.lines().next().unwrap_or_default();
    let numbers: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .filter_map(|word| word.parse().ok())
        .collect();
    let busy = [0, 1, 2, 5, 6].map(|at| numbers.get(at).copied().unwrap_or(0));
    Ok(busy.iter().sum())
}
