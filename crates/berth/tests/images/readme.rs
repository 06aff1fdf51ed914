//! The tour of README.md, as somebody pastes it.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::cli::finish;
use crate::maker::{Recipe, World};

const SECTION: &str = "## From pull to prune";

/// The commands of the section, one a line.
fn tour() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let text = std::fs::read_to_string(path).unwrap();
    let section = text.split(SECTION).nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let lines = section.lines().filter_map(|line| line.strip_prefix("    "));
    lines.map(str::to_owned).collect()
}

#[test]
fn the_tour_works_when_pasted() {
    let world = World::empty();
    let mut lines = tour();
    assert!(lines.len() > 10);
    // A test reaches no registry: the image is here already, under the name that it has there.
    assert!(lines.remove(0).starts_with("berth pull busybox "));
    world.load(&Recipe::busybox(), "busybox:latest");
    let ready = "until berth exec box test -s /mark; do sleep 0.1; done";
    let started = lines.iter().position(|line| line.contains("run -d"));
    lines.insert(started.unwrap() + 1, ready.to_owned());
    let berth = format!(
        "berth() {{ {} --root {} --state {} --default-network none \"$@\"; }}",
        env!("CARGO_BIN_EXE_berth"),
        world.berth.path("root").display(),
        world.berth.path("state").display()
    );
    let script = format!("set -ex\n{berth}\n{}\n", lines.join("\n"));
    let child = Command::new("sh")
        .args(["-c", &script])
        .current_dir(world.berth.path(""))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let done = finish(child);
    assert_eq!(done.code, 0, "{done:?}");
    for words in [
        "hello\n",
        "\nA /mark\n",
        "\nmine\n",
        "Loaded image: me/box:latest\n",
    ] {
        assert!(done.out.contains(words), "{words:?}: {}", done.out);
    }
    // Nothing is left, but the volume's folder and the store itself.
    assert!(world.images().is_empty());
    for folder in [
        "layers",
        "containers",
        "images/blobs/sha256",
        "image-work/ingest",
    ] {
        assert_eq!(world.count(folder), 0, "{folder}");
    }
    assert_eq!(world.ok("volume ls -q"), "");
}
