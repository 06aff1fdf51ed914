//! docs/map.schema.json: the documents of fake worlds and of this host are as it says, in every
//! field, and what is not is refused.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

mod rich;
mod support;

use std::collections::{BTreeSet, HashSet};

use berth_map::discover::Sources;
use berth_map::json::{Layout, MapDocument, MapRequest, to_text};
use berth_map::model::{Wanted, World};
use berth_map::scope::Selection;
use serde_json::{Value, json};
use support::{Fake, run_file, three_levels};

fn schema() -> Value {
    serde_json::from_str(include_str!("../../../docs/map.schema.json")).unwrap()
}

/// A checker for the part of JSON Schema (draft 2020-12) that the file uses. A keyword that it
/// does not know fails, and so does a property that the schema does not name: a reader has to
/// bear fields that were added later, this project has to describe them.
struct Checker {
    root: Value,
    /// Properties that had a value, behind the name of their definition.
    met: HashSet<String>,
    /// The definitions around, innermost last.
    within: Vec<String>,
}

impl Checker {
    fn new() -> Self {
        Self {
            root: schema(),
            met: HashSet::new(),
            within: Vec::new(),
        }
    }

    fn check(&mut self, document: &Value) -> Result<(), String> {
        let root = self.root.clone();
        self.value(&root, document, "$")
    }

    fn value(&mut self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let fail = |what: &str| Err(format!("{at}: {what}: {value}"));
        for (keyword, wanted) in schema.as_object().unwrap() {
            match keyword.as_str() {
                "$schema" | "$defs" | "title" | "description" => {}
                "$ref" => {
                    let name = wanted.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                    let target = self.root["$defs"][name].clone();
                    assert!(target.is_object(), "{name} is not defined");
                    self.within.push(name.to_owned());
                    let result = self.value(&target, value, at);
                    self.within.pop();
                    result?;
                }
                "const" if value != wanted => return fail("not the constant"),
                "enum" if !wanted.as_array().unwrap().contains(value) => {
                    return fail("not one of the words");
                }
                "const" | "enum" => {}
                "type" if !is_of(wanted, value) => return fail("of the wrong type"),
                "type" => {}
                "anyOf" => {
                    let all = wanted.as_array().unwrap();
                    let fits = all.iter().any(|one| self.value(one, value, at).is_ok());
                    if !fits {
                        return fail("fits nothing of anyOf");
                    }
                }
                "pattern" => {
                    assert_eq!(
                        wanted, "^[0-9]+$",
                        "a pattern that the checker does not know"
                    );
                    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
                    if value.as_str().is_some_and(|text| !digits(text)) {
                        return fail("not digits");
                    }
                }
                "minimum" if value.as_i64().is_some_and(|n| n < wanted.as_i64().unwrap()) => {
                    return fail("too small");
                }
                "minLength" if value.as_str().is_some_and(str::is_empty) => {
                    return fail("too short");
                }
                "minItems" if value.as_array().is_some_and(Vec::is_empty) => {
                    return fail("too few");
                }
                "minimum" | "minLength" | "minItems" => {}
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.value(wanted, item, &format!("{at}[{index}]"))?;
                    }
                }
                "required" => {
                    for name in wanted.as_array().unwrap() {
                        if value.get(name.as_str().unwrap()).is_none() {
                            return Err(format!("{at}: {name} is missing"));
                        }
                    }
                }
                "properties" => self.properties(wanted, value, at)?,
                other => panic!("the checker does not know {other}"),
            }
        }
        Ok(())
    }

    fn properties(&mut self, known: &Value, value: &Value, at: &str) -> Result<(), String> {
        for (name, inner) in value.as_object().into_iter().flatten() {
            let Some(schema) = known.get(name) else {
                return Err(format!("{at}.{name} is not described"));
            };
            if !inner.is_null() {
                let definition = self.within.last().map_or("", String::as_str);
                self.met.insert(format!("{definition}.{name}"));
            }
            self.value(schema, inner, &format!("{at}.{name}"))?;
        }
        Ok(())
    }
}

fn is_of(wanted: &Value, value: &Value) -> bool {
    let one = |name: &Value| match name.as_str().unwrap() {
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the checker does not know the type {other}"),
    };
    match wanted {
        Value::Array(names) => names.iter().any(one),
        name => one(name),
    }
}

