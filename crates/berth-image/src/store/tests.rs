//! The store as its users see it.

use std::collections::HashSet;
use std::io::Write as _;
use std::path::Path;

use berth_base::Digest;

use super::*;
use crate::manifest::{Descriptor, Manifest, media};
use crate::{Hasher, ImageRef};

fn store(dir: &Path) -> ImageStore {
    ImageStore::open(dir)
}

/// Puts an image of the given layers (raw bytes) into the store, and names it.
fn image(store: &ImageStore, name: &str, layers: &[&[u8]]) -> Descriptor {
    let lease = store.lease().unwrap();
    let mut descriptors = Vec::new();
    let mut diff_ids = Vec::new();
    for bytes in layers {
        let digest = store.put(&lease, bytes).unwrap();
        diff_ids.push(format!("\"{digest}\""));
        descriptors.push(Descriptor::new(media::LAYER, digest, bytes.len() as u64));
    }
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{"Cmd":["{name}"]}},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
        diff_ids.join(",")
    );
    let digest = store.put(&lease, config.as_bytes()).unwrap();
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(media::MANIFEST.into()),
        config: Descriptor::new(media::CONFIG, digest, config.len() as u64),
        layers: descriptors,
        annotations: Default::default(),
    };
    let bytes = serde_json::to_vec(&manifest).unwrap();
    let digest = store.put(&lease, &bytes).unwrap();
    let descriptor = Descriptor::new(media::MANIFEST, digest, bytes.len() as u64);
    let reference: ImageRef = name.parse().unwrap();
    store
        .tag(&lease, Some(&reference), &descriptor, None)
        .unwrap();
    descriptor
}

fn no_pins() -> Result<Pins, ImageError> {
    Ok(Pins::default())
}

#[test]
fn an_image_is_found_by_name_id_and_prefix() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    assert!(store.images().unwrap().is_empty());
    image(&store, "alpine:3", &[b"one", b"two"]);
    image(&store, "quay.io/a/b:1", &[b"one"]);
    let found = store.resolve("alpine:3").unwrap();
    assert_eq!(found.layers.len(), 2);
    assert_eq!(found.display_name(), "alpine:3");
    let expected = chain_ids(&[Hasher::sha256(b"one"), Hasher::sha256(b"two")]);
    assert_eq!(found.layers.last().unwrap().chain_id, expected[1]);
    for text in [
        "docker.io/library/alpine:3".to_owned(),
        found.id.to_string(),
        found.id.short().to_owned(),
    ] {
        assert_eq!(store.resolve(&text).unwrap().id, found.id, "{text}");
    }
    let error = |text: &str| store.resolve(text).unwrap_err().to_string();
    insta::assert_snapshot!(error("alpine"), @r#"no such image: alpine:latest; "berth images" lists all, "berth pull" fetches one"#);
    insta::assert_snapshot!(error("0123456789ab"), @r#"no such image: 0123456789ab:latest; "berth images" lists all, "berth pull" fetches one"#);
    assert!(error("a b").starts_with("invalid image reference"));
}

#[test]
fn a_name_moves_and_its_old_image_stays_nameless() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let first = image(&store, "a:1", &[b"one"]);
    let second = image(&store, "a:1", &[b"two"]);
    assert_ne!(first.digest, second.digest);
    let listed = store.images().unwrap();
    assert_eq!(listed.len(), 2);
    let nameless = listed.iter().find(|l| l.manifest.digest == first.digest);
    assert!(nameless.unwrap().references.is_empty());
    assert_eq!(store.resolve("a:1").unwrap().manifest.digest, second.digest);
    // The name comes back, and the nameless entry is no more.
    let lease = store.lease().unwrap();
    let name: ImageRef = "a:1".parse().unwrap();
    let before = store.tag(&lease, Some(&name), &first, None).unwrap();
    assert_eq!(before, Some(second.digest.clone()));
    let tags: Vec<_> = store
        .images()
        .unwrap()
        .into_iter()
        .map(|l| (l.manifest.digest, l.references.len()))
        .collect();
    assert!(tags.contains(&(first.digest.clone(), 1)) && tags.contains(&(second.digest, 0)));
    assert_eq!(tags.len(), 2);
    assert!(store.untag(&name).unwrap());
    assert!(!store.untag(&name).unwrap());
    assert!(store.forget(&first.digest).unwrap());
    assert_eq!(store.images().unwrap().len(), 1);
}

