//! Docker's commands beside ours.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Verb;
use crate::failure::{Failure, Outcome};

/// One of our commands.
#[derive(Debug, Default)]
pub(super) struct Own {
    flags: Vec<OwnFlag>,
}

#[derive(Debug)]
struct OwnFlag {
    long: Vec<String>,
    short: Option<char>,
    takes_value: bool,
}

/// Something that docker has and we have not, or have otherwise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Difference {
    /// The command, by its shortest path; empty for the program itself.
    pub(super) verb: String,
    /// The flag, without dashes; `None` where the command is missing.
    pub(super) flag: Option<String>,
    /// What is different.
    pub(super) what: String,
}

/// Reads what `berth internal surface` says: our commands by every path that leads to them.
///
/// # Errors
/// It is not the JSON that it should be.
pub(super) fn ours(text: &str) -> Outcome<BTreeMap<String, Own>> {
    let all: Value = serde_json::from_str(text)
        .map_err(|error| Failure::new(format!("berth describes itself in no JSON: {error}")))?;
    let mut own = BTreeMap::new();
    for one in all.as_array().into_iter().flatten() {
        let path = one["path"].as_str().unwrap_or_default();
        let group = path.rsplit_once(' ').map_or("", |(group, _)| group);
        let aliases = strings(&one["aliases"])
            .into_iter()
            .map(|alias| format!("{group} {alias}").trim_start().to_owned());
        for path in aliases.chain([path.to_owned()]) {
            own.insert(path, command(one));
        }
    }
    Ok(own)
}

fn command(one: &Value) -> Own {
    let flag = |flag: &Value| OwnFlag {
        long: strings(&flag["long"]),
        short: flag["short"].as_str().and_then(|text| text.chars().next()),
        takes_value: flag["takes_value"] == true,
    };
    Own {
        flags: one["flags"]
            .as_array()
            .into_iter()
            .flatten()
            .map(flag)
            .collect(),
    }
}

fn strings(value: &Value) -> Vec<String> {
    let all = value.as_array().into_iter().flatten();
    all.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Everything of docker's that we have not or have otherwise, each once. Of a group that is missing,
/// only the group is named.
pub(super) fn compare(verbs: &[Verb], ours: &BTreeMap<String, Own>) -> Vec<Difference> {
    let mut found = Vec::new();
    for verb in verbs {
        let mut paths: Vec<&str> = verb.aliases.iter().map(String::as_str).collect();
        paths.push(&verb.path);
        let group = verb.path.rsplit_once(' ').map_or("", |(group, _)| group);
        if !ours.contains_key(group) {
            continue;
        }
        let length = |path: &&&str| (path.split(' ').count(), **path != verb.path);
        let shortest = paths.iter().min_by_key(length);
        let name = shortest.copied().unwrap_or_default();
        for path in &paths {
            match ours.get(*path) {
                None => found.push(Difference {
                    verb: (*path).to_owned(),
                    flag: None,
                    what: "is missing".to_owned(),
                }),
                Some(own) => found.extend(flags(name, verb, own)),
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

fn flags(name: &str, verb: &Verb, own: &Own) -> Vec<Difference> {
    let mut found = Vec::new();
    for flag in &verb.flags {
        let ours = own.flags.iter().find(|ours| ours.long.contains(&flag.long));
        let what = match ours {
            None => "is missing".to_owned(),
            Some(ours) if flag.short.is_some() && ours.short != flag.short => {
                format!("has not the letter -{}", flag.short.unwrap_or(' '))
            }
            Some(ours) if ours.takes_value && flag.value.is_none() => "takes a value".to_owned(),
            Some(ours) if !ours.takes_value && flag.value.is_some() => "takes no value".to_owned(),
            Some(_) => continue,
        };
        found.push(Difference {
            verb: name.to_owned(),
            flag: Some(flag.long.clone()),
            what,
        });
    }
    found
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "docker {}", self.verb)?;
        if let Some(flag) = &self.flag {
            write!(f, " --{flag}")?;
        }
        write!(f, " {}", self.what)
    }
}

#[cfg(test)]
mod tests {
    use super::super::list::parse;
    use super::*;

    #[test]
    fn each_kind_of_difference_is_found_once() {
        let docker = "container\ncontainer ls = container ps, ps\n    --all a -\n    --last n int\n    --size s -\n    --new - -\nps = container ls, container ps\n    --all a -\n    --last n int\n    --size s -\n    --new - -\nswarm\nswarm init\n";
        let ours = ours(
            r#"[{"path":"","aliases":[],"flags":[]},{"path":"container","aliases":[],"flags":[]},
            {"path":"container ls","aliases":[],"flags":[
                {"long":["all"],"short":"a","takes_value":false},
                {"long":["last"],"short":"n","takes_value":false},
                {"long":["whole","size"],"short":null,"takes_value":false}]},
            {"path":"ps","aliases":[],"flags":[
                {"long":["all"],"short":"a","takes_value":true},
                {"long":["last"],"short":"n","takes_value":true},
                {"long":["size"],"short":"s","takes_value":false}]}]"#,
        )
        .unwrap();
        let found = compare(&parse(docker).unwrap(), &ours);
        let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "docker container ps is missing",
                "docker ps --all takes a value",
                "docker ps --last takes no value",
                "docker ps --new is missing",
                "docker ps --size has not the letter -s",
                "docker swarm is missing",
            ]
        );
    }
}
