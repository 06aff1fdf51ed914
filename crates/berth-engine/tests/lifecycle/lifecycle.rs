//! One container, from create to remove.

use std::time::Instant;

use berth_base::state::ExitOutcome;
use berth_base::{ErrorClass, Status};
use berth_engine::{RemoveOptions, StartAttach, StopOptions};

use crate::Outcome;
use crate::harness::{Test, World, eventually, read_all, read_until};

/// This module's tests.
pub(crate) const TESTS: &[Test] = &[
    (
        "lifecycle::output_and_exit_status_arrive",
        output_and_exit_status_arrive,
    ),
    ("lifecycle::isolation_is_real", isolation_is_real),
    (
        "lifecycle::a_stop_signal_is_enough_for_who_listens",
        a_stop_signal_is_enough,
    ),
    (
        "lifecycle::who_does_not_listen_is_named_and_killed",
        who_does_not_listen,
    ),
    (
        "lifecycle::what_cannot_be_executed_leaves_nothing",
        what_cannot_be_executed,
    ),
    (
        "lifecycle::a_running_container_is_removed_by_force_only",
        removed_by_force_only,
    ),
    (
        "lifecycle::the_monitor_removes_what_is_for_rm",
        the_monitor_removes,
    ),
    ("lifecycle::a_container_runs_twice", a_container_runs_twice),
    (
        "lifecycle::a_second_start_is_refused",
        a_second_start_is_refused,
    ),
];

fn output_and_exit_status_arrive(world: &mut World) -> Outcome {
    let (id, started) = world.run("echo out; echo err >&2; exit 3", |_| {});
    let (out, err, outcome) = read_all(&started.session);
    assert_eq!((out.as_str(), err.as_str()), ("out\n", "err\n"));
    assert_eq!(outcome, ExitOutcome::Code(3));
    let exit = world.engine.wait(&id)?;
    assert_eq!((exit.run, exit.outcome), (1, ExitOutcome::Code(3)));
    let container = world.engine.inspect(&id)?;
    assert_eq!(container.status, Status::Exited);
    assert!(container.live.is_none());
    let log = world.engine.log_path(&container).ok_or("no log")?;
    let log = std::fs::read_to_string(log)?;
    assert!(log.contains("\"log\":\"out\\n\""), "{log}");
    world.remove(&id);
    world.assert_nothing_left();
    Ok(())
}

fn isolation_is_real(world: &mut World) -> Outcome {
    let script = "echo $$ $(hostname); readlink /proc/self/ns/pid /proc/self/ns/net; \
                  grep -E 'CapEff|CapInh|CapAmb|Seccomp:|NoNewPrivs' /proc/self/status; ls -A /home /tmp; id -u; \
                  echo x > /usr/x && echo wrote; read x; exit 0";
    let (id, started) = world.run(script, |o| o.hostname = Some("box".into()));
    let out = read_all(&started.session).0;
    assert!(out.starts_with("1 box\n"), "{out}");
    let own = std::fs::read_link("/proc/self/ns/pid")?;
    assert!(!out.contains(own.to_str().ok_or("link")?), "{out}");
    assert!(out.contains("CapEff:\t00000000a80425fb"), "{out}");
    assert!(out.contains("CapInh:\t0000000000000000"), "{out}");
    assert!(out.contains("Seccomp:\t2"), "{out}");
    assert!(out.contains("NoNewPrivs:\t0"), "{out}");
    assert!(out.contains("CapAmb:\t0000000000000000"), "{out}");
    assert!(out.ends_with("0\nwrote\n"), "{out}");
    assert!(!std::path::Path::new("/usr/x").exists());
    world.remove(&id);
    world.assert_nothing_left();
    Ok(())
}

fn a_stop_signal_is_enough(world: &mut World) -> Outcome {
    let script = "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.05; done";
    let (id, started) = world.run(script, |_| {});
    read_until(&started.session, "ready");
    let mut hints = Vec::new();
    let begin = Instant::now();
    world.engine.stop(&id, &StopOptions::default(), &mut |h| {
        hints.push(h.to_owned())
    })?;
    // Nobody waited for the ten seconds that it has.
    assert!(begin.elapsed().as_secs() < 10);
    assert_eq!(hints, Vec::<String>::new());
    let exit = world.engine.last_exit(&id)?.ok_or("no exit")?;
    assert_eq!(exit.outcome, ExitOutcome::Code(7));
    // A second stop is a no-op.
    world
        .engine
        .stop(&id, &StopOptions::default(), &mut |_| {})?;
    world.remove(&id);
    world.assert_nothing_left();
    Ok(())
}

