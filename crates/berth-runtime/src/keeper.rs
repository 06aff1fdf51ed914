//! The keeper: subreaper of one container, and the monitor's understudy.
//!
//! Who we are: the process that `launch` started, in a session and a cgroup of our own, executed
//! from a read-only mount. We hold a duplicate of every descriptor that must outlive the monitor
//! and wait. If the monitor dies, its children become ours, and we turn into the monitor.

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

use berth_base::protocol;
use berth_base::state::MonitorConfig;
use berth_base::{ErrorClass, HostPid};
use berth_sys::{Clone3, Forked, exit_now, inherited, reopen, signal};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, bind, listen, send,
    socket_with,
};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, set_child_subreaper, setsid, wait};

use crate::failure;
use crate::monitor::{Begun, Ended, Household, Monitor, encode};
use crate::stage::{self, StageInput};
use crate::wire;

/// The number of the launch connection.
pub(crate) const LAUNCH: i32 = 3;
/// The number of the open monitor.json.
pub(crate) const CONFIG: i32 = 4;
/// The number of the first of the descriptors that are only held.
pub(crate) const HELD: i32 = 5;

/// Why a keeper or a monitor could not go on. Who launched it is told, as long as he listens.
type Broken = Box<dyn std::error::Error>;

/// Runs the keeper; returns the exit code of the process.
pub fn main() -> i32 {
    // A limit on the length of files is the container's; logs that have no more room are counted.
    signal::ignore_file_size();
    let mut launcher = inherited(LAUNCH);
    match keep(&mut launcher) {
        Ok(()) => 0,
        Err(error) => {
            refuse(launcher.as_ref(), &*error);
            1
        }
    }
}

/// Tells who launched us why there will be no container. Without one left to tell, nobody hears.
fn refuse(launcher: Option<&OwnedFd>, error: &dyn std::error::Error) {
    let message = format!("the container's monitor cannot begin: {error}");
    if let Some(launcher) = launcher {
        send(launcher, &refusal(message), SendFlags::NOSIGNAL).ok();
    }
}

/// The packet that says why nothing was started.
pub(crate) fn refusal(message: String) -> Vec<u8> {
    let failure = failure::engine(ErrorClass::Unavailable, message);
    let mut packet = vec![protocol::FAILED];
    packet.extend(encode(&failure));
    packet
}

/// The container's and our own side of the streams.
struct Streams {
    inside: Option<[OwnedFd; 3]>,
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
}

/// `launcher` is ours to tell of a failure until the monitor has it.
fn keep(launcher: &mut Option<OwnedFd>) -> Result<(), Broken> {
    let config = inherited(CONFIG).ok_or("no configuration")?;
    let mut json = Vec::new();
    std::fs::File::from(config).read_to_end(&mut json)?;
    let config: MonitorConfig = serde_json::from_slice(&json)?;
    drop(json);
    // Until the container has ended, by keeper and monitor, each with its own copy.
    let held: Vec<OwnedFd> = (HELD..)
        .zip(0..config.held)
        .filter_map(|(number, _)| inherited(number))
        .collect();
    if setsid().is_err() {
        // Already the leader of a session of its own.
    }
    rustix::process::chdir(c"/")?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    set_child_subreaper(Some(rustix::process::getpid()))?;
    let listener = listen_below(&config)?;
    let streams = open_streams(&config)?;
    let (ours, theirs) = wire::pair()?;
    let me = host_pid()?;
    match Clone3::default().run()? {
        Forked::Child => {
            drop(ours);
            let house = Household {
                config,
                listener,
                stdout: streams.stdout,
                stderr: streams.stderr,
                held,
            };
            let streams = (streams.inside, streams.stdin);
            let code = match monitor(house, launcher, theirs, me, streams) {
                Ok(ended) => finish(&ended),
                Err(error) => {
                    refuse(launcher.as_ref(), &*error);
                    1
                }
            };
            exit_now(code)
        }
        Forked::Parent { pid, pidfd } => {
            drop((
                launcher.take(),
                theirs,
                pidfd,
                streams.inside,
                streams.stdin,
            ));
            let house = Household {
                config,
                listener,
                stdout: streams.stdout,
                stderr: streams.stderr,
                held,
            };
            watch(house, &ours, pid)
        }
    }
}

/// The monitor's process: clones the stage, then serves.
fn monitor(
    house: Household,
    launcher: &mut Option<OwnedFd>,
    keeper: OwnedFd,
    keeper_pid: HostPid,
    (inside, stdin): (Option<[OwnedFd; 3]>, Option<OwnedFd>),
) -> Result<Ended, Broken> {
    rustix::thread::set_name(c"berth-monitor")?;
    let config = house.config.clone();
    let mut monitor = Monitor::new(house, Some(keeper))?;
    let (to_stage, to_monitor) = wire::pair()?;
    let (reports, reporter) = wire::pair()?;
    match Clone3::default().run()? {
        Forked::Child => {
            drop(to_stage);
            // Whoever hears that the start failed may take the ports, while we are still ending.
            monitor.close_ports_of_mine();
            let input = StageInput {
                config: &config,
                monitor: to_monitor,
                streams: inside,
                report: reporter,
                keeper: keeper_pid,
            };
            exit_now(i32::from(stage::run(input).is_err()))
        }
        Forked::Parent { pidfd, .. } => drop((pidfd, inside, to_monitor, reporter)),
    }
    monitor.begin(
        launcher.take().ok_or("no launch connection")?,
        Begun {
            stage: to_stage,
            report: reports,
            stdin,
        },
    );
    Ok(monitor.run())
}

