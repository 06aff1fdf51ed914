//! `bench map`: what a map of the host costs, as its processes and PID namespaces grow.
//!
//! Each world is a crowd of sleepers (bench/crowd.c) beside what the machine runs anyway. In it are
//! timed, within one process, the map by each source and one translation, and as whole programs
//! what Berth and others print. System calls are counted by strace in a run of their own.

pub(super) mod crowd;
mod program;
mod verdicts;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{How, compile, table};
use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::scratch::Scratch;
use crate::setup::{self, Purpose};
use crowd::{Crowd, Size};

/// Processes and PID namespaces of the worlds.
const WORLDS: [Size; 8] = [
    Size::new(1_000, 10),
    Size::new(1_000, 500),
    Size::new(10_000, 10),
    Size::new(10_000, 500),
    Size::new(10_000, 2_000),
    Size::new(50_000, 10),
    Size::new(50_000, 500),
    Size::new(50_000, 2_000),
];

/// What is timed, with the words of the whole programs.
const BY_BPF: &str = "map by bpf, in process";
const BY_PROCFS: &str = "map by procfs, in process";
const TRANSLATION: &str = "one translation, in process";
const MAP: &str = "berth map --json";
const LSNS: &str = "lsns";

/// A result in one world.
struct Result {
    size: Size,
    what: &'static str,
    /// Median and least; or why there are none.
    times: std::result::Result<(Duration, Duration), String>,
    system_calls: Option<u64>,
}

/// The programs that are measured, and where they keep things.
struct Tools {
    crowd: PathBuf,
    measure: PathBuf,
    berth: PathBuf,
    scratch: Scratch,
    state: PathBuf,
}

/// Runs the measurement.
pub(super) fn run(how: &How) -> Outcome {
    setup::ensure(&[Purpose::Build, Purpose::Bench])?;
    if !setup::is_root()? {
        return Err(Failure::new(
            "bench needs root: BPF and new PID namespaces do",
        ));
    }
    let tools = prepare(how.dev)?;
    let mut results = Vec::new();
    let mut left_out = Vec::new();
    let done = all_worlds(&tools, how.rounds, &mut results, &mut left_out);
    // What was measured until somebody interrupted it is worth a look, too.
    print!("{}", render(&results, &left_out, how.markdown));
    done
}

/// Measures one world after the other.
fn all_worlds(
    tools: &Tools,
    rounds: Option<usize>,
    results: &mut Vec<Result>,
    left_out: &mut Vec<String>,
) -> Outcome {
    let interrupt = Interrupt::catch()?;
    for size in WORLDS {
        interrupt.check()?;
        match Crowd::gather(&tools.crowd, size)? {
            Ok(crowd) => {
                exec::announce(&format!("bench: {size}"));
                let done = measure(tools, size, rounds, &interrupt, results);
                crowd.dismiss()?;
                done?;
            }
            Err(why) => left_out.push(format!("{size}: left out, since {why}")),
        }
    }
    Ok(())
}

/// Builds what is measured.
fn prepare(dev: bool) -> Outcome<Tools> {
    let binaries = match dev {
        true => crate::build::debug()?,
        false => crate::build::release()?,
    };
    let measure = crate::build::example("berth-map", "measure", dev)?;
    let scratch = Scratch::make("bench")?;
    let crowd = compile(&scratch, "crowd")?;
    let [berth, ..] = &binaries[..] else {
        return Err(Failure::new("the build has no binaries"));
    };
    Ok(Tools {
        crowd,
        measure,
        berth: berth.clone(),
        state: scratch.folder("state")?,
        scratch,
    })
}

/// How often something is timed: what takes seconds in a large world, less often there.
fn rounds(size: Size, asked: Option<usize>) -> usize {
    asked.unwrap_or(match size.processes {
        0..5_000 => 9,
        5_000..20_000 => 3,
        _ => 1,
    })
}

