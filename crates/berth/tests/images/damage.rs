//! Archives, blobs and stores that are not what they should be.

use std::fs;

use berth_image::{Hasher, ImageStore};
use serde_json::json;

use crate::maker::{Recipe, World, layer, pack};

/// Loads what must be refused; the words of the refusal. Nothing of it stays.
fn refused(world: &World, archive: &[u8]) -> String {
    let (images, layers) = (world.images(), world.count("layers"));
    let done = world.berth.run_with(&["load"], archive);
    assert_eq!((done.code, done.out.as_str()), (1, ""), "{done:?}");
    assert_eq!(world.images(), images);
    assert_eq!(world.count("layers"), layers, "nothing half unpacked");
    assert_eq!(world.count("image-work/leases"), 0);
    without_digests(&done.err)
}

/// A text with `HEX` for every digest.
fn without_digests(text: &str) -> String {
    let mut parts = text.trim_end().split("sha256:");
    let mut short = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        short += "sha256:HEX";
        short += part.trim_start_matches(|c: char| c.is_ascii_hexdigit());
    }
    short
}

#[test]
fn a_layer_that_does_not_unpack_names_no_image() {
    let world = World::new();
    let mut recipe = Recipe::busybox();
    let mut bad = layer(&[("a/b", "x")]);
    // A name that leads out; the checksum has to fit.
    bad[..8].copy_from_slice(b"../../xx");
    let mut header = tar::Header::new_old();
    header.as_mut_bytes().copy_from_slice(&bad[..512]);
    header.set_cksum();
    bad[..512].copy_from_slice(header.as_bytes());
    recipe.layers.push(bad);
    insta::assert_snapshot!(refused(&world, &recipe.archive(&["box:2", "box:1"])), @r#"berth: cannot use layer sha256:HEX of standard input: malformed tar at byte 512, entry ../../xx: a name that leads upwards ("..")"#);
    // A compressed one with rubbish inside.
    let rubbish = [b'x'; 3000];
    let archive = layout("box:1", &gzip(&rubbish), &rubbish);
    let said = refused(&world, &archive);
    assert!(
        said.starts_with(
            "berth: cannot use layer sha256:HEX of standard input: malformed tar at byte 512"
        ),
        "{said}"
    );
    // One that ends too soon.
    let whole = layer(&[("a", &"text ".repeat(1000))]);
    let archive = layout("box:1", &gzip(&whole)[..40], &whole);
    insta::assert_snapshot!(refused(&world, &archive), @"berth: cannot use layer sha256:HEX of standard input: its gzip data is damaged: incomplete deflate stream");
    assert_eq!(world.sh("--rm box:1", "echo fine"), "fine");
}

#[test]
fn a_layer_that_is_another_one_names_no_image() {
    let world = World::new();
    let mut recipe = Recipe::busybox();
    let honest = layer(&[("a", "honest")]);
    let ids = [
        recipe.diff_ids().remove(0),
        Hasher::sha256(&honest).to_string(),
    ];
    recipe.layers.push(layer(&[("a", "other")]));
    insta::assert_snapshot!(refused(&world, &recipe.archive_of(&["box:2"], &ids)), @"berth: a layer of image box:2 of standard input has the digest sha256:HEX, sha256:HEX was expected; nothing of it was kept, try again or ask its publisher");
}

#[test]
fn a_compressed_layer_that_is_another_one_names_no_image() {
    let world = World::new();
    let (honest, other) = (layer(&[("a", "honest")]), layer(&[("a", "other")]));
    let archive = layout("box:1", &gzip(&other), &honest);
    insta::assert_snapshot!(refused(&world, &archive), @"berth: the content of layer sha256:HEX of standard input has the digest sha256:HEX, sha256:HEX was expected; nothing of it was kept, try again or ask its publisher");
    let archive = layout("box:2", &gzip(&other), &other);
    let done = world.berth.run_with(&["load"], &archive);
    assert_eq!(
        (done.code, done.out.as_str()),
        (0, "Loaded image: box:2\n"),
        "{done:?}"
    );
}

#[test]
fn an_unpacked_layer_vouches_for_no_other_blob() {
    let world = World::empty();
    let (honest, other) = (layer(&[("a", "honest")]), layer(&[("a", "other")]));
    let archive = layout("box:1", &gzip(&honest), &honest);
    let done = world.berth.run_with(&["load"], &archive);
    assert_eq!(done.code, 0, "{done:?}");
    let archive = layout("box:2", &gzip(&other), &honest);
    let said = refused(&world, &archive);
    insta::assert_snapshot!(said, @"berth: the content of layer sha256:HEX of standard input has the digest sha256:HEX, sha256:HEX was expected; nothing of it was kept, try again or ask its publisher");
    // The blob is in the store by now.
    assert_eq!(refused(&world, &archive), said);
    assert_eq!(world.images(), ["box:1"]);
}

/// An OCI archive of an image of one gzip layer, and what that is said to be.
fn layout(name: &str, blob: &[u8], content: &[u8]) -> Vec<u8> {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let mut put = |bytes: &[u8], media: &str| {
        let digest = Hasher::sha256(bytes);
        files.push((format!("blobs/sha256/{}", digest.hex()), bytes.to_vec()));
        json!({"mediaType": media, "digest": digest.as_str(), "size": bytes.len()})
    };
    let prefix = "application/vnd.oci.image";
    let layer = put(blob, &format!("{prefix}.layer.v1.tar+gzip"));
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [Hasher::sha256(content).as_str()]},
    });
    let config = put(
        config.to_string().as_bytes(),
        &format!("{prefix}.config.v1+json"),
    );
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]});
    let mut manifest = put(
        manifest.to_string().as_bytes(),
        &format!("{prefix}.manifest.v1+json"),
    );
    manifest["annotations"] =
        json!({"io.containerd.image.name": format!("docker.io/library/{name}")});
    let index = json!({"schemaVersion": 2, "manifests": [manifest]}).to_string();
    files.push(("index.json".into(), index.into_bytes()));
    files.push((
        "oci-layout".into(),
        br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec(),
    ));
    pack(&files)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut child = std::process::Command::new("gzip")
        .arg("-nc")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writing = std::thread::spawn(move || input.write_all(&bytes));
    let done = child.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    done.stdout
}

