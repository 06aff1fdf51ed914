//! Reading a recording.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use berth_base::escape_untrusted;

use super::block::{FILE_HEADER_LEN, FileHeader, HEADER_LEN, Header, Kind, VERSION};
use super::{ReplayError, disk};
use crate::live::{BootTime, Frame, Update};
use crate::model::World;

/// Whole frames that are remembered by place: of more, each second one.
const MAX_INDEX: usize = 65_536;

/// An update, and when it was made.
pub(in crate::live) struct Item {
    pub(in crate::live) at: BootTime,
    pub(in crate::live) update: Update,
}

/// A recording, from its first to its last whole block.
pub(in crate::live) struct Reader {
    path: PathBuf,
    file: File,
    /// Where the next block begins.
    place: u64,
    /// Where the last whole block ends.
    end: u64,
    /// What the end is, in one line; `None` where the recorder ended it.
    end_line: Option<String>,
    /// Whole frames, by time and place.
    index: Vec<(BootTime, u64)>,
    first: BootTime,
    last: BootTime,
    /// The snapshot of the last frame read.
    world: Option<Arc<World>>,
    /// What was damaged, for [`crate::live::Health::notes`].
    damage: Option<String>,
}

impl Reader {
    /// Opens a recording and looks at the headers of its blocks.
    pub(in crate::live) fn open(path: &Path) -> Result<Self, ReplayError> {
        let failed = |source| ReplayError::Read {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(failed)?;
        let mut bytes = [0; FILE_HEADER_LEN];
        let header = match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => FileHeader::from_bytes(&bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => return Err(failed(error)),
        };
        let path = path.to_owned();
        match header {
            None => return Err(ReplayError::NotARecording { path }),
            Some(header) if header.version != VERSION => {
                return Err(ReplayError::Newer {
                    path,
                    version: header.version,
                    known: VERSION,
                });
            }
            Some(_) => {}
        }
        let mut reader = Self {
            path,
            file,
            place: FILE_HEADER_LEN as u64,
            end: FILE_HEADER_LEN as u64,
            end_line: None,
            index: Vec::new(),
            first: BootTime(0),
            last: BootTime(0),
            world: None,
            damage: None,
        };
        reader.scan().map_err(|source| ReplayError::Read {
            path: reader.path.clone(),
            source,
        })?;
        reader.first_frame()
    }

    /// The time of the first frame and of the last update.
    pub(in crate::live) fn span(&self) -> (BootTime, BootTime) {
        (self.first, self.last)
    }

    /// What the end of the recording is, in one line; `None` where it is as it should be.
    pub(in crate::live) fn end_line(&self) -> Option<&str> {
        self.end_line.as_deref()
    }

    /// Goes to the last whole frame that is not later than this, or else to the first.
    pub(in crate::live) fn seek(&mut self, time: BootTime) {
        let after = self.index.partition_point(|(at, _)| *at <= time);
        let found = self.index.get(after.saturating_sub(1));
        self.place = found.map_or(self.end, |(_, place)| *place);
        self.world = None;
    }

    /// The next update; `None` at the end.
    pub(in crate::live) fn next(&mut self) -> Option<Item> {
        while self.place < self.end {
            let start = self.place;
            let read = self.header_at(start).ok().flatten();
            let Some(header) = read else {
                // It was there when the headers were looked at.
                self.end = start;
                self.end_line = Some(format!("the recording was changed at byte {start}"));
                return None;
            };
            self.place = start + HEADER_LEN as u64 + header.stored_len() as u64;
            match self.update(&header, start) {
                Ok(Some(update)) => {
                    let at = header.at;
                    return Some(Item { at, update });
                }
                Ok(None) => {}
                Err(why) => {
                    // What builds on it means nothing; the next whole frame does.
                    self.world = None;
                    self.damage = Some(format!(
                        "the recording is damaged at byte {start} ({why}); what follows until the \
                         next whole frame, a minute at most, is left out"
                    ));
                }
            }
        }
        None
    }

    /// What a block says; nothing while there is no frame to build on.
    fn update(&mut self, header: &Header, start: u64) -> Result<Option<Update>, String> {
        if self.world.is_none() && header.kind != Kind::Whole {
            return Ok(None);
        }
        let mut stored = vec![0; header.stored_len()];
        let read = self
            .file
            .read_exact_at(&mut stored, start + HEADER_LEN as u64);
        read.map_err(|error| error.to_string())?;
        let unpacked = header.unpack(stored);
        let bytes = unpacked.ok_or("its checksum does not match")?;
        let frame = match (header.kind, &self.world) {
            (Kind::Whole, _) => disk::decode_whole(&bytes)?,
            (Kind::Changed, Some(world)) => disk::decode_changed(&bytes, world)?,
            (Kind::Events, _) => {
                return Ok(Some(Update::Events(disk::decode_events(&bytes)?)));
            }
            (Kind::Changed, None) | (Kind::End, _) => return Ok(None),
        };
        Ok(Some(Update::Frame(Arc::new(self.keep(frame)))))
    }

    fn keep(&mut self, mut frame: Frame) -> Frame {
        self.world = Some(Arc::clone(&frame.world));
        frame.health.notes.extend(self.damage.clone());
        frame
    }

    /// Makes sure that there is a frame, and begins there.
    fn first_frame(mut self) -> Result<Self, ReplayError> {
        let first =
            std::iter::from_fn(|| self.next()).find(|item| matches!(item.update, Update::Frame(_)));
        let Some(first) = first else {
            let mut why = self.damage.or(self.end_line);
            return Err(ReplayError::NoFrame {
                path: self.path,
                why: why
                    .take()
                    .unwrap_or_else(|| "nothing was recorded".to_owned()),
            });
        };
        self.first = first.at;
        self.last = self.last.max(self.first);
        self.place = FILE_HEADER_LEN as u64;
        self.world = None;
        self.damage = None;
        Ok(self)
    }

    /// Looks at all headers, up to where the recording is cut off or damaged.
    fn scan(&mut self) -> io::Result<()> {
        let len = self.file.metadata()?.len();
        // Of so many whole frames, one is remembered.
        let mut each = 1;
        let mut seen = 0usize;
        loop {
            let start = self.end;
            if start == len {
                self.end_line = Some(
                    "the recording ends without a mark: it is still going on, or was cut off"
                        .to_owned(),
                );
                return Ok(());
            }
            if len - start < HEADER_LEN as u64 {
                self.cut_off();
                return Ok(());
            }
            let Some(header) = self.header_at(start)? else {
                self.end_line = Some(format!(
                    "the recording is damaged at byte {start}; what comes before is shown"
                ));
                return Ok(());
            };
            let next = start + HEADER_LEN as u64 + header.stored_len() as u64;
            if next > len {
                self.cut_off();
                return Ok(());
            }
            self.end = next;
            match header.kind {
                Kind::Whole => {
                    if seen.is_multiple_of(each) {
                        self.index.push((header.at, start));
                    }
                    seen += 1;
                    if self.index.len() > MAX_INDEX {
                        let mut keep = [true, false].into_iter().cycle();
                        self.index.retain(|_| keep.next().unwrap_or(true));
                        each *= 2;
                    }
                }
                Kind::Changed | Kind::Events => {}
                Kind::End => {
                    self.end_line = self.reason(&header, start);
                    return Ok(());
                }
            }
            self.last = self.last.max(header.at);
        }
    }

    fn cut_off(&mut self) {
        let end = self.end;
        self.end_line = Some(format!(
            "the recording is cut off after byte {end}; what comes before is shown"
        ));
    }

    /// Why the host could not be watched any longer, where that ended the recording.
    fn reason(&self, header: &Header, start: u64) -> Option<String> {
        let mut stored = vec![0; header.stored_len()];
        let place = start + HEADER_LEN as u64;
        self.file.read_exact_at(&mut stored, place).ok()?;
        let text = String::from_utf8(header.unpack(stored)?).ok()?;
        (!text.is_empty()).then(|| escape_untrusted(&text).into_owned())
    }

    /// The length of the payload of the block at a place.
    #[cfg(test)]
    pub(super) fn header_at_test(&self, place: u64) -> usize {
        self.header_at(place).unwrap().unwrap().stored_len()
    }

    fn header_at(&self, place: u64) -> io::Result<Option<Header>> {
        let mut bytes = [0; HEADER_LEN];
        self.file.read_exact_at(&mut bytes, place)?;
        Ok(Header::from_bytes(&bytes))
    }
}
