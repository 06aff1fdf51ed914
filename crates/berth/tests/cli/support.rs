//! An engine of the test's own, and a pseudo terminal.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tempfile::TempDir;

/// How long anything may take on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Folders of one test. Dropping it removes the containers.
pub struct Berth {
    dir: TempDir,
    cgroup_parent: Option<String>,
}

/// What a finished command left.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Berth {
    pub fn new() -> Self {
        let binary = Path::new(env!("CARGO_BIN_EXE_berth"));
        let runtime = binary.with_file_name("berth-runtime");
        assert!(
            runtime.exists(),
            "{} is missing: build it first with \"cargo build --workspace --bins\"",
            runtime.display()
        );
        Self {
            dir: tempfile::tempdir().unwrap(),
            cgroup_parent: None,
        }
    }

    /// With cgroups that no other test uses.
    pub fn with_cgroup_parent() -> Self {
        let mut berth = Self::new();
        berth.cgroup_parent = Some(format!("berth-test-{}", std::process::id()));
        berth
    }

    /// The directories of its own cgroup parent, one for each hierarchy that has it.
    pub fn cgroups(&self) -> Vec<PathBuf> {
        let Some(parent) = &self.cgroup_parent else {
            return Vec::new();
        };
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        mounts
            .lines()
            .filter_map(|line| line.split_once(" - "))
            .filter(|(_, kind)| kind.starts_with("cgroup"))
            .filter_map(|(mount, _)| mount.split(' ').nth(4))
            .map(|folder| Path::new(folder).join(parent))
            .filter(|folder| folder.exists())
            .collect()
    }

    /// A path in the test's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The command, not started. It makes no bridges on the host that runs the tests; as a flag this
    /// also reaches tests that put another program before it.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let quiet = ["--default-network", "none"];
        self.bare_command(&[&quiet[..], arguments].concat())
    }

    /// As [`Self::command`], with the default network that users get.
    pub fn bare_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_berth"));
        command
            .arg("--root")
            .arg(self.path("root"))
            .arg("--state")
            .arg(self.path("state"))
            .args(arguments)
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        for variable in [
            "BERTH_ROOT",
            "BERTH_STATE",
            "BERTH_RUNTIME",
            "BERTH_ERROR_FORMAT",
            "BERTH_DEFAULT_NETWORK",
        ] {
            command.env_remove(variable);
        }
        if let Some(parent) = &self.cgroup_parent {
            command.env("BERTH_CGROUP_PARENT", parent);
        }
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Done {
        self.run_with(arguments, b"")
    }

    /// Runs a command to its end with this standard input.
    pub fn run_with(&self, arguments: &[&str], input: &[u8]) -> Done {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        if !input.is_empty() {
            command.stdin(Stdio::piped());
        }
        let mut child = command.spawn().unwrap();
        if let Some(mut stdin) = child.stdin.take() {
            let input = input.to_vec();
            std::thread::spawn(move || drop(stdin.write_all(&input)));
        }
        finish(child)
    }

    /// Runs a command that must succeed; its output without the last line break.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        assert_eq!(done.code, 0, "{arguments:?}: {done:?}");
        done.out.trim_end().to_owned()
    }

    /// Runs a script in the background, in a container of the built-in image.
    pub fn background(&self, name: &str, script: &str) {
        self.ok(&["run", "-d", "--name", name, "host", "sh", "-c", script]);
    }

    /// Starts a command; its streams are pipes.
    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// The ids of all containers.
    pub fn ids(&self) -> Vec<String> {
        let text = self.ok(&["ps", "-aq", "--no-trunc"]);
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for Berth {
    fn drop(&mut self) {
        let listed = self.run(&["ps", "-aq", "--no-trunc"]);
        let ids: Vec<&str> = listed.out.lines().collect();
        if !ids.is_empty() {
            let mut arguments = vec!["rm", "-f"];
            arguments.extend(&ids);
            self.run(&arguments);
        }
        for cgroup in self.cgroups() {
            for below in std::fs::read_dir(cgroup.join("berth"))
                .into_iter()
                .flatten()
                .flatten()
            {
                drop(std::fs::remove_dir(below.path()));
            }
            drop(std::fs::remove_dir(cgroup.join("berth")));
            drop(std::fs::remove_dir(&cgroup));
        }
        berth_testkit::remove_folder(self.dir.path());
    }
}

/// Waits for a child, which is killed when it takes too long.
pub fn finish(mut child: Child) -> Done {
    let out = child.stdout.take().map(drain);
    let err = child.stderr.take().map(drain);
    let code = exit_code(&mut child);
    let text = |reader: Option<std::thread::JoinHandle<Vec<u8>>>| {
        let bytes = reader.map(|reader| reader.join().unwrap());
        String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
    };
    Done {
        code,
        out: text(out),
        err: text(err),
    }
}

fn drain(mut stream: impl Read + Send + 'static) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

/// The exit code of a child; of one that a signal ended, -n.
pub fn exit_code(child: &mut Child) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status
                .code()
                .unwrap_or_else(|| -status.signal().unwrap_or(0));
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("a command hangs");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until something is so.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Sends a signal to a child of the test.
pub fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, signal).unwrap();
}

