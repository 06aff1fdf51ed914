//! The crash loops: containers come and go, while whoever carries them is killed at random moments.
//!
//! A round does some commands, one after another: [`networks`] has containers on networks, [`life`]
//! what else happens to one, with a second command at the same time. Meanwhile one process is
//! killed: a command, what a monitor executes, a keeper, a monitor, the stage, the container's own,
//! a probe of its health, or the resolver. Then all is recovered; what is listed as running runs and
//! can be used, and nothing else does; and nothing of the round may be left.

mod life;
mod networks;

use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal, kill_process};

use super::operations::Program;
use super::world::{World, said};
use super::{checks, host, joined, panicked};
use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::interrupt::Interrupt;

/// All loops, with the word for each on the command line.
pub(super) const LOOPS: [&Loop; 2] = [&networks::LOOP, &life::LOOP];

/// What one round does, one after another; a container that is there already, or not any more, is
/// fine.
type Round = &'static [&'static [&'static str]];

/// One loop, as data.
#[derive(Debug)]
pub(super) struct Loop {
    pub(super) name: &'static str,
    /// Whether its containers are on networks.
    pub(super) on_networks: bool,
    /// Who is killed.
    victims: &'static [&'static str],
    rounds: &'static [Round],
    /// Commands of which one is done at the same time.
    rivals: &'static [&'static [&'static str]],
}

/// Rounds of a whole run.
pub(super) const ROUNDS: usize = 1000;

/// The world is made anew after so many rounds of a worker.
const ANEW_EVERY: usize = 25;

/// The latest moment of a kill, and of a second command: a round without one takes about as long.
const LATEST_MS: u64 = 400;

/// The resolver ends ten seconds after its last container.
const RESOLVER_ENDS: Duration = Duration::from_secs(20);

/// After so many rounds that failed a loop gives up.
const FAILURES_MOST: usize = 10;

/// What became of the rounds so far.
#[derive(Debug, Default)]
struct Tally {
    /// Which kills came about.
    kills: Mutex<BTreeMap<&'static str, usize>>,
    begun: AtomicUsize,
    done: AtomicUsize,
    failed: AtomicUsize,
}

/// What chance makes of one round.
#[derive(Debug)]
struct Plan {
    steps: Round,
    victim: &'static str,
    killed_after: Duration,
    /// A second command, and when it is begun.
    rival: Option<(&'static [&'static str], Duration)>,
}