/// Times everything in one world.
fn measure(
    tools: &Tools,
    size: Size,
    asked: Option<usize>,
    interrupt: &Interrupt,
    results: &mut Vec<Result>,
) -> Outcome {
    let rounds = rounds(size, asked);
    let calls = |words: &[&str]| program::system_calls(words, tools.scratch.path());
    let state = tools.state.to_string_lossy();
    let measure = tools.measure.to_string_lossy();
    let berth = tools.berth.to_string_lossy();
    let inside = exec::read(
        exec::at_root(&tools.measure)
            .arg(&tools.state)
            .args([rounds.max(11).to_string(), rounds.to_string()]),
    )?;
    for (line, what) in [
        ("map by bpf", BY_BPF),
        ("map by procfs", BY_PROCFS),
        ("one translation", TRANSLATION),
    ] {
        let system_calls = match what {
            BY_BPF => calls(&[&measure, "--once", &state])?,
            _ => None,
        };
        results.push(Result {
            size,
            what,
            times: find(&inside, line).ok_or_else(|| "it did not run".to_owned()),
            system_calls,
        });
    }
    let programs: [(&str, Vec<&str>); 5] = [
        (MAP, vec![&berth, "--state", &state, "map", "--json"]),
        ("berth ns", vec![&berth, "--state", &state, "ns"]),
        (LSNS, vec!["lsns"]),
        (
            "ps with namespaces",
            vec!["ps", "-eo", "pid,pidns,netns,mntns,userns,ipcns,utsns,comm"],
        ),
        ("pstree -N pid", vec!["pstree", "-N", "pid"]),
    ];
    for (what, words) in programs {
        interrupt.check()?;
        let times = match is_hopeless(results, what, size) {
            true => Err("left out, since it took too long before".to_owned()),
            false => program::time(&words, rounds, interrupt)?,
        };
        // Whoever takes minutes would take hours while each call is counted.
        let is_quick = times.as_ref().is_ok_and(|t| t.0 < Duration::from_secs(2));
        let system_calls = match is_quick {
            true => calls(&words)?,
            false => None,
        };
        results.push(Result {
            size,
            what,
            times,
            system_calls,
        });
    }
    Ok(())
}

/// Whether a program got no result in a world with no more processes.
fn is_hopeless(results: &[Result], what: &str, size: Size) -> bool {
    let mut before = results.iter().filter(|result| result.what == what);
    before.any(|result| result.times.is_err() && result.size.processes <= size.processes)
}

/// Median and least of a line that `measure` printed.
fn find(text: &str, name: &str) -> Option<(Duration, Duration)> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('\t'))?;
    let (median, least) = line.split_once('\t')?;
    let nanos = |text: &str| text.parse().ok().map(Duration::from_nanos);
    Some((nanos(median)?, nanos(least)?))
}

fn render(results: &[Result], left_out: &[String], markdown: bool) -> String {
    let mut text = format!("\n{}; medians\n\n", table::machine());
    let head = [
        "processes",
        "PID namespaces",
        "what",
        "median ms",
        "least",
        "system calls",
    ];
    let rows: Vec<Vec<String>> = results.iter().map(row).collect();
    text.push_str(&table::grid(&head, &rows, markdown));
    text.push('\n');
    for result in results {
        if let Err(why) = &result.times {
            text.push_str(&format!("{}, {}: {why}\n", result.what, result.size));
        }
    }
    for line in left_out {
        text.push_str(&format!("{line}\n"));
    }
    text.push('\n');
    let head = ["budget", "in", "measured", "at most", "verdict"];
    text.push_str(&table::grid(&head, &verdicts::all(results), markdown));
    text
}

fn row(result: &Result) -> Vec<String> {
    let shown = |time: Duration| format!("{:.2}", time.as_secs_f64() * 1000.0);
    let (median, least) = match &result.times {
        Ok((median, least)) => (shown(*median), shown(*least)),
        Err(_) => ("-".to_owned(), "-".to_owned()),
    };
    vec![
        result.size.processes.to_string(),
        result.size.namespaces.to_string(),
        result.what.to_owned(),
        median,
        least,
        result
            .system_calls
            .map_or_else(|| "-".to_owned(), |n| n.to_string()),
    ]
}

/// The text of a small file of the kernel's.
fn read(path: &str) -> Outcome<String> {
    let text = fs::read_to_string(path);
    text.map_err(|error| Failure::file("read", Path::new(path), &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_measuring_program() {
        let text = "processes\t10\nmap by bpf\t2000\t1000\nmap by procfs\tx\t1\n";
        let nanos = Duration::from_nanos;
        assert_eq!(find(text, "map by bpf"), Some((nanos(2000), nanos(1000))));
        assert_eq!(find(text, "map by procfs"), None);
        assert_eq!(find(text, "map"), None);
    }
}
