//! What keys and the mouse do.

use berth_map::draw::Order;
use berth_map::model::{Engine, Links};

use super::View;
use super::fake::{Fake, pid};
use crate::tui::input::{Input, Key, Pointer};
use crate::tui::state::Action;

#[test]
fn a_pid_at_any_level_is_found() {
    let mut view = View::of(&mut Fake::rich(), 100, 40);
    view.keys("/29");
    assert!(view.text().contains("29 is three processes"));
    view.press(Key::Down);
    view.press(Key::Enter);
    assert_eq!(view.chosen(), "checkpointer");
    view.keys("n");
    assert_eq!(view.state.chosen_pid(), Some(pid(6427)));
    view.keys("n");
    assert_eq!(view.state.chosen_pid(), Some(pid(1799)));
    view.keys("N");
    assert_eq!(view.state.chosen_pid(), Some(pid(6427)));
    // Escape ends the search, not the view.
    assert_eq!(view.press(Key::Escape), Action::Paint);
    assert_eq!(view.press(Key::Escape), Action::Quit);
}

#[test]
fn names_and_containers_are_found() {
    let mut view = View::of(&mut Fake::rich(), 100, 40);
    for (text, sentence) in [
        ("CHECK", "CHECK names one process"),
        ("web", "web names three processes"),
        ("web:29", "web:29 names one process"),
        ("web:31", "web:31 names no process"),
        ("4711", "4711 is no process"),
        ("1", "1 is five processes"),
    ] {
        view.keys("/");
        view.keys(text);
        assert!(
            view.text().contains(sentence),
            "{sentence}\n{}",
            view.text()
        );
        view.press(Key::Escape);
    }
    view.keys("/zz");
    view.press(Key::Backspace);
    view.press(Key::Control('u'));
    view.press(Key::Enter);
    assert!(view.state.found.is_none());
    view.keys("n");
    assert!(view.text().contains("nothing was looked for yet"));
}

#[test]
fn what_is_folded_or_filtered_away_is_found_all_the_same() {
    let mut view = View::of(&mut Fake::rich(), 100, 40);
    view.keys("z");
    assert!(view.line("checkpointer").is_none());
    view.keys("/checkpointer");
    view.press(Key::Enter);
    assert_eq!(view.chosen(), "checkpointer");
    // The other boxes stay folded.
    assert!(view.line("nginx worker").is_none());
    view.keys("fnone");
    view.press(Key::Enter);
    let text = view.text();
    assert!(text.contains("no running container is called"), "{text}");
    // A bare name is one of Berth's for other commands; here any that is the only one.
    view.keys("fweb");
    view.press(Key::Enter);
    assert!(view.line("━ web").is_some() && view.line("━ db").is_none());
    view.keys("fdocker/web");
    view.press(Key::Enter);
    assert!(view.line("─ checkpointer").is_none());
    view.keys("/checkpointer");
    view.press(Key::Enter);
    assert!(view.text().contains("the filter is off"));
    assert_eq!(view.chosen(), "checkpointer");
}

#[test]
fn tab_goes_through_the_lenses_and_keeps_the_choice() {
    let mut view = View::of(&mut Fake::rich(), 100, 40);
    view.state.tree.reveal(pid(1799));
    for lens in ["net", "mnt", "user", "cgroup", "pid", "net"] {
        view.press(Key::Tab);
        let bar = view.text().lines().next().unwrap().to_owned();
        assert!(bar.contains(&format!("[{lens}]")), "{bar}");
        assert_eq!(view.state.chosen_pid(), Some(pid(1799)), "{lens}");
    }
    view.press(Key::BackTab);
    view.press(Key::BackTab);
    assert!(view.text().starts_with(" pid  net  mnt  user [cgroup]"));
}

#[test]
fn filters_by_engine_and_container() {
    let mut view = View::of(&mut Fake::rich(), 100, 40);
    view.keys("e");
    assert!(view.line("nginx worker").is_some());
    assert!(view.line("shim").is_none());
    assert!(
        view.text()
            .lines()
            .next()
            .unwrap()
            .contains("filter docker")
    );
    view.keys("e");
    assert!(view.line("nginx worker").is_none());
    assert!(view.line("shim").is_some());
    view.keys("e");
    assert!(view.state.filter.is_none());
    view.state.tree.reveal(pid(2140));
    view.keys("c");
    assert!(view.text().contains("filter docker/db"), "{}", view.text());
    assert!(view.line("nginx worker").is_none());
    assert_eq!(view.state.chosen_pid(), Some(pid(2140)));
    view.keys("c");
    assert!(view.state.filter.is_none());
    view.keys("g");
    view.keys("c");
    assert!(view.text().contains("belongs to no container"));
}

