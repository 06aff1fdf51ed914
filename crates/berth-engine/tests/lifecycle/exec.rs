//! Further processes in a running container.

use berth_base::state::ExitOutcome;
use berth_engine::{CreateOptions, ExecOptions};

use crate::Outcome;
use crate::harness::{Test, World, read_all, read_until};

/// This module's tests.
pub(crate) const TESTS: &[Test] = &[
    ("exec::a_process_joins_the_container", a_process_joins),
    ("exec::users_rights_and_failures", users_rights_and_failures),
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
