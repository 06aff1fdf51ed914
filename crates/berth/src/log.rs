//! Reading json-file logs: one JSON object a line with `log`, `stream` and `time`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use berth_base::{HostPid, Timestamp};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::Deserialize;

/// Bytes read at once when looking for the last lines.
const BLOCK: u64 = 64 * 1024;
/// Longest line of a log that is read; the monitor writes far shorter ones.
const MAX_LINE: u64 = 4 << 20;
/// How often the end of the container is looked for once its first process is gone: the exit
/// record follows the last line.
const ENDING_PAUSE: Duration = Duration::from_millis(20);

/// One line of a log.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Entry {
    /// What was written, with its line break where it had one.
    #[serde(rename = "log")]
    pub(crate) text: String,
    /// Where to.
    pub(crate) stream: Stream,
    /// When.
    pub(crate) time: Timestamp,
}

/// The stream an entry was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum Stream {
    /// Standard output, or the terminal.
    #[serde(rename = "stdout")]
    Out,
    /// Standard error.
    #[serde(rename = "stderr")]
    Error,
}

/// A log that is read from some point on, while it may grow.
pub(crate) struct LogFile {
    reader: BufReader<File>,
    inode: u64,
    /// A line that was not complete yet.
    partial: Vec<u8>,
}

impl LogFile {
    /// Opens a log at its beginning; `None` where there is none.
    pub(crate) fn open(path: &Path) -> io::Result<Option<Self>> {
        match File::open(path) {
            Ok(file) => Ok(Some(Self {
                inode: file.metadata()?.ino(),
                reader: BufReader::new(file),
                partial: Vec::new(),
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Moves to the last `lines` lines.
    pub(crate) fn skip_to_last(&mut self, lines: usize) -> io::Result<()> {
        let file = self.reader.get_mut();
        let length = file.seek(SeekFrom::End(0))?;
        let mut end = length;
        // The line break that closes the last line, and one before each line that is wanted.
        let mut breaks = lines.saturating_add(1);
        let start = 'search: loop {
            if end == 0 {
                break 0;
            }
            let begin = end.saturating_sub(BLOCK);
            let mut block = vec![0; usize::try_from(end - begin).unwrap_or(0)];
            file.seek(SeekFrom::Start(begin))?;
            file.read_exact(&mut block)?;
            for byte in block.iter().rev() {
                if *byte == b'\n' {
                    breaks -= 1;
                }
                if breaks == 0 {
                    break 'search end;
                }
                end -= 1;
            }
        };
        self.reader.seek(SeekFrom::Start(start))?;
        Ok(())
    }

    /// Takes the next complete entry; `None` at the end as it is now. Lines that are no entries
    /// (cut short by a crash) are skipped.
    pub(crate) fn next_entry(&mut self) -> Option<Entry> {
        loop {
            let room = MAX_LINE.saturating_sub(self.partial.len() as u64);
            let mut limited = (&mut self.reader).take(room);
            // An unreadable log has no more entries.
            limited.read_until(b'\n', &mut self.partial).ok()?;
            let complete = self.partial.ends_with(b"\n");
            let overlong = self.partial.len() as u64 >= MAX_LINE;
            if !complete && !overlong {
                return None;
            }
            let line = std::mem::take(&mut self.partial);
            if let Ok(entry) = serde_json::from_slice(&line) {
                return Some(entry);
            }
        }
    }

    /// Begins anew where another file has taken the log's place (rotation), or it was cut.
    pub(crate) fn reopen_if_replaced(&mut self, path: &Path) -> io::Result<()> {
        let Ok(metadata) = std::fs::metadata(path) else {
            return Ok(());
        };
        let cut = metadata.len() < self.reader.stream_position()?;
        if metadata.ino() == self.inode && !cut {
            return Ok(());
        }
        if let Some(new) = Self::open(path)? {
            *self = new;
        }
        Ok(())
    }
}

/// Waits for a log to grow or its container to end.
pub(crate) struct Follow {
    changes: Option<OwnedFd>,
    first_process: Option<OwnedFd>,
    ending: bool,
}

impl Follow {
    /// Watches a log (inotify(7)) and a process (pidfd_open(2)). Either may be missing: waiting
    /// then ends by its timeout.
    pub(crate) fn new(log: &Path, process: Option<HostPid>) -> Self {
        let watch = || {
            let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
            let descriptor = inotify::init(flags).ok()?;
            let events = inotify::WatchFlags::MODIFY | inotify::WatchFlags::MOVE_SELF;
            inotify::add_watch(&descriptor, log, events).ok()?;
            Some(descriptor)
        };
        let first_process = process.and_then(|pid| {
            let pid = Pid::from_raw(i32::try_from(pid.get()).ok()?)?;
            pidfd_open(pid, PidfdFlags::empty()).ok()
        });
        Self {
            changes: watch(),
            first_process,
            ending: false,
        }
    }

    /// Waits for at most `timeout`.
    pub(crate) fn wait(&mut self, timeout: Duration) {
        let timeout = if self.ending { ENDING_PAUSE } else { timeout };
        let timeout = Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(1),
            tv_nsec: i64::from(timeout.subsec_nanos()),
        };
        let stdout = io::stdout();
        let mut fds = vec![PollFd::new(&stdout, PollFlags::empty())];
        let process = self.first_process.as_ref().filter(|_| !self.ending);
        if let Some(process) = process {
            fds.push(PollFd::new(process, PollFlags::IN));
        }
        if let Some(changes) = &self.changes {
            fds.push(PollFd::new(changes, PollFlags::IN));
        }
        // Whatever ends the wait, the caller looks for itself.
        let woken = poll(&mut fds, Some(&timeout)).is_ok();
        let ended = process.is_some() && fds.get(1).is_some_and(|fd| !fd.revents().is_empty());
        self.ending |= woken && ended;
        self.forget_changes();
    }

    /// Empties the queue of events, of which only the arrival matters.
    fn forget_changes(&self) {
        let Some(changes) = &self.changes else {
            return;
        };
        let mut buffer = [0u8; 4096];
        while matches!(rustix::io::read(changes, &mut buffer), Ok(1..)) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn line(text: &str) -> String {
        format!(
            "{{\"log\":\"{text}\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-02T03:04:05.5Z\"}}\n"
        )
    }

    fn texts(log: &mut LogFile) -> Vec<String> {
        std::iter::from_fn(|| log.next_entry())
            .map(|entry| entry.text.trim_end().to_owned())
            .collect()
    }

    #[test]
    fn grows_and_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.json");
        assert!(LogFile::open(&path).unwrap().is_none());
        std::fs::write(&path, line("a") + "garbage\n" + &line("b")).unwrap();
        let mut log = LogFile::open(&path).unwrap().unwrap();
        assert_eq!(texts(&mut log), ["a", "b"]);
        let mut file = File::options().append(true).open(&path).unwrap();
        let (half, rest) = {
            let c = line("c");
            (c[..10].to_owned(), c[10..].to_owned())
        };
        file.write_all(half.as_bytes()).unwrap();
        assert_eq!(log.next_entry(), None);
        file.write_all(rest.as_bytes()).unwrap();
        assert_eq!(texts(&mut log), ["c"]);
        std::fs::rename(&path, dir.path().join("old")).unwrap();
        std::fs::write(&path, line("d")).unwrap();
        log.reopen_if_replaced(&path).unwrap();
        assert_eq!(texts(&mut log), ["d"]);
        std::fs::write(&path, "").unwrap();
        log.reopen_if_replaced(&path).unwrap();
        assert_eq!(log.next_entry(), None);
    }

    #[test]
    fn last_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.json");
        let many: String = (0..3000).map(|n| line(&n.to_string())).collect();
        std::fs::write(&path, many).unwrap();
        let last = |count: usize| {
            let mut log = LogFile::open(&path).unwrap().unwrap();
            log.skip_to_last(count).unwrap();
            texts(&mut log)
        };
        assert_eq!(last(1), ["2999"]);
        assert_eq!(last(2), ["2998", "2999"]);
        assert!(last(0).is_empty());
        assert_eq!(last(2500).len(), 2500);
        assert_eq!(last(3000).len(), 3000);
        assert_eq!(last(9999).len(), 3000);
    }

    #[test]
    fn waiting_ends_when_the_log_grows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.json");
        std::fs::write(&path, "").unwrap();
        let mut follow = Follow::new(&path, None);
        std::fs::write(&path, line("x")).unwrap();
        let begin = std::time::Instant::now();
        follow.wait(Duration::from_secs(20));
        assert!(begin.elapsed() < Duration::from_secs(10));
    }
}
