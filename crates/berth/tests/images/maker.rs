//! An engine with images made on the spot.

use berth_image::Hasher;
use serde_json::{Value, json};

use crate::cli::{Berth, Done};

/// Debian's static busybox.
const BUSYBOX: &str = "/bin/busybox";
const PROGRAMS: &str = "sh cat id pwd ls env echo sleep true sed tr grep date touch rm mkdir stat readlink kill test ln cp wc sync";

/// An engine of the test's own.
pub struct World {
    pub berth: Berth,
}

/// What an image is made of.
pub struct Recipe {
    /// `config` of the configuration.
    pub config: Value,
    /// Tars, the lowest first.
    pub layers: Vec<Vec<u8>>,
    pub architecture: String,
}

impl Recipe {
    /// busybox alone.
    pub fn busybox() -> Self {
        Self {
            config: json!({"Env": ["PATH=/bin"], "Cmd": ["sh"]}),
            layers: vec![busybox_layer()],
            architecture: "amd64".into(),
        }
    }

    /// With this configuration, which gets a PATH.
    pub fn with(config: Value) -> Self {
        let mut recipe = Self::busybox();
        for (key, value) in config.as_object().unwrap() {
            recipe.config[key] = value.clone();
        }
        recipe
    }

    /// With one more layer.
    pub fn layer(mut self, files: &[(&str, &str)]) -> Self {
        self.layers.push(layer(files));
        self
    }

    /// As an archive of the form of `docker save`.
    pub fn archive(&self, names: &[&str]) -> Vec<u8> {
        self.archive_of(names, &self.diff_ids())
    }

    /// With what it claims of its layers.
    pub fn archive_of(&self, names: &[&str], diff_ids: &[String]) -> Vec<u8> {
        let created = "2026-01-02T03:04:05Z";
        let history: Vec<Value> = (0..self.layers.len())
            .map(|at| json!({"created": created, "created_by": format!("step {at}")}))
            .collect();
        let document = json!({
            "architecture": self.architecture, "os": "linux", "created": created,
            "config": self.config, "history": history,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let document = document.to_string().into_bytes();
        let config = format!("{}.json", Hasher::sha256(&document).hex());
        let files: Vec<String> = (0..self.layers.len())
            .map(|at| format!("{at}.tar"))
            .collect();
        let manifest = json!([{"Config": config, "RepoTags": names, "Layers": files}]);
        let mut archive = tar::Builder::new(Vec::new());
        append(&mut archive, &config, &document, 0o644);
        for (file, layer) in files.iter().zip(&self.layers) {
            append(&mut archive, file, layer, 0o644);
        }
        append(
            &mut archive,
            "manifest.json",
            manifest.to_string().as_bytes(),
            0o644,
        );
        archive.into_inner().unwrap()
    }

    pub fn diff_ids(&self) -> Vec<String> {
        let digests = self.layers.iter().map(|layer| Hasher::sha256(layer));
        digests.map(|digest| digest.to_string()).collect()
    }
}

/// A tar of files; a name that ends in a slash is a folder, content that begins with `->` a link.
pub fn layer(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in files {
        match content.strip_prefix("->") {
            Some(target) => link(&mut tar, name, target),
            None if name.ends_with('/') => folder(&mut tar, name),
            None => append(&mut tar, name, content.as_bytes(), 0o644),
        }
    }
    tar.into_inner().unwrap()
}

/// A tar of files with any content.
pub fn pack(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in files {
        append(&mut tar, name, content, 0o644);
    }
    tar.into_inner().unwrap()
}

fn busybox_layer() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for name in ["bin/", "etc/", "tmp/"] {
        folder(&mut tar, name);
    }
    append(
        &mut tar,
        "bin/busybox",
        &std::fs::read(BUSYBOX).unwrap(),
        0o755,
    );
    for name in PROGRAMS.split(' ') {
        link(&mut tar, &format!("bin/{name}"), "busybox");
    }
    let passwd = b"root:x:0:0::/root:/bin/sh\nweb:x:1000:1001::/home/web:/bin/sh\n";
    append(&mut tar, "etc/passwd", passwd, 0o644);
    let group = b"root:x:0:\nweb:x:1001:\nstaff:x:50:web\n";
    append(&mut tar, "etc/group", group, 0o644);
    tar.into_inner().unwrap()
}

type Tar = tar::Builder<Vec<u8>>;

fn header(kind: tar::EntryType, size: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1_000_000_000);
    header
}

