//! The crash loop of networks: containers with published ports come and go, while whoever carries
//! them is killed at random moments.
//!
//! A round starts a container on one or two networks, connects and disconnects it, stops, starts
//! and removes it, or a part of that. Meanwhile one process is killed: a command, a keeper, a
//! monitor, the stage, the container's own, or the resolver. Then all is recovered, and nothing of
//! the round may be left: see [`super::host`].

use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal, kill_process};

use super::operations::Program;
use super::world::{Faults, World, said};
use super::{checks, host};
use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::interrupt::Interrupt;

/// The word for this on the command line.
pub(super) const NAME: &str = "churn";

/// Rounds of a whole run.
pub(super) const ROUNDS: usize = 1000;

/// The networks are made anew after so many rounds of a worker.
const NETWORKS_EVERY: usize = 25;

/// The latest moment of a kill: a round without one takes about as long.
const LATEST_MS: u64 = 400;

/// The resolver ends ten seconds after its last container.
const RESOLVER_ENDS: Duration = Duration::from_secs(20);

/// Who is killed.
const VICTIMS: [&str; 6] = [
    "command",
    "keeper",
    "monitor",
    "stage",
    "container",
    "resolver",
];

/// What a round does; a container that is there already, or not any more, is fine.
const ROUNDS_DO: &[&[&[&str]]] = &[
    &[
        &[
            "run",
            "-d",
            "--name",
            "@c",
            "--network",
            "blue",
            "-p",
            "8080:80",
            "host",
            "sleep",
            "1000",
        ],
        &["stop", "-t", "0", "@c"],
        &["rm", "-f", "@c"],
    ],
    &[
        &[
            "run", "-d", "--rm", "--name", "@c", "-p", "8080:80", "host", "sleep", "1000",
        ],
        &["stop", "-t", "0", "@c"],
    ],
    &[
        &[
            "run",
            "--rm",
            "--name",
            "@c",
            "--network",
            "blue",
            "-p",
            "8080:80",
            "host",
            "true",
        ],
        &[
            "run",
            "--rm",
            "--name",
            "@d",
            "--network",
            "red",
            "-P",
            "host",
            "true",
        ],
    ],
    &[
        &[
            "run",
            "-d",
            "--name",
            "@c",
            "--network",
            "blue",
            "--network",
            "red",
            "-p",
            "8080:80/udp",
            "-p",
            "8080:80",
            "host",
            "sleep",
            "1000",
        ],
        &["network", "disconnect", "blue", "@c"],
        &["stop", "-t", "0", "@c"],
        &["start", "@c"],
        &["rm", "-f", "@c"],
    ],
    &[
        &[
            "run",
            "-d",
            "--name",
            "@c",
            "--network",
            "red",
            "-p",
            "8080:80",
            "host",
            "sleep",
            "1000",
        ],
        &["network", "connect", "blue", "@c"],
        &["network", "disconnect", "red", "@c"],
        &["rm", "-f", "@c"],
    ],
];

