//! What is written, and read again.

use std::fs::File;
use std::io::{Read, Seek};

use berth_image::archive::{SaveFormat, SaveItem, save};
use berth_image::{Image, ImageError, NoProgress, media};

use crate::make::*;

/// Two images that share a layer.
fn stocked() -> Place {
    let (shared, own) = (large_layer(20), layer(b"own"));
    let packed = gzip(&own);
    let first = config("amd64", &[&shared]);
    let second = config("arm64", &[&shared, &own]);
    let docs = [
        manifest(&first, &[(media::LAYER, &shared)]),
        manifest(
            &second,
            &[(media::LAYER, &shared), (media::LAYER_GZIP, &packed)],
        ),
    ];
    let mut tar = Tar::default();
    for bytes in [&shared, &packed, &first, &second, &docs[0], &docs[1]] {
        tar = tar.file(&blob(bytes), bytes);
    }
    let entry = |doc, name| named(descriptor(media::MANIFEST, doc), REF_NAME, name);
    let archive = tar
        .file("oci-layout", LAYOUT)
        .file(
            "index.json",
            &index(&[
                entry(&docs[0], "first:1"),
                entry(&docs[0], "quay.io/x/first:1"),
                entry(&docs[1], "second:1"),
            ]),
        )
        .end();
    let place = Place::new();
    place.load(&archive).unwrap();
    place
}

fn item(image: Image) -> SaveItem {
    let names = image.references.clone();
    SaveItem { image, names }
}

fn write(place: &Place, items: &[SaveItem], format: SaveFormat) -> Result<Vec<u8>, ImageError> {
    let mut file: File = tempfile::tempfile_in(place.dir.path()).unwrap();
    save(&place.store, items, format, &file, "out.tar", &NoProgress)?;
    file.rewind().unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    Ok(bytes)
}

fn entries(archive: &[u8]) -> Vec<String> {
    let mut reader = tar::Archive::new(archive);
    let all = reader.entries().unwrap();
    all.map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect()
}

#[test]
fn what_was_saved_loads_with_the_same_digests() {
    let place = stocked();
    let image = |name| place.store.resolve(name).unwrap();
    let items = [item(image("first:1")), item(image("second:1"))];
    for format in [
        SaveFormat::Both,
        SaveFormat::DockerArchive,
        SaveFormat::OciArchive,
    ] {
        let archive = write(&place, &items, format).unwrap();
        assert_eq!(
            archive,
            write(&place, &items, format).unwrap(),
            "the same bytes again"
        );
        let listed = entries(&archive);
        let blobs = listed
            .iter()
            .filter(|name| name.starts_with("blobs/sha256/"));
        // The folder, two manifests, two configurations, two layers of which one is shared.
        assert_eq!(blobs.count(), 7, "{listed:?}");
        let other = Place::new();
        let loaded = other.load(&archive).unwrap();
        assert_eq!(
            names(&loaded),
            [
                "docker.io/library/first:1",
                "quay.io/x/first:1",
                "docker.io/library/second:1"
            ]
        );
        for (loaded, item) in loaded.iter().zip(&items) {
            assert_eq!(loaded.image.id, item.image.id);
            assert_eq!(loaded.image.layers, item.image.layers);
            if format != SaveFormat::DockerArchive {
                assert_eq!(loaded.image.manifest, item.image.manifest);
            }
        }
        let has = |name: &str| listed.contains(&name.to_owned());
        assert_eq!(has("manifest.json"), format != SaveFormat::OciArchive);
        assert_eq!(has("index.json"), format != SaveFormat::DockerArchive);
    }
}

#[test]
fn an_image_without_a_name_and_one_named_twice() {
    let place = stocked();
    let image = place.store.resolve("first:1").unwrap();
    let nameless = SaveItem {
        image: image.clone(),
        names: Vec::new(),
    };
    let archive = write(&place, std::slice::from_ref(&nameless), SaveFormat::Both).unwrap();
    let other = Place::new();
    assert!(names(&other.load(&archive).unwrap()).is_empty());
    let one = |at: usize| SaveItem {
        image: image.clone(),
        names: vec![image.references[at].clone()],
    };
    let archive = write(
        &place,
        &[nameless, one(0), one(1), one(0)],
        SaveFormat::Both,
    )
    .unwrap();
    let other = Place::new();
    let loaded = other.load(&archive).unwrap();
    assert_eq!((loaded.len(), names(&loaded).len()), (1, 2));
}

#[test]
fn nothing_is_written_of_an_image_that_is_not_whole() {
    let place = stocked();
    let image = place.store.resolve("second:1").unwrap();
    let path = place.store.blob_path(&image.layers[1].descriptor.digest);
    let file = tempfile::tempfile_in(place.dir.path()).unwrap();
    let refused = || {
        let items = [item(image.clone())];
        let error = save(
            &place.store,
            &items,
            SaveFormat::Both,
            &file,
            "x",
            &NoProgress,
        );
        assert_eq!(file.metadata().unwrap().len(), 0);
        error.unwrap_err()
    };
    std::fs::write(&path, b"short").unwrap();
    assert!(matches!(refused(), ImageError::Size { actual: 5, .. }));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(refused(), ImageError::MissingBlob { .. }));
}

/// Into a pipe, as `berth save | ...` does.
#[test]
fn into_a_pipe() {
    let place = stocked();
    let items = [item(place.store.resolve("first:1").unwrap())];
    let expected = write(&place, &items, SaveFormat::Both).unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let reading = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        bytes
    });
    let writer = File::from(std::os::fd::OwnedFd::from(writer));
    save(
        &place.store,
        &items,
        SaveFormat::Both,
        &writer,
        "pipe",
        &NoProgress,
    )
    .unwrap();
    drop(writer);
    assert!(reading.join().unwrap() == expected);
}
