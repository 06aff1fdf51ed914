//! The json-file log: one JSON object per line of output.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::SystemTime;

/// Docker's limit: a longer line becomes several records, all but the last without newline.
const MAX_LINE: usize = 16 * 1024;

/// Which stream a record belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

/// Appends records to a log; holds the unfinished line of each stream.
pub(super) struct LogWriter {
    file: File,
    partial: [Vec<u8>; 2],
}

impl LogWriter {
    /// Opens the log for appending, mode 0600.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        Ok(Self {
            file,
            partial: [Vec::new(), Vec::new()],
        })
    }

    /// Takes output as it comes; whole lines are written at once.
    pub(super) fn append(&mut self, stream: Stream, mut bytes: &[u8]) -> io::Result<()> {
        let mut records = String::new();
        let [out, err] = &mut self.partial;
        let partial = match stream {
            Stream::Stdout => out,
            Stream::Stderr => err,
        };
        while !bytes.is_empty() {
            let room = MAX_LINE - partial.len();
            let line_end = bytes.iter().take(room).position(|b| *b == b'\n');
            let take = line_end.map_or(bytes.len().min(room), |end| end + 1);
            let (head, rest) = bytes.split_at(take);
            partial.extend_from_slice(head);
            bytes = rest;
            if line_end.is_some() || partial.len() >= MAX_LINE {
                push_record(&mut records, stream, partial);
                partial.clear();
            }
        }
        self.write(&records)
    }

    /// Writes what no newline ended.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        let mut records = String::new();
        for (stream, partial) in [Stream::Stdout, Stream::Stderr]
            .into_iter()
            .zip(&mut self.partial)
        {
            if !partial.is_empty() {
                push_record(&mut records, stream, partial);
                partial.clear();
            }
        }
        self.write(&records)
    }

    fn write(&mut self, records: &str) -> io::Result<()> {
        if records.is_empty() {
            Ok(())
        } else {
            self.file.write_all(records.as_bytes())
        }
    }
}

/// `{"log":"...","stream":"stdout","time":"..."}`.
fn push_record(records: &mut String, stream: Stream, line: &[u8]) {
    records.push_str("{\"log\":\"");
    for c in String::from_utf8_lossy(line).chars() {
        match c {
            '"' => records.push_str("\\\""),
            '\\' => records.push_str("\\\\"),
            '\n' => records.push_str("\\n"),
            '\r' => records.push_str("\\r"),
            '\t' => records.push_str("\\t"),
            // Writing to a String cannot fail.
            c if u32::from(c) < 0x20 => drop(write!(records, "\\u{:04x}", u32::from(c))),
            c => records.push(c),
        }
    }
    let name = match stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
    };
    let now = humantime::format_rfc3339_nanos(SystemTime::now());
    records.push_str(&format!("\",\"stream\":\"{name}\",\"time\":\"{now}\"}}\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(write: impl FnOnce(&mut LogWriter)) -> Vec<serde_json::Value> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.json");
        let mut log = LogWriter::open(&path).unwrap();
        write(&mut log);
        let text = std::fs::read_to_string(&path).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn lines_are_joined_across_chunks() {
        let records = logged(|log| {
            log.append(Stream::Stdout, b"one\ntw").unwrap();
            log.append(Stream::Stderr, b"oops\n").unwrap();
            log.append(Stream::Stdout, b"o\nrest").unwrap();
            log.finish().unwrap();
        });
        let texts: Vec<_> = records.iter().map(|r| r["log"].as_str().unwrap()).collect();
        assert_eq!(texts, ["one\n", "oops\n", "two\n", "rest"]);
        assert_eq!(records[1]["stream"], "stderr");
    }

    #[test]
    fn long_lines_are_split_and_odd_bytes_kept_legal() {
        let records = logged(|log| {
            let mut long = vec![b'a'; MAX_LINE + 10];
            long.extend_from_slice(b"\x1b\"\\\xff\n");
            log.append(Stream::Stdout, &long).unwrap();
        });
        assert_eq!(records[0]["log"].as_str().unwrap().len(), MAX_LINE);
        assert_eq!(records[1]["log"], "aaaaaaaaaa\u{1b}\"\\\u{fffd}\n");
    }
}
