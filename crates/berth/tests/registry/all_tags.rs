//! `berth pull --all-tags` and `push --all-tags`.

use berth_testkit::web::{Registry, Response, Server};

use crate::support::Berth;

#[test]
fn every_tag() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let host = &registry.host;
    let berth = Berth::new();
    let name = registry.name("team/app");
    let tar = berth.make_tar().display().to_string();
    let push = |tag: &str| {
        let tagged = format!("{name}:{tag}");
        // The message is part of the image: each is another one.
        berth.ok(&["import", "-m", tag, &tar, &tagged]);
        let pushed = berth.ok(&["push", &tagged]);
        pushed.rsplit(' ').next().unwrap().to_owned()
    };
    let (first, second) = (push("1"), push("2"));
    assert_ne!(first, second);

    let other = Berth::new();
    // Registries list them in any order.
    let said = |status: &str, arguments: &[&str]| {
        let out = other.ok(arguments);
        let one =
            |tag: &str, digest: &str| format!("{tag}: Pulling from team/app\nDigest: {digest}\n");
        let (one, two) = (one("1", &first), one("2", &second));
        let end = format!("Status: {status} {name}\n{name}");
        let orders = [format!("{one}{two}{end}"), format!("{two}{one}{end}")];
        assert!(orders.contains(&out), "{out}");
    };
    said("Downloaded newer image for", &["pull", "-a", &name]);
    let again = ["image", "pull", "--all-tags", &name];
    said("Image is up to date for", &again);
    assert_eq!(other.ok(&["pull", "-a", "-q", &name]), name);
    let mut listed: Vec<String> = other
        .ok(&["images", "--format", "{{.Tag}}"])
        .lines()
        .map(str::to_owned)
        .collect();
    listed.sort_unstable();
    assert_eq!(listed, ["1", "2"]);
    let words = other.refused(&["pull", "-a", &registry.name("none")], host);
    insta::assert_snapshot!(words.trim_end(), @"berth: cannot pull all tags of HOST/none: there is no such repository on HOST (it says: repository name not known to registry); check the name");
}

#[test]
fn the_name_alone() {
    let berth = Berth::new();
    let digest = format!("x.example/app@sha256:{}", "0".repeat(64));
    for name in ["x.example/app:1", "app:1", &digest] {
        let done = berth.run(&["pull", "--all-tags", name]);
        assert_eq!((done.code, done.out.as_str()), (125, ""), "{done:?}");
        let words = "tag can't be used with --all-tags/-a; write ";
        assert!(done.err.contains(words), "{done:?}");
    }
}

/// Among the tags of a repository can be signatures and charts, which are no images.
#[test]
fn one_that_is_no_image() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let berth = Berth::new();
    let name = registry.name("app");
    berth.make_image(&format!("{name}:1"));
    berth.ok(&["push", "-q", &format!("{name}:1")]);
    let address = registry.address();
    let front = Server::start(move |request| {
        if request.path.contains("/tags/list") {
            return Response::new(200).body(r#"{"tags":["0.sig","1"]}"#);
        }
        if request.path.ends_with("/manifests/0.sig") {
            return Response::new(200)
                .with("content-type", "application/vnd.cncf.helm.chart+json")
                .body("{}");
        }
        let to = format!("http://{address}{}", request.path);
        Response::new(307).with("location", to)
    });
    let other = Berth::new();
    let name = format!("{}/app", front.host());
    let done = other.run(&["pull", "-a", &name]);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.err.contains("app:0.sig"), "{done:?}");
    assert!(
        done.out.contains("1: Pulling from app\nDigest: sha256:"),
        "{done:?}"
    );
    assert!(!done.out.contains("Status:"), "{done:?}");
    assert_eq!(other.ok(&["images", "--format", "{{.Tag}}"]), "1");
}

#[test]
fn all_that_is_here_is_pushed() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let berth = Berth::new();
    let name = registry.name("team/app");
    let tar = berth.make_tar().display().to_string();
    for tag in ["1", "2"] {
        berth.ok(&["import", "-m", tag, &tar, &format!("{name}:{tag}")]);
    }
    berth.ok(&["tag", &format!("{name}:2"), &format!("{name}:latest")]);
    // Another repository's stays here.
    berth.ok(&["tag", &format!("{name}:1"), &registry.name("team/other:1")]);
    let said = berth.ok(&["push", "--all-tags", &name]);
    let digests: Vec<&str> = said
        .lines()
        .map(|l| l.rsplit(' ').next().unwrap())
        .collect();
    let tags = ["1", "2", "latest"];
    let expected: Vec<String> = tags
        .iter()
        .zip(&digests)
        .map(|(tag, digest)| format!("{name}:{tag}: digest: {digest}"))
        .collect();
    assert_eq!(said, expected.join("\n"));
    assert_eq!(digests[1], digests[2]);
    assert_ne!(digests[0], digests[1]);
    let other = Berth::new();
    other.ok(&["pull", "-q", "-a", &name]);
    let mut listed: Vec<String> = other
        .ok(&["images", "--format", "{{.Tag}}"])
        .lines()
        .map(str::to_owned)
        .collect();
    listed.sort_unstable();
    assert_eq!(listed, tags);
    let none = other.refused(
        &["pull", "-q", &registry.name("team/other:1")],
        &registry.host,
    );
    assert!(none.contains("team/other"), "{none}");
    assert_eq!(
        berth
            .ok(&["image", "push", "-q", "-a", &name])
            .lines()
            .count(),
        3
    );
}

#[test]
fn what_cannot_be_pushed_whole() {
    let berth = Berth::new();
    let done = berth.run(&["push", "-a", "x.example/app:1"]);
    assert_eq!((done.code, done.out.as_str()), (125, ""), "{done:?}");
    insta::assert_snapshot!(done.err.trim_end(), @"berth: --all-tags takes a name without a tag, not x.example/app:1");
    let done = berth.run(&["push", "-a", "x.example/app"]);
    assert_eq!((done.code, done.out.as_str()), (1, ""), "{done:?}");
    insta::assert_snapshot!(done.err.trim_end(), @"berth: no image is called x.example/app");
}
