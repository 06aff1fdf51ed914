//! Unit properties from annotations `org.systemd.property.NAME`, against an allow-list.
//!
//! Whoever may annotate a pod is not whoever may configure the host: a property can start and stop
//! other units, run programs or lift limits (CVE-2024-3154). Only those pass that say when and how
//! the container's own unit is ordered, described and ended. Pure.

use std::collections::{BTreeMap, HashMap};

use super::property::{Property, Value};
use crate::cgroup::error::CgroupError;

const PREFIX: &str = "org.systemd.property.";

/// What may be set: names as systemd has them, times by their USec name.
const ALLOWED: [&str; 8] = [
    "After",
    "Before",
    "CollectMode",
    "DefaultDependencies",
    "Description",
    "Documentation",
    "RuntimeMaxUSec",
    "TimeoutStopUSec",
];

const MICROS: u64 = 1_000_000;

/// The properties that annotations ask for, by name.
pub(super) fn properties(
    annotations: Option<&HashMap<String, String>>,
) -> Result<Vec<Property>, CgroupError> {
    let asked: BTreeMap<_, _> = annotations.into_iter().flatten().collect();
    let mut found = Vec::new();
    for (key, text) in asked {
        if let Some(name) = key.strip_prefix(PREFIX) {
            found.push(property(key, name, text)?);
        }
    }
    Ok(found)
}

fn property(key: &str, name: &str, text: &str) -> Result<Property, CgroupError> {
    let invalid = |why: String| CgroupError::Invalid {
        limit: "annotation",
        asked: format!("{key}={text}"),
        why,
    };
    let malformed = || {
        invalid(
            "give a value in GVariant text, like true, uint64 5, 'text' or ['a', 'b']".to_owned(),
        )
    };
    let mut value = parse(text.trim()).ok_or_else(malformed)?;
    let mut name = name.to_owned();
    // TimeoutStopSec=5 is how unit files say TimeoutStopUSec=5000000.
    if let Some(stem) = name
        .strip_suffix("Sec")
        .filter(|stem| stem.ends_with(|c: char| c.is_ascii_lowercase()))
    {
        value = micros(&value)
            .ok_or_else(|| invalid("a time is a number of seconds, not negative".to_owned()))?;
        name = format!("{stem}USec");
    }
    if !ALLOWED.contains(&name.as_str()) {
        return Err(invalid(format!(
            "a container may not set this property of its unit; allowed are {}",
            ALLOWED.join(", ")
        )));
    }
    Ok(Property { name, value })
}

fn micros(value: &Value) -> Option<Value> {
    let seconds = match *value {
        Value::I32(number) => u64::try_from(number).ok()?,
        Value::I64(number) => u64::try_from(number).ok()?,
        Value::U32(number) => u64::from(number),
        Value::U64(number) => number,
        _ => return None,
    };
    Some(Value::U64(seconds.checked_mul(MICROS)?))
}

/// A value in GVariant's text form, as far as unit properties need it: booleans, integers with an
/// optional type before them (int32 by default), strings and lists of strings.
fn parse(text: &str) -> Option<Value> {
    match text {
        "true" => return Some(Value::Bool(true)),
        "false" => return Some(Value::Bool(false)),
        _ => {}
    }
    if text.starts_with(['\'', '"']) {
        let (text, rest) = quoted(text)?;
        return rest.is_empty().then_some(Value::Text(text));
    }
    if let Some(list) = text
        .strip_prefix("@as")
        .map_or(text, str::trim_start)
        .strip_prefix('[')
    {
        return texts(list).map(Value::Texts);
    }
    let (kind, number) = text.split_once(' ').unwrap_or(("int32", text));
    let number = number.trim();
    match kind {
        "int32" => number.parse().ok().map(Value::I32),
        "uint32" => number.parse().ok().map(Value::U32),
        "int64" => number.parse().ok().map(Value::I64),
        "uint64" => number.parse().ok().map(Value::U64),
        _ => None,
    }
}

