//! JSON as text.

use serde::Serialize;

/// One line. Never holds a character that can steer a terminal: those above 0x1f that
/// serde_json leaves as they are become `\uNNNN`.
pub(crate) fn line<T: Serialize>(value: &T) -> String {
    guard(serde_json::to_string(value))
}

/// Indented by four spaces, as `docker inspect` does; safe as [`line`].
pub(crate) fn pretty<T: Serialize>(value: &T) -> String {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    let result = value.serialize(&mut serializer);
    guard(result.map(|()| String::from_utf8_lossy(&bytes).into_owned()))
}

/// Our own types always serialize: no map has a key that is not a string. Were one to, the
/// failure would be shown as a JSON string.
fn guard(text: Result<String, serde_json::Error>) -> String {
    let text = match text {
        Ok(text) => text,
        Err(error) => format!("{:?}", error.to_string()),
    };
    let hostile = |c: char| {
        c != '\n' && berth_base::escape_untrusted(c.encode_utf8(&mut [0; 4])).len() != c.len_utf8()
    };
    if !text.chars().any(hostile) {
        return text;
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if hostile(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                safe.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            safe.push(c);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn hostile_characters_stay_data() {
        let text = line(&json!({"a": "\u{9b}2J\u{202e}\x1b\u{7f}<ü>"}));
        assert_eq!(text, r#"{"a":"\u009b2J\u202e\u001b\u007f<ü>"}"#);
        let back: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(back["a"], "\u{9b}2J\u{202e}\x1b\u{7f}<ü>");
    }

    #[test]
    fn four_spaces() {
        assert_eq!(
            pretty(&json!([{"a": 1}])),
            "[\n    {\n        \"a\": 1\n    }\n]"
        );
    }
}
