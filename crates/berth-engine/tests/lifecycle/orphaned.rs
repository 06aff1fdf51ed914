//! Containers that lost their monitor, their keeper, or their engine half way.

use berth_base::Status;
use berth_base::state::ExitOutcome;
use berth_engine::StopOptions;

use crate::Outcome;
use crate::harness::{Test, World, eventually, kill, parent_of, processes_with, read_until};

/// This module's tests.
pub(crate) const TESTS: &[Test] = &[
    (
        "orphaned::a_keeper_steps_in_for_its_monitor",
        a_keeper_steps_in,
    ),
    (
        "orphaned::without_monitor_and_keeper_it_is_still_stopped",
        without_both,
    ),
    (
        "orphaned::without_both_a_host_pid_container_is_ended_whole",
        host_pid_without_both,
    ),
    (
        "orphaned::a_thousand_processes_go_without_their_monitor",
        a_thousand_processes,
    ),
    ("orphaned::after_a_reboot_nothing_runs", after_a_reboot),
    (
        "orphaned::survivors_are_listed_with_their_parent",
        survivors_are_listed,
    ),
    (
        "orphaned::half_made_and_half_removed_ones_are_swept",
        half_made,
    ),
    (
        "orphaned::a_status_lost_with_the_power_is_derived",
        a_lost_status,
    ),
    (
        "orphaned::a_damaged_container_can_be_removed",
        a_damaged_container,
    ),
];

const SCRIPT: &str = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done";

/// The monitor and the keeper of a running container.
fn caretakers(world: &World, id: &berth_base::ContainerId) -> (u32, u32) {
    let live = world
        .engine
        .inspect(id)
        .expect("inspect")
        .live
        .expect("live");
    let monitor = parent_of(live.init.pid.get());
    assert_ne!(monitor, live.keeper.get());
    (monitor, live.keeper.get())
}

fn a_keeper_steps_in(world: &mut World) -> Outcome {
    let (id, started) = world.run(SCRIPT, |_| {});
    read_until(&started.session, "ready");
    let (monitor, _) = caretakers(world, &id);
    kill(monitor);
    let session = world.engine.attach(&id, false)?;
    world
        .engine
        .stop(&id, &StopOptions::default(), &mut |_| {})?;
    drop(session);
    let exit = world.engine.last_exit(&id)?.ok_or("no exit")?;
    assert_eq!(exit.outcome, ExitOutcome::Code(9));
    world.remove(&id);
    world.assert_nothing_left();
    Ok(())
}

fn lose_both(world: &World, id: &berth_base::ContainerId) {
    let (monitor, keeper) = caretakers(world, id);
    kill(keeper);
    kill(monitor);
    eventually("both are gone", || {
        [keeper, monitor].iter().all(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ")
        })
    });
}

fn without_both(world: &mut World) -> Outcome {
    let (id, started) = world.run(SCRIPT, |_| {});
    read_until(&started.session, "ready");
    lose_both(world, &id);
    let listed = world.engine.list()?;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].status, Status::Running);
    world
        .engine
        .stop(&id, &StopOptions::default(), &mut |_| {})?;
    let container = world.engine.inspect(&id)?;
    assert_eq!(container.status, Status::Exited);
    let outcome = container.exit.ok_or("no exit")?.outcome;
    // Linux 6.15 keeps the status in the pidfd.
    assert!(
        matches!(outcome, ExitOutcome::Code(9) | ExitOutcome::Unknown),
        "{outcome:?}"
    );
    drop(world.start(&id));
    world.remove(&id);
    world.assert_nothing_left();
    Ok(())
}

fn host_pid_without_both(world: &mut World) -> Outcome {
    let script = "(setsid sleep 5555 &); echo ready; exec sleep 5555";
    let (id, started) = world.run(script, |o| {
        o.namespaces.pid = berth_engine::NamespaceMode::Host;
    });
    read_until(&started.session, "ready");
    eventually("both run", || processes_with("sleep\x005555").len() == 2);
    lose_both(world, &id);
    let init = world.engine.inspect(&id)?.live.ok_or("not live")?.init.pid;
    kill(init.get());
    eventually("it counts as exited", || {
        world
            .engine
            .inspect(&id)
            .is_ok_and(|c| c.status == Status::Exited)
    });
    assert_eq!(processes_with("sleep\x005555").len(), 1);
    world
        .engine
        .stop(&id, &StopOptions::default(), &mut |_| {})?;
    assert_eq!(processes_with("sleep\x005555").len(), 0);
    world.remove(&id);
    world.assert_nothing_left();
    Ok(())
}