#[test]
fn digests_that_an_image_was_pulled_by_find_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let manifest = image(&store, "a:1", &[b"one"]);
    let lease = store.lease().unwrap();
    let name: ImageRef = "a:1".parse().unwrap();
    let pulled = Hasher::sha256(b"an index");
    store
        .tag(&lease, Some(&name), &manifest, Some((&name, &pulled)))
        .unwrap();
    let other: ImageRef = "b:2".parse().unwrap();
    store.tag(&lease, Some(&other), &manifest, None).unwrap();
    store.untag(&name).unwrap();
    let found = store.resolve(&format!("a@{pulled}")).unwrap();
    assert_eq!(found.references, [other]);
    assert_eq!(found.repo_digests.len(), 1);
    assert!(store.resolve(&format!("c@{pulled}")).is_err());
}

#[test]
fn a_part_is_gone_on_with_and_a_wrong_blob_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let lease = store.lease().unwrap();
    let digest = Hasher::sha256(b"hello world");
    let writing = |expected| match store.ingest(&lease, &digest, expected, || {}).unwrap() {
        Ingest::Writing(writer) => writer,
        Ingest::Present => panic!("it is not there yet"),
    };
    let mut writer = writing(Some(11));
    writer.write_all(b"hello").unwrap();
    drop(writer);
    let mut writer = writing(Some(11));
    assert_eq!(writer.offset(), 5);
    writer.write_all(b" wor").unwrap();
    // Too short: kept.
    assert!(matches!(writer.commit(), Err(ImageError::Size { .. })));
    let mut writer = writing(Some(11));
    assert_eq!(writer.offset(), 9);
    writer.write_all(b"LD").unwrap();
    // Wrong: gone.
    assert!(matches!(writer.commit(), Err(ImageError::Digest { .. })));
    let mut writer = writing(Some(11));
    assert_eq!(writer.offset(), 0);
    assert!(writer.write_all(b"hello world and more").is_err());
    drop(writer);
    let mut writer = writing(None);
    assert_eq!(writer.offset(), 0);
    writer.write_all(b"hello world").unwrap();
    assert_eq!(writer.commit().unwrap(), 11);
    assert!(matches!(
        store.ingest(&lease, &digest, None, || {}),
        Ok(Ingest::Present)
    ));
    assert!(entries(&store.ingest_dir()).unwrap().is_empty());
}

#[test]
fn one_writer_at_a_time_and_the_second_finds_it_done() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let digest = Hasher::sha256(b"x");
    let lease = store.lease().unwrap();
    let Ok(Ingest::Writing(mut writer)) = store.ingest(&lease, &digest, Some(1), || {}) else {
        panic!("it is not there yet")
    };
    std::thread::scope(|scope| {
        let (waits, waiting) = std::sync::mpsc::channel();
        let (store, digest) = (&store, &digest);
        let second = scope.spawn(move || {
            let lease = store.lease().unwrap();
            let told = || waits.send(()).unwrap();
            matches!(
                store.ingest(&lease, digest, Some(1), told),
                Ok(Ingest::Present)
            )
        });
        waiting.recv().unwrap();
        writer.write_all(b"x").unwrap();
        writer.commit().unwrap();
        assert!(second.join().unwrap());
    });
}

