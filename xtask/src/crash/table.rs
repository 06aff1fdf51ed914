//! What was hit how often.

use std::collections::BTreeMap;

use super::cases::{Case, Crash, Hit};

/// The crashes of one point.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    kills: usize,
    fails: usize,
    losses: usize,
    missed: usize,
    failures: usize,
}

/// All points.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: BTreeMap<String, Row>,
}

/// The name of the row for losses of power after an operation has ended.
const AFTERWARDS: &str = "(after the end)";

impl Table {
    /// Notes a case: whether it was hit, or `None` where a check failed.
    pub(super) fn note(&mut self, case: &Case, hit: Option<Hit>) {
        let point = case.place.as_ref().map_or(AFTERWARDS, |p| &p.point);
        let row = self.rows.entry(point.to_owned()).or_default();
        match hit {
            Some(Hit::Missed) => row.missed += 1,
            None => row.failures += 1,
            Some(Hit::Hit) => match case.crash {
                Crash::KillBefore | Crash::KillAfter => row.kills += 1,
                Crash::Fail(_) => row.fails += 1,
                Crash::Power(_) => row.losses += 1,
            },
        }
    }

    /// Kills at all points together.
    pub(super) fn kills(&self) -> usize {
        self.rows.values().map(|row| row.kills).sum()
    }

    /// Points with fewer kills than this.
    pub(super) fn below(&self, least: usize) -> Vec<&str> {
        let points = self.rows.iter().filter(|(point, _)| *point != AFTERWARDS);
        points
            .filter(|(_, row)| row.kills < least)
            .map(|(point, _)| point.as_str())
            .collect()
    }

    /// Lines for a person.
    pub(super) fn lines(&self) -> Vec<String> {
        let line = |point: &str, cells: [String; 5]| {
            let [a, b, c, d, e] = cells;
            format!("{point:<34} {a:>6} {b:>6} {c:>6} {d:>7}  {e}")
        };
        let heads = ["kills", "errors", "losses", "missed", ""].map(ToOwned::to_owned);
        let mut lines = vec![line("point", heads)];
        for (point, row) in &self.rows {
            let verdict = match row.failures {
                0 => "ok".to_owned(),
                n => format!("{n} FAILED"),
            };
            let cells = [row.kills, row.fails, row.losses, row.missed].map(|n| n.to_string());
            let [a, b, c, d] = cells;
            lines.push(line(point, [a, b, c, d, verdict]));
        }
        lines
    }
}
