//! The times of a measurement of images, as tables.

use std::time::Duration;

use super::super::stopwatch::Miss;
use super::super::table::{grid, machine, verdict};
use super::engines::Work;

/// An engine's times at each work, a round each.
pub(super) struct Lane {
    pub(super) name: &'static str,
    pub(super) times: [Vec<Duration>; Work::ALL.len()],
    pub(super) failed: [Option<Miss>; Work::ALL.len()],
}

/// The budgets: a work, and how much of the better peer's time it may take.
const BUDGETS: [(&str, &[Work], f64); 2] =
    [("load", &[Work::Load], 0.5), ("pull", &[Work::Pull], 0.5)];

/// What users wait for before the first process is there. Engines differ in when they unpack.
const SUMS: [(&str, &[Work]); 2] = [
    ("load, first run", &[Work::Load, Work::RunLoaded]),
    ("pull, first run", &[Work::Pull, Work::RunPulled]),
];

impl Lane {
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            times: Default::default(),
            failed: Default::default(),
        }
    }

    /// Seconds that works take together, sorted; none where one of them failed.
    fn seconds(&self, works: &[Work]) -> Vec<f64> {
        let of = |work: Work| &self.times[work as usize];
        if works.iter().any(|w| self.failed[*w as usize].is_some()) {
            return Vec::new();
        }
        let rounds = works.iter().map(|w| of(*w).len()).min().unwrap_or(0);
        let sum = |round: usize| works.iter().map(|w| of(*w)[round].as_secs_f64()).sum();
        let mut all: Vec<f64> = (0..rounds).map(sum).collect();
        all.sort_by(f64::total_cmp);
        all
    }

    fn median(&self, works: &[Work]) -> Option<f64> {
        let all = self.seconds(works);
        all.get(all.len() / 2).copied()
    }
}

/// All works, then the budgets, then why something is missing.
pub(super) fn render(lanes: &[Lane], rounds: usize, markdown: bool) -> String {
    let mut text = format!(
        "\n{}; medians of {rounds} interleaved rounds\n\n",
        machine()
    );
    let singles = Work::ALL.map(|work| (work.title(), vec![work]));
    let sums = SUMS.map(|(title, works)| (title, works.to_vec()));
    let head = ["work", "program", "median s", "least", "most", "of berth"];
    let rows: Vec<Vec<String>> = singles
        .iter()
        .chain(&sums)
        .flat_map(|(title, works)| {
            lanes
                .iter()
                .filter_map(|lane| row(lanes, lane, title, works))
        })
        .collect();
    text.push_str(&grid(&head, &rows, markdown));
    text.push('\n');
    let head = ["budget", "of the better peer", "at most", "verdict"];
    text.push_str(&grid(&head, &verdicts(lanes), markdown));
    for lane in lanes {
        for (work, why) in Work::ALL.iter().zip(&lane.failed) {
            if let Some(why) = why {
                let (name, title) = (lane.name, work.title());
                text.push_str(&format!("\n{name} has no time for \"{title}\": {why}\n"));
            }
        }
    }
    text
}

fn row(lanes: &[Lane], lane: &Lane, title: &str, works: &[Work]) -> Option<Vec<String>> {
    let all = lane.seconds(works);
    let (least, most, median) = (all.first()?, all.last()?, lane.median(works)?);
    let own = lanes.first().and_then(|own| own.median(works));
    let times = own.map_or_else(|| "-".to_owned(), |own| format!("{:.2}", median / own));
    Some(vec![
        title.to_owned(),
        lane.name.to_owned(),
        format!("{median:.2}"),
        format!("{least:.2}"),
        format!("{most:.2}"),
        times,
    ])
}

fn verdicts(lanes: &[Lane]) -> Vec<Vec<String>> {
    let Some((own, peers)) = lanes.split_first() else {
        return Vec::new();
    };
    let row = |(title, works, limit): &(&str, &[Work], f64)| {
        let peers = peers.iter().filter_map(|peer| peer.median(works));
        let better = peers.min_by(f64::total_cmp);
        let ratio = own.median(works).zip(better).map(|(own, peer)| own / peer);
        vec![
            (*title).to_owned(),
            ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}")),
            limit.to_string(),
            verdict(ratio, *limit).to_owned(),
        ]
    };
    BUDGETS.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_peer_is_what_counts() {
        let lane = |name, seconds: [f64; 3]| {
            let mut lane = Lane::new(name);
            lane.times[Work::Load as usize] = seconds.map(Duration::from_secs_f64).to_vec();
            lane
        };
        let lanes = [
            lane("berth", [3.0, 1.0, 2.0]),
            lane("docker", [9.0, 8.0, 8.5]),
            lane("podman", [3.0, 4.0, 5.0]),
        ];
        let rows = verdicts(&lanes);
        assert_eq!(rows[0], ["load", "0.500", "0.5", "met"]);
        assert_eq!(rows[1], ["pull", "-", "0.5", "not measured"]);
        let text = render(&lanes, 3, false);
        assert!(
            text.contains("load  docker       8.50   8.00  9.00      4.25\n"),
            "{text}"
        );
    }
}
