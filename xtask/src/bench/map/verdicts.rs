//! What the map allows itself.

use std::time::Duration;

use super::{BY_BPF, LSNS, MAP, Result, TRANSLATION, crowd::Size};
use crate::bench::table;

/// A map of 10,000 processes, in process.
const BPF_MS: f64 = 10.0;
const BPF_PROCESSES: usize = 10_000;
/// Its system calls.
const CALLS: u64 = 2_000;
/// `berth map --json`, of lsns.
const OF_LSNS: f64 = 0.01;
/// One translation, in any world.
const TRANSLATION_MS: f64 = 1.0;
/// What a process costs in the largest world, of what it costs in one a fifth or a tenth its size:
/// 1 would be exactly linear, but what lies in the processor's caches is cheaper.
const GROWTH: f64 = 1.5;

/// One row for each budget.
pub(super) fn all(results: &[Result]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for result in results {
        let size = result.size;
        let ms = median_ms(result);
        if result.what == BY_BPF && size.processes == BPF_PROCESSES {
            rows.push(row("map by bpf, ms", size, ms, BPF_MS, 2));
            let calls = result.system_calls.map(as_float);
            rows.push(row("its system calls", size, calls, as_float(CALLS), 0));
        }
        if result.what == MAP && size.processes >= BPF_PROCESSES {
            let lsns = find(results, LSNS, size).and_then(median_ms);
            let ratio = ms.zip(lsns).map(|(ours, theirs)| ours / theirs);
            rows.push(row("berth map --json, of lsns", size, ratio, OF_LSNS, 4));
        }
        if result.what == TRANSLATION {
            rows.push(row("one translation, ms", size, ms, TRANSLATION_MS, 3));
        }
    }
    for (small, large) in steps(results) {
        let each = |size: Size| {
            let ms = find(results, BY_BPF, size).and_then(median_ms)?;
            Some(ms / as_float(u64::try_from(size.processes).ok()?))
        };
        let ratio = each(small)
            .zip(each(large))
            .map(|(small, large)| large / small);
        let what = format!("a process by bpf, of one of {}", small.processes);
        rows.push(row(&what, large, ratio, GROWTH, 2));
    }
    rows
}

/// Worlds that differ in the number of processes alone, each with the next larger one.
fn steps(results: &[Result]) -> Vec<(Size, Size)> {
    let measured = results
        .iter()
        .filter(|r| r.what == BY_BPF && r.times.is_ok());
    let sizes: Vec<Size> = measured.map(|r| r.size).collect();
    let larger = |small: &Size| {
        let others = sizes.iter().filter(|large| {
            large.namespaces == small.namespaces && large.processes > small.processes
        });
        others.min_by_key(|large| large.processes).copied()
    };
    let all = sizes
        .iter()
        .filter_map(|small| Some((*small, larger(small)?)));
    all.collect()
}

fn find<'r>(results: &'r [Result], what: &str, size: Size) -> Option<&'r Result> {
    results.iter().find(|r| r.what == what && r.size == size)
}

fn median_ms(result: &Result) -> Option<f64> {
    let times = result.times.as_ref().ok()?;
    Some(Duration::as_secs_f64(&times.0) * 1000.0)
}

/// Exact for every count of system calls and processes.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn as_float(number: u64) -> f64 {
    number as f64
}

fn row(what: &str, size: Size, measured: Option<f64>, limit: f64, digits: usize) -> Vec<String> {
    vec![
        what.to_owned(),
        size.to_string(),
        measured.map_or_else(|| "-".to_owned(), |number| format!("{number:.digits$}")),
        limit.to_string(),
        table::verdict(measured, limit).to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(processes: usize, what: &'static str, ms: u64) -> Result {
        Result {
            size: Size::new(processes, 10),
            what,
            times: Ok((Duration::from_millis(ms), Duration::ZERO)),
            system_calls: None,
        }
    }

    #[test]
    fn growth_is_judged_between_neighbours() {
        let results = [
            result(1_000, BY_BPF, 2),
            result(10_000, BY_BPF, 10),
            result(50_000, BY_BPF, 80),
        ];
        let rows = all(&results);
        let growth: Vec<_> = rows
            .iter()
            .filter(|r| r[0].starts_with("a process"))
            .collect();
        assert_eq!(growth.len(), 2);
        assert_eq!((&*growth[0][2], &*growth[0][4]), ("0.50", "met"));
        assert_eq!((&*growth[1][2], &*growth[1][4]), ("1.60", "missed"));
        let ms = rows.iter().find(|r| r[0] == "map by bpf, ms").unwrap();
        assert_eq!((&*ms[2], &*ms[4]), ("10.00", "met"));
    }
}
