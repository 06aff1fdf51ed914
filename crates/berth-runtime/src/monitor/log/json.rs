//! Records as JSON, an object a line: `{"log":"...","stream":"stdout","time":"..."}`.
//!
//! Byte for byte what Docker writes, so that its readers can read ours: `<`, `>`, `&` and control
//! characters as `\u00xx`, the two line separators of Unicode as well, and `\ufffd` for each byte
//! that is no UTF-8.

use std::collections::BTreeMap;

use super::Stream;

/// Copied as it is.
const PLAIN: u8 = 0;
/// Escaped by its number.
const CODE: u8 = b'u';
/// Part of a character of several bytes.
const HIGH: u8 = 0x80;

/// What becomes of each byte: one of the above, or the letter that follows a backslash.
const CLASS: [u8; 256] = classes();

const HEX: &[u8; 16] = b"0123456789abcdef";

const fn classes() -> [u8; 256] {
    let mut table = [PLAIN; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte {
            0x0a => b'n',
            0x0d => b'r',
            0x22 => b'"',
            0x5c => b'\\',
            0x00..=0x1f | 0x26 | 0x3c | 0x3e => CODE,
            0x80.. => HIGH,
            _ => PLAIN,
        };
        byte += 1;
    }
    table
}

/// Writes records; what is the same for all of a batch is made once.
pub(super) struct JsonLines {
    /// `"attrs":{...},`, or nothing.
    attributes: Vec<u8>,
    /// What follows the text, for standard output and standard error.
    ends: [Vec<u8>; 2],
    time: Vec<u8>,
}

impl JsonLines {
    pub(super) fn new(fields: &BTreeMap<String, String>) -> Self {
        let mut attributes = Vec::new();
        for (key, value) in fields {
            attributes.extend_from_slice(if attributes.is_empty() {
                b"\"attrs\":{\""
            } else {
                b",\""
            });
            escape(&mut attributes, key.as_bytes());
            attributes.extend_from_slice(b"\":\"");
            escape(&mut attributes, value.as_bytes());
            attributes.push(b'"');
        }
        if !attributes.is_empty() {
            attributes.extend_from_slice(b"},");
        }
        Self {
            attributes,
            ends: [Vec::new(), Vec::new()],
            time: Vec::new(),
        }
    }

    /// Sets the time of the records that follow.
    pub(super) fn begin(&mut self, time: &str) {
        self.time.clear();
        self.time.extend_from_slice(time.as_bytes());
        let Self {
            attributes, ends, ..
        } = self;
        for (stream, end) in [Stream::Stdout, Stream::Stderr].into_iter().zip(ends) {
            end.clear();
            push_end(end, stream, attributes, time.as_bytes());
        }
    }

    /// Adds one record.
    pub(super) fn push(&self, batch: &mut Vec<u8>, stream: Stream, line: &[u8]) {
        batch.extend_from_slice(b"{\"log\":\"");
        escape(batch, line);
        let [out, error] = &self.ends;
        batch.extend_from_slice(match stream {
            Stream::Stdout => out,
            Stream::Stderr => error,
        });
    }

    /// Adds the record that says how many were lost here, marked by an attribute.
    pub(super) fn push_lost(&self, batch: &mut Vec<u8>, words: &str, count: u64) {
        batch.extend_from_slice(b"{\"log\":\"");
        escape(batch, words.as_bytes());
        let mark = format!("\"attrs\":{{\"berth.lost\":\"{count}\"}},");
        push_end(batch, Stream::Stderr, mark.as_bytes(), &self.time);
    }
}

fn push_end(end: &mut Vec<u8>, stream: Stream, attributes: &[u8], time: &[u8]) {
    let name: &[u8] = match stream {
        Stream::Stdout => b"stdout",
        Stream::Stderr => b"stderr",
    };
    for part in [
        b"\",\"stream\":\"",
        name,
        b"\",",
        attributes,
        b"\"time\":\"",
        time,
        b"\"}\n",
    ] {
        end.extend_from_slice(part);
    }
}

/// Adds text as the inside of a JSON string.
fn escape(batch: &mut Vec<u8>, mut text: &[u8]) {
    loop {
        let class = |byte: &u8| CLASS[usize::from(*byte)];
        let plain = text.iter().position(|byte| class(byte) != PLAIN);
        let (head, rest) = text.split_at(plain.unwrap_or(text.len()));
        batch.extend_from_slice(head);
        let Some((first, after)) = rest.split_first() else {
            return;
        };
        text = after;
        match class(first) {
            HIGH => {
                let length = rest.iter().position(u8::is_ascii).unwrap_or(rest.len());
                let (high, after) = rest.split_at(length);
                escape_high(batch, high);
                text = after;
            }
            CODE => {
                let [high, low] = [first >> 4, first & 15].map(|half| HEX[usize::from(half)]);
                batch.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
            letter => batch.extend_from_slice(&[b'\\', letter]),
        }
    }
}

/// Adds bytes that are all beyond ASCII.
fn escape_high(batch: &mut Vec<u8>, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        let valid = chunk.valid();
        if valid.contains(['\u{2028}', '\u{2029}']) {
            for character in valid.chars() {
                match character {
                    '\u{2028}' => batch.extend_from_slice(b"\\u2028"),
                    '\u{2029}' => batch.extend_from_slice(b"\\u2029"),
                    other => {
                        batch.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes());
                    }
                }
            }
        } else {
            batch.extend_from_slice(valid.as_bytes());
        }
        for _ in chunk.invalid() {
            batch.extend_from_slice(b"\\ufffd");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escaped(text: &[u8]) -> String {
        let mut batch = Vec::new();
        escape(&mut batch, text);
        String::from_utf8(batch).unwrap()
    }

    /// The right sides are what Docker 28 writes.
    #[test]
    fn bytes_are_dockers() {
        for (text, written) in [
            (&b"plain"[..], "plain"),
            (b"a\"b\\c", "a\\\"b\\\\c"),
            (b"a\tb\r\n", "a\\u0009b\\r\\n"),
            (b"<&>\x1b[0m\x7f", "\\u003c\\u0026\\u003e\\u001b[0m\x7f"),
            ("é€😀".as_bytes(), "é€😀"),
            ("a\u{2028}b\u{2029}".as_bytes(), "a\\u2028b\\u2029"),
            (b"\xff\xe2\x82 \xc3", "\\ufffd\\ufffd\\ufffd \\ufffd"),
        ] {
            assert_eq!(escaped(text), written, "{text:?}");
        }
    }

    #[test]
    fn a_record_is_laid_out_as_dockers() {
        let fields = [("b", "1"), ("a", "\"")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        let mut json = JsonLines::new(&fields.into());
        json.begin("T");
        let mut batch = Vec::new();
        json.push(&mut batch, Stream::Stderr, b"x\n");
        json.push_lost(&mut batch, "gone\n", 3);
        assert_eq!(
            String::from_utf8(batch).unwrap(),
            "{\"log\":\"x\\n\",\"stream\":\"stderr\",\"attrs\":{\"a\":\"\\\"\",\"b\":\"1\"},\"time\":\"T\"}\n\
             {\"log\":\"gone\\n\",\"stream\":\"stderr\",\"attrs\":{\"berth.lost\":\"3\"},\"time\":\"T\"}\n"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_one_line_of_json(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let text = escaped(&bytes);
            prop_assert!(!text.contains('\n'));
            let back: String = serde_json::from_str(&format!("\"{text}\"")).unwrap();
            if let Ok(valid) = std::str::from_utf8(&bytes) {
                prop_assert_eq!(back, valid);
            }
        }
    }
}
