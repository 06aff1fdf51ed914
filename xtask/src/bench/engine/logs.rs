//! A long log, written by a container and read back.

use super::super::net::IMAGE;
use super::super::table::{grid, shown};
use super::{Engine, Scale, World, announce};
use crate::failure::Outcome;
use crate::interrupt::Interrupt;

/// A line of 100 bytes with its end, as `yes` repeats it.
const LINE: &str = "the quick brown fox jumps over the lazy dog, and then over the next one, \
                    and over many others, too.";

/// Bytes that are written at a time: whole lines.
const PIECE: usize = 16_000_000;

/// Each engine writes and reads a log as json-file, or what is nearest to it.
pub(super) fn measure(world: &mut World, interrupt: &Interrupt, scale: &Scale) -> Outcome {
    announce(&format!("a log of {} MiB", scale.mebibytes));
    let mut rows = Vec::new();
    for at in 0..world.engines.len() {
        interrupt.check()?;
        let engine = &world.engines[at];
        let name = engine.name;
        let (write, wait) = (writer(engine, scale), engine.words("wait talker"));
        let read = engine.words("logs talker");
        let remove = engine.words(&format!("{} talker", engine.remove));
        let written = world.time(at, &[write, wait])?;
        let read = world.time(at, std::slice::from_ref(&read))?;
        world.time(at, &[remove])?.ok();
        for (what, time) in [("written", written), ("read", read)] {
            let rate = match &time {
                Ok(time) => shown(Some(megabytes(scale) / time.as_secs_f64()), 0),
                Err(why) => why.clone(),
            };
            rows.push(vec![format!("{name}: {what}"), rate]);
        }
    }
    let head = ["a log of lines of 100 bytes", "MB/s of the lines"];
    print!("\n{}", grid(&head, &rows, scale.markdown));
    Ok(())
}

fn pieces(scale: &Scale) -> usize {
    (scale.mebibytes << 20).div_ceil(PIECE)
}

/// Millions of bytes of the lines.
fn megabytes(scale: &Scale) -> f64 {
    let bytes = u32::try_from(pieces(scale) * (PIECE / 1_000_000));
    f64::from(bytes.unwrap_or(u32::MAX))
}

fn writer(engine: &Engine, scale: &Scale) -> Vec<String> {
    let log = match engine.name {
        "podman" => "--log-driver k8s-file",
        "docker" => "--log-driver json-file",
        // One file, as theirs.
        _ => "--log-driver json-file --log-opt max-size=8g",
    };
    let options = &engine.options;
    let mut words = engine.words(&format!(
        "run -d --network none{options} {log} --name talker {IMAGE} sh -c"
    ));
    // A piece that is made once: `yes` and `head` are slower than what writes it down.
    words.push(format!(
        "yes '{LINE}' | head -c {PIECE} >/piece; i=0; \
         while [ $i -lt {} ]; do cat /piece; i=$((i+1)); done",
        pieces(scale)
    ));
    words
}
