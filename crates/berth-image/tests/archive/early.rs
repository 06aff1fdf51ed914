//! Layers unpack while others still load.

use std::path::Path;
use std::sync::Mutex;

use berth_base::Digest;
use berth_image::ImageError;
use berth_image::archive::LoadOptions;
use berth_image::layer::Unpacked;
use berth_image::store::{UnpackHere, UnpackHow, UnpackJob};

use crate::make::*;

/// Unpacks, and remembers where it has, and which blobs it has only read.
#[derive(Default)]
pub struct Watched {
    here: UnpackHere,
    pub trees: Mutex<Vec<String>>,
    pub compared: Mutex<Vec<String>>,
}

impl UnpackHow for Watched {
    fn unpack(&self, job: &UnpackJob) -> Result<Unpacked, ImageError> {
        let tree = job.tree.parent().and_then(Path::file_name).unwrap();
        let tree = tree.to_string_lossy().into_owned();
        self.trees.lock().unwrap().push(tree);
        self.here.unpack(job)
    }

    fn content(&self, job: &UnpackJob) -> Result<Digest, ImageError> {
        self.compared.lock().unwrap().push(job.what.clone());
        self.here.content(job)
    }

    fn settle(&self, job: &UnpackJob, unpacked: &Unpacked) -> Result<(), ImageError> {
        self.here.settle(job, unpacked)
    }
}

fn entries(place: &Place, folder: &str) -> usize {
    let entries = std::fs::read_dir(place.dir.path().join(folder));
    entries.map_or(0, Iterator::count)
}

/// Two images that share a layer at different heights, and a layer that none has.
fn archive() -> (Vec<u8>, [Vec<u8>; 3]) {
    let layers = [1, 2, 3].map(large_layer);
    let [one, two, three] = &layers;
    let (first, second) = (config("amd64", &[one, two]), config("amd64", &[two]));
    let images = manifest_json(&[
        ("first.json", &["first:1"], &["1.tar", "2.tar"]),
        ("second.json", &["second:1"], &["2.tar"]),
    ]);
    let archive = Tar::default()
        .file("1.tar", one)
        .file("2.tar", two)
        .file("again.tar", two)
        .file("3.tar", three)
        .file("first.json", &first)
        .file("second.json", &second)
        .file("manifest.json", &images)
        .end();
    (archive, layers)
}

#[test]
fn each_blob_unpacks_once_for_its_first_place() {
    let (archive, _) = archive();
    let place = Place::new();
    let watched = Watched::default();
    let options = LoadOptions {
        unpacker: Some(&watched),
        ..LoadOptions::default()
    };
    let loaded = place.load_with(&archive, &options).unwrap();
    let trees = watched.trees.lock().unwrap().clone();
    assert_eq!(
        trees.len(),
        4,
        "three blobs, and one of them anew elsewhere: {trees:?}"
    );
    assert_eq!(entries(&place, "layers"), 3, "nothing else is left");
    assert_eq!(entries(&place, "image-work/ingest"), 0);
    for layer in loaded.iter().flat_map(|loaded| &loaded.image.layers) {
        let file = place.store.layer_fs(&layer.chain_id).join("file");
        assert_eq!(std::fs::metadata(file).unwrap().len(), 1_100_000);
        let early = trees.contains(&format!(".tmp-{}", layer.chain_id.hex()));
        let again = layer.chain_id == layer.diff_id && loaded[1].image.layers.contains(layer);
        assert_eq!(early, again, "{layer:?}");
    }
    // What is here is not unpacked again; of a layer that no image has nothing is.
    place.load_with(&archive, &options).unwrap();
    assert_eq!(watched.trees.lock().unwrap().len(), 5);
    assert_eq!(entries(&place, "layers"), 3);
}

#[test]
fn a_bad_archive_leaves_nothing_unpacked() {
    let (archive, _) = archive();
    let place = Place::new();
    let options = LoadOptions {
        unpacker: Some(&UnpackHere::default()),
        ..LoadOptions::default()
    };
    let cut = &archive[..archive.len() - 5000];
    assert!(place.load_with(cut, &options).is_err());
    place.assert_untouched();
    assert_eq!(entries(&place, "layers"), 0);
    assert!(place.load_with(&archive, &options).is_ok());
}
