//! The page as a person uses it.

use std::process::Command;

use serde_json::json;

use crate::devtools::Browser;
use crate::support::{Server, Tree, comm, eventually, pids};

/// A container, and one in it.
const NESTED: &str = "sleep 600 & unshare -pf --kill-child sh -c 'sleep 600; true'; true";

/// The pills of some processes, each `NAME PID PID...`, as the page shows them.
fn pills(browser: &mut Browser, selector: &str) -> Vec<String> {
    browser.texts(&format!(
        "[...document.querySelectorAll({selector:?})].map(pill => [pill.querySelector('.name').firstChild.textContent, \
         ...[...pill.querySelectorAll('b')].map(b => b.textContent)].join(' ')).sort()"
    ))
}

/// The same as the kernel tells it.
fn wanted(processes: &[Vec<u32>]) -> Vec<String> {
    let line = |pids: &Vec<u32>| {
        let numbers: Vec<String> = pids.iter().map(u32::to_string).collect();
        format!("{} {}", comm(pids[0]), numbers.join(" "))
    };
    let mut all: Vec<String> = processes.iter().map(line).collect();
    all.sort();
    all
}

pub fn namespace(pid: u32) -> String {
    let link = std::fs::read_link(format!("/proc/{pid}/ns/pid")).unwrap();
    let digits = |c: char| !c.is_ascii_digit();
    link.to_str().unwrap().trim_matches(digits).to_owned()
}

#[test]
fn a_person_looks_around() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let tree = Tree::new(NESTED);
    let processes = tree.settled(5);
    let server = Server::start(&[]);
    browser.open(&server.url);
    let (outer, inner) = (
        &processes[0],
        processes.iter().find(|pids| pids.len() == 3).unwrap(),
    );
    let (outer_box, inner_box) = (
        format!("b{}", namespace(outer[0])),
        format!("b{}", namespace(inner[0])),
    );
    // Every process is there, with its PID at every level, in the boxes of its namespaces.
    // Names may be older than an exec for the time of a frame.
    eventually("every process with its PIDs", || {
        pills(&mut browser, &format!("#{outer_box} .pill")) == wanted(&processes)
    });
    assert_eq!(
        browser.value(&format!(
            "document.querySelector('#{outer_box} #{inner_box}') !== null"
        )),
        true
    );

    // Hovering lights the process, its parents, and its PID at every level.
    browser.hover(&format!("#p{}", inner[0]));
    browser.until(
        "the light",
        &format!("document.querySelector('#p{}.is-lit')", inner[0]),
    );
    let here = browser
        .texts("[...document.querySelectorAll('.here')].map(chip => chip.textContent).sort()");
    let mut levels: Vec<String> = inner.iter().map(|pid| format!("PID {pid} here")).collect();
    levels.sort();
    assert_eq!(here, levels);
    let parents =
        browser.texts("[...document.querySelectorAll('.is-parent')].map(pill => pill.id)");
    assert!(parents.contains(&format!("p{}", outer[0])), "{parents:?}");

    // A click tells everything.
    browser.click(&format!("#p{} .name", inner[0]));
    browser.until(
        "the details",
        "document.querySelectorAll('#detail .levels li').length === 3",
    );
    let detail = browser.value("document.querySelector('#detail').innerText");
    assert!(
        detail
            .as_str()
            .unwrap()
            .contains("hidden; start the page with --show-args"),
        "{detail}"
    );

    assert_eq!(browser.complaints, Vec::<String>::new());
}

#[test]
fn the_keyboard_reaches_everything_and_a_lens_changes_the_boxes() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let tree = Tree::new(NESTED);
    let processes = tree.settled(5);
    let server = Server::start(&[]);
    browser.open(&server.url);
    let outer = &processes[0];
    let inner = processes.iter().find(|pids| pids.len() == 3).unwrap();
    browser.click(&format!("#p{} .name", inner[0]));
    // One sees where it is.
    browser.press("ArrowLeft");
    let focused =
        browser.value("document.activeElement.dataset.up ? document.activeElement.id : ''");
    let unshare = processes
        .iter()
        .find(|pids| comm(pids[0]) == "unshare")
        .unwrap();
    assert_eq!(focused, format!("p{}", unshare[0]));
    browser.press("ArrowDown");
    browser.press("Enter");
    browser.until(
        "another choice",
        "document.querySelector('.is-chosen') === document.activeElement",
    );
    assert_eq!(
        browser.value("getComputedStyle(document.activeElement).outlineStyle !== 'none'"),
        true
    );
    browser.press("Escape");
    browser.until("no choice", "!document.querySelector('.is-chosen')");

    // Another lens is another set of boxes.
    browser.click("#lens [data-lens=net]");
    browser.until(
        "the other lens",
        "document.querySelector('#host h2') && meta.lens === 'net'",
    );
    let network = std::fs::read_link(format!("/proc/{}/ns/net", outer[0])).unwrap();
    let digits = |c: char| !c.is_ascii_digit();
    let network = format!("b{}", network.to_str().unwrap().trim_matches(digits));
    browser.until(
        "the network's box",
        &format!("document.querySelectorAll('#{network} .pill').length >= 5"),
    );
    assert_eq!(browser.complaints, Vec::<String>::new());
}

