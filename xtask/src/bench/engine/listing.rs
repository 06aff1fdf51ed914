//! `ps` where there are many containers.

use super::super::net::{IMAGE, median};
use super::super::table::{grid, shown, verdict};
use super::{Scale, World, announce, milliseconds};
use crate::failure::Outcome;
use crate::interrupt::Interrupt;

/// Ours takes at most so many ms.
const LIMIT_MS: f64 = 30.0;

/// Makes the containers of each engine, then lists them in turn.
pub(super) fn measure(world: &mut World, interrupt: &Interrupt, scale: &Scale) -> Outcome {
    announce(&format!("ps -a with {} containers", scale.containers));
    for at in 0..world.engines.len() {
        for number in 0..scale.containers {
            interrupt.check()?;
            let engine = &world.engines[at];
            let options = &engine.options;
            let create = format!("create --network none{options} --name c{number} {IMAGE} true");
            let create = engine.words(&create);
            world.must(at, &[create])?;
        }
    }
    let mut times = vec![Vec::new(); world.engines.len()];
    for _ in 0..scale.rounds {
        for (at, times) in times.iter_mut().enumerate() {
            interrupt.check()?;
            std::thread::sleep(super::super::SETTLE);
            let list = world.engines[at].words("ps -a");
            times.push(milliseconds(world.must(at, &[list])?));
        }
    }
    let rows: Vec<Vec<String>> = world
        .engines
        .iter()
        .zip(&times)
        .map(|(engine, times)| {
            let limit = (engine.name == "berth").then_some(LIMIT_MS);
            vec![
                format!("{}: ps -a, {} containers", engine.name, scale.containers),
                shown(median(times), 1),
                shown(limit, 0),
                limit.map_or_else(
                    || "no limit".to_owned(),
                    |limit| verdict(median(times), limit).to_owned(),
                ),
            ]
        })
        .collect();
    print!(
        "\n{}",
        grid(
            &["list", "median ms", "at most", "verdict"],
            &rows,
            scale.markdown
        )
    );
    remove(world, scale)
}

fn remove(world: &mut World, scale: &Scale) -> Outcome {
    for at in 0..world.engines.len() {
        let names: Vec<String> = (0..scale.containers).map(|n| format!("c{n}")).collect();
        for names in names.chunks(100) {
            let engine = &world.engines[at];
            let remove = engine.words(&format!("{} {}", engine.remove, names.join(" ")));
            world.must(at, &[remove])?;
        }
    }
    Ok(())
}
