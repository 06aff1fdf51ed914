//! Blobs of layers that are unpacked already, from other blobs.

use berth_image::archive::{LoadOptions, Loaded};
use berth_image::{ImageError, media};

use crate::early::Watched;
use crate::make::*;

/// An OCI archive of an image of one layer, of which the configuration says what it holds.
fn archive(name: &str, kind: &str, blob_of_layer: &[u8], content: &[u8]) -> Vec<u8> {
    let config = config("amd64", &[content]);
    let manifest = manifest(&config, &[(kind, blob_of_layer)]);
    let entry = named(descriptor(media::MANIFEST, &manifest), REF_NAME, name);
    Tar::default()
        .file("oci-layout", LAYOUT)
        .file(&blob(blob_of_layer), blob_of_layer)
        .file(&blob(&config), &config)
        .file(&blob(&manifest), &manifest)
        .file("index.json", &index(&[entry]))
        .end()
}

fn load(place: &Place, archive: &[u8], watched: &Watched) -> Result<Vec<Loaded>, ImageError> {
    let options = LoadOptions {
        unpacker: Some(watched),
        ..LoadOptions::default()
    };
    place.load_with(archive, &options)
}

/// What is known of the only layer that is unpacked.
fn record(place: &Place) -> std::path::PathBuf {
    let layers = std::fs::read_dir(place.store.layers_dir()).unwrap();
    let mut layers: Vec<_> = layers.map(|layer| layer.unwrap().path()).collect();
    assert_eq!(layers.len(), 1, "{layers:?}");
    layers.remove(0).join("layer.json")
}

#[test]
fn an_unpacked_layer_vouches_for_no_other_blob() {
    let place = Place::new();
    let watched = Watched::default();
    let (honest, other) = (large_layer(1), large_layer(2));
    let (gzip, zstd) = (gzip(&honest), zstd(&honest));
    let first = archive("first:1", media::LAYER_GZIP, &gzip, &honest);
    load(&place, &first, &watched).unwrap();
    for (kind, blob) in [
        (media::LAYER_GZIP, crate::make::gzip(&other)),
        (media::LAYER_ZSTD, crate::make::zstd(&other)),
    ] {
        let false_one = archive("false:1", kind, &blob, &honest);
        for _ in 0..2 {
            // Unpacked on its way in, or in the store from the first try.
            let error = load(&place, &false_one, &watched).unwrap_err();
            assert!(matches!(error, ImageError::Digest { .. }), "{error}");
        }
    }
    assert_eq!(place.store.images().unwrap().len(), 1);
    let packed_anew = archive("second:1", media::LAYER_ZSTD, &zstd, &honest);
    load(&place, &packed_anew, &watched).unwrap();
    assert_eq!(place.store.images().unwrap().len(), 2);
}

#[test]
fn a_blob_is_compared_once() {
    let place = Place::new();
    let watched = Watched::default();
    let honest = large_layer(1);
    let first = archive("first:1", media::LAYER_GZIP, &gzip(&honest), &honest);
    let second = archive("second:1", media::LAYER_ZSTD, &zstd(&honest), &honest);
    let compared = || watched.compared.lock().unwrap().len();
    for _ in 0..2 {
        load(&place, &first, &watched).unwrap();
        load(&place, &second, &watched).unwrap();
        assert_eq!(compared(), 0, "it was unpacked on its way in");
    }
    // A layer of an older engine, of which that is not known.
    let path = record(&place);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut record: serde_json::Value = serde_json::from_str(&text).unwrap();
    let blobs = record.as_object_mut().unwrap().remove("blobs").unwrap();
    assert_eq!(blobs.as_array().unwrap().len(), 2, "{text}");
    std::fs::write(&path, record.to_string()).unwrap();
    for _ in 0..2 {
        load(&place, &first, &watched).unwrap();
        assert_eq!(compared(), 1);
    }
    load(&place, &second, &watched).unwrap();
    assert_eq!(compared(), 2);
    assert_eq!(watched.trees.lock().unwrap().len(), 2);
}

#[test]
fn a_plain_blob_needs_no_comparison() {
    let place = Place::new();
    let watched = Watched::default();
    let layer = large_layer(1);
    let plain = archive("plain:1", media::LAYER, &layer, &layer);
    for _ in 0..2 {
        load(&place, &plain, &watched).unwrap();
    }
    assert!(watched.compared.lock().unwrap().is_empty());
    let text = std::fs::read_to_string(record(&place)).unwrap();
    assert!(!text.contains("blobs"), "{text}");
}
