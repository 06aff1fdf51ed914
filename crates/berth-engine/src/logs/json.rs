//! Reading json-file: an object a line, as Docker or Berth wrote it.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::record::{Encoding, LogStream, Spans, Time};

const BEGIN: &[u8] = b"{\"log\":\"";

/// Finds the parts of a line in the layout of Docker and Berth:
/// `{"log":"...","stream":"stdout","time":"..."}`, with `"attrs":{...},` before the time at most.
///
/// From its end, so that a long text need not be looked at.
pub(super) fn parse(line: &[u8]) -> Option<Spans> {
    let text = line.strip_prefix(BEGIN)?;
    let rest = text.strip_suffix(b"\n").unwrap_or(text);
    let rest = rest.strip_suffix(b"\"}")?;
    let quote = memchr::memrchr(b'"', rest)?;
    let (head, time) = rest.split_at(quote + 1);
    let head = head.strip_suffix(b",\"time\":\"")?;
    let (text_length, stream, attributes) = match stream_after(head) {
        Some((text, stream)) => (text.len(), stream, None),
        None => {
            let (text, stream, attributes) = with_attributes(head)?;
            (text, stream, Some(attributes))
        }
    };
    let after_begin = |range: Range<usize>| BEGIN.len() + range.start..BEGIN.len() + range.end;
    Some(Spans {
        text: after_begin(0..text_length),
        encoding: Encoding::Json,
        stream,
        time: Time::Text(after_begin(quote + 1..quote + 1 + time.len())),
        attributes: attributes.map(after_begin),
    })
}

/// The text and its stream, where nothing follows that.
fn stream_after(head: &[u8]) -> Option<(&[u8], LogStream)> {
    match head.strip_suffix(b"\",\"stream\":\"stdout\"") {
        Some(text) => Some((text, LogStream::Out)),
        None => {
            let text = head.strip_suffix(b"\",\"stream\":\"stderr\"")?;
            Some((text, LogStream::Error))
        }
    }
}

/// The length of the text, its stream, and where the attributes are.
fn with_attributes(head: &[u8]) -> Option<(usize, LogStream, Range<usize>)> {
    let mut text = 0;
    loop {
        text += memchr::memchr2(b'"', b'\\', head.get(text..)?)?;
        if head.get(text) == Some(&b'"') {
            break;
        }
        text += 2;
    }
    let after = head.get(text..)?;
    let (rest, stream) = match after.strip_prefix(b"\",\"stream\":\"stdout\",\"attrs\":") {
        Some(rest) => (rest, LogStream::Out),
        None => {
            let rest = after.strip_prefix(b"\",\"stream\":\"stderr\",\"attrs\":")?;
            (rest, LogStream::Error)
        }
    };
    Some((text, stream, head.len() - rest.len()..head.len()))
}

#[derive(Serialize, Deserialize)]
struct Line {
    log: String,
    stream: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    attrs: BTreeMap<String, String>,
    time: String,
}

/// Another layout of the same object, written in the usual one.
pub(super) fn relaid(line: &[u8]) -> Option<Vec<u8>> {
    let line: Line = serde_json::from_slice(line).ok()?;
    serde_json::to_vec(&line).ok()
}

/// Adds the text that the inside of a JSON string stands for.
pub(super) fn unescape(mut text: &[u8], out: &mut Vec<u8>) {
    while let Some(next) = memchr::memchr(b'\\', text) {
        let (plain, rest) = text.split_at(next);
        out.extend_from_slice(plain);
        let letter = rest.get(1).copied();
        let (byte, length) = match letter {
            Some(b'n') => (b'\n', 2),
            Some(b'r') => (b'\r', 2),
            Some(b't') => (b'\t', 2),
            Some(b'b') => (8, 2),
            Some(b'f') => (12, 2),
            Some(b'u') => {
                text = rest.get(unescape_code(rest, out)..).unwrap_or_default();
                continue;
            }
            Some(other) => (other, 2),
            None => return,
        };
        out.push(byte);
        text = rest.get(length..).unwrap_or_default();
    }
    out.extend_from_slice(text);
}

/// Adds the character of `\uXXXX`, or of two of them; how many bytes of `text` that took.
fn unescape_code(text: &[u8], out: &mut Vec<u8>) -> usize {
    let unit = |at: usize| {
        let escape = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(escape).ok()?, 16).ok()
    };
    let units = [unit(0), unit(6)];
    let first = units.into_iter().map_while(|unit| unit);
    let decoded = char::decode_utf16(first).next();
    let (character, length) = match decoded {
        Some(Ok(character)) => (character, 6 * character.len_utf16()),
        Some(Err(_)) => (char::REPLACEMENT_CHARACTER, 6),
        // No escape of JSON: as it stands.
        None => ('\\', 1),
    };
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    length
}

/// Nanoseconds since 1970 of `2026-01-02T03:04:05.123Z`.
pub(super) fn time(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    quick_time(text.as_bytes()).or_else(|| {
        let time: berth_base::Timestamp = text.parse().ok()?;
        Some(time.as_nanos())
    })
}

