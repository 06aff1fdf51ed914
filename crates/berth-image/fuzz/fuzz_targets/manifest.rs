//! Any bytes as a manifest or an index, under every media type that may be claimed of them: what
//! parses has one reading alone, survives being written, and is searched for a platform.
#![no_main]

use berth_image::{
    Document, Index, MediaType, Platform, manifest::LAYERS_MAX, media, parse_document,
};
use berth_image_fuzz::plant;

const TYPES: [Option<&str>; 8] = [
    None,
    Some(media::INDEX),
    Some(media::MANIFEST),
    Some(media::DOCKER_LIST),
    Some(media::DOCKER_MANIFEST),
    Some(media::CONFIG),
    Some("application/json; charset=utf-8"),
    Some("text/plain"),
];

fn seeds() -> impl Iterator<Item = Vec<u8>> {
    let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
    let descriptor = |kind: &str, more: &str| {
        format!(r#"{{"mediaType":"{kind}","digest":"{digest}","size":7{more}}}"#)
    };
    let manifest = |kind: &str, config: &str, layer: &str| {
        let (config, layer) = (descriptor(config, ""), descriptor(layer, ""));
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{kind}","config":{config},"layers":[{layer}],"annotations":{{"a":"b"}}}}"#
        )
    };
    let entry = |more: &str| descriptor(media::MANIFEST, more);
    let amd = entry(r#","platform":{"architecture":"amd64","os":"linux"}"#);
    let arm = entry(r#","platform":{"architecture":"arm","os":"linux","variant":"v7"}"#);
    let none = entry(r#","annotations":null,"urls":["https://a.example"]"#);
    let list = |kind: &str, entries: &str| {
        format!(r#"{{"schemaVersion":2,"mediaType":"{kind}","manifests":[{entries}]}}"#)
    };
    [
        manifest(media::MANIFEST, media::CONFIG, media::LAYER_ZSTD),
        manifest(
            media::DOCKER_MANIFEST,
            media::DOCKER_CONFIG,
            media::DOCKER_LAYER_GZIP,
        ),
        list(media::INDEX, &format!("{amd},{arm}")),
        list(media::DOCKER_LIST, &none),
        r#"{"schemaVersion":1,"fsLayers":[],"manifests":null,"layers":null}"#.to_owned(),
    ]
    .into_iter()
    .map(String::into_bytes)
}

fn search(index: &Index) {
    for wanted in [
        "linux/amd64",
        "linux/arm/v7",
        "linux/arm/v8",
        "windows/amd64",
    ] {
        let wanted = Platform::parse(wanted).expect("a platform");
        if let Some(chosen) = index.choose(&wanted) {
            assert!(index.manifests.contains(chosen));
            let fits = |offered| wanted.match_of(offered).is_some();
            assert!(chosen.platform.as_ref().is_none_or(fits), "{chosen:?}");
        }
    }
    assert!(index.platforms().len() <= index.manifests.len());
}

fn check(bytes: &[u8]) {
    let mut readings = Vec::new();
    for claimed in TYPES {
        let claimed = claimed.map(MediaType::from);
        let Ok(document) = parse_document("it", bytes, claimed.as_ref()) else {
            continue;
        };
        let written = match &document {
            Document::Index(index) => {
                search(index);
                serde_json::to_vec(index)
            }
            Document::Manifest(manifest) => {
                assert!(manifest.layers.len() <= LAYERS_MAX);
                serde_json::to_vec(manifest)
            }
        };
        let written = written.expect("write to memory");
        let again = parse_document("it", &written, claimed.as_ref()).expect("read what we wrote");
        assert_eq!(again, document);
        readings.push(document);
    }
    readings.dedup();
    assert!(readings.len() <= 1, "{readings:?}");
}

libfuzzer_sys::fuzz_target!(init: plant(seeds()), |bytes: &[u8]| check(bytes));
