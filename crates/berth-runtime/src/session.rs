//! Exec sessions: another process inside a running container.
//!
//! Who we are: `begin` runs in the monitor and clones a session stage. That one enters the
//! container's namespaces by pidfd and clones the session init with CLONE_PARENT, so that it is
//! the monitor's child and lives in the container's cgroups and PID namespace. The session init
//! gives up privilege by the same steps as PID 1, then supervises the program: orphans of the
//! session cannot reach a reaper outside their PID namespace.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use berth_base::protocol::Failure;
use berth_base::state::{MonitorConfig, RunFile};
use berth_base::{ErrorClass, HostPid, SessionId};
use berth_sys::{ArgVector, Clone3, Forked, exit_now};
use oci_spec::runtime::Spec;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, pidfd_send_signal};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::act::Context;
use crate::birth::Heard;
use crate::cgroup::{Cgroup, JoinDescriptors};
use crate::enter::{self, Entrance, Wish};
use crate::exec_request::ExecRequest;
use crate::filter::Filter;
use crate::init::{self, Prepared};
use crate::plan::{self, Program, Step};
use crate::stage::internal;
use crate::{birth, failure, stage, wire};

/// What the monitor knows when a client asks for a session.
pub(crate) struct SessionInput<'a> {
    pub(crate) config: &'a MonitorConfig,
    pub(crate) pid: Pid,
    pub(crate) pidfd: BorrowedFd<'a>,
    /// The JSON [`ExecRequest`].
    pub(crate) request: &'a [u8],
    /// It is a probe of the engine's making: without a terminal or input, so the monitor reads
    /// nothing of it.
    pub(crate) is_probe: bool,
}

/// A session whose stage is at work.
pub(crate) struct BegunSession {
    /// The session stage, our child.
    pub(crate) stage: OwnedFd,
    pub(crate) starter: OwnedFd,
    pub(crate) report: OwnedFd,
    pub(crate) stdin: Option<OwnedFd>,
    pub(crate) stdout: Option<OwnedFd>,
    pub(crate) stderr: Option<OwnedFd>,
    /// Nothing of a probe.
    pub(crate) about: Option<About>,
}

/// What is recorded of a session.
pub(crate) struct About {
    pub(crate) command: Vec<String>,
    pub(crate) user: String,
    pub(crate) terminal: bool,
    pub(crate) stdin: bool,
    pub(crate) detached: bool,
    pub(crate) ends_with_client: bool,
    pub(crate) id: Option<SessionId>,
}

/// What the monitor itself reads of a request. All of it is read in the child: the environment may
/// have megabytes, and the monitor lives long.
#[derive(Deserialize)]
struct Asked {
    process: AskedProcess,
    detach: bool,
    stdin: bool,
    user: Option<String>,
    #[serde(default)]
    ends_with_client: bool,
    id: Option<SessionId>,
}

#[derive(Deserialize)]
struct AskedProcess {
    terminal: Option<bool>,
    args: Option<Vec<String>>,
    user: AskedUser,
}

#[derive(Deserialize)]
struct AskedUser {
    uid: u32,
    gid: u32,
}

impl Asked {
    fn terminal(&self) -> bool {
        self.process.terminal.unwrap_or(false)
    }
}

impl From<Asked> for About {
    fn from(asked: Asked) -> Self {
        let AskedUser { uid, gid } = asked.process.user;
        Self {
            terminal: asked.terminal(),
            command: asked.process.args.unwrap_or_default(),
            user: asked.user.unwrap_or_else(|| format!("{uid}:{gid}")),
            stdin: asked.stdin,
            detached: asked.detach,
            ends_with_client: asked.ends_with_client,
            id: asked.id,
        }
    }
}

