//! umoci and skopeo: what they write loads here, what is saved here they read.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use berth_image::NoProgress;
use berth_image::archive::{LoadOptions, Loaded, SaveFormat, SaveItem, Source, load, save};

use crate::make::*;

const BUSYBOX: &str = "/bin/busybox";

/// Runs a program that must succeed; what it printed.
fn run(folder: &Path, words: &[&str]) -> String {
    let done = Command::new(words[0])
        .args(&words[1..])
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(done.status.success(), "{words:?}: {}", text(&done.stderr));
    text(&done.stdout)
}

fn missing() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let has = |program: &str| std::env::split_paths(&path).any(|p| p.join(program).exists());
    let missing = ["umoci", "skopeo"].into_iter().find(|p| !has(p));
    let missing = missing.or_else(|| (!Path::new(BUSYBOX).exists()).then_some("busybox"));
    if let Some(program) = missing {
        berth_testkit::skip(&format!("{program} is not installed"));
    }
    missing.is_some()
}

/// A layout with the image `made` of two layers: busybox, and a file.
fn made(folder: &Path) {
    let umoci = |words: &[&str]| run(folder, &[&["umoci"], words].concat());
    umoci(&["init", "--layout", "oci"]);
    umoci(&["new", "--image", "oci:made"]);
    umoci(&["unpack", "--rootless", "--image", "oci:made", "bundle"]);
    let root = folder.join("bundle/rootfs");
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::copy(BUSYBOX, root.join("bin/busybox")).unwrap();
    symlink("busybox", root.join("bin/sh")).unwrap();
    umoci(&[
        "repack",
        "--refresh-bundle",
        "--image",
        "oci:made",
        "bundle",
    ]);
    fs::write(root.join("file"), "content").unwrap();
    umoci(&["repack", "--image", "oci:made", "bundle"]);
    umoci(&[
        "config",
        "--image",
        "oci:made",
        "--config.cmd",
        "sh",
        "--config.env",
        "PATH=/bin",
    ]);
}

fn load_file(place: &Place, path: PathBuf) -> Vec<Loaded> {
    let source = Source::Stream {
        name: path.display().to_string(),
        input: Box::new(fs::File::open(path).unwrap()),
    };
    load(&place.store, source, &LoadOptions::default(), &NoProgress).unwrap()
}

fn inspect(folder: &Path, image: &str, format: &str) -> String {
    let text = run(folder, &["skopeo", "inspect", "--format", format, image]);
    text.trim().to_owned()
}

#[test]
fn what_they_write_loads() {
    if missing() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    made(dir.path());
    for (transport, name) in [
        ("docker-archive", "localhost/x:1"),
        ("oci-archive", "localhost/x:1"),
    ] {
        let target = format!("{transport}:{transport}.tar:{name}");
        run(dir.path(), &["skopeo", "copy", "oci:oci:made", &target]);
        let place = Place::new();
        let loaded = load_file(&place, dir.path().join(format!("{transport}.tar")));
        assert_eq!(names(&loaded), [name]);
        let image = &loaded[0].image;
        assert_eq!(image.layers.len(), 2);
        assert_eq!(
            image.config.config.cmd.as_deref(),
            Some(&["sh".to_owned()][..])
        );
        let plain = image
            .layers
            .iter()
            .all(|l| l.descriptor.digest == l.diff_id);
        assert_eq!(plain, transport == "docker-archive");
    }
    // The layout itself, whose only name is a tag.
    let place = Place::new();
    let source = Source::Folder {
        name: "oci".to_owned(),
        folder: fs::File::open(dir.path().join("oci")).unwrap().into(),
    };
    let loaded = load(&place.store, source, &LoadOptions::default(), &NoProgress).unwrap();
    assert!(names(&loaded).is_empty());
    let expected = inspect(dir.path(), "oci:oci:made", "{{.Digest}}");
    assert_eq!(loaded[0].image.manifest.digest.as_str(), expected);
}

#[test]
fn what_is_saved_they_read() {
    if missing() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    made(at);
    run(
        at,
        &[
            "skopeo",
            "copy",
            "oci:oci:made",
            "oci-archive:in.tar:localhost/x:1",
        ],
    );
    let place = Place::new();
    let loaded = load_file(&place, at.join("in.tar"));
    let image = loaded[0].image.clone();
    for (format, file) in [
        (SaveFormat::Both, "both.tar"),
        (SaveFormat::DockerArchive, "docker.tar"),
        (SaveFormat::OciArchive, "oci.tar"),
    ] {
        let names = image.references.clone();
        let items = [SaveItem {
            image: image.clone(),
            names,
        }];
        let out = fs::File::create(at.join(file)).unwrap();
        save(&place.store, &items, format, &out, file, &NoProgress).unwrap();
    }
    let digest = image.manifest.digest.as_str();
    for source in [
        "oci-archive:both.tar",
        "oci-archive:both.tar:localhost/x:1",
        "oci-archive:oci.tar",
    ] {
        assert_eq!(inspect(at, source, "{{.Digest}}"), digest, "{source}");
    }
    // Out of docker-archive with verified layers, and the configuration that makes the id.
    for (number, source) in [
        "docker-archive:both.tar",
        "docker-archive:docker.tar:localhost/x:1",
    ]
    .into_iter()
    .enumerate()
    {
        let copy = format!("dir:copy{number}");
        run(at, &["skopeo", "copy", source, &copy]);
        let config = at.join(format!("copy{number}")).join(image.id.hex());
        assert!(config.exists(), "{source} has another configuration");
    }
    // umoci unpacks what it reads in an OCI layout: ours, once tar has unpacked it.
    fs::create_dir(at.join("layout")).unwrap();
    run(at, &["tar", "-C", "layout", "-xf", "both.tar"]);
    run(
        at,
        &[
            "umoci",
            "unpack",
            "--rootless",
            "--image",
            "layout:localhost/x:1",
            "out",
        ],
    );
    assert_eq!(
        fs::read_to_string(at.join("out/rootfs/file")).unwrap(),
        "content"
    );
    // The store is a layout that they read where it is.
    let store = format!("oci:{}:localhost/x:1", place.store.layout().display());
    assert_eq!(inspect(at, &store, "{{.Digest}}"), digest);
}
