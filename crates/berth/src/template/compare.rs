//! Truth, equality and order of values, as Go templates have them.

use std::cmp::Ordering;

use serde_json::Value;

/// Whether a value counts as true: not zero, empty, false or absent.
pub(super) fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(values) => !values.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// Orders two numbers or two strings.
pub(super) fn order(left: &Value, right: &Value) -> Result<Ordering, String> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => Ok(left.cmp(right)),
        (Value::Number(a), Value::Number(b)) => {
            if let (Some(a), Some(b)) = (whole(left), whole(right)) {
                return Ok(a.cmp(&b));
            }
            a.as_f64()
                .zip(b.as_f64())
                .and_then(|(a, b)| a.partial_cmp(&b))
                .ok_or_else(|| "these numbers have no order".to_owned())
        }
        _ => Err(incompatible(left, right)),
    }
}

/// Whether two values are the same; values of different kinds cannot be compared.
pub(super) fn equal(left: &Value, right: &Value) -> Result<bool, String> {
    match (left, right) {
        (Value::Null, _) | (_, Value::Null) => Ok(left == right),
        (Value::Bool(left), Value::Bool(right)) => Ok(left == right),
        (Value::Array(_) | Value::Object(_), _) | (_, Value::Array(_) | Value::Object(_)) => {
            Err(incompatible(left, right))
        }
        _ => order(left, right).map(|order| order == Ordering::Equal),
    }
}

fn whole(value: &Value) -> Option<i128> {
    value
        .as_i64()
        .map(i128::from)
        .or_else(|| value.as_u64().map(i128::from))
}

fn incompatible(left: &Value, right: &Value) -> String {
    format!("cannot compare {} with {}", kind(left), kind(right))
}

/// The name of a value's kind, for messages.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
