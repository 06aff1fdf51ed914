//! Containers that come and go, and a process in one that runs.

use super::super::budgets;
use super::super::contestants::{Contestant, Net, Work};
use super::super::net::IMAGE;
use super::super::peers::Peers;
use super::{Engine, Scale};
use crate::berth::Berth;
use crate::failure::Outcome;
use crate::interrupt::Interrupt;

/// So many at once.
const CROWD: usize = 32;

/// All at a work in turn, so that what they are compared with is near in time.
pub(super) fn measure(
    berth: &Berth,
    peers: &Peers,
    interrupt: &Interrupt,
    scale: &Scale,
) -> Outcome {
    let engines = Engine::all(berth, peers);
    let works = [
        Work::Net(Net::None, 1),
        Work::Net(Net::Bridge, 1),
        Work::Net(Net::None, CROWD),
        Work::Exec,
        Work::StartStop,
    ];
    let contestants = works
        .into_iter()
        .flat_map(|work| engines.iter().map(move |engine| contestant(engine, work)))
        .collect();
    super::super::measure(
        contestants,
        peers,
        interrupt,
        &budgets::engine(CROWD),
        (scale.rounds, scale.markdown),
    )
}

fn contestant(engine: &Engine, work: Work) -> Contestant {
    let options = &engine.options;
    let new = |timed| Contestant::new(engine.name, work, engine.place, timed);
    match work {
        Work::Exec => Contestant {
            before: vec![engine.detached("", "bench", "sleep 9999")],
            after: vec![engine.words(&format!("{} bench", engine.remove))],
            ..new(vec![engine.words("exec bench true")])
        },
        Work::StartStop => {
            let create = format!("create --network none{options} --name again {IMAGE} sleep 9999");
            Contestant {
                before: vec![engine.words(&create)],
                after: vec![engine.words(&format!("{} again", engine.remove))],
                ..new(vec![
                    engine.words("start again"),
                    engine.words("stop -t 0 again"),
                ])
            }
        }
        Work::Net(Net::Bridge, _) => {
            let run = format!("run --rm --network bridge{options} {IMAGE} true");
            new(vec![engine.words(&run)])
        }
        _ => {
            let run = format!("run --rm --network none{options} {IMAGE} true");
            new(vec![engine.words(&run)])
        }
    }
}
