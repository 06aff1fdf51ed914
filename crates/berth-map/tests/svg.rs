//! The picture: its geometry, its text, and how a browser renders it.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

mod rich;
mod support;

use berth_base::NamespaceKind;
use berth_map::dot;
use berth_map::draw::{self, MapOptions};
use berth_map::model::{Links, NamespaceSet, World};
use berth_map::svg::{self, PictureOptions, Rect};
use rich::{crowded, sketch};
use support::{Fake, FakeHost, assemble, parts};

fn picture(world: &World) -> svg::Picture {
    svg::layout(world, &PictureOptions::default())
}

fn contains(outer: &Rect, inner: &Rect) -> bool {
    outer.x <= inner.x
        && outer.y <= inner.y
        && outer.x + outer.width >= inner.x + inner.width
        && outer.y + outer.height >= inner.y + inner.height
}

fn overlap(a: &Rect, b: &Rect) -> bool {
    a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height
}

/// Boxes nest or are apart, pills are apart and inside of the host's box.
fn check_geometry(picture: &svg::Picture) {
    let whole = Rect {
        width: picture.size.width,
        height: picture.size.height,
        ..Rect::default()
    };
    for (at, panel) in picture.panels.iter().enumerate() {
        assert!(contains(&whole, &panel.rect));
        for other in &picture.panels[at + 1..] {
            let nested = contains(&panel.rect, &other.rect);
            assert!(
                nested || !overlap(&panel.rect, &other.rect),
                "{panel:?} {other:?}"
            );
        }
    }
    for (at, pill) in picture.pills.iter().enumerate() {
        assert!(contains(&picture.panels[0].rect, &pill.rect), "{pill:?}");
        for other in &picture.pills[at + 1..] {
            assert!(!overlap(&pill.rect, &other.rect), "{pill:?} {other:?}");
        }
        for cell in &pill.cells {
            let end = pill.rect.x + pill.rect.width + 0.01;
            assert!(cell.x >= pill.rect.x && cell.x + cell.width <= end);
        }
        for panel in &picture.panels {
            let inside = contains(&panel.rect, &pill.rect);
            assert!(
                inside || !overlap(&panel.rect, &pill.rect),
                "{pill:?} {panel:?}"
            );
        }
    }
}

#[test]
fn everything_has_a_place_of_its_own() {
    for world in [sketch(), crowded(2000, 60), crowded(300, 3)] {
        for lens in NamespaceKind::ALL {
            let options = PictureOptions {
                lens,
                ..PictureOptions::default()
            };
            check_geometry(&svg::layout(&world, &options));
        }
    }
}

#[test]
fn a_pill_has_a_cell_for_each_level() {
    let picture = picture(&sketch());
    let cells = |name: &str| -> Vec<Vec<String>> {
        let found = picture.pills.iter().filter(|p| p.words[0].text == name);
        let texts = found.map(|p| p.cells.iter().map(|c| c.text.clone()).collect());
        texts.collect()
    };
    assert_eq!(cells("nginx worker"), [["1799", "29"], ["1800", "30"]]);
    assert_eq!(cells("sleep"), [["6025", "146", "1"]]);
    assert_eq!(
        cells("sh"),
        [
            vec!["2411".to_owned(), "57".to_owned()],
            ["6427…6467", "235…275", "7…47"].map(str::to_owned).to_vec(),
        ]
    );
    let titles: Vec<&str> = picture
        .panels
        .iter()
        .map(|panel| panel.title.words[0].text.as_str())
        .collect();
    assert_eq!(titles, ["host web1", "shop-web", "kind-node", "api"]);
}

#[test]
fn crowds_keep_two_thousand_processes_readable() {
    let world = crowded(2000, 60);
    assert!(world.processes().len() > 1900);
    let picture = picture(&world);
    assert!(picture.pills.len() < 320, "{}", picture.pills.len());
    let aspect = picture.size.width / picture.size.height;
    assert!((0.8..2.5).contains(&aspect), "{:?}", picture.size);
    let crowd = picture.pills.iter().find(|p| p.words[0].text == "worker");
    assert!(crowd.unwrap().words[1].text.starts_with('×'));
    // What was folded is still counted.
    let folded: usize = picture.pills.iter().map(count_of).sum();
    assert_eq!(folded, world.processes().len());
}

fn count_of(pill: &svg::Pill) -> usize {
    let count = pill.words.iter().find(|w| w.mood == svg::Mood::Count);
    count.map_or(1, |word| {
        let digits: String = word.text.chars().filter(char::is_ascii_digit).collect();
        digits.parse().unwrap()
    })
}

#[test]
fn alike_namespaces_are_one_box_with_their_number() {
    let mut all = vec![Fake::new(&[1], 0, "init")];
    for n in 0..30u32 {
        let base = 1000 + u64::from(n) * 10;
        all.push(Fake::new(&[100 + n * 2, 1], 1, "unshare").isolated(base));
        all.push(Fake::new(&[101 + n * 2, 2], 100 + n * 2, "sleep").isolated(base));
    }
    let picture = picture(&assemble(&all, Vec::new()));
    assert_eq!(picture.panels.len(), 2);
    assert!(picture.panels[1].is_crowd);
    assert_eq!(picture.panels[1].title.words[1].text, "×30");
    assert_eq!(picture.pills.len(), 3);
    check_geometry(&picture);
}

