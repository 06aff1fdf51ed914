//! Device rules for v1's `devices` controller.
//!
//! The kernel keeps a default (allow or deny all) and a list of exceptions. An exception can be
//! taken back only exactly as it was given, so "all of major 1, but not 1:3" is not expressible
//! below a default of deny. The rules are first brought into that form; what does not fit is an
//! error, since dropping either rule would be wrong.

use super::rule::{ALL, Kind, Rule};
use std::os::fd::AsFd;

use crate::cgroup::branch::Branch;
use crate::cgroup::{CgroupError, files};

/// A default and its exceptions: each says the opposite, and is about one kind of device.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct List {
    pub(super) default_allow: bool,
    pub(super) exceptions: Vec<Rule>,
}

pub(super) fn write(branch: &Branch, rules: &[Rule]) -> Result<(), CgroupError> {
    let list = normalise(rules)?;
    // Sets the default and forgets every exception.
    put(branch, list.default_allow, &["a".to_owned()])?;
    let exceptions: Vec<String> = list.exceptions.iter().map(Rule::to_string).collect();
    put(branch, !list.default_allow, &exceptions)
}

/// Allows or denies, each in a write(2) of its own, through one open file.
fn put(branch: &Branch, allow: bool, rules: &[String]) -> Result<(), CgroupError> {
    if rules.is_empty() {
        return Ok(());
    }
    let file = if allow {
        "devices.allow"
    } else {
        "devices.deny"
    };
    let opened = files::open_to_write(branch.open()?, file).map_err(files::access(
        "open",
        &branch.path,
        file,
    ))?;
    rules.iter().try_for_each(|rule| {
        files::write_whole(opened.as_fd(), rule.as_bytes()).map_err(|source| CgroupError::Limit {
            limit: "device rules".to_owned(),
            value: rule.clone(),
            path: branch.file(file),
            source,
        })
    })
}

/// Brings rules into the form of the kernel. Begins with a default of deny.
pub(super) fn normalise(rules: &[Rule]) -> Result<List, CgroupError> {
    let mut list = List {
        default_allow: false,
        exceptions: Vec::new(),
    };
    for rule in rules {
        if rule.is_total() && rule.access == ALL {
            list = List {
                default_allow: rule.allow,
                exceptions: Vec::new(),
            };
            continue;
        }
        for kind in [Kind::Block, Kind::Char] {
            if rule.kind.is_none_or(|asked| asked == kind) {
                list.take(Rule {
                    kind: Some(kind),
                    ..*rule
                })?;
            }
        }
    }
    Ok(list)
}

impl List {
    fn take(&mut self, rule: Rule) -> Result<(), CgroupError> {
        if rule.allow != self.default_allow {
            self.add(rule);
            return Ok(());
        }
        // Back to the default: take away from the exceptions that it meets.
        for exception in &mut self.exceptions {
            if exception.access & rule.access == 0 || !exception.overlaps(&rule) {
                continue;
            }
            if !rule.contains(exception) {
                let (this, that) = if rule.allow {
                    ("allows", "deny")
                } else {
                    ("denies", "allow")
                };
                return Err(CgroupError::Unsupported {
                    limit: format!("device rule {rule}"),
                    why: format!(
                        "it {this} a part of what the earlier {that} rule {exception} covers, which cgroup v1 cannot express; list the devices one by one"
                    ),
                });
            }
            exception.access &= !rule.access;
        }
        self.exceptions.retain(|exception| exception.access != 0);
        Ok(())
    }

    fn add(&mut self, rule: Rule) {
        let same = |other: &&mut Rule| {
            (other.kind, other.major, other.minor) == (rule.kind, rule.major, rule.minor)
        };
        match self.exceptions.iter_mut().find(same) {
            Some(other) => other.access |= rule.access,
            None => self.exceptions.push(rule),
        }
    }
}
