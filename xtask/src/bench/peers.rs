//! Other engines, each started in namespaces of its own and ended with the measurement.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::contestants::{Contestant, Place};
use super::rootfs::Stage;
use super::stopwatch::{self, Miss, Stopwatch};
use crate::exec;
use crate::failure::{Failure, Outcome};

/// How long dockerd may take to answer, and to end.
const DAEMON_DEADLINE: Duration = Duration::from_secs(30);

/// On a host with v1 hierarchies: a fresh folder of them alone over /sys/fs/cgroup. crun 1.8
/// refuses hybrid cgroups, and podman leaves folders behind where a controller has no mount.
/// Called with a folder of ours, then what to execute.
const ENTER: &str = r#"
set -e
fresh=$1/cgroups-$$
shift
points=$(awk '/ - cgroup /{print $5}' /proc/self/mountinfo)
if [ -n "$points" ]; then
    mkdir "$fresh"
    mount -t tmpfs -o mode=755 cgroups "$fresh"
    for point in $points; do
        mkdir "$fresh/${point##*/}"
        mount --bind "$point" "$fresh/${point##*/}"
    done
    # So that the mount table shows each hierarchy once.
    umount --recursive --lazy /sys/fs/cgroup
    mount --move "$fresh" /sys/fs/cgroup
    rmdir "$fresh"
fi
# The addresses that podman's networks hand out are no matter of the host's.
if [ -d /var/lib/cni ]; then
    mount -t tmpfs cni /var/lib/cni
fi
ip link set lo up
exec "$@"
"#;

/// The cgroup below which the peers make theirs, so that all they leave can be removed.
pub(crate) const CGROUP: &str = "berth-bench";

/// podman's own defaults are beyond what a caller without CAP_SYS_RESOURCE may set.
const CONTAINERS_CONF: &str =
    "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n";

/// The peers that are there.
pub(super) struct Peers {
    folder: PathBuf,
    apart: Apart,
    docker: Option<Docker>,
    podman: Option<Vec<String>>,
}

/// How the environment of the peers is entered, and how long a program may take there.
struct Apart {
    /// Words that execute what follows them there.
    entrance: Vec<String>,
    /// The same for those who need no mount namespace of their own.
    host: Vec<String>,
    deadline: Duration,
}

impl Apart {
    /// Each in a network namespace of its own.
    fn alone(folder: &Path) -> Self {
        Self {
            entrance: words(["unshare", "--mount", "--net"], folder),
            host: Vec::new(),
            deadline: stopwatch::DEADLINE,
        }
    }

    /// The peers in network namespaces of their own, and the host's part in that of a file.
    fn bridged(folder: &Path, net: &Path) -> Self {
        Self {
            host: vec!["nsenter".to_owned(), format!("--net={}", net.display())],
            ..Self::alone(folder)
        }
    }

    /// All in one network namespace.
    fn together(folder: &Path, net: &Path, deadline: Duration) -> Self {
        let net = format!("--net={}", net.display());
        let host = vec!["nsenter".to_owned(), net];
        let mut entrance = host.clone();
        entrance.extend(words(["unshare", "--mount"], folder));
        Self {
            entrance,
            host,
            deadline,
        }
    }
}

fn words<const N: usize>(first: [&str; N], folder: &Path) -> Vec<String> {
    let folder = folder.to_string_lossy();
    let rest = ["--propagation", "private", "sh", "-c", ENTER, "sh", &folder];
    first.iter().chain(&rest).map(|w| (*w).to_owned()).collect()
}

/// Words that execute what follows them in namespaces of their own.
pub(crate) fn entrance(folder: &Path) -> Vec<String> {
    Apart::alone(folder).entrance
}

/// No engines, for what only runtimes take part in.
pub(super) fn none(stage: &Stage) -> Peers {
    nobody(&stage.folder, Apart::alone(&stage.folder))
}

fn nobody(folder: &Path, apart: Apart) -> Peers {
    Peers {
        folder: folder.to_path_buf(),
        apart,
        docker: None,
        podman: None,
    }
}

/// Starts what is installed and gives each the image `bench`.
///
/// # Errors
/// Something that is installed cannot be started.
pub(super) fn start(stage: &Stage) -> Outcome<Peers> {
    let peers = none(stage).join(Bridge::None)?;
    peers.give_image(stage)?;
    Ok(peers)
}

/// The same, each with a bridge of its own in a network namespace that is nobody else's. What is
/// timed on the host is timed in the network namespace of a file.
///
/// # Errors
/// As [`start`].
pub(super) fn start_bridged(stage: &Stage, net: &Path) -> Outcome<Peers> {
    let apart = Apart::bridged(&stage.folder, net);
    let peers = nobody(&stage.folder, apart).join(Bridge::Own)?;
    peers.give_image(stage)?;
    Ok(peers)
}