#[test]
fn a_filter_that_hides_the_choice_chooses_a_process_and_no_text() {
    let mut fake = Fake::rich();
    let mut agent = fake.processes.last().unwrap().clone();
    (agent.pid, agent.pids, agent.links) = (pid(7002), vec![7002], Links::Denied);
    fake.processes.push(agent);
    let mut view = View::of(&mut fake, 100, 40);
    view.state.tree.reveal(pid(7002));
    view.keys("fdocker/db");
    view.press(Key::Enter);
    let text = view.text();
    assert!(text.contains("could not be read"), "{text}");
    assert_eq!(view.state.chosen_pid(), Some(pid(2140)), "{text}");
}

#[test]
fn a_filter_that_is_wrong_or_empty_says_so() {
    let mut fake = Fake::rich();
    let mut view = View::of(&mut fake, 100, 40);
    view.keys("fnet:[x");
    view.press(Key::Enter);
    assert!(view.text().contains("not a namespace"));
    view.press(Key::Escape);
    view.keys("flxc");
    view.press(Key::Enter);
    assert!(view.text().contains("lxc"), "{}", view.text());
    assert!(view.line("systemd").is_none());
    // What comes later is shown once it is there.
    fake.container("late", Engine::Lxc, 9000, 900, "init");
    view.hear(fake.frame(500));
    assert!(view.line("late").is_some());
    view.keys("f");
    view.press(Key::Enter);
    assert!(view.line("nginx worker").is_some());
}

#[test]
fn siblings_are_sorted() {
    let mut fake = Fake::empty();
    for (number, comm, start) in [(10, "zeta", 10), (11, "alpha", 30), (12, "mid", 20)] {
        let mut process = super::fake::process(&[number], 1, comm);
        process.start_ticks = start;
        fake.processes.push(process);
    }
    fake.processes
        .push(super::fake::process(&[13], 12, "child"));
    let mut view = View::of(&mut fake, 80, 24);
    let mut order = || {
        let rows = ["zeta", "alpha", "mid"].map(|name| (view.row(name), name));
        let mut rows = rows.to_vec();
        rows.sort_unstable();
        let names: Vec<&str> = rows.into_iter().map(|(_, name)| name).collect();
        let order = (view.state.order, names);
        view.keys("s");
        order
    };
    assert_eq!(order(), (Order::Pid, vec!["zeta", "alpha", "mid"]));
    assert_eq!(order(), (Order::Start, vec!["alpha", "mid", "zeta"]));
    assert_eq!(order(), (Order::Name, vec!["alpha", "mid", "zeta"]));
    assert_eq!(order(), (Order::Processes, vec!["mid", "zeta", "alpha"]));
    // No container: all stay by PID.
    assert_eq!(order(), (Order::Container, vec!["zeta", "alpha", "mid"]));
    assert_eq!(order().0, Order::Pid);
}

#[test]
fn boxes_fold_and_unfold() {
    let mut view = View::of(&mut Fake::rich(), 100, 40);
    view.state.tree.reveal(pid(1589));
    view.press(Key::Up);
    assert_eq!(view.chosen(), "web");
    view.press(Key::Enter);
    assert!(view.line("nginx worker").is_none());
    assert!(view.line("web").unwrap().starts_with(" ▸"));
    assert!(view.line("checkpointer").is_some());
    view.keys(" ");
    assert!(view.line("nginx worker").is_some());
    // A process folds what it started.
    view.press(Key::Down);
    view.press(Key::Enter);
    assert!(view.line("nginx worker").is_none());
    assert!(view.line("nginx").unwrap().contains("+2"));
}

#[test]
fn a_folded_box_stays_folded_when_its_first_process_ends() {
    let mut fake = Fake::rich();
    let mut view = View::of(&mut fake, 100, 40);
    view.press(Key::Tab);
    view.click(20, view.row("━ web"));
    assert!(view.line("nginx worker").is_none());
    fake.remove(1589);
    fake.known.retain(|known| known.name != "web");
    view.hear(fake.frame(500));
    view.wait(4000);
    assert!(view.line("nginx worker").is_none(), "{}", view.text());
    view.press(Key::Enter);
    assert!(view.line("nginx worker").is_some(), "{}", view.text());
}

