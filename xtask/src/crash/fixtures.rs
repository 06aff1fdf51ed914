//! Archives of images that can be run, and a registry that has one of them.
//!
//! `base.tar` is the tar of a root filesystem around the static busybox, for `import`; `app.tar` what
//! `berth save` makes of an image of two layers, the lower of which is `base.tar`.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::checks;
use super::operations::{Needs, Operation, Program};
use super::world::World;
use crate::exec;
use crate::failure::{Failure, Outcome};

const BUSYBOX: &str = "/usr/bin/busybox";
const NFT: &str = "/usr/sbin/nft";
const REGISTRY: &str = "/usr/bin/docker-registry";
/// Where it listens; the network namespace is ours, so that the port is free.
const PORT: u16 = 5000;
/// How long it may take to listen.
const DEADLINE: Duration = Duration::from_secs(30);

/// What a row calls the image.
const IN_REGISTRY: &str = "127.0.0.1:5000/app";

/// Takes out the operations that this machine has not what they need for, each with a line.
pub(super) fn possible(operations: &mut Vec<&'static Operation>) {
    let absent = |needs: Needs| match needs {
        Needs::Registry if !Path::new(REGISTRY).exists() => Some("docker-registry"),
        Needs::Network if !Path::new(NFT).exists() => Some("nft"),
        Needs::Archives | Needs::Registry if !Path::new(BUSYBOX).exists() => Some("busybox"),
        _ => None,
    };
    operations.retain(|operation| match absent(operation.needs) {
        None => true,
        Some(program) => {
            println!("{program} is not installed: {} skipped", operation.name);
            false
        }
    });
}

/// Makes what these operations need; the registry runs until it is dropped.
///
/// # Errors
/// Something cannot be made.
pub(super) fn make(world: &World<'_>, operations: &[&Operation]) -> Outcome<Option<Registry>> {
    let needs = operations.iter().map(|operation| operation.needs).max();
    let needs = needs.unwrap_or(Needs::Nothing);
    if needs < Needs::Archives {
        return Ok(None);
    }
    let folder = &world.programs.fixtures;
    base(folder)?;
    let registry = match needs {
        Needs::Registry => Some(Registry::start(folder)?),
        _ => None,
    };
    world.clear()?;
    let write = "echo two >/two && echo more >/data/one";
    let steps: [&[&str]; 4] = [
        &["import", "-q", "%/base.tar", "base"],
        &[
            "run", "--name", "@made", "--net", "none", "base", "sh", "-c", write,
        ],
        &["commit", "@made", "app"],
        &["save", "-q", "-o", "%/app.tar", "app"],
    ];
    let uploads: [&[&str]; 2] = [&["tag", "app", IN_REGISTRY], &["push", "-q", IN_REGISTRY]];
    let uploads = uploads.iter().filter(|_| registry.is_some());
    for words in steps.iter().chain(uploads) {
        world.must(Program::Berth, words)?;
    }
    checks::remove_all(world)?;
    Ok(registry)
}

/// Packs the root filesystem.
fn base(folder: &Path) -> Outcome {
    let tree = folder.join("base");
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| Failure::file("create", &path, &error)
    };
    for name in ["bin", "data/deep"] {
        let path = tree.join(name);
        fs::create_dir_all(&path).map_err(failed(&path))?;
    }
    let busybox = tree.join("bin/busybox");
    fs::copy(BUSYBOX, &busybox).map_err(failed(&busybox))?;
    for name in ["sh", "true", "cat"] {
        let path = tree.join("bin").join(name);
        symlink("busybox", &path).map_err(failed(&path))?;
    }
    for (name, text) in [("data/one", "one\n"), ("data/deep/two", "two\n")] {
        let path = tree.join(name);
        fs::write(&path, text).map_err(failed(&path))?;
    }
    let mut tar = Command::new("tar");
    tar.args(["--owner=0", "--group=0", "-cf"]);
    tar.arg(folder.join("base.tar")).arg("-C").arg(&tree);
    exec::run(tar.arg("."))
}

/// Docker's registry, as Debian packages it.
pub(super) struct Registry {
    server: Child,
}

impl Registry {
    /// Starts it on the loopback of our network namespace.
    fn start(folder: &Path) -> Outcome<Self> {
        exec::run(Command::new("ip").args(["link", "set", "lo", "up"]))?;
        let config: PathBuf = folder.join("registry.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"127.0.0.1:{PORT}\"}}\n",
            folder.join("registry").display()
        );
        fs::write(&config, text).map_err(|error| Failure::file("write", &config, &error))?;
        let mut command = Command::new(REGISTRY);
        command.arg("serve").arg(&config);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let server = command
            .spawn()
            .map_err(|error| exec::cannot_start(&command, &error))?;
        let mut registry = Self { server };
        registry.wait()?;
        Ok(registry)
    }

    fn wait(&mut self) -> Outcome {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
        let end = Instant::now() + DEADLINE;
        while TcpStream::connect(address).is_err() {
            let ended = self.server.try_wait().ok().flatten().is_some();
            if ended || Instant::now() > end {
                return Err(Failure::new("docker-registry does not listen"));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let ended = self.server.kill().and_then(|()| self.server.wait());
        if let Err(error) = ended {
            eprintln!("xtask: docker-registry cannot be ended: {error}");
        }
    }
}
