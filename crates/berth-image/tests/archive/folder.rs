//! OCI image layouts as folders.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use berth_image::archive::{LoadOptions, Loaded, Source, load};
use berth_image::{ImageError, NoProgress, media};

use crate::make::*;

fn from(place: &Place, folder: &Path) -> Result<Vec<Loaded>, ImageError> {
    let source = Source::Folder {
        name: "layout".to_owned(),
        folder: fs::File::open(folder).unwrap().into(),
    };
    load(&place.store, source, &LoadOptions::default(), &NoProgress)
}

fn layout(folder: &Path) -> Vec<u8> {
    let large = large_layer(40);
    let conf = config("amd64", &[&large]);
    let doc = manifest(&conf, &[(media::LAYER, &large)]);
    fs::create_dir_all(folder.join("blobs/sha256")).unwrap();
    for bytes in [&large, &conf, &doc] {
        fs::write(folder.join(blob(bytes)), bytes).unwrap();
    }
    fs::write(folder.join("oci-layout"), LAYOUT).unwrap();
    let entry = named(descriptor(media::MANIFEST, &doc), REF_NAME, "localhost/a:1");
    fs::write(folder.join("index.json"), index(&[entry])).unwrap();
    large
}

#[test]
fn a_layout_loads() {
    let (place, dir) = (Place::new(), tempfile::tempdir().unwrap());
    let large = layout(dir.path());
    let unneeded = dir.path().join(blob(b"not needed"));
    fs::write(&unneeded, b"not what its name says").unwrap();
    assert_eq!(names(&from(&place, dir.path()).unwrap()), ["localhost/a:1"]);
    assert!(place.store.has_blob(&digest(&large)));
    assert!(!place.store.has_blob(&digest(b"not needed")));
    // The store is such a layout itself.
    let other = Place::new();
    assert_eq!(
        names(&from(&other, &place.store.layout()).unwrap()),
        ["localhost/a:1"]
    );
}

#[test]
fn links_of_a_layout_are_not_followed() {
    let (place, dir) = (Place::new(), tempfile::tempdir().unwrap());
    let large = layout(dir.path());
    let path = dir.path().join(blob(&large));
    fs::rename(&path, dir.path().join("elsewhere")).unwrap();
    symlink("../../elsewhere", &path).unwrap();
    let error = from(&place, dir.path()).unwrap_err();
    assert!(
        matches!(error, ImageError::Io { action: "open", .. }),
        "{error}"
    );
    place.assert_untouched();
    fs::remove_file(&path).unwrap();
    let said = from(&place, dir.path()).unwrap_err().to_string();
    assert!(said.ends_with("that it needs is not in it"), "{said}");
    fs::write(&path, large_layer(41)).unwrap();
    let error = from(&place, dir.path()).unwrap_err();
    assert!(matches!(error, ImageError::Digest { .. }), "{error}");
    place.assert_untouched();
    fs::remove_file(dir.path().join("oci-layout")).unwrap();
    insta::assert_snapshot!(from(&place, dir.path()).unwrap_err(), @"cannot use layout: it is no OCI image layout: oci-layout or index.json is missing");
}
