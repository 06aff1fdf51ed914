//! The results, for a terminal or a page.

use std::fs;
use std::time::Duration;

use super::Lane;
use super::budgets::Budget;
use super::contestants::{Contestant, Work};
use super::stopwatch::Miss;

/// In place of a time.
const HUNG: &str = "hung";

/// Medians, spreads and ratios, then the budgets.
pub(super) fn render(lanes: &[Lane], budgets: &[Budget], rounds: usize, markdown: bool) -> String {
    let mut text = format!(
        "\n{}; medians of {rounds} interleaved rounds\n\n",
        machine()
    );
    let has_floor = lanes.iter().any(|lane| lane.contestant.name == "floor");
    let base = if has_floor { "floor" } else { "berth" };
    let of = format!("of {base}");
    let head = ["work", "program", "median ms", "least", "90 %", &of];
    text.push_str(&grid(&head, &results(lanes, base), markdown));
    for lane in lanes {
        if let Some(why) = &lane.failed {
            let Contestant { name, work, .. } = &lane.contestant;
            text.push_str(&format!(
                "\n{name} has no time for \"{}\": {why}\n",
                work.title()
            ));
        }
    }
    text.push('\n');
    let head = ["budget", "against", "measured", "at most", "verdict"];
    text.push_str(&grid(&head, &verdicts(lanes, budgets), markdown));
    text
}

/// Kernel and processors, since a time says nothing without them.
pub(super) fn machine() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("Linux {}, {cores} cores", release.trim())
}

/// The lanes that have a time, the quickest at a work first, and those that hung; last, how much
/// that is of the base's time.
fn results(lanes: &[Lane], base: &str) -> Vec<Vec<String>> {
    let hung = |lane: &Lane| matches!(lane.failed, Some(Miss::Hung(_)));
    let mut order: Vec<(&Lane, Option<f64>)> = lanes
        .iter()
        .map(|lane| (lane, quantile(lane, 50)))
        .filter(|(lane, median)| median.is_some() || hung(lane))
        .collect();
    let last = |median: Option<f64>| median.unwrap_or(f64::INFINITY);
    order.sort_by(|(a, a_ms), (b, b_ms)| {
        a.contestant
            .work
            .cmp(&b.contestant.work)
            .then(last(*a_ms).total_cmp(&last(*b_ms)))
    });
    order
        .into_iter()
        .map(|(lane, median)| {
            let Contestant { name, work, .. } = &lane.contestant;
            let of_base = median_of(lanes, base, *work)
                .zip(median)
                .map(|(base, median)| median / base);
            vec![
                work.title(),
                (*name).to_owned(),
                median.map_or_else(|| HUNG.to_owned(), |median| shown(Some(median), 2)),
                shown(quantile(lane, 0), 2),
                shown(quantile(lane, 90), 2),
                shown(of_base, 2),
            ]
        })
        .collect()
}

/// What became of a budget; one without a limit is there to be read.
pub(super) fn verdict(measured: Option<f64>, limit: f64) -> &'static str {
    match measured {
        Some(_) if limit.is_infinite() => "no limit",
        Some(measured) if measured <= limit => "met",
        Some(_) => "missed",
        None => "not measured",
    }
}

fn verdicts(lanes: &[Lane], budgets: &[Budget]) -> Vec<Vec<String>> {
    let row = |budget: &Budget| {
        let own = median_of(lanes, budget.ours, budget.work);
        let other = median_of(lanes, budget.theirs, budget.theirs_at);
        let ratio = own.zip(other).map(|(own, other)| own / other);
        vec![
            format!("{}: {}", budget.ours, budget.work.title()),
            format!("{}: {}", budget.theirs, budget.theirs_at.title()),
            shown(ratio, 3),
            shown(Some(budget.limit).filter(|limit| limit.is_finite()), 2),
            verdict(ratio, budget.limit).to_owned(),
        ]
    };
    budgets.iter().map(row).collect()
}

fn median_of(lanes: &[Lane], name: &str, work: Work) -> Option<f64> {
    lanes
        .iter()
        .find(|lane| lane.contestant.name == name && lane.contestant.work == work)
        .and_then(|lane| quantile(lane, 50))
}

/// The time in ms below which this share of a lane's rounds lies; `None` for who took no part.
fn quantile(lane: &Lane, percent: usize) -> Option<f64> {
    if lane.failed.is_some() {
        return None;
    }
    let mut times: Vec<Duration> = lane.times.clone();
    times.sort_unstable();
    let at = times.len().checked_sub(1)? * percent / 100;
    times.get(at).map(|time| time.as_secs_f64() * 1000.0)
}

pub(super) fn shown(number: Option<f64>, digits: usize) -> String {
    number.map_or_else(|| "-".to_owned(), |number| format!("{number:.digits$}"))
}

/// Columns as wide as they need to be; those that hold numbers are set to the right.
pub(super) fn grid(head: &[&str], rows: &[Vec<String>], markdown: bool) -> String {
    let head: Vec<String> = head.iter().map(|word| (*word).to_owned()).collect();
    let is_number = |column: usize| {
        rows.iter()
            .all(|row| ["-", HUNG].contains(&&*row[column]) || row[column].parse::<f64>().is_ok())
    };
    let width = |column: usize| {
        rows.iter()
            .chain([&head])
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let columns: Vec<(usize, bool)> = (0..head.len()).map(|c| (width(c), is_number(c))).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row
            .iter()
            .zip(&columns)
            .map(|(cell, (width, right))| match right {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            })
            .collect();
        if markdown {
            format!("| {} |\n", cells.join(" | "))
        } else {
            format!("{}\n", cells.join("  ").trim_end())
        }
    };
    let rule: Vec<String> = columns
        .iter()
        .map(|(width, right)| match (markdown, right) {
            (true, true) => format!("{}:", "-".repeat(width.saturating_sub(1))),
            _ => "-".repeat(*width),
        })
        .collect();
    let mut text = line(&head);
    text.push_str(&line(&rule));
    rows.iter().for_each(|row| text.push_str(&line(row)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_for_both_readers() {
        let rows = vec![
            vec!["run".to_owned(), "9.50".to_owned()],
            vec!["exec".to_owned(), "-".to_owned()],
        ];
        assert_eq!(
            grid(&["work", "ms"], &rows, false),
            "work    ms\n----  ----\nrun   9.50\nexec     -\n"
        );
        assert_eq!(
            grid(&["work", "ms"], &rows, true),
            "| work |   ms |\n| ---- | ---: |\n| run  | 9.50 |\n| exec |    - |\n"
        );
    }
}