#[test]
fn chains_and_rings_end() {
    let mut all = vec![Fake::new(&[1], 0, "init")];
    all.extend((2..20_000).map(|n| Fake::new(&[n], n - 1, format!("deep{}", n % 7))));
    all.push(Fake::new(&[30_000], 30_001, "ring"));
    all.push(Fake::new(&[30_001], 30_000, "ring"));
    let picture = picture(&assemble(&all, Vec::new()));
    assert_eq!(picture.pills.len(), all.len());
    assert!(picture.size.width < 20_000.0, "{:?}", picture.size);
}

/// A small XML reader: what matters is that tags nest and that texts are texts.
fn check_xml(text: &str) -> Vec<String> {
    let mut open: Vec<String> = Vec::new();
    let mut names = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        assert!(!rest[..start].contains('>'), "{}", &rest[..start]);
        let end = start + rest[start..].find('>').unwrap();
        let tag = &rest[start + 1..end];
        let name = tag.trim_start_matches('/');
        let name: String = name.chars().take_while(char::is_ascii_alphabetic).collect();
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        if tag.starts_with('/') {
            assert_eq!(open.pop().unwrap(), name);
        } else {
            names.push(name.clone());
            if !tag.ends_with('/') {
                open.push(name);
            }
        }
        rest = &rest[end + 1..];
    }
    assert!(open.is_empty(), "{open:?}");
    names
}

#[test]
fn the_document_is_well_formed_and_holds_no_script() {
    let evil = "</text><script>alert(1)</script>";
    let host = FakeHost::new(&[
        Fake::new(&[1], 0, evil),
        Fake::new(&[2, 1], 1, "\"><img src=x onerror=1>&amp;")
            .isolated(200)
            .cgroup("/lxc.payload.<b>\u{202e}&\"'"),
        Fake::new(&[3, 2], 2, b"\x1b[31m\xff\n]]>").isolated(200),
    ]);
    let text = svg::write(&host.world(), &PictureOptions::default());
    let names = check_xml(&text);
    let allowed = [
        "svg", "title", "desc", "style", "rect", "g", "text", "tspan", "path",
    ];
    for name in names {
        assert!(allowed.contains(&name.as_str()), "{name}");
    }
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
    assert!(!text.contains('\u{202e}') && text.contains("\\u{202e}"));
    let urls = text.matches("http").count() + text.matches("url(").count();
    assert_eq!(urls, 1, "the namespace of SVG alone");
    for part in [
        "role=\"img\"",
        "<title id=",
        "<desc id=",
        "prefers-color-scheme:dark",
    ] {
        assert!(text.contains(part), "{part}");
    }
}

/// Time of this thread alone: other work on the machine does not count.
fn cpu_seconds(work: impl FnOnce()) -> f64 {
    let now = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let start = now();
    work();
    now() - start
}

/// Containers, sleepers, and a chain that the reader may not look into.
fn large(count: u32) -> World {
    let crowd = crowded(count / 2, count / 40);
    let mut processes = crowd.processes().to_vec();
    for n in 0..count / 2 {
        let pids = [1_000_000 + n, 1 + n];
        let mut process = Fake::new(&pids, 999_999 + n, format!("chain{}", n % 5)).process();
        process.links = Links::Denied;
        process.namespaces = NamespaceSet::default();
        processes.push(process);
    }
    World::assemble(parts(processes))
}

#[test]
fn alone_pictures_grow_with_the_processes() {
    let measure = |count| {
        let world = large(count);
        let lenses = [NamespaceKind::Pid, NamespaceKind::Net, NamespaceKind::User];
        cpu_seconds(|| {
            for lens in lenses {
                let options = PictureOptions {
                    lens,
                    ..PictureOptions::default()
                };
                svg::write(&world, &options);
                dot::write(&world, &options);
                let options = MapOptions {
                    lens,
                    ..MapOptions::default()
                };
                draw::map(&world, &options);
            }
        })
    };
    measure(1000);
    let (small, large) = (measure(2000), measure(12_000));
    println!("{small} s, six times as many {large} s");
    assert!(large < small * 6.0 * 2.5, "{small} s, {large} s");
}

#[test]
fn two_thousand_containers_are_a_picture_that_can_be_read() {
    let world = crowded(12_000, 2000);
    let picture = picture(&world);
    check_geometry(&picture);
    // One box for each of the eight programs that run in them.
    assert_eq!(picture.panels.len(), 9, "{:?}", picture.size);
    let boxes = picture.panels.iter().skip(1);
    assert!(boxes.clone().all(|panel| panel.is_crowd));
    let counts = boxes.flat_map(|panel| panel.title.words.iter());
    let counts = counts.filter(|word| word.text == "×250").count();
    assert_eq!(counts, 8);
    // Twenty-three can be read one by one.
    let few = svg::layout(&crowded(500, 23), &PictureOptions::default());
    assert_eq!(few.panels.len(), 24);
}

#[test]
fn alone_two_thousand_boxes_that_differ_are_drawn_quickly() {
    let mut all = vec![Fake::new(&[1], 0, "init")];
    for n in 0..2000u32 {
        let base = 10_000 + u64::from(n) * 20;
        all.push(Fake::new(&[100 + n, 1], 1, format!("own{n}")).isolated(base));
    }
    let world = assemble(&all, Vec::new());
    let options = PictureOptions::default();
    let seconds = cpu_seconds(|| drop(svg::write(&world, &options)));
    println!("{seconds} s");
    // Unoptimised and on a machine with other work; 0.02 in a release.
    assert!(seconds < 1.5, "{seconds} s");
}