/// Does so many rounds, by as many workers as there are worlds.
///
/// # Errors
/// A round left something, or a recovery failed.
pub(super) fn run(
    which: &'static Loop,
    worlds: &[World<'_>],
    rounds: usize,
    interrupt: &Interrupt,
) -> Outcome {
    let name = which.name;
    exec::announce(&format!("crash {name}: {rounds} rounds"));
    let begun = Instant::now();
    let tally = Tally::default();
    thread::scope(|scope| {
        let tally = &tally;
        let running: Vec<_> = worlds
            .iter()
            .map(|world| scope.spawn(move || work(which, world, rounds, tally, interrupt)))
            .collect();
        running.into_iter().try_for_each(joined)
    })
    .inspect_err(|_| {
        let done = tally.done.load(Ordering::Relaxed);
        println!("crash {name}: it ended after {done} rounds that left nothing");
    })?;
    let failed = tally.failed.into_inner();
    if failed > 0 {
        return Err(Failure::new(format!("{failed} rounds of {name} failed")));
    }
    let kills = tally.kills.into_inner().map_err(|_| panicked())?;
    let counts: Vec<String> = kills.iter().map(|(who, n)| format!("{who} {n}")).collect();
    println!(
        "crash {name}: {rounds} rounds in {:.0} s left nothing; killed: {}",
        begun.elapsed().as_secs_f64(),
        counts.join(", ")
    );
    Ok(())
}

fn work(
    which: &'static Loop,
    world: &World<'_>,
    rounds: usize,
    tally: &Tally,
    interrupt: &Interrupt,
) -> Outcome {
    host::enter_new()?;
    world.clear()?;
    let mut chance = Chance::new();
    let mut own = 0;
    loop {
        let number = tally.begun.fetch_add(1, Ordering::Relaxed);
        if number >= rounds || tally.failed.load(Ordering::Relaxed) >= FAILURES_MOST {
            break;
        }
        interrupt.check()?;
        if own % ANEW_EVERY == 0 {
            make(which, world)?;
        }
        own += 1;
        let plan = chance.plan(which);
        match round(which, world, &plan) {
            Ok(came) => {
                tally.done.fetch_add(1, Ordering::Relaxed);
                if came && let Ok(mut kills) = tally.kills.lock() {
                    *kills.entry(plan.victim).or_insert(0) += 1;
                }
            }
            Err(failure) => {
                tally.failed.fetch_add(1, Ordering::Relaxed);
                println!(
                    "FAILED round {number} of {}, {plan:?}\n  {failure}",
                    which.name
                );
                checks::remove_all(world)?;
            }
        }
    }
    if !which.on_networks {
        return Ok(());
    }
    host::no_network_left(world)?;
    let end = Instant::now() + RESOLVER_ENDS;
    while Instant::now() < end && host::no_resolver(world).is_err() {
        thread::sleep(Duration::from_millis(100));
    }
    host::no_resolver(world)
}

/// From nothing: what was there goes first.
fn make(which: &Loop, world: &World<'_>) -> Outcome {
    if which.on_networks {
        if world.root().exists() {
            host::no_network_left(world)?;
        }
        for name in ["blue", "red"] {
            world.must(Program::Berth, &["network", "create", name])?;
        }
    }
    Ok(())
}

/// One round; whether somebody was killed.
fn round(which: &Loop, world: &World<'_>, plan: &Plan) -> Outcome<bool> {
    world.must(Program::Berth, KEEP)?;
    let over = AtomicBool::new(false);
    let killed = thread::scope(|scope| -> Outcome<bool> {
        let killer = scope.spawn(|| kill_one(world, plan.victim, plan.killed_after, &over));
        let rival = scope.spawn(|| match plan.rival {
            Some((words, after)) => {
                thread::sleep(after);
                ends_well_or_not(world, words)
            }
            None => Ok(()),
        });
        let mut steps = plan.steps.iter();
        let done = steps.try_for_each(|words| ends_well_or_not(world, words));
        let rivaled = joined(rival);
        over.store(true, Ordering::Relaxed);
        let killed = killer.join().unwrap_or_default();
        done?;
        rivaled?;
        Ok(killed)
    })?;
    world.must(Program::Berth, &["system", "restore"])?;
    checks::nothing_half_done(world)?;
    checks::no_container_lost(world, &["@keep"])?;
    checks::states_are_true(world)?;
    if which.on_networks {
        host::nothing_dangles(world)?;
    }
    checks::each_can_be_used(world)?;
    checks::remove_all(world)?;
    if which.on_networks {
        host::nothing_left(world)?;
    }
    checks::nothing_half_done(world)?;
    checks::nothing_left(world)?;
    Ok(killed)
}

/// There before each round, and not touched by it.
const KEEP: &[&str] = &["create", "--name", "@keep", "--net", "none", "host", "true"];

/// Runs a command that may fail or be killed, but does not hang or panic.
fn ends_well_or_not(world: &World<'_>, words: &[&str]) -> Outcome {
    let output = world.run_beside_others(words)?;
    match output.status.code() {
        Some(101) => Err(Failure::new(format!(
            "{words:?} panicked: {}",
            said(&output)
        ))),
        _ => Ok(()),
    }
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

/// In the command line of what a monitor executes.
const INTERNAL: &[u8] = b"\0internal\0";

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
        let is_inside = || {
            let groups = fs::read_to_string(path.join("cgroup")).unwrap_or_default();
            groups.contains(&cgroup)
        };
        let is_named = line.windows(names.len()).any(|part| part == names);
        let fits = match victim {
            "command" => line.starts_with(&ours) && !host::is_resolver(&line),
            "resolver" => line.starts_with(&ours) && host::is_resolver(&line),
            "internal" => {
                line.starts_with(&ours)
                    && !host::is_resolver(&line)
                    && line.windows(INTERNAL.len()).any(|part| part == INTERNAL)
            }
            "container" => line.starts_with(b"sleep\x001000\0") && is_inside(),
            "probe" => line.starts_with(b"sleep\x000.03\0") && is_inside(),
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

    fn moment(&mut self) -> Duration {
        Duration::from_micros(self.next() % (LATEST_MS * 1000))
    }

    fn plan(&mut self, which: &Loop) -> Plan {
        let victim = which.victims[self.below(which.victims.len())];
        let steps = which.rounds[self.below(which.rounds.len())];
        let rival = match which.rivals {
            [] => None,
            rivals => Some((rivals[self.below(rivals.len())], self.moment())),
        };
        Plan {
            steps,
            victim,
            killed_after: self.moment(),
            rival,
        }
    }

    fn below(&mut self, end: usize) -> usize {
        let end_wide = u64::try_from(end).unwrap_or(1);
        usize::try_from(self.next() % end_wide).unwrap_or(0)
    }
}
