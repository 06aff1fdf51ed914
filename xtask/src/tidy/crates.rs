//! Rules for the crates: arrows go down, versions live in one place, and the runtime stays free of
//! async executors.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Source, Violation};

/// The floor of each crate; it imports crates of lower floors only. xtask stands outside.
const FLOORS: &[(&str, u8)] = &[
    ("berth", 4),
    ("berth-engine", 3),
    ("berth-runtime", 2),
    ("berth-image", 2),
    ("berth-net", 2),
    ("berth-map", 2),
    ("berth-sys", 1),
    ("berth-persist", 1),
    ("berth-base", 0),
];

/// The crate that tests alone may use. It imports no crate of ours, so that every floor can.
const TEST_KIT: &str = "berth-testkit";

/// The crate whose processes live as long as their container, and must stay small.
const RUNTIME: &str = "berth-runtime";

/// Crates that bring an executor or a reactor.
const EXECUTORS: [&str; 9] = [
    "tokio",
    "async-std",
    "smol",
    "async-executor",
    "async-io",
    "async-global-executor",
    "futures-executor",
    "glommio",
    "monoio",
];

/// External crates that one of ours alone may use directly.
const RESERVED: &[(&str, &str, &str)] = &[
    ("libc", "berth-sys", "use rustix"),
    ("signal-hook", "xtask", "use signalfd through berth-sys"),
];

/// Checks what `cargo metadata` says.
pub(super) fn check(metadata: &Value, sources: &[Source]) -> Vec<Violation> {
    let members = members(metadata);
    let mut violations = Vec::new();
    for package in &members {
        let manifest = Manifest::find(package, sources);
        violations.extend(arrows(package, &members, &manifest));
        violations.extend(reserved(package, &manifest));
        violations.extend(own_versions(&manifest));
        if name(package) == RUNTIME {
            violations.extend(executors(package, metadata, &manifest));
        }
    }
    violations
}

/// A member's Cargo.toml, to point at lines of it.
struct Manifest<'a>(Option<&'a Source>);

impl<'a> Manifest<'a> {
    fn find(package: &Value, sources: &'a [Source]) -> Self {
        let path = package["manifest_path"].as_str().unwrap_or_default();
        let fits = |source: &&Source| {
            source
                .path
                .parent()
                .is_some_and(|p| !p.as_os_str().is_empty())
                && std::path::Path::new(path).ends_with(&source.path)
        };
        Self(sources.iter().find(fits))
    }

    /// A breach at the line that names the dependency, or at the top.
    fn at(&self, dependency: &str, message: String) -> Option<Violation> {
        let source = self.0?;
        let names = |line: &str| {
            line.strip_prefix(dependency)
                .is_some_and(|rest| rest.starts_with([' ', '.', '=']))
        };
        let line = source.text.lines().position(names).map_or(1, |at| at + 1);
        Some(source.at(line, message))
    }
}

fn members(metadata: &Value) -> Vec<&Value> {
    let ids: BTreeSet<&str> = list(&metadata["workspace_members"])
        .filter_map(Value::as_str)
        .collect();
    list(&metadata["packages"])
        .filter(|package| package["id"].as_str().is_some_and(|id| ids.contains(id)))
        .collect()
}

fn arrows(package: &Value, members: &[&Value], manifest: &Manifest<'_>) -> Vec<Violation> {
    let from = name(package);
    let own_floor = floor(from);
    if own_floor.is_none() && from != "xtask" && from != TEST_KIT {
        return manifest
            .at(
                "name",
                format!("{from} has no floor; give it one in ARCHITECTURE.md and tidy"),
            )
            .into_iter()
            .collect();
    }
    list(&package["dependencies"])
        .filter(|to| name(to) != TEST_KIT || to["kind"] != "dev")
        .map(name)
        .filter(|to| members.iter().any(|member| name(member) == *to))
        .filter(|to| own_floor.zip(floor(to)).is_none_or(|(from, to)| to >= from))
        .filter_map(|to| {
            let message = match own_floor.zip(floor(to)) {
                Some((own, other)) => format!(
                    "{from} (floor {own}) imports {to} (floor {other}); arrows go down only"
                ),
                None if to == TEST_KIT => {
                    format!("{from} imports {to} for more than its tests; make it a dev-dependency")
                }
                None => format!("{from} imports {to}; xtask and the crates stay apart"),
            };
            manifest.at(to, message)
        })
        .collect()
}

