//! How Go prints a value.

use serde_json::{Number, Value};

use super::zeros;

/// What is printed for a value that is not there.
pub(super) const NO_VALUE: &str = "<no value>";

/// What is printed for a pointer to nothing.
pub(super) const NIL: &str = "<nil>";

/// Prints a value as Go's `%v`: strings bare, lists `[a b]`, maps `map[a:1 b:2]` by key.
pub(super) fn show(value: &Value) -> String {
    let mut text = String::new();
    show_into(value, &mut text);
    text
}

fn show_into(value: &Value, text: &mut String) {
    match value {
        Value::Null => text.push_str(NO_VALUE),
        Value::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => text.push_str(&show_number(number)),
        Value::String(value) => text.push_str(value),
        Value::Array(values) => {
            text.push('[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    text.push(' ');
                }
                show_into(value, text);
            }
            text.push(']');
        }
        Value::Object(map) => {
            let pairs = map.iter().filter(|(key, _)| *key != zeros::KEY);
            let mut pairs: Vec<_> = pairs.collect();
            pairs.sort_by_key(|(key, _)| *key);
            text.push_str("map[");
            for (index, (key, value)) in pairs.into_iter().enumerate() {
                if index > 0 {
                    text.push(' ');
                }
                text.push_str(key);
                text.push(':');
                show_into(value, text);
            }
            text.push(']');
        }
    }
}

fn show_number(number: &Number) -> String {
    match (number.as_i64(), number.as_u64(), number.as_f64()) {
        (Some(value), _, _) => value.to_string(),
        (_, Some(value), _) => value.to_string(),
        (_, _, Some(value)) => general(value, None),
        _ => number.to_string(),
    }
}

/// Prints a float as Go's `%g`: the shortest digits that read back, or `precision` of them; with
/// an exponent when it is below -4 or not below 6 (or the precision, where one is given).
pub(super) fn general(value: f64, precision: Option<usize>) -> String {
    if !value.is_finite() {
        return if value.is_nan() {
            "NaN".to_owned()
        } else if value > 0.0 {
            "+Inf".to_owned()
        } else {
            "-Inf".to_owned()
        };
    }
    let scientific = match precision {
        Some(precision) => format!("{value:.*e}", precision.max(1) - 1),
        None => format!("{value:e}"),
    };
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let limit = precision.map_or(6, |p| i32::try_from(p.max(1)).unwrap_or(i32::MAX));
    if exponent < -4 || exponent >= limit {
        let mantissa = strip_zeros(mantissa);
        return with_exponent(mantissa, exponent);
    }
    let decimals = match precision {
        Some(precision) => {
            let left =
                i64::try_from(precision.max(1)).unwrap_or(i64::MAX) - 1 - i64::from(exponent);
            format!("{value:.*}", usize::try_from(left).unwrap_or(0))
        }
        None => format!("{value}"),
    };
    strip_zeros(&decimals).to_owned()
}

/// Writes `1.5e+06`: Go's exponent has a sign and at least two digits.
pub(super) fn with_exponent(mantissa: &str, exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
}

fn strip_zeros(text: &str) -> &str {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
    }
}

/// Quotes a string as Go's `strconv.Quote`: printable characters as they are, the rest escaped.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        let printable = !c.is_control()
            && berth_base::escape_untrusted(c.encode_utf8(&mut [0; 4])).len() == c.len_utf8();
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            c if printable => quoted.push(c),
            c if c.is_ascii() => quoted.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if u32::from(c) <= 0xffff => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_as_go_prints_them() {
        for (value, text) in [
            (json!(null), "<no value>"),
            (json!([1, "a", true]), "[1 a true]"),
            (json!({"b": 1, "a": [2]}), "map[a:[2] b:1]"),
            (json!(1.5), "1.5"),
            (json!(1e-7), "1e-07"),
            (json!(2.0), "2"),
            (json!(1e6), "1e+06"),
            (json!(123_456_789.0), "1.23456789e+08"),
            (json!(100_000.0), "100000"),
            (json!(-3), "-3"),
        ] {
            assert_eq!(show(&value), text);
        }
    }

    #[test]
    fn quoting() {
        assert_eq!(
            quote("a\"b\\\n\x1b\u{9b}ü\u{202e}"),
            r#""a\"b\\\n\x1b\u009bü\u202e""#
        );
    }

    #[test]
    fn precision() {
        assert_eq!(general(1234.5678, Some(4)), "1235");
        assert_eq!(general(0.012345, Some(2)), "0.012");
        assert_eq!(general(123456.0, Some(3)), "1.23e+05");
        assert_eq!(general(512.0, Some(4)), "512");
    }
}
