//! Containers that share namespaces with each other or with the host.

use berth_base::state::ExitOutcome;
use berth_base::{ErrorClass, NamespaceKind};
use berth_engine::{NamespaceMode, StartAttach};

use crate::Outcome;
use crate::harness::{Test, World, eventually, processes_with, read_all, read_until};

/// This module's tests.
pub(crate) const TESTS: &[Test] = &[
    ("shared::a_network_is_joined", a_network_is_joined),
    (
        "shared::a_stopped_container_cannot_be_joined",
        a_stopped_container,
    ),
    (
        "shared::a_joined_pid_namespace_is_left_empty_of_ours",
        a_joined_pid_namespace,
    ),
    (
        "shared::a_host_pid_container_is_ended_whole",
        a_host_pid_container,
    ),
    (
        "shared::user_namespaces_never_share_ids",
        user_namespaces_never_share_ids,
    ),
];

fn named(name: &str) -> Option<berth_base::ContainerName> {
    name.parse().ok()
}

fn a_network_is_joined(world: &mut World) -> Outcome {
    let (first, started) = world.run("readlink /proc/self/ns/net; sleep 1000", |o| {
        o.name = named("first");
    });
    let link = read_until(&started.session, "\n");
    let (second, started) = world.run("readlink /proc/self/ns/net", |o| {
        o.namespaces.net = NamespaceMode::Container("first".into());
    });
    assert_eq!(read_all(&started.session).0, link);
    world.remove(&first);
    world.remove(&second);
    world.assert_nothing_left();
    Ok(())
}

fn a_stopped_container(world: &mut World) -> Outcome {
    let first = world.create("exit 0", |o| o.name = named("web"));
    let second = world.create("exit 0", |o| {
        o.namespaces.net = NamespaceMode::Container("web".into());
    });
    let message = |world: &World| match world.engine.start(&second, &StartAttach::default()) {
        Ok(_) => panic!("it joined nobody"),
        Err(error) => {
            assert_eq!(error.class, ErrorClass::Conflict);
            error.message
        }
    };
    let text = message(world);
    assert!(
        text.contains("it was never started; start it with \"berth start web\""),
        "{text}"
    );
    drop(world.start(&first));
    world.engine.wait(&first)?;
    let text = message(world);
    assert!(
        text.starts_with("cannot join the network namespace of container web: it stopped ")
            && text.contains("s ago"),
        "{text}"
    );
    world.remove(&first);
    world.remove(&second);
    world.assert_nothing_left();
    Ok(())
}

const FORK_20: &str = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do \
     (setsid sh -c 'trap \"\" TERM; while :; do sleep 7777; done' &) ; done; echo ready; \
     while :; do sleep 7777; done";

fn a_joined_pid_namespace(world: &mut World) -> Outcome {
    let (first, started) = world.run("echo ready; exec sleep 6666", |o| o.name = named("first"));
    read_until(&started.session, "ready");
    let (second, started) = world.run(FORK_20, |o| {
        o.namespaces.pid = NamespaceMode::Container("first".into());
    });
    read_until(&started.session, "ready");
    let live = world.engine.inspect(&second)?.live.ok_or("not live")?;
    assert!(!live.own_pid_namespace);
    eventually("all 41 run", || processes_with("7777").len() >= 41);
    world.engine.kill(&second, 9)?;
    assert_eq!(processes_with("7777"), Vec::<u32>::new());
    assert_eq!(processes_with("sleep\x006666").len(), 1);
    world.remove(&second);
    world.remove(&first);
    world.assert_nothing_left();
    Ok(())
}

fn a_host_pid_container(world: &mut World) -> Outcome {
    let (id, started) = world.run(FORK_20, |o| o.namespaces.pid = NamespaceMode::Host);
    read_until(&started.session, "ready");
    eventually("all 41 run", || processes_with("7777").len() >= 41);
    let fast = berth_engine::StopOptions {
        fast: true,
        ..berth_engine::StopOptions::default()
    };
    world.engine.stop(&id, &fast, &mut |_| {})?;
    assert_eq!(processes_with("7777"), Vec::<u32>::new());
    world.remove(&id);
    world.assert_nothing_left();
    Ok(())
}

fn user_namespaces_never_share_ids(world: &mut World) -> Outcome {
    let mut starts = Vec::new();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let (id, started) = world.run("cat /proc/self/uid_map; id -u; sleep 1000", |o| {
            o.namespaces.user = NamespaceMode::Private;
        });
        let map = read_until(&started.session, "\n0\n");
        let fields: Vec<u32> = map
            .split_whitespace()
            .filter_map(|f| f.parse().ok())
            .collect();
        assert_eq!((fields[0], fields[2]), (0, 65536), "{map}");
        starts.push(fields[1]);
        ids.push(id);
    }
    let live = world.engine.inspect(&ids[0])?.live.ok_or("not live")?;
    let own = std::fs::read_link("/proc/self/ns/user")?;
    let user = live
        .namespaces
        .iter()
        .find(|n| n.kind == NamespaceKind::User);
    assert_ne!(user.map(ToString::to_string).as_deref(), own.to_str());
    starts.sort_unstable();
    starts.dedup();
    assert_eq!(starts.len(), 3);
    assert!(
        starts.windows(2).all(|w| w[1] - w[0] >= 65536),
        "{starts:?}"
    );
    for id in &ids {
        world.engine.kill(id, 9)?;
        let exit = world.engine.last_exit(id)?.ok_or("no exit")?;
        assert_eq!(exit.outcome, ExitOutcome::Signal(9));
        world.remove(id);
    }
    world.assert_nothing_left();
    Ok(())
}
