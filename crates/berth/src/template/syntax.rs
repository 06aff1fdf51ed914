//! Literals: quoted strings, raw strings, characters, numbers, as Go writes them.

use serde_json::{Number, Value};

/// Reads the inside of a double-quoted string or a character constant.
pub(super) fn unescape(body: &str) -> Result<String, String> {
    let mut text = String::with_capacity(body.len());
    let mut rest = body.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        let escape = rest.next().ok_or("a \\ at the end of a string")?;
        let plain = match escape {
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            '\\' | '\'' | '"' => escape,
            'x' => code(&mut rest, 2)?,
            'u' => code(&mut rest, 4)?,
            'U' => code(&mut rest, 8)?,
            other => return Err(format!("unknown escape \\{other} in a string")),
        };
        text.push(plain);
    }
    Ok(text)
}

fn code(rest: &mut std::str::Chars<'_>, digits: usize) -> Result<char, String> {
    let hex: String = rest.by_ref().take(digits).collect();
    let wrong = || format!("an escape in a string needs {digits} hex digits of a character");
    if hex.chars().count() != digits {
        return Err(wrong());
    }
    u32::from_str_radix(&hex, 16)
        .ok()
        .and_then(char::from_u32)
        .ok_or_else(wrong)
}

/// Reads an integer (decimal, 0x, 0o, 0b, with `_`) or a floating-point number.
pub(super) fn number(text: &str) -> Option<Value> {
    let plain = text.replace('_', "");
    let (negative, digits) = match plain.strip_prefix(['-', '+']) {
        Some(digits) => (plain.starts_with('-'), digits),
        None => (false, plain.as_str()),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let lower = digits.to_ascii_lowercase();
    let radix = [("0x", 16), ("0o", 8), ("0b", 2)]
        .into_iter()
        .find_map(|(prefix, radix)| Some((lower.strip_prefix(prefix)?, radix)));
    let (digits, radix) = radix.unwrap_or((&lower, 10));
    if let Ok(value) = i128::from_str_radix(digits, radix) {
        let value = if negative { -value } else { value };
        return match i64::try_from(value) {
            Ok(value) => Some(value.into()),
            Err(_) => u64::try_from(value).ok().map(Value::from),
        };
    }
    if radix != 10 {
        return None;
    }
    let value: f64 = digits.parse().ok()?;
    Number::from_f64(if negative { -value } else { value }).map(Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers() {
        for (text, value) in [
            ("7", json!(7)),
            ("-7", json!(-7)),
            ("0x1F", json!(31)),
            ("1_000", json!(1000)),
            ("1.5", json!(1.5)),
            ("1e3", json!(1000.0)),
            ("18446744073709551615", json!(u64::MAX)),
        ] {
            assert_eq!(number(text), Some(value), "{text}");
        }
        for text in ["", "-", "x", "0x", "1x", "99999999999999999999", "inf"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn escapes() {
        assert_eq!(unescape(r#"a\t\"\u00e9\x41"#).unwrap(), "a\t\"éA");
        for bad in ["\\", "\\z", "\\u12", "\\ud800"] {
            assert!(unescape(bad).is_err(), "{bad}");
        }
    }
}
