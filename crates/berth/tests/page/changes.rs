//! What changes on an open page, and the connection that it comes by.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::browser::namespace;
use crate::devtools::Browser;
use crate::support::{Server, Tree, eventually};

#[test]
fn what_starts_flashes_what_ends_says_how_and_nothing_else_moves() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    // Two containers in one. The second waits for a name in a folder, starts what is to be seen,
    // and ends with its code.
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "unshare -pf --kill-child sh -c 'sleep 600 & sleep 601; true' & \
         unshare -pf --kill-child sh -c \
         'while ! test -e {0}/go; do sleep 0.1; done; sleep 30 & wait; exit 7'; \
         sleep 602; true",
        folder.path().display()
    );
    let tree = Tree::new(&script);
    // Of the inner containers, the process whose command line begins and goes on like this.
    let find = |program: &str, text: &str| {
        let is_it = |pids: &&Vec<u32>| {
            let command = std::fs::read_to_string(format!("/proc/{}/cmdline", pids[0]));
            pids.len() == 3 && command.is_ok_and(|c| c.starts_with(program) && c.contains(text))
        };
        tree.processes().iter().find(is_it).map(|pids| pids[0])
    };
    let find_soon = |program: &str, text: &str| {
        eventually(text, || find(program, text).is_some());
        find(program, text).unwrap()
    };
    let first = find_soon("sh", "exit 7");
    let still = [
        find_soon("sh", "601"),
        find_soon("sleep", "600"),
        find_soon("sleep", "601"),
    ];
    let around = format!("b{}", namespace(tree.processes()[0][0]));
    let server = Server::start(&[]);
    browser.open(&server.url);
    browser.until(
        "the first process",
        &format!("document.querySelector('#p{first}')"),
    );
    // Within the box around: what else the machine does may move that.
    let places = |browser: &mut Browser| {
        let ids: Vec<String> = still.iter().map(|pid| format!("'p{pid}'")).collect();
        browser.value(&format!(
            "[{}].map(id => {{ const around = document.getElementById('{around}').getBoundingClientRect(); \
             const at = document.getElementById(id).getBoundingClientRect(); \
             return [at.x - around.x, at.y - around.y]; }})",
            ids.join(",")
        ))
    };
    let before = places(&mut browser);
    // A flash may be over before we look for it.
    browser.value("window.flashed = []; new MutationObserver(() => { for (const at of document.querySelectorAll('.is-new')) flashed.push(at.id); }).observe(document.body, { subtree: true, childList: true, attributes: true }), 0");
    std::fs::write(folder.path().join("go"), "").unwrap();
    let sleeper = find_soon("sleep", "30");
    browser.until(
        "a new pill that flashes",
        &format!("flashed.includes('p{sleeper}')"),
    );
    browser.value("window.fell = []; new MutationObserver(all => { for (const change of all) for (const at of change.addedNodes) if (at.className && at.className.startsWith('how')) fell.push(at.textContent); }).observe(document.body, { subtree: true, childList: true }), 0");
    crate::support::signal_to(sleeper, "-TERM");
    browser.until(
        "how they ended",
        "fell.includes('signal 15') && fell.includes('exit 7') || !meta.health.is_live",
    );
    browser.until(
        "the faded pill gone",
        &format!(
            "!document.querySelector('#p{first}') && !document.querySelector('#{around} .is-over')"
        ),
    );
    assert_eq!(places(&mut browser), before);
    assert_eq!(browser.complaints, Vec::<String>::new());
}

/// Passes connections on from the other loopback address, whose name the server takes for its own.
struct Relay {
    open: Arc<Mutex<Vec<TcpStream>>>,
    port: u16,
}

impl Relay {
    fn new(port: u16) -> Self {
        let listener = TcpListener::bind(("::1", port)).unwrap();
        let open: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let kept = Arc::clone(&open);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else {
                    continue;
                };
                let both = [
                    (client.try_clone(), server.try_clone()),
                    (server.try_clone(), client.try_clone()),
                ];
                for (from, to) in both {
                    let (mut from, mut to) = (from.unwrap(), to.unwrap());
                    std::thread::spawn(move || {
                        let mut bytes = [0u8; 65536];
                        while let Ok(count @ 1..) = from.read(&mut bytes) {
                            if to.write_all(&bytes[..count]).is_err() {
                                break;
                            }
                        }
                        drop(to.shutdown(Shutdown::Both));
                    });
                }
                kept.lock().unwrap().push(client);
            }
        });
        Self { open, port }
    }

    fn cut(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

#[test]
fn it_reconnects_by_itself_and_knows_an_old_token() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let server = Server::start(&[]);
    let relay = Relay::new(server.port);
    browser.open(&format!("http://[::1]:{}/{}/", relay.port, server.token));
    let pill = browser.value("document.querySelector('.pill').id");
    browser.value("window.kept = document.querySelector('.pill'), 0");
    browser.value("window.lost = 0; new MutationObserver(() => { lost += document.querySelector('#health').dataset.state === 'lost'; }).observe(document.querySelector('#health'), { attributes: true }), 0");
    relay.cut();
    browser.until("the loss", "lost > 0");
    browser.until(
        "the return",
        "document.querySelector('#health').dataset.state !== 'lost'",
    );
    let tree = Tree::new("sleep 600; true");
    let pid = tree.settled(2)[0][0];
    browser.until(
        "what happened since",
        &format!("document.querySelector('#p{pid}')"),
    );
    // The page was put right, not made anew.
    assert_eq!(
        browser.value(&format!("kept === document.getElementById({pill})")),
        true
    );
    let port = server.port;
    assert_eq!(server.end("-TERM"), 143);
    browser.until(
        "the loss",
        "document.querySelector('#health').dataset.state === 'lost'",
    );
    let _next = Server::start(&[&format!("127.0.0.1:{port}")]);
    browser.until(
        "the word about the token",
        "document.querySelector('#banner').textContent.includes('token in this link is old')",
    );
    assert!(browser.complaints.is_empty(), "{:?}", browser.complaints);
}
