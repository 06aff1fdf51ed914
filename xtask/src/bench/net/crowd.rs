//! What a container costs on a network that has none yet, and on one that has hundreds.

use std::path::Path;
use std::time::Duration;

use super::super::stopwatch::{DEADLINE, Stopwatch};
use super::super::table::{grid, shown, verdict};
use super::space::Space;
use super::starts::IMAGE;
use super::{Scale, announce, median};
use crate::berth::Berth;
use crate::failure::{Failure, Outcome};
use crate::interrupt::Interrupt;

/// The one that is timed is the 500th.
pub(super) const CONTAINERS: usize = 499;

/// At most so much of the first one's time.
const LIMIT: f64 = 1.3;

/// Removed by one command.
const BATCH: usize = 50;

/// Times the first container of an empty network, fills it, and times the next one, in turn with
/// the first one of a network beside it.
pub(super) fn measure(
    berth: &Berth,
    host: &Space,
    folder: &Path,
    interrupt: &Interrupt,
    scale: &Scale,
) -> Outcome {
    announce(&format!(
        "the first container of a network, and the one after {}",
        scale.containers
    ));
    for name in ["many", "few"] {
        berth.read(&["network", "create", name])?;
    }
    let log = folder.join("crowd.log");
    let mut watch = Stopwatch::start(&host.entrance(), log, false, DEADLINE)?;
    let mut time = |network: &str| -> Outcome<f64> {
        interrupt.check()?;
        std::thread::sleep(super::super::SETTLE);
        let run = format!("run --rm --network {network} {IMAGE} true");
        let run = super::super::contestants::words(berth.start(), &run);
        let time = watch.time(&[run], 1)?;
        time.map(|time| time.as_secs_f64() * 1000.0)
            .map_err(|why| Failure::new(format!("a container on a network: {why}")))
    };
    // What is made by the first one is there before it is timed: bridge, rules, resolver.
    time("many")?;
    time("few")?;
    let mut first = Vec::new();
    for _ in 0..scale.rounds {
        first.push(time("many")?);
    }
    for _ in 0..scale.containers {
        interrupt.check()?;
        berth.read(&["run", "-d", "--network", "many", IMAGE, "sleep", "99999"])?;
    }
    // What their starting has left to the kernel and to the disk.
    std::thread::sleep(Duration::from_secs(2));
    let (mut last, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..scale.rounds {
        last.push(time("many")?);
        beside.push(time("few")?);
    }
    remove(berth)?;
    print!("{}", render(&[first, last, beside], scale));
    Ok(())
}

fn remove(berth: &Berth) -> Outcome {
    let ids = berth.read(&["ps", "-aq", "--no-trunc"])?;
    let ids: Vec<&str> = ids.split_whitespace().collect();
    for batch in ids.chunks(BATCH) {
        berth.read(&[&["rm", "-f"], batch].concat())?;
    }
    Ok(())
}

fn render([first, last, beside]: &[Vec<f64>; 3], scale: &Scale) -> String {
    let base = median(first);
    let number = scale.containers + 1;
    let row = |what: String, times: &[f64], limit: Option<f64>| {
        let ratio = median(times).zip(base).map(|(time, base)| time / base);
        vec![
            what,
            shown(median(times), 2),
            shown(ratio, 2),
            shown(limit, 1),
            limit.map_or_else(
                || "no limit".to_owned(),
                |limit| verdict(ratio, limit).to_owned(),
            ),
        ]
    };
    let rows = [
        row("1 on an empty network".to_owned(), first, None),
        row(format!("{number} on the same network"), last, Some(LIMIT)),
        row(
            format!("1 on another network, beside {} on that", scale.containers),
            beside,
            None,
        ),
    ];
    let head = [
        "run --rm, container number",
        "median ms",
        "of the 1st",
        "at most",
        "verdict",
    ];
    format!("\n{}", grid(&head, &rows, scale.markdown))
}
