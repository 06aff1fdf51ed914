//! What a screen costs. Run by hand, in a release build:
//! `cargo test --release -p berth --bin berth -- --ignored --nocapture cost`.

use std::time::{Duration, Instant};

use super::View;
use super::fake::{Fake, events, exited, forked};
use crate::tui::ansi;
use crate::tui::input::Key;
use berth_map::live::Exit;
use berth_map::model::Engine;

/// 5,000 processes in 50 containers.
fn large() -> Fake {
    let mut fake = Fake::empty();
    for container in 0..50 {
        let name = format!("app{container}");
        let init = 1000 + container * 100;
        let base = 1000 + u64::from(container) * 100;
        fake.container(&name, Engine::Docker, init, base, "init");
        for number in 1..100 {
            fake.inside(&name, &[init + number, 1 + number], init, "worker");
        }
    }
    fake
}

fn measure(what: &str, mut run: impl FnMut(u64)) {
    const ROUNDS: u64 = 50;
    let mut worst = Duration::ZERO;
    let start = Instant::now();
    for round in 0..ROUNDS {
        let begin = Instant::now();
        run(round);
        worst = worst.max(begin.elapsed());
    }
    let mean = start.elapsed() / u32::try_from(ROUNDS).unwrap();
    println!("{what:<44} mean {mean:?} worst {worst:?}");
}

#[test]
#[ignore = "a measurement"]
fn cost_of_a_screen() {
    for (width, height) in [(80, 24), (200, 50)] {
        println!("5,000 processes at {width}x{height}");
        let mut fake = large();
        let mut view = View::of(&mut fake, width, height);
        measure("a key that moves, painted", |_| {
            view.press(Key::Down);
            view.buffer();
        });
        let before = view.buffer();
        view.press(Key::PageDown);
        let after = view.buffer();
        let bytes = ansi::difference(&before, &after).len();
        println!("bytes of a page turned: {bytes}");
        measure("a lens turned, drawn anew and painted", |_| {
            view.press(Key::Tab);
            view.buffer();
        });
        measure("ten births and ends, drawn anew and painted", |round| {
            let ms = 1000 + round * 200;
            let first = 20_000 + u32::try_from(round).unwrap() * 10;
            let all = (first..first + 10).flat_map(|number| {
                let birth = forked(ms, 1000, &[number, number], "true");
                [birth, exited(ms + 1, number, Exit::Code(0))]
            });
            view.hear(events(all.collect()));
            view.buffer();
        });
        let mut frames: Vec<_> = (0..50).map(|n| fake.frame(20_000 + n * 200)).collect();
        frames.reverse();
        measure("a frame heard, drawn anew and painted", |_| {
            view.hear(frames.pop().unwrap());
            view.buffer();
        });
        measure("a search among all", |round| {
            view.keys("/");
            view.keys(if round % 2 == 0 { "9" } else { "w" });
            view.press(Key::Escape);
        });
        measure("a step into the past", |_| {
            view.press(Key::Left);
            view.buffer();
        });
    }
}
