//! Copies and archives into folders that are in use.

use std::fs::{self, File, Permissions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use super::merged::{Found, Last, Stack};
use super::tree::{CopyOptions, Existing, copy_content, copy_entry};
use super::{Ids, LayerError, PackOptions, UnpackOptions, pack_entry, unpack_into};

const MERGE: CopyOptions = CopyOptions {
    devices: super::Devices::Make,
    ids: Ids::Squash,
    existing: Existing::Merge,
    shift: None,
};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn open(path: &Path) -> OwnedFd {
    File::open(path).unwrap().into()
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn content(from: &Path, into: &Path) -> Result<u64, LayerError> {
    let stack = Stack::plain(open(from)).unwrap();
    let copied = copy_content(&stack, stack.root(), open(into).as_fd(), &MERGE)?;
    Ok(copied.entries)
}

#[test]
fn folders_merge_and_what_is_none_is_replaced() {
    let (from, into) = (folder(), folder());
    let (from, into) = (from.path(), into.path());
    write(&from.join("d/new"), "new");
    write(&from.join("file"), "new");
    symlink("nowhere", from.join("link")).unwrap();
    write(&into.join("d/old"), "old");
    write(&into.join("elsewhere"), "dear");
    symlink("elsewhere", into.join("file")).unwrap();
    write(&into.join("link"), "old");
    fs::set_permissions(into, Permissions::from_mode(0o711)).unwrap();
    assert_eq!(content(from, into).unwrap(), 4);
    assert_eq!(read(&into.join("d/new")), "new");
    assert_eq!(read(&into.join("d/old")), "old");
    assert_eq!(read(&into.join("file")), "new");
    // The link was replaced, not followed.
    assert_eq!(read(&into.join("elsewhere")), "dear");
    assert_eq!(
        fs::read_link(into.join("link")).unwrap(),
        Path::new("nowhere")
    );
    // The folder itself keeps its attributes.
    assert_eq!(fs::metadata(into).unwrap().mode() & 0o777, 0o711);
}

#[test]
fn files_and_folders_do_not_take_each_others_place() {
    let (from, into) = (folder(), folder());
    let (from, into) = (from.path(), into.path());
    write(&from.join("a"), "a");
    write(&into.join("a/b"), "dear");
    let error = content(from, into).unwrap_err().to_string();
    insta::assert_snapshot!(error, @"cannot replace the folder a with something that is no folder; remove it first");
    fs::remove_file(from.join("a")).unwrap();
    write(&from.join("c/d"), "d");
    symlink("a", into.join("c")).unwrap();
    let error = content(from, into).unwrap_err().to_string();
    insta::assert_snapshot!(error, @"cannot replace c, which is no folder, with a folder; remove it first");
    assert_eq!(read(&into.join("a/b")), "dear");
    assert!(!into.join("a/d").exists());
}

#[test]
fn nothing_is_copied_onto_or_into_itself() {
    let from = folder();
    let from = from.path();
    write(&from.join("a/f"), "dear");
    let stack = Stack::plain(open(from)).unwrap();
    let found = stack.find(Path::new("a/f"), Last::Keep).unwrap();
    let into = open(&from.join("a"));
    let error = copy_entry(&stack, &found, into.as_fd(), "f".as_ref(), &MERGE).unwrap_err();
    insta::assert_snapshot!(error.to_string(), @"f would be copied onto itself");
    assert_eq!(read(&from.join("a/f")), "dear");
    let found = stack.find(Path::new("a"), Last::Keep).unwrap();
    let error = copy_entry(&stack, &found, into.as_fd(), "a".as_ref(), &MERGE).unwrap_err();
    insta::assert_snapshot!(error.to_string(), @"the folder cannot be copied into itself");
}

/// An archive of one entry, as `cp - ` takes it.
fn pack(from: &Path, path: &str, name: &str) -> Vec<u8> {
    let stack = Stack::plain(open(from)).unwrap();
    let found: Found = stack.find(Path::new(path), Last::Keep).unwrap();
    let mut tar = Vec::new();
    let options = PackOptions::default();
    pack_entry(&stack, &found, name.as_bytes(), &mut tar, &options).unwrap();
    tar
}

fn unpack(tar: &[u8], root: &Path, below: &str) -> Result<u64, LayerError> {
    let options = UnpackOptions {
        ids: Ids::Squash,
        ..UnpackOptions::default()
    };
    let unpacked = unpack_into(tar, open(root).as_fd(), Path::new(below), &options)?;
    Ok(unpacked.entries)
}

#[test]
fn an_entry_is_packed_under_a_name_and_unpacked_below_a_folder() {
    let (from, root) = (folder(), folder());
    let (from, root) = (from.path(), root.path());
    write(&from.join("d/f"), "f");
    write(&from.join("d/.wh.g"), "no mark");
    fs::hard_link(from.join("d/f"), from.join("d/h")).unwrap();
    fs::create_dir_all(root.join("to/here")).unwrap();
    assert_eq!(unpack(&pack(from, "d", "x"), root, "/to/here").unwrap(), 4);
    let x = root.join("to/here/x");
    assert_eq!(read(&x.join("f")), "f");
    assert_eq!(read(&x.join(".wh.g")), "no mark");
    let inode = |name: &str| fs::metadata(x.join(name)).unwrap().ino();
    assert_eq!(inode("f"), inode("h"));
    // Again, over what is there; and the content alone.
    assert_eq!(unpack(&pack(from, "d", "x"), root, "to/here").unwrap(), 4);
    assert_eq!(unpack(&pack(from, "d", "."), root, "to").unwrap(), 4);
    assert_eq!(read(&root.join("to/h")), "f");
    assert_eq!(unpack(&pack(from, "d/f", "one"), root, "").unwrap(), 1);
    assert_eq!(read(&root.join("one")), "f");
}

/// A link of the root leads where the root's processes see it lead.
#[test]
fn links_lead_to_the_root_and_never_out_of_it() {
    let (from, outer) = (folder(), folder());
    let from = from.path();
    let root = outer.path().join("root");
    write(&from.join("l/f"), "f");
    fs::create_dir_all(root.join("to")).unwrap();
    fs::create_dir_all(root.join("etc")).unwrap();
    for (target, reached) in [
        ("/etc", "etc/f"),
        ("../etc", "etc/f"),
        ("../../../../etc", "etc/f"),
        ("/missing/folder", "missing/folder/f"),
    ] {
        symlink(target, root.join("to/l")).unwrap();
        let tar = pack(from, "l/f", "l/f");
        assert_eq!(unpack(&tar, &root, "to").unwrap(), 1, "{target}");
        assert_eq!(read(&root.join(reached)), "f", "{target}");
        fs::remove_file(root.join(reached)).unwrap();
        // The link as a folder of the archive's own.
        let error = unpack(&pack(from, "l", "l"), &root, "to").unwrap_err();
        assert!(matches!(error, LayerError::Conflict(_)), "{error}");
        fs::remove_file(root.join("to/l")).unwrap();
    }
    assert_eq!(fs::read_dir(outer.path()).unwrap().count(), 1);
}
