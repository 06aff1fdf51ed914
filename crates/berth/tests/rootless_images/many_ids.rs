//! A user with sub-ids: files are whose they are.

use std::fs;

use crate::support::{FIRST, Ids, Root, UID, User, owner};

const LOOK: &str = "cd /srv; stat -c '%n %u:%g %a' www deep deep/app /priv/suid /cut; cat www";

const SEEN: &str = "www 101:101 600\ndeep 101:101 700\ndeep/app 1000:1000 640\n\
                    /priv/suid 1000:101 6755\n/cut 101:0 755\nwww\n";

#[test]
fn files_of_many_users() {
    let Some(user) = User::new(Ids::Many) else {
        return;
    };
    let said = user.import(&Root::new(), "many:1", &[]);
    insta::assert_snapshot!(said, @"berth: warning: srv/null: a device, which only root may make, is left out");
    // It is unpacked once, and said once.
    let done = user.script(&[], "many:1", LOOK);
    assert_eq!((done.out.as_str(), done.err.as_str()), (SEEN, ""));
    let fs = user.layer().join("fs");
    assert_eq!(owner(&fs.join("srv/www")), (FIRST + 100, FIRST + 100));
    assert_eq!(owner(&fs.join("srv")), (UID, UID));
    let capable = user.ok(&[
        "run",
        "--rm",
        "-u",
        "1000",
        "many:1",
        "/priv/grep",
        "CapEff",
        "/proc/self/status",
    ]);
    assert_eq!(capable, "CapEff:\t0000000000000400");
    let www = user.script(
        &["-u", "www"],
        "many:1",
        "cat /srv/www /srv/deep/app; id -u",
    );
    assert_eq!(www.out, "www\n101\n", "{www:?}");
    user.settled();
}

#[test]
fn what_a_container_makes_goes_round() {
    let Some(user) = User::new(Ids::Many) else {
        return;
    };
    user.import(&Root::new(), "many:1", &[]);
    let script = "rm -r /cut; mkdir /cut; echo new > /cut/new; rm /srv/www; mv /priv/grep /priv/moved; \
                  echo x > /srv/deep/x; chown 65000:7 /srv/deep/x; chmod 4700 /srv/deep/x; \
                  chown 1000:101 /srv/deep; chmod 0 /srv/deep";
    user.ok(&["run", "--name", "one", "many:1", "sh", "-c", script]);
    let changed = "C /cut\nA /cut/new\nD /cut/old\nC /priv\nD /priv/grep\nA /priv/moved\nC /srv\nC /srv/deep\nA /srv/deep/x\nD /srv/www";
    assert_eq!(user.line("diff one"), changed);
    user.line("commit one many:2");
    user.line("export -o one.tar one");
    user.ok(&["import", "-c", "CMD [\"sh\"]", "one.tar", "many:3"]);
    user.line("save -o two.tar many:2");
    user.line("rm one");
    let deleted = user.line("rmi many:2");
    assert!(deleted.contains("Deleted: sha256:"), "{deleted}");
    assert_eq!(user.line("load -i two.tar"), "Loaded image: many:2");
    let look = "ls /cut /srv; stat -c '%n %u:%g %a' /srv/deep /srv/deep/x /srv/deep/app; ls /priv";
    let seen = "/cut:\nnew\n\n/srv:\ndeep\n/srv/deep 1000:101 0\n/srv/deep/x 65000:7 4700\n\
                /srv/deep/app 1000:1000 640\nmoved\nsuid\n";
    for image in ["many:2", "many:3"] {
        let done = user.script(&[], image, look);
        assert_eq!(done.out, seen, "{image}: {done:?}");
    }
    user.settled();
    user.line("rmi many:1 many:2 many:3");
    user.line("system prune -af --volumes");
    assert_eq!(user.names("layers"), [""; 0]);
    assert_eq!(user.names("containers"), [""; 0]);
    assert_eq!(user.names("images/blobs/sha256"), [""; 0]);
}

#[test]
fn volumes_are_filled_and_removed() {
    let Some(user) = User::new(Ids::Many) else {
        return;
    };
    user.import(&Root::new(), "many:1", &["VOLUME /srv"]);
    let script = "cat /srv/www; stat -c %u:%g:%a /srv/deep; chown 33 /srv; chmod 700 /srv; mkdir -m 0 /srv/deep/k; \
                  chown 5 /srv/deep/k";
    let done = user.script(&["-v", "data:/srv"], "many:1", script);
    assert_eq!(done.out, "www\n101:101:700\n", "{done:?}");
    let data = user.store("volumes/data/_data");
    assert_eq!(owner(&data), (FIRST + 32, UID));
    user.line("volume rm data");
    assert!(!data.exists());
    user.ok(&["run", "--name", "anon", "many:1", "sh", "-c", script]);
    assert_eq!(user.line("volume ls -q").lines().count(), 1);
    user.line("rm -v anon");
    assert_eq!(user.line("volume ls -q"), "");
    assert_eq!(user.names("volumes"), [".lock"]);
    user.settled();
}

#[test]
fn a_root_folder_of_another_user() {
    let Some(user) = User::new(Ids::Many) else {
        return;
    };
    let root = Root::new();
    root.own("", (101, 101), 0o700);
    user.import(&root, "closed:1", &["VOLUME /srv"]);
    let done = user.script(
        &["-u", "www"],
        "closed:1",
        "id -u; stat -c %u:%g:%a /; cat /srv/www",
    );
    assert_eq!(done.out, "101\n101:101:700\nwww\n", "{done:?}");
    user.settled();
    user.line("rmi closed:1");
    assert_eq!(user.names("layers"), [""; 0]);
}

#[test]
fn half_unpacked_layers_are_cleared() {
    let Some(user) = User::new(Ids::Many) else {
        return;
    };
    user.import(&Root::new(), "many:1", &[]);
    user.script(&[], "many:1", "true");
    user.settled();
    // As a crash leaves them: out of sight, full of other users' files.
    let layer = user.layer();
    let name = layer.file_name().unwrap().to_str().unwrap().to_owned();
    let hidden = layer.with_file_name(format!(".tmp-{name}"));
    fs::rename(&layer, &hidden).unwrap();
    fs::write(hidden.join("fs/srv/deep/foreign"), "").unwrap();
    std::os::unix::fs::chown(hidden.join("fs/srv/deep/foreign"), Some(FIRST + 9), None).unwrap();
    let done = user.script(&[], "many:1", "ls /srv/deep");
    assert_eq!(done.out, "app\n", "{done:?}");
    assert_eq!(user.names("layers"), [name]);
    user.settled();
}