/// Which kills came about.
#[derive(Debug, Default)]
struct Kills(BTreeMap<&'static str, usize>);

/// Does so many rounds, by as many workers as there are worlds.
///
/// # Errors
/// A round left something, or a recovery failed.
pub(super) fn run(worlds: &[World<'_>], rounds: usize, interrupt: &Interrupt) -> Outcome {
    exec::announce(&format!("crash {NAME}: {rounds} rounds"));
    let begun = Instant::now();
    let next = AtomicUsize::new(0);
    let kills = Mutex::new(Kills::default());
    thread::scope(|scope| {
        let (next, kills) = (&next, &kills);
        let running: Vec<_> = worlds
            .iter()
            .map(|world| scope.spawn(move || work(world, (next, rounds), kills, interrupt)))
            .collect();
        running.into_iter().try_for_each(|worker| {
            worker
                .join()
                .unwrap_or_else(|_| Err(Failure::new("a thread of crash panicked")))
        })
    })?;
    let kills = kills
        .into_inner()
        .map_err(|_| Failure::new("a thread of crash panicked"))?;
    let counts: Vec<String> = kills
        .0
        .iter()
        .map(|(who, n)| format!("{who} {n}"))
        .collect();
    println!(
        "crash {NAME}: {rounds} rounds in {:.0} s left no interface, rule, address or namespace; killed: {}",
        begun.elapsed().as_secs_f64(),
        counts.join(", ")
    );
    Ok(())
}

fn work(
    world: &World<'_>,
    (next, rounds): (&AtomicUsize, usize),
    kills: &Mutex<Kills>,
    interrupt: &Interrupt,
) -> Outcome {
    host::enter_new()?;
    world.clear()?;
    let mut chance = Chance::new();
    let mut own = 0;
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= rounds {
            break;
        }
        interrupt.check()?;
        if own % NETWORKS_EVERY == 0 {
            make_networks(world)?;
        }
        own += 1;
        let victim = VICTIMS[chance.below(VICTIMS.len())];
        let steps = ROUNDS_DO[chance.below(ROUNDS_DO.len())];
        let delay = Duration::from_micros(chance.next() % (LATEST_MS * 1000));
        let came = round(world, steps, victim, delay).map_err(|failure| {
            Failure::new(format!(
                "round {number}, {victim} killed after {delay:?} of {steps:?}: {failure}"
            ))
        })?;
        if came && let Ok(mut kills) = kills.lock() {
            *kills.0.entry(victim).or_insert(0) += 1;
        }
    }
    host::no_network_left(world)?;
    let end = Instant::now() + RESOLVER_ENDS;
    while Instant::now() < end && host::no_resolver(world).is_err() {
        thread::sleep(Duration::from_millis(100));
    }
    host::no_resolver(world)
}

/// From nothing: what was there goes first.
fn make_networks(world: &World<'_>) -> Outcome {
    if world.root().exists() {
        host::no_network_left(world)?;
    }
    for name in ["blue", "red"] {
        world.must(Program::Berth, &["network", "create", name])?;
    }
    Ok(())
}

/// One round; whether somebody was killed.
fn round(world: &World<'_>, steps: &[&[&str]], victim: &str, delay: Duration) -> Outcome<bool> {
    let over = AtomicBool::new(false);
    let killed = thread::scope(|scope| -> Outcome<bool> {
        let killer = scope.spawn(|| kill_one(world, victim, delay, &over));
        let done = steps.iter().try_for_each(|words| {
            let output = world.run(Program::Berth, words, Faults::default())?;
            match output.status.code() {
                Some(101) => Err(Failure::new(format!("it panicked: {}", said(&output)))),
                _ => Ok(()),
            }
        });
        over.store(true, Ordering::Relaxed);
        let killed = killer.join().unwrap_or_default();
        done.map(|()| killed)
    })?;
    world.must(Program::Berth, &["system", "restore"])?;
    checks::nothing_half_done(world)?;
    host::nothing_dangles(world)?;
    checks::remove_all(world)?;
    host::nothing_left(world)?;
    checks::nothing_left(world)?;
    Ok(killed)
}

/// Waits, then kills the first process of the kind that it sees; gives up when the round is over.
fn kill_one(world: &World<'_>, victim: &str, delay: Duration, over: &AtomicBool) -> bool {
    thread::sleep(delay);
    while !over.load(Ordering::Relaxed) {
        if let Some(pid) = find(world, victim) {
            return kill_process(pid, Signal::KILL).is_ok();
        }
        thread::sleep(Duration::from_millis(1));
    }
    false
}

/// A process of this world: `berth` by its root, the runtime's by the names of our containers or
/// their cgroup.
fn find(world: &World<'_>, victim: &str) -> Option<Pid> {
    let ours = world.own_command_line();
    let names = world.named("@").into_bytes();
    let cgroup = format!("/{}/", world.token);
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    for entry in entries {
        let path = entry.path();
        let Ok(line) = fs::read(path.join("cmdline")) else {
            continue;
        };
        let comm = || fs::read_to_string(path.join("comm")).unwrap_or_default();
        let is_named = line.windows(names.len()).any(|part| part == names);
        let fits = match victim {
            "command" => line.starts_with(&ours) && !host::is_resolver(&line),
            "resolver" => line.starts_with(&ours) && host::is_resolver(&line),
            "container" => {
                line.starts_with(b"sleep\0") && {
                    let groups = fs::read_to_string(path.join("cgroup")).unwrap_or_default();
                    groups.contains(&cgroup)
                }
            }
            "stage" => {
                is_named
                    && line.starts_with(b"berth-")
                    && !matches!(comm().trim(), "berth-keeper" | "berth-monitor")
            }
            _ => is_named && comm().trim() == format!("berth-{victim}"),
        };
        if fits {
            return entry
                .file_name()
                .to_str()
                .and_then(|name| Pid::from_raw(name.parse().ok()?));
        }
    }
    None
}

/// Numbers without a pattern (xorshift64*).
struct Chance(u64);

impl Chance {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let seed = now.map_or(1, |now| u64::from(now.subsec_nanos()) << 20 | now.as_secs());
        Self(seed | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 8
    }

    fn below(&mut self, end: usize) -> usize {
        let end_wide = u64::try_from(end).unwrap_or(1);
        usize::try_from(self.next() % end_wide).unwrap_or(0)
    }
}
