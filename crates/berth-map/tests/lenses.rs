//! The text map by other namespaces than those of PIDs, and parts of it, on fake hosts.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

mod rich;
mod support;

use berth_base::{NamespaceId, NamespaceKind};
use berth_map::draw::{self, Inodes, KernelThreads, MapOptions};
use berth_map::model::{Namespace, World};
use rich::{crowded, sketch};
use support::{Fake, parts, three_levels};

#[test]
fn the_lens_of_networks() {
    let options = MapOptions {
        width: 90,
        lens: NamespaceKind::Net,
        ..MapOptions::default()
    };
    insta::assert_snapshot!(draw::map(&sketch(), &options), @r#"
    host web1   55 procs   5 net namespaces   pid_max 32768                      HOST   L1  L2
    ├─ systemd                                                                      1
    │  ├─ containerd-shim                                                        1558
    │  │  └─ sh                                                                  2411   57
    │  ├─ containerd-shim                                                        1560
    │  ├─ netd                                                                   2396
    │  └─ agent                                                                  7001
    └─ kernel threads x2
    ┏━ shop-web  docker  nginx:1.27  3 procs  user HOST! ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
    ┃  nginx master  (pid 1)  <= from containerd-shim 1558                       1589    1
    ┃  ├─ stray  (thread)  net HOST!                                             1591    3
    ┃  ├─ nginx worker                                                           1799   29
    ┃  └─ nginx worker                                                           1800   30
    ┗━ eth0 172.17.0.2/16 <-> veth1a2b@host  :8080->80/tcp  :80 LISTEN ━━━━━━━━━━━━━━━━━━━━━━━
    ┏━ kind-node  docker  2 procs  pids 61/512 ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
    ┃  systemd  (pid 1)  <= from containerd-shim 1560                            5492    1
    ┃  └─ shim                                                                   5999  126
    ┗━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
    ┏━ api  containerd  pod default/api  42 procs  pids 42/43  frozen ━━━━━━━━━━━━━━━━━━━━━━━━
    ┃  sleep  (pid 1)  <= from shim 5999                                         6025  146   1
    ┃  └─ sh  Z zombie x41 of PID 1 "sleep"                                      6427  235   7
    ┗━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
    wires: host
      berth0  bridge of network blue  172.17.0.1/16
        veth1a2b 192.0.2.1/24 <-> eth0@docker/shop-web  172.17.0.2/16
          :8080->80/tcp  nginx master (pid 1, host 1589)
    hidden: net:[3144] <- pid 2396 netd fd 4 (socket)
    "#);
}

#[test]
fn user_namespaces_nest() {
    // 307 is the host's child, 308 made in it: a rootless engine in a rootless engine.
    let make = |pids: &[u32], ppid, user: u64| Fake::new(pids, ppid, "p").ns("user", user);
    let all: Vec<_> = [
        make(&[1], 0, 107),
        make(&[10], 1, 307),
        make(&[11], 10, 308),
        make(&[12], 11, 307),
    ]
    .iter()
    .map(Fake::process)
    .collect();
    let user = |inode| NamespaceId {
        kind: NamespaceKind::User,
        inode,
    };
    let mut parts = parts(all);
    for (inner, outer) in [(307, 107), (308, 307)] {
        parts.namespaces.push(Namespace {
            parent: Some(user(outer)),
            ..Namespace::new(user(inner))
        });
    }
    let options = MapOptions {
        width: 70,
        lens: NamespaceKind::User,
        inodes: Inodes::Shown,
        ..MapOptions::default()
    };
    insta::assert_snapshot!(draw::map(&World::assemble(parts), &options), @r#"
    host fake   4 procs   3 user namespaces   pid_max 32768           HOST
    └─ p                                                                 1
       ┏━ user namespace  user:[307]  3 procs  cgroup,ipc,mnt,net,pid,t… ━
       ┃  p                                                             10
       ┃  ┏━ user namespace  user:[308]  1 proc ━━━━━━━━━━━━━━━━━━━━━━━━━━
       ┃  ┃  p                                                          11
       ┃  ┗━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
       ┃  p  <= from p 11                                               12
       ┗━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
    "#);
}

#[test]
fn every_lens_draws_every_process_once() {
    for world in [sketch(), crowded(500, 20), three_levels().world()] {
        for lens in NamespaceKind::ALL {
            let options = MapOptions {
                lens,
                kernel_threads: KernelThreads::Listed,
                ..MapOptions::default()
            };
            let text = draw::map(&world, &options);
            let head = text.lines().next().unwrap();
            let end = head.find("HOST").unwrap() + 4;
            let mut found: Vec<u32> = Vec::new();
            for line in text.lines().skip(1).filter(|l| !l.contains("(thread)")) {
                let left: String = line.chars().take(end).collect();
                let pid = left.split_whitespace().last().map(str::parse);
                if let (true, Some(Ok(pid))) = (left.chars().count() == end, pid) {
                    found.push(pid);
                }
            }
            found.sort_unstable();
            let repeated = found.windows(2).find(|two| two[0] == two[1]);
            assert_eq!(repeated, None, "{lens:?}\n{text}");
            let zombies = world.processes().iter().filter(|p| p.is_zombie()).count();
            let folded = zombies.saturating_sub(1);
            assert_eq!(
                found.len() + folded,
                world.processes().len(),
                "{lens:?}\n{text}"
            );
        }
    }
}

#[test]
fn a_scope_shows_its_ancestors_and_nothing_else() {
    let world = sketch();
    let options = |scope: &str| MapOptions {
        width: 80,
        selection: world.select(&scope.parse().unwrap()).unwrap(),
        ..MapOptions::default()
    };
    insta::assert_snapshot!(draw::map(&world, &options("containerd/api")), @r#"
    host web1   42 of 55 procs   4 pid namespaces   pid_max 32768      HOST   L1  L2
    └─ systemd                                                            1
       └─ containerd-shim                                              1560
          ┏━ kind-node  docker  44 procs  net own  pids 61/512 ━━━━━━━━━━━━━━━━━━━━━
          ┃  systemd  (pid 1)                                          5492    1
          ┃  └─ shim                                                   5999  126
          ┃     ┏━ api  containerd  pod default/api  42 procs  pids 42/43  frozen… ━
          ┃     ┃  sleep  (pid 1)                                      6025  146   1
          ┃     ┃  └─ sh  Z zombie x41 of PID 1 "sleep"                6427  235   7
          ┃     ┗━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
          ┗━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
    "#);
    insta::assert_snapshot!(draw::map(&world, &options("net:3144")), @r#"
    host web1   0 of 55 procs   4 pid namespaces   pid_max 32768                HOST
    └─ systemd                                                                     1
       └─ netd                                                                  2396
    hidden: net:[3144] <- pid 2396 netd fd 4 (socket)
    "#);
}
