//! dockerd and podman load what is saved here, and the reverse.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use berth_image::{Image, ImageStore};

use crate::image::{self, BUSYBOX, PAUSE};
use crate::support::{Berth, Done};
use crate::world::{Daemon, World, done, need, runtime};

/// A peer that loads, saves and runs images.
trait Peer {
    fn world(&self) -> &World;
    fn run(&self, arguments: &[&str]) -> Done;

    fn ok(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        assert_eq!(done.code, 0, "{arguments:?}: {done:?}");
        done.out.trim_end().to_owned()
    }

    /// The id of an image, without its algorithm: podman leaves it out.
    fn id(&self, name: &str) -> String {
        let id = self.ok(&["image", "inspect", "--format", "{{.Id}}", name]);
        id.trim_start_matches("sha256:").to_owned()
    }

    fn path(&self, name: &str) -> String {
        self.world().text(name)
    }
}

/// A dockerd, whose containers `berth-runtime` runs.
struct Docker {
    daemon: Daemon,
    world: World,
    words: Vec<String>,
}

impl Docker {
    fn start() -> Self {
        need("dockerd");
        need("docker");
        let world = World::new("docker");
        let socket = format!("unix://{}", world.text("docker.sock"));
        let flags = [
            "dockerd".to_owned(),
            format!("--data-root={}", world.text("data")),
            format!("--exec-root={}", world.text("exec")),
            format!("--pidfile={}", world.text("docker.pid")),
            format!("--host={socket}"),
            format!("--cgroup-parent={}", world.cgroup_parent()),
            format!("--add-runtime=berth={}", runtime().display()),
            "--default-runtime=berth".to_owned(),
            "--log-level=warn".to_owned(),
        ];
        let daemon = world.daemon(&flags.each_ref().map(String::as_str), &[]);
        let words = ["--config", &world.text("client"), "--host", &socket];
        let words = words.map(str::to_owned).to_vec();
        let mut docker = Self {
            daemon,
            world,
            words,
        };
        let version = ["version", "--format", "{{.Server.Version}}"];
        let client = docker.words.clone();
        let answers = || done(Command::new("docker").args(&client).args(version)).code == 0;
        docker.daemon.wait_until(answers);
        docker
    }

    fn finish(mut self) {
        self.world.assert_no_cgroup_but(&[]);
        self.daemon.stop(&self.world);
        self.world.assert_gone(&["data", "exec/netns/default"]);
    }
}

impl Peer for Docker {
    fn world(&self) -> &World {
        &self.world
    }

    fn run(&self, arguments: &[&str]) -> Done {
        let mut command = Command::new("docker");
        done(
            command
                .args(&self.words)
                .args(arguments)
                .stdin(Stdio::null()),
        )
    }
}

struct Podman {
    world: World,
}

impl Podman {
    fn new() -> Self {
        need("podman");
        let world = World::new("podman");
        let storage = format!(
            "[storage]\ndriver = \"overlay\"\ngraphroot = \"{}\"\nrunroot = \"{}\"\n",
            world.text("storage"),
            world.text("run")
        );
        fs::write(world.path("storage.conf"), storage).unwrap();
        Self { world }
    }
}

impl Peer for Podman {
    fn world(&self) -> &World {
        &self.world
    }

    fn run(&self, arguments: &[&str]) -> Done {
        let settings = format!("CONTAINERS_STORAGE_CONF={}", self.path("storage.conf"));
        let temporary = self.path("tmp");
        let own = [
            &settings,
            "podman",
            "--tmpdir",
            &temporary,
            "--events-backend=file",
        ];
        done(self.world.command("env").args(own).args(arguments))
    }
}

fn loaded(berth: &Berth, name: &str) -> Image {
    ImageStore::open(&berth.path("root")).resolve(name).unwrap()
}

/// The image with layers by gzip, in an archive of skopeo's; its path.
fn compressed(world: &World, archive: &Path) -> String {
    need("skopeo");
    let target = world.text("gzip.tar");
    let from = format!("docker-archive:{}:{BUSYBOX}", archive.display());
    let to = format!("oci-archive:{target}:localhost/packed:1");
    let copied = done(Command::new("skopeo").args(["copy", "--dest-compress", &from, &to]));
    assert_eq!(copied.code, 0, "{copied:?}");
    target
}

