//! The drawing in parts is the drawing.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

mod support;

use berth_base::NamespaceKind;
use berth_map::World;
use berth_map::draw::{
    Glyphs, Joint, MapOptions, Order, Rail, Row, RowOptions, Shape, Style, Subject, map, rows,
};
use support::{Fake, FakeHost, pid, three_levels};

/// The left part of a row, as the text has it.
fn left(row: &Row) -> String {
    let glyphs = Glyphs::of(Style::Unicode);
    let mut text = String::new();
    for rail in &row.rails {
        text.push_str(match rail {
            Rail::Line => glyphs.line,
            Rail::Blank => glyphs.blank,
            Rail::Border(_) => glyphs.border,
        });
    }
    text.push_str(match row.shape {
        Shape::Entry(Joint::None) | Shape::Note => "",
        Shape::Entry(Joint::Middle) => glyphs.middle,
        Shape::Entry(Joint::Last) => glyphs.last,
        Shape::Top(_) => glyphs.top,
        Shape::Bottom(_) => glyphs.bottom,
    });
    if matches!(row.shape, Shape::Bottom(_)) && !row.label.is_empty() {
        text.push(' ');
    }
    let words = row.label.iter().map(|piece| piece.text.as_ref());
    text + &words.collect::<String>()
}

fn agree(world: &World, lens: NamespaceKind) {
    let options = MapOptions {
        width: 300,
        lens,
        ..MapOptions::default()
    };
    let text = map(world, &options);
    let drawing = rows(
        world,
        &RowOptions {
            lens: Some(lens),
            ..RowOptions::default()
        },
    );
    let mut lines = text.lines();
    assert!(lines.next().unwrap().starts_with(&drawing.head));
    let lines: Vec<&str> = lines.collect();
    assert_eq!(lines.len(), drawing.rows.len(), "{text}");
    for (line, row) in lines.iter().zip(&drawing.rows) {
        assert!(line.starts_with(&left(row)), "{line:?} {row:?}");
        let pids: Vec<String> = row.pids.iter().map(|(pid, _)| pid.to_string()).collect();
        let words: Vec<&str> = line.split_whitespace().collect();
        assert!(words.ends_with(&pids.iter().map(String::as_str).collect::<Vec<_>>()));
    }
}

#[test]
fn rows_and_text_say_the_same_through_every_lens() {
    let host = three_levels();
    let world = host.world();
    for lens in NamespaceKind::ALL {
        agree(&world, lens);
    }
}

#[test]
fn depth_tells_what_stands_below_what() {
    let host = three_levels();
    let drawing = rows(&host.world(), &RowOptions::default());
    let at = |wanted: Subject| {
        let mut all = drawing.rows.iter();
        all.position(|row| row.subject == wanted).unwrap()
    };
    let init = at(Subject::Process(pid(500)));
    let worker = at(Subject::Process(pid(501)));
    let depth = |at: usize| drawing.rows[at].depth;
    assert!(init < worker && depth(worker) == depth(init) + 1);
    // Its box is right above it, one level up, and its lower border is of the same depth.
    let top = init - 1;
    assert!(matches!(drawing.rows[top].shape, Shape::Top(_)));
    assert_eq!(depth(top) + 1, depth(init));
    let mut below = drawing.rows[top + 1..].iter();
    let end = below.position(|row| row.depth <= depth(top)).unwrap() + top + 1;
    assert!(matches!(drawing.rows[end].shape, Shape::Bottom(_)));
    assert_eq!(drawing.rows[end].subject, drawing.rows[top].subject);
}

#[test]
fn siblings_come_in_the_order_that_is_asked_for() {
    let host = FakeHost::new(&[
        Fake::new(&[1], 0, "systemd"),
        Fake::new(&[30], 1, "alpha"),
        Fake::new(&[10], 1, "zeta"),
        Fake::new(&[20], 1, "Mid"),
        Fake::new(&[21], 20, "child"),
    ]);
    let world = host.world();
    let names = |order| -> Vec<String> {
        let options = RowOptions {
            order,
            ..RowOptions::default()
        };
        let all = rows(&world, &options).rows.into_iter();
        let names = all.filter(|row| row.depth == 1);
        names
            .map(|row| row.label[0].text.clone().into_owned())
            .collect()
    };
    assert_eq!(names(Order::Pid), ["zeta", "Mid", "alpha"]);
    // Fakes start in the order of their PIDs.
    assert_eq!(names(Order::Start), ["alpha", "Mid", "zeta"]);
    assert_eq!(names(Order::Name), ["alpha", "Mid", "zeta"]);
    assert_eq!(names(Order::Processes), ["Mid", "zeta", "alpha"]);
}

#[test]
fn what_leads_to_containers_is_sorted_by_them() {
    let web = Fake::new(&[11, 1], 10, "nginx").isolated(200);
    let app = Fake::new(&[21, 1], 20, "node").isolated(300);
    let docker = format!("/system.slice/docker-{}.scope", support::id('c'));
    let host = FakeHost::new(&[
        Fake::new(&[1], 0, "systemd"),
        Fake::new(&[5], 1, "cron"),
        Fake::new(&[10], 1, "first-keeper"),
        web.clone(),
        Fake::new(&[20], 1, "second-keeper"),
        app.clone(),
        Fake::new(&[30], 1, "shim"),
        Fake::new(&[31, 1], 30, "redis")
            .isolated(400)
            .cgroup(&docker),
    ]);
    host.record('a', "web", &web, true);
    host.record('b', "app", &app, true);
    let options = RowOptions {
        order: Order::Container,
        ..RowOptions::default()
    };
    let all = rows(&host.world(), &options).rows.into_iter();
    let names = all
        .filter(|row| row.depth == 1)
        .map(|row| row.label[0].text.clone());
    // By engine, then by name; what leads to none comes last.
    let expected = ["second-keeper", "first-keeper", "shim", "cron"];
    assert_eq!(names.collect::<Vec<_>>(), expected);
}