#[test]
fn search_lists_every_match() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let trees = [Tree::new(NESTED), Tree::new(NESTED)];
    let all: Vec<Vec<u32>> = trees.iter().flat_map(|tree| tree.settled(5)).collect();
    let server = Server::start(&[]);
    browser.open(&server.url);
    browser.press("/");
    browser.write("2");
    browser.until(
        "matches",
        "document.querySelectorAll('#found li').length > 3",
    );
    let listed = browser
        .texts("[...document.querySelectorAll('#found [data-to]')].map(at => at.dataset.to)");
    let sought: Vec<_> = all.iter().filter(|pids| pids[1..].contains(&2)).collect();
    assert_eq!(sought.len(), 4);
    for pids in &sought {
        assert!(
            listed.contains(&format!("p{}", pids[0])),
            "{pids:?} {listed:?}"
        );
    }
    let marked = browser.texts("[...document.querySelectorAll('.pill.is-found')].map(at => at.id)");
    assert!(
        sought
            .iter()
            .all(|pids| marked.contains(&format!("p{}", pids[0]))),
        "{marked:?}"
    );
    // Enter goes to the first one: a thread of the kernel, which has no pill of its own.
    browser.press("Enter");
    browser.until(
        "its details",
        "document.querySelector('#detail').textContent.includes('kthreadd')",
    );
    let pid = sought[0][0];
    browser.press("/");
    browser.write(&pid.to_string());
    browser.until(
        "one match",
        &format!("document.querySelector('#found .count').textContent.startsWith('{pid} is')"),
    );
    browser.press("ArrowDown");
    browser.press("Enter");
    browser.until(
        "the match",
        &format!("document.querySelector('#p{pid}.is-chosen')"),
    );
    assert_eq!(browser.complaints, Vec::<String>::new());
}

#[test]
fn standing_inside_a_container_pids_count_from_one() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let tree = Tree::new(NESTED);
    let processes = tree.settled(5);
    let server = Server::start(&[]);
    browser.open(&server.url);
    let outer_box = format!("b{}", namespace(processes[0][0]));
    browser.click(&format!("#{outer_box} > .tools .inside"));
    browser.until(
        "the inside",
        "meta.inside && document.querySelectorAll('.pill').length === 5",
    );
    let inside = |pids: &Vec<u32>| {
        format!(
            "{} {}",
            comm(pids[0]),
            pids[1..]
                .iter()
                .map(u32::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        )
    };
    let mut own: Vec<String> = processes.iter().map(inside).collect();
    own.sort();
    // Names may be older than an exec for the time of a frame.
    eventually("every process by its own PIDs", || {
        pills(&mut browser, ".pill") == own
    });
    // What happens is seen from inside as well.
    let host = processes[0][0].to_string();
    let mut entered = Command::new("nsenter")
        .args([
            "-t",
            &host,
            "-p",
            "-U",
            "-r",
            "sh",
            "-c",
            "read line; exit 7",
        ])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    browser.until(
        "who entered",
        "document.querySelectorAll('.pill:not(.is-over)').length === 6",
    );
    // Its input ends, and it with that.
    drop(entered.stdin.take());
    entered.wait().unwrap();
    browser.until(
        "its end",
        "document.querySelectorAll('.pill:not(.is-over)').length === 5",
    );
    browser.click("#out");
    browser.until(
        "the host",
        "!meta.inside && document.querySelector('#host')",
    );
    browser.until(
        "the host's pills",
        &format!("document.querySelector('#p{host}')"),
    );
    assert_eq!(browser.complaints, Vec::<String>::new());
}

