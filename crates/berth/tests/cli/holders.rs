//! Namespaces that nothing lives in: `berth ns`, `who` and `check` find what keeps them alive.

use std::process::Command;
use std::sync::mpsc::channel;

use berth_sys::unshare_namespaces;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use crate::support::Berth;
use crate::world::World;

/// CLONE_NEWNET of clone(2).
const NEW_NET: u64 = 0x4000_0000;

/// The network namespace that the calling thread lives in.
fn own_net() -> String {
    let link = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
    let text = link.to_str().unwrap();
    text.trim_start_matches("net:[")
        .trim_end_matches(']')
        .to_owned()
}

/// The lines of `berth who` about one namespace, as words.
fn who(berth: &Berth, net: &str) -> Vec<Vec<String>> {
    let text = berth.ok(&["who", net]);
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    text.lines().skip(1).map(words).collect()
}

/// What `berth check` says of one namespace.
fn finding(berth: &Berth, net: &str) -> serde_json::Value {
    let json: serde_json::Value =
        serde_json::from_str(&berth.run(&["check", "--json"]).out).unwrap();
    let findings = json["findings"].as_array().unwrap().clone();
    let name = format!("net:[{net}]");
    let found = findings
        .into_iter()
        .find(|f| f["namespace"] == name.as_str());
    found.unwrap_or_default()
}

fn is_persistent(berth: &Berth, net: &str) -> bool {
    let table = berth.ok(&["ns", "-P", "-rn", "-o", "NS"]);
    table.lines().any(|line| line == net)
}

#[test]
fn a_socket_holds_its_namespace() {
    let berth = Berth::new();
    let made = std::thread::spawn(|| {
        unshare_namespaces(NEW_NET).unwrap();
        (
            own_net(),
            socket_with(
                AddressFamily::INET,
                SocketType::STREAM,
                SocketFlags::CLOEXEC,
                None,
            )
            .unwrap(),
        )
    });
    let (net, socket) = made.join().unwrap();
    assert!(is_persistent(&berth, &net));
    let me = std::process::id().to_string();
    let held = who(&berth, &net);
    assert_eq!(held.len(), 1, "{held:?}");
    assert_eq!(held[0][2..4], ["socket".to_owned(), me.clone()]);
    let finding = finding(&berth, &net);
    assert_eq!(
        (&finding["id"], &finding["severity"]),
        (&"BM040".into(), &"warning".into())
    );
    assert!(
        finding["reason"].as_str().unwrap().contains(&me),
        "{finding}"
    );
    drop(socket);
    // The kernel takes it down behind our back.
    crate::support::eventually("the end of the namespace", || {
        berth.run(&["who", &net]).err.contains("no namespace")
    });
}

#[test]
fn a_descriptor_holds_its_namespace() {
    let berth = Berth::new();
    let made = std::thread::spawn(|| {
        unshare_namespaces(NEW_NET).unwrap();
        (
            own_net(),
            std::fs::File::open("/proc/thread-self/ns/net").unwrap(),
        )
    });
    let (net, file) = made.join().unwrap();
    let held = who(&berth, &net);
    let fd = std::os::fd::AsRawFd::as_raw_fd(&file).to_string();
    assert_eq!(held.len(), 1, "{held:?}");
    assert_eq!(held[0][2], "descriptor");
    assert_eq!(held[0].last(), Some(&fd));
    let path = berth.ok(&["ns", "-rn", "-o", "PATH", "-P", "-t", "net"]);
    let own = format!("/proc/{}/fd/{fd}", std::process::id());
    assert!(path.lines().any(|line| line == own), "{path}");
}

#[test]
fn a_thread_lives_where_its_process_does_not() {
    let berth = Berth::new();
    let (tell, told) = channel();
    let (end, ended) = channel::<()>();
    let thread = std::thread::spawn(move || {
        unshare_namespaces(NEW_NET).unwrap();
        let tid = rustix::thread::gettid().as_raw_nonzero().to_string();
        tell.send((own_net(), tid)).unwrap();
        ended.recv().unwrap_err();
    });
    let (net, tid) = told.recv().unwrap();
    let held = who(&berth, &net);
    assert_eq!(held.len(), 1, "{held:?}");
    assert_eq!(
        (held[0][2].as_str(), held[0].last()),
        ("thread", Some(&tid))
    );
    assert!(!is_persistent(&berth, &net));
    assert_eq!(finding(&berth, &net), serde_json::Value::Null);
    drop(end);
    thread.join().unwrap();
}

#[test]
fn a_mount_in_another_mount_namespace_holds_it() {
    let berth = Berth::new();
    let script = "mount -t tmpfs x /mnt && touch /mnt/blue && \
        unshare -n mount --bind /proc/self/ns/net /mnt/blue && exec sleep 1030";
    let world = World::new(&["-m"], script, 1030);
    // It is not mounted here: its number is asked for there.
    let mut stat = Command::new("nsenter");
    stat.args(["-t", &world.pid, "-m", "stat", "-c", "%i", "/mnt/blue"]);
    let net = String::from_utf8(stat.output().unwrap().stdout).unwrap();
    let net = net.trim_end();
    assert!(is_persistent(&berth, net));
    let held = who(&berth, net);
    assert_eq!(held.len(), 1, "{held:?}");
    let place = format!("mnt:[{}]", world.namespace("mnt"));
    assert_eq!(held[0][2..3], ["bind-mount".to_owned()]);
    assert_eq!(
        held[0][held[0].len() - 3..],
        ["/mnt/blue".to_owned(), "in".to_owned(), place]
    );
    let finding = finding(&berth, net);
    assert_eq!(
        (&finding["id"], &finding["severity"]),
        (&"BM040".into(), &"info".into())
    );
}

#[test]
fn a_process_holds_what_its_children_will_be_born_in() {
    let berth = Berth::new();
    // unshare(1) itself stays outside of the PID namespace that it made.
    let world = World::new(&["-p", "-f"], "exec sleep 1031", 1031);
    let number = world.namespace("pid");
    let held = who(&berth, &number);
    let how: Vec<(&str, &str)> = held
        .iter()
        .map(|l| (l[2].as_str(), l[4].as_str()))
        .collect();
    assert_eq!(
        how,
        [("process", "sleep"), ("for-children", "unshare")],
        "{held:?}"
    );
    let parent = held[1][3].as_str();
    let table = berth.ok(&["ns", "-p", parent, "-t", "pid", "-rn", "-o", "NS"]);
    assert!(table.lines().any(|line| line == number), "{table}");
}
