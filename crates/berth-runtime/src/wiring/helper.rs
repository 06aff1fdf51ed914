//! The program that carries a container's packets where its user has no privilege, and its warden.
//!
//! Such a program (pasta, slirp4netns) has a socket on the host for each connection and a tap inside.
//! It holds the container's network namespace, knows nothing of the container's end, and nobody could
//! be sure to end it: monitor and keeper may be killed, and PR_SET_PDEATHSIG is lost when a program
//! changes its credentials. So it lives in a PID namespace of its own, whose PID 1 is the *warden*: a
//! fork of the stage that holds nothing but a pidfd of the container's first process and ends with
//! it. The kernel then kills whatever is left in there (pid_namespaces(7)).
//!
//! Who we are: the stage of a user without privilege; the *usher*, its sibling, which enters the
//! container's user namespace, since only there may it make a PID namespace; the warden, which the
//! usher makes a child of the monitor; the program. All but the stage are in the container's user
//! namespace and in none of its others. The container sees none of them.

use std::ffi::CString;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

use berth_base::HostPid;
use berth_base::state::{NetworkHelper, Readiness};
use berth_sys::signal::{self, SignalFd};
use berth_sys::{
    ArgVector, Clone3, Forked, close_from, close_on_exec_from, execve, exit_now, inherited,
    place_at,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    DumpableBehavior, Pid, Signal, WaitOptions, WaitStatus, fchdir, set_dumpable_behavior, wait,
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space, set_name, set_no_new_privs};

use super::WiringError;
use crate::act::terminal::send_descriptor;
use crate::{namespaces, wire};

/// How long the program may take until the container is connected.
const PATIENCE_S: u64 = 20;
/// How much of what it says is kept.
const WORDS: usize = 4096;

/// The doors to a container's namespaces, opened while its first process can still be looked at.
pub(crate) struct Entrance {
    user: OwnedFd,
    network: OwnedFd,
}

impl Entrance {
    /// Opens them. Later the first process forbids tracing, and with that this.
    pub(crate) fn open(pid: HostPid) -> Result<Self, WiringError> {
        let open = |kind: &str| -> Result<OwnedFd, WiringError> {
            // by path: procfs of the host
            let file = File::open(format!("/proc/{pid}/ns/{kind}")).map_err(WiringError::Enter)?;
            Ok(file.into())
        };
        Ok(Self {
            user: open("user")?,
            network: open("net")?,
        })
    }
}

/// A program that was started, with its warden.
pub(crate) struct Started<'a> {
    helper: &'a NetworkHelper,
    folder: &'a Path,
    /// Ends when the program is no more.
    pub(crate) warden: HostPid,
    /// A byte when it is ready; the end when it will never be.
    ready: OwnedFd,
    /// Its standard error.
    words: OwnedFd,
}

/// What warden and program are given.
struct Outfit {
    entrance: Entrance,
    init: OwnedFd,
    null: OwnedFd,
    folder: OwnedFd,
    /// Our ends and theirs: the byte, the words.
    ready: (OwnedFd, OwnedFd),
    words: (OwnedFd, OwnedFd),
    program: CString,
    argv: ArgVector,
    env: ArgVector,
}

