//! Many containers on one network.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::ports::ask;
use crate::world::World;

/// All of them, however long that takes.
const ALL: &str = "BERTH_TEST_CONTAINERS";
/// How many there are to be, unless time is over before.
const MANY: usize = 500;
const TIME: Duration = Duration::from_secs(20);
const AT_ONCE: usize = 8;

/// Starts so many containers, in crowds; their names.
fn start(world: &World, count: usize, end: Option<Instant>) -> Vec<String> {
    let mut names = Vec::new();
    while names.len() < count && end.is_none_or(|end| Instant::now() < end) {
        let crowd = AT_ONCE.min(count - names.len());
        let started: Vec<_> = (0..crowd)
            .map(|n| {
                let name = format!("c{}", names.len() + n);
                let flags = ["run", "-d", "--name", &name, "--network", "blue"];
                (
                    world.start(&[&flags[..], &["host", "sleep", "1000"]].concat()),
                    name,
                )
            })
            .collect();
        for (child, name) in started {
            let done = crate::cli::finish(child);
            assert_eq!(done.code, 0, "{name}: {done:?}");
            names.push(name);
        }
    }
    names
}

/// Whether one container finds and reaches another by its name.
fn reaches(world: &World, from: &str, to: &str) -> bool {
    let ping = ["busybox", "ping", "-c", "1", "-W", "5", to];
    world.run(&[&["exec", from][..], &ping].concat()).code == 0
}

fn remove(world: &World, names: &[String]) {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    world.ok(&[&["rm", "-f"], &names[..]].concat());
    assert!(world.leases("blue").is_empty());
    world.wait("the ends of pairs to go", || {
        !world.interfaces().iter().any(|name| name.starts_with("bv"))
    });
}

/// `BERTH_TEST_CONTAINERS=500` takes the time for so many.
#[test]
fn hundreds_of_containers_reach_each_other_and_leave_nothing() {
    let Some(world) = World::new() else { return };
    world.ok(&["network", "create", "blue"]);
    let asked = std::env::var(ALL).ok().map(|text| text.parse().unwrap());
    let end = asked.is_none().then(|| Instant::now() + TIME);
    let names = start(&world, asked.unwrap_or(MANY), end);
    assert!(names.len() >= AT_ONCE);
    assert_eq!(world.leases("blue").len(), names.len());
    let distinct: HashSet<_> = world.leases("blue").into_iter().collect();
    assert_eq!(distinct.len(), names.len());
    let last = names.len() - 1;
    for (from, to) in [(0, last), (last, 0), (last / 2, last / 3), (1, 2)] {
        assert!(reaches(&world, &names[from], &names[to]), "{from} to {to}");
    }
    remove(&world, &names);
    world.ok(&["network", "rm", "blue"]);
    assert!(world.interfaces().is_empty());
    assert!(!world.host("nft list ruleset").contains("berth"));
}

/// Fills the network's bridge with ports of nobody's.
fn fill(world: &World, bridge: &str, from: usize, to: usize) {
    let folder = world.berth.path("batch");
    let line =
        |n| format!("link add p{n} type veth peer name q{n}\nlink set p{n} master {bridge}\n");
    std::fs::write(&folder, (from..=to).map(line).collect::<String>()).unwrap();
    world.host(&format!("ip -batch {}", folder.display()));
}

fn serve(world: &World, name: &str, flags: &[&str]) -> crate::cli::Done {
    let mut arguments = vec!["run", "-d", "--name", name, "--network", "blue"];
    arguments.extend(flags);
    arguments.extend(["host", "busybox", "nc", "-ll", "-p80", "-e", "echo", name]);
    world.run(&arguments)
}

/// Containers on both bridges reach each other and published ports.
fn assert_one_link(world: &World, shard: &str) {
    for (from, to) in [
        ("one", "three"),
        ("three", "one"),
        ("four", "three"),
        ("four", "two"),
    ] {
        assert!(reaches(world, from, to), "{from} to {to}");
    }
    // Both servers listen.
    for (port, name) in [(8081, "one"), (8083, "three")] {
        assert_eq!(ask(world, &format!("127.0.0.1:{port}")).unwrap(), name);
    }
    let asks = |from: &str, address: &str| {
        let ask = format!("busybox nc -w5 {address}");
        let done = world.run(&["exec", from, "sh", "-c", &ask]);
        println!("{from} asks {address}: {done:?}");
        done.out
    };
    let gateway = world.ok(&[
        "exec",
        "one",
        "sh",
        "-c",
        "ip route | cut -d' ' -f3 | head -1",
    ]);
    let asks = |from: &str, port: u16| asks(from, &format!("{gateway} {port}"));
    assert_eq!(asks("one", 8083), "three\n");
    for from in ["one", "three", "four"] {
        assert_eq!(asks(from, 8081), "one\n", "{from}");
    }
    // Where bridged frames pass the packet filter, none comes back by the pair between two bridges.
    world.host("f=/proc/sys/net/bridge/bridge-nf-call-iptables; [ ! -e $f ] || echo 0 >$f");
    for from in ["three", "four"] {
        assert_eq!(asks(from, 8083), "three\n", "{from}");
    }
    let strangers = world.host(&format!("ip neigh show dev {shard}"));
    assert_eq!(strangers, "", "the second bridge answers for the host");
    assert_eq!(world.host("busybox nc -w5 127.0.0.1 8083"), "three");
}

