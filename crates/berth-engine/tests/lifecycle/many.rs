//! Many containers, and engines that get in each other's way.

use std::process::Command;

use berth_base::Status;
use berth_engine::{CreateOptions, StartAttach};

use crate::Outcome;
use crate::harness::{Test, World, read_all};

/// This module's tests.
pub(crate) const TESTS: &[Test] = &[
    ("many::a_name_is_given_once", a_name_is_given_once),
    (
        "many::the_newest_comes_first_and_prefixes_resolve",
        the_newest_first,
    ),
    ("many::thirty_in_a_row_leave_nothing", thirty_in_a_row),
    (
        "many::killed_engines_leave_nothing_for_good",
        killed_engines,
    ),
    ("many::eight_engines_at_once_leave_nothing", eight_at_once),
];

fn a_name_is_given_once(world: &mut World) -> Outcome {
    let web = || "web".parse().ok();
    let id = world.create("exit 0", |o| o.name = web());
    let options = CreateOptions {
        name: web(),
        ..CreateOptions::default()
    };
    let error = world
        .engine
        .create(&options)
        .expect_err("the name is taken");
    assert!(
        error.message.contains("the name \"web\" is taken by"),
        "{error}"
    );
    assert_eq!(world.engine.list()?.len(), 1);
    world.remove(&id);
    let id = world.create("exit 0", |o| o.name = web());
    world.remove(&id);
    world.assert_nothing_left();
    Ok(())
}

fn the_newest_first(world: &mut World) -> Outcome {
    let ids: Vec<_> = (0..3).map(|_| world.create("exit 0", |_| {})).collect();
    let listed: Vec<_> = world.engine.list()?.into_iter().map(|c| c.id).collect();
    assert_eq!(listed, ids.iter().rev().cloned().collect::<Vec<_>>());
    for id in &ids {
        assert_eq!(world.engine.resolve(id.short())?, *id);
        let name = world.engine.inspect(id)?.name;
        assert_eq!(world.engine.resolve(name.as_str())?, *id);
        world.remove(id);
    }
    world.assert_nothing_left();
    Ok(())
}

fn one_after_another(world: &World, count: usize) -> Outcome {
    for _ in 0..count {
        let (id, started) = world.run("echo x", |o| o.auto_remove = true);
        assert_eq!(read_all(&started.session).0, "x\n");
        assert!(
            world
                .engine
                .inspect(&id)
                .map_or(true, |c| !c.status.is_live())
        );
        match world
            .engine
            .remove(&id, &berth_engine::RemoveOptions::default())
        {
            // The monitor may be quicker.
            Err(error) if error.class == berth_base::ErrorClass::NotFound => {}
            other => other?,
        }
    }
    Ok(())
}

fn thirty_in_a_row(world: &mut World) -> Outcome {
    let descriptors = || std::fs::read_dir("/proc/self/fd").map(Iterator::count);
    let before = descriptors()?;
    one_after_another(world, 30)?;
    assert_eq!(descriptors()?, before);
    crate::harness::eventually("what monitors still remove is gone", || {
        let left = std::fs::read_dir(world.config.root.join("containers"));
        left.is_ok_and(|mut entries| entries.next().is_none())
    });
    world.assert_nothing_left();
    Ok(())
}

fn eight_at_once(world: &mut World) -> Outcome {
    // Each a process of its own: an engine that starts containers has one thread.
    let own = std::env::current_exe()?;
    let mut children = Vec::new();
    for _ in 0..8 {
        let child = Command::new(&own)
            .args(["--worker"])
            .arg(&world.config.root)
            .arg(&world.config.state)
            .arg(world.config.cgroup_parent.as_deref().unwrap_or_default())
            .spawn()?;
        children.push(child);
    }
    for mut child in children {
        assert!(child.wait()?.success());
    }
    let left = world.engine.list()?;
    assert!(left.is_empty(), "{left:?}");
    world.assert_nothing_left();
    Ok(())
}

fn killed_engines(world: &mut World) -> Outcome {
    let own = std::env::current_exe()?;
    for round in 0..40 {
        let mut child = Command::new(&own)
            .args(["--worker"])
            .arg(&world.config.root)
            .arg(&world.config.state)
            .arg(world.config.cgroup_parent.as_deref().unwrap_or_default())
            .spawn()?;
        std::thread::sleep(std::time::Duration::from_micros(5000 + round * 1300));
        child.kill()?;
        child.wait()?;
    }
    // Whatever was being started settles within moments; then everything can be removed.
    std::thread::sleep(std::time::Duration::from_millis(300));
    let recovered = world.engine.recover()?;
    assert!(recovered.errors.is_empty(), "{:?}", recovered.errors);
    let left = world.engine.list()?;
    assert!(world.engine.unreadable()?.is_empty());
    for container in &left {
        world.remove(&container.id);
    }
    assert_eq!(
        crate::harness::processes_with("sleep\x001000"),
        Vec::<u32>::new()
    );
    world.assert_nothing_left();
    Ok(())
}

/// What one of eight does.
pub(crate) fn work(engine: &berth_engine::Engine) -> Outcome {
    for _ in 0..4 {
        let options = CreateOptions {
            command: vec!["/bin/sleep".into(), "1000".into()],
            ..CreateOptions::default()
        };
        let id = engine.create(&options)?.id;
        drop(engine.start(&id, &StartAttach::default())?);
        assert_eq!(engine.inspect(&id)?.status, Status::Running);
        let force = berth_engine::RemoveOptions {
            force: true,
            ..berth_engine::RemoveOptions::default()
        };
        engine.remove(&id, &force)?;
    }
    Ok(())
}
