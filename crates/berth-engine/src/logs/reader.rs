//! A log as one sequence of records.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use berth_base::Timestamp;

use super::ahead::{self, Ahead, Gap, Shared, locked};
use super::part::{Format, Part, time_of_line};
use super::record::LogRecord;
use super::{local, series};

/// Bytes read at once when looking for places in a file.
const BLOCK: u64 = 64 * 1024;
/// Where less is left, places are looked for record by record.
const NEAR: u64 = 64 * 1024;

/// What is wanted of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogRequest {
    /// Only so many records, the last ones.
    pub tail: Option<usize>,
    /// Of these, only from a time on.
    pub since: Option<Timestamp>,
    /// Only up to a time.
    pub until: Option<Timestamp>,
}

/// Reads the records of a log, across the files that it was turned into.
pub struct LogReader {
    request: LogRequest,
    /// The one that is read, and those that follow; each with what is missing before it.
    parts: VecDeque<Part>,
    /// Before which of the parts something is missing, counted from the front.
    gaps: VecDeque<(usize, Gap)>,
    ahead: Shared,
    is_over: bool,
}

impl LogReader {
    /// Opens a log by its newest file; it need not exist yet.
    pub(super) fn open(newest: &Path, format: Format, request: LogRequest) -> io::Result<Self> {
        let mut reader = Self {
            request,
            parts: series::open(newest, format)?.into(),
            gaps: VecDeque::new(),
            ahead: Arc::new(Mutex::new(Ahead::new(newest, format))),
            is_over: false,
        };
        locked(&reader.ahead).begin(reader.parts.iter_mut())?;
        match (request.tail, request.since) {
            (Some(records), _) => reader.skip_to_last(records)?,
            (None, Some(since)) => reader.skip_to_time(since.as_nanos())?,
            (None, None) => {}
        }
        Ok(reader)
    }

    /// The next record; `None` at the end as it is now.
    pub fn next_record(&mut self) -> io::Result<Option<LogRecord<'_>>> {
        loop {
            if self.is_over {
                return Ok(None);
            }
            let Some(part) = self.parts.front_mut() else {
                return Ok(None);
            };
            if !part.advance()? {
                if self.parts.len() == 1 {
                    return Ok(None);
                }
                self.parts.pop_front();
                for (place, _) in &mut self.gaps {
                    *place = place.saturating_sub(1);
                }
                continue;
            }
            let (since, until) = (self.request.since, self.request.until);
            if since.is_some() || until.is_some() {
                let time = part.record().and_then(|record| record.time());
                if since > time {
                    continue;
                }
                if until.is_some_and(|until| time > Some(until)) {
                    self.is_over = true;
                    return Ok(None);
                }
            }
            break;
        }
        Ok(self.record())
    }

    /// The record that [`Self::next_record`] answered last.
    pub fn record(&self) -> Option<LogRecord<'_>> {
        self.parts.front().and_then(Part::record)
    }

    /// Whether nothing that is written later is wanted.
    pub const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Opens files as soon as they come, for a reader who may be slower than the log is turned.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn keep_up(&self, folder: &Path) -> io::Result<()> {
        ahead::watch(folder, &self.ahead)
    }

    /// What is missing right before the record that came last; asked once.
    pub fn gap(&mut self) -> Option<Gap> {
        let is_here = self.gaps.front().is_some_and(|(place, _)| *place == 0);
        let gap = is_here.then(|| self.gaps.pop_front()).flatten();
        gap.map(|(_, gap)| gap)
    }

    /// Looks whether the log was turned, emptied or made anew since; what is left of the file that
    /// was the newest comes first.
    pub fn refresh(&mut self) -> io::Result<()> {
        if let Some(part) = self.parts.back_mut() {
            part.rewind_if_cut()?;
        }
        let found = {
            let mut ahead = locked(&self.ahead);
            ahead.look()?;
            ahead.take()?
        };
        for (part, gap) in found {
            self.gaps.extend(gap.map(|gap| (self.parts.len(), gap)));
            self.parts.push_back(part);
        }
        Ok(())
    }

    /// Leaves the last `records` records.
    fn skip_to_last(&mut self, records: usize) -> io::Result<()> {
        let mut wanted = records;
        for index in (0..self.parts.len()).rev() {
            let Some(part) = self.parts.get_mut(index) else {
                continue;
            };
            let found = match part.plain() {
                Some(file) => {
                    let (start, found) = match part.format() {
                        Format::Json => last_lines(file, wanted)?,
                        Format::Local => last_frames(file, wanted)?,
                    };
                    part.seek(start);
                    found
                }
                None => self.last_of_packed(index, wanted)?,
            };
            wanted -= found;
            if wanted == 0 {
                self.parts.drain(..index);
                break;
            }
        }
        Ok(())
    }

    /// What is compressed is read twice: to count, and to skip.
    fn last_of_packed(&mut self, index: usize, wanted: usize) -> io::Result<usize> {
        let Some(part) = self.parts.get_mut(index) else {
            return Ok(0);
        };
        let mut again = part.reopened()?;
        let mut count = 0;
        while part.advance()? {
            count += 1;
        }
        for _ in wanted..count {
            again.advance()?;
        }
        *part = again;
        Ok(count.min(wanted))
    }

    /// Leaves out files, and the beginning of one, that are older than a time. Clocks can be set
    /// back: each record's own time decides in the end.
    fn skip_to_time(&mut self, since: u64) -> io::Result<()> {
        // A file ends where the next begins.
        while let [_, second, ..] = self.parts.make_contiguous() {
            if second.first_time().is_none_or(|first| first >= since) {
                break;
            }
            self.parts.pop_front();
        }
        if let Some(part) = self.parts.front_mut()
            && part.format() == Format::Json
            && let Some(file) = part.plain()
        {
            let start = first_line_since(file, since)?;
            part.seek(start);
        }
        Ok(())
    }
}