/// A command that has a pseudo terminal as its controlling terminal.
pub struct Terminal {
    master: OwnedFd,
    pub child: Child,
    seen: String,
}

impl Terminal {
    /// Starts `berth ARGUMENTS` in a terminal of 30 rows and 90 columns.
    pub fn start(berth: &Berth, arguments: &[&str]) -> Self {
        Self::start_command(&berth.command(arguments))
    }

    /// Starts a program in such a terminal.
    pub fn start_program(program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments);
        Self::start_command(&command)
    }

    /// setsid(1) makes the terminal the controlling one.
    fn start_command(inner: &Command) -> Self {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let open = || {
            std::fs::File::options()
                .read(true)
                .write(true)
                .open(name.to_str().unwrap())
                .unwrap()
        };
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait"]).arg(inner.get_program());
        command.args(inner.get_args());
        command.env("TERM", "dumb");
        command.stdin(open()).stdout(open()).stderr(open());
        let size = Winsize {
            ws_row: 30,
            ws_col: 90,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&master, size).unwrap();
        Self {
            child: command.spawn().unwrap(),
            master,
            seen: String::new(),
        }
    }

    /// Changes the size; the kernel tells the foreground processes.
    pub fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&self.master, size).unwrap();
    }

    /// Presses keys.
    pub fn press(&self, keys: &str) {
        let mut bytes = keys.as_bytes();
        while !bytes.is_empty() {
            let length = rustix::io::write(&self.master, bytes).unwrap();
            bytes = &bytes[length..];
        }
    }

    /// Waits until the terminal shows a text, and forgets what it showed up to there.
    pub fn expect(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            assert!(Instant::now() < deadline, "no {text:?} in {:?}", self.seen);
            assert!(
                self.read_some(),
                "no {text:?} before the end in {:?}",
                self.seen
            );
        }
    }

    /// Everything up to the end.
    pub fn rest(&mut self) -> String {
        while self.read_some() {}
        std::mem::take(&mut self.seen)
    }

    fn read_some(&mut self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut fds = [PollFd::new(&self.master, PollFlags::IN)];
        let pause = Timespec {
            tv_sec: 1,
            tv_nsec: 0,
        };
        if poll(&mut fds, Some(&pause)).unwrap() == 0 {
            return true;
        }
        let mut buffer = [0; 4096];
        match rustix::io::read(&self.master, &mut buffer) {
            Ok(length) if length > 0 => {
                self.seen
                    .push_str(&String::from_utf8_lossy(&buffer[..length]));
                true
            }
            // EIO: the last holder of the terminal is gone.
            _ => false,
        }
    }

    /// Takes the terminal away, as a closed window does.
    pub fn hang_up(self) -> Child {
        drop(self.master);
        self.child
    }
}

/// Whether a process exists and is no zombie.
pub fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(')')
        .next()
        .and_then(|rest| rest.trim().chars().next());
    state.is_some_and(|state| state != 'Z')
}
