//! A program in a pseudo terminal whose screen is read back.

use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};
use tempfile::TempDir;

/// How long anything may take on a loaded machine; shorter than whoever runs tests is patient, so
/// that the screen is told.
const PATIENCE: Duration = Duration::from_secs(45);

/// A terminal, and what runs in it.
pub struct Terminal {
    master: OwnedFd,
    /// The other end, so that it outlives the program and can be asked how it was left.
    slave: OwnedFd,
    pub child: Child,
    screen: vt100::Parser,
    before: Termios,
    _folder: TempDir,
}

/// How a program is started.
pub struct Start<'a> {
    pub arguments: &'a [&'a str],
    pub environment: &'a [(&'a str, &'a str)],
    pub columns: u16,
    pub rows: u16,
}

impl Default for Start<'_> {
    fn default() -> Self {
        Self {
            arguments: &["map", "--watch"],
            environment: &[],
            columns: 100,
            rows: 30,
        }
    }
}

/// `berth` with folders of its own and a known environment.
pub fn berth(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_berth"));
    command.arg("--root").arg(folder.join("root"));
    command.arg("--state").arg(folder.join("state"));
    command.env_clear().envs([
        ("TERM", "xterm-256color"),
        ("LANG", "C.UTF-8"),
        ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
    ]);
    command.current_dir(folder);
    command
}

impl Terminal {
    /// Starts `berth map --watch`, and waits until it shows something.
    pub fn watch(start: &Start) -> Self {
        let mut terminal = Self::start(start);
        terminal.wait_for("proc");
        terminal
    }

    pub fn start(start: &Start) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let open = || -> OwnedFd {
            let mut options = std::fs::File::options();
            let file = options.read(true).write(true).open(name.to_str().unwrap());
            file.unwrap().into()
        };
        let slave = open();
        let folder = tempfile::tempdir().unwrap();
        let inner = {
            let mut command = berth(folder.path());
            command.args(start.arguments);
            command
        };
        // setsid(1) makes the terminal the controlling one, and is gone by executing the program.
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(inner.get_program());
        command.args(inner.get_args()).env_clear();
        for (key, value) in inner.get_envs() {
            command.env(key, value.unwrap());
        }
        command.envs(start.environment.iter().copied());
        command.current_dir(folder.path());
        command.stdin(open()).stdout(open()).stderr(open());
        let before = tcgetattr(&slave).unwrap();
        let terminal = Self {
            screen: parser(start.rows, start.columns),
            child: command.spawn().unwrap(),
            master,
            slave,
            before,
            _folder: folder,
        };
        terminal.set_size(start.rows, start.columns);
        terminal
    }

    /// Changes the size; the kernel tells the foreground processes.
    pub fn resize(&mut self, rows: u16, columns: u16) {
        self.screen.screen_mut().set_size(size(rows), size(columns));
        self.set_size(rows, columns);
    }

    fn set_size(&self, rows: u16, columns: u16) {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&self.master, size).unwrap();
    }

    pub fn press(&self, keys: &str) {
        let mut bytes = keys.as_bytes();
        while !bytes.is_empty() {
            let length = rustix::io::write(&self.master, bytes).unwrap();
            bytes = &bytes[length..];
        }
    }

    /// What the screen shows.
    pub fn text(&self) -> String {
        self.screen.screen().contents()
    }

    /// Waits until the screen is as it should be.
    pub fn wait_until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < deadline, "no {what} in\n{}", self.text());
            self.read();
        }
    }

    /// Waits until the screen shows a text.
    pub fn wait_for(&mut self, text: &str) {
        self.wait_until(text, |terminal| terminal.text().contains(text));
    }

    /// Reads what the program has written within a moment.
    pub fn read(&mut self) {
        let mut fds = [PollFd::new(&self.master, PollFlags::IN)];
        let pause = Timespec {
            tv_sec: 0,
            tv_nsec: 50_000_000,
        };
        if poll(&mut fds, Some(&pause)).unwrap() == 0 {
            return;
        }
        let mut buffer = [0; 65536];
        let length = rustix::io::read(&self.master, &mut buffer).unwrap_or(0);
        self.screen.process(&buffer[..length]);
    }

    /// Waits for the end of the program, and reads what is left. Its exit code, or minus the
    /// signal.
    pub fn end(&mut self) -> i32 {
        use std::os::unix::process::ExitStatusExt as _;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.read();
                let signal = status.signal().map(|signal| -signal);
                return status.code().or(signal).unwrap();
            }
            assert!(
                Instant::now() < deadline,
                "it does not end:\n{}",
                self.text()
            );
            self.read();
        }
    }

    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The state letter of the program (proc_pid_stat(5)).
    pub fn state(&self) -> char {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        stat.rsplit(')')
            .next()
            .unwrap()
            .trim()
            .chars()
            .next()
            .unwrap()
    }

    /// Whether the terminal is the program's.
    pub fn is_taken(&self) -> bool {
        let modes = tcgetattr(&self.slave).unwrap().local_modes;
        self.screen.screen().alternate_screen()
            && self.screen.screen().hide_cursor()
            && !modes.contains(rustix::termios::LocalModes::ICANON)
    }

    /// Checks that the terminal is as it was before.
    pub fn check_left(&mut self) {
        self.read();
        let screen = self.screen.screen();
        assert!(!screen.alternate_screen(), "the alternate screen");
        assert!(!screen.hide_cursor(), "a hidden cursor");
        let mouse = screen.mouse_protocol_mode();
        assert_eq!(mouse, vt100::MouseProtocolMode::None);
        let attributes = screen.fgcolor() == vt100::Color::Default && !screen.inverse();
        assert!(attributes, "colours");
        let after = tcgetattr(&self.slave).unwrap();
        assert_eq!(format!("{after:?}"), format!("{:?}", self.before));
    }

    /// Takes the terminal away, as a closed window does.
    pub fn hang_up(self) -> Child {
        drop(self.slave);
        drop(self.master);
        self.child
    }

    /// The screen itself.
    pub fn screen(&self) -> &vt100::Screen {
        self.screen.screen()
    }
}

fn parser(rows: u16, columns: u16) -> vt100::Parser {
    vt100::Parser::new(size(rows), size(columns), 0)
}

fn size(cells: u16) -> NonZero<u16> {
    NonZero::new(cells).unwrap()
}