fn append(tar: &mut Tar, name: &str, content: &[u8], mode: u32) {
    let mut header = header(tar::EntryType::Regular, content.len() as u64, mode);
    tar.append_data(&mut header, name, content).unwrap();
}

fn folder(tar: &mut Tar, name: &str) {
    let mut header = header(tar::EntryType::Directory, 0, 0o755);
    tar.append_data(&mut header, name, &[][..]).unwrap();
}

fn link(tar: &mut Tar, name: &str, target: &str) {
    let mut header = header(tar::EntryType::Symlink, 0, 0o777);
    tar.append_link(&mut header, name, target).unwrap();
}

impl World {
    /// Without any image.
    pub fn empty() -> Self {
        Self {
            berth: Berth::new(),
        }
    }

    /// With busybox as `box:1`.
    pub fn new() -> Self {
        let world = Self::empty();
        world.load(&Recipe::busybox(), "box:1");
        world
    }

    /// Loads an image and names it.
    pub fn load(&self, recipe: &Recipe, name: &str) {
        let done = self.berth.run_with(&["load"], &recipe.archive(&[name]));
        assert_eq!((done.code, done.err.as_str()), (0, ""), "{done:?}");
        assert_eq!(done.out, format!("Loaded image: {name}\n"));
    }

    /// A command that must succeed; its output.
    pub fn ok(&self, line: &str) -> String {
        self.berth.ok(&line.split(' ').collect::<Vec<_>>())
    }

    /// A command that may fail.
    pub fn run(&self, line: &str) -> Done {
        self.berth.run(&line.split(' ').collect::<Vec<_>>())
    }

    /// A command that must fail; its message.
    pub fn fails(&self, code: i32, line: &str) -> String {
        let done = self.run(line);
        assert_eq!(done.code, code, "{line}: {done:?}");
        done.err.trim_end().to_owned()
    }

    /// Runs a script in a new container; `words` are flags and the image.
    pub fn sh(&self, words: &str, script: &str) -> String {
        let mut all = vec!["run"];
        all.extend(words.split(' '));
        all.extend(["sh", "-c", script]);
        self.berth.ok(&all)
    }

    /// The id of an image.
    pub fn id(&self, name: &str) -> String {
        self.ok(&format!("image inspect -f {{{{.Id}}}} {name}"))
    }

    /// The names of all images, in order.
    pub fn images(&self) -> Vec<String> {
        let format = "{{.Repository}}:{{.Tag}}";
        let text = self.berth.ok(&["images", "--format", format]);
        let mut names: Vec<String> = text.lines().map(str::to_owned).collect();
        names.sort();
        names
    }

    /// Takes all unpacked layers away, which are unpacked again when somebody needs them.
    pub fn remove_layers(&self) {
        let root = self.berth.path("root");
        berth_testkit::nobody_settles(&root);
        std::fs::remove_dir_all(root.join("layers")).unwrap();
    }

    /// How many entries a folder of the engine's has, hidden ones included.
    pub fn count(&self, folder: &str) -> usize {
        let entries = std::fs::read_dir(self.berth.path("root").join(folder));
        entries.map_or(0, Iterator::count)
    }

    /// Bytes on disk of everything that the engine keeps.
    pub fn disk(&self) -> u64 {
        let root = self.berth.path("root");
        let done = std::process::Command::new("du")
            .args(["-s", "--block-size=1"])
            .arg(root)
            .output()
            .unwrap();
        let text = String::from_utf8(done.stdout).unwrap();
        text.split('\t').next().unwrap().parse().unwrap()
    }
}
