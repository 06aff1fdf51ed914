//! Text of other programs with a container's name behind each PID. Pure, and streaming.
//!
//! A number is taken for a PID when it stands alone: not in a word, a version, an address, a
//! time, a date, a fraction or a number with a point. Escape sequences of terminals pass through
//! and count as nothing: what is looked at is what a reader sees.

use std::collections::HashMap;

use crate::model::World;

/// The longest stretch that is kept back while its end has not been seen.
const MAX_PENDING: usize = 64 * 1024;
/// No PID has more digits (PID_MAX_LIMIT is 2^22).
const MAX_DIGITS: usize = 7;

/// What is written behind host PIDs: ` [web:7]` for each process that a container owns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(HashMap<u32, String>);

impl Labels {
    /// The labels of a snapshot, escaped.
    pub fn of(world: &World) -> Self {
        let label = |pid| {
            world.owner(pid)?;
            let resolution = world.resolve(pid).ok()?;
            // A process that its container cannot see still belongs to it.
            let text = match (resolution.answer.container, resolution.owner) {
                (None, Some(owner)) => world.container_label(owner),
                _ => resolution.answer.to_string(),
            };
            Some((pid.get(), format!(" [{text}]")))
        };
        let pids = world.processes().iter().map(|process| process.pid);
        Self(pids.filter_map(label).collect())
    }

    /// Labels of the caller's own making.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (u32, String)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    fn of_digits(&self, digits: &[u8]) -> Option<&str> {
        if digits.len() > MAX_DIGITS || digits.first() == Some(&b'0') {
            return None;
        }
        let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
        self.0.get(&number).map(String::as_str)
    }
}

/// Annotates a stream of bytes, line by line; `\r` ends a line as `\n` does. Holds at most 64 KiB.
#[derive(Clone, Debug, Default)]
pub struct Annotator {
    pending: Vec<u8>,
    /// Inside of a word that is longer than what is kept: nothing is a number until it ends.
    in_long_word: bool,
}

impl Annotator {
    /// Takes bytes; appends to `out` what is finished: whole lines, and of a line that grows too
    /// long what ends with a space.
    pub fn feed(&mut self, bytes: &[u8], labels: &Labels, out: &mut Vec<u8>) {
        for chunk in bytes.chunks(MAX_PENDING) {
            self.pending.extend_from_slice(chunk);
            let is_end = |b: &u8| matches!(b, b'\n' | b'\r');
            let is_space = |b: &u8| matches!(b, b'\n' | b'\r' | b' ' | b'\t');
            let mut cut = self.pending.iter().rposition(is_end);
            if cut.is_none() && self.pending.len() >= MAX_PENDING {
                cut = self.pending.iter().rposition(is_space);
                if cut.is_none() {
                    out.append(&mut self.pending);
                    self.in_long_word = true;
                    continue;
                }
            }
            if let Some(cut) = cut {
                let rest = self.pending.split_off(cut + 1);
                self.settle(labels, out);
                self.pending = rest;
            }
        }
    }

    /// Whether something is kept back.
    pub fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Appends the rest, when no more comes.
    pub fn finish(&mut self, labels: &Labels, out: &mut Vec<u8>) {
        self.settle(labels, out);
        self.pending.clear();
    }

    fn settle(&mut self, labels: &Labels, out: &mut Vec<u8>) {
        let mut text = self.pending.as_slice();
        if self.in_long_word {
            let is_space = |b: &u8| matches!(b, b'\n' | b'\r' | b' ' | b'\t');
            let end = text.iter().position(is_space);
            let (word, rest) = text.split_at(end.unwrap_or(text.len()));
            out.extend_from_slice(word);
            self.in_long_word = end.is_none();
            text = rest;
        }
        annotate(text, labels, out);
    }
}

/// Appends a text to `out`, with a label behind each number that has one.
pub fn annotate(text: &[u8], labels: &Labels, out: &mut Vec<u8>) {
    let mut at = 0;
    // What a reader sees before this place.
    let mut seen = Seen::default();
    while let Some(byte) = text.get(at) {
        let rest = text.get(at..).unwrap_or_default();
        let length = match byte {
            0x1b => escape_length(rest),
            b'0'..=b'9' => {
                let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
                let (number, after) = rest.split_at(digits);
                out.extend_from_slice(number);
                if let Some(label) = labels.of_digits(number)
                    && seen.may_precede(number.len())
                    && may_follow(number, after)
                {
                    out.extend_from_slice(label.as_bytes());
                }
                seen.push_number(number.len());
                at += digits;
                continue;
            }
            _ => {
                let (c, length) = first_char(rest);
                seen.push(c);
                length
            }
        };
        out.extend_from_slice(rest.get(..length).unwrap_or_default());
        at += length;
    }
}

