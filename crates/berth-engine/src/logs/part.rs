//! One file of a log, read from some place on, while it may grow.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::record::{LogRecord, Spans, Time};
use super::{json, local};

/// Bytes that are read at once.
const CHUNK: usize = 256 * 1024;
/// The longest line of json-file that is read; monitors write far shorter ones.
const MAX_LINE: usize = 4 << 20;

/// What the files of a log hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Local,
}

enum Source {
    Plain(File),
    Packed(Box<MultiGzDecoder<File>>),
}

/// A file of a log.
pub(super) struct Part {
    source: Source,
    format: Format,
    inode: u64,
    buffer: Vec<u8>,
    /// What was read and not yet taken is `buffer[start..end]`.
    start: usize,
    end: usize,
    /// How much of a plain file was read.
    position: u64,
    record: usize,
    spans: Option<Spans>,
    /// The record, where it had to be laid out anew.
    relaid: Option<Vec<u8>>,
    first: Option<u64>,
}

impl Part {
    /// Opens a file at its beginning.
    pub(super) fn open(path: &Path, format: Format) -> io::Result<Self> {
        let file = berth_persist::open(path)?;
        let inode = file.metadata()?.ino();
        let is_packed = path.extension().is_some_and(|extension| extension == "gz");
        Ok(Self::new(file, is_packed, format, inode))
    }

    fn new(file: File, is_packed: bool, format: Format, inode: u64) -> Self {
        Self {
            source: match is_packed {
                true => Source::Packed(Box::new(MultiGzDecoder::new(file))),
                false => Source::Plain(file),
            },
            format,
            inode,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            position: 0,
            record: 0,
            spans: None,
            relaid: None,
            first: None,
        }
    }

    /// The same file, at its beginning.
    pub(super) fn reopened(&self) -> io::Result<Self> {
        let file = match &self.source {
            Source::Plain(file) => file,
            Source::Packed(decoder) => decoder.get_ref(),
        };
        // Our own descriptor, whatever the file is called by now.
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let file = File::open(path)?;
        Ok(Self::new(
            file,
            self.plain().is_none(),
            self.format,
            self.inode,
        ))
    }

    /// The inode of the file.
    pub(super) const fn inode(&self) -> u64 {
        self.inode
    }

    /// The time of the first record, by which a file is known whatever its name is by now.
    pub(super) fn first_time(&mut self) -> Option<u64> {
        if self.first.is_none() {
            self.first = match &self.source {
                Source::Plain(file) => first_of_plain(file, self.format),
                Source::Packed(_) if self.position == 0 => {
                    // Stays in the buffer.
                    let found = matches!(self.advance(), Ok(true));
                    let time = found.then(|| self.record()?.time()).flatten();
                    self.start = 0;
                    time.map(berth_base::Timestamp::as_nanos)
                }
                Source::Packed(_) => None,
            };
        }
        self.first
    }

    /// As [`Self::first_time`], of a file that may have been emptied, or not begun, when that was
    /// asked last.
    pub(super) fn first_time_now(&mut self) -> Option<u64> {
        if let Source::Plain(file) = &self.source {
            self.first = first_of_plain(file, self.format);
        }
        self.first_time()
    }

    /// The bytes of the file.
    pub(super) fn length(&self) -> u64 {
        let file = match &self.source {
            Source::Plain(file) => file,
            Source::Packed(decoder) => decoder.get_ref(),
        };
        file.metadata().map_or(0, |metadata| metadata.len())
    }

