//! Births and ends, and going back to them.

use berth_map::live::{Exit, Update};

use super::View;
use super::fake::{Fake, at, events, exited, forked};
use crate::tui::input::Key;

/// A host on which a short process ran half a minute ago.
fn later() -> View {
    let mut fake = Fake::rich();
    let mut view = View::of(&mut fake, 100, 40);
    view.hear(events(vec![
        forked(2000, 1589, &[1900, 40], "short"),
        exited(2050, 1900, Exit::Code(7)),
    ]));
    view.hear(fake.frame(2500));
    view.wait(4000);
    view.hear(fake.frame(32_000));
    view
}

#[test]
fn what_is_new_flashes() {
    let mut fake = Fake::rich();
    let mut view = View::of(&mut fake, 100, 40);
    assert!(view.line("nginx worker").unwrap().starts_with("  "));
    view.hear(events(vec![forked(300, 1589, &[1810, 31], "cgi")]));
    let line = view.line("cgi").unwrap();
    assert!(line.starts_with('+'), "{line}");
    assert!(line.ends_with("1810   31"), "{line}");
    view.wait(2000);
    let line = view.line("cgi").unwrap();
    assert!(line.starts_with(' '), "{line}");
}

#[test]
fn what_has_ended_fades_with_its_exit() {
    let mut fake = Fake::rich();
    let mut view = View::of(&mut fake, 100, 40);
    view.hear(events(vec![
        exited(300, 1800, Exit::Signal(9)),
        forked(300, 1589, &[1811, 32], "true"),
        exited(310, 1811, Exit::Code(3)),
    ]));
    let killed = view.line("SIGKILL").unwrap();
    assert!(
        killed.starts_with('-') && killed.contains("nginx worker"),
        "{killed}"
    );
    // One that no frame has ever seen is there for a moment too, in its box.
    let short = view.line("exit 3").unwrap();
    assert!(short.starts_with('-') && short.contains("┃"), "{short}");
    fake.remove(1800);
    view.hear(fake.frame(800));
    assert!(view.line("SIGKILL").is_some());
    view.wait(3000);
    assert!(view.line("SIGKILL").is_none());
    assert!(view.line("exit 3").is_none());
    assert!(view.line("nginx worker").is_some());
}

#[test]
fn a_whole_box_fades() {
    let mut fake = Fake::rich();
    let mut view = View::of(&mut fake, 100, 40);
    fake.remove(2100);
    fake.remove(2140);
    view.hear(fake.frame(1000));
    view.hear(events(vec![
        exited(990, 2140, Exit::Signal(9)),
        exited(991, 2100, Exit::Code(0)),
    ]));
    assert!(
        view.line("━ db").unwrap().starts_with('-'),
        "{}",
        view.text()
    );
    view.wait(4000);
    assert!(view.line("━ db").is_none());
}

#[test]
fn a_storm_does_not_bury_the_tree() {
    let mut fake = Fake::rich();
    let mut view = View::of(&mut fake, 100, 40);
    let storm = (0..2000).flat_map(|n| {
        let number = 10_000 + n;
        let ms = 300 + u64::from(n) / 2;
        [
            forked(ms, 1, &[number], "true"),
            exited(ms, number, Exit::Code(0)),
        ]
    });
    view.hear(events(storm.collect()));
    let ended = view.text().lines().filter(|l| l.starts_with('-')).count();
    assert_eq!(ended, 8, "{}", view.text());
    assert!(view.line("agent").is_some());
    // Those of others stay all the same.
    view.hear(events(vec![exited(1400, 1800, Exit::Code(1))]));
    let gone = view.line("exit 1").unwrap();
    assert!(gone.contains("nginx worker"), "{gone}");
}

#[test]
fn the_scrubber_goes_back_and_forth() {
    let mut view = later();
    assert!(view.line("short").is_none());
    view.keys("[");
    let bar = view.text().lines().next().unwrap().to_owned();
    assert!(bar.contains("PAST"), "{bar}");
    assert!(
        view.line("short").unwrap().contains("exit 7"),
        "{}",
        view.text()
    );
    view.keys("[");
    let line = view.line("short").unwrap();
    assert!(line.starts_with('+'), "{line}");
    assert_eq!(view.state.moment(), at(2000));
    view.keys("[");
    assert_eq!(view.state.moment(), at(2000), "there is nothing before");
    view.keys("]");
    assert_eq!(view.state.moment(), at(2050));
    view.keys("]");
    assert!(view.text().lines().next().unwrap().contains("LIVE"));
}

#[test]
fn details_tell_of_an_end() {
    let mut view = later();
    view.keys("[d");
    view.keys("/short");
    view.press(Key::Enter);
    let text = view.text();
    assert!(
        text.contains("ended     exit 7, having lived 50ms"),
        "{text}"
    );
}

#[test]
fn details_of_a_box_name_its_namespace() {
    let mut view = View::of(&mut Fake::rich(), 200, 50);
    view.click(20, view.row("━ web"));
    let text = view.text();
    assert!(text.contains("box       pid:[204]"), "{text}");
    assert!(text.contains("1589    on the host"), "{text}");
}

#[test]
fn columns_and_ends_of_the_timeline() {
    let mut view = later();
    view.press(Key::Left);
    assert!(view.state.clock.ago().is_some());
    view.press(Key::Right);
    view.press(Key::Right);
    assert!(view.state.clock.ago().is_none());
    view.press(Key::Home);
    assert_eq!(view.state.moment(), at(0));
    // Escape goes back to now before it leaves.
    view.press(Key::Escape);
    assert!(view.state.clock.ago().is_none());
    view.press(Key::Home);
    view.press(Key::End);
    assert!(view.state.clock.ago().is_none());
}

#[test]
fn a_click_on_the_timeline_goes_there() {
    let mut view = later();
    let starts = view.row("starts");
    let line = view
        .text()
        .lines()
        .nth(usize::from(starts))
        .unwrap()
        .to_owned();
    let column = line.chars().position(|c| c == '█').unwrap();
    view.click(u16::try_from(column).unwrap(), starts);
    assert!(view.line("short").is_some(), "{}", view.text());
    view.click(99, starts);
    assert!(view.state.clock.ago().is_none());
}

#[test]
fn the_past_stays_while_time_goes_on() {
    let mut fake = Fake::rich();
    let mut view = later();
    view.keys("[");
    let (moment, before) = (view.state.moment(), view.line("short"));
    view.hear(fake.frame(40_000));
    view.hear(events(vec![forked(41_000, 1, &[9999], "newer")]));
    view.wait(5000);
    assert_eq!(view.state.moment(), moment);
    assert_eq!(view.line("short"), before);
    assert!(view.line("newer").is_none());
    // The search looks at what is shown.
    view.keys("/newer");
    assert!(view.text().contains("newer names no process"));
}

#[test]
fn lost_events_and_the_end_are_said() {
    let mut fake = Fake::rich();
    fake.health.lost = 3;
    let mut view = View::of(&mut fake, 100, 40);
    assert!(view.text().contains("3 events lost"));
    view.state.set_missed(5);
    view.hear(fake.frame(1000));
    assert!(view.text().contains("1 more"));
    view.hear(Update::End(Some("the host is gone".to_owned())));
    assert!(view.text().lines().next().unwrap().contains("END"));
    assert!(
        view.state
            .troubles()
            .iter()
            .any(|t| t.contains("the host is gone"))
    );
    // What was known is still there to be looked at.
    view.press(Key::Down);
    assert!(view.line("nginx worker").is_some());
}