#[test]
fn the_cursor_stays_on_the_screen_and_off_lower_borders() {
    let mut fake = Fake::rich();
    for number in 8000..8100 {
        fake.processes
            .push(super::fake::process(&[number], 1, "filler"));
    }
    let mut view = View::of(&mut fake, 80, 24);
    for key in [Key::Char('G'), Key::Char('g'), Key::PageDown, Key::PageUp] {
        view.press(key);
        view.state.tree.chosen().unwrap();
    }
    let (_, count) = view.state.tree.position();
    for _ in 0..count + 5 {
        view.press(Key::Down);
        let buffer = view.buffer();
        let reversed = ratatui_core::style::Modifier::REVERSED;
        let is_seen = (2..20).any(|y| buffer[(40, y)].modifier.contains(reversed));
        assert!(is_seen, "{}", view.text());
    }
    assert_eq!(view.chosen(), "kernel threads x1");
}

#[test]
fn the_mouse_chooses_folds_and_scrolls() {
    let mut view = View::of(&mut Fake::rich(), 100, 40);
    view.click(20, view.row("checkpointer"));
    assert_eq!(view.chosen(), "checkpointer");
    view.click(20, view.row("━ db"));
    assert_eq!(view.chosen(), "db");
    assert!(view.line("checkpointer").is_none());
    view.click(20, view.row("━ db"));
    assert!(view.line("checkpointer").is_some());
    // A lower border and what lies beyond the tree are nothing.
    view.click(20, view.row("┗━"));
    view.click(99, 39);
    view.click(500, 500);
    assert_eq!(view.chosen(), "db");

    let mut fake = Fake::rich();
    for number in 8000..8100 {
        fake.processes
            .push(super::fake::process(&[number], 1, "filler"));
    }
    let mut view = View::of(&mut fake, 80, 24);
    let pointer = Pointer { column: 5, row: 5 };
    view.state.input(Input::Wheel(pointer, 6));
    assert!(view.line("├─ systemd").is_none());
    // The window stays there when the host changes, until a key is pressed.
    let before = view.text().lines().nth(5).map(str::to_owned);
    fake.processes
        .push(super::fake::process(&[9000], 1, "late"));
    view.hear(fake.frame(300));
    assert_eq!(view.text().lines().nth(5).map(str::to_owned), before);
    view.state.input(Input::Wheel(pointer, -100));
    assert!(view.line("─ systemd").is_some());
}

#[test]
fn the_chosen_line_stays_when_others_come_and_go() {
    let mut fake = Fake::rich();
    let mut view = View::of(&mut fake, 100, 40);
    view.state.tree.reveal(pid(5999));
    let row = view.row("shim");
    fake.processes
        .push(super::fake::process(&[1500], 1, "before"));
    view.hear(fake.frame(300));
    assert_eq!(view.state.chosen_pid(), Some(pid(5999)));
    assert_eq!(
        view.row("shim"),
        row + 1,
        "nothing is scrolled away while all fits"
    );
    fake.remove(5999);
    view.hear(fake.frame(600));
    view.wait(3000);
    assert!(view.state.tree.chosen().is_some());
}

#[test]
fn command_lines_are_read_only_when_asked_for() {
    let mut view = View::of(&mut Fake::rich(), 200, 50);
    let request = view.state.wanted_facts().unwrap();
    assert!(!request.command);
    assert!(!view.text().contains("command"));
    view.keys("v");
    assert!(view.state.wanted_facts().unwrap().command);
    let facts = crate::tui::facts::Facts {
        command: Some("systemd --secret".to_owned()),
        ..Default::default()
    };
    let request = view.state.wanted_facts().unwrap();
    view.state.set_facts(request, facts);
    assert!(view.text().contains("systemd --secret"));
    assert_eq!(view.state.wanted_facts(), None);
    view.keys("v");
    assert!(!view.text().contains("secret"));
}

#[test]
fn keys_that_leave() {
    let mut view = View::of(&mut Fake::rich(), 80, 24);
    assert_eq!(view.press(Key::Char('q')), Action::Quit);
    assert_eq!(view.press(Key::Control('c')), Action::Quit);
    assert_eq!(view.press(Key::Control('z')), Action::Suspend);
    view.keys("/q");
    assert_eq!(view.press(Key::Control('c')), Action::Quit);
    assert_eq!(view.press(Key::Escape), Action::Paint);
    view.keys("?");
    assert_eq!(view.press(Key::Char('q')), Action::Paint);
    assert_eq!(view.press(Key::Char('q')), Action::Quit);
}
