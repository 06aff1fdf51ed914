//! The functions of a template: Go's own and Docker's.
//!
//! Go: and, or, not, eq, ne, lt, le, gt, ge, len, index, slice, print, printf, println, html, js,
//! urlquery. Docker: json, join, split, lower, upper, title, pad, truncate, println.

use std::cmp::Ordering;

use serde_json::Value;

use super::compare::{equal, kind, order, truth};
use super::printf;
use super::show::show;
use super::zeros;
use crate::cli::parse::nearest::nearest;

/// `js` stands last: what is nearly `json` is meant to be it.
const NAMES: [&str; 26] = [
    "and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "len", "index", "slice", "print",
    "printf", "println", "html", "urlquery", "json", "join", "split", "lower", "upper", "title",
    "pad", "truncate", "js",
];

/// Padding beyond this is refused.
const MAX_PAD: usize = 4096;

/// Checks that a function exists.
pub(super) fn check(name: &str) -> Result<(), String> {
    if NAMES.contains(&name) {
        return Ok(());
    }
    Err(match nearest(name, NAMES) {
        Some(near) => format!("function {name:?} is not defined; did you mean {near}?"),
        None => format!(
            "function {name:?} is not defined; a field is written .{name}, the functions are {}",
            NAMES.join(", ")
        ),
    })
}

/// Calls a function. With `header`, Docker's functions answer their argument unchanged.
pub(super) fn call(name: &str, arguments: &[Value], header: bool) -> Result<Value, String> {
    match name {
        "and" | "or" => last(arguments),
        "not" => one(arguments).map(|value| Value::Bool(!truth(value))),
        "eq" => any_equal(arguments).map(Value::Bool),
        "ne" => two(arguments).and_then(|(a, b)| Ok(Value::Bool(!equal(a, b)?))),
        "lt" => compare(arguments, |order| order == Ordering::Less),
        "le" => compare(arguments, |order| order != Ordering::Greater),
        "gt" => compare(arguments, |order| order == Ordering::Greater),
        "ge" => compare(arguments, |order| order != Ordering::Less),
        "len" => one(arguments).and_then(length),
        "index" => index(arguments),
        "slice" => slice(arguments),
        "print" => Ok(printf::print(arguments).into()),
        "println" => Ok(printf::println(arguments).into()),
        "printf" => printf::printf(arguments).map(Value::from),
        "html" => Ok(html(&printf::print(arguments)).into()),
        "js" => Ok(js(&printf::print(arguments)).into()),
        "urlquery" => Ok(url_query(&printf::print(arguments)).into()),
        "json" | "join" | "split" | "lower" | "upper" | "title" | "pad" | "truncate" if header => {
            arguments.first().cloned().ok_or_else(|| wants(1))
        }
        _ => docker(name, arguments),
    }
}

fn docker(name: &str, arguments: &[Value]) -> Result<Value, String> {
    match name {
        "json" => Ok(crate::view::json::line(&zeros::without(one(arguments)?)).into()),
        "lower" => one(arguments).and_then(|v| Ok(text(v)?.to_lowercase().into())),
        "upper" => one(arguments).and_then(|v| Ok(text(v)?.to_uppercase().into())),
        "title" => one(arguments).and_then(|v| Ok(title(text(v)?).into())),
        "join" => two(arguments).and_then(|(list, between)| join(list, text(between)?)),
        "split" => two(arguments).and_then(|(whole, at)| Ok(split(text(whole)?, text(at)?))),
        "truncate" => two(arguments).and_then(|(whole, length)| {
            let length = count(length)?;
            Ok(text(whole)?.chars().take(length).collect::<String>().into())
        }),
        "pad" => match arguments {
            [whole, left, right] => {
                let (left, right) = (count(left)?, count(right)?);
                if left.max(right) > MAX_PAD {
                    return Err(format!("pads with at most {MAX_PAD} spaces"));
                }
                let whole = text(whole)?;
                if whole.is_empty() {
                    return Ok(whole.into());
                }
                Ok(format!("{}{whole}{}", " ".repeat(left), " ".repeat(right)).into())
            }
            _ => Err(wants(3)),
        },
        _ => Err("no such function".to_owned()),
    }
}

fn wants(count: usize) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("takes {count} argument{plural}")
}

fn one(arguments: &[Value]) -> Result<&Value, String> {
    match arguments {
        [value] => Ok(value),
        _ => Err(wants(1)),
    }
}

fn two(arguments: &[Value]) -> Result<(&Value, &Value), String> {
    match arguments {
        [first, second] => Ok((first, second)),
        _ => Err(wants(2)),
    }
}

fn last(arguments: &[Value]) -> Result<Value, String> {
    arguments.last().cloned().ok_or_else(|| wants(1))
}

fn text(value: &Value) -> Result<&str, String> {
    value
        .as_str()
        .ok_or_else(|| format!("takes a string, not {}", kind(value)))
}

