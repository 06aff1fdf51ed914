//! Users without sub-ids, or whose sub-ids went.

use crate::support::{Ids, Root, UID, User, owner};

fn all_become_the_users(ids: Ids) -> Option<String> {
    let user = User::new(ids)?;
    let said = user.import(&Root::new(), "many:1", &[]);
    let (device, warning) = said.split_once('\n').unwrap();
    assert!(device.contains("srv/null"), "{said}");
    let script = "stat -c '%n %u:%g' /srv/www /srv/deep/app; rm -r /cut; mkdir /cut; touch /cut/x; \
                  chown 5 /cut 2>/dev/null || echo alone";
    let done = user.run(&["run", "--name", "one", "many:1", "sh", "-c", script]);
    assert_eq!(
        done.out, "/srv/www 0:0\n/srv/deep/app 0:0\nalone\n",
        "{done:?}"
    );
    assert_eq!(done.err, "", "it is said once");
    assert_eq!(owner(&user.layer().join("fs/srv/www")), (UID, UID));
    assert_eq!(user.line("diff one"), "C /cut\nD /cut/old\nA /cut/x");
    user.line("commit one many:2");
    let again = user.script(&["-v", "data:/srv"], "many:2", "ls /cut; cat /srv/www");
    assert_eq!(again.out, "x\nwww\n", "{again:?}");
    user.settled();
    user.line("rm one");
    user.line("volume rm data");
    user.line("rmi many:1 many:2");
    assert_eq!(user.names("layers"), [""; 0]);
    Some(warning.to_owned())
}

#[test]
fn without_sub_ids_all_files_become_the_users() {
    if let Some(warning) = all_become_the_users(Ids::One) {
        insta::assert_snapshot!(warning, @r#"berth: warning: /etc/subuid and /etc/subgid give you no ids: all files of images become yours, and a container has one user, root; add some with "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 tess", then remove the image and fetch it again"#);
    }
}

#[test]
fn without_newuidmap_all_files_become_the_users() {
    if let Some(warning) = all_become_the_users(Ids::Unmapped) {
        insta::assert_snapshot!(warning, @"berth: warning: newuidmap and newgidmap are not installed: all files of images become yours, and a container has one user, root; install them (package uidmap or shadow-utils), then remove the image and fetch it again");
    }
}

#[test]
fn ids_beyond_the_sub_ids_are_refused() {
    let Some(user) = User::new(Ids::Many) else {
        return;
    };
    let root = Root::new();
    root.own("srv/www", (70_000, 7), 0o600);
    let done = user.try_import(&root, "far:1", &[]);
    assert_ne!(done.code, 0, "{done:?}");
    let words = done.err.trim_end();
    let (_, why) = words.split_once(": cannot set").unwrap();
    insta::assert_snapshot!(why, @" the owner of srv/www: Invalid argument (os error 22); the id is not one of yours, see /etc/subuid and /etc/subgid");
    assert_eq!(user.names("layers"), [""; 0]);
    assert_eq!(user.names("containers"), [""; 0]);
}

/// The worker must not ask a worker for what it may not itself.
#[test]
fn files_of_ids_that_went_are_named_and_removed_once_they_are_back() {
    let Some(mut user) = User::new(Ids::Many) else {
        return;
    };
    user.import(&Root::new(), "many:1", &[]);
    user.ok(&["run", "--name", "one", "many:1", "chown", "7", "/srv/deep"]);
    user.settled();
    user.becomes(Ids::One);
    let words = user.fails(&["rm", "one"]);
    let (_, why) = words.split_once(".removing-").unwrap();
    let (_, why) = why.split_once(':').unwrap();
    insta::assert_snapshot!(why, @r#" permission denied; some of it belongs to ids that are not yours: are /etc/subuid, /etc/subgid and newuidmap as they were?; try again with "berth rm -f one""#);
    let words = user.fails(&["rmi", "many:1"]);
    assert!(words.contains("ids that are not yours"), "{words}");
    user.becomes(Ids::Many);
    user.boots();
    // What is left goes with the first command of the next boot.
    user.line("create --name two host true");
    assert_eq!(user.names("layers"), [""; 0]);
    assert_eq!(user.names("containers").len(), 1);
}
