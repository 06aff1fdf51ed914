//! Ending, freezing and thawing.

use super::*;

#[test]
fn processes_are_seen_killed_and_the_cgroups_removed() {
    let Some(place) = Place::new("kill") else {
        return;
    };
    let cgroup = place.create("a");
    assert!(!cgroup.is_populated().unwrap());
    let child = run_in(&cgroup, "sleep 100 & sleep 100 & wait");
    let deadline = soon();
    while cgroup.processes().unwrap().len() < 3 {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(
        cgroup
            .processes()
            .unwrap()
            .iter()
            .any(|pid| pid.get() == child.id())
    );
    assert!(cgroup.is_populated().unwrap());
    assert!(
        !cgroup
            .wait_empty(Instant::now() + Duration::from_millis(30))
            .unwrap()
    );
    cgroup.kill().unwrap();
    assert!(cgroup.wait_empty(soon()).unwrap());
    assert!(cgroup.processes().unwrap().is_empty());
    end(child);
    let again = Cgroup::from_paths(&cgroup.paths());
    again.remove().unwrap();
    again.remove().unwrap();
    assert!(!again.is_populated().unwrap());
    assert!(again.wait_empty(soon()).unwrap());
    assert!(cgroup.processes().unwrap().is_empty());
    cgroup.kill().unwrap();
    assert!(Cgroup::open_existing(&cgroup.paths()).is_err());
}

#[test]
fn v1_alone_kills_by_freezing() {
    let Some(place) = Place::new("killv1") else {
        return;
    };
    if place.hierarchies.v1_of("freezer").is_none() {
        eprintln!("skipped: no v1 freezer");
        return;
    }
    let whole = place.create("a");
    let mut paths = whole.paths();
    paths.v2 = None;
    let v1 = Cgroup::from_paths(&paths);
    // A process that forks on and on.
    let child = run_in(&whole, "while :; do (sleep 0.01 &) ; done");
    v1.freeze().unwrap();
    let before = v1.processes().unwrap();
    std::thread::sleep(Duration::from_millis(30));
    assert_eq!(before, v1.processes().unwrap());
    v1.kill().unwrap();
    assert!(v1.wait_empty(soon()).unwrap());
    end(child);
    whole.remove().unwrap();
}

#[test]
fn a_sub_cgroup_that_froze_itself_dies_too() {
    let Some(place) = Place::new("subfrozen") else {
        return;
    };
    let cgroup = place.create("a");
    let Some(freezer) = cgroup.v1_branch("freezer") else {
        eprintln!("skipped: no v1 freezer");
        return cgroup.remove().unwrap();
    };
    let sub = freezer.file("sub");
    let child = run_in(
        &cgroup,
        &format!(
            "mkdir {0}; sleep 100 & echo $! > {0}/tasks; echo FROZEN > {0}/freezer.state; wait",
            sub.display()
        ),
    );
    let deadline = soon();
    while std::fs::read_to_string(sub.join("freezer.state")).unwrap_or_default() != "FROZEN\n" {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(2));
    }
    cgroup.kill().unwrap();
    assert!(cgroup.wait_empty(soon()).unwrap());
    end(child);
    cgroup.remove().unwrap();
    assert!(!sub.exists());
}

#[test]
fn freezing_stops_and_thawing_goes_on() {
    let Some(place) = Place::new("freeze") else {
        return;
    };
    let cgroup = place.create("a");
    let child = run_in(&cgroup, "exec sleep 0.05");
    cgroup.freeze().unwrap();
    std::thread::sleep(Duration::from_millis(120));
    assert!(cgroup.is_populated().unwrap());
    cgroup.thaw().unwrap();
    assert!(cgroup.wait_empty(soon()).unwrap());
    assert!(end(child).success());
    cgroup.remove().unwrap();
}

#[test]
fn a_frozen_container_is_ended() {
    let Some(place) = Place::new("endfrozen") else {
        return;
    };
    let cgroup = place.create("a");
    // By us, and by somebody who knows v1's freezer alone.
    for by_v1 in [false, true] {
        let child = run_in(&cgroup, "sleep 100 & sleep 100 & wait");
        match cgroup.v1_branch("freezer") {
            Some(freezer) if by_v1 => {
                std::fs::write(freezer.file("freezer.state"), "FROZEN").unwrap();
            }
            _ => cgroup.freeze().unwrap(),
        }
        assert!(cgroup.is_frozen().unwrap());
        cgroup.end(soon()).unwrap();
        assert!(!cgroup.is_populated().unwrap());
        end(child);
        cgroup.thaw().unwrap();
        assert!(!cgroup.is_frozen().unwrap());
    }
    cgroup.remove().unwrap();
}

#[test]
fn who_does_not_end_in_time_is_named() {
    let Some(place) = Place::new("survive") else {
        return;
    };
    let cgroup = place.create("a");
    let Some(freezer) = cgroup.v1_branch("freezer") else {
        eprintln!("skipped: no v1 freezer");
        return cgroup.remove().unwrap();
    };
    // What a cgroup above freezes nobody below can end.
    let above = freezer.path.parent().unwrap().join("freezer.state");
    let child = run_in(&cgroup, "exec sleep 100");
    std::fs::write(&above, "FROZEN").unwrap();
    assert!(cgroup.is_frozen().unwrap());
    let began = Instant::now();
    let refused = cgroup.end(began + Duration::from_millis(300)).unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(5));
    std::fs::write(&above, "THAWED").unwrap();
    let text = refused.to_string();
    let name = format!("{} sleep state", child.id());
    assert!(
        text.contains(&name) || text.contains(&format!("{} sh state", child.id())),
        "{text}"
    );
    assert_eq!(refused.class(), berth_base::ErrorClass::Unavailable);
    cgroup.end(soon()).unwrap();
    end(child);
    cgroup.remove().unwrap();
}