fn who_does_not_listen(world: &mut World) -> Outcome {
    let id = world.create("", |o| o.command = vec!["/bin/sleep".into(), "1000".into()]);
    drop(world.start(&id));
    let mut hints = Vec::new();
    let fast = StopOptions {
        fast: true,
        ..StopOptions::default()
    };
    let begin = Instant::now();
    world
        .engine
        .stop(&id, &fast, &mut |h| hints.push(h.to_owned()))?;
    // Nobody waited for the ten seconds that it would have.
    assert!(begin.elapsed().as_secs() < 10);
    assert_eq!(hints.len(), 1, "{hints:?}");
    assert!(hints[0].contains("may ignore SIGTERM"), "{hints:?}");
    let exit = world.engine.last_exit(&id)?.ok_or("no exit")?;
    assert_eq!(exit.outcome, ExitOutcome::Signal(9));
    world.remove(&id);
    world.assert_nothing_left();
    Ok(())
}

fn what_cannot_be_executed(world: &mut World) -> Outcome {
    for (program, code) in [
        ("/no/such/program", 127),
        ("no-such-program", 127),
        ("/etc/passwd", 126),
    ] {
        let id = world.create("", |o| o.command = vec![program.into()]);
        let error = match world.engine.start(&id, &StartAttach::default()) {
            Ok(_) => return Err(format!("{program} started").into()),
            Err(error) => error,
        };
        assert_eq!(error.exit_code, Some(code), "{error}");
        assert!(error.message.contains(program), "{error}");
        let container = world.engine.inspect(&id)?;
        assert_eq!(container.status, Status::Created);
        assert!(container.error.is_some());
        world.remove(&id);
        world.assert_nothing_left();
    }
    Ok(())
}

fn removed_by_force_only(world: &mut World) -> Outcome {
    let (id, started) = world.run("echo ready; sleep 1000", |o| {
        o.name = Some("web".parse().expect("a name"));
    });
    read_until(&started.session, "ready");
    let error = world
        .engine
        .remove(&id, &RemoveOptions::default())
        .expect_err("it runs");
    assert_eq!(error.class, ErrorClass::Conflict);
    assert!(error.message.contains("berth rm -f web"), "{error}");
    world.remove(&id);
    let error = world
        .engine
        .remove(&id, &RemoveOptions::default())
        .expect_err("it is gone");
    assert_eq!(error.class, ErrorClass::NotFound);
    world.assert_nothing_left();
    Ok(())
}

fn the_monitor_removes(world: &mut World) -> Outcome {
    let id = world.create("exit 0", |o| o.auto_remove = true);
    drop(world.start(&id));
    eventually("the monitor removes it", || {
        world.engine.inspect(&id).is_err()
    });
    eventually("its folders go", || {
        let left = std::fs::read_dir(world.config.root.join("containers"));
        left.is_ok_and(|mut entries| entries.next().is_none())
    });
    world.assert_nothing_left();
    Ok(())
}

fn a_container_runs_twice(world: &mut World) -> Outcome {
    let id = world.create("exit 4", |_| {});
    for run in [1, 2, 3] {
        drop(world.start(&id));
        let exit = world.engine.wait(&id)?;
        assert_eq!((exit.run, exit.outcome), (run, ExitOutcome::Code(4)));
    }
    world.remove(&id);
    world.assert_nothing_left();
    Ok(())
}

fn a_second_start_is_refused(world: &mut World) -> Outcome {
    let (id, started) = world.run("echo ready; sleep 1000", |_| {});
    read_until(&started.session, "ready");
    match world.engine.start(&id, &StartAttach::default()) {
        Ok(_) => return Err("started twice".into()),
        Err(error) => assert_eq!(error.class, ErrorClass::Conflict, "{error}"),
    }
    assert_eq!(world.engine.inspect(&id)?.status, Status::Running);
    world.engine.kill(&id, 9)?;
    assert_eq!(world.engine.inspect(&id)?.status, Status::Exited);
    world.remove(&id);
    world.assert_nothing_left();
    Ok(())
}