fn reserved(package: &Value, manifest: &Manifest<'_>) -> Vec<Violation> {
    let user = name(package);
    RESERVED
        .iter()
        .filter(|(krate, owner, _)| {
            user != *owner && list(&package["dependencies"]).any(|d| name(d) == *krate)
        })
        .filter_map(|(krate, owner, instead)| {
            manifest.at(krate, format!("{krate} is for {owner} alone; {instead}"))
        })
        .collect()
}

/// Dependencies of a member that do not say `workspace = true`.
fn own_versions(manifest: &Manifest<'_>) -> Vec<Violation> {
    let Some(source) = manifest.0 else {
        return Vec::new();
    };
    let mut inside = false;
    let mut violations = Vec::new();
    for (at, line) in source.text.lines().enumerate() {
        if line.starts_with('[') {
            inside = line.trim_end_matches(']').ends_with("dependencies");
        } else if inside && line.contains('=') && !line.starts_with('#') {
            let compact: String = line.split_whitespace().collect();
            if !compact.contains("workspace=true") {
                violations.push(source.at(at + 1, "versions live in the workspace's Cargo.toml"));
            }
        }
    }
    violations
}

/// Executors in what the package needs at run time, each with the way to it.
fn executors(package: &Value, metadata: &Value, manifest: &Manifest<'_>) -> Vec<Violation> {
    let names: BTreeMap<&str, &str> = list(&metadata["packages"])
        .filter_map(|package| Some((package["id"].as_str()?, name(package))))
        .collect();
    let nodes: BTreeMap<&str, &Value> = list(&metadata["resolve"]["nodes"])
        .filter_map(|node| Some((node["id"].as_str()?, node)))
        .collect();
    let Some(start) = package["id"].as_str() else {
        return Vec::new();
    };
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::from([(start, start)]);
    let mut open = vec![start];
    let mut violations = Vec::new();
    while let Some(id) = open.pop() {
        let crate_name = names.get(id).copied().unwrap_or_default();
        if EXECUTORS.contains(&crate_name) {
            let way = way_to(id, &came_from, &names);
            let first = way.get(1).copied().unwrap_or_default();
            let message = format!("an async runtime in {RUNTIME}: {}", way.join(" -> "));
            violations.extend(manifest.at(first, message));
        }
        for next in nodes
            .get(id)
            .into_iter()
            .flat_map(|node| normal_dependencies(node))
        {
            came_from.entry(next).or_insert_with(|| {
                open.push(next);
                id
            });
        }
    }
    violations
}

/// The packages that a node needs at run time: neither for its build script nor for its tests.
fn normal_dependencies(node: &Value) -> impl Iterator<Item = &str> {
    list(&node["deps"])
        .filter(|dependency| list(&dependency["dep_kinds"]).any(|kind| kind["kind"].is_null()))
        .filter_map(|dependency| dependency["pkg"].as_str())
}

fn way_to<'a>(
    id: &'a str,
    came_from: &BTreeMap<&'a str, &'a str>,
    names: &BTreeMap<&str, &'a str>,
) -> Vec<&'a str> {
    let mut way = Vec::new();
    let mut at = id;
    loop {
        way.push(names.get(at).copied().unwrap_or(at));
        match came_from.get(at) {
            Some(before) if *before != at => at = before,
            _ => break,
        }
    }
    way.reverse();
    way
}

fn floor(name: &str) -> Option<u8> {
    FLOORS
        .iter()
        .find(|(krate, _)| *krate == name)
        .map(|(_, floor)| *floor)
}

