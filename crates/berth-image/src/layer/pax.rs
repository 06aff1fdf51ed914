//! Records of extended headers (POSIX pax, "pax Extended Header").

use super::number::decimal;

/// The key and the value of a record.
pub(super) type Record<'a> = (&'a [u8], &'a [u8]);

/// Reads the records of a header: `LENGTH KEY=VALUE` and a line feed each, where the length counts
/// the whole record.
pub(super) fn records(mut rest: &[u8]) -> Result<Vec<Record<'_>>, &'static str> {
    let mut all = Vec::new();
    while !rest.is_empty() {
        let (record, after) = record(rest)?;
        all.push(record);
        rest = after;
    }
    Ok(all)
}

fn record(rest: &[u8]) -> Result<(Record<'_>, &[u8]), &'static str> {
    let blank = rest
        .iter()
        .take(20)
        .position(|b| *b == b' ')
        .ok_or("a record of an extended header without length")?;
    let (digits, _) = rest.split_at_checked(blank).unwrap_or_default();
    let length = usize::try_from(decimal(digits)?).map_err(|_| "a record that is too long")?;
    let body = blank + 1;
    let (whole, after) = rest
        .split_at_checked(length)
        .filter(|_| length > body)
        .ok_or("a record of an extended header with a wrong length")?;
    let line = whole
        .get(body..)
        .and_then(|line| line.strip_suffix(b"\n"))
        .ok_or("a record of an extended header without end")?;
    let equals = line
        .iter()
        .position(|b| *b == b'=')
        .filter(|at| *at > 0)
        .ok_or("a record of an extended header without key")?;
    let (key, value) = line.split_at_checked(equals).unwrap_or_default();
    if key.contains(&0) {
        return Err("a key of an extended header with a NUL byte");
    }
    Ok(((key, value.get(1..).unwrap_or_default()), after))
}

/// Appends a record.
pub(super) fn append(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    // The length counts its own digits.
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    records.extend_from_slice(length.to_string().as_bytes());
    records.push(b' ');
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

/// Undoes the escapes of libarchive's attribute names: `%` and two hex digits.
pub(super) fn url_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        if *byte == b'%' {
            let high = char::from(*rest.next()?).to_digit(16)?;
            let low = char::from(*rest.next()?).to_digit(16)?;
            plain.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            plain.push(*byte);
        }
    }
    Some(plain)
}

/// Undoes base64 (RFC 4648 section 4), with or without padding.
pub(super) fn base64_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let text = text
        .strip_suffix(b"==")
        .or_else(|| text.strip_suffix(b"="))
        .unwrap_or(text);
    let mut plain = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for group in text.chunks(4) {
        let mut bits = 0_u32;
        for byte in group {
            let value = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(value);
        }
        let bytes = match group.len() {
            4 => 3,
            3 => 2,
            2 => 1,
            _ => return None,
        };
        bits <<= 6 * (4 - group.len());
        plain.extend_from_slice(bits.to_be_bytes().get(1..=bytes)?);
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn records_are_read() {
        let header = b"12 path=a b\n11 size=12\n7 uid=\n";
        assert_eq!(
            records(header).unwrap(),
            [(&b"path"[..], &b"a b"[..]), (b"size", b"12"), (b"uid", b"")]
        );
        for bad in [
            &b"12 path=a b"[..],
            b"13 path=a b\n",
            b"0 path=a\n",
            b"3 \n",
            b"5 =a\n",
            b"x path=a\n",
            b"99999999999999999999 a=b\n",
            b"6 ab\n\n",
        ] {
            assert!(records(bad).is_err(), "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn base64_and_escapes() {
        assert_eq!(base64_decoded(b"AQAAAg==").unwrap(), [1, 0, 0, 2]);
        assert_eq!(base64_decoded(b"AQAAAgA").unwrap(), [1, 0, 0, 2, 0]);
        assert!(base64_decoded(b"").unwrap().is_empty());
        assert!(base64_decoded(b"A").is_none() && base64_decoded(b"A-==").is_none());
        assert_eq!(url_decoded(b"user.a%3db").unwrap(), b"user.a=b");
        assert!(url_decoded(b"%4").is_none());
    }

    proptest! {
        #[test]
        fn what_is_appended_is_read(pairs in proptest::collection::vec(
            ("[a-zA-Z.]{1,120}", proptest::collection::vec(any::<u8>(), 0..1200)), 0..5)) {
            let mut header = Vec::new();
            for (key, value) in &pairs {
                append(&mut header, key.as_bytes(), value);
            }
            let read = records(&header).unwrap();
            prop_assert_eq!(read.len(), pairs.len());
            for ((key, value), (k, v)) in pairs.iter().zip(read) {
                prop_assert_eq!(key.as_bytes(), k);
                prop_assert_eq!(&value[..], v);
            }
        }

        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(records(&bytes));
            drop(base64_decoded(&bytes));
            drop(url_decoded(&bytes));
        }
    }
}
