//! Archives that are sound.

use berth_image::archive::LoadLimits;
use berth_image::archive::LoadOptions;
use berth_image::media;

use crate::make::*;

/// What `docker save` wrote up to 24: folders, a link between layers, `manifest.json` at the end.
fn old_docker() -> Vec<u8> {
    let (one, two) = (layer(b"one"), large_layer(1));
    let first = config("amd64", &[&one, &two]);
    let second = config("amd64", &[&two]);
    Tar::default()
        .file("aa/VERSION", b"1.0")
        .file("aa/json", b"{}")
        .file("aa/layer.tar", &one)
        .file("./bb/layer.tar", &two)
        .link("cc/layer.tar", "../bb/layer.tar")
        .file("first.json", &first)
        .file("second.json", &second)
        .file(
            "manifest.json",
            &manifest_json(&[
                (
                    "first.json",
                    &["first:1", "quay.io/x/first:2"],
                    &["aa/layer.tar", "bb/layer.tar"],
                ),
                ("second.json", &[], &["cc/layer.tar"]),
            ]),
        )
        .file("repositories", b"{}")
        .end()
}

#[test]
fn docker_archives_keep_their_ids() {
    let place = Place::new();
    let (loaded, seen) = place.load_watched(&old_docker());
    let (one, two) = (layer(b"one"), large_layer(1));
    assert_eq!(
        names(&loaded),
        ["docker.io/library/first:1", "quay.io/x/first:2"]
    );
    let first = place.store.resolve("first:1").unwrap();
    assert_eq!(first.id, digest(&config("amd64", &[&one, &two])));
    assert_eq!(first.references.len(), 2);
    assert_eq!(first.layers[1].descriptor.digest, digest(&two));
    assert_eq!(first.layers[1].descriptor.media_type.0, media::LAYER);
    let second = place.store.resolve(loaded[1].image.id.hex()).unwrap();
    assert!(second.references.is_empty());
    assert_eq!(second.layers[0].diff_id, digest(&two));
    // The large one as it passed, the small one when the manifest had said what it is.
    let told: Vec<_> = seen.iter().filter_map(|l| l.diff_id.clone()).collect();
    assert_eq!(told, [digest(&two), digest(&one)]);
    // Loading it again changes nothing.
    let again = place.load(&old_docker()).unwrap();
    assert_eq!(again[0].image.manifest, loaded[0].image.manifest);
    assert!(again[0].replaced.is_empty());
    assert_eq!(place.store.images().unwrap().len(), 2);
}

#[test]
fn any_order_and_any_compression() {
    let large = large_layer(2);
    let conf = config("amd64", &[&large]);
    let manifest = manifest_json(&[("c", &["a:1"], &["l.tar"])]);
    let orders: [[(&str, &[u8]); 3]; 3] = [
        [
            ("manifest.json", &manifest),
            ("c", &conf),
            ("l.tar", &large),
        ],
        [
            ("l.tar", &large),
            ("manifest.json", &manifest),
            ("c", &conf),
        ],
        [
            ("c", &conf),
            ("l.tar", &large),
            ("manifest.json", &manifest),
        ],
    ];
    for order in orders {
        let tar = order
            .iter()
            .fold(Tar::default(), |tar, (name, bytes)| tar.file(name, bytes));
        let tar = tar.end();
        for archive in [tar.clone(), gzip(&tar), zstd(&tar)] {
            let place = Place::new();
            assert_eq!(
                names(&place.load(&archive).unwrap()),
                ["docker.io/library/a:1"]
            );
            assert_eq!(place.store.resolve("a:1").unwrap().id, digest(&conf));
        }
    }
}

/// What kaniko and bazel write: compressed layers, and a configuration whose name has a colon.
#[test]
fn compressed_layers_are_stored_without_it() {
    let (small, large) = (layer(b"small"), large_layer(3));
    let conf = config("amd64", &[&small, &large]);
    let name = format!("sha256:{}", digest(&conf).hex());
    let archive = Tar::default()
        .file("small.tar.gz", &gzip(&small))
        .file("large.tar.zst", &zstd(&large))
        .hard_link("linked", "small.tar.gz")
        .file(&name, &conf)
        .file(
            "manifest.json",
            &manifest_json(&[(&name, &["a:1"], &["linked", "large.tar.zst"])]),
        )
        .end();
    let place = Place::new();
    let loaded = place.load(&archive).unwrap();
    let layers = &loaded[0].image.layers;
    assert_eq!(layers[0].descriptor.digest, digest(&small));
    assert_eq!(layers[1].descriptor.digest, digest(&large));
    let uncompressed = |l: &berth_image::store::ImageLayer| l.descriptor.digest == l.diff_id;
    assert!(layers.iter().all(uncompressed));
}