/// The last characters that a reader has seen.
#[derive(Default)]
struct Seen {
    /// The last ones, oldest first.
    last: [char; 6],
    /// The digits right before the last character.
    digits_before: usize,
    /// The digits at the end.
    digits: usize,
}

impl Seen {
    fn push(&mut self, c: char) {
        self.last.rotate_left(1);
        if let Some(place) = self.last.last_mut() {
            *place = c;
        }
        self.digits_before = self.digits;
        self.digits = 0;
    }

    fn push_number(&mut self, length: usize) {
        self.push('0');
        self.digits_before = 0;
        self.digits = length;
    }

    /// Whether a number of this many digits can begin here.
    fn may_precede(&self, length: usize) -> bool {
        let text: String = self.last.iter().filter(|c| **c != '\0').collect();
        match text.chars().next_back() {
            None => true,
            Some(':') if is_pid_word(&text) => true,
            Some('/') => text.ends_with("/proc/"),
            // 12,345 is one number.
            Some(',') => !(length == 3 && (1..=3).contains(&self.digits_before)),
            Some(c) => {
                !c.is_alphanumeric()
                    && !matches!(
                        c,
                        '_' | '.' | '-' | '+' | ':' | '@' | '#' | '$' | '%' | '~' | '^' | '\\'
                    )
            }
        }
    }
}

/// Whether a text ends with `pid:`, in any case: `PID:12`, `ppid:12`.
fn is_pid_word(text: &str) -> bool {
    let end = text.to_ascii_lowercase();
    end.ends_with("pid:")
}

/// Whether a number can end before this text.
fn may_follow(number: &[u8], after: &[u8]) -> bool {
    let mut seen = visible(after);
    let (first, second) = (seen.next(), seen.next());
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    match first {
        None => true,
        Some('.' | ':') => !is_word(second) && second != first,
        // 12/25 is a date or a fraction, 1234/nginx a process as netstat writes it.
        Some('/') => !second.is_some_and(|c| c.is_ascii_digit() || c == '/'),
        Some(',') => {
            let group = visible(after)
                .skip(1)
                .take_while(char::is_ascii_digit)
                .count();
            !(group == 3 && number.len() <= 3)
        }
        Some(c) => !is_word(Some(c)) && !matches!(c, '-' | '@' | '%' | '\\'),
    }
}

/// The characters that a reader sees of a text.
fn visible(text: &[u8]) -> impl Iterator<Item = char> + '_ {
    let mut rest = text;
    std::iter::from_fn(move || {
        while rest.first() == Some(&0x1b) {
            rest = rest.get(escape_length(rest)..).unwrap_or_default();
        }
        if rest.is_empty() {
            return None;
        }
        let (c, length) = first_char(rest);
        rest = rest.get(length..).unwrap_or_default();
        Some(c)
    })
}

/// The first character of a text that is not empty, and its length. A byte that is no UTF-8 is a
/// character of its own that belongs to no word.
fn first_char(text: &[u8]) -> (char, usize) {
    let start = text.get(..text.len().min(4)).unwrap_or_default();
    let chunk = start.utf8_chunks().next();
    match chunk.and_then(|chunk| chunk.valid().chars().next()) {
        Some(c) => (c, c.len_utf8()),
        None => ('\u{fffd}', 1),
    }
}