fn count(value: &Value) -> Result<usize, String> {
    value
        .as_u64()
        .and_then(|n| usize::try_from(n).ok())
        .ok_or_else(|| "takes a whole number from 0 up".to_owned())
}

fn compare(arguments: &[Value], holds: fn(Ordering) -> bool) -> Result<Value, String> {
    let (left, right) = two(arguments)?;
    order(left, right).map(|order| Value::Bool(holds(order)))
}

/// `eq A B C`: whether A equals any of the others.
fn any_equal(arguments: &[Value]) -> Result<bool, String> {
    let (first, others) = arguments.split_first().ok_or_else(|| wants(2))?;
    if others.is_empty() {
        return Err(wants(2));
    }
    for other in others {
        if equal(first, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn length(value: &Value) -> Result<Value, String> {
    match value {
        Value::String(text) => Ok(text.len().into()),
        Value::Array(values) => Ok(values.len().into()),
        Value::Object(map) => Ok((map.len() - usize::from(zeros::of(map).is_some())).into()),
        // A list or a map of nothing.
        Value::Null => Ok(0.into()),
        other => Err(format!("{} has no length", kind(other))),
    }
}

/// `index X 1 "a"` is Go's `X[1]["a"]`; a key that a map of strings lacks gives the empty string.
fn index(arguments: &[Value]) -> Result<Value, String> {
    let (first, keys) = arguments.split_first().ok_or_else(|| wants(2))?;
    let mut value = first.clone();
    for key in keys {
        value = match (&value, key) {
            (Value::Array(values), Value::Number(_)) => count(key)
                .ok()
                .and_then(|at| values.get(at).cloned())
                .ok_or_else(|| format!("{key} is outside of a list of {}", values.len()))?,
            (Value::Object(map), Value::String(key)) => match map.get(key) {
                Some(found) => found.clone(),
                None if map.values().all(Value::is_string) => Value::from(""),
                None => Value::Null,
            },
            (Value::Null, Value::String(_)) => Value::Null,
            (Value::String(text), Value::Number(_)) => count(key)
                .ok()
                .and_then(|at| text.as_bytes().get(at))
                .map(|byte| Value::from(*byte))
                .ok_or_else(|| format!("{key} is outside of a string of {} bytes", text.len()))?,
            (other, key) => {
                return Err(format!(
                    "{} cannot be indexed with {}",
                    kind(other),
                    kind(key)
                ));
            }
        };
    }
    Ok(value)
}

/// `slice X 1 3` is Go's `X[1:3]`, of a string (in bytes) or a list.
fn slice(arguments: &[Value]) -> Result<Value, String> {
    let (whole, bounds) = arguments.split_first().ok_or_else(|| wants(1))?;
    let length = match whole {
        Value::String(text) => text.len(),
        Value::Array(values) => values.len(),
        other => return Err(format!("{} cannot be sliced", kind(other))),
    };
    let (from, to) = match bounds {
        [] => (0, length),
        [from] => (count(from)?, length),
        [from, to] => (count(from)?, count(to)?),
        _ => return Err("takes at most two bounds".to_owned()),
    };
    let outside = || format!("{from}:{to} is outside of a length of {length}");
    match whole {
        Value::String(text) => text.get(from..to).map(Value::from).ok_or_else(outside),
        Value::Array(values) => values
            .get(from..to)
            .map(|part| Value::from(part.to_vec()))
            .ok_or_else(outside),
        _ => Err(outside()),
    }
}

fn join(list: &Value, between: &str) -> Result<Value, String> {
    match list {
        Value::Array(values) => {
            let parts: Vec<String> = values.iter().map(show).collect();
            Ok(parts.join(between).into())
        }
        Value::Null => Ok("".into()),
        other => Err(format!("joins a list, not {}", kind(other))),
    }
}

/// Splits at a separator; an empty one splits into characters, as Go's strings.Split.
fn split(whole: &str, at: &str) -> Value {
    if at.is_empty() {
        return whole.chars().map(|c| Value::from(c.to_string())).collect();
    }
    whole.split(at).map(Value::from).collect()
}

/// Makes the first letter of each word a capital one.
fn title(text: &str) -> String {
    let mut titled = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        if inside {
            titled.push(c);
        } else {
            titled.extend(c.to_uppercase());
        }
        inside = c.is_alphanumeric() || c == '_' || c == '\'';
    }
    titled
}

fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&#34;"),
            '\'' => escaped.push_str("&#39;"),
            '\0' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// As Go's `template.JSEscapeString`.
fn js(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '\'' | '"' => escaped.extend(['\\', c]),
            '<' | '>' | '&' | '=' => escaped.push_str(&format!("\\u{:04X}", u32::from(c))),
            c if c.is_control() => escaped.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => escaped.push(c),
        }
    }
    escaped
}

fn url_query(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(char::from(byte));
            }
            b' ' => escaped.push('+'),
            other => escaped.push_str(&format!("%{other:02X}")),
        }
    }
    escaped
}