#[test]
fn a_tar_that_does_not_unpack_is_not_imported() {
    let world = World::empty();
    let mut tar = layer(&[("a", "text")]);
    tar[..5].copy_from_slice(b"../xx");
    let mut header = tar::Header::new_old();
    header.as_mut_bytes().copy_from_slice(&tar[..512]);
    header.set_cksum();
    tar[..512].copy_from_slice(header.as_bytes());
    fs::write(world.berth.path("bad.tar"), tar).unwrap();
    insta::assert_snapshot!(world.fails(1, "import bad.tar bad:1"), @r#"berth: cannot use bad.tar: malformed tar at byte 512, entry ../xx: a name that leads upwards ("..")"#);
    assert!(world.images().is_empty());
    assert_eq!(world.count("layers"), 0);
}

#[test]
fn a_damaged_image_hides_no_other_and_can_be_removed() {
    let world = World::new();
    world.load(&Recipe::busybox().layer(&[("x", "1")]), "torn:1");
    world.load(&Recipe::busybox().layer(&[("x", "2")]), "torn:2");
    let store = ImageStore::open(&world.berth.path("root"));
    let damage = |name: &str, manifest: bool| {
        let image = store.resolve(name).unwrap();
        let digest = if manifest {
            &image.manifest.digest
        } else {
            &image.id
        };
        let path = store.blob_path(digest);
        fs::remove_file(&path).unwrap();
        fs::write(path, "{").unwrap();
    };
    damage("torn:1", true);
    damage("torn:2", false);
    let done = world.run("images --format {{.Repository}}:{{.Tag}}");
    assert_eq!((done.code, done.out.as_str()), (0, "box:1\n"), "{done:?}");
    assert_eq!(done.err.lines().count(), 2, "{done:?}");
    for name in ["torn:1", "torn:2"] {
        let said = done
            .err
            .lines()
            .find(|line| line.contains(&format!("image {name}")));
        let said = said.unwrap_or_else(|| panic!("{name}: {done:?}"));
        assert!(said.starts_with("berth: warning: "), "{said}");
        assert!(said.contains(&format!("\"berth rmi {name}\"")), "{said}");
    }
    for line in [
        "run --rm torn:1 true",
        "image inspect torn:2",
        "inspect torn:1",
    ] {
        let done = world.run(line);
        assert!(
            done.code != 0 && done.err.contains("torn:"),
            "{line}: {done:?}"
        );
    }
    assert_eq!(world.sh("--rm box:1", "echo fine"), "fine");
    let out = world.ok("rmi torn:1 torn:2");
    assert!(
        out.contains("Untagged: torn:1") && out.contains("Untagged: torn:2"),
        "{out}"
    );
    let done = world.run("images -q");
    assert_eq!((done.out.lines().count(), done.err.as_str()), (1, ""));
    assert_eq!(world.count("layers"), 1, "{out}");
    assert_eq!(
        world.count("images/blobs/sha256"),
        3,
        "layer, configuration, manifest"
    );
}

#[test]
fn a_blob_that_went_missing_is_named() {
    let world = World::new();
    let store = ImageStore::open(&world.berth.path("root"));
    let image = store.resolve("box:1").unwrap();
    fs::remove_file(store.blob_path(&image.layers[0].descriptor.digest)).unwrap();
    // Unpacked it still runs.
    assert_eq!(world.sh("--rm box:1", "echo fine"), "fine");
    world.remove_layers();
    let said = world.fails(125, "run --rm box:1 true");
    assert!(
        said.contains("is missing; pull or load the image again"),
        "{said}"
    );
    // And that mends it.
    world.load(&Recipe::busybox(), "box:1");
    assert_eq!(world.sh("--rm box:1", "echo fine"), "fine");
}

#[test]
fn a_rotten_blob_is_found_when_it_is_unpacked() {
    let world = World::new();
    let store = ImageStore::open(&world.berth.path("root"));
    let image = store.resolve("box:1").unwrap();
    let path = store.blob_path(&image.layers[0].descriptor.digest);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    world.remove_layers();
    let said = world.fails(125, "run --rm box:1 true");
    assert!(said.contains("has the digest"), "{said}");
    assert_eq!(world.count("layers"), 0);
}

#[test]
fn a_newer_store_is_refused() {
    let world = World::new();
    let file = world.berth.path("root/image-work/store.json");
    fs::write(&file, "{\"version\":2}").unwrap();
    let expected = "it has version 2, this berth knows up to 1; use the newer berth that wrote it";
    for line in [
        "images",
        "rmi box:1",
        "tag box:1 x:1",
        "image prune -f",
        "system df",
    ] {
        let said = world.fails(1, line);
        assert!(said.contains(expected), "{line}: {said}");
    }
    assert!(world.fails(125, "run --rm box:1 true").contains(expected));
    let done = world
        .berth
        .run_with(&["load"], &Recipe::busybox().archive(&["box:2"]));
    assert_eq!(
        (done.code, done.err.contains(expected)),
        (1, true),
        "{done:?}"
    );
    // What needs no image works.
    assert_eq!(world.ok("run --rm --net none host echo fine"), "fine");
    fs::write(&file, "{\"version\":1}").unwrap();
    assert_eq!(world.images(), ["box:1"]);
}