/// An archive of the stage's root, for engines to import.
///
/// # Errors
/// It cannot be made.
pub(super) fn archive(stage: &Stage) -> Outcome<PathBuf> {
    let archive = stage.folder.join("bench.tar");
    if !archive.exists() {
        exec::read(
            exec::at_root("tar")
                .arg("-C")
                .arg(&stage.rootfs)
                .arg("-cf")
                .arg(&archive)
                .arg("."),
        )?;
    }
    Ok(archive)
}

/// Whether dockerd makes its bridge, and rules for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bridge {
    /// Neither.
    None,
    /// Both.
    Own,
}

/// Starts what is installed with empty stores below the folder, all in the network namespace of a
/// file (`/proc/PID/ns/net`). What is timed may take until the deadline.
///
/// # Errors
/// Something that is installed cannot be started.
pub(super) fn start_empty(folder: &Path, net: &Path, deadline: Duration) -> Outcome<Peers> {
    nobody(folder, Apart::together(folder, net, deadline)).join(Bridge::None)
}

impl Drop for Peers {
    fn drop(&mut self) {
        // First the daemon, then what it leaves.
        self.docker = None;
        remove_cgroups();
    }
}

/// What peers leave of cgroups, removed when dropped: to be kept behind the peers themselves.
pub(crate) struct Leavings;

impl Drop for Leavings {
    fn drop(&mut self) {
        remove_cgroups();
    }
}

fn remove_cgroups() {
    for point in cgroup_points() {
        remove_cgroup(&point.join(CGROUP));
    }
}

/// Where hierarchies of either version are mounted.
fn cgroup_points() -> Vec<PathBuf> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    text.lines()
        .filter(|line| line.contains(" - cgroup ") || line.contains(" - cgroup2 "))
        .filter_map(|line| line.split(' ').nth(4).map(PathBuf::from))
        .collect()
}

/// Removes a cgroup and those below it. One that is in use stays, and is named.
fn remove_cgroup(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for below in entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
    {
        remove_cgroup(&below);
    }
    if let Err(error) = fs::remove_dir(folder) {
        eprintln!("xtask: {}", Failure::file("remove", folder, &error));
    }
}

impl Peers {
    /// Starts what is installed.
    fn join(mut self, bridge: Bridge) -> Outcome<Self> {
        let configuration = self.folder.join("containers.conf");
        fs::write(&configuration, CONTAINERS_CONF)
            .map_err(|error| Failure::file("write", &configuration, &error))?;
        if exec::installed("dockerd") {
            self.docker = Some(Docker::start(&self.folder, &self.apart.entrance, bridge)?);
        } else {
            println!("docker takes no part: dockerd is not installed");
        }
        if exec::installed("podman") {
            self.podman = Some(podman(&self.folder));
        } else {
            println!("podman takes no part: it is not installed");
        }
        Ok(self)
    }

    /// Gives each the image `bench`, whose root is the stage's.
    ///
    /// # Errors
    /// One does not take it.
    pub(super) fn give_image(&self, stage: &Stage) -> Outcome {
        let archive = archive(stage)?;
        if let Some(docker) = &self.docker {
            exec::read(docker.command().arg("import").arg(&archive).arg("bench"))?;
        }
        if let Some(podman) = &self.podman {
            let enter = &self.apart.entrance;
            let mut import = Command::new(&enter[0]);
            import.args(&enter[1..]).args(podman);
            exec::read(import.args(["import", "-q"]).arg(&archive).arg("bench"))?;
        }
        Ok(())
    }

    /// The words before docker's subcommand.
    pub(super) fn docker(&self) -> Option<&[String]> {
        self.docker.as_ref().map(|docker| &docker.client[..])
    }

    /// The words before podman's subcommand.
    pub(super) fn podman(&self) -> Option<&[String]> {
        self.podman.as_deref()
    }

    /// A stopwatch for each place. The one apart is the reaper of what runtimes leave running;
    /// the host's is not, since our engine has its own.
    ///
    /// # Errors
    /// One cannot be started.
    pub(super) fn watches(&self) -> Outcome<Watches> {
        let (host, apart) = (self.folder.join("host.log"), self.folder.join("apart.log"));
        let reap = self.docker.is_none() && self.podman.is_none();
        let deadline = self.apart.deadline;
        Ok(Watches {
            host: Stopwatch::start(&self.apart.host, host, false, deadline)?,
            apart: Stopwatch::start(&self.apart.entrance, apart, reap, deadline)?,
        })
    }
}

/// A stopwatch in each place.
pub(super) struct Watches {
    host: Stopwatch,
    apart: Stopwatch,
}

impl Watches {
    /// Does what the contestant needs once; says why it cannot take part.
    ///
    /// # Errors
    /// A stopwatch is gone.
    pub(super) fn prepare(&mut self, contestant: &Contestant) -> Outcome<Option<Miss>> {
        let done = self.all(contestant.place, &contestant.before, 0, 1)?;
        Ok(done.err())
    }

    /// Times one round of the contestant; the inner error says why it failed.
    ///
    /// # Errors
    /// A stopwatch is gone.
    pub(super) fn time(
        &mut self,
        contestant: &Contestant,
        round: usize,
    ) -> Outcome<Result<Duration, Miss>> {
        self.all(
            contestant.place,
            &contestant.timed,
            round,
            contestant.work.copies(),
        )
    }

