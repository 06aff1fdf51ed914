//! The text map and the rows of top, on fake hosts.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

mod rich;
mod support;

use berth_base::{NamespaceId, NamespaceKind};
use berth_map::attribute::KnownContainer;
use berth_map::draw::{self, Color, Inodes, KernelThreads, MapOptions, Style, Threads};
use berth_map::model::{Engine, Evidence, EvidenceKind, Links, Namespace, NamespaceSet, World};
use berth_map::top;
use rich::sketch;
use support::{Fake, FakeHost, assemble, id, parts, pid, three_levels};

fn draw(world: &World) -> String {
    let options = MapOptions {
        width: 90,
        ..MapOptions::default()
    };
    draw::map(world, &options)
}

#[test]
fn three_levels_and_two_sharing_containers() {
    insta::assert_snapshot!(draw(&three_levels().world()), @r#"
    host fake   15 procs   3 pid namespaces   pid_max 32768                       HOST  L1  L2
    ├─ systemd                                                                       1
    │  ├─ berth-keeper                                                             400
    │  │  ┏━ web  berth  8 procs  user HOST!  net own ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
    │  │  ┃  nginx  (pid 1)                                                        500   1
    │  │  ┃  ├─ worker                                                             501   7
    │  │  ┃  └─ sh  Z zombie of PID 1 "nginx"                                      502   8
    │  │  ┃  sh  <= from berth-keeper 400                                          510  12
    │  │  ┃  └─ unshare                                                            520  20
    │  │  ┃     ┏━ pid namespace  2 procs ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
    │  │  ┃     ┃  inner  (pid 1)                                                  521  21   1
    │  │  ┃     ┃  └─ deep  T stopped                                              522  22   2
    │  │  ┃     ┗━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
    │  │  ┃  probe  ! container "side" shares host net,user, web pid  <= from b…   600  40
    │  │  ┗━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
    │  ├─ berth-keeper                                                             410
    │  └─ berth-keeper                                                             420
    │     └─ agent  ! container "agent" shares host net,pid,user                   700
    └─ kernel threads x2
    "#);
}

#[test]
fn ascii_inodes_and_kernel_threads() {
    let options = MapOptions {
        width: 70,
        style: Style::Ascii,
        kernel_threads: KernelThreads::Listed,
        inodes: Inodes::Shown,
        ..MapOptions::default()
    };
    insta::assert_snapshot!(draw::map(&three_levels().world(), &options), @r#"
    host fake   15 procs   3 pid namespaces   pid_max 32768   HOST  L1  L2
    |- systemd                                                   1
    |  |- berth-keeper                                         400
    |  |  += web  berth  pid:[200]  8 procs  user HOST!  net own =========
    |  |  |  nginx  (pid 1)                                    500   1
    |  |  |  |- worker                                         501   7
    |  |  |  `- sh  Z zombie of PID 1 "nginx"                  502   8
    |  |  |  sh  <= from berth-keeper 400                      510  12
    |  |  |  `- unshare                                        520  20
    |  |  |     += pid namespace  pid:[300]  2 procs =====================
    |  |  |     |  inner  (pid 1)                              521  21   1
    |  |  |     |  `- deep  T stopped                          522  22   2
    |  |  |     +=========================================================
    |  |  |  probe  ! container "side" shares host net,user~   600  40
    |  |  +===============================================================
    |  |- berth-keeper                                         410
    |  `- berth-keeper                                         420
    |     `- agent  ! container "agent" shares host net,pid~   700
    `- kthreadd                                                  2
       `- kworker/0:1                                            3
    "#);
}

#[test]
fn zombies_are_folded_by_the_parent_at_fault() {
    let mut all = vec![
        Fake::new(&[1], 0, "init"),
        Fake::new(&[500, 1], 1, "app").isolated(200),
        Fake::new(&[501, 2], 500, "worker").isolated(200),
        Fake::new(&[502, 3], 501, "one").isolated(200).state('Z'),
        // Its parent lives outside and does not reap: an exec'd process.
        Fake::new(&[503, 4], 1, "exec").isolated(200).state('Z'),
    ];
    for n in 0..41 {
        let pids = [600 + n, 10 + n];
        all.push(Fake::new(&pids, 500, "sh").isolated(200).state('Z'));
    }
    insta::assert_snapshot!(draw(&FakeHost::new(&all).world()), @r#"
    host fake   46 procs   2 pid namespaces   pid_max 32768                           HOST  L1
    └─ init                                                                              1
       ┏━ pid namespace  unshare  45 procs  user HOST! ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
       ┃  app  (pid 1)                                                                 500   1
       ┃  ├─ worker                                                                    501   2
       ┃  │  └─ one  Z zombie of PID 2 "worker"                                        502   3
       ┃  └─ sh  Z zombie x41 of PID 1 "app"                                           600  10
       ┃  exec  Z zombie of host PID 1 "init"  <= from init 1                          503   4
       ┗━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
    "#);
}

#[test]
fn hostile_names_cannot_steer_or_break_a_line() {
    let lxc = "/lxc.payload.\u{1b}]0;x\u{7}";
    let host = FakeHost::new(&[
        Fake::new(&[1], 0, "init"),
        Fake::new(&[500, 1], 1, b"\x1b[31m\xff\n")
            .isolated(200)
            .cgroup(lxc),
        Fake::new(&[501, 2], 500, "\u{202e}live\u{2028}")
            .isolated(200)
            .cgroup(lxc),
        Fake::new(&[502, 3], 1, "日本語").isolated(200).state('Z'),
    ]);
    let text = draw(&host.world());
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text}");
    assert!(!text.contains('\u{202e}') && !text.contains('\u{2028}'));
    insta::assert_snapshot!(text, @r#"
    host fake   4 procs   2 pid namespaces   pid_max 32768                            HOST  L1
    └─ init                                                                              1
       ┏━ \x1b]0;x\x07  lxc  3 procs  user HOST!  net own ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
       ┃  \x1b[31m\xff\n  (pid 1)                                                      500   1
       ┃  └─ \u{202e}live\u{2028}                                                      501   2
       ┃  日本語  Z zombie of host PID 1 "init"  <= from init 1                        502   3
       ┗━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
    "#);
}

#[test]
fn refused_links_are_marked_and_boxed_by_level() {
    // As an unprivileged reader sees it: levels from NSpid, no links.
    let all = three_levels().world();
    let mut parts = parts(all.processes().to_vec());
    for process in &mut parts.processes {
        process.links = Links::Denied;
        process.namespaces = NamespaceSet::default();
    }
    let world = World::assemble(parts);
    insta::assert_snapshot!(draw(&world), @r#"
    host fake   15 procs   1 pid namespace   pid_max 32768                        HOST  L1  L2
    ├─ systemd                                                                       1
    │  ├─ berth-keeper                                                             400
    │  │  ┏━ aaaaaaaaaaaa  berth  7 procs ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
    │  │  ┃  nginx  (pid 1)                                                        500   1
    │  │  ┃  ├─ worker                                                             501   7
    │  │  ┃  └─ sh  Z zombie of host PID 500 "nginx"                               502   8
    │  │  ┃  sh  <= from berth-keeper 400                                          510  12
    │  │  ┃  └─ unshare                                                            520  20
    │  │  ┃     ┏━ pid namespace  2 procs ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
    │  │  ┃     ┃  inner  (pid 1)                                                  521  21   1
    │  │  ┃     ┃  └─ deep  T stopped                                              522  22   2
    │  │  ┃     ┗━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
    │  │  ┗━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
    │  ├─ berth-keeper                                                             410
    │  │  ┏━ pid namespace  1 proc ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
    │  │  ┃  probe  ! container "bbbbbbbbbbbb"                                     600  40
    │  │  ┗━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
    │  └─ berth-keeper                                                             420
    │     └─ agent  ! container "cccccccccccc" shares host pid                     700
    └─ kernel threads x2
    the namespaces of 15 processes could not be read
    "#);
    // The cgroup still tells the container, the level its PID.
    assert!(
        world
            .resolve(pid(501))
            .unwrap()
            .answer
            .to_string()
            .ends_with(":7")
    );
}

#[test]
fn a_ring_of_parents_is_drawn_once_and_ends() {
    // PIDs reused while the host was read.
    let host = FakeHost::new(&[
        Fake::new(&[1], 0, "init"),
        Fake::new(&[10], 12, "a"),
        Fake::new(&[11], 10, "b"),
        Fake::new(&[12], 11, "c"),
        Fake::new(&[13], 13, "self"),
    ]);
    insta::assert_snapshot!(draw(&host.world()), @r#"
    host fake   5 procs   1 pid namespace   pid_max 32768                                 HOST
    ├─ init                                                                                  1
    ├─ a  <= from c 12                                                                      10
    │  └─ b                                                                                 11
    │     └─ c                                                                              12
    └─ self  <= from self 13                                                                13
    "#);
}

#[test]
fn a_chain_of_thousands_neither_overflows_nor_explodes() {
    let mut all = vec![Fake::new(&[1], 0, "init")];
    all.extend((2..20_000).map(|n| Fake::new(&[n], n - 1, "deep")));
    let text = draw(&assemble(&all, Vec::new()));
    assert_eq!(text.lines().count(), 20_000);
    assert!(text.len() < 20_000 * 300);
}

#[test]
fn top_lists_deeper_levels_with_their_own_pids() {
    let host = three_levels();
    let world = host.world();
    let web = world.find_container("web").unwrap();
    let mut rows = top::rows(&world, web);
    std::fs::write(host.proc().join("501/cmdline"), b"nginx:\0worker\x1b[2J\0").unwrap();
    top::read_commands(&mut rows, &world, &host.sources().proc);
    let lines: Vec<String> = rows
        .iter()
        .map(|r| {
            format!(
                "{} {:?} {:?} L{} parent {} {} {}{}",
                r.host_pid,
                r.pid,
                r.deeper,
                r.level,
                r.parent_pid,
                r.state,
                r.command,
                r.zombie_of
                    .as_ref()
                    .map(|c| format!(" <- {}", c.describe()))
                    .unwrap_or_default()
            )
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    500 Some(1) [] L1 parent 0 S [nginx]
    501 Some(7) [] L1 parent 1 S nginx: worker\x1b[2J
    502 Some(8) [] L1 parent 1 Z [sh] <- PID 1 "nginx"
    510 Some(12) [] L1 parent 0 S [sh]
    520 Some(20) [] L1 parent 12 S [unshare]
    521 Some(21) [1] L2 parent 20 S [inner]
    522 Some(22) [2] L2 parent 21 T [deep]
    "#);
    let agent = world.find_container(&id('c')).unwrap();
    let agent: Vec<_> = top::rows(&world, agent);
    assert_eq!(
        (agent.len(), agent[0].pid, agent[0].level),
        (1, Some(700), 0)
    );
}

#[test]
fn the_sketch() {
    insta::assert_snapshot!(draw(&sketch()), @r#"
    host web1   55 procs   4 pid namespaces   pid_max 32768                      HOST   L1  L2
    ├─ systemd                                                                      1
    │  ├─ containerd-shim                                                        1558
    │  │  ┏━ shop-web  docker  nginx:1.27  4 procs  user HOST!  net own ━━━━━━━━━━━━━━━━━━━━━━
    │  │  ┃  nginx master  (pid 1)                                               1589    1
    │  │  ┃  ├─ stray  (thread)  net HOST!                                       1591    3
    │  │  ┃  ├─ nginx worker                                                     1799   29
    │  │  ┃  └─ nginx worker                                                     1800   30
    │  │  ┃  sh  <= from containerd-shim 1558  net HOST!                         2411   57
    │  │  ┗━ eth0 172.17.0.2/16 <-> veth1a2b@host  :8080->80/tcp  :80 LISTEN ━━━━━━━━━━━━━━━━━
    │  ├─ containerd-shim                                                        1560
    │  │  ┏━ kind-node  docker  44 procs  net own  pids 61/512 ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
    │  │  ┃  systemd  (pid 1)                                                    5492    1
    │  │  ┃  └─ shim                                                             5999  126
    │  │  ┃     ┏━ api  containerd  pod default/api  42 procs  pids 42/43  frozen  net own ━━━
    │  │  ┃     ┃  sleep  (pid 1)                                                6025  146   1
    │  │  ┃     ┃  └─ sh  Z zombie x41 of PID 1 "sleep"                          6427  235   7
    │  │  ┃     ┗━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
    │  │  ┗━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
    │  ├─ netd                                                                   2396
    │  └─ agent  ! docker container "agent" shares host net,pid,user             7001
    └─ kernel threads x2
    hidden: mnt:[3145] <- /run/snapd/ns/lxd.mnt
    hidden: net:[3144] <- pid 2396 netd fd 4 (socket)
    "#);
}

#[test]
fn all_threads_when_asked() {
    let options = MapOptions {
        width: 80,
        threads: Threads::All,
        selection: sketch().select(&"1589".parse().unwrap()).unwrap(),
        ..MapOptions::default()
    };
    insta::assert_snapshot!(draw::map(&sketch(), &options), @r#"
    host web1   3 of 55 procs   4 pid namespaces   pid_max 32768            HOST  L1
    └─ systemd                                                                 1
       └─ containerd-shim                                                   1558
          ┏━ shop-web  docker  nginx:1.27  4 procs  user HOST!  net own ━━━━━━━━━━━━
          ┃  nginx master  (pid 1)                                          1589   1
          ┃  ├─ pool  (thread)                                              1590   2
          ┃  ├─ stray  (thread)  net HOST!                                  1591   3
          ┃  ├─ nginx worker                                                1799  29
          ┃  └─ nginx worker                                                1800  30
          ┗━ eth0 172.17.0.2/16 <-> veth1a2b@host  :8080->80/tcp  :80 LISTEN ━━━━━━━
    "#);
}

#[test]
fn colours_are_the_drawing_and_never_the_name() {
    let mut all = vec![
        Fake::new(&[1], 0, "init"),
        Fake::new(&[2, 1], 1, "\x1b[31mred").isolated(200),
        Fake::new(&[3, 2, 1], 2, "inner").isolated(300),
    ];
    all.push(Fake::new(&[4, 3], 2, "z").isolated(200).state('Z'));
    let world = assemble(&all, Vec::new());
    let plain = draw(&world);
    let options = MapOptions {
        width: 90,
        color: Color::Always,
        ..MapOptions::default()
    };
    let coloured = draw::map(&world, &options);
    // Without its sequences the coloured text is the plain one.
    let mut stripped = String::new();
    let mut parts = coloured.split('\x1b');
    stripped.push_str(parts.next().unwrap());
    for part in parts {
        let (sequence, rest) = part.split_once('m').unwrap();
        assert!(
            sequence[1..]
                .bytes()
                .all(|b| b.is_ascii_digit() || b == b';')
        );
        stripped.push_str(rest);
    }
    assert_eq!(stripped, plain);
    // The inner box has another colour than the one around it, and its PIDs have its own.
    assert!(
        coloured.contains("\x1b[38;5;32m2\x1b[0m") && coloured.contains("\x1b[38;5;29m1\x1b[0m")
    );
}

#[test]
fn a_leak_of_namespaces_is_counted() {
    let mut parts = parts(vec![Fake::new(&[1], 0, "init").process()]);
    for inode in 5000..6000 {
        let id = NamespaceId {
            kind: NamespaceKind::Net,
            inode,
        };
        parts.namespaces.push(Namespace::new(id));
    }
    let text = draw(&World::assemble(parts));
    assert_eq!(text.lines().count(), 2 + 20 + 1);
    assert!(text.ends_with("hidden: 980 more\n"));
}

#[test]
fn what_is_called_by_its_pid_has_no_name() {
    let world = |own: bool| {
        let init = Fake::new(&[2, 1], 1, "sh").isolated(200);
        let init = if own {
            init
        } else {
            Fake::new(&[2], 1, "sh").ns("net", 300)
        };
        let process = init.process();
        let known = KnownContainer {
            engine: Engine::Unshare,
            id: "2".to_owned(),
            name: "2".to_owned(),
            init: process.pid,
            pid_namespace: process.pid_namespace(),
            own_pid_namespace: own,
            cgroup_dirs: Vec::new(),
            image: None,
            pod: None,
            evidence: Evidence {
                kind: EvidenceKind::Namespaces,
                detail: "net".to_owned(),
            },
        };
        assemble(&[Fake::new(&[1], 0, "init"), init], vec![known])
    };
    let text = draw(&world(true));
    assert!(
        text.contains("┏━ pid namespace  unshare  1 proc  user HOST! ━"),
        "{text}"
    );
    let text = draw(&world(false));
    assert!(
        text.contains("sh  ! unshare shares host cgroup,ipc,mnt,pid"),
        "{text}"
    );
}