#[test]
fn a_collection_takes_what_nothing_needs() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let kept = image(&store, "kept", &[b"shared", b"own"]);
    let gone = image(&store, "gone", &[b"shared", b"lost"]);
    for name in ["kept", "gone"] {
        let image = store.resolve(name).unwrap();
        let lease = store.lease().unwrap();
        for layer in &image.layers {
            if let LayerSlot::Building(builder) =
                store.begin_layer(&lease, &layer.chain_id, || {}).unwrap()
            {
                builder.publish(meta(&layer.diff_id)).unwrap();
            }
        }
    }
    assert_eq!(entries(&store.layers_dir()).unwrap().len(), 3);
    store.forget(&gone.digest).unwrap();
    // A container of the image holds it.
    let pinned = gone.digest.clone();
    let pins = move || {
        let manifests = HashSet::from([pinned]);
        Ok(Pins {
            manifests,
            ..Pins::default()
        })
    };
    let collected = store.collect(pins).unwrap();
    assert!(collected.blobs.is_empty() && collected.layers.is_empty());
    // So does a command under way.
    let lease = store.lease().unwrap();
    let lost = Hasher::sha256(b"lost");
    lease.protect(&lost).unwrap();
    let collected = store.collect(no_pins).unwrap();
    assert_eq!(collected.blobs.len(), 2, "manifest and configuration");
    assert_eq!(collected.layers.len(), 1);
    assert!(store.has_blob(&lost));
    drop(lease);
    let collected = store.collect(no_pins).unwrap();
    assert_eq!(collected.blobs, [(lost, 4)]);
    assert!(store.resolve("kept").is_ok());
    let image = store.resolve("kept").unwrap();
    assert!(image.layers.iter().all(|l| store.has_layer(&l.chain_id)));
    assert_eq!(image.manifest.digest, kept.digest);
}

fn meta(diff_id: &Digest) -> LayerMeta {
    LayerMeta {
        diff_id: diff_id.clone(),
        parent: None,
        bytes: 1,
        blobs: Vec::new(),
        unsynced_in_boot: None,
    }
}

#[test]
fn a_damaged_image_lists_and_keeps_every_blob() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let bad = image(&store, "bad", &[b"one"]);
    image(&store, "good", &[b"two"]);
    std::fs::write(store.blob_path(&bad.digest), "{}").unwrap();
    let listed = store.images().unwrap();
    let states: Vec<bool> = listed.iter().map(|l| l.image.is_ok()).collect();
    assert_eq!(states, [false, true]);
    assert!(store.resolve("good").is_ok());
    assert!(matches!(store.resolve("bad"), Err(ImageError::Size { .. })));
    let collected = store.collect(no_pins).unwrap();
    assert!(
        collected.blobs.is_empty(),
        "its layers cannot be told from others"
    );
    // Removing it is the way out.
    store.forget(&bad.digest).unwrap();
    assert_eq!(store.collect(no_pins).unwrap().blobs.len(), 3);
}

#[test]
fn leftovers_of_a_crash_are_swept_and_doubtful_layers_with_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let lease = store.lease().unwrap();
    let chain = Hasher::sha256(b"chain");
    let LayerSlot::Building(builder) = store.begin_layer(&lease, &chain, || {}).unwrap() else {
        panic!("it is not there yet")
    };
    // Under way: it stays.
    assert_eq!(store.sweep(|_| false).unwrap().half_done, 0);
    builder.publish(meta(&chain)).unwrap();
    let layers = store.layers_dir();
    std::fs::create_dir_all(layers.join(".tmp-aa/fs/x")).unwrap();
    std::fs::create_dir_all(layers.join(".removing-bb/fs")).unwrap();
    let swept = store.sweep(|_| false).unwrap();
    assert_eq!(swept.half_done, 2);
    assert!(swept.doubtful.is_empty() && store.has_layer(&chain));
    // No process has PID 0.
    let temporary = dir.path().join("images/.index.json.0.0");
    let ingest = store.ingest_dir();
    std::fs::write(&temporary, "").unwrap();
    for name in ["anonymous-0-0", "layer-aa", "sha256-aa"] {
        std::fs::write(ingest.join(name), "").unwrap();
    }
    assert!(store.sweep(|_| false).unwrap().errors.is_empty());
    assert!(!temporary.exists());
    let left = entries(&ingest).unwrap();
    let left: Vec<&str> = left.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(left, ["sha256-aa"], "a download goes on with it");
    // As if the host had crashed.
    let mut told = store.layer_meta(&chain).unwrap().unwrap();
    told.unsynced_in_boot = Some("another".into());
    let path = layers.join(chain.hex()).join("layer.json");
    std::fs::write(path, serde_json::to_vec(&told).unwrap()).unwrap();
    assert!(store.sweep(|_| true).unwrap().doubtful.is_empty(), "in use");
    assert_eq!(store.sweep(|_| false).unwrap().doubtful.len(), 1);
    assert!(!store.has_layer(&chain));
}

