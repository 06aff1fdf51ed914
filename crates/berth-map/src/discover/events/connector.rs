//! The process connector: fork, exec and exit by netlink (linux/cn_proc.h).
//!
//! It needs CAP_NET_ADMIN before 6.6 and nothing since, but always the initial user, PID and
//! network namespace: the kernel answers nobody else. It tells of threads, from which the ends of
//! processes are made here, and no names, which are read from procfs if the process still lives.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use berth_base::HostPid;
use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recvfrom, send,
    socket_with, sockopt,
};

use super::super::bpf::own_pid_namespace;
use super::super::parse::parse_stat;
use super::super::proc_root::read_file;
use super::super::{ProcRoot, Sources};
use super::clock::Clock;
use super::message::{Message, PROC, Request, Task, What};
use super::record::exit;
use crate::live::{BootTime, Event, EventKind, Exit};

/// Room for messages, in bytes as the kernel counts them: about a thousand bytes each.
const ROOM: usize = 4 * 1024 * 1024;

/// No message of the connector is longer.
const LONGEST: usize = 1024;

/// Messages that are read in one drain, so that it ends while they keep coming.
const MAX_MESSAGES: usize = 32 * 1024;

/// Why the connector cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Mute {
    /// Its PIDs are not those of the procfs.
    #[error("the procfs is not that of the reader's own PID namespace")]
    OtherProcfs,
    /// The kernel has none, or refuses.
    #[error(
        "cannot {what} the process connector: {source} (before Linux 6.6 it needs CAP_NET_ADMIN: run as root)"
    )]
    Refused {
        /// What was tried.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// It says nothing.
    #[error(
        "the process connector does not answer: it speaks to the initial user, PID and network namespace alone, and needs CONFIG_PROC_EVENTS"
    )]
    NoAnswer,
}

/// A socket that the connector speaks to.
pub(super) struct Connector {
    socket: OwnedFd,
    proc: ProcRoot,
    clock: Clock,
    /// What is expected of every processor.
    next: BTreeMap<u32, Next>,
    /// Messages were lost, behind those that can still be read.
    is_overrun: bool,
    /// Processes whose first thread ended before others: how and when.
    dying: BTreeMap<HostPid, (Exit, BootTime)>,
}

/// What is expected of a processor.
struct Next {
    /// The number of its next message.
    number: u32,
    /// Messages were lost before it, if the number is another.
    has_gap: bool,
}

