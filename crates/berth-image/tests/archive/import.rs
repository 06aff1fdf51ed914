//! Root filesystems as images.

use berth_image::archive::{Changes, ImportOptions, LoadLimits, import};
use berth_image::store::UnpackHere;
use berth_image::{Image, ImageError, NoProgress, Platform};

use crate::make::*;

fn options(changes: &[&str]) -> ImportOptions {
    ImportOptions {
        name: Some("root:1".parse().unwrap()),
        changes: Changes::parse(changes).unwrap(),
        message: None,
        platform: Platform::parse("linux/arm64/v8").unwrap(),
        created: "2026-01-02T03:04:05Z".to_owned(),
        limits: LoadLimits::default(),
    }
}

fn imported(place: &Place, tar: &[u8], options: &ImportOptions) -> Result<Image, ImageError> {
    let here = UnpackHere::default();
    import(&place.store, tar, "root.tar", options, &here, &NoProgress)
}

#[test]
fn a_tar_becomes_an_image() {
    let tar = large_layer(30);
    let mut seen = Vec::new();
    for packed in [tar.clone(), gzip(&tar), zstd(&tar)] {
        let place = Place::new();
        let options = options(&["CMD [\"sh\"]", "ENV A=1"]);
        let image = imported(&place, &packed, &options).unwrap();
        assert_eq!(image.layers.len(), 1);
        assert_eq!(image.layers[0].descriptor.digest, digest(&tar));
        assert_eq!(image.layers[0].diff_id, digest(&tar));
        assert_eq!(place.store.resolve("root:1").unwrap().id, image.id);
        seen.push(String::from_utf8(
            place
                .store
                .read_small(&image.document.config, "it")
                .unwrap(),
        ));
    }
    seen.dedup();
    assert_eq!(seen.len(), 1, "the same whatever the compression");
    let id = digest(&tar);
    let text = seen.remove(0).unwrap().replace(id.as_str(), "DIGEST");
    insta::assert_snapshot!(text, @r#"{"created":"2026-01-02T03:04:05Z","architecture":"arm64","os":"linux","variant":"v8","config":{"Env":["A=1"],"Cmd":["sh"]},"rootfs":{"type":"layers","diff_ids":["DIGEST"]},"history":[{"created":"2026-01-02T03:04:05Z","comment":"Imported from root.tar"}]}"#);
}

#[test]
fn small_and_empty_roots() {
    let place = Place::new();
    let message = ImportOptions {
        message: Some("mine".to_owned()),
        name: None,
        ..options(&[])
    };
    let image = imported(&place, &layer(b"x"), &message).unwrap();
    assert_eq!(image.config.history[0].comment.as_deref(), Some("mine"));
    assert!(image.references.is_empty());
    assert!(imported(&place, &[0; 10240], &message).is_ok());
}

#[test]
fn a_root_that_does_not_unpack_gets_no_name() {
    let place = Place::new();
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.as_mut_bytes()[..9].copy_from_slice(b"a/../../x");
    header.set_mode(0o644);
    header.set_size(0);
    header.set_cksum();
    builder.append(&header, &b""[..]).unwrap();
    let tar = builder.into_inner().unwrap();
    let error = imported(&place, &tar, &options(&[])).unwrap_err();
    insta::assert_snapshot!(error, @r#"cannot use root.tar: malformed tar at byte 512, entry a/../../x: a name that leads upwards ("..")"#);
    place.assert_untouched();
    let layers = std::fs::read_dir(place.dir.path().join("layers")).unwrap();
    assert_eq!(layers.count(), 0, "nothing is half unpacked");
}

#[test]
fn what_is_no_root() {
    let place = Place::new();
    let why = |tar: &[u8]| {
        let said = imported(&place, tar, &options(&[]))
            .unwrap_err()
            .to_string();
        place.assert_untouched();
        said
    };
    insta::assert_snapshot!(why(b""), @"cannot use root.tar: it is no tar archive, nor one compressed by gzip or zstd");
    insta::assert_snapshot!(why(&[b'x'; 4096]), @"cannot use root.tar: it is no tar archive, nor one compressed by gzip or zstd");
    insta::assert_snapshot!(why(b"BZh9 and more"), @"cannot use root.tar: it is compressed by bzip2; pack it anew with gzip or zstd");
    let packed = gzip(&large_layer(31));
    assert!(why(&packed[..packed.len() / 2]).contains("ends in the middle"));
    let limits = LoadLimits {
        blob_bytes: 1000,
        ..LoadLimits::default()
    };
    let small = ImportOptions {
        limits,
        ..options(&[])
    };
    let error = imported(&place, &packed, &small).unwrap_err();
    insta::assert_snapshot!(error, @"refused root.tar: it goes beyond the limit archive-blob-bytes (1000); raise it in config.toml for archives that you trust");
}
