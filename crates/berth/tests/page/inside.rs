//! What is a container's own, and what a stranger reads at first sight.

use serde_json::Value;

use crate::browser::namespace;
use crate::devtools::Browser;
use crate::support::{Server, Tree, eventually};

fn started(time: &Value) -> u64 {
    let slots = time["slots"].as_array().unwrap();
    slots.iter().map(|slot| slot[0].as_u64().unwrap()).sum()
}

#[test]
fn the_timeline_of_a_container_is_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display();
    std::os::unix::fs::symlink("/bin/true", folder.path().join("inmate")).unwrap();
    std::os::unix::fs::symlink("/bin/true", folder.path().join("stranger")).unwrap();
    let script = format!(
        "until test -e {path}/go; do :; done; {path}/inmate; {path}/inmate; \
         unshare -pf {path}/inmate; sleep 600; true"
    );
    let tree = Tree::new(&script);
    let inode = namespace(tree.settled(1)[0][0]);
    let server = Server::start(&[]);
    let page = server.events("").next("page");
    if page["meta"]["health"]["source"] == "snapshots alone" {
        berth_testkit::skip(
            "no events on this machine: what lives between two snapshots is not seen",
        );
        return;
    }
    let inside = format!("inside={inode}");
    let before = server.events(&inside).next("time");
    assert_eq!(started(&before), 0, "{before}");
    std::fs::write(folder.path().join("go"), "").unwrap();
    // Four on the host, while the container has three, one of them in a namespace of its own, and
    // the unshare and the sleep beside them.
    for _ in 0..4 {
        let stranger = std::process::Command::new(folder.path().join("stranger")).status();
        assert!(stranger.unwrap().success());
    }
    let lives = |query: &str| {
        let path = format!("lives?from=0&to=99999999999&{query}");
        server.get(&path).body
    };
    eventually("all lives", || {
        lives("q=inmate").matches("<li").count() == 3
            && lives("q=stranger").matches("<li").count() == 4
    });
    let own = lives(&inside);
    assert!(own.contains("inmate") && !own.contains("stranger"), "{own}");
    let inmates = lives(&format!("q=inmate&{inside}"));
    assert!(inmates.matches("<li").count() >= 2, "{inmates}");
    // By PIDs that count from one: the first that the shell started is 2.
    assert!(own.contains("data-to=\"p2\""), "{own}");
    eventually("its own timeline", || {
        let count = started(&server.events(&inside).next("time"));
        (4..=5).contains(&count)
    });
    assert!(started(&server.events("").next("time")) >= 9);
    assert_eq!(server.get("lives?from=0&to=1&inside=web").status, 400);
}

#[test]
fn a_stranger_sees_whose_pids_these_are_and_who_dies() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let tree = Tree::new("sleep 600 & unshare -pf --kill-child sh -c 'sleep 601; true'; true");
    let processes = tree.settled(5);
    let server = Server::start(&[]);
    browser.open(&server.url);
    let inner = processes.iter().find(|pids| pids.len() == 3).unwrap();
    let heads = |browser: &mut Browser, pid: u32| {
        browser.texts(&format!(
            "[...document.querySelector('#p{pid}').closest('.col').querySelectorAll('.heads b')].map(b => b.textContent)"
        ))
    };
    let first = processes[0][0];
    assert_eq!(heads(&mut browser, first), ["host", "inside"]);
    assert_eq!(heads(&mut browser, inner[0]), ["host", "between", "inside"]);
    // Each head stands above its cells.
    let offsets = browser.value(&format!(
        "[...document.querySelectorAll('#p{0} > b')].map((cell, n) => {{ \
         const head = document.querySelector('#p{0}').closest('.col').querySelectorAll('.heads b')[n]; \
         return Math.abs(head.getBoundingClientRect().right - cell.getBoundingClientRect().right); }})",
        inner[0]
    ));
    let offsets = offsets.as_array().unwrap();
    assert!(
        offsets.iter().all(|far| far.as_f64().unwrap() < 4.0),
        "{offsets:?}"
    );
    let fate = |browser: &mut Browser, pid: u32, what: &str| {
        // Not by the mouse: what else the machine does moves the pill meanwhile.
        browser.value(&format!("document.querySelector('#p{pid}').click(), 0"));
        browser.until(
            what,
            &format!(
                "document.querySelector('.is-chosen').id === 'p{pid}' && \
                 document.querySelector('#fate').textContent.includes({what:?})"
            ),
        );
    };
    fate(&mut browser, first, "4 others end with it: it is PID 1 of");
    fate(&mut browser, inner[0], "1 other ends with it");
    let sleeper = processes
        .iter()
        .find(|pids| pids.len() == 2 && pids[1] != 1)
        .unwrap();
    fate(&mut browser, sleeper[0], "nobody else is killed");
    // From inside they are the container's own.
    browser.click(&format!("#b{} > .tools .inside", namespace(first)));
    browser.until(
        "the inside",
        "meta.inside && document.querySelectorAll('.pill').length === 5",
    );
    assert_eq!(heads(&mut browser, 1), ["PID"]);
    assert_eq!(heads(&mut browser, inner[1]), ["here", "inside"]);
    // A list of the container's own lives does not outlast the look at it.
    browser.until("the clock", "clock !== null");
    browser.value("showLives(clock.now).then(() => 0)");
    browser.until(
        "the list",
        "document.querySelector('#lives .back').textContent.includes('container') && \
         !document.querySelector('#lives').hidden",
    );
    browser.click("#out");
    browser.until(
        "the host without it",
        "!meta.inside && document.querySelector('#lives').hidden",
    );
    assert_eq!(browser.complaints, Vec::<String>::new());
}