/// Starts the program for the container whose first process is behind `init`.
///
/// # Errors
/// The kernel refuses a process or a namespace.
pub(crate) fn start<'a>(
    helper: &'a NetworkHelper,
    entrance: Entrance,
    folder: &'a Path,
    init: BorrowedFd<'_>,
) -> Result<Started<'a>, WiringError> {
    let failed = |what: &'static str| {
        move |errno: Errno| WiringError::Helper {
            name: helper.name.clone(),
            why: format!("cannot {what}: {errno}"),
        }
    };
    let outfit = outfit(helper, entrance, folder, init).map_err(failed("prepare its start"))?;
    let (ours, theirs) = wire::pair().map_err(failed("make a socket pair"))?;
    match Clone3::default()
        .sibling()
        .run()
        .map_err(failed("clone a process"))?
    {
        Forked::Child => exit_now(usher(helper, &outfit, &theirs)),
        Forked::Parent { .. } => drop(theirs),
    }
    let (packet, length, pidfd) = wire::receive(ours.as_fd()).map_err(failed("hear of it"))?;
    let warden = pidfd
        .as_ref()
        .and_then(wire::pid_of)
        .and_then(|pid| HostPid::new(pid.as_raw_nonzero().get().unsigned_abs()));
    let Some(warden) = warden else {
        let errno = match packet.get(1..length).and_then(<[u8]>::first_chunk::<4>) {
            Some(raw) => Errno::from_raw_os_error(i32::from_ne_bytes(*raw)),
            None => Errno::CHILD,
        };
        return Err(failed("give it a PID namespace")(errno));
    };
    Ok(Started {
        helper,
        folder,
        warden,
        ready: outfit.ready.0,
        words: outfit.words.0,
    })
}

fn outfit(
    helper: &NetworkHelper,
    entrance: Entrance,
    folder: &Path,
    init: BorrowedFd<'_>,
) -> Result<Outfit, Errno> {
    let text = |bytes: &[u8]| CString::new(bytes).map_err(|_| Errno::INVAL);
    let mut argv = vec![text(helper.name.as_bytes())?];
    for argument in &helper.arguments {
        argv.push(text(argument.as_bytes())?);
    }
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    // by path: a state folder
    let folder = rustix::fs::open(folder, flags, Mode::empty())?;
    if helper.arguments.iter().any(|a| a == NetworkHelper::API) {
        match rustix::fs::unlinkat(&folder, NetworkHelper::API, rustix::fs::AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error),
        }
    }
    // by path: a device of the host
    let null = rustix::fs::open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    Ok(Outfit {
        entrance,
        init: rustix::io::fcntl_dupfd_cloexec(init, 3)?,
        null,
        folder,
        ready: pipe_with(PipeFlags::CLOEXEC)?,
        // A program that goes on talking with nobody to read must not wait for that.
        words: pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?,
        program: text(helper.program.as_os_str().as_bytes())?,
        argv: ArgVector::new(argv),
        env: ArgVector::new(Vec::new()),
    })
}

/// The usher: into the user namespace, then the warden, whose pidfd the stage gets.
fn usher(helper: &NetworkHelper, outfit: &Outfit, stage: &OwnedFd) -> i32 {
    let user = Some(LinkNameSpaceType::User);
    let made = move_into_link_name_space(outfit.entrance.user.as_fd(), user).and_then(|()| {
        Clone3::default()
            .namespaces(namespaces::NEW_PID)
            .sibling()
            .run()
    });
    match made {
        Ok(Forked::Child) => exit_now(match warden(helper, outfit) {
            Ok(()) => 0,
            Err(_) => 1,
        }),
        Ok(Forked::Parent { pidfd, .. }) => {
            i32::from(send_descriptor(stage.as_fd(), wire::WARDEN, pidfd.as_fd()).is_err())
        }
        Err(errno) => {
            let mut packet = [wire::FAILED; 5];
            packet[1..].copy_from_slice(&errno.raw_os_error().to_ne_bytes());
            let flags = rustix::net::SendFlags::NOSIGNAL;
            i32::from(rustix::net::send(stage, &packet, flags).is_err())
        }
    }
}

/// What the warden keeps open, by number.
const INIT: i32 = 3;
const READY: i32 = 4;
const SIGNALS: i32 = 5;
const READER: i32 = 6;

