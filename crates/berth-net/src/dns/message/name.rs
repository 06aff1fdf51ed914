//! Names, on the wire and as text.

use std::fmt;

/// The longest name as text: 255 bytes on the wire are a length before each label and an end.
const MAX_TEXT: usize = 253;
/// The longest label.
const MAX_LABEL: usize = 63;

/// A name as text: lower case, dots between the labels, none at the end. On the stack, since every
/// query has one.
#[derive(Clone, Copy)]
pub(crate) struct Name {
    text: [u8; MAX_TEXT],
    length: usize,
    labels: usize,
    /// Whether a label holds a dot, so that the text does not say where labels end.
    dotted: bool,
}

impl Name {
    /// Reads a name that is spelled out, as that of a question is; answers where it ends.
    pub(crate) fn read(packet: &[u8], at: usize) -> Option<(Self, usize)> {
        let mut name = Self {
            text: [0; MAX_TEXT],
            length: 0,
            labels: 0,
            dotted: false,
        };
        let mut at = at;
        loop {
            let length = usize::from(*packet.get(at)?);
            at += 1;
            if length == 0 {
                return Some((name, at));
            }
            // Longer are pointers, and kinds of labels that nobody uses.
            if length > MAX_LABEL {
                return None;
            }
            name.push(packet.get(at..at + length)?)?;
            at += length;
        }
    }

    fn push(&mut self, label: &[u8]) -> Option<()> {
        if self.labels > 0 {
            *self.text.get_mut(self.length)? = b'.';
            self.length += 1;
        }
        let room = self.text.get_mut(self.length..self.length + label.len())?;
        for (slot, byte) in room.iter_mut().zip(label) {
            *slot = byte.to_ascii_lowercase();
            self.dotted |= *byte == b'.';
        }
        self.length += label.len();
        self.labels += 1;
        Some(())
    }

    /// The text to look up; `None` when a label holds a dot, as no name of ours does.
    pub(crate) fn key(&self) -> Option<&[u8]> {
        match self.dotted {
            true => None,
            false => self.text.get(..self.length),
        }
    }

    /// How many labels there are; the root has none.
    pub(crate) fn labels(&self) -> usize {
        self.labels
    }

    /// Where the name at a place ends, spelled out or not.
    pub(crate) fn skip(packet: &[u8], at: usize) -> Option<usize> {
        let mut at = at;
        loop {
            let length = *packet.get(at)?;
            match length >> 6 {
                0 if length == 0 => return Some(at + 1),
                0 => at += 1 + usize::from(length),
                // A pointer is the last part.
                3 => return packet.get(at + 1).map(|_| at + 2),
                _ => return None,
            }
        }
    }

    /// Writes a text as labels; `None` when it is no name, with nothing written.
    pub(crate) fn write(out: &mut Vec<u8>, text: &str) -> Option<()> {
        let start = out.len();
        let written = Self::write_labels(out, text);
        if written.is_none() {
            out.truncate(start);
        }
        written
    }

    fn write_labels(out: &mut Vec<u8>, text: &str) -> Option<()> {
        if text.is_empty() || text.len() > MAX_TEXT {
            return None;
        }
        for label in text.split('.') {
            let length = u8::try_from(label.len()).ok()?;
            if label.is_empty() || label.len() > MAX_LABEL {
                return None;
            }
            out.push(length);
            out.extend(label.as_bytes());
        }
        out.push(0);
        Some(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text.get(..self.length).unwrap_or_default();
        write!(f, "{:?}", String::from_utf8_lossy(text))
    }
}