    /// Goes to the next whole record; false at the end as it is now. What is no record (cut short
    /// by a crash) is skipped.
    pub(super) fn advance(&mut self) -> io::Result<bool> {
        loop {
            let unread = self.buffer.get(self.start..self.end).unwrap_or_default();
            let length = match self.format {
                Format::Json => memchr::memchr(b'\n', unread).map(|end| end + 1),
                Format::Local => match local::frame(unread) {
                    local::Frame::Whole(length) => Some(length),
                    local::Frame::Part => None,
                    // Frames cannot be found again behind a broken one.
                    local::Frame::Broken => return Ok(false),
                },
            };
            let Some(length) = length else {
                if !self.fill()? {
                    return Ok(false);
                }
                continue;
            };
            let bytes = unread.get(..length).unwrap_or_default();
            self.relaid = None;
            self.spans = match self.format {
                Format::Json => json::parse(bytes).or_else(|| {
                    self.relaid = json::relaid(bytes);
                    json::parse(self.relaid.as_ref()?)
                }),
                Format::Local => local::parse(bytes),
            };
            self.record = self.start;
            self.start += length;
            if self.spans.is_some() {
                return Ok(true);
            }
        }
    }

    /// The record that [`Self::advance`] found.
    pub(super) fn record(&self) -> Option<LogRecord<'_>> {
        Some(LogRecord {
            bytes: match &self.relaid {
                Some(bytes) => bytes,
                None => self.buffer.get(self.record..self.start)?,
            },
            spans: self.spans.as_ref()?,
        })
    }

    /// Reads more; false at the end of the file.
    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end >= MAX_LINE {
            // Not a line of a log.
            self.end = 0;
        }
        if self.buffer.len() < self.end + CHUNK {
            self.buffer
                .resize((self.end + CHUNK).next_power_of_two(), 0);
        }
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        let read = loop {
            let read = match &mut self.source {
                Source::Plain(file) => file.read_at(room, self.position),
                Source::Packed(decoder) => decoder.read(room),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.end += read;
        self.position += read as u64;
        Ok(read > 0)
    }

    /// The plain file, for finding places in it.
    pub(super) const fn plain(&self) -> Option<&File> {
        match &self.source {
            Source::Plain(file) => Some(file),
            Source::Packed(_) => None,
        }
    }

    pub(super) const fn format(&self) -> Format {
        self.format
    }

    /// Goes to a place of a plain file.
    pub(super) fn seek(&mut self, position: u64) {
        self.position = position;
        self.start = 0;
        self.end = 0;
    }

    /// Begins anew where the file was cut below what was read. A torn record at its end can be cut
    /// off, too: what comes in its place is read then.
    pub(super) fn rewind_if_cut(&mut self) -> io::Result<()> {
        let Source::Plain(file) = &self.source else {
            return Ok(());
        };
        let length = file.metadata()?.len();
        let taken = self.position - (self.end - self.start) as u64;
        if length < taken {
            self.seek(0);
            self.first = None;
        } else if length < self.position {
            self.seek(taken);
        }
        Ok(())
    }
}

fn first_of_plain(file: &File, format: Format) -> Option<u64> {
    let mut bytes = vec![0; 2 * local::MAX_FRAME];
    let mut length = 0;
    loop {
        let room = bytes.get_mut(length..)?;
        let read = file.read_at(room, length as u64).ok()?;
        length += read;
        let found = first_time_in(bytes.get(..length)?, format);
        if found.is_some() || read == 0 || length >= MAX_LINE {
            return found;
        }
        bytes.resize(length * 2, 0);
    }
}

fn first_time_in(bytes: &[u8], format: Format) -> Option<u64> {
    match format {
        Format::Json => bytes
            .split_inclusive(|byte| *byte == b'\n')
            .filter(|line| line.ends_with(b"\n"))
            .find_map(time_of_line),
        Format::Local => match local::frame(bytes) {
            local::Frame::Whole(length) => match local::parse(bytes.get(..length)?)?.time {
                Time::Nanos(nanos) => Some(nanos),
                Time::Text(_) => None,
            },
            _ => None,
        },
    }
}

/// The time of a line of json-file.
pub(super) fn time_of_line(line: &[u8]) -> Option<u64> {
    match json::parse(line)?.time {
        Time::Text(range) => json::time(line.get(range)?),
        Time::Nanos(nanos) => Some(nanos),
    }
}
