//! Numbers as tar writes them.

/// Reads a numeric field of a header: octal digits between blanks, or two's complement where the
/// first bit is set (tar(5), "Numeric Extensions"). An empty field is 0.
pub(super) fn field(bytes: &[u8]) -> Result<i64, &'static str> {
    match bytes.first() {
        Some(first) if first & 0x80 != 0 => binary(bytes),
        _ => octal(bytes),
    }
}

fn binary(bytes: &[u8]) -> Result<i64, &'static str> {
    let (first, rest) = bytes.split_first().ok_or("an empty number")?;
    // The first bit is the mark, the second the sign.
    let mut value = i128::from(first & 0x3f) - if first & 0x40 != 0 { 0x40 } else { 0 };
    for byte in rest {
        value = (value << 8) | i128::from(*byte);
    }
    // 12 bytes of 8 bits are within 128.
    i64::try_from(value).map_err(|_| "a number beyond 64 bits")
}

fn octal(bytes: &[u8]) -> Result<i64, &'static str> {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    let digits = bytes.get(..end).unwrap_or_default().trim_ascii();
    digits.iter().try_fold(0_i64, |value, digit| match digit {
        b'0'..=b'7' => value
            .checked_mul(8)
            .and_then(|v| v.checked_add(i64::from(digit - b'0')))
            .ok_or("a number beyond 64 bits"),
        _ => Err("a number that is not octal"),
    })
}

/// Reads a decimal number without sign, as in extended headers.
pub(super) fn decimal(text: &[u8]) -> Result<u64, &'static str> {
    if text.is_empty() {
        return Err("an empty number");
    }
    text.iter().try_fold(0_u64, |value, digit| match digit {
        b'0'..=b'9' => value
            .checked_mul(10)
            .and_then(|v| v.checked_add(u64::from(digit - b'0')))
            .ok_or("a number beyond 64 bits"),
        _ => Err("a number that is not decimal"),
    })
}

/// Reads a time in seconds with a fraction; more digits than nanoseconds are cut, towards the past
/// (POSIX pax, "mtime").
pub(super) fn time(text: &[u8]) -> Result<(i64, u32), &'static str> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut parts = text.splitn(2, |b| *b == b'.');
    let whole = decimal(parts.next().unwrap_or_default())?;
    let fraction = parts.next().unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return Err("a time that is no number");
    }
    let mut nanoseconds = 0_u32;
    for at in 0..9 {
        let digit = fraction.get(at).map_or(0, |d| u32::from(d - b'0'));
        nanoseconds = nanoseconds * 10 + digit;
    }
    let mut seconds = i64::try_from(whole).map_err(|_| "a time beyond 64 bits")?;
    if negative {
        let cut = fraction
            .get(9..)
            .unwrap_or_default()
            .iter()
            .any(|d| *d != b'0');
        seconds = -seconds;
        let below = nanoseconds + u32::from(cut);
        if below > 0 {
            seconds -= 1;
            nanoseconds = 1_000_000_000 - below;
        }
    }
    Ok((seconds, nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        assert_eq!(field(b"0000755\0"), Ok(0o755));
        assert_eq!(field(b" 755 \0  "), Ok(0o755));
        assert_eq!(field(b"\0\0\0\0\0\0\0\0"), Ok(0));
        assert_eq!(field(b"77777777777\0"), Ok(0o77_777_777_777));
        assert_eq!(field(&[0x80, 0, 0, 0, 0, 0, 0, 9]), Ok(9));
        assert_eq!(field(&[0xff; 12]), Ok(-1));
        assert_eq!(
            field(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]),
            Ok(-2)
        );
        assert!(field(b"00008\0\0\0").is_err());
        assert!(field(b"+0000755").is_err());
        assert!(field(b"-1\0").is_err());
        assert!(field(&[0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).is_err());
    }

    #[test]
    fn times() {
        assert_eq!(time(b"12"), Ok((12, 0)));
        assert_eq!(time(b"12."), Ok((12, 0)));
        assert_eq!(time(b"12.5"), Ok((12, 500_000_000)));
        assert_eq!(time(b"12.0000000019"), Ok((12, 1)));
        assert_eq!(time(b"-1.25"), Ok((-2, 750_000_000)));
        assert_eq!(time(b"-1.0000000001"), Ok((-2, 999_999_999)));
        assert_eq!(time(b"-3"), Ok((-3, 0)));
        for bad in [
            &b""[..],
            b".5",
            b"1.x",
            b"--1",
            b"99999999999999999999",
            b"9223372036854775808",
        ] {
            assert!(time(bad).is_err(), "{}", bad.escape_ascii());
        }
    }
}
