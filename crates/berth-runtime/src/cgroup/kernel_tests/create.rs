//! Making and removing.

use berth_testkit::covers;

use super::*;

#[test]
fn an_empty_leftover_is_made_anew_and_a_used_one_refused() {
    let Some(place) = Place::new("left") else {
        return;
    };
    let first = place.create("a");
    let second = place.create("a");
    assert_eq!(first.paths(), second.paths());
    let child = run_in(&second, "exec sleep 100");
    let refused =
        Cgroup::create(&place.hierarchies, &place.path("a"), Access::Required).unwrap_err();
    assert!(matches!(refused, CgroupError::Occupied { .. }), "{refused}");
    assert!(
        refused.to_string().contains(&child.id().to_string()),
        "{refused}"
    );
    second.kill().unwrap();
    end(child);
    second.remove().unwrap();

    let foreign = place.parent.clone() + "/other";
    let made = Cgroup::create(&place.hierarchies, &foreign, Access::Required).unwrap();
    let refused = Cgroup::create(&place.hierarchies, &foreign, Access::Required).unwrap_err();
    assert!(
        refused.to_string().contains("was not made by Berth"),
        "{refused}"
    );
    made.remove().unwrap();
}

#[test]
fn a_failed_creation_leaves_nothing() {
    let Some(place) = Place::new("undo") else {
        return;
    };
    let mut broken = place.hierarchies.clone();
    let target = broken.v2.as_mut().or(broken.v1.last_mut()).unwrap();
    target.mount = Path::new("/proc/self").to_owned();
    let path = place.path("a");
    assert!(Cgroup::create(&broken, &path, Access::Required).is_err());
    for hierarchy in place.all() {
        assert!(!hierarchy.directory(&path).exists());
    }
}

#[test]
fn thirty_two_at_once_do_not_disturb_each_other() {
    let Some(place) = Place::new("many") else {
        return;
    };
    std::thread::scope(|scope| {
        for worker in 0..32 {
            let place = &place;
            scope.spawn(move || {
                for round in 0..8 {
                    let cgroup = place.create(&format!("{worker}-{round}"));
                    assert_eq!(cgroup.join_descriptors().unwrap().v1.len(), cgroup.v1.len());
                    if let Some(cpuset) = cgroup.v1_branch("cpuset") {
                        let cpus = cpuset.read_if_present("cpuset.cpus").unwrap().unwrap();
                        assert_ne!(cpus.trim(), "");
                    }
                    cgroup.remove().unwrap();
                }
            });
        }
    });
}

#[test]
fn keepers_share_a_group_of_their_own() {
    let Some(place) = Place::new("keep") else {
        return;
    };
    let path = place.path("keepers");
    for _ in 0..2 {
        let join = keeper_group(&place.hierarchies, &path, Access::Required).unwrap();
        assert_eq!(join.v2.is_some(), place.hierarchies.v2.is_some());
        assert_eq!(
            join.v1.len(),
            usize::from(place.hierarchies.v1_of("name=systemd").is_some())
        );
    }
    for hierarchy in &place.hierarchies.v1 {
        assert_eq!(
            hierarchy.directory(&path).exists(),
            hierarchy.has("name=systemd")
        );
    }
}

#[test]
fn a_read_only_hierarchy_is_named() {
    let Some(place) = Place::new("ro") else {
        return;
    };
    let mut hierarchies = place.hierarchies.clone();
    for hierarchy in hierarchies.v1.iter_mut().chain(&mut hierarchies.v2) {
        hierarchy.read_only = true;
    }
    let refused = Cgroup::create(&hierarchies, &place.path("a"), Access::Required).unwrap_err();
    assert!(
        refused.to_string().contains("mounted read-only"),
        "{refused}"
    );
    let none = Cgroup::create(&hierarchies, &place.path("a"), Access::WhereAllowed).unwrap();
    assert!(none.is_nowhere());
    let warning = none.warning().unwrap();
    assert!(warning.contains("no limits"), "{warning}");
    assert!(none.is_populated().is_err());
    assert!(none.kill().is_err());
    none.remove().unwrap();
}

