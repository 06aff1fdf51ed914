//! What archives and layers may ask for, and how that is changed.

use std::fs;

use crate::cli::{Done, finish};
use crate::maker::{Recipe, World};

impl World {
    /// `berth load` under a configuration file.
    fn load_under(&self, section: &str, archive: &[u8]) -> Done {
        let home = self.berth.path("config");
        fs::create_dir_all(home.join("berth")).unwrap();
        fs::write(home.join("berth/config.toml"), section).unwrap();
        fs::write(self.berth.path("it.tar"), archive).unwrap();
        let mut command = self.berth.command(&["load", "-i", "it.tar"]);
        command.env("XDG_CONFIG_HOME", home);
        command.stdout(std::process::Stdio::piped());
        command.stderr(std::process::Stdio::piped());
        finish(command.spawn().unwrap())
    }
}

#[test]
fn limits_are_those_of_the_configuration() {
    let world = World::empty();
    let archive = Recipe::busybox()
        .layer(&[("a", "1"), ("b", "2")])
        .archive(&["box:1"]);
    for (limit, name) in [
        ("layer-bytes = \"1m\"", "layer-bytes (1048576)"),
        ("layer-entries = 3", "layer-entries (3)"),
        ("file-bytes = \"512k\"", "file-bytes (524288)"),
        ("path-bytes = 4", "path-bytes (4)"),
        ("archive-entries = 2", "archive-entries (2)"),
        (
            "archive-blob-bytes = \"1m\"",
            "archive-blob-bytes (1048576)",
        ),
        (
            "archive-total-bytes = \"1m\"",
            "archive-total-bytes (1048576)",
        ),
        ("archive-images = 0", "archive-images (0)"),
    ] {
        let done = world.load_under(&format!("[image]\n{limit}\n"), &archive);
        assert_eq!(done.code, 1, "{limit}: {done:?}");
        assert!(
            done.err.contains(&format!("the limit {name}")),
            "{limit}: {}",
            done.err
        );
        assert!(done.err.contains("raise it in config.toml"), "{}", done.err);
        assert!(world.images().is_empty());
        assert_eq!(world.count("layers"), 0);
    }
    let done = world.load_under("[image]\nlayer-bytes = \"64m\"\n", &archive);
    assert_eq!(
        (done.code, done.out.as_str()),
        (0, "Loaded image: box:1\n"),
        "{done:?}"
    );
}

#[test]
fn a_senseless_limit_is_named() {
    let world = World::empty();
    let done = world.load_under("[image]\nlayer-bites = 1\n", b"");
    assert_eq!(done.code, 1, "{done:?}");
    assert!(
        done.err.contains("line 2") && done.err.contains("layer-bites"),
        "{}",
        done.err
    );
}