fn name(value: &Value) -> &str {
    value["name"].as_str().unwrap_or_default()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;
    use serde_json::json;

    fn package(name: &str, dependencies: &[&str]) -> Value {
        let dependencies: Vec<_> = dependencies.iter().map(|d| json!({"name": d})).collect();
        json!({"name": name, "id": name, "dependencies": dependencies,
               "manifest_path": format!("/somewhere/crates/{name}/Cargo.toml")})
    }

    fn found(packages: &[Value], resolve: &Value, sources: &[Source]) -> Vec<String> {
        let ids: Vec<_> = packages
            .iter()
            .map(name)
            .filter(|n| n.starts_with("berth"))
            .collect();
        let metadata = json!({"packages": packages, "workspace_members": ids, "resolve": resolve});
        check(&metadata, sources)
            .into_iter()
            .map(|v| format!("{}:{}: {}", v.file.display(), v.line, v.message))
            .collect()
    }

    #[test]
    fn arrows_go_down_only() {
        let manifest = source(
            "crates/berth-map/Cargo.toml",
            "[package]\nname = \"berth-map\"\n\n[dependencies]\nberth-base.workspace = true\n\
             berth-runtime.workspace = true\nlibc = \"0.2\"\n",
        );
        let packages = [
            package("berth-map", &["berth-base", "berth-runtime", "libc"]),
            package("berth-runtime", &[]),
            package("berth-base", &[]),
        ];
        assert_eq!(
            found(&packages, &Value::Null, &[manifest]),
            [
                "crates/berth-map/Cargo.toml:6: berth-map (floor 2) imports berth-runtime \
                 (floor 2); arrows go down only",
                "crates/berth-map/Cargo.toml:7: libc is for berth-sys alone; use rustix",
                "crates/berth-map/Cargo.toml:7: versions live in the workspace's Cargo.toml",
            ]
        );
    }

    #[test]
    fn the_test_kit_is_for_tests_alone() {
        let manifest =
            |name: &str, dependency: &str| source(&format!("crates/{name}/Cargo.toml"), dependency);
        let sources = [
            manifest("berth-map", "berth-testkit.workspace = true\n"),
            manifest("berth-testkit", "berth-base.workspace = true\n"),
        ];
        let packages = |kind: Value| {
            let mut map = package("berth-map", &["berth-testkit"]);
            map["dependencies"][0]["kind"] = kind;
            [
                map,
                package("berth-testkit", &["berth-base"]),
                package("berth-base", &[]),
            ]
        };
        let inward = "crates/berth-testkit/Cargo.toml:1: berth-testkit imports berth-base; xtask \
                      and the crates stay apart";
        assert_eq!(
            found(&packages(json!("dev")), &Value::Null, &sources),
            [inward]
        );
        assert_eq!(
            found(&packages(Value::Null), &Value::Null, &sources),
            [
                "crates/berth-map/Cargo.toml:1: berth-map imports berth-testkit for more than \
                 its tests; make it a dev-dependency",
                inward
            ]
        );
    }

    #[test]
    fn executors_are_found_through_others_but_not_through_tests() {
        let manifest = source("crates/berth-runtime/Cargo.toml", "[dependencies]\n");
        let packages = [
            package("berth-runtime", &[]),
            package("web", &[]),
            package("tokio", &[]),
        ];
        let resolve = |kind: Value| {
            json!({"nodes": [
                {"id": "berth-runtime", "deps": [{"pkg": "web", "dep_kinds": [{"kind": kind}]}]},
                {"id": "web", "deps": [{"pkg": "tokio", "dep_kinds": [{"kind": null}]}]},
                {"id": "tokio", "deps": []},
            ]})
        };
        let sources = [manifest];
        assert_eq!(
            found(&packages, &resolve(Value::Null), &sources),
            [
                "crates/berth-runtime/Cargo.toml:1: an async runtime in berth-runtime: \
              berth-runtime -> web -> tokio"
            ]
        );
        assert!(found(&packages, &resolve(json!("dev")), &sources).is_empty());
    }

    #[test]
    fn a_crate_without_a_floor_is_named() {
        let manifest = source(
            "crates/berth-new/Cargo.toml",
            "[package]\nname = \"berth-new\"\n",
        );
        assert_eq!(
            found(&[package("berth-new", &[])], &Value::Null, &[manifest]),
            [
                "crates/berth-new/Cargo.toml:2: berth-new has no floor; give it one in \
              ARCHITECTURE.md and tidy"
            ]
        );
    }
}