#[test]
fn a_full_bridge_is_continued_by_another_one() {
    let Some(world) = World::new() else { return };
    for network in ["blue", "green"] {
        world.ok(&["network", "create", network]);
    }
    assert_eq!(serve(&world, "one", &["-p", "8081:80"]).err, "");
    let bridge = world
        .interfaces()
        .into_iter()
        .find(|name| name.starts_with("berth"))
        .unwrap();
    // One that is nearly full warns, and takes the container.
    fill(&world, &bridge, 1, 980);
    let done = serve(&world, "two", &[]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.err.contains("982 of its 1023 ports"), "{done:?}");
    let shard = format!("{}s01", &bridge[..12]);
    assert!(done.err.contains(&shard), "{done:?}");
    // The next ones are on another bridge, of the same network in every respect.
    assert_eq!(serve(&world, "three", &["-p", "8083:80"]).err, "");
    assert_eq!(serve(&world, "four", &[]).err, "");
    let ports = world.host(&format!("ip -o link show master {shard}"));
    assert_eq!(ports.lines().count(), 3, "{ports}");
    assert_one_link(&world, &shard);
    // Isolated from others as the first is.
    let far = [
        "run",
        "-d",
        "--name",
        "far",
        "--network",
        "green",
        "host",
        "sleep",
        "1000",
    ];
    world.ok(&far);
    let address = world.leases("green").remove(0);
    assert!(!reaches(&world, "three", &address));
    let whole = world.host("nft list ruleset");
    world.host("nft flush ruleset");
    world.ok(&["network", "reload"]);
    assert_eq!(world.host("nft list ruleset"), whole);
    assert!(whole.contains(&shard), "{whole}");
    // All of it goes with the network.
    world.ok(&["rm", "-f", "one", "two", "three", "four", "far"]);
    world.ok(&["system", "restore"]);
    world.ok(&["network", "prune", "-f"]);
    let left = world.interfaces();
    assert!(
        !left.iter().any(|name| name.starts_with("berth")),
        "{left:?}"
    );
    assert!(!world.host("nft list ruleset").contains("berth"));
}

#[test]
fn who_finds_a_bridge_full_is_put_on_the_next_one() {
    let Some(world) = World::new() else { return };
    world.ok(&["network", "create", "blue"]);
    assert_eq!(serve(&world, "one", &[]).code, 0);
    let interfaces = world.interfaces();
    let bridge = interfaces.iter().find(|name| name.starts_with("berth"));
    let bridge = bridge.unwrap();
    fill(&world, bridge, 1, 980);
    assert!(serve(&world, "two", &[]).err.contains("1023 ports"));
    // Others who began before that fill it up; the second bridge's pair has a port by now.
    fill(&world, bridge, 981, 1020);
    let shards = world.berth.path("state/networks/blue/shards");
    assert_eq!(std::fs::read_to_string(&shards).unwrap(), "1 1\n");
    std::fs::write(&shards, "1 0\n").unwrap();
    let done = serve(&world, "three", &["-p", "8080:80"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(reaches(&world, "three", "one"));
    assert_eq!(ask(&world, "127.0.0.1:8080").unwrap(), "three");
    world.ok(&["rm", "-f", "one", "two", "three"]);
    world.ok(&["network", "rm", "blue"]);
}

#[test]
fn a_bridge_that_others_filled_is_said_to_be_full() {
    let Some(world) = World::new() else { return };
    world.ok(&["network", "create", "blue"]);
    assert_eq!(serve(&world, "one", &[]).code, 0);
    let interfaces = world.interfaces();
    let bridge = interfaces.iter().find(|name| name.starts_with("berth"));
    fill(&world, bridge.unwrap(), 1, 1022);
    let done = serve(&world, "two", &["-p", "8080:80"]);
    assert_eq!(done.code, 125, "{done:?}");
    // And that the container is kept.
    assert_eq!(done.err.lines().count(), 2, "{done:?}");
    assert!(!world.host("nft list ruleset").contains("8080"));
    world.ok(&["rm", "-f", "one", "two"]);
    world.ok(&["network", "rm", "blue"]);
}

#[test]
fn addresses_run_out_in_one_line() {
    let Some(world) = World::new() else { return };
    world.ok(&["network", "create", "--subnet", "10.50.0.0/29", "blue"]);
    let names = start(&world, 5, None);
    let before = world.interfaces().len();
    let done = serve(&world, "late", &["-p", "8080:80"]);
    assert_eq!(done.code, 125);
    let said = done.err.lines().next().unwrap_or_default();
    insta::assert_snapshot!(said, @"berth: no address of 10.50.0.0/29 is free on network blue; remove containers, or make a network with a larger --subnet");
    assert_eq!(world.interfaces().len(), before);
    assert!(!world.host("nft list ruleset").contains("8080"));
    world.ok(&["rm", "-f", &names[2]]);
    world.ok(&["start", "late"]);
    assert!(reaches(&world, "late", &names[0]));
}
