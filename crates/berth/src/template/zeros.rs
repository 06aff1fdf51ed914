//! What Go's structs have and their JSON leaves out.
//!
//! Docker's templates see a struct: a field that JSON omits where it is empty is there, false in an `if`,
//! and prints as its type does: `[]`, `map[]` or `<nil>`. An object carries such fields beside its own,
//! under a key that no JSON of ours has.
//!
//! They are declared by an object in the same shape:
//!
//! | declared | field |
//! |---|---|
//! | `""`, `0`, `false` | a value |
//! | `null` | a pointer to a value |
//! | `[]`, `[{...}]` | a list, one of structs |
//! | `{}`, `{"*": {...}}` | a map, one of structs |
//! | `{"?": {...}}` | a pointer to a struct |
//! | any other object | a struct |

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::show::NIL;

/// Where an object has them.
pub(super) const KEY: &str = "\0zeros";
/// Any key of a map.
const EACH: &str = "*";
/// What a pointer leads to.
const POINTER: &str = "?";

/// Gives an object and what is in it the fields that are declared.
pub(crate) fn add_zeros(value: &mut Value, declared: &Value) {
    match (value, declared) {
        (Value::Array(values), Value::Array(each)) => {
            let Some(each) = each.first() else {
                return;
            };
            values.iter_mut().for_each(|value| add_zeros(value, each));
        }
        (Value::Object(map), Value::Object(fields)) => {
            if let Some(each) = fields.get(EACH) {
                map.values_mut().for_each(|value| add_zeros(value, each));
            } else if let Some(inside) = fields.get(POINTER) {
                add_fields(map, inside);
            } else if !fields.is_empty() {
                add_fields(map, declared);
            }
        }
        _ => {}
    }
}

fn add_fields(map: &mut Map<String, Value>, declared: &Value) {
    for (name, declared) in declared.as_object().into_iter().flatten() {
        if let Some(value) = map.get_mut(name) {
            add_zeros(value, declared);
        }
    }
    map.insert(KEY.to_owned(), declared.clone());
}

/// The fields that an object has beside its own.
pub(super) fn of(map: &Map<String, Value>) -> Option<&Map<String, Value>> {
    map.get(KEY).and_then(Value::as_object)
}

/// All names of an object, its own first.
pub(super) fn names(map: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let own = map.keys().map(String::as_str).filter(|key| *key != KEY);
    let beside = of(map).into_iter().flat_map(Map::keys);
    let beside = beside
        .map(String::as_str)
        .filter(|key| !map.contains_key(*key));
    own.chain(beside)
}

/// Whether an object stands for a struct: it has declared fields, or the names of all begin with a
/// capital letter, as Go's do; a map has any keys.
pub(super) fn is_struct(map: &Map<String, Value>) -> bool {
    let is_exported = |key: &String| key.starts_with(|c: char| c.is_ascii_uppercase());
    map.contains_key(KEY) || (!map.is_empty() && map.keys().all(is_exported))
}

/// The value of a field that is not there.
pub(super) fn value(declared: &Value) -> &Value {
    match declared {
        Value::String(_) | Value::Number(_) | Value::Bool(_) => declared,
        _ => &Value::Null,
    }
}

/// How an empty field prints.
pub(super) fn shown(declared: &Value) -> &'static str {
    match declared {
        Value::Array(_) => "[]",
        Value::Object(fields) if fields.is_empty() || fields.contains_key(EACH) => "map[]",
        _ => NIL,
    }
}

/// A value without the fields that were added.
pub(super) fn without(value: &Value) -> Cow<'_, Value> {
    match has_added(value) {
        true => Cow::Owned(stripped(value)),
        false => Cow::Borrowed(value),
    }
}

fn has_added(value: &Value) -> bool {
    match value {
        Value::Array(values) => values.iter().any(has_added),
        Value::Object(map) => map.contains_key(KEY) || map.values().any(has_added),
        _ => false,
    }
}

fn stripped(value: &Value) -> Value {
    match value {
        Value::Array(values) => values.iter().map(stripped).collect(),
        Value::Object(map) => map
            .iter()
            .filter(|(key, _)| *key != KEY)
            .map(|(key, value)| (key.clone(), stripped(value)))
            .collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::template::{Surroundings, Template};

    fn render(text: &str) -> Result<String, String> {
        let declared = json!({
            "Id": "", "Name": "", "Size": null, "Args": [], "Sysctls": {}, "Init": false,
            "State": {"Health": {"?": {"Log": [], "Note": ""}}},
            "Check": {"?": {"Test": [], "Shell": ""}},
            "Nets": {"*": {"Links": [], "Wish": {"?": {"Address": ""}}}},
            "Mounts": [{"Driver": ""}],
        });
        let mut object = json!({
            "Id": "7", "Args": null, "State": {"Status": "up"}, "Check": {"Test": ["x"]},
            "Nets": {"a": {"Wish": null}, "b": {"Wish": {}}}, "Mounts": [{"Name": "m"}],
            "Labels": {"some": "label"}, "Limit": null,
        });
        let plain = object.clone();
        add_zeros(&mut object, &declared);
        assert_eq!(*without(&object), plain);
        let template = Template::parse(text).unwrap();
        let done = template.render(&object, Surroundings::default());
        done.map_err(|error| error.to_string())
    }

    #[test]
    fn what_json_leaves_out_is_there_and_empty() {
        for (text, said) in [
            (
                "{{.ID}} {{.Id}} {{.Name}}|{{.Size}} {{.Args}} {{.Sysctls}} {{.Init}}",
                "7 7 |<nil> [] map[] false",
            ),
            (
                "{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}",
                "none",
            ),
            (
                "{{.State.Health}} {{with .Check}}{{.Test}}{{.Shell}}{{end}}",
                "<nil> [x]",
            ),
            (
                "{{range .Nets}}{{.Links}}{{.Wish}};{{end}}",
                "[]<nil>;[]map[];",
            ),
            ("{{.Nets.b.Wish.Address}}{{(index .Mounts 0).Driver}}", ""),
            (
                "{{len .Args}} {{range .Args}}x{{end}}{{join .Args \",\"}}",
                "0 ",
            ),
            (
                "{{json .Args}} {{json .Sysctls}} {{json .Name}} {{json .State}}",
                r#"null null "" {"Status":"up"}"#,
            ),
            (
                "{{.Labels.other}} {{.Limit}} {{index .Labels \"other\"}}",
                "<no value> <nil> ",
            ),
            ("{{json .Mounts}}{{len .Nets}}", r#"[{"Name":"m"}]2"#),
        ] {
            assert_eq!(render(text).as_deref(), Ok(said), "{text}");
        }
        let wrong = render("{{.Sysctl}}").unwrap_err();
        assert!(wrong.contains("did you mean .Sysctls?"), "{wrong}");
    }
}