    /// Undoes [`Watches::prepare`], and what a round has left, as far as it was done. A program
    /// that hangs at it is not asked again.
    ///
    /// # Errors
    /// A stopwatch is gone.
    pub(super) fn clean_up(&mut self, contestant: &Contestant) -> Outcome {
        for command in &contestant.after {
            let done = self.all(contestant.place, std::slice::from_ref(command), 0, 1)?;
            if let Err(Miss::Hung(why)) = done {
                eprintln!("xtask: not all is cleaned up: {why}");
                break;
            }
        }
        Ok(())
    }

    /// Times commands one after the other; the inner error says why one failed.
    ///
    /// # Errors
    /// A stopwatch is gone.
    pub(super) fn row(
        &mut self,
        place: Place,
        commands: &[Vec<String>],
    ) -> Outcome<Result<Duration, Miss>> {
        self.all(place, commands, 0, 1)
    }

    fn all(
        &mut self,
        place: Place,
        commands: &[Vec<String>],
        round: usize,
        copies: usize,
    ) -> Outcome<Result<Duration, Miss>> {
        let watch = match place {
            Place::Host => &mut self.host,
            Place::Apart => &mut self.apart,
        };
        if commands.is_empty() {
            return Ok(Ok(Duration::ZERO));
        }
        let round = round.to_string();
        let commands: Vec<Vec<String>> = commands
            .iter()
            .map(|words| {
                words
                    .iter()
                    .map(|word| word.replace("{}", &round))
                    .collect()
            })
            .collect();
        watch.time(&commands, copies)
    }
}

/// A dockerd of our own.
pub(crate) struct Docker {
    daemon: Child,
    client: Vec<String>,
}

impl Docker {
    /// Starts it behind the words of an entrance, with what it keeps below the folder.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) fn start(folder: &Path, enter: &[String], bridge: Bridge) -> Outcome<Self> {
        let at = |name: &str| folder.join(name).to_string_lossy().into_owned();
        let log = folder.join("dockerd.log");
        let errors =
            fs::File::create(&log).map_err(|error| Failure::file("create", &log, &error))?;
        let mut command = Command::new(&enter[0]);
        command
            .args(&enter[1..])
            .args(["dockerd", "--data-root", &at("docker")]);
        command.args(["--exec-root", &at("docker-run"), "-p", &at("docker.pid")]);
        command.args(["-H", &format!("unix://{}", at("docker.sock"))]);
        command.args(["--cgroup-parent", &format!("/{CGROUP}")]);
        if bridge == Bridge::None {
            // Every measured container has loopback alone.
            command.args(["--bridge=none", "--iptables=false", "--ip-masq=false"]);
        }
        let daemon = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .map_err(|error| exec::cannot_start(&command, &error))?;
        let client = vec![
            "docker".to_owned(),
            "-H".to_owned(),
            format!("unix://{}", at("docker.sock")),
        ];
        let mut docker = Self { daemon, client };
        docker.wait_until_it_answers(&log)?;
        Ok(docker)
    }

    /// The words before a subcommand.
    pub(crate) fn client(&self) -> &[String] {
        &self.client
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.client[0]);
        command.args(&self.client[1..]);
        command
    }

    fn wait_until_it_answers(&mut self, log: &Path) -> Outcome {
        let end = Instant::now() + DAEMON_DEADLINE;
        while exec::read(self.command().arg("info")).is_err() {
            let ended = self.daemon.try_wait().ok().flatten().is_some();
            if ended || Instant::now() > end {
                let said = fs::read_to_string(log).unwrap_or_default();
                let last = said.lines().last().unwrap_or("no message");
                return Err(Failure::new(format!("dockerd does not answer: {last}")));
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

impl Drop for Docker {
    /// SIGTERM, since dockerd ends its containerd itself, and SIGKILL past the deadline.
    fn drop(&mut self) {
        let pid = self.daemon.id().to_string();
        if let Err(failure) = exec::read(Command::new("kill").args(["-TERM", &pid])) {
            eprintln!("xtask: {failure}");
        }
        let end = Instant::now() + DAEMON_DEADLINE;
        while Instant::now() < end {
            if !matches!(self.daemon.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        if let Err(error) = self
            .daemon
            .kill()
            .and_then(|()| self.daemon.wait().map(drop))
        {
            eprintln!("xtask: dockerd cannot be ended: {error}");
        }
    }
}

/// The words before podman's subcommand.
fn podman(folder: &Path) -> Vec<String> {
    let at = |name: &str| folder.join(name).to_string_lossy().into_owned();
    [
        "podman",
        "--root",
        &at("podman"),
        "--runroot",
        &at("podman-run"),
        "--tmpdir",
        &at("podman-tmp"),
        "--cgroup-manager=cgroupfs",
        "--events-backend=file",
    ]
    .map(str::to_owned)
    .to_vec()
}
