//! Entering.

use super::*;

#[test]
fn a_session_enters_beside_an_init_that_moved_below() {
    let Some(place) = Place::new("beside") else {
        return;
    };
    let cgroup = place.create("a");
    let Some(v2) = cgroup.v2.as_ref() else {
        eprintln!("skipped: no cgroup v2");
        return cgroup.remove().unwrap();
    };
    let sub = v2.file("init.scope");
    std::fs::create_dir(&sub).unwrap();
    let inode = |fd: &std::os::fd::OwnedFd| rustix::fs::fstat(fd).unwrap().st_ino;
    let own = inode(&cgroup.join_descriptors().unwrap().v2.unwrap());
    let script = format!(
        "echo 0 > {}/cgroup.procs; echo m; exec sleep 100",
        sub.display()
    );
    let mut child = run_in(&cgroup, &script);
    let mut moved = [0u8; 2];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut moved)
        .unwrap();
    let init = berth_base::HostPid::new(child.id()).unwrap();
    let beside = inode(&cgroup.join_descriptors_beside(init).unwrap().v2.unwrap());
    assert_ne!(beside, own);
    assert_eq!(beside, rustix::fs::stat(&sub).unwrap().st_ino);
    cgroup.kill().unwrap();
    end(child);
    let gone = inode(&cgroup.join_descriptors_beside(init).unwrap().v2.unwrap());
    assert_eq!(gone, own);
    assert!(cgroup.wait_empty(soon()).unwrap());
    cgroup.remove().unwrap();
}
