//! SIGKILL at each point of an update and of a pause, then a recovery: what is shown is what the
//! kernel has.

use crate::faults;
use crate::support::{World, memory, same};

/// The points that a command passes, in order.
fn points(world: &World, line: &str) -> Vec<(String, u32)> {
    faults::points(&world.berth, &line.split(' ').collect::<Vec<_>>())
}

fn die(world: &World, line: &str, fault: &str) {
    faults::die(&world.berth, &line.split(' ').collect::<Vec<_>>(), fault);
}

#[test]
fn an_update_happens_or_does_not() {
    let world = World::new();
    world.start("a", "-m 64m --pids-limit 20");
    let change = "update -m 128m --pids-limit 30 a";
    let back = "update -m 64m --pids-limit 20 a";
    let passed = points(&world, change);
    world.ok(back);
    let mut outcomes = [0, 0];
    for (point, nth) in &passed {
        for action in ["kill-before", "kill-after"] {
            let fault = format!("{action} {point} {nth}");
            die(&world, change, &fault);
            world.ok("system restore");
            let shown = world.inspect("a", "{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}}");
            let has = format!(
                "{} {}",
                world.read("a", &memory("")),
                world.read("a", &same("pids", "pids.max", ""))
            );
            assert_eq!(shown, has, "{fault}");
            match shown.as_str() {
                "67108864 20" => outcomes[0] += 1,
                "134217728 30" => outcomes[1] += 1,
                other => panic!("{fault}: {other}"),
            }
            world.ok(back);
        }
    }
    assert!(
        outcomes.iter().all(|count| *count > 0),
        "{passed:?} {outcomes:?}"
    );
}

#[test]
fn one_that_was_not_finished_is_taken_back_by_the_next() {
    let world = World::new();
    world.start("a", "-m 64m --pids-limit 20");
    let change = "update -m 128m --pids-limit 30 a";
    let back = "update -m 64m --pids-limit 20 a";
    let folder = world.berth.path("root/containers");
    let settings = folder
        .join(world.inspect("a", "{{.Id}}"))
        .join("settings.json");
    // The last moment before it counts as done: the kernel has it all.
    let mut last = String::new();
    let passed = points(&world, change);
    world.ok(back);
    for (point, nth) in passed.iter().rev() {
        last = format!("kill-before {point} {nth}");
        die(&world, change, &last);
        if crate::support::read(&settings).contains("updating") {
            break;
        }
        world.ok(back);
    }
    world.expect("a", &[memory("134217728"), same("pids", "pids.max", "30")]);
    // Without a recovery: another change comes first.
    world.ok("update --cpu-shares 100 a");
    world.expect("a", &[memory("67108864"), same("pids", "pids.max", "20")]);
    // It ends, and starts again.
    die(&world, change, &last);
    world.ok("kill a");
    world.ok("start a");
    world.expect("a", &[memory("67108864"), same("pids", "pids.max", "20")]);
    world.ok(change);
    world.expect("a", &[memory("134217728"), same("pids", "pids.max", "30")]);
}

#[test]
fn a_pause_leaves_one_that_runs_or_one_that_is_paused() {
    let world = World::new();
    world.start("a", "");
    for (there, back) in [("pause a", "unpause a"), ("unpause a", "pause a")] {
        if there.starts_with("un") {
            world.ok("pause a");
        }
        let passed = points(&world, there);
        world.ok(back);
        for (point, nth) in passed {
            for action in ["kill-before", "kill-after"] {
                let fault = format!("{action} {point} {nth}");
                die(&world, there, &fault);
                world.ok("system restore");
                match world.inspect("a", "{{.State.Status}}").as_str() {
                    "running" => assert_eq!(world.ok("exec a echo here"), "here"),
                    "paused" => {
                        world.fails(125, "exec a true");
                    }
                    other => panic!("{fault}: {other}"),
                }
                let done = world.berth.run(&back.split(' ').collect::<Vec<_>>());
                assert!(done.code == 0 || done.err.contains("paused"), "{done:?}");
            }
        }
        drop(world.berth.run(&["unpause", "a"]));
    }
}
