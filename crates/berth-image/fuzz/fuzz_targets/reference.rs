//! Any text as the name of an image: what parses is printed, and parses to the same again.
#![no_main]

use berth_image::ImageRef;
use berth_image_fuzz::plant;

const SEEDS: &[&str] = &[
    "alpine",
    "a/b:1",
    "docker.io/library/alpine:latest",
    "index.docker.io/a",
    "localhost/x",
    "[::1]:5000/x:y",
    "127.0.0.1:5000/a/b/c__d.e--f",
    "Host.Example/a@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "a:3@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
];

fn check(text: &str) {
    let Ok(parsed) = text.parse::<ImageRef>() else {
        return;
    };
    let same = |text: &str| {
        let again: ImageRef = text.parse().expect("what was printed parses");
        assert_eq!(again, parsed, "{text}");
    };
    same(&parsed.to_string());
    same(&parsed.familiar());
    assert!(parsed.name().len() <= 255, "{parsed}");
    // Both become parts of URLs and of paths.
    for part in parsed.repository().split('/') {
        assert!(!part.is_empty() && !part.starts_with('.'), "{parsed}");
    }
    assert!(!parsed.manifest_reference().contains('/'), "{parsed}");
}

libfuzzer_sys::fuzz_target!(
    init: plant(SEEDS.iter().map(|seed| seed.as_bytes().to_vec())),
    |bytes: &[u8]| {
        if let Ok(text) = std::str::from_utf8(bytes) {
            check(text);
        }
    }
);
