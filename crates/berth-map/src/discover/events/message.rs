//! What the process connector says (linux/cn_proc.h, linux/connector.h). Pure.

/// CN_IDX_PROC and CN_VAL_PROC: who is spoken to, and the group that listens.
pub(super) const PROC: u32 = 1;

/// `struct nlmsghdr`, then `struct cn_msg`, then `struct proc_event` or `struct proc_input`.
const NETLINK: usize = 16;
const CONNECTOR: usize = 20;
const BODY: usize = NETLINK + CONNECTOR;

const FORK: u32 = 1;
const EXEC: u32 = 2;
const EXIT: u32 = 0x8000_0000;

/// What is asked of the connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// To tell of births, programs and ends alone (6.6; silently ignored before).
    ListenFiltered,
    /// To tell of everything.
    Listen,
    /// To tell nothing more.
    Ignore,
}

impl Request {
    /// The message.
    pub(super) fn encode(self) -> Vec<u8> {
        const PROC_CN_MCAST_LISTEN: u32 = 1;
        const PROC_CN_MCAST_IGNORE: u32 = 2;
        /// NLMSG_DONE.
        const DONE: u16 = 3;
        let input: &[u32] = match self {
            Self::ListenFiltered => &[PROC_CN_MCAST_LISTEN, FORK | EXEC | EXIT],
            Self::Listen => &[PROC_CN_MCAST_LISTEN],
            Self::Ignore => &[PROC_CN_MCAST_IGNORE],
        };
        let length: u16 = if input.len() == 1 { 4 } else { 8 };
        let mut message = Vec::with_capacity(BODY + 8);
        message.extend((36 + u32::from(length)).to_ne_bytes());
        message.extend(DONE.to_ne_bytes());
        message.extend([0; 2 + 4 + 4]);
        message.extend(PROC.to_ne_bytes());
        message.extend(PROC.to_ne_bytes());
        message.extend([0; 4 + 4]);
        message.extend(length.to_ne_bytes());
        message.extend([0; 2]);
        message.extend(input.iter().flat_map(|word| word.to_ne_bytes()));
        message
    }
}

/// A message of the connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// Counts what this processor would have told, messages that were filtered or lost included.
    pub(super) number: u32,
    /// The processor.
    pub(super) processor: u32,
    /// Nanoseconds of the kernel's CLOCK_MONOTONIC.
    pub(super) nanos: u64,
    /// What it says.
    pub(super) what: What,
}

/// A thread, and the process it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) thread: u32,
    pub(super) process: u32,
}

impl Task {
    /// Whether it is the thread that stands for the process.
    pub(super) fn is_first(self) -> bool {
        self.thread == self.process
    }
}

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// The answer to a request: 0, or an errno.
    Answer(u32),
    /// A thread was born.
    Fork { parent: Task, child: Task },
    /// A process executes.
    Exec(Task),
    /// A thread ended, with a status as wait(2) tells it.
    Exit(Task, u32),
    /// Something else.
    Other,
}

impl Message {
    /// Reads one; `None` when it is none of the connector's.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
        let body = |at: usize| word(BODY + at);
        if word(NETLINK)? != PROC || word(NETLINK + 4)? != PROC {
            return None;
        }
        let nanos = u64::from_ne_bytes(*bytes.get(BODY + 8..)?.first_chunk()?);
        let task = |at: usize| {
            Some(Task {
                thread: body(at)?,
                process: body(at + 4)?,
            })
        };
        let what = match body(0)? {
            0 => What::Answer(body(16)?),
            FORK => What::Fork {
                parent: task(16)?,
                child: task(24)?,
            },
            EXEC => What::Exec(task(16)?),
            EXIT => What::Exit(task(16)?, body(24)?),
            _ => What::Other,
        };
        Some(Self {
            number: word(NETLINK + 8)?,
            processor: body(4)?,
            nanos,
            what,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message as the kernel lays it out.
    fn message(words: &[u32]) -> Vec<u8> {
        let head = [76, 3, 0, 0, PROC, PROC, 9, 0, 40];
        let words = head.iter().chain(words);
        words.flat_map(|word| word.to_ne_bytes()).collect()
    }

    #[test]
    fn messages_are_read() {
        let fork = message(&[FORK, 2, 7, 0, 10, 11, 12, 13]);
        let read = Message::decode(&fork).unwrap();
        assert_eq!((read.number, read.processor), (9, 2));
        let (parent, child) = match read.what {
            What::Fork { parent, child } => (parent, child),
            other => panic!("{other:?}"),
        };
        assert_eq!((parent.thread, parent.process), (10, 11));
        assert_eq!((child.thread, child.process), (12, 13));
        let exit = message(&[EXIT, 0, 0, 0, 5, 5, 0x700, 17, 1, 1]);
        let task = Task {
            thread: 5,
            process: 5,
        };
        let read = Message::decode(&exit).unwrap();
        assert_eq!(read.what, What::Exit(task, 0x700));
        assert!(task.is_first());
    }

    #[test]
    fn what_is_cut_or_of_somebody_else_is_refused() {
        let exec = message(&[EXEC, 0, 0, 0, 5, 5]);
        assert!(Message::decode(&exec).is_some());
        for end in 0..exec.len() {
            assert_eq!(Message::decode(&exec[..end]), None);
        }
        let mut foreign = exec;
        foreign[NETLINK] = 0x55;
        assert_eq!(Message::decode(&foreign), None);
    }

    #[test]
    fn requests_say_their_length() {
        for request in [Request::ListenFiltered, Request::Listen, Request::Ignore] {
            let bytes = request.encode();
            let said = u32::from_ne_bytes(*bytes.first_chunk().unwrap());
            assert_eq!(usize::try_from(said).unwrap(), bytes.len());
            assert_eq!(usize::from(bytes[32]) + BODY, bytes.len());
        }
    }
}
