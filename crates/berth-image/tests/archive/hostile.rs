//! Archives that are refused: with a clear word, nothing named, nothing half done.

use berth_image::media;
use proptest::prelude::*;
use tar::EntryType;

use crate::make::*;

fn refusal(archive: &[u8]) -> String {
    Place::new().refusal(archive)
}

#[test]
fn what_is_no_archive() {
    insta::assert_snapshot!(refusal(b""), @"cannot use it.tar: it is empty");
    insta::assert_snapshot!(refusal(&[0; 1024]), @"cannot use it.tar: it is empty");
    insta::assert_snapshot!(refusal(b"hello"), @"cannot use it.tar: it is no tar archive, nor one compressed by gzip or zstd");
    insta::assert_snapshot!(refusal(&[b'x'; 4096]), @"cannot use it.tar: it is no tar archive, nor one compressed by gzip or zstd");
    insta::assert_snapshot!(refusal(b"\xfd7zXZ\0 and more"), @r#"cannot use it.tar: it is compressed by xz; unpack it first, such as by "xz -dc FILE | berth load""#);
    insta::assert_snapshot!(refusal(&layer(b"x")), @r#"cannot use it.tar: it is no archive of images: it has neither manifest.json nor index.json; "berth import" takes the tar of a root filesystem"#);
    insta::assert_snapshot!(refusal(&Tar::default().file("manifest.json", b"[]").end()), @"cannot use it.tar: it holds no image");
}

fn sound() -> Vec<u8> {
    let large = large_layer(7);
    let conf = config("amd64", &[&large]);
    Tar::default()
        .file("c", &conf)
        .file("l.tar", &large)
        .file(
            "manifest.json",
            &manifest_json(&[("c", &["a:1"], &["l.tar"])]),
        )
        .end()
}

#[test]
fn truncated_anywhere() {
    let whole = sound();
    let packed = gzip(&whole);
    assert!(Place::new().load(&whole).is_ok());
    for length in [600, 1500, 2000, whole.len() / 2, whole.len() - 1600] {
        let said = refusal(&whole[..length]);
        assert!(
            said.contains("ends in the middle") || said.contains("neither manifest.json"),
            "{length}: {said}"
        );
    }
    for length in [9, 100, packed.len() / 2, packed.len() - 1] {
        let said = refusal(&packed[..length]);
        assert!(said.contains("ends in the middle"), "{length}: {said}");
    }
    let mut flipped = packed.clone();
    let at = flipped.len() - 6;
    flipped[at] ^= 1;
    let said = refusal(&flipped);
    assert!(said.contains("gzip data is damaged"), "{said}");
    // Only the two blocks of zeros at the end may be missing.
    assert!(Place::new().load(&whole[..whole.len() - 1024]).is_ok());
}

#[test]
fn names_that_lead_out() {
    let with = |tar: Tar| refusal(&tar.file("manifest.json", b"[]").end());
    insta::assert_snapshot!(with(Tar::default().file("../evil", b"x")), @r#"cannot use it.tar: its entry "../evil" is refused: it leads out of the archive"#);
    insta::assert_snapshot!(with(Tar::default().file("/etc/passwd", b"x")), @r#"cannot use it.tar: its entry "/etc/passwd" is refused: it is absolute"#);
    insta::assert_snapshot!(with(Tar::default().link("a/b", "../../etc/passwd")), @r#"cannot use it.tar: its entry "a/b -> ../../etc/passwd" is refused: it leads out of the archive"#);
    insta::assert_snapshot!(with(Tar::default().link("a", "/etc/passwd")), @r#"cannot use it.tar: its entry "a -> /etc/passwd" is refused: it leads out of the archive"#);
    insta::assert_snapshot!(with(Tar::default().hard_link("a", "../b")), @r#"cannot use it.tar: its entry "a -> ../b" is refused: it leads out of the archive"#);
}

#[test]
fn links_that_go_round() {
    let conf = config("amd64", &[b"x"]);
    let archive = Tar::default()
        .link("a", "b")
        .link("b", "a")
        .file("c", &conf)
        .file("manifest.json", &manifest_json(&[("c", &["a:1"], &["a"])]))
        .end();
    insta::assert_snapshot!(refusal(&archive), @r#"cannot use it.tar: its manifest.json names "a", which is not in it"#);
}

#[test]
fn odd_entries() {
    let with = |tar: Tar| refusal(&tar.end());
    assert!(with(Tar::default().kind("s", EntryType::GNUSparse, b"")).contains("sparse"));
    let long = vec![b'n'; 100_000];
    assert!(with(Tar::default().kind("l", EntryType::GNULongName, &long)).contains("too long"));
    assert!(with(Tar::default().kind("x", EntryType::XHeader, b"nonsense\n")).contains("damaged"));
    assert!(with(Tar::default().kind("x", EntryType::XHeader, b"11 size=-1\n")).contains("size"));
    let twice = Tar::default()
        .file("manifest.json", b"[]")
        .file("./manifest.json", b"[]");
    insta::assert_snapshot!(with(twice), @"cannot use it.tar: it holds manifest.json twice");
    let mut huge = Tar::default().file("big", b"x").open_end();
    // 8 EiB of content in a header with a sound checksum.
    let header = &mut huge[..512];
    header[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0x7f, 255, 255, 255, 255, 255, 255, 255]);
    let mut again = tar::Header::new_old();
    again.as_mut_bytes().copy_from_slice(header);
    again.set_cksum();
    header.copy_from_slice(again.as_bytes());
    assert!(refusal(&huge).contains("ends in the middle"));
}

#[test]
fn a_huge_manifest() {
    let huge = vec![b' '; 5 << 20];
    let said = refusal(&Tar::default().file("manifest.json", &huge).end());
    insta::assert_snapshot!(said, @"refused it.tar: its manifest.json of 5242880 bytes is too long; at most 4194304 are read");
    let said = refusal(
        &Tar::default()
            .file("manifest.json", &b"[".repeat(100_000))
            .end(),
    );
    assert!(said.contains("does not parse"), "{said}");
}

#[test]
fn what_does_not_fit_together() {
    let (one, two) = (layer(b"one"), large_layer(9));
    let conf = config("amd64", &[&one, &two]);
    let with = |layers: &[&str], files: &[(&str, &[u8])]| {
        let tar = files
            .iter()
            .fold(Tar::default(), |tar, (name, bytes)| tar.file(name, bytes));
        refusal(
            &tar.file("c", &conf)
                .file("manifest.json", &manifest_json(&[("c", &["a:1"], layers)]))
                .end(),
        )
    };
    insta::assert_snapshot!(with(&["1"], &[("1", &one)]), @"cannot use it.tar: its manifest.json lists 1 layers, the configuration 2");
    insta::assert_snapshot!(with(&["1", "2"], &[("1", &one)]), @r#"cannot use it.tar: its manifest.json names "2", which is not in it"#);
    insta::assert_snapshot!(with(&["1", "2"], &[("1", &one), ("2", b"no tar")]), @r#"cannot use it.tar: its layer "2" is no tar"#);
    let swapped = with(&["2", "1"], &[("1", &one), ("2", &two)]);
    assert!(
        swapped.starts_with("a layer of image a:1 of it.tar has the digest"),
        "{swapped}"
    );
    let said = refusal(
        &Tar::default()
            .file("manifest.json", &manifest_json(&[("c", &["a:1"], &[])]))
            .end(),
    );
    insta::assert_snapshot!(said, @r#"cannot use it.tar: its manifest.json names "c", which is not in it"#);
    let said = refusal(
        &Tar::default()
            .file("c", &config("amd64", &[]))
            .file("manifest.json", &manifest_json(&[("c", &["A b"], &[])]))
            .end(),
    );
    assert!(said.starts_with("invalid image reference"), "{said}");
}

#[test]
fn blobs_that_lie() {
    let large = large_layer(10);
    let other = large_layer(11);
    let conf = config("amd64", &[&large]);
    let doc = manifest(&conf, &[(media::LAYER, &large)]);
    let archive = |layer: Option<&[u8]>, doc: &[u8], size: i64| {
        let mut entry = descriptor(media::MANIFEST, doc);
        entry["size"] = (doc.len() as i64 + size).into();
        let mut tar = Tar::default()
            .file(&blob(doc), doc)
            .file(&blob(&conf), &conf);
        if let Some(layer) = layer {
            tar = tar.file(&blob(&large), layer);
        }
        tar.file("index.json", &index(&[named(entry, REF_NAME, "a:1")]))
            .file("oci-layout", LAYOUT)
            .end()
    };
    assert!(Place::new().load(&archive(Some(&large), &doc, 0)).is_ok());
    let said = refusal(&archive(Some(&other), &doc, 0));
    assert!(
        said.starts_with("blob sha256:") && said.contains("was expected"),
        "{said}"
    );
    let said = refusal(&archive(None, &doc, 0));
    assert!(said.ends_with("that it needs is not in it"), "{said}");
    let said = refusal(&archive(Some(&large), &doc, 1));
    assert!(said.contains("were expected"), "{said}");
    // A layer that is not what the configuration promises.
    let wrong = manifest(&conf, &[(media::LAYER, &other)]);
    let tar = Tar::default()
        .file(&blob(&wrong), &wrong)
        .file(&blob(&conf), &conf)
        .file(&blob(&other), &other)
        .file("index.json", &index(&[descriptor(media::MANIFEST, &wrong)]))
        .file("oci-layout", LAYOUT)
        .end();
    let said = refusal(&tar);
    assert!(said.starts_with("a layer of image "), "{said}");
    let unknown = manifest(&conf, &[("application/x-what", &large)]);
    let said = refusal(&archive(Some(&large), &unknown, 0));
    assert!(
        said.ends_with("its media type is application/x-what, which is no layer"),
        "{said}"
    );
    // Both a manifest and an index (CVE-2021-41190).
    let mut both: serde_json::Value = serde_json::from_slice(&doc).unwrap();
    both["manifests"] = serde_json::json!([]);
    let both = serde_json::to_vec(&both).unwrap();
    let said = refusal(&archive(Some(&large), &both, 0));
    assert!(said.contains("both an index and a manifest"), "{said}");
}

#[test]
fn indexes_without_end() {
    // Nobody can nest an index in itself, but deep is possible.
    let mut inner = index(&[]);
    let mut tar = Tar::default();
    for _ in 0..10 {
        tar = tar.file(&blob(&inner), &inner);
        inner = index(&[descriptor(media::INDEX, &inner)]);
    }
    let archive = tar
        .file("index.json", &inner)
        .file("oci-layout", LAYOUT)
        .end();
    let said = refusal(&archive);
    assert!(said.contains("nest too deep"), "{said}");
    let version = Tar::default()
        .file("oci-layout", br#"{"imageLayoutVersion":"2.0.0"}"#)
        .file("index.json", &index(&[]))
        .end();
    insta::assert_snapshot!(refusal(&version), @r#"cannot use it.tar: its layout has the version "2.0.0", this berth knows 1.0.0"#);
}

/// One bad image, and none is named.
#[test]
fn refused_whole() {
    let good = layer(b"good");
    let conf = config("amd64", &[&good]);
    let archive = Tar::default()
        .file("c", &conf)
        .file("good", &good)
        .file(
            "manifest.json",
            &manifest_json(&[("c", &["good:1"], &["good"]), ("c2", &["bad:1"], &["good"])]),
        )
        .end();
    let place = Place::new();
    place.refusal(&archive);
    let collected = place
        .store
        .collect(|| Ok(berth_image::store::Pins::default()))
        .unwrap();
    assert!(!collected.blobs.is_empty(), "blobs wait for the collection");
}

/// Two commands at once load the same: one writes each blob, both succeed.
#[test]
fn two_at_once() {
    let archive = sound();
    let place = Place::new();
    std::thread::scope(|scope| {
        let loads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| place.load(&archive).unwrap()))
            .collect();
        for load in loads {
            assert_eq!(names(&load.join().unwrap()), ["docker.io/library/a:1"]);
        }
    });
    assert_eq!(place.store.images().unwrap().len(), 1);
}

fn small(seed: u8) -> Vec<u8> {
    let plain = layer(&[seed; 100]);
    let packed = gzip(&plain);
    let conf = config("amd64", &[&plain]);
    let doc = manifest(&conf, &[(media::LAYER_GZIP, &packed)]);
    let entry = named(descriptor(media::MANIFEST, &doc), REF_NAME, "localhost/a:1");
    Tar::default()
        .file(&blob(&packed), &packed)
        .file(&blob(&conf), &conf)
        .link("l.tar", &blob(&packed))
        .file(&blob(&doc), &doc)
        .file("index.json", &index(&[entry]))
        .file(
            "manifest.json",
            &manifest_json(&[(&blob(&conf), &["b:1"], &["l.tar"])]),
        )
        .file("oci-layout", LAYOUT)
        .end()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is changed: no panic, and either all is loaded or nothing is named.
    #[test]
    fn damaged_archives(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), sums in any::<bool>()) {
        let mut archive = small(1);
        for (at, byte) in changes {
            let at = at.index(archive.len());
            archive[at] = byte;
        }
        if sums {
            // What lies in headers with sound checksums goes deeper.
            for block in archive.chunks_exact_mut(512) {
                if &block[257..262] == b"ustar" {
                    let mut header = tar::Header::new_old();
                    header.as_mut_bytes().copy_from_slice(block);
                    header.set_cksum();
                    block.copy_from_slice(header.as_bytes());
                }
            }
        }
        let place = Place::new();
        match place.load(&archive) {
            Ok(loaded) => {
                prop_assert!(!loaded.is_empty());
                for image in place.store.images().unwrap() {
                    prop_assert!(image.image.is_ok());
                }
            }
            Err(_) => prop_assert!(place.store.images().unwrap().is_empty()),
        }
    }
}