/// 1,000 double-forked sleepers, every tenth ignoring SIGTERM.
const THOUSAND: &str = "i=0; while [ $i -lt 100 ]; do i=$((i+1)); \
    (setsid sh -c 'trap \"\" TERM; exec sleep 7654' & \
     for j in 1 2 3 4 5 6 7 8 9; do setsid sleep 7654 & done); done; echo ready; exec sleep 7654";

fn a_thousand_processes(world: &mut World) -> Outcome {
    use berth_engine::NamespaceMode;
    let (other, started) = world.run("echo ready; exec sleep 1000", |o| {
        o.name = "other".parse().ok();
    });
    read_until(&started.session, "ready");
    let modes = [
        NamespaceMode::Private,
        NamespaceMode::Container("other".into()),
        NamespaceMode::Host,
    ];
    for mode in modes {
        let (id, started) = world.run(THOUSAND, |o| o.namespaces.pid = mode.clone());
        read_until(&started.session, "ready");
        eventually("all run", || processes_with("sleep\x007654").len() == 1001);
        kill(caretakers(world, &id).0);
        let fast = StopOptions {
            fast: true,
            ..StopOptions::default()
        };
        world.engine.stop(&id, &fast, &mut |_| {})?;
        assert_eq!(
            processes_with("sleep\x007654"),
            Vec::<u32>::new(),
            "{mode:?}"
        );
        assert!(world.engine.last_exit(&id)?.is_some());
        world.remove(&id);
    }
    world.remove(&other);
    world.assert_nothing_left();
    Ok(())
}

fn after_a_reboot(world: &mut World) -> Outcome {
    let (id, started) = world.run(SCRIPT, |_| {});
    read_until(&started.session, "ready");
    // Another boot: the identity no longer fits. The real process is ended at the end.
    let path = world
        .config
        .state
        .join("containers")
        .join(id.as_str())
        .join("run.json");
    let text = std::fs::read_to_string(&path)?;
    let run: serde_json::Value = serde_json::from_str(&text)?;
    let boot = run["init"]["boot_id"].as_str().ok_or("boot_id")?;
    std::fs::write(
        &path,
        text.replace(boot, "11111111-2222-3333-4444-555555555555"),
    )?;
    assert_eq!(world.engine.inspect(&id)?.status, Status::Exited);
    std::fs::write(&path, text)?;
    world.remove(&id);
    // The volatile folder is gone altogether.
    let (id, started) = world.run("exit 0", |_| {});
    drop(started);
    world.engine.wait(&id)?;
    std::fs::remove_dir_all(world.config.state.join("containers"))?;
    assert_eq!(world.engine.inspect(&id)?.status, Status::Exited);
    world.remove(&id);
    world.assert_nothing_left();
    Ok(())
}

fn survivors_are_listed(world: &mut World) -> Outcome {
    let (id, started) = world.run("echo ready; exec sleep 1000", |o| {
        o.name = "web".parse().ok();
    });
    read_until(&started.session, "ready");
    let init = world.engine.inspect(&id)?.live.ok_or("not live")?.init.pid;
    // Its child enters the container but is reaped outside, by a parent that is stopped.
    let mut parent = std::process::Command::new("nsenter")
        .args(["--target", &init.to_string(), "--pid", "sleep", "8642"])
        .spawn()?;
    let children = || {
        let mut found = processes_with("sleep\x008642");
        found.retain(|pid| {
            let comm = std::fs::read_to_string(format!("/proc/{pid}/comm"));
            comm.is_ok_and(|comm| comm == "sleep\n")
        });
        found
    };
    eventually("the child runs", || children().len() == 1);
    let child = children()[0];
    let stop = |signal| {
        let pid = rustix::process::Pid::from_child(&parent);
        rustix::process::kill_process(pid, signal)
    };
    stop(rustix::process::Signal::STOP)?;
    let error = world.engine.kill(&id, 9).expect_err("it cannot be empty");
    assert_eq!(error.class, berth_base::ErrorClass::Unavailable);
    let text = error.to_string();
    assert!(
        text.starts_with("container web is not empty 10 s after SIGKILL"),
        "{text}"
    );
    let zombie = format!("{child} sleep state Z (zombie)");
    assert!(text.contains(&zombie), "{text}");
    assert!(
        text.contains(&format!("parent {} nsenter", parent.id())),
        "{text}"
    );
    assert!(text.contains(&format!("{init} sleep state ")), "{text}");
    stop(rustix::process::Signal::CONT)?;
    parent.wait()?;
    world.remove(&id);
    world.assert_nothing_left();
    Ok(())
}