fn quick_time(text: &[u8]) -> Option<u64> {
    let (date, fraction) = text.strip_suffix(b"Z")?.split_at_checked(19)?;
    let number = |range: Range<usize>| {
        date.get(range)?.iter().try_fold(0u64, |number, digit| {
            digit
                .is_ascii_digit()
                .then(|| number * 10 + u64::from(digit - b'0'))
        })
    };
    let separators = [4, 7, 10, 13, 16].map(|at| date.get(at).copied().unwrap_or(0));
    if &separators != b"--T::" {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    if !(1970..=2400).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years that begin in March: the leap day is the last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    let days = year * 365 + leap_days + (month * 153 + 2) / 5 + day;
    let days = days.checked_sub(719_469)?;
    let seconds = days * 86_400 + number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?;
    let digits = match fraction.split_first() {
        None => &[],
        Some((b'.', digits)) if (1..=9).contains(&digits.len()) => digits,
        Some(_) => return None,
    };
    let mut nanos = 0;
    for place in 0..9 {
        let digit = digits.get(place).copied().unwrap_or(b'0');
        nanos = nanos * 10 + u64::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    Some(seconds * 1_000_000_000 + nanos)
}

/// Adds a time of the usual form with nine digits of a second; false for another form.
pub(super) fn push_time(text: &[u8], out: &mut Vec<u8>) -> bool {
    let Some((date, fraction)) = text
        .strip_suffix(b"Z")
        .and_then(|text| text.split_at_checked(19))
    else {
        return false;
    };
    if fraction.len() > 10 || !(fraction.is_empty() || fraction.starts_with(b".")) {
        return false;
    }
    out.extend_from_slice(date);
    out.extend_from_slice(if fraction.is_empty() { b"." } else { fraction });
    out.resize(out.len() + 10 - fraction.len().max(1), b'0');
    out.push(b'Z');
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(line: &[u8]) -> Option<String> {
        let spans = parse(line)?;
        let mut out = Vec::new();
        unescape(&line[spans.text], &mut out);
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn layouts() {
        let usual =
            "{\"log\":\"a\\\",\\\"time\\\":\\\"\\n\",\"stream\":\"stderr\",\"time\":\"T\"}\n";
        assert_eq!(text(usual.as_bytes()).unwrap(), "a\",\"time\":\"\n");
        let attributes =
            "{\"log\":\"x\\n\",\"stream\":\"stdout\",\"attrs\":{\"a\":\"\\\"}\"},\"time\":\"T\"}";
        let spans = parse(attributes.as_bytes()).unwrap();
        assert_eq!(spans.stream, LogStream::Out);
        assert_eq!(&attributes[spans.attributes.unwrap()], "{\"a\":\"\\\"}\"}");
        let turned = b"{ \"time\":\"T\", \"stream\" : \"stderr\", \"log\":\"\\u00e9\" }";
        assert_eq!(parse(turned).map(|spans| spans.stream), None);
        assert_eq!(text(&relaid(turned).unwrap()).unwrap(), "é");
        for broken in [
            "",
            "{}",
            "garbage",
            "{\"log\":\"x",
            "{\"log\":\"x\",\"time\":\"T\"}",
        ] {
            assert!(parse(broken.as_bytes()).is_none(), "{broken}");
            assert!(relaid(broken.as_bytes()).is_none(), "{broken}");
        }
    }

    #[test]
    fn escapes() {
        for (escaped, plain) in [
            ("a\\u003c\\u0009\\t\\\\\\/\\\"", "a<\t\t\\/\""),
            ("\\ud83d\\ude00", "😀"),
            ("\\ud83d!\\u00zz", "\u{fffd}!\\u00zz"),
        ] {
            let mut out = Vec::new();
            unescape(escaped.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), plain);
        }
    }

    #[test]
    fn times() {
        for (text, nanos) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-02-28T23:59:59.5Z", 1_772_323_199_500_000_000),
            ("2024-02-29T12:00:00.000000001Z", 1_709_208_000_000_000_001),
        ] {
            assert_eq!(time(text.as_bytes()), Some(nanos), "{text}");
            let mut out = Vec::new();
            assert!(push_time(text.as_bytes(), &mut out));
            let full = berth_base::Timestamp::from_nanos(nanos).to_string();
            assert_eq!(String::from_utf8(out).unwrap(), full);
        }
        assert_eq!(time(b"yesterday"), None);
    }

    proptest! {
        #[test]
        fn quick_times_are_right(nanos in 0u64..4_000_000_000_000_000_000) {
            let text = berth_base::Timestamp::from_nanos(nanos).to_string();
            prop_assert_eq!(quick_time(text.as_bytes()), Some(nanos));
        }

        #[test]
        fn any_json_string_is_unescaped(text in "\\PC*") {
            let json = serde_json::to_string(&text).unwrap();
            let mut out = Vec::new();
            unescape(&json.as_bytes()[1..json.len() - 1], &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), text);
        }

        #[test]
        fn no_line_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            parse(&bytes);
            unescape(&bytes, &mut Vec::new());
            time(&bytes);
            push_time(&bytes, &mut Vec::new());
        }
    }
}