/// The length of an escape sequence (ECMA-48): CSI up to its final byte, OSC and other strings up
/// to BEL or ST, else two bytes. One that does not end is as long as the text.
fn escape_length(text: &[u8]) -> usize {
    let end = |from: usize, is_last: fn(&u8) -> bool| {
        let body = text.get(from..).unwrap_or_default();
        body.iter()
            .position(is_last)
            .map_or(text.len(), |at| from + at + 1)
    };
    match text.get(1) {
        Some(b'[') => end(2, |b| (0x40..=0x7e).contains(b) || *b < 0x20),
        Some(b']' | b'P' | b'X' | b'^' | b'_') => {
            let length = end(2, |b| matches!(b, 0x07 | 0x1b | b'\n'));
            // ST is ESC and a backslash.
            match (text.get(length.saturating_sub(1)), text.get(length)) {
                (Some(0x1b), Some(b'\\')) => length + 1,
                _ => length,
            }
        }
        Some(_) => 2,
        None => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Labels {
        let pairs = [
            (7, "a:1"),
            (123, "b:2"),
            (1234, "web:7"),
            (4_194_304, "c:3"),
        ];
        Labels::from_pairs(pairs.map(|(pid, label)| (pid, format!(" [{label}]"))))
    }

    fn marked(text: &str) -> String {
        let mut out = Vec::new();
        annotate(text.as_bytes(), &labels(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_that_stand_alone_are_marked() {
        for (text, expected) in [
            ("1234", "1234 [web:7]"),
            (" 1234 ", " 1234 [web:7] "),
            ("nginx[1234]: x", "nginx[1234 [web:7]]: x"),
            ("(1234)", "(1234 [web:7])"),
            ("pid=1234,uid=0", "pid=1234 [web:7],uid=0"),
            ("PID:1234", "PID:1234 [web:7]"),
            (
                "Killed process 1234 (nginx)",
                "Killed process 1234 [web:7] (nginx)",
            ),
            ("killed 1234.", "killed 1234 [web:7]."),
            ("1234: sh", "1234 [web:7]: sh"),
            ("1234/nginx", "1234 [web:7]/nginx"),
            ("/proc/1234/fd", "/proc/1234 [web:7]/fd"),
            (
                "|    0   N/A  N/A      1234      C   python |",
                "|    0   N/A  N/A      1234 [web:7]      C   python |",
            ),
            ("├─1234 │7│", "├─1234 [web:7] │7 [a:1]│"),
            ("1234,7", "1234 [web:7],7 [a:1]"),
            ("4194304", "4194304 [c:3]"),
            ("1234\t7\n", "1234 [web:7]\t7 [a:1]\n"),
        ] {
            assert_eq!(marked(text), expected);
        }
    }

    #[test]
    fn numbers_that_are_part_of_something_are_not() {
        for text in [
            "v1234",
            "1234k",
            "x1234y",
            "1234.5",
            "5.1234",
            "1.7.123",
            "127.0.0.7",
            "7.0.0.1",
            "10.0.0.7:1234",
            "12:07:1234",
            "1234:12:01",
            "fe80::1234",
            "1234::7",
            "1234:abcd::",
            "localhost:1234",
            "2024-7-123",
            "1234-foo",
            "foo-1234",
            "-1234",
            "+7",
            "7%",
            "0x1234",
            "01234",
            "00007",
            "7_000",
            "a_7",
            "12,123",
            "7,123,456",
            "1/7",
            "7/8",
            "/var/1234",
            "user@1234",
            "1234@host",
            "#7",
            "$7",
            "é1234",
            "1234é",
            "12345678901234",
            "1e7",
            "[T1234]",
            "1234.service",
            "[  123.456]",
        ] {
            assert_eq!(marked(text), text);
        }
    }

    #[test]
    fn colours_pass_and_count_as_nothing() {
        assert_eq!(
            marked("\x1b[1234m1234\x1b[0m x"),
            "\x1b[1234m1234 [web:7]\x1b[0m x"
        );
        assert_eq!(marked("foo\x1b[1m1234\x1b[0m"), "foo\x1b[1m1234\x1b[0m");
        assert_eq!(marked("1234\x1b[0m5"), "1234\x1b[0m5");
        let link = "\x1b]8;;http://x/1234 1234\x1b\\1234\x1b]8;;\x07 7";
        assert_eq!(
            marked(link),
            "\x1b]8;;http://x/1234 1234\x1b\\1234 [web:7]\x1b]8;;\x07 7 [a:1]"
        );
        for broken in ["\x1b", "\x1b[", "\x1b[1", "\x1b]1234", "1\x1b"] {
            assert_eq!(marked(broken), broken);
        }
    }

    #[test]
    fn bytes_that_are_no_text_pass() {
        let mut out = Vec::new();
        annotate(b"\xff\x001234\0\xfe 7\xc3", &labels(), &mut out);
        assert_eq!(out, b"\xff\x001234 [web:7]\0\xfe 7 [a:1]\xc3");
    }

    fn stream(text: &[u8], size: usize) -> Vec<u8> {
        let mut annotator = Annotator::default();
        let mut out = Vec::new();
        for chunk in text.chunks(size) {
            annotator.feed(chunk, &labels(), &mut out);
            assert!(annotator.pending.len() <= 2 * MAX_PENDING);
        }
        annotator.finish(&labels(), &mut out);
        out
    }

    #[test]
    fn how_it_arrives_makes_no_difference() {
        let text = "a 1234 b\n\x1b[1m7\x1b[0m 12.7 é7 é 7\r\n1234\n\n7";
        let whole = marked(text);
        for size in 1..text.len() {
            assert_eq!(stream(text.as_bytes(), size), whole.as_bytes(), "{size}");
        }
    }

    #[test]
    fn endless_lines_are_not_kept() {
        let mut text = b"1234 ".repeat(100_000);
        assert_eq!(stream(&text, 4096), b"1234 [web:7] ".repeat(100_000));
        text = b"x".repeat(3 * MAX_PENDING);
        text.extend_from_slice(b"1234 1234");
        let mut expected = text.clone();
        expected.extend_from_slice(b" [web:7]");
        assert_eq!(stream(&text, 4096), expected);
    }

    #[test]
    fn whole_lines_do_not_wait_for_more() {
        let mut annotator = Annotator::default();
        let mut out = Vec::new();
        annotator.feed(b"1234\n12", &labels(), &mut out);
        assert_eq!(out, b"1234 [web:7]\n");
        assert!(annotator.is_pending());
    }
}