fn half_made(world: &mut World) -> Outcome {
    let id = world.create("exit 0", |_| {});
    let containers = world.config.root.join("containers");
    let volatile = world.config.state.join("containers");
    for (parent, name) in [
        (&containers, ".tmp-x"),
        (&containers, ".removing-y"),
        (&volatile, ".removing-y"),
    ] {
        std::fs::create_dir_all(parent.join(name).join("exits"))?;
    }
    // No process has PID 0.
    let temporary = containers.join(id.as_str()).join(".status.json.0.0");
    std::fs::write(&temporary, "")?;
    assert_eq!(world.engine.list()?.len(), 1);
    let recovered = world.engine.recover()?;
    assert!(recovered.errors.is_empty(), "{:?}", recovered.errors);
    assert!(!temporary.exists());
    world.remove(&id);
    world.assert_nothing_left();
    Ok(())
}

/// A loss of power empties what was not synced.
fn a_lost_status(world: &mut World) -> Outcome {
    let never = world.create("exit 0", |o| o.name = "never".parse().ok());
    let (ran, started) = world.run("exit 3", |_| {});
    drop(started);
    eventually("it has ended", || {
        let container = world.engine.inspect(&ran).expect("inspect");
        container.exit.is_some()
    });
    let folder =
        |id: &berth_base::ContainerId| world.config.root.join("containers").join(id.as_str());
    std::fs::write(folder(&never).join("status.json"), "")?;
    std::fs::remove_file(folder(&ran).join("status.json"))?;
    std::fs::write(folder(&ran).join("exits/1.json"), "")?;
    std::fs::write(world.config.root.join("names/never"), "")?;
    assert_eq!(world.engine.list()?.len(), 2);
    let recovered = world.engine.recover()?;
    assert!(recovered.errors.is_empty(), "{:?}", recovered.errors);
    assert_eq!(world.engine.resolve("never")?, never);
    assert_eq!(world.engine.inspect(&never)?.status, Status::Created);
    let container = world.engine.inspect(&ran)?;
    assert_eq!((container.status, container.run), (Status::Exited, 1));
    assert_eq!(
        container.exit.map(|exit| exit.outcome),
        Some(ExitOutcome::Unknown)
    );
    // One for --rm, of which nothing is synced.
    let hollow = world.create("exit 0", |o| o.auto_remove = true);
    std::fs::write(folder(&hollow).join("create.json"), "")?;
    let recovered = world.engine.recover()?;
    assert!(recovered.errors.is_empty(), "{:?}", recovered.errors);
    assert_eq!(recovered.removed, [hollow]);
    // Once is enough.
    assert!(world.engine.recover()?.settled.is_empty());
    world.remove(&never);
    world.remove(&ran);
    world.assert_nothing_left();
    Ok(())
}

fn a_damaged_container(world: &mut World) -> Outcome {
    let id = world.create("exit 0", |o| o.name = "web".parse().ok());
    let path = world.config.root.join("containers").join(id.as_str());
    std::fs::write(path.join("create.json"), "")?;
    assert_eq!(world.engine.list()?.len(), 0);
    assert_eq!(world.engine.unreadable()?.len(), 1);
    assert_eq!(world.engine.resolve("web")?, id);
    world.remove(&id);
    world.assert_nothing_left();
    Ok(())
}
