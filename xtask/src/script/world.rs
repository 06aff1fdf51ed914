//! A docker and a berth of the script's own, each in mount and network namespaces that end with it.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::normal::normal;
use crate::bench::peers::{self, Bridge, Docker, Leavings};
use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::scratch::Scratch;

/// What the shell does with a line: `docker` is the words that come first, to the word `--`.
const LINE: &str = r#"
cd "$1" && line=$2
shift 2
engine=command
for word; do engine="$engine '$word'"; done
docker() { eval "$engine" '"$@"'; }
eval "$line"
"#;

/// How long the namespaces may take to be there.
const PATIENCE: Duration = Duration::from_secs(20);

/// What an engine answered to a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    out: String,
    code: Option<i32>,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self
            .code
            .map_or_else(|| "none".to_owned(), |c| c.to_string());
        write!(f, "exit code {code}, {:?}", self.out)
    }
}

/// Both engines.
pub(super) struct World {
    // Dropped in this order: berth's containers before the namespaces that they are in.
    berth: Berth,
    docker: Docker,
    _leavings: Leavings,
    folders: [PathBuf; 2],
}

impl World {
    /// Starts both with empty stores.
    ///
    /// # Errors
    /// One does not start.
    pub(super) fn start(scratch: &Scratch, binary: &Path) -> Outcome<Self> {
        let folders = [scratch.folder("docker")?, scratch.folder("berth")?];
        for folder in &folders {
            fill(&folder.join("work"))?;
        }
        let words = peers::entrance(&folders[0]);
        Ok(Self {
            docker: Docker::start(&folders[0], &words, Bridge::Own)?,
            berth: Berth::start(&folders[1], binary)?,
            _leavings: Leavings,
            folders,
        })
    }

    /// What docker says to a line.
    ///
    /// # Errors
    /// The shell cannot be started.
    pub(super) fn docker(&self, line: &str) -> Outcome<Said> {
        say(&[], &self.folders[0], line, self.docker.client())
    }

    /// What berth says to a line.
    ///
    /// # Errors
    /// The shell cannot be started.
    pub(super) fn berth(&self, line: &str) -> Outcome<Said> {
        say(
            &self.berth.entrance,
            &self.folders[1],
            line,
            &self.berth.words,
        )
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let left = "docker ps --all --quiet --no-trunc | xargs -r true; \
                    for id in $(docker ps -aq); do docker rm -f $id; done; \
                    docker network prune -f";
        let said = [self.berth(left), self.docker(left)];
        for failure in said.into_iter().filter_map(Result::err) {
            eprintln!("xtask: {failure}");
        }
    }
}

fn say(entrance: &[String], folder: &Path, line: &str, engine: &[String]) -> Outcome<Said> {
    let mut words = entrance.iter().map(String::as_str).chain(["sh"]);
    let mut command = Command::new(words.next().unwrap_or("sh"));
    command.args(words).args(["-c", LINE, "sh"]);
    command.arg(folder.join("work")).arg(line).args(engine);
    command
        .env_remove("BERTH_ROOT")
        .env("BERTH_CGROUP_PARENT", peers::CGROUP);
    let output = exec::capture(&mut command)?;
    Ok(Said {
        out: normal(&String::from_utf8_lossy(&output.stdout)),
        code: output.status.code(),
    })
}

/// A berth that no daemon belongs to: only its namespaces are held open.
struct Berth {
    holder: Child,
    entrance: Vec<String>,
    words: Vec<String>,
}

impl Berth {
    fn start(folder: &Path, binary: &Path) -> Outcome<Self> {
        let words = peers::entrance(folder);
        let ready = folder.join("ready");
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        // Ends with us, as the pipe that it reads does.
        command
            .args(["sh", "-c", "touch \"$1\" && exec cat", "sh"])
            .arg(&ready);
        let holder = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| exec::cannot_start(&command, &error))?;
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let berth = Self {
            entrance: vec![
                "nsenter".to_owned(),
                format!("--target={}", holder.id()),
                "--mount".to_owned(),
                "--net".to_owned(),
            ],
            holder,
            words: vec![
                text(binary.to_path_buf()),
                "--root".to_owned(),
                text(folder.join("root")),
                "--state".to_owned(),
                text(folder.join("state")),
            ],
        };
        let end = Instant::now() + PATIENCE;
        while !ready.exists() {
            if Instant::now() > end {
                return Err(Failure::new("namespaces for berth cannot be made"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(berth)
    }
}

impl Drop for Berth {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        if let Err(error) = self.holder.wait() {
            eprintln!("xtask: the namespaces of berth are held on: {error}");
        }
    }
}

/// What the script finds where it runs: the root of an image, and files to copy.
fn fill(folder: &Path) -> Outcome {
    let root = folder.join("root");
    let tree = ["bin", "dev", "etc", "home", "proc", "srv", "sys", "tmp"];
    for name in tree {
        let path = root.join(name);
        fs::create_dir_all(&path).map_err(|error| Failure::file("create", &path, &error))?;
    }
    let files = [
        ("settings.env", "A=1\nB=two words\n"),
        ("notes.txt", "remember the milk\n"),
        (
            "root/etc/passwd",
            "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
        ),
        ("root/etc/group", "root:x:0:\nnogroup:x:65534:\n"),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| Failure::file("write", &path, &error))?;
    }
    let pack = "cp \"$(command -v busybox)\" root/bin/busybox &&
        for name in $(busybox --list); do
            [ -e root/bin/$name ] || ln -s busybox root/bin/$name
        done &&
        tar -C root -cf busybox.tar . && rm -r root";
    exec::read(Command::new("sh").args(["-ec", pack]).current_dir(folder)).map(drop)
}