/// From a file that the test wrote through Berth to the peer, and from the peer back.
fn exchange(peer: &impl Peer) {
    let archive = image::write(peer.world());
    let berth = Berth::new();
    let said = berth.ok(&["load", "-i", archive.to_str().unwrap()]);
    assert_eq!(
        said,
        format!("Loaded image: {BUSYBOX}\nLoaded image: {PAUSE}")
    );
    berth.ok(&["load", "-i", &compressed(peer.world(), &archive)]);
    let packed = loaded(&berth, "localhost/packed:1");
    assert_eq!(
        packed.layers[0].descriptor.media_type.0,
        berth_image::media::LAYER_GZIP
    );

    // Several images, plain and compressed layers, in each form.
    let names = [BUSYBOX, PAUSE, "localhost/packed:1"];
    let forms: [&[&str]; 2] = [&[], &["--format=docker-archive"]];
    for form in forms {
        let ours = peer.path("ours.tar");
        berth.ok(&[&["save", "-o", &ours], form, &names[..]].concat());
        peer.ok(&["load", "--input", &ours]);
        for name in names {
            assert_eq!(
                peer.id(name),
                loaded(&berth, name).id.hex(),
                "{form:?} {name}"
            );
        }
        peer.ok(&[&["rmi", "--force"], &names[..]].concat());
    }
    // A single image, of which podman reads the OCI half.
    let ours = peer.path("one.tar");
    berth.ok(&["save", "-o", &ours, "localhost/packed:1"]);
    peer.ok(&["load", "--input", &ours]);
    assert_eq!(peer.id("localhost/packed:1"), packed.id.hex());
    berth.ok(&["save", "-o", &ours, BUSYBOX, PAUSE]);
    peer.ok(&["load", "--input", &ours]);

    let other = Berth::new();
    let theirs = peer.path("theirs.tar");
    peer.ok(&["save", "--output", &theirs, BUSYBOX]);
    assert_eq!(
        other.ok(&["load", "-i", &theirs]),
        format!("Loaded image: {BUSYBOX}")
    );
    assert_eq!(loaded(&other, BUSYBOX).id, loaded(&berth, BUSYBOX).id);
    assert_eq!(
        loaded(&other, BUSYBOX).layers,
        loaded(&berth, BUSYBOX).layers
    );
}

#[test]
fn docker_exchanges() {
    let docker = Docker::start();
    exchange(&docker);
    // Several at once, through pipes.
    let theirs = docker.path("several.tar");
    docker.ok(&[
        "save",
        "--output",
        &theirs,
        BUSYBOX,
        PAUSE,
        "localhost/packed:1",
    ]);
    let berth = Berth::new();
    let said = berth.ok(&["load", "-i", &theirs]);
    assert_eq!(said.lines().count(), 3, "{said}");
    // It runs there.
    let script = [
        "run",
        "--rm",
        "--net=none",
        "localhost/packed:1",
        "sh",
        "-c",
        "echo $PATH",
    ];
    assert_eq!(docker.ok(&script), "/bin");
    docker.finish();
}

#[test]
fn podman_exchanges() {
    let podman = Podman::new();
    exchange(&podman);
    // Its other form, and several images in Docker's.
    let berth = Berth::new();
    let theirs = podman.path("oci.tar");
    podman.ok(&["save", "--format=oci-archive", "--output", &theirs, BUSYBOX]);
    assert_eq!(
        berth.ok(&["load", "-i", &theirs]),
        format!("Loaded image: {BUSYBOX}")
    );
    let theirs = podman.path("many.tar");
    podman.ok(&[
        "save",
        "--multi-image-archive",
        "--output",
        &theirs,
        BUSYBOX,
        PAUSE,
    ]);
    let said = berth.ok(&["load", "-i", &theirs]);
    assert_eq!(said.lines().count(), 2, "{said}");
    // And a folder.
    let theirs = podman.path("folder");
    podman.ok(&["save", "--format=oci-dir", "--output", &theirs, BUSYBOX]);
    let other = Berth::new();
    let said = other.ok(&["load", "-i", &theirs]);
    assert!(said.starts_with("Loaded image"), "{said}");
    podman.world.assert_gone(&["storage/overlay"]);
}