fn oci(entries: &[serde_json::Value], blobs: &[&[u8]]) -> Vec<u8> {
    let tar = blobs
        .iter()
        .fold(Tar::default(), |tar, bytes| tar.file(&blob(bytes), bytes));
    tar.file("index.json", &index(entries))
        .file("oci-layout", LAYOUT)
        .end()
}

#[test]
fn oci_archives_keep_their_manifests() {
    let large = large_layer(4);
    let packed = gzip(&large);
    let conf = config("amd64", &[&large]);
    let doc = manifest(&conf, &[(media::LAYER_GZIP, &packed)]);
    let entry = || descriptor(media::MANIFEST, &doc);
    let archive = oci(
        &[
            named(entry(), CONTAINERD_NAME, "docker.io/library/a:1"),
            named(entry(), REF_NAME, "localhost/b:2"),
            named(entry(), REF_NAME, "latest"),
        ],
        &[&doc, &conf, &packed],
    );
    let place = Place::new();
    let (loaded, seen) = place.load_watched(&archive);
    assert_eq!(names(&loaded), ["docker.io/library/a:1", "localhost/b:2"]);
    assert_eq!(loaded[0].image.manifest.digest, digest(&doc));
    assert_eq!(loaded[0].image.layers[0].descriptor.digest, digest(&packed));
    assert_eq!(seen.len(), 1);
    assert_eq!(
        seen[0].diff_id, None,
        "of a compressed blob it is not known yet"
    );
    assert_eq!(seen[0].descriptor.media_type.0, media::LAYER_GZIP);
    // A tag without a name is none.
    let place = Place::new();
    let archive = oci(
        &[named(entry(), REF_NAME, "latest")],
        &[&doc, &conf, &packed],
    );
    assert!(names(&place.load(&archive).unwrap()).is_empty());
    assert_eq!(
        place.store.resolve(digest(&conf).short()).unwrap().id,
        digest(&conf)
    );
}

/// What Docker writes since 25: both, with names in `manifest.json`.
#[test]
fn both_in_one_archive_are_one_image() {
    let plain = layer(b"x");
    let conf = config("amd64", &[&plain]);
    let doc = manifest(&conf, &[(media::LAYER, &plain)]);
    let archive = Tar::default()
        .kind("blobs/", tar::EntryType::Directory, b"")
        .file(&blob(&doc), &doc)
        .file(&blob(&conf), &conf)
        .file(&blob(&plain), &plain)
        .file(
            "index.json",
            &index(&[named(descriptor(media::MANIFEST, &doc), REF_NAME, "1")]),
        )
        .file(
            "manifest.json",
            &manifest_json(&[(&blob(&conf), &["a:1"], &[&blob(&plain)])]),
        )
        .file("oci-layout", LAYOUT)
        .end();
    let place = Place::new();
    let loaded = place.load(&archive).unwrap();
    assert_eq!(loaded.len(), 1);
    assert_eq!(names(&loaded), ["docker.io/library/a:1"]);
    assert_eq!(loaded[0].image.manifest.digest, digest(&doc));
}

