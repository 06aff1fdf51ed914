//! Images go and come back.

use berth_testkit::web::{Registry, free_address};

use crate::support::Berth;

#[test]
fn there_and_back() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let name = registry.name("team/app:1");
    let berth = Berth::new();
    berth.make_image(&name);
    let pushed = berth.ok(&["push", &name]);
    let digest = pushed.strip_prefix(&format!("{name}: digest: ")).unwrap();
    assert!(digest.starts_with("sha256:"), "{pushed}");
    assert_eq!(berth.ok(&["push", "--quiet", &name]), name);

    // Another engine: by tag, again, by digest.
    let other = Berth::new();
    let said =
        |status: &str, name: &str| format!("Digest: {digest}\nStatus: {status} {name}\n{name}");
    assert_eq!(
        other.ok(&["pull", &name]),
        said("Downloaded newer image for", &name)
    );
    assert_eq!(
        other.ok(&["pull", &name]),
        said("Image is up to date for", &name)
    );
    let pinned = registry.name(&format!("team/app@{digest}"));
    assert_eq!(other.ok(&["image", "pull", "-q", &pinned]), pinned);
    let digests = other.ok(&["images", "--digests"]);
    assert!(digests.contains(digest), "{digests}");
    let folder = |berth: &Berth| {
        let layers = std::fs::read_dir(berth.path("root/layers")).unwrap();
        let trees = layers.map(|layer| layer.unwrap().path().join("fs/file"));
        trees
            .map(|file| std::fs::read_to_string(file).unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(folder(&other), ["content"], "the layer is unpacked");

    // A name that comes to mean another image.
    let moved = registry.name("team/app:2");
    berth.ok(&["tag", &name, &moved]);
    berth.ok(&["push", "-q", &moved]);
    assert_eq!(other.ok(&["pull", "-q", &moved]), moved);
}

#[test]
fn what_is_not_there() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let berth = Berth::new();
    let host = &registry.host;
    let none = registry.name("none:1");
    insta::assert_snapshot!(berth.refused(&["pull", &none], host), @"berth: cannot pull HOST/none:1: it is not on HOST (it says: manifest unknown); check name and tag");
    let words = berth.refused(&["push", &none], host);
    assert!(
        words.starts_with("berth: no such image: HOST/none:1"),
        "{words}"
    );
    // One of two fails, the other is pulled.
    let name = registry.name("app:1");
    berth.make_image(&name);
    berth.ok(&["push", "-q", &name]);
    let done = berth.run(&["pull", "-q", &none, &name]);
    assert_eq!(
        (done.code, done.out.trim_end()),
        (1, name.as_str()),
        "{done:?}"
    );
    let done = berth.run(&["pull", "--platform", "linux/s390x", &name]);
    assert_eq!(done.code, 1);
    assert!(done.err.contains("choose with --platform"), "{done:?}");
}

#[test]
fn nobody_there_and_nonsense() {
    let berth = Berth::new();
    let host = free_address();
    let done = berth.run(&["--error-format", "json", "pull", &format!("{host}/app:1")]);
    assert_eq!(done.code, 1);
    let last: serde_json::Value = serde_json::from_str(done.err.lines().last().unwrap()).unwrap();
    assert_eq!(last["class"], "unavailable");
    assert_eq!(last["object"], format!("{host}/app:1"));
    for arguments in [
        &["pull", "a:::b"][..],
        &["pull"],
        &["push", "a@b"],
        &["login", "a b"],
    ] {
        assert_eq!(berth.run(arguments).code, 125, "{arguments:?}");
    }
}

#[test]
fn mirrors_of_the_configuration() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let berth = Berth::new();
    let name = registry.name("app:1");
    berth.make_image(&name);
    berth.ok(&["push", "-q", &name]);
    let origin = free_address();
    berth.configure(&format!(
        "[registry.\"{origin}\"]\nmirrors = [\"http://{}\"]\n",
        registry.host
    ));
    let mirrored = format!("{origin}/app:1");
    assert_eq!(berth.ok(&["pull", "-q", &mirrored]), mirrored);
}