#[test]
fn sub_cgroups_of_the_container_are_seen_and_removed() {
    let Some(place) = Place::new("sub") else {
        return;
    };
    let cgroup = place.create("a");
    let branches: Vec<_> = cgroup
        .branches()
        .map(|branch| branch.path.clone())
        .collect();
    for path in &branches {
        let mut deep = path.clone();
        for _ in 0..60 {
            deep.push("d");
        }
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::create_dir_all(path.join("e/f")).unwrap();
    }
    let census = cgroup.census().unwrap().file("e/f");
    let file = if cgroup.v2.is_some() {
        "cgroup.procs"
    } else {
        "tasks"
    };
    let child = run_in(
        &cgroup,
        &format!("echo 0 > {}/{file}; exec sleep 100", census.display()),
    );
    let deadline = soon();
    while std::fs::read_to_string(census.join("cgroup.procs"))
        .unwrap()
        .is_empty()
    {
        assert!(Instant::now() < deadline);
    }
    assert_eq!(cgroup.processes().unwrap().len(), 1);
    assert!(cgroup.is_populated().unwrap());
    let refused = cgroup.remove().unwrap_err();
    assert!(
        refused
            .to_string()
            .contains(&format!("held by PID {}", child.id())),
        "{refused}"
    );
    cgroup.kill().unwrap();
    assert!(cgroup.wait_empty(soon()).unwrap());
    end(child);
    cgroup.remove().unwrap();
    assert!(branches.iter().all(|path| !path.exists()));
}

fn adopt(place: &Place, path: &str) -> Result<Cgroup, CgroupError> {
    let path = CgroupPath::Absolute(path.to_owned());
    Cgroup::create_at(&place.hierarchies, &path, Access::Required, Existing::Empty)
}

#[test]
fn a_directory_that_the_caller_made_is_used_if_nothing_runs_in_it() {
    covers!("config-linux/cgroup-unfit");
    let Some(place) = Place::new("adopt") else {
        return;
    };
    let path = place.path("a");
    let theirs = place.create("a");
    let inode = |cgroup: &Cgroup| {
        let dir = cgroup.census().unwrap().open().unwrap();
        rustix::fs::fstat(dir).unwrap().st_ino
    };
    let ours = adopt(&place, &path).unwrap();
    assert_eq!(inode(&ours), inode(&theirs), "used as it is, not made anew");
    assert_eq!(ours.paths(), theirs.paths());

    let sub = ours.census().unwrap().file("sub");
    std::fs::create_dir(&sub).unwrap();
    let child = run_in(
        &ours,
        &format!(
            "echo 0 > {}/cgroup.procs; echo m; exec sleep 100",
            sub.display()
        ),
    );
    let refused = adopt(&place, &path).unwrap_err();
    assert!(matches!(refused, CgroupError::Occupied { .. }), "{refused}");
    assert!(
        refused
            .to_string()
            .contains(&format!("holds PID {}", child.id())),
        "{refused}"
    );
    ours.kill().unwrap();
    assert!(ours.wait_empty(soon()).unwrap());
    end(child);

    ours.freeze().unwrap();
    assert!(ours.is_frozen().unwrap());
    let refused = adopt(&place, &path).unwrap_err();
    assert!(refused.to_string().contains("is frozen"), "{refused}");
    ours.thaw().unwrap();
    assert!(!ours.is_frozen().unwrap());
    adopt(&place, &path).unwrap().remove().unwrap();
}

#[test]
fn a_failed_creation_leaves_what_was_there_before() {
    let Some(place) = Place::new("undoadopt") else {
        return;
    };
    let theirs = place.create("a");
    let mut broken = place.hierarchies.clone();
    let target = broken.v2.as_mut().or(broken.v1.last_mut()).unwrap();
    target.mount = Path::new("/proc/self").to_owned();
    let path = CgroupPath::Absolute(place.path("a"));
    assert!(Cgroup::create_at(&broken, &path, Access::Required, Existing::Empty).is_err());
    assert!(theirs.branches().all(|branch| branch.path.is_dir()));
    theirs.remove().unwrap();
}

#[test]
fn a_relative_path_is_near_the_caller() {
    let Some(mut place) = Place::new("near") else {
        return;
    };
    // As for a caller that sits in `/TEST/berth`; beside that on v2 is `/TEST`.
    let (own, name) = (format!("{}/berth", place.parent), "berth-a");
    for hierarchy in place
        .hierarchies
        .v1
        .iter_mut()
        .chain(&mut place.hierarchies.v2)
    {
        hierarchy.root = "/".to_owned();
        hierarchy.own = own.clone();
    }
    let placement = Placement::cgroupfs(Some(Path::new(name)), "id").unwrap();
    let Placement::Cgroupfs(path) = &placement else {
        unreachable!()
    };
    let cgroup =
        Cgroup::create_at(&place.hierarchies, path, Access::Required, Existing::Empty).unwrap();
    assert_eq!(cgroup.paths(), placement.paths(&place.hierarchies));
    for hierarchy in &place.hierarchies.v1 {
        assert!(hierarchy.directory(&own).join(name).is_dir());
    }
    if let Some(v2) = &place.hierarchies.v2 {
        assert!(v2.directory(&place.parent).join(name).is_dir());
    }
    cgroup.remove().unwrap();
}
