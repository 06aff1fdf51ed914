//! Disks that are full or cannot be written to.

use std::fs;
use std::path::Path;

use crate::small::Small;

const ROOM: &str = "hint: \"berth system df\" says what takes room; ";

impl Small {
    /// A tar with a file of so many bytes; its path.
    fn tar(&self, name: &str, bytes: usize) -> String {
        let folder = self.world.path(&format!("{name}-root"));
        fs::create_dir(&folder).unwrap();
        // What every compression leaves as large as it is.
        let mut content = vec![0; bytes];
        let mut state = 1_u64;
        for byte in &mut content {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            *byte = state.to_be_bytes()[0];
        }
        fs::write(folder.join("file"), content).unwrap();
        let path = self.world.text(name);
        let packed = self
            .world
            .run(&["tar", "-C", folder.to_str().unwrap(), "-cf", &path, "."]);
        assert_eq!(packed.code, 0, "{packed:?}");
        path
    }

    /// The words of a command that must fail, without the folder's name.
    fn refusal(&self, words: &[&str]) -> String {
        let done = self.berth(words);
        assert_eq!((done.code, &*done.out), (1, ""), "{words:?}: {done:?}");
        done.err.replace(&self.world.text("disk"), "DISK")
    }

    fn parts(&self) -> usize {
        let path = self
            .world
            .seen(&self.world.text("disk/root/image-work/ingest"));
        fs::read_dir(path).unwrap().count()
    }
}

#[test]
fn a_full_disk_loses_nothing() {
    let small = Small::new("disk", "4m");
    let fits = small.tar("fits.tar", 100_000);
    let large = small.tar("large.tar", 6_000_000);
    assert_eq!(small.berth(&["import", &fits, "fits:1"]).code, 0);
    let said = small.refusal(&["import", &large, "large:1"]);
    assert!(said.contains("No space left on device"), "{said}");
    assert!(said.contains(ROOM), "{said}");
    assert_eq!(small.parts(), 0);

    // Into an archive elsewhere, and onto the full disk.
    let archive = small.world.text("fits-image.tar");
    assert_eq!(small.berth(&["save", "-o", &archive, "fits:1"]).code, 0);
    small.must(&[
        "sh",
        "-c",
        &format!("cat /dev/zero >{}/fill || true", small.world.text("disk")),
    ]);
    let target = small.world.text("disk/out.tar");
    let said = small.refusal(&["save", "-o", &target, "fits:1"]);
    assert!(said.contains("No space left on device"), "{said}");
    let listed = fs::read_dir(small.world.seen(&small.world.text("disk"))).unwrap();
    let mut names: Vec<_> = listed.flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    assert_eq!(names, ["fill", "root"], "nothing half written stays");
    small.must(&["rm", &small.world.text("disk/fill")]);
    let loaded = small.berth(&["load", "-i", &archive]);
    assert_eq!(loaded.out, "Loaded image: fits:1\n", "{loaded:?}");
}

/// Whatever is to be written: the same hint, and nothing half done.
#[test]
fn a_full_disk_is_told_by_every_command() {
    let small = Small::new("disk", "4m");
    let fits = small.tar("fits.tar", 100_000);
    assert_eq!(small.berth(&["import", &fits, "fits:1"]).code, 0);
    let made = small.berth(&["create", "--name", "old", "fits:1", "/file"]);
    assert_eq!(made.code, 0, "{made:?}");
    let filler = small.world.text("disk/fill");
    small.must(&["sh", "-c", &format!("cat /dev/zero >{filler} || true")]);
    for line in [
        "network create new",
        "volume create new",
        "tag fits:1 new:1",
        "rename old new",
        "update --memory 64m old",
        "commit old new:1",
    ] {
        let said = small.refusal(&line.split(' ').collect::<Vec<_>>());
        assert!(said.contains("No space left on device"), "{line}: {said}");
        assert!(said.contains(ROOM), "{line}: {said}");
    }
    small.must(&["rm", &filler]);
    let said = |line: &str| small.berth(&line.split(' ').collect::<Vec<_>>()).out;
    assert_eq!(
        said("volume ls -q") + &said("network ls -q --filter name=new"),
        ""
    );
    assert_eq!(said("images --format {{.Repository}}"), "fits\n");
    assert_eq!(said("ps -a --format {{.Names}}"), "old\n");
}

#[test]
fn a_disk_that_cannot_be_written_to() {
    let small = Small::new("disk", "4m");
    let fits = small.tar("fits.tar", 100_000);
    assert_eq!(small.berth(&["import", &fits, "fits:1"]).code, 0);
    let disk = small.world.text("disk");
    // A file system with a file open for writing is busy.
    berth_testkit::nobody_settles(Path::new(&disk));
    small.must(&["mount", "-o", "remount,ro", &disk]);
    let said = small.refusal(&["import", &fits, "other:1"]);
    assert!(said.contains("Read-only file system"), "{said}");
    assert!(said.contains("remount it writable"), "{said}");
    // Reading it is possible.
    let archive = small.world.text("fits-image.tar");
    let saved = small.berth(&["save", "-o", &archive, "fits:1"]);
    assert_eq!(saved.code, 0, "{saved:?}");
    small.must(&["mount", "-o", "remount,rw", &disk]);
    let loaded = small.berth(&["load", "-i", &archive]);
    assert_eq!(loaded.out, "Loaded image: fits:1\n", "{loaded:?}");
}