#[test]
fn what_was_left_of_making_a_store_is_swept() {
    let dir = tempfile::tempdir().unwrap();
    let layout = dir.path().join("images");
    std::fs::create_dir(&layout).unwrap();
    std::fs::write(layout.join(".index.json.0.0"), "").unwrap();
    store(dir.path()).sweep(|_| false).unwrap();
    assert!(entries(&layout).unwrap().is_empty());
}

/// Makes a layer, which is unsynced.
fn unpacked(store: &ImageStore, chain: &Digest) {
    let lease = store.lease().unwrap();
    let LayerSlot::Building(builder) = store.begin_layer(&lease, chain, || {}).unwrap() else {
        panic!("it is not there yet")
    };
    builder.publish(meta(chain)).unwrap();
}

fn is_unsynced(store: &ImageStore, chain: &Digest) -> bool {
    let meta = store.layer_meta(chain).unwrap().unwrap();
    meta.unsynced_in_boot.is_some()
}

#[test]
fn settled_layers_survive() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let chain = Hasher::sha256(b"chain");
    unpacked(&store, &chain);
    assert!(is_unsynced(&store, &chain));
    store.settle_layers().unwrap();
    assert!(!is_unsynced(&store, &chain));
}

#[test]
fn a_sync_says_nothing_of_what_was_unpacked_since() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let [gone, anew, kept] = [b"gone", b"anew", b"kept"].map(|text| Hasher::sha256(text));
    for chain in [&gone, &anew, &kept] {
        unpacked(&store, chain);
    }
    let synced = store.unsynced_layers().unwrap();
    assert_eq!(synced.len(), 3);
    store.remove_layer(gone.hex()).unwrap();
    store.remove_layer(anew.hex()).unwrap();
    unpacked(&store, &anew);
    store.note_synced(synced).unwrap();
    assert!(!store.has_layer(&gone));
    assert!(is_unsynced(&store, &anew));
    assert!(!is_unsynced(&store, &kept));
    let left = entries(&store.layers_dir()).unwrap();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn nothing_is_noted_while_layers_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let chain = Hasher::sha256(b"chain");
    unpacked(&store, &chain);
    let synced = store.unsynced_layers().unwrap();
    let removing = store.lock(Access::Change).unwrap();
    // Whoever waits for a lock stands behind an arrow (proc_locks(5)).
    let lock = std::fs::metadata(store.work().join("lock")).unwrap();
    let inode = format!(":{} ", std::os::unix::fs::MetadataExt::ino(&lock));
    let waits = || {
        let locks = std::fs::read_to_string("/proc/locks").unwrap();
        let mut lines = locks.lines();
        lines.any(|line| line.contains("-> ") && line.contains(&inode))
    };
    std::thread::scope(|scope| {
        let noting = scope.spawn(|| store.note_synced(synced));
        while !waits() {
            assert!(!noting.is_finished(), "it did not wait");
            std::thread::yield_now();
        }
        store.remove_layer(chain.hex()).unwrap();
        drop(removing);
        noting.join().unwrap().unwrap();
    });
    assert!(entries(&store.layers_dir()).unwrap().is_empty());
}

#[test]
fn a_store_that_is_gone_is_not_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    unpacked(&store, &Hasher::sha256(b"chain"));
    let synced = store.unsynced_layers().unwrap();
    for folder in [store.layers_dir(), store.layout(), store.work()] {
        std::fs::remove_dir_all(folder).unwrap();
    }
    store.note_synced(synced).unwrap();
    store.settle_layers_alone().unwrap();
    assert!(entries(dir.path()).unwrap().is_empty());
}

#[test]
fn a_newer_store_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    image(&store, "a", &[b"one"]);
    std::fs::write(dir.path().join("image-work/store.json"), r#"{"version":2}"#).unwrap();
    assert!(matches!(
        store.images(),
        Err(ImageError::Newer { version: 2, .. })
    ));
    assert!(matches!(store.lease(), Err(ImageError::Newer { .. })));
}
