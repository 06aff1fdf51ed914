//! The command line: what it prints, what it refuses, what it leaves.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use berth_image::ImageStore;
use berth_testkit::web::{Response, Server};
use serde_json::json;

use crate::support::{Berth, Terminal};
use crate::world::done;

/// A root with one file, as a tar; its path.
fn root(berth: &Berth) -> String {
    let folder = berth.path("rootfs");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("file"), "content").unwrap();
    let tar = berth.path("root.tar").display().to_string();
    pack(&folder, &tar);
    tar
}

fn pack(folder: &Path, archive: &str) {
    let folder = folder.to_str().unwrap();
    let words = ["--owner=0", "--group=0", "-C", folder, "-cf", archive, "."];
    let packed = done(Command::new("tar").args(words));
    assert_eq!(packed.code, 0, "{packed:?}");
}

fn store(berth: &Berth) -> ImageStore {
    ImageStore::open(&berth.path("root"))
}

/// The files of the test's own folder.
fn files(berth: &Berth) -> Vec<String> {
    let list = fs::read_dir(berth.path("")).unwrap().flatten();
    let mut names: Vec<String> = list
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn imported_saved_and_loaded() {
    let berth = Berth::new();
    let tar = root(&berth);
    let id = berth.ok(&[
        "import",
        "-c",
        "CMD [\"sh\"]",
        "--change=ENV A=1",
        "-m",
        "mine",
        &tar,
        "made:1",
    ]);
    let image = store(&berth).resolve("made:1").unwrap();
    assert_eq!(image.id.as_str(), id);
    assert_eq!(image.config.config.env, ["A=1"]);
    assert_eq!(image.config.history[0].comment.as_deref(), Some("mine"));

    assert_eq!(berth.ok(&["save", "-o", "made.tar", "made:1"]), "");
    assert_eq!(files(&berth), ["made.tar", "root", "root.tar", "rootfs"]);
    let mode = fs::metadata(berth.path("made.tar")).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    assert_eq!(
        berth.ok(&["load", "-i", "made.tar"]),
        "Loaded image: made:1"
    );
    berth.ok(&["save", "--output", "nameless.tar", &id]);

    let other = Berth::new();
    let from = |name: &str| berth.path(name).display().to_string();
    let loaded = other.ok(&["load", "-q", "--input", &from("nameless.tar")]);
    assert_eq!(loaded, format!("Loaded image ID: {id}"));
    let bytes = fs::read(berth.path("made.tar")).unwrap();
    let loaded = other.run_with(&["load"], &bytes);
    assert_eq!(
        (loaded.code, &*loaded.out, &*loaded.err),
        (0, "Loaded image: made:1\n", "")
    );
    // The store is a layout.
    let third = Berth::new();
    let layout = berth.path("root/images").display().to_string();
    assert_eq!(third.ok(&["load", "-i", &layout]), "Loaded image: made:1");
}

#[test]
fn through_a_pipe_and_into_special_files() {
    let berth = Berth::new();
    let tar = root(&berth);
    let bytes = fs::read(&tar).unwrap();
    let imported = berth.run_with(&["import", "-", "made:1"], &bytes);
    assert_eq!(imported.code, 0, "{imported:?}");
    berth.ok(&["save", "-o", "made.tar", "made:1"]);
    let other = Berth::new();
    let mut saving = berth
        .command(&["save", "made:1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pipe = saving.stdout.take().unwrap();
    let loaded = done(other.command(&["load"]).stdin(pipe));
    assert_eq!(loaded.out, "Loaded image: made:1\n");
    assert!(saving.wait().unwrap().success());
    let written = fs::File::create(berth.path("redirected.tar")).unwrap();
    let mut saving = berth
        .command(&["save", "made:1"])
        .stdout(written)
        .spawn()
        .unwrap();
    assert!(saving.wait().unwrap().success());
    let read = |name| fs::read(berth.path(name)).unwrap();
    assert!(read("made.tar") == read("redirected.tar"));
    // What a link leads to is replaced, not the link; a device is written to.
    fs::write(berth.path("old.tar"), "old").unwrap();
    std::os::unix::fs::symlink("old.tar", berth.path("link.tar")).unwrap();
    berth.ok(&["save", "-o", "link.tar", "made:1"]);
    assert!(berth.path("link.tar").is_symlink());
    assert!(read("old.tar") == read("made.tar"));
    berth.ok(&["save", "-o", "/dev/null", "made:1"]);
    // A reader that is gone: before the start, or all of it might be in the pipe by then.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut saving = berth
        .command(&["save", "made:1"])
        .stdout(writer)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    assert!(!saving.wait().unwrap().success());
}

#[test]
fn terminals_are_refused() {
    let berth = Berth::new();
    let tar = root(&berth);
    berth.ok(&["import", &tar, "made:1"]);
    let mut terminal = Terminal::start(&berth, &["save", "made:1"]);
    let said = terminal.rest();
    assert!(
        said.contains("cannot write an archive to a terminal"),
        "{said}"
    );
    let mut terminal = Terminal::start(&berth, &["load"]);
    let said = terminal.rest();
    assert!(
        said.contains("cannot read an archive from a terminal"),
        "{said}"
    );
    // Progress is for terminals, and ends without a trace of its lines.
    let target = berth.path("made.tar").display().to_string();
    let mut terminal = Terminal::start(&berth, &["save", "-o", &target, "made:1"]);
    let said = terminal.rest();
    assert!(said.contains(": done"), "{said}");
    // A download has one line, which knows where its end is.
    let bytes = fs::read(&tar).unwrap();
    let server = Server::start(move |_| Response::new(200).body(bytes.clone()));
    let url = format!("http://{}/x.tar", server.host());
    let mut terminal = Terminal::start(&berth, &["import", &url]);
    let said = terminal.rest();
    assert!(said.contains("/x.tar: downloading ["), "{said}");
    assert!(said.contains("/x.tar: done"), "{said}");
    assert!(!said.contains("copying"), "{said}");
}

#[test]
fn what_is_refused() {
    let berth = Berth::new();
    let tar = root(&berth);
    berth.ok(&["import", &tar, "made:1"]);
    berth.ok(&["save", "-o", "made.tar", "made:1"]);
    fs::write(berth.path("text"), "no archive at all").unwrap();
    let whole = fs::read(berth.path("made.tar")).unwrap();
    fs::write(berth.path("cut.tar"), &whole[..whole.len() - 4000]).unwrap();
    let before = files(&berth);
    let refused = |words: &[&str], code: i32| {
        let done = berth.run(words);
        assert_eq!((done.code, &*done.out), (code, ""), "{words:?}: {done:?}");
        done.err
    };
    insta::assert_snapshot!(refused(&["load", "-i", "text"], 1), @"berth: cannot use text: it is no tar archive, nor one compressed by gzip or zstd");
    insta::assert_snapshot!(refused(&["load", "-i", "cut.tar"], 1), @"berth: cannot use cut.tar: it ends in the middle; was it copied completely?");
    insta::assert_snapshot!(refused(&["load"], 1), @"berth: cannot use standard input: it is empty");
    insta::assert_snapshot!(refused(&["load", "-i", "absent"], 1), @"berth: cannot open absent: No such file or directory (os error 2)");
    insta::assert_snapshot!(refused(&["load", "-i", "rootfs"], 1), @"berth: cannot use rootfs: it is no OCI image layout: oci-layout or index.json is missing");
    insta::assert_snapshot!(refused(&["load", "-i", "root.tar"], 1), @r#"berth: cannot use root.tar: it is no archive of images: it has neither manifest.json nor index.json; "berth import" takes the tar of a root filesystem"#);
    insta::assert_snapshot!(refused(&["save", "-o", "x.tar", "absent:1"], 1), @r#"berth: no such image: absent:1; "berth images" lists all, "berth pull" fetches one"#);
    insta::assert_snapshot!(refused(&["save", "-o", "no/such/x.tar", "made:1"], 1), @"berth: cannot write no/such/x.tar: No such file or directory (os error 2)");
    insta::assert_snapshot!(refused(&["import", "https://a b/x.tar"], 125), @r#"berth: cannot import "https://a b/x.tar": it is no URL; write http(s)://HOST[:PORT]/PATH, with other characters as %XX"#);
    insta::assert_snapshot!(refused(&["import", "-c", "RUN x", "root.tar"], 125), @r#"berth: cannot use the change "RUN x": changes begin with one of CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR"#);
    assert!(refused(&["import", "root.tar", "A b"], 125).contains("invalid image reference"));
    assert!(refused(&["load", "--platform", "a/b/c/d"], 125).contains("write OS/ARCH"));
    assert!(refused(&["save"], 125).contains("IMAGE"));
    // An image that lacks a layer leaves no file.
    let image = store(&berth).resolve("made:1").unwrap();
    fs::remove_file(store(&berth).blob_path(&image.layers[0].descriptor.digest)).unwrap();
    let said = refused(&["save", "-o", "x.tar", "made:1"], 1);
    assert!(said.contains("pull or load the image again"), "{said}");
    assert_eq!(files(&berth), before);
    let done = berth.run(&["--error-format", "json", "load", "-i", "text"]);
    let error: serde_json::Value = serde_json::from_str(&done.err).unwrap();
    assert_eq!(
        (&error["class"], &error["object"]),
        (&json!("invalid"), &json!("text"))
    );
}