/// The strings of a list, after its opening bracket.
fn texts(list: &str) -> Option<Vec<String>> {
    let mut found = Vec::new();
    let mut rest = list.trim_start();
    while rest != "]" {
        let (text, after) = quoted(rest)?;
        found.push(text);
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(next) => next.trim_start(),
            None => (after == "]").then_some(after)?,
        };
    }
    Some(found)
}

/// A string in single or double quotes, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut letters = text.char_indices();
    let (_, quote) = letters.next().filter(|(_, c)| matches!(c, '\'' | '"'))?;
    let mut plain = String::new();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => plain.push(match letters.next()?.1 {
                'n' => '\n',
                't' => '\t',
                escaped @ ('\\' | '\'' | '"') => escaped,
                _ => return None,
            }),
            letter if letter == quote => return Some((plain, text.get(at + 1..)?)),
            letter => plain.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(name: &str, text: &str) -> Result<Vec<Property>, CgroupError> {
        let key = format!("{PREFIX}{name}");
        properties(Some(&HashMap::from([(key, text.to_owned())])))
    }

    #[test]
    fn values_are_read_in_gvariant_text() {
        for (text, value) in [
            ("true", Value::Bool(true)),
            ("-7", Value::I32(-7)),
            ("uint64 123456789", Value::U64(123_456_789)),
            (
                "'inactive-or-failed'",
                Value::Text("inactive-or-failed".to_owned()),
            ),
            (r#""it's \"so\"""#, Value::Text("it's \"so\"".to_owned())),
            (
                "['a', \"b\"]",
                Value::Texts(vec!["a".to_owned(), "b".to_owned()]),
            ),
            ("@as []", Value::Texts(Vec::new())),
        ] {
            assert_eq!(parse(text), Some(value), "{text}");
        }
        for bad in [
            "",
            "'a",
            "['a'",
            "['a' 'b']",
            "[1]",
            "uint64 -1",
            "uint8 1",
            "'a'b",
            "yes",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn seconds_become_microseconds() {
        let found = ask("TimeoutStopSec", "uint64 5").unwrap();
        assert_eq!(
            found,
            [Property::new("TimeoutStopUSec", Value::U64(5_000_000))]
        );
        assert!(ask("TimeoutStopSec", "'5'").is_err());
        assert!(ask("TimeoutStopSec", "-5").is_err());
        let found = ask("TimeoutStopUSec", "uint64 5").unwrap();
        assert_eq!(found, [Property::new("TimeoutStopUSec", Value::U64(5))]);
    }

    #[test]
    fn other_annotations_are_none_of_our_business() {
        let others = HashMap::from([("org.example.x".to_owned(), "y".to_owned())]);
        assert_eq!(properties(Some(&others)).unwrap(), []);
        assert_eq!(properties(None).unwrap(), []);
    }

    /// Seen to fail with the check against `ALLOWED` taken out.
    #[test]
    fn cve_2024_3154_annotations_set_harmless_properties_only() {
        for (name, text) in [
            ("ExecStop", "['/bin/sh', '-c', 'id']"),
            ("ExecStopPost", "'/bin/sh'"),
            ("OnFailure", "['evil.service']"),
            ("Conflicts", "['sshd.service']"),
            ("Wants", "['evil.service']"),
            ("Requires", "['evil.service']"),
            ("Slice", "'-.slice'"),
            ("MemoryMax", "uint64 18446744073709551615"),
            ("DevicePolicy", "'auto'"),
            ("Delegate", "true"),
            ("PIDs", "uint32 1"),
            ("User", "'root'"),
            ("description", "'x'"),
            ("", "'x'"),
            ("Sec", "1"),
        ] {
            let refused = ask(name, text).unwrap_err().to_string();
            assert!(refused.contains("may not set"), "{refused}");
        }
        assert!(ask("Description", "'pod 7'").is_ok());
    }
}