impl Connector {
    /// Asks to be told.
    pub(super) fn open(sources: &Sources) -> Result<Self, Mute> {
        own_pid_namespace(&sources.proc).ok_or(Mute::OtherProcfs)?;
        let refused = |what| {
            move |errno: Errno| Mute::Refused {
                what,
                source: errno.into(),
            }
        };
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            Some(netlink::CONNECTOR),
        );
        let socket = socket.map_err(refused("make a socket for"))?;
        // Without privilege for more, what everybody may have has to do.
        sockopt::set_socket_recv_buffer_size_force(&socket, ROOM)
            .or_else(|_| sockopt::set_socket_recv_buffer_size(&socket, ROOM))
            .ok();
        // The mask of the one group that is wanted.
        let address = SocketAddrNetlink::new(0, PROC);
        bind(&socket, &address).map_err(refused("listen to"))?;
        let proc = rustix::io::fcntl_dupfd_cloexec(&sources.proc, 3);
        let proc = proc.map_err(refused("read the procfs beside"))?;
        let connector = Self {
            socket,
            proc: ProcRoot::from_fd(proc),
            clock: Clock::read(&sources.proc),
            next: BTreeMap::new(),
            is_overrun: false,
            dying: BTreeMap::new(),
        };
        for request in [Request::ListenFiltered, Request::Listen] {
            connector.ask(request).map_err(refused("ask"))?;
            match connector.answer() {
                Some(0) => return Ok(connector),
                Some(error) => {
                    let code = i32::try_from(error).unwrap_or(0);
                    return Err(refused("ask")(Errno::from_raw_os_error(code)));
                }
                None => {}
            }
        }
        Err(Mute::NoAnswer)
    }

    fn ask(&self, request: Request) -> Result<(), Errno> {
        send(&self.socket, &request.encode(), SendFlags::empty()).map(drop)
    }

    /// The answer, which is there when the request was sent, behind what others made the
    /// connector tell before.
    fn answer(&self) -> Option<u32> {
        let mut buffer = [0u8; LONGEST];
        for _ in 0..MAX_MESSAGES {
            match self.receive(&mut buffer) {
                Ok(Some(message)) => match message.what {
                    What::Answer(error) => return Some(error),
                    _ => continue,
                },
                Ok(None) | Err(Errno::INTR | Errno::NOBUFS) => {}
                Err(_) => return None,
            }
        }
        None
    }

    /// The next message; nothing when it is none of the kernel's.
    fn receive(&self, buffer: &mut [u8; LONGEST]) -> Result<Option<Message>, Errno> {
        let (length, _, from) = recvfrom(&self.socket, &mut buffer[..], RecvFlags::DONTWAIT)?;
        let from = from.and_then(|from| SocketAddrNetlink::try_from(from).ok());
        if from.is_none_or(|from| from.pid() != 0) {
            return Ok(None);
        }
        Ok(buffer.get(..length).and_then(Message::decode))
    }

    /// Becomes readable with the first message.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Whether there is something to tell that no message will announce.
    pub(super) fn is_waiting(&self) -> bool {
        !self.dying.is_empty()
    }

    /// Appends what happened. How many messages were lost is known to the message where the
    /// kernel filters nothing, and is an upper bound where it does.
    pub(super) fn drain(&mut self, events: &mut Vec<Event>) -> u64 {
        let first = events.len();
        let mut buffer = [0u8; LONGEST];
        let mut lost = 0;
        for _ in 0..MAX_MESSAGES {
            match self.receive(&mut buffer) {
                Ok(Some(message)) => {
                    lost += self.count(&message);
                    self.take(&message, events);
                }
                Err(Errno::NOBUFS) => self.is_overrun = true,
                Ok(None) | Err(Errno::INTR) => {}
                Err(_) => {
                    self.note_gap();
                    break;
                }
            }
        }
        self.bury(events);
        if let Some(new) = events.get_mut(first..) {
            new.sort_by_key(|event| event.at);
        }
        lost
    }

    /// Notes, when nothing is left to read, what was found out before: once there is no room, the
    /// kernel drops everything until all was read, so that what is missing comes next.
    fn note_gap(&mut self) {
        if std::mem::take(&mut self.is_overrun) {
            self.next.values_mut().for_each(|next| next.has_gap = true);
        }
    }

    /// How many messages of this processor are missing before this one.
    fn count(&mut self, message: &Message) -> u64 {
        // The answer to a request carries the number of the request.
        if matches!(message.what, What::Answer(_)) {
            return 0;
        }
        let next = Next {
            number: message.number.wrapping_add(1),
            has_gap: false,
        };
        match self.next.insert(message.processor, next) {
            Some(before) if before.has_gap => u64::from(message.number.wrapping_sub(before.number)),
            _ => 0,
        }
    }

    /// Turns a message into an event, unless it is about a thread.
    fn take(&mut self, message: &Message, events: &mut Vec<Event>) {
        let at = self.clock.of_monotonic(message.nanos);
        let (task, kind) = match message.what {
            What::Fork { parent, child } if child.is_first() => {
                let kind = EventKind::Forked {
                    parent: HostPid::new(parent.process),
                    pids: vec![child.process],
                    pid_namespace: None,
                    comm: self.name(child),
                };
                (child, kind)
            }
            What::Exec(task) => {
                let comm = self.name(task);
                (task, EventKind::Executed { comm })
            }
            What::Exit(task, status) => return self.end(task, exit(status), at),
            What::Fork { .. } | What::Answer(_) | What::Other => return,
        };
        if let Some(pid) = HostPid::new(task.process) {
            let before = self.dying.remove(&pid);
            // A PID that is born again was given up before. A thread that executes takes the place
            // of the first one, which ended for it alone.
            if let (EventKind::Forked { .. }, Some((exit, at))) = (&kind, before) {
                let kind = EventKind::Exited(exit);
                events.push(Event { at, pid, kind });
            }
            events.push(Event { at, pid, kind });
        }
    }

    /// The name of a process that may be gone already; then it is empty.
    fn name(&self, task: Task) -> String {
        let path = format!("{}/comm", task.process);
        self.proc.read_text(&path).unwrap_or_default()
    }

    /// Notes that a thread ended.
    fn end(&mut self, task: Task, exit: Exit, at: BootTime) {
        let Some(pid) = HostPid::new(task.process) else {
            return;
        };
        // Threads that are ended together have one code; the last one to end knows it, whether or
        // not the first one ended by itself before.
        if task.is_first() {
            self.dying.insert(pid, (exit, at));
        } else if let Some(last) = self.dying.get_mut(&pid) {
            *last = (exit, at);
        }
    }

    /// Tells the ends of those of which no other thread is left.
    fn bury(&mut self, events: &mut Vec<Event>) {
        let (proc, mut text) = (&self.proc, Vec::new());
        let mut is_over = |pid: HostPid| {
            let read = read_file(proc, format!("{pid}/stat"), &mut text);
            match read.ok().and_then(|()| parse_stat(&text)) {
                // The first thread stays as a zombie until it is reaped.
                Some(stat) => stat.threads < 2 && matches!(stat.state, 'Z' | 'X'),
                None => true,
            }
        };
        self.dying.retain(|pid, (exit, at)| {
            let is_over = is_over(*pid);
            if is_over {
                let (at, pid, kind) = (*at, *pid, EventKind::Exited(*exit));
                events.push(Event { at, pid, kind });
            }
            !is_over
        });
    }
}

#[cfg(test)]
impl Connector {
    /// Leaves room for no more than this.
    pub(super) fn limit_room(&self, bytes: usize) {
        sockopt::set_socket_recv_buffer_size(&self.socket, bytes).unwrap();
    }
}

impl Drop for Connector {
    fn drop(&mut self) {
        // Kernels before 6.6 go on counting a listener that left without a word. Nothing else
        // depends on it, and there is nobody to tell.
        self.ask(Request::Ignore).ok();
    }
}
