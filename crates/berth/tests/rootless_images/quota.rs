//! `--storage-opt size=`.

use crate::cli::Berth;
use crate::support::{Ids, Root, User};

#[test]
fn a_limit_is_never_ignored() {
    let Some(user) = User::new(Ids::Many) else {
        return;
    };
    user.import(&Root::new(), "many:1", &[]);
    let words = user.fails(&["run", "--storage-opt", "size=10m", "many:1", "true"]);
    assert!(words.contains("cannot limit the storage"), "{words}");
    assert_eq!(user.names("containers"), [""; 0]);
    user.settled();
    let words = user.fails(&["run", "--storage-opt", "size=10m", "host", "true"]);
    insta::assert_snapshot!(words, @"berth: cannot limit the storage of a container that is made from no image: what it changes is kept in memory; limit that with --memory");
}

/// The limits of projects, by id, as the kernel has them for the file system of a folder.
fn limit_of(folder: &std::path::Path) -> (u32, u64) {
    use berth_sys::quota;
    let open = std::fs::File::open(folder).unwrap();
    let project = quota::project(&open).unwrap();
    (
        project,
        quota::project_usage(&open, project).unwrap().limit_bytes,
    )
}

#[test]
fn a_container_takes_no_more_than_its_limit() {
    let berth = Berth::new();
    let root = Root::new();
    let tar = root.tar(&berth.path("root.tar"));
    berth.ok(&["import", &tar, "many:1"]);
    let script = "dd if=/dev/zero of=/small bs=1k count=2k 2>/dev/null && echo small; \
                  dd if=/dev/zero of=/big bs=1k count=8k 2>&1 | grep -o 'quota exceeded\\|No space left'; \
                  rm /small; echo more > /more && echo more; mv /srv/www /cut/www && cat /cut/www";
    let flags = [
        "create",
        "--storage-opt=size=4m",
        "--name=one",
        "many:1",
        "sh",
        "-c",
        script,
    ];
    let done = berth.run(&flags);
    if done.code != 0 {
        assert!(done.err.contains("prjquota"), "{done:?}");
        assert_eq!(berth.ids(), [""; 0]);
        return berth_testkit::skip("no project quotas below the temporary folder");
    }
    let id = done.out.trim();
    let layer = berth.path("root/containers").join(id).join("layer");
    let (project, limit_bytes) = limit_of(&layer);
    assert_eq!(limit_bytes, 4 << 20);
    assert!(project >= 1 << 30, "{project}");
    let said = berth.run(&["start", "-a", "one"]);
    let words: Vec<&str> = said.out.lines().collect();
    assert_eq!(words.len(), 4, "{said:?}");
    assert_eq!(
        (words[0], words[2], words[3]),
        ("small", "more", "www"),
        "{said:?}"
    );
    let big = std::fs::metadata(layer.join("upper/big")).unwrap().len();
    assert!(
        (1 << 20..4 << 20).contains(&big),
        "it ended at the limit: {big}"
    );
    let shown = berth.ok(&["inspect", "-f", "{{json .HostConfig.StorageOpt}}", "one"]);
    assert_eq!(shown, r#"{"size":"4194304"}"#);
    let other = berth.ok(&["create", "--storage-opt=size=1g", "many:1", "true"]);
    let other = berth.path("root/containers").join(other).join("layer");
    assert_ne!(limit_of(&other).0, project);
    berth.ok(&["rm", "one"]);
    let folder = std::fs::File::open(berth.path("root")).unwrap();
    let usage = berth_sys::quota::project_usage(&folder, project).unwrap();
    assert_eq!((usage.used_bytes, usage.limit_bytes), (0, 0));
    // One that is never made leaves none.
    let before = projects(&berth);
    let clash = berth.run(&[
        "create",
        "--storage-opt=size=2m",
        "--name=a",
        "many:1",
        "true",
    ]);
    assert_eq!(clash.code, 0, "{clash:?}");
    let clash = berth.run(&[
        "create",
        "--storage-opt=size=2m",
        "--name=a",
        "many:1",
        "true",
    ]);
    assert_ne!(clash.code, 0, "{clash:?}");
    berth.ok(&["rm", "a"]);
    assert_eq!(projects(&berth), before);
    crate::support::settled(&berth.path("root"));
}

/// How many containers' folders there are; the hidden ones too.
fn projects(berth: &Berth) -> usize {
    std::fs::read_dir(berth.path("root/containers"))
        .unwrap()
        .count()
}
