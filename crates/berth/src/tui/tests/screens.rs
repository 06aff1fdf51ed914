//! Whole screens.

use berth_map::draw::Style;

use super::View;
use super::fake::{Fake, events, exited, forked, pid};
use crate::tui::input::Key;
use berth_map::live::Exit;

#[test]
fn at_80_columns() {
    let view = View::of(&mut Fake::rich(), 80, 24);
    insta::assert_snapshot!(view.text());
}

#[test]
fn at_200_columns_details_stand_beside() {
    let mut view = View::of(&mut Fake::rich(), 200, 50);
    view.state.tree.reveal(pid(1799));
    view.state.input(crate::tui::input::Input::Key(Key::Up));
    view.press(Key::Down);
    insta::assert_snapshot!(view.text());
}

#[test]
fn details_show_where_there_is_room_unless_told_otherwise() {
    let mut view = View::of(&mut Fake::rich(), 80, 24);
    let shown = |view: &mut View, width| {
        view.state.resize(width, 24);
        view.state.layout.unwrap().details.is_some()
    };
    assert!(!shown(&mut view, 80) && shown(&mut view, 120) && !shown(&mut view, 119));
    view.keys("d");
    assert!(shown(&mut view, 80) && shown(&mut view, 120));
    view.keys("d");
    assert!(!shown(&mut view, 80) && !shown(&mut view, 120));
}

#[test]
fn in_ascii_with_everything_on() {
    let mut fake = Fake::rich();
    fake.health.lost = 12;
    fake.health.notes = vec!["no BPF: snapshots alone".to_owned()];
    let mut view = View::of(&mut fake, 90, 30);
    view.theme.characters = Style::Ascii;
    view.keys("d");
    view.hear(events(vec![
        forked(300, 1589, &[1810, 31], "cgi"),
        exited(400, 1800, Exit::Signal(9)),
        forked(400, 1589, &[1811, 32], "true"),
        exited(410, 1811, Exit::Code(3)),
    ]));
    let text = view.text();
    assert!(text.is_ascii());
    insta::assert_snapshot!(text);
}

#[test]
fn a_search_lists_every_match() {
    let mut view = View::of(&mut Fake::rich(), 80, 24);
    view.keys("/29");
    insta::assert_snapshot!(view.text());
}

#[test]
fn the_keys_are_shown() {
    let mut view = View::of(&mut Fake::rich(), 80, 24);
    view.keys("?");
    insta::assert_snapshot!(view.text());
}

#[test]
fn the_keys_come_after_what_does_not_work() {
    let mut fake = Fake::rich();
    fake.health.notes = vec!["no BPF: the process connector tells of events".to_owned()];
    fake.warnings = vec!["sockets: permission denied".to_owned()];
    let mut view = View::of(&mut fake, 80, 24);
    assert!(view.text().contains("! no BPF"));
    assert!(view.text().contains("1 more: ?"));
    view.keys("?");
    assert!(view.text().contains("sockets: permission denied"));
    for _ in 0..80 {
        view.press(Key::Down);
    }
    assert!(view.text().contains("ctrl-z"));
    view.press(Key::Up);
    assert!(!view.text().contains("ctrl-z"), "one key up is one line up");
}

#[test]
fn what_watching_costs_is_said_below_the_keys_alone() {
    let mut fake = Fake::rich();
    let cost = "every system call of the host takes about 50 ns longer, since setns(2) and \
                unshare(2) are told by tracepoints: they cannot be attached to, says the end";
    fake.health.notes = vec![format!("cost: {cost}")];
    let mut view = View::of(&mut fake, 80, 24);
    assert_eq!(view.state.layout.unwrap().notes, None);
    assert!(!view.text().contains("50 ns"));
    view.keys("?");
    for _ in 0..80 {
        view.press(Key::Down);
    }
    let text = view.text();
    for part in ["WHAT WATCHING COSTS", "50 ns", "tracepoints:", "says the"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn a_screen_that_is_too_small_says_so() {
    let mut view = View::of(&mut Fake::rich(), 30, 5);
    insta::assert_snapshot!(view.text(), @r"
    too small
    30x5, needs 40x8
    ");
    for (width, height) in [(0, 0), (1, 1), (5, 1), (39, 40), (200, 7)] {
        view.state.resize(width, height);
        view.text_or_nothing();
        view.press(Key::Down);
        view.click(0, 0);
    }
    view.state.resize(40, 8);
    assert!(view.text().starts_with("[pid]"), "{}", view.text());
}

impl View {
    fn text_or_nothing(&self) {
        if self.state.screen().width > 0 {
            self.text();
        }
    }
}

#[test]
fn colours_and_no_colours() {
    use ratatui_core::style::{Color, Modifier};
    let mut view = View::of(&mut Fake::rich(), 80, 24);
    let plain = view.buffer();
    let is_plain = |c: &ratatui_core::buffer::Cell| c.fg == Color::Reset && c.bg == Color::Reset;
    assert!(plain.content.iter().all(is_plain));
    // The chosen line is seen all the same, and so is what shares with the host.
    assert!(plain[(10, 2)].modifier.contains(Modifier::REVERSED));
    view.theme.color = true;
    let colored = view.buffer();
    assert!(colored.content.iter().any(|c| c.fg != Color::Reset));
    let symbols = |buffer: &ratatui_core::buffer::Buffer| -> Vec<String> {
        buffer
            .content
            .iter()
            .map(|c| c.symbol().to_owned())
            .collect()
    };
    assert_eq!(symbols(&plain), symbols(&colored));
}

#[test]
fn nothing_yet_is_said() {
    let view = View::new(80, 24);
    assert!(view.text().contains("nothing yet"));
}

#[test]
fn details_show_published_ports_and_who_listens() {
    use berth_base::{NamespaceId, NamespaceKind, PublishedPort, Transport};
    use berth_map::model::{Listener, Network, Protocol};
    let mut fake = Fake::rich();
    let init = fake.processes.iter().find(|p| p.pid == pid(1589)).unwrap();
    let net: NamespaceId = init.namespaces.of(NamespaceKind::Net).unwrap();
    let port = |address: &str, port| PublishedPort {
        transport: Transport::Tcp,
        host_address: address.parse().unwrap(),
        host_port: 8000 + port,
        container_port: port,
    };
    let listener = Listener {
        protocol: Protocol::Tcp,
        address: "::".parse().unwrap(),
        port: 80,
        inode: 1,
        process: Some(pid(1589)),
    };
    let network = Network {
        interfaces: Vec::new(),
        listeners: vec![listener],
        published: vec![port("0.0.0.0", 80), port("::", 80), port("127.0.0.1", 443)],
    };
    fake.details.networks.insert(net, network);
    let mut view = View::of(&mut fake, 200, 50);
    view.state.tree.reveal(pid(1799));
    let line = view.line(":8080->80/tcp  1589 nginx").unwrap();
    assert!(line.contains("ports "), "{line}");
    assert!(
        view.line("127.0.0.1:8443->443/tcp  nobody listens")
            .is_some()
    );
    assert_eq!(view.text().matches(":8080->80/tcp  1589").count(), 1);
}