fn document(world: &World, scope: Option<&str>) -> Value {
    let selection = scope.map_or_else(Selection::default, |text| {
        world.select(&text.parse().unwrap()).unwrap()
    });
    let request = MapRequest {
        scope,
        selection: &selection,
    };
    let text = to_text(&MapDocument::new(world, &request), Layout::Indented).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn fakes() -> Vec<World> {
    let host = three_levels();
    host.record_run(&run_file('e', "ended", &Fake::new(&[900], 1, "x"), true));
    vec![rich::sketch(), host.world(), rich::crowded(300, 10)]
}

/// Every reference leads to something in the document.
fn check_references(document: &Value) {
    let list = |name: &str| document[name].as_array().unwrap();
    let strings = |name: &str, field: &str| -> BTreeSet<String> {
        let all = list(name).iter().filter_map(|item| item[field].as_str());
        all.map(str::to_owned).collect()
    };
    let namespaces = strings("namespaces", "id");
    let keys = strings("containers", "key");
    let pids: BTreeSet<u64> = list("processes")
        .iter()
        .map(|p| p["pid"].as_u64().unwrap())
        .collect();
    for process in list("processes") {
        let sets = process["namespaces"].as_object().unwrap().values();
        let chain = process["pid_namespaces"].as_array().unwrap();
        for id in sets.chain(chain).filter_map(Value::as_str) {
            assert!(namespaces.contains(id), "{id} of {process}");
        }
        if let Some(key) = process["container"].as_str() {
            assert!(keys.contains(key), "{key}");
        }
        assert!(list("cgroups").len() as u64 > process["cgroups"].as_u64().unwrap());
        let parent = process["parent"].as_u64();
        let complete = document["scope"].is_null();
        assert!(
            !complete || parent.is_none_or(|pid| pids.contains(&pid)),
            "{process}"
        );
    }
    for namespace in list("namespaces") {
        for field in ["parent", "owner"] {
            let id = namespace[field].as_str();
            assert!(id.is_none_or(|id| namespaces.contains(id)), "{namespace}");
        }
        let key = namespace["container"].as_str();
        assert!(key.is_none_or(|key| keys.contains(key)), "{namespace}");
    }
    for (name, field) in [
        ("holders", "namespace"),
        ("networks", "namespace"),
        ("mounts", "namespace"),
    ] {
        assert!(strings(name, field).is_subset(&namespaces), "{name}");
    }
    for container in list("containers") {
        let parent = container["parent"].as_str();
        assert!(parent.is_none_or(|key| keys.contains(key)), "{container}");
    }
}

#[test]
fn documents_of_fake_worlds_are_valid_and_use_every_property() {
    let mut checker = Checker::new();
    for world in fakes() {
        let document = document(&world, None);
        checker.check(&document).unwrap();
        check_references(&document);
    }
    // A property that no world ever fills is one that nobody has checked.
    let definitions = schema();
    let mut missed = Vec::new();
    for (name, definition) in definitions["$defs"].as_object().unwrap() {
        for property in definition["properties"].as_object().into_iter().flatten() {
            let full = format!("{name}.{}", property.0);
            if !checker.met.contains(&full) {
                missed.push(full);
            }
        }
    }
    assert_eq!(missed, Vec::<String>::new());
    assert!(checker.met.len() > 100, "{}", checker.met.len());
}

#[test]
fn documents_of_scopes_are_valid() {
    let mut checker = Checker::new();
    let world = rich::sketch();
    for scope in [
        "docker",
        "docker/shop-web",
        "containerd/api",
        "net:3144",
        "1589",
        "user:307",
    ] {
        let document = document(&world, Some(scope));
        checker.check(&document).unwrap();
        check_references(&document);
        assert_eq!(document["scope"], scope);
        assert_eq!(document["complete"], false);
        let processes = document["processes"].as_array().unwrap();
        assert!(processes.iter().any(|p| p["context"] == true), "{scope}");
    }
}

#[test]
fn the_document_of_this_host_is_valid() {
    let nowhere = tempfile::tempdir().unwrap();
    let sources = Sources::host(nowhere.path()).unwrap();
    let world = World::discover_with(&sources, &Wanted::everything()).unwrap();
    let document = document(&world, None);
    Checker::new().check(&document).unwrap();
    assert!(!document["processes"].as_array().unwrap().is_empty());
}

#[test]
fn what_is_wrong_is_refused() {
    let good = document(&rich::sketch(), None);
    let break_it = |pointer: &str, value: Value| {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        Checker::new().check(&bad)
    };
    for (pointer, value) in [
        ("/version", json!(3)),
        ("/source", json!("guess")),
        ("/host/pid_max", json!("32768")),
        ("/namespaces/0/id", json!(4_026_531_835_u64)),
        ("/namespaces/0/id", json!("x")),
        ("/processes/0/pids", json!([])),
        ("/processes/0/pid", json!(0)),
        ("/processes/0/state", json!("")),
        ("/processes/0", json!({})),
        ("/networks/0/interfaces/0/peer", json!(7)),
        ("/containers/0/engine", json!("rkt")),
        ("/holders/0/new_field", json!(1)),
    ] {
        let result = if let Some(holder) = pointer.strip_suffix("/new_field") {
            let mut bad = good.clone();
            bad.pointer_mut(holder).unwrap()["new_field"] = value;
            Checker::new().check(&bad)
        } else {
            break_it(pointer, value)
        };
        assert!(result.is_err(), "{pointer}");
    }
}