/// Makes the streams and clones the session stage.
pub(crate) fn begin(input: &SessionInput<'_>) -> Result<BegunSession, Failure> {
    let asked: Option<Asked> = match input.is_probe {
        true => None,
        false => Some(parse(input.request)?),
    };
    let terminal = asked.as_ref().is_some_and(Asked::terminal);
    let stdin = asked.as_ref().is_some_and(|asked| asked.stdin);
    let detach = asked.as_ref().is_some_and(|asked| asked.detach);
    let pairs = (|| {
        let starter = wire::pair()?;
        let report = wire::pair()?;
        let streams = if terminal {
            None
        } else {
            Some(Streams::open(stdin, detach)?)
        };
        Ok::<_, Errno>((starter, report, streams))
    })();
    let (starter, report, streams) =
        pairs.map_err(|e| internal("make the streams of a session", &e.into()))?;
    let (inside, outside) = match streams {
        None => (None, [None, None, None]),
        Some(streams) => (Some(streams.inside), streams.outside),
    };
    let stage = match Clone3::default().run() {
        Ok(Forked::Child) => {
            drop((starter.0, report.0, outside));
            let session = Session {
                input,
                monitor: starter.1,
                report: report.1,
            };
            exit_now(i32::from(session.run(inside).is_err()))
        }
        Ok(Forked::Parent { pidfd, .. }) => pidfd,
        Err(errno) => return Err(internal("clone a session", &errno.into())),
    };
    drop(inside);
    let [stdin, stdout, stderr] = outside;
    Ok(BegunSession {
        stage,
        starter: starter.0,
        report: report.0,
        stdin,
        stdout,
        stderr,
        about: asked.map(About::from),
    })
}

fn parse<T: DeserializeOwned>(request: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(request).map_err(|e| {
        failure::engine(
            ErrorClass::Invalid,
            format!("cannot parse the exec request: {e}"),
        )
    })
}

/// The pipes of a session without a terminal.
struct Streams {
    inside: [OwnedFd; 3],
    outside: [Option<OwnedFd>; 3],
}

impl Streams {
    fn open(wants_stdin: bool, detach: bool) -> Result<Self, Errno> {
        // by path: the host's; no namespace has been entered
        let null = || rustix::fs::open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
        let (stdin, to_stdin) = if wants_stdin {
            let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
            wire::set_nonblocking(write.as_fd())?;
            (read, Some(write))
        } else {
            (null()?, None)
        };
        let output = || {
            if detach {
                return Ok((null()?, None));
            }
            let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
            wire::set_nonblocking(read.as_fd())?;
            Ok::<_, Errno>((write, Some(read)))
        };
        let (stdout, from_stdout) = output()?;
        let (stderr, from_stderr) = output()?;
        Ok(Self {
            inside: [stdin, stdout, stderr],
            outside: [to_stdin, from_stdout, from_stderr],
        })
    }
}

/// The session stage.
struct Session<'a> {
    input: &'a SessionInput<'a>,
    monitor: OwnedFd,
    report: OwnedFd,
}

