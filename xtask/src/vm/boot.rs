//! The emulated machine: its command line, its two serial lines and its deadline.
//!
//! The kernel speaks on the first serial line, into a file; the tests speak on the second, to us.
//! One line for both would cut results in two whenever the kernel has something to say.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::report::Report;
use crate::exec;
use crate::failure::Outcome;

/// What to boot.
pub(super) struct Machine<'a> {
    /// The bzImage.
    pub(super) kernel: PathBuf,
    /// The first root.
    pub(super) initramfs: PathBuf,
    /// The second root.
    pub(super) disk: PathBuf,
    /// The program that the first root goes on to.
    pub(super) init: &'static str,
    /// Run only tests whose names contain this.
    pub(super) only: &'a str,
    /// Where the kernel's log goes.
    pub(super) console: PathBuf,
    /// From power on to power off; then the machine is ended.
    pub(super) deadline: Duration,
}

impl Machine<'_> {
    /// Boots, and reads what the tests say until the machine powers off or time is up.
    ///
    /// # Errors
    /// QEMU cannot be started.
    pub(super) fn run(&self) -> Outcome<Report> {
        let mut qemu = self.command();
        let mut child = qemu
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| exec::cannot_start(&qemu, &error))?;
        let lines = lines_of(child.stdout.take());
        let end = Instant::now() + self.deadline;
        let mut report = Report::default();
        loop {
            match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    println!("{line}");
                    report.take(&line);
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    report.out_of_time(self.deadline);
                    child
                        .kill()
                        .map_err(|error| exec::cannot_start(&qemu, &error))?;
                    break;
                }
            }
        }
        child
            .wait()
            .map_err(|error| exec::cannot_start(&qemu, &error))?;
        Ok(report)
    }

    fn command(&self) -> Command {
        let joined = |prefix: &str, path: &Path, suffix: &str| {
            let mut word = OsString::from(prefix);
            word.push(path);
            word.push(suffix);
            word
        };
        let mut qemu = Command::new("qemu-system-x86_64");
        // No KVM even where there is one: the same machine everywhere.
        qemu.args([
            "-accel",
            "tcg,thread=multi",
            "-cpu",
            "max",
            "-smp",
            "2",
            "-m",
            "1024",
        ]);
        qemu.args([
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-no-reboot",
        ]);
        qemu.arg("-kernel")
            .arg(&self.kernel)
            .arg("-initrd")
            .arg(&self.initramfs);
        qemu.arg("-drive")
            .arg(joined("if=virtio,format=raw,file=", &self.disk, ""));
        qemu.arg("-serial")
            .arg(joined("file:", &self.console, ""))
            .args(["-serial", "stdio"]);
        // panic=-1 and -no-reboot: a panic ends the machine at once. no_timer_check: the kernel tries
        // the timer of the IO-APIC for a moment, and panics where a busy host emulates it too slowly.
        let line = format!(
            "console=ttyS0 panic=-1 quiet loglevel=4 random.trust_cpu=on tsc=unstable \
             no_timer_check \
             systemd.unit=guest-tests.target systemd.show_status=0 systemd.log_level=warning \
             berth.init={} berth.only={}",
            self.init, self.only
        );
        qemu.arg("-append").arg(line);
        qemu
    }
}

/// The lines of a stream, through a thread, so that waiting for one can have a limit.
fn lines_of(stream: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let Some(stream) = stream else { return };
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line)
                .trim_end_matches('\r')
                .to_owned();
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