/// Where the last `wanted` lines begin, and how many there are.
fn last_lines(file: &File, wanted: usize) -> io::Result<(u64, usize)> {
    let mut end = file.metadata()?.len();
    let (mut found, mut start) = (0, end);
    let mut block = Vec::new();
    // A line begins behind the line break before it; the last break closes the last line.
    let mut breaks = 0;
    while end > 0 && (breaks == 0 || found < wanted) {
        let begin = end.saturating_sub(BLOCK);
        read_block(file, begin, end, &mut block)?;
        for place in memchr::memrchr_iter(b'\n', &block) {
            if breaks > 0 {
                found += 1;
            }
            breaks += 1;
            start = begin + place as u64 + 1;
            if found == wanted {
                return Ok((start, found));
            }
        }
        end = begin;
    }
    if end == 0 && breaks > 0 && found < wanted {
        return Ok((0, found + 1));
    }
    Ok((start, found))
}

/// As [`last_lines`], of the driver `local`.
fn last_frames(file: &File, wanted: usize) -> io::Result<(u64, usize)> {
    let mut end = file.metadata()?.len();
    let mut found = 0;
    let mut block = Vec::new();
    while found < wanted && end > 0 {
        let begin = end.saturating_sub(BLOCK.max(local::MAX_FRAME as u64));
        read_block(file, begin, end, &mut block)?;
        let mut rest = block.as_slice();
        while found < wanted
            && let Some(length) = local::frame_before(rest)
            && let Some(before) = rest.len().checked_sub(length)
        {
            rest = rest.get(..before).unwrap_or_default();
            found += 1;
        }
        let place = begin + rest.len() as u64;
        if place == end {
            // The end is torn: from the beginning then.
            return Ok((0, found));
        }
        end = place;
    }
    Ok((end, found))
}

/// Where the first line from a time on begins, or a line shortly before it.
fn first_line_since(file: &File, since: u64) -> io::Result<u64> {
    let (mut low, mut high) = (0, file.metadata()?.len());
    let mut block = Vec::new();
    while high - low > NEAR {
        let middle = low + (high - low) / 2;
        let Some((start, time)) = line_after(file, middle, high, &mut block)? else {
            high = middle;
            continue;
        };
        if time < since {
            low = start;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// The first whole line that begins after `from` and before `end`.
fn line_after(
    file: &File,
    from: u64,
    end: u64,
    block: &mut Vec<u8>,
) -> io::Result<Option<(u64, u64)>> {
    let until = end.min(from + 4 * BLOCK);
    read_block(file, from, until, block)?;
    let mut start = 0;
    for line_break in memchr::memchr_iter(b'\n', block) {
        let line = block.get(start..=line_break).unwrap_or_default();
        if start > 0
            && let Some(time) = time_of_line(line)
        {
            return Ok(Some((from + start as u64, time)));
        }
        start = line_break + 1;
    }
    Ok(None)
}

fn read_block(file: &File, begin: u64, end: u64, block: &mut Vec<u8>) -> io::Result<()> {
    block.resize(usize::try_from(end - begin).unwrap_or(0), 0);
    match file.read_exact_at(block, begin) {
        // Cut meanwhile.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            block.clear();
            Ok(())
        }
        done => done,
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