/// What the keeper was given to hold.
#[derive(Default)]
struct Held {
    init: Option<(Pid, OwnedFd)>,
    terminal: Option<OwnedFd>,
}

/// Waits for the monitor's end, and takes over unless it was the container's end too.
fn watch(mut house: Household, monitor: &OwnedFd, monitor_pid: Pid) -> Result<(), Broken> {
    rustix::thread::set_name(c"berth-keeper")?;
    let mut held = Held::default();
    loop {
        let (packet, length, descriptor) = match wire::receive(monitor.as_fd()) {
            Ok(received) => received,
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        match (packet.get(..length), descriptor) {
            (Some([wire::DONE, ..]), _) => return Ok(()),
            (Some([wire::RELEASE, ..]), _) => {
                house.held.clear();
                if wire::send_byte(monitor.as_fd(), wire::RELEASE).is_err() {
                    // It died; that is heard next.
                }
            }
            (Some([wire::INIT, ..]), Some(pidfd)) => {
                held.init = wire::pid_of(&pidfd).map(|pid| (pid, pidfd));
            }
            (Some([wire::TERMINAL, ..]), Some(master)) => held.terminal = Some(master),
            (Some([]), _) => break,
            _ => {}
        }
    }
    take_over(house, held, monitor_pid)
}

/// The monitor died. Its children are ours now, or never came to life.
fn take_over(house: Household, held: Held, monitor_pid: Pid) -> Result<(), Broken> {
    let Some((pid, pidfd)) = held.init else {
        // The stage notices as well, kills what it cloned and goes away.
        while !matches!(wait(WaitOptions::empty()), Err(Errno::CHILD)) {}
        return Ok(());
    };
    debug_assert_ne!(pid, monitor_pid);
    rustix::thread::set_name(c"berth-monitor")?;
    let mut monitor = Monitor::new(house, None)?;
    monitor.adopt(pid, pidfd, held.terminal);
    match finish(&monitor.run()) {
        0 => Ok(()),
        _ => Err("cannot execute the engine".into()),
    }
}

/// Executes the engine in our place, if it is needed.
fn finish(ended: &Ended) -> i32 {
    use std::os::unix::process::CommandExt;
    let Some((program, arguments)) = ended.then_execute.split_first() else {
        return 0;
    };
    if signal::unblock_all().is_err() {
        return 1;
    }
    // Returns only when it failed; `recover` then finds the container as it is.
    // by path: what the engine asked for in monitor.json
    drop(std::process::Command::new(program).args(arguments).exec());
    1
}

/// The socket that later clients use, mode 0600, reached through the folder's descriptor so
/// that its path may exceed the 108 bytes of sun_path (unix(7)).
fn listen_below(config: &MonitorConfig) -> Result<OwnedFd, Broken> {
    use std::os::fd::AsRawFd;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(&config.volatile_dir, flags, Mode::empty())?;
    match rustix::fs::unlinkat(&folder, c"monitor.sock", rustix::fs::AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let path = format!("/proc/self/fd/{}/monitor.sock", folder.as_raw_fd());
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    let before = rustix::process::umask(Mode::from_raw_mode(0o177));
    let bound = bind(&socket, &SocketAddrUnix::new(path)?);
    rustix::process::umask(before);
    bound?;
    listen(&socket, 64)?;
    Ok(socket)
}

/// The streams of the first process, as far as they exist before it: a terminal comes later,
/// from the container's own devpts.
fn open_streams(config: &MonitorConfig) -> Result<Streams, Broken> {
    if config.stdio.terminal {
        return Ok(Streams {
            inside: None,
            stdin: None,
            stdout: None,
            stderr: None,
        });
    }
    let (stdin_inside, stdin) = if config.stdio.stdin {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        wire::set_nonblocking(write.as_fd())?;
        (read, Some(write))
    } else {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        (rustix::fs::open(c"/dev/null", flags, Mode::empty())?, None)
    };
    let (stdout, stdout_inside) = output_pipe()?;
    let (stderr, stderr_inside) = output_pipe()?;
    Ok(Streams {
        inside: Some([stdin_inside, stdout_inside, stderr_inside]),
        stdin,
        stdout: Some(stdout),
        stderr: Some(stderr),
    })
}

/// A pipe whose inner end is open for reading too: even with monitor and keeper gone nobody in
/// the container gets SIGPIPE.
fn output_pipe() -> Result<(OwnedFd, OwnedFd), Broken> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    wire::set_nonblocking(read.as_fd())?;
    let inside = reopen(write.as_fd(), OFlags::RDWR)?;
    Ok((read, inside))
}

fn host_pid() -> Result<HostPid, Broken> {
    let pid = rustix::process::getpid().as_raw_nonzero().get();
    Ok(u32::try_from(pid)
        .ok()
        .and_then(HostPid::new)
        .ok_or("no PID")?)
}
