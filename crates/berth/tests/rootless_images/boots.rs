//! What outlives a boot, and what does not.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::support::{Ids, Root, User};

#[test]
fn settled_layers_outlive_a_crash_and_others_are_unpacked_again() {
    let Some(mut user) = User::new(Ids::Many) else {
        return;
    };
    user.import(&Root::new(), "many:1", &[]);
    // The host's /proc: with a boot id of ours in it no new one may be mounted without privilege.
    let flags = ["run", "--name=one", "--pid=host", "many:1"];
    user.ok(&[&flags[..], &["cat", "/srv/deep/app"]].concat());
    user.settled();
    let layer = user.layer();
    let inode = || fs::metadata(layer.join("fs")).unwrap().ino();
    let before = inode();
    user.boots();
    assert_eq!(user.line("start -a one"), "app");
    assert_eq!(inode(), before, "it is still the same");

    // One that nobody knows to be on disk.
    let record = layer.join("layer.json");
    let text = fs::read_to_string(&record).unwrap();
    let doubtful = text.replacen('{', "{\"unsynced_in_boot\":\"an earlier one\",", 1);
    fs::write(&record, doubtful).unwrap();
    fs::remove_file(layer.join("fs/srv/www")).unwrap();
    fs::remove_file(user.path("home/berth/recovered")).unwrap();
    assert_eq!(user.line("start -a one"), "app");
    assert_ne!(inode(), before, "it was unpacked again");
    assert!(layer.join("fs/srv/www").exists());
    user.line("rm one");
}

#[test]
fn containers_for_rm_end_with_the_boot() {
    let Some(mut user) = User::new(Ids::Many) else {
        return;
    };
    user.import(&Root::new(), "many:1", &["VOLUME /srv"]);
    user.line("create --rm --name gone many:1");
    user.line("create --rm --name torn many:1");
    user.line("create --name kept many:1");
    user.settled();
    assert_eq!(user.line("volume ls -q").lines().count(), 3);
    // What a loss of power leaves of files that were not synced.
    let torn = user.line("inspect -f {{.Id}} torn");
    let record = user.store("containers").join(torn).join("create.json");
    fs::write(&record, "").unwrap();
    user.boots();
    user.line("create --name new many:1");
    let names = user.line("ps -a --format {{.Names}}");
    let mut names: Vec<&str> = names.lines().collect();
    names.sort_unstable();
    assert_eq!(names, ["kept", "new"]);
    assert_eq!(user.names("names"), ["kept", "new"]);
    user.line("rm -v kept new");
    user.line("rmi many:1");
}