/// The warden: starts the program, passes on that it is ready, and ends with the container, or with
/// the last process of the program.
fn warden(helper: &NetworkHelper, outfit: &Outfit) -> Result<(), Errno> {
    set_name(c"berth-network")?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let signals = SignalFd::new(&[Signal::CHILD.as_raw()])
        .map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
    let first = match Clone3::default().run()? {
        Forked::Child => exit_now(execute(outfit)),
        Forked::Parent { pid, .. } => pid,
    };
    // The reader's end stays open, so that the program gets no SIGPIPE for its words.
    renumber(&[
        (outfit.init.as_fd(), INIT),
        (outfit.ready.1.as_fd(), READY),
        (signals.as_fd(), SIGNALS),
        (outfit.words.0.as_fd(), READER),
    ])?;
    close_from(READER.unsigned_abs() + 1)?;
    let (Some(init), Some(signals)) = (inherited(INIT), inherited(SIGNALS)) else {
        return Err(Errno::BADF);
    };
    let mut ready = match helper.readiness {
        Readiness::Background => inherited(READY),
        // The program has its own.
        Readiness::Byte => {
            drop(inherited(READY));
            None
        }
    };
    loop {
        let mut polled = [
            PollFd::new(&init, PollFlags::IN),
            PollFd::new(&signals, PollFlags::IN),
        ];
        match poll(&mut polled, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
        if !polled[0].revents().is_empty() {
            return Ok(());
        }
        drain(&signals);
        reap(first, &mut ready)?;
    }
}

/// Reaps what has ended. With the last one there is nothing to guard any more.
fn reap(first: Pid, ready: &mut Option<OwnedFd>) -> Result<(), Errno> {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == first => went_away(status, ready)?,
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// The process that was executed has ended: for one that goes into the background, its answer.
fn went_away(status: WaitStatus, ready: &mut Option<OwnedFd>) -> Result<(), Errno> {
    match ready.take() {
        Some(ready) if status.exit_status() == Some(0) => rustix::io::write(&ready, b"1").map(drop),
        Some(_) => Err(Errno::CHILD),
        None => Ok(()),
    }
}

fn drain(signals: &OwnedFd) {
    let mut buffer = [0; 1024];
    while rustix::io::read(signals, &mut buffer).is_ok_and(|length| length > 0) {}
}

/// Moves descriptors to fixed numbers, in their order.
fn renumber(fixed: &[(BorrowedFd<'_>, i32)]) -> Result<(), Errno> {
    /// Sources may sit at the very numbers that are about to be filled: up with them first.
    const ABOVE: i32 = 16;
    let mut moved = Vec::with_capacity(fixed.len());
    for (source, number) in fixed {
        moved.push((rustix::io::fcntl_dupfd_cloexec(source, ABOVE)?, *number));
    }
    for (source, number) in &moved {
        place_at(source.as_fd(), *number)?;
    }
    Ok(())
}

/// In the program's process: its descriptors, its folder, itself. Returns on failure.
fn execute(outfit: &Outfit) -> i32 {
    let ready_to = || -> Result<(), Errno> {
        fchdir(&outfit.folder)?;
        renumber(&[
            (outfit.null.as_fd(), 0),
            (outfit.null.as_fd(), 1),
            (outfit.words.1.as_fd(), 2),
            (outfit.ready.1.as_fd(), NetworkHelper::READY),
            (outfit.entrance.network.as_fd(), NetworkHelper::NAMESPACE),
        ])?;
        close_on_exec_from(NetworkHelper::NAMESPACE.unsigned_abs() + 1)?;
        signal::reset_all();
        signal::unblock_all().map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
        set_no_new_privs(true)
    };
    let errno = match ready_to() {
        Ok(()) => execve(&outfit.program, &outfit.argv, &outfit.env),
        Err(errno) => errno,
    };
    let text = format!("it cannot be executed: {errno}\n");
    if rustix::io::write(&outfit.words.1, text.as_bytes()).is_err() {
        // Its code says as much.
    }
    127
}

impl Started<'_> {
    /// Waits until the container is connected.
    ///
    /// # Errors
    /// It is not, with what the program said.
    pub(crate) fn finish(self) -> Result<(), WiringError> {
        let mut said = Vec::new();
        if !self.is_ready(&mut said) {
            return Err(self.failed(&words_of(&said)));
        }
        for request in &self.helper.requests {
            let answer = self.ask(request).map_err(|e| self.failed(&e.to_string()))?;
            if answer.contains("\"error\"") {
                return Err(self.failed(&format!("{} to {request}", answer.trim())));
            }
        }
        Ok(())
    }

    fn failed(&self, why: &str) -> WiringError {
        WiringError::Helper {
            name: self.helper.name.clone(),
            why: match why.trim() {
                "" => "it ended without a word".to_owned(),
                why => why.to_owned(),
            },
        }
    }

    /// Hears the program out until it is ready, or never will be.
    fn is_ready(&self, said: &mut Vec<u8>) -> bool {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(PATIENCE_S);
        loop {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            let mut polled = [
                PollFd::new(&self.ready, PollFlags::IN),
                PollFd::new(&self.words, PollFlags::IN),
            ];
            let limit = Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(0),
                tv_nsec: i64::from(left.subsec_nanos()),
            };
            match poll(&mut polled, Some(&limit)) {
                Ok(0) => {
                    said.extend_from_slice(b"it is not ready after 20 seconds");
                    return false;
                }
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return false,
            }
            let is_over = polled[0].revents() != PollFlags::empty();
            self.listen(said);
            if is_over {
                return rustix::io::read(&self.ready, &mut [0]) == Ok(1);
            }
            if polled[1].revents() == PollFlags::HUP {
                // Nobody says anything any more; the byte, or the end, is on its way.
                let mut polled = [PollFd::new(&self.ready, PollFlags::IN)];
                return matches!(poll(&mut polled, Some(&limit)), Ok(1))
                    && rustix::io::read(&self.ready, &mut [0]) == Ok(1);
            }
        }
    }

    /// Reads what there is.
    fn listen(&self, said: &mut Vec<u8>) {
        let mut buffer = [0; 1024];
        while let Ok(length) = rustix::io::read(&self.words, &mut buffer) {
            if length == 0 {
                return;
            }
            let room = WORDS.saturating_sub(said.len()).min(length);
            said.extend_from_slice(buffer.get(..room).unwrap_or_default());
        }
    }

    /// One request to the program's socket, by way of its folder's descriptor: a path may be longer
    /// than sun_path (unix(7)).
    fn ask(&self, request: &str) -> std::io::Result<String> {
        use std::io::Write as _;
        // by path: a state folder
        let folder = File::open(self.folder)?;
        let path = format!(
            "/proc/self/fd/{}/{}",
            folder.as_raw_fd(),
            NetworkHelper::API
        );
        // by path: procfs, to the folder's descriptor
        let mut socket = UnixStream::connect(path)?;
        let patience = Some(std::time::Duration::from_secs(PATIENCE_S));
        socket.set_read_timeout(patience)?;
        socket.write_all(request.as_bytes())?;
        socket.shutdown(std::net::Shutdown::Write)?;
        let mut answer = String::new();
        socket.take(64 * 1024).read_to_string(&mut answer)?;
        Ok(answer)
    }
}

/// What matters of what a program said: pasta complains of a missing syslog line by line.
fn words_of(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let complains = |line: &str| line.starts_with("Failed to send") && line.ends_with("syslog");
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !complains(line));
    let text = lines.collect::<Vec<_>>().join("; ");
    berth_base::escape_untrusted(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_of_a_missing_syslog_are_left_out() {
        let said = b"Failed to send 34 bytes to syslog\nNo external routable interface for IPv4\n\nExternal interface not usable\nFailed to send 7 bytes to syslog\n";
        assert_eq!(
            words_of(said),
            "No external routable interface for IPv4; External interface not usable"
        );
        assert_eq!(words_of(b"\x1b[2J"), "\\x1b[2J");
    }
}
