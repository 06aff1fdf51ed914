//! Further processes in a running container.

use std::fs;

use berth_base::state::ExitOutcome;
use berth_engine::{CreateOptions, ExecOptions};

use crate::Outcome;
use crate::harness::{Test, World, read_all, read_until};

/// This module's tests.
pub(crate) const TESTS: &[Test] = &[
    ("exec::a_process_joins_the_container", a_process_joins),
    ("exec::users_rights_and_failures", users_rights_and_failures),
    ("exec::the_filter_is_the_container_s", the_filter_is_kept),
];

fn script(text: &str) -> ExecOptions {
    ExecOptions {
        command: ["/bin/sh", "-c", text].map(String::from).to_vec(),
        ..ExecOptions::default()
    }
}

fn sleeper(world: &World, change: impl FnOnce(&mut CreateOptions)) -> berth_base::ContainerId {
    let (id, started) = world.run("echo ready; exec sleep 1000", change);
    read_until(&started.session, "ready");
    id
}

fn a_process_joins(world: &mut World) -> Outcome {
    let id = sleeper(world, |o| o.env = vec!["COLOUR=blue".into()]);
    // It may be ready and still be the shell.
    let text = "while [ $(cat /proc/1/comm) = sh ]; do sleep 0.01; done; \
                echo $COLOUR $SIZE; cat /proc/1/comm; hostname; exit 5";
    let mut options = script(text);
    options.env = vec!["SIZE=big".into()];
    let session = world.engine.exec(&id, &options)?;
    let (out, err, outcome) = read_all(&session);
    let hostname = id.short();
    assert_eq!(out, format!("blue big\nsleep\n{hostname}\n"), "{err}");
    assert_eq!(outcome, ExitOutcome::Code(5));
    world.remove(&id);
    world.assert_nothing_left();
    Ok(())
}

fn users_rights_and_failures(world: &mut World) -> Outcome {
    let id = sleeper(world, |_| {});
    let grep = "id -u; grep -E 'CapEff|CapBnd|Seccomp:' /proc/self/status";
    let mut options = script(grep);
    options.user = Some("1:1".into());
    let out = read_all(&world.engine.exec(&id, &options)?).0;
    assert!(out.starts_with("1\n"), "{out}");
    assert!(out.contains("CapEff:\t0000000000000000"), "{out}");
    assert!(out.contains("CapBnd:\t00000000a80425fb"), "{out}");
    let mut options = script(grep);
    options.privileged = true;
    let out = read_all(&world.engine.exec(&id, &options)?).0;
    assert!(!out.contains("CapEff:\t00000000a80425fb"), "{out}");
    for (program, code) in [("/no/such", 127), ("/etc/passwd", 126)] {
        let options = ExecOptions {
            command: vec![program.into()],
            ..ExecOptions::default()
        };
        match world.engine.exec(&id, &options) {
            Ok(_) => return Err(format!("{program} was executed").into()),
            Err(error) => assert_eq!(error.exit_code, Some(code), "{error}"),
        }
    }
    let mut options = script("true");
    options.user = Some("nobody-here".into());
    assert!(world.engine.exec(&id, &options).is_err());
    world.remove(&id);
    assert!(world.engine.exec(&id, &script("true")).is_err());
    world.assert_nothing_left();
    Ok(())
}

/// Whatever became of the cache, and of the name in `run.json`, a session has the filter.
fn the_filter_is_kept(world: &mut World) -> Outcome {
    let id = sleeper(world, |_| {});
    let run = world.config.state.join("containers").join(id.as_str());
    let run = run.join("run.json");
    let cache = world.config.root.join("cache");
    let look = "grep Seccomp /proc/self/status; unshare -m true";
    let look = || -> Result<(), Box<dyn std::error::Error>> {
        let (out, err, outcome) = read_all(&world.engine.exec(&id, &script(look))?);
        assert_eq!(out, "Seccomp:\t2\nSeccomp_filters:\t1\n", "{err}");
        assert!(err.contains("Operation not permitted"), "{err}");
        assert_ne!(outcome, ExitOutcome::Code(0));
        Ok(())
    };
    let name = |value: &serde_json::Value| value["filter"].as_str().map(String::from);
    let mut record: serde_json::Value = serde_json::from_slice(&fs::read(&run)?)?;
    let kept = cache.join(format!("seccomp-{}", name(&record).ok_or("no filter")?));
    look()?;
    let whole = fs::read(&kept)?;
    fs::write(&kept, whole.get(..30).ok_or("too short")?)?;
    look()?;
    fs::remove_file(&kept)?;
    look()?;
    assert!(kept.exists(), "it is kept again");
    for other in [None, Some(""), Some("0"), Some("../../etc/passwd")] {
        record["filter"] = other.into();
        fs::write(&run, serde_json::to_vec(&record)?)?;
        look()?;
    }
    // As a version before this one wrote it.
    record.as_object_mut().ok_or("no object")?.remove("filter");
    let made = record
        .as_object_mut()
        .and_then(|all| all.remove("made_namespaces"));
    assert!(made.is_some_and(|made| made.as_array().is_some_and(|kinds| kinds.len() > 4)));
    fs::write(&run, serde_json::to_vec(&record)?)?;
    look()?;
    world.remove(&id);
    world.assert_nothing_left();
    Ok(())
}
