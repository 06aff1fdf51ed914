//! Without any privilege: uid 1234, no capability, no group but its own.

use berth_base::state::ExitOutcome;
use berth_engine::NamespaceMode;

use crate::Outcome;
use crate::harness::{Test, World, eventually, processes_with, read_all, read_until};

/// This module's tests; their names say that the harness gives up privilege first.
pub(crate) const TESTS: &[Test] = &[
    ("rootless::root_inside_is_the_caller_outside", root_inside),
    (
        "rootless::a_neighbours_namespaces_are_joined_through_its_user_namespace",
        neighbours,
    ),
    (
        "rootless::without_cgroups_a_host_pid_container_is_ended_whole",
        host_pid,
    ),
    (
        "rootless::who_gets_the_inode_of_an_ended_container_lives_on",
        innocent,
    ),
    (
        "rootless::what_needs_privilege_says_so",
        what_needs_privilege,
    ),
];

fn root_inside(world: &mut World) -> Outcome {
    let options = berth_engine::CreateOptions::default();
    let created = world.engine.create(&options)?;
    assert!(
        created.warnings.iter().any(|w| w.contains("read-only")),
        "{created:?}"
    );
    world.remove(&created.id);
    let script = "id -u; cat /proc/self/uid_map; echo x > /tmp/x && cat /tmp/x; \
                  (echo > /usr/x) 2>/dev/null || echo refused; exit 3";
    let (id, started) = world.run(script, |_| {});
    let (out, err, outcome) = read_all(&started.session);
    let words: Vec<&str> = out.split_whitespace().collect();
    assert_eq!(words[..4], ["0", "0", "1234", "1"], "{out} {err}");
    assert_eq!(words[words.len() - 2..], ["x", "refused"], "{out} {err}");
    assert_eq!(outcome, ExitOutcome::Code(3));
    world.remove(&id);
    world.assert_nothing_left();
    Ok(())
}

fn neighbours(world: &mut World) -> Outcome {
    let (first, started) = world.run("readlink /proc/self/ns/net; exec sleep 1000", |o| {
        o.name = "first".parse().ok();
    });
    let link = read_until(&started.session, "\n");
    let (second, started) = world.run("readlink /proc/self/ns/net", |o| {
        o.namespaces.net = NamespaceMode::Container("first".into());
    });
    let (out, err, _) = read_all(&started.session);
    assert_eq!(out, link, "{err}");
    world.remove(&second);
    world.remove(&first);
    world.assert_nothing_left();
    Ok(())
}

fn host_pid(world: &mut World) -> Outcome {
    let script = "for i in 1 2 3 4 5; do setsid sleep 3456 & done; echo ready; exec sleep 3456";
    let (id, started) = world.run(script, |o| o.namespaces.pid = NamespaceMode::Host);
    read_until(&started.session, "ready");
    eventually("all run", || processes_with("sleep\x003456").len() == 6);
    world.engine.kill(&id, 9)?;
    assert_eq!(processes_with("sleep\x003456"), Vec::<u32>::new());
    world.remove(&id);
    world.assert_nothing_left();
    Ok(())
}

/// The kernel gives the inode of a namespace to the next one. Seen to fail: the neighbour, whose
/// mount namespace came next, was killed with what the container was said to have left behind.
fn innocent(world: &mut World) -> Outcome {
    let (id, started) = world.run("readlink /proc/self/ns/mnt", |o| {
        o.namespaces.pid = NamespaceMode::Host;
    });
    let (link, err, _) = read_all(&started.session);
    world.engine.wait(&id)?;
    let mut neighbours = Vec::new();
    let mut found = false;
    while !found && neighbours.len() < 100 {
        let mut child = std::process::Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
            .arg("readlink /proc/self/ns/mnt; exec sleep 1000")
            .stdout(std::process::Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = child.stdout.take().ok_or("no output")?;
        std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line)?;
        found = line == link;
        neighbours.push(child);
    }
    world.remove(&id);
    let ended = neighbours.last_mut().ok_or("none")?.try_wait()?;
    for neighbour in &mut neighbours {
        neighbour.kill()?;
        neighbour.wait()?;
    }
    // Others on this machine may have taken it first; then nothing was tried.
    assert!(!found || ended.is_none(), "{ended:?} {link} {err}");
    world.assert_nothing_left();
    Ok(())
}

fn what_needs_privilege(world: &mut World) -> Outcome {
    let options = berth_engine::CreateOptions {
        namespaces: berth_engine::NamespaceModes {
            user: NamespaceMode::Host,
            ..berth_engine::NamespaceModes::default()
        },
        ..berth_engine::CreateOptions::default()
    };
    let error = world.engine.create(&options).expect_err("it needs root");
    assert!(error.message.contains("without root"), "{error}");
    let id = world.create("exit 0", |o| o.user = Some("7".into()));
    let started = world
        .engine
        .start(&id, &berth_engine::StartAttach::default());
    let error = started.err().ok_or("uid 7 is not mapped")?;
    assert!(
        error.message.contains("the id 7 of the user is not mapped"),
        "{error}"
    );
    world.remove(&id);
    world.assert_nothing_left();
    Ok(())
}