#[test]
fn one_platform_of_several() {
    let plain = layer(b"x");
    let image = |architecture: &str| {
        let conf = config(architecture, &[&plain]);
        (manifest(&conf, &[(media::LAYER, &plain)]), conf)
    };
    let (amd, arm) = (image("amd64"), image("arm64"));
    let entry =
        |image: &(Vec<u8>, Vec<u8>), on_: &str| on(descriptor(media::MANIFEST, &image.0), on_);
    let inner = index(&[
        entry(&amd, "amd64"),
        entry(&arm, "arm64"),
        on(descriptor(media::MANIFEST, b"an attestation"), "unknown"),
    ]);
    let nested = || named(descriptor(media::INDEX, &inner), CONTAINERD_NAME, "a:1");
    let archive = oci(
        &[nested()],
        &[&inner, &amd.0, &amd.1, &arm.0, &arm.1, &plain],
    );
    let loaded_id = |archive: &[u8], platform| {
        let place = Place::new();
        place
            .load_for(archive, platform)
            .map(|l| l[0].image.id.clone())
    };
    assert_eq!(loaded_id(&archive, "linux/arm64").unwrap(), digest(&arm.1));
    assert_eq!(loaded_id(&archive, "linux/amd64").unwrap(), digest(&amd.1));
    insta::assert_snapshot!(loaded_id(&archive, "linux/s390x").unwrap_err(), @r#"cannot use it.tar: it has no image for linux/s390x; "--platform" chooses one of linux/amd64, linux/arm64"#);
    // The same side by side under one name.
    let flat = |image, on_| named(entry(image, on_), REF_NAME, "a:1");
    let beside = oci(
        &[flat(&amd, "amd64"), flat(&arm, "arm64")],
        &[&amd.0, &amd.1, &arm.0, &arm.1, &plain],
    );
    assert_eq!(loaded_id(&beside, "linux/arm64").unwrap(), digest(&arm.1));
    // Without names they are two images.
    let nameless = oci(
        &[entry(&amd, "amd64"), entry(&arm, "arm64")],
        &[&amd.0, &amd.1, &arm.0, &arm.1, &plain],
    );
    assert_eq!(Place::new().load(&nameless).unwrap().len(), 2);
    assert_eq!(loaded_id(&nameless, "linux/arm64").unwrap(), digest(&arm.1));
    // An archive that has but one of the platforms of its index, and not ours.
    let sparse = oci(&[nested()], &[&inner, &arm.0, &arm.1, &plain]);
    let place = Place::new();
    assert_eq!(place.load(&sparse).unwrap()[0].image.id, digest(&arm.1));
    // A single image for another platform, where one was asked for.
    let only = oci(
        &[descriptor(media::MANIFEST, &arm.0)],
        &[&arm.0, &arm.1, &plain],
    );
    assert!(loaded_id(&only, "linux/arm64").is_ok());
    let refused = loaded_id(&only, "linux/amd64").unwrap_err().to_string();
    assert!(
        refused.ends_with("it is for linux/arm64, linux/amd64 was asked for"),
        "{refused}"
    );
}

#[test]
fn long_names_and_extended_headers() {
    let plain = layer(b"x");
    let conf = config("amd64", &[&plain]);
    let long = format!("{}/layer.tar", "d".repeat(200));
    let record = |key: &str, value: &str| {
        // The length counts its own digits: three of them here.
        let text = format!(" {key}={value}\n");
        format!("{}{text}", text.len() + 3)
    };
    let archive = Tar::default()
        .kind(
            "././@LongLink",
            tar::EntryType::GNULongName,
            format!("{long}\0").as_bytes(),
        )
        .file("cut", &plain)
        .kind(
            "x",
            tar::EntryType::XHeader,
            record("path", &format!("{}.json", "c".repeat(150))).as_bytes(),
        )
        .file("cut", &conf)
        .kind("g", tar::EntryType::XGlobalHeader, b"17 comment=hello\n")
        .file(
            "manifest.json",
            &manifest_json(&[(&format!("{}.json", "c".repeat(150)), &["a:1"], &[&long])]),
        )
        .end();
    assert!(Place::new().load(&archive).is_ok());
}

#[test]
fn limits_hold() {
    let archive = old_docker();
    let refused = |limits: LoadLimits| {
        let place = Place::new();
        let options = LoadOptions {
            limits,
            ..LoadOptions::default()
        };
        let error = place.load_with(&archive, &options).unwrap_err();
        place.assert_untouched();
        error.to_string()
    };
    let usual = LoadLimits::default;
    insta::assert_snapshot!(refused(LoadLimits { entries: 3, ..usual() }), @"refused it.tar: it goes beyond the limit archive-entries (3); raise it in config.toml for archives that you trust");
    insta::assert_snapshot!(refused(LoadLimits { blob_bytes: 1000, ..usual() }), @"refused it.tar: it goes beyond the limit archive-blob-bytes (1000); raise it in config.toml for archives that you trust");
    insta::assert_snapshot!(refused(LoadLimits { total_bytes: 1_000_000, ..usual() }), @"refused it.tar: it goes beyond the limit archive-total-bytes (1000000); raise it in config.toml for archives that you trust");
    insta::assert_snapshot!(refused(LoadLimits { images: 1, ..usual() }), @"refused it.tar: it goes beyond the limit archive-images (1); raise it in config.toml for archives that you trust");
    insta::assert_snapshot!(refused(LoadLimits { memory_bytes: 20, ..usual() }), @"refused it.tar: it goes beyond the limit archive-memory-bytes (20); raise it in config.toml for archives that you trust");
}
