//! The root, volumes, binds, tmpfs and devices.

use std::fs;

use super::Docker;

#[test]
fn docker_mounts() {
    let docker = Docker::start();
    volumes(&docker);
    binds(&docker);
    docker.finish();
}

#[test]
fn docker_makes_roots() {
    let docker = Docker::start();
    temporary(&docker);
    devices(&docker);
    changes(&docker);
    docker.finish();
}

fn volumes(docker: &Docker) {
    docker.script(&["--volume=data:/data"], "echo kept >/data/file");
    assert_eq!(
        docker.script(&["--volume=data:/data"], "cat /data/file"),
        "kept"
    );
    let refused = docker.script(
        &["--volume=data:/data:ro"],
        "echo lost 2>/dev/null >/data/file || cat /data/file",
    );
    assert_eq!(refused, "kept");
    docker.start_container("holder", &["--volume=data:/elsewhere"]);
    let seen = docker.script(&["--volumes-from=holder"], "cat /elsewhere/file");
    assert_eq!(seen, "kept");
    docker.ok(&["rm", "-f", "holder"]);
    docker.ok(&["volume", "rm", "data"]);
}

fn binds(docker: &Docker) {
    let folder = docker.world.path("bound");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("file"), "outside").unwrap();
    let bind = |options: &str| {
        let folder = folder.display();
        format!("--mount=type=bind,source={folder},target=/b{options}")
    };
    docker.script(&[&bind("")], "echo inside >/b/written");
    assert_eq!(
        fs::read_to_string(folder.join("written")).unwrap(),
        "inside\n"
    );
    let script = "cat /b/file; touch /b/new 2>/dev/null || echo refused";
    assert_eq!(
        docker.script(&[&bind(",readonly")], script),
        "outsiderefused"
    );
    assert!(!folder.join("new").exists());
    // What is mounted later reaches a slave.
    let late = folder.join("late");
    fs::create_dir(&late).unwrap();
    let (shared, late) = (folder.to_str().unwrap(), late.to_str().unwrap());
    let in_world = |words: &[&str]| {
        let done = docker.world.run(words);
        assert_eq!(done.code, 0, "{words:?}: {done:?}");
    };
    in_world(&["mount", "--bind", "--make-shared", shared, shared]);
    docker.start_container("slave", &[&bind(",bind-propagation=rslave")]);
    docker.start_container("private", &[&bind(",bind-propagation=rprivate")]);
    in_world(&["mount", "-t", "tmpfs", "late", late]);
    let count = "grep -c ' /b/late ' /proc/self/mountinfo || true";
    assert_eq!(docker.exec("slave", count), "1");
    assert_eq!(docker.exec("private", count), "0");
    in_world(&["umount", late]);
    assert_eq!(docker.exec("slave", count), "0");
    // What a container mounts reaches the host where both ways are asked for.
    let flags = [&bind(",bind-propagation=rshared"), "--cap-add=SYS_ADMIN"];
    docker.start_container("shared", &flags);
    docker.exec("shared", "mount -t tmpfs inner /b/late");
    let mounted = || docker.world.mounts().contains(&"bound/late".to_owned());
    assert!(mounted(), "a mount of the container did not reach the host");
    assert_eq!(docker.exec("slave", count), "1");
    docker.exec("shared", "umount /b/late");
    assert!(!mounted());
    docker.ok(&["rm", "-f", "slave", "private", "shared"]);
    in_world(&["umount", shared]);

    let file = folder.join("file");
    let bind = format!("--volume={}:/etc/new/deep:ro", file.display());
    assert_eq!(docker.script(&[&bind], "cat /etc/new/deep"), "outside");
}

fn temporary(docker: &Docker) {
    let flags = ["--tmpfs=/t:rw,size=1m,mode=700,noexec", "--shm-size=2m"];
    let script = "grep -E ' /(t|dev/shm) ' /proc/self/mountinfo; stat -c %a /t";
    let said = docker.script(&flags, script);
    assert!(
        said.contains("size=1024k") && said.contains("size=2048k"),
        "{said}"
    );
    assert!(said.contains("noexec") && said.ends_with("\n700"), "{said}");
}

fn devices(docker: &Docker) {
    let script = "echo x >/dev/xnull && ls -l /dev/xnull | cut -c1; \
                  cat /dev/null; echo y | tee /dev/full >/dev/null 2>&1 || echo full";
    assert_eq!(
        docker.script(&["--device=/dev/null:/dev/xnull:rw"], script),
        "c\nfull"
    );
    // A node can be made (CAP_MKNOD), but the device is not in the list.
    let script = "mknod /tmp/disk b 8 0; head -c1 /tmp/disk 2>&1 | grep -o 'not permitted'; \
                  mknod /tmp/mem c 1 1; head -c1 /tmp/mem 2>&1 | grep -o 'not permitted'";
    assert_eq!(docker.script(&[], script), "not permitted\nnot permitted");
}

fn changes(docker: &Docker) {
    let script = "touch /new 2>/dev/null || echo refused; touch /t/new && echo made";
    assert_eq!(
        docker.script(&["--read-only", "--tmpfs=/t"], script),
        "refused\nmade"
    );

    docker.start_container("kept", &[]);
    docker.exec("kept", "echo new >/tmp/made");
    assert!(docker.ok(&["diff", "kept"]).contains("A /tmp/made"));
    let target = docker.world.text("copied");
    docker.ok(&["cp", "kept:/tmp/made", &target]);
    assert_eq!(fs::read_to_string(&target).unwrap(), "new\n");
    docker.ok(&["cp", &target, "kept:/root/back"]);
    assert_eq!(docker.exec("kept", "cat /root/back"), "new");
}