impl Session<'_> {
    fn run(self, streams: Option<[OwnedFd; 3]>) -> Result<(), ()> {
        let monitor = self.monitor.try_clone().map_err(drop)?;
        let request = parse::<ExecRequest>(self.input.request);
        let Err(failure) = request.and_then(|request| self.start(&request, streams)) else {
            return Ok(());
        };
        wire::send_failure(monitor.as_fd(), failure).map_err(drop)?;
        Err(())
    }

    fn start(self, request: &ExecRequest, streams: Option<[OwnedFd; 3]>) -> Result<(), Failure> {
        // Whom we clone has it of us; afterwards our files in /proc are no longer ours.
        if let Some(score) = request.process.oom_score_adj() {
            birth::set_oom_score(own_pid()?, score)?;
        }
        // Before anything of the container can see us (CVE-2016-9962).
        stage::forbid_tracing()?;
        let run = self.run_file()?;
        let doors = doors(&run)?;
        let filter = self.filter(request, &run)?;
        let process = &request.process;
        let made = &run.made_namespaces;
        let entered = enter::enter(self.input.pid, self.input.pidfd, process, made)?;
        let wish = Wish {
            process,
            linux: None,
            seccomp: request.seccomp,
            size: request.size,
            streams: plan::Streams::Pipes,
        };
        let Entrance { slots, steps, .. } = enter::steps(entered, &wish)?;
        let program =
            plan::program(process, true).map_err(|e| failure::engine(e.class(), e.to_string()))?;
        let (ours, theirs) = wire::pair().map_err(|e| internal("make a socket pair", &e.into()))?;
        let prepared = Prepared {
            steps: &steps,
            argv: ArgVector::new(program.argv.clone()),
            env: ArgVector::new(program.env.clone()),
            program: &program,
            streams,
            first_closed: 3,
            report: Some(self.report),
        };
        let mut context = Context::new(slots.len(), theirs.as_fd());
        context.fill(slots);
        context.tasks = &doors.v1;
        context.filter = filter.as_ref().map(Filter::loadable);
        let mut clone = Clone3::default().sibling();
        if let Some(directory) = &doors.v2 {
            clone = clone.into_cgroup(directory.as_fd());
        }
        let pidfd = match clone.run() {
            Ok(Forked::Child) => init::run(&prepared, &mut context),
            Ok(Forked::Parent { pidfd, .. }) => pidfd,
            Err(errno) => return Err(internal("clone the session's init", &errno.into())),
        };
        drop(context);
        drop(prepared);
        drop(theirs);
        accompany(
            self.monitor.as_fd(),
            ours.as_fd(),
            pidfd.as_fd(),
            &steps,
            &program,
        )
    }

    fn run_file(&self) -> Result<RunFile, Failure> {
        let path = self.input.config.volatile_dir.join("run.json");
        // by path: a state folder
        let text = berth_persist::read(&path).map_err(|e| internal("read run.json", &e))?;
        serde_json::from_slice(&text).map_err(|e| internal("parse run.json", &e.into()))
    }

    /// The container's own seccomp filter. Where `run.json` does not name it, or the cache has
    /// lost it, the spec has the profile.
    fn filter(&self, request: &ExecRequest, run: &RunFile) -> Result<Option<Filter>, Failure> {
        if !request.seccomp {
            return Ok(None);
        }
        let config = self.input.config;
        let kept = run.filter.as_deref();
        if let Some(filter) = kept.and_then(|name| Filter::kept(name, &config.cache_dir)) {
            return Ok(Some(filter));
        }
        // by path: a state folder
        let text = berth_persist::read(&config.spec).map_err(|e| internal("read the spec", &e))?;
        let spec: Spec =
            serde_json::from_slice(&text).map_err(|e| internal("parse the spec", &e.into()))?;
        let Some(profile) = spec.linux().as_ref().and_then(|l| l.seccomp().as_ref()) else {
            return Ok(None);
        };
        Filter::without_agent(profile, &config.cache_dir).map(Some)
    }
}

/// The container's cgroups.
fn doors(run: &RunFile) -> Result<JoinDescriptors, Failure> {
    Cgroup::open_existing(&run.cgroups)
        .and_then(|cgroup| cgroup.join_descriptors_beside(run.init.pid))
        .map_err(|e| failure::engine(e.class(), e.to_string()))
}

fn own_pid() -> Result<HostPid, Failure> {
    let pid = u32::try_from(rustix::process::getpid().as_raw_pid()).ok();
    pid.and_then(HostPid::new)
        .ok_or_else(|| internal("tell the session's PID", &std::io::ErrorKind::Other.into()))
}

/// From the clone to execve.
fn accompany(
    monitor: BorrowedFd<'_>,
    init: BorrowedFd<'_>,
    pidfd: BorrowedFd<'_>,
    steps: &[Step],
    program: &Program,
) -> Result<(), Failure> {
    let begun = birth::introduce(monitor, pidfd)
        .and_then(|()| birth::listen(monitor, init, steps, program, |_, _| Ok(Heard::No)))
        .and_then(|()| {
            wire::send_byte(monitor, wire::RUNNING)
                .map_err(|e| internal("tell the monitor that the session runs", &e.into()))
        });
    if begun.is_err() {
        birth::let_end(pidfd);
    }
    if begun.is_err() && pidfd_send_signal(pidfd, Signal::KILL) == Err(Errno::PERM) {
        return Err(internal("end the failed session", &Errno::PERM.into()));
    }
    begun
}