#[test]
fn what_dies_is_what_the_kernel_kills() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let (dying, staying) = (Tree::new(NESTED), Tree::new("sleep 600 & sleep 601; true"));
    let (doomed, safe) = (dying.settled(5), staying.settled(3));
    let server = Server::start(&[]);
    browser.open(&server.url);
    let outer_box = format!("b{}", namespace(doomed[0][0]));
    browser.click(&format!("#{outer_box} > .tools .dies"));
    browser.until("the marks", "document.querySelector('.is-dying')");
    let ids = |all: &[Vec<u32>]| {
        let mut ids: Vec<String> = all.iter().map(|pids| format!("p{}", pids[0])).collect();
        ids.sort();
        ids
    };
    let marked =
        browser.texts("[...document.querySelectorAll('.is-dying')].map(pill => pill.id).sort()");
    assert_eq!(marked, ids(&doomed));
    let verdict = browser.value("document.querySelector('#verdict').textContent");
    assert!(
        verdict.as_str().unwrap().starts_with("5 processes end"),
        "{verdict}"
    );
    // So it is.
    crate::support::signal_to(doomed[0][0], "-KILL");
    eventually("their end", || {
        doomed
            .iter()
            .all(|pids| crate::support::pids(pids[0]).is_none())
    });
    let gone = marked
        .iter()
        .map(|id| format!("!document.getElementById('{id}')"))
        .collect::<Vec<_>>();
    browser.until("their end on the page", &gone.join(" && "));
    for id in ids(&safe) {
        assert_eq!(
            browser.value(&format!("document.getElementById('{id}') !== null")),
            true
        );
    }
    assert_eq!(browser.complaints, Vec::<String>::new());
}

#[test]
fn it_is_light_and_dark_and_fits_a_phone() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let tree = Tree::new(NESTED);
    let processes = tree.settled(5);
    let server = Server::start(&[]);
    browser.open(&server.url);
    let mut grounds = Vec::new();
    for scheme in ["light", "dark"] {
        let feature = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        browser.call("Emulation.setEmulatedMedia", feature);
        grounds.push(browser.value("getComputedStyle(document.body).backgroundColor"));
    }
    assert_ne!(grounds[0], grounds[1]);
    let phone = json!({ "width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": true });
    browser.call("Emulation.setDeviceMetricsOverride", phone);
    // Nothing sticks out: every PID of every pill is on the screen.
    let id = format!(
        "p{}",
        processes.iter().find(|pids| pids.len() == 3).unwrap()[0]
    );
    browser.until(
        "the phone's layout",
        "innerWidth === 390 && document.querySelector('#map').scrollWidth <= 390",
    );
    let right = browser.value(&format!("[...document.querySelectorAll('#{id} b')].every(b => {{ const r = b.getBoundingClientRect(); return r.left >= 0 && r.right <= 390 && r.width > 10; }})"));
    assert_eq!(right, true);
    assert!(pids(processes[0][0]).is_some());
    assert!(browser.complaints.is_empty(), "{:?}", browser.complaints);
}

#[test]
fn layers_show_what_is_shared_and_where_wires_lead() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    // Two containers with an IPC namespace in common, and one with a cable to the box around. The
    // cable is laid once there are two boxes: before unshare(1) has made its own, `netns $!` is ours.
    let tree = Tree::new(
        "unshare -i sh -c 'unshare -pf --kill-child sleep 600 & unshare -pf --kill-child sleep 601; true' & \
         unshare -pnf --kill-child sleep 602 & \
         while [ $(readlink /proc/$!/ns/net) = $(readlink /proc/self/ns/net) ]; do sleep 0.1; done; \
         ip link add veth-a type veth peer name eth0 netns $!; wait",
    );
    tree.settled(8);
    let server = Server::start(&[]);
    browser.open(&server.url);
    let shown = |kind: &str| {
        format!(
            "[...document.querySelectorAll('#wires .{kind} text')].map(text => text.textContent)"
        )
    };
    assert_eq!(browser.texts(&shown("wire")), Vec::<String>::new());
    for (kind, word) in [("shared", "ipc"), ("veth", "veth-a")] {
        browser.click(&format!("#layer-{kind}"));
        let pressed =
            format!("document.querySelector('#layer-{kind}').getAttribute('aria-pressed')");
        assert_eq!(browser.value(&pressed), "true", "{kind}");
        browser.until(
            &format!("the wires of {kind}"),
            &format!("document.querySelector('#wires .{kind} path')"),
        );
        let texts = browser.texts(&shown(kind));
        assert!(texts.iter().any(|text| text.contains(word)), "{texts:?}");
        browser.click(&format!("#layer-{kind}"));
        browser.until(
            "an empty ground",
            &format!("!document.querySelector('#wires .{kind}')"),
        );
    }
    assert_eq!(browser.complaints, Vec::<String>::new());
}
