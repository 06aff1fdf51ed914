//! Where tests cite rows.

use std::fs;
use std::path::{Path, PathBuf};

use super::shown;
use crate::failure::{Failure, Outcome};

/// How a Rust test cites.
const MACRO: &str = "covers!(";

/// How a test of the VM tier cites.
const COMMENT: &str = "# covers:";

/// A row's name in the source of a test.
#[derive(Debug)]
pub(super) struct Citation {
    /// The row's id.
    pub(super) row: String,
    /// Why it proves nothing.
    pub(super) flaw: Option<String>,
    file: String,
    line: usize,
    function: String,
}

impl Citation {
    /// The test as it is shown.
    pub(super) fn name(&self) -> String {
        format!("{}::{}", self.file, self.function)
    }

    /// What is wrong with it, and where.
    pub(super) fn mistake(&self, why: &str) -> String {
        format!("{}:{}: {}: {why}", self.file, self.line, self.row)
    }
}

/// All citations: in the crates' sources and tests, and in the guest tests.
///
/// # Errors
/// A file cannot be read.
pub(super) fn find(root: &Path) -> Outcome<Vec<Citation>> {
    let mut citations = Vec::new();
    for path in files(&root.join("crates"), "rs")? {
        // The macro's own crate shows how it is used.
        if !path.starts_with(root.join("crates/berth-testkit")) {
            citations.extend(in_rust(&shown(&path, root), &read(&path)?));
        }
    }
    for path in files(&root.join("xtask/vm"), "sh")? {
        citations.extend(in_shell(&shown(&path, root), &read(&path)?));
    }
    Ok(citations)
}

fn read(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).map_err(|error| Failure::file("read", path, &error))
}

fn files(folder: &Path, extension: &str) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).map_err(|e| Failure::file("list", &folder, &e))?;
        for entry in entries {
            let path = entry
                .map_err(|error| Failure::file("list", &folder, &error))?
                .path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The citations of a Rust file. A citation belongs to the function above it.
pub(super) fn in_rust(file: &str, text: &str) -> Vec<Citation> {
    let lines: Vec<&str> = text.lines().collect();
    let mut citations = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(start) = line.find(MACRO).filter(|_| !is_comment(line)) else {
            continue;
        };
        let (function, flaw) = match enclosing(&lines, at) {
            Some(place) => (function_name(lines[place]), flaw(&lines, place)),
            None => (None, Some("it is in no function".to_owned())),
        };
        let list = lines[at..].join("\n");
        let list = &list[start + MACRO.len()..];
        let list = &list[..list.find(')').unwrap_or(list.len())];
        // Every second piece between quotes is a row.
        for row in list.split('"').skip(1).step_by(2) {
            citations.push(Citation {
                row: row.to_owned(),
                flaw: flaw.clone(),
                file: file.to_owned(),
                line: at + 1,
                function: function.unwrap_or_default().to_owned(),
            });
        }
    }
    citations
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// The line of the function that a line is in.
fn enclosing(lines: &[&str], at: usize) -> Option<usize> {
    (0..at).rev().find(|&place| {
        indent(lines[place]) < indent(lines[at]) && function_name(lines[place]).is_some()
    })
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn function_name(line: &str) -> Option<&str> {
    let words = line.trim_start();
    let rest = words
        .strip_prefix("fn ")
        .or_else(|| words.split_once(" fn ").map(|(_, rest)| rest))
        .filter(|_| !is_comment(line))?;
    rest.split(|c: char| !c.is_alphanumeric() && c != '_')
        .next()
}

/// Why the function at a line is not a test that runs.
fn flaw(lines: &[&str], place: usize) -> Option<String> {
    let name = function_name(lines[place])?;
    let above: Vec<&str> = lines[..place]
        .iter()
        .rev()
        .map(|line| line.trim())
        .take_while(|line| line.starts_with("#[") || line.starts_with("//"))
        .collect();
    if above.iter().any(|line| line.starts_with("#[ignore")) {
        return Some(format!("{name} is ignored"));
    }
    let is_test = above.iter().any(|line| line.starts_with("#[test]"));
    (!is_test).then(|| format!("{name} is no test"))
}

/// The citations of a guest test. A citation belongs to the function `test_NAME` above it.
fn in_shell(file: &str, text: &str) -> Vec<Citation> {
    let mut function = None;
    let mut citations = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if let Some(name) = line.strip_suffix("() {").or(line.strip_suffix("()")) {
            function = Some(name.trim());
        }
        let Some(rows) = line.trim_start().strip_prefix(COMMENT) else {
            continue;
        };
        let flaw = match function {
            Some(name) if name.starts_with("test_") => None,
            Some(name) => Some(format!("{name} is no test")),
            None => Some("it is in no function".to_owned()),
        };
        for row in rows.split(',') {
            citations.push(Citation {
                row: row.trim().to_owned(),
                flaw: flaw.clone(),
                file: file.to_owned(),
                line: at + 1,
                function: function.unwrap_or_default().to_owned(),
            });
        }
    }
    citations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn citations_of_a_guest_test_belong_to_its_function() {
        let text = "test_limits() {\n    # covers: a/one, a/two\n    same 1 1\n}\nhelp() {\n  \
                    # covers: a/three\n}\n";
        let found = in_shell("t.sh", text);
        let rows: Vec<_> = found.iter().map(|c| c.row.as_str()).collect();
        assert_eq!(rows, ["a/one", "a/two", "a/three"]);
        assert_eq!(found[1].name(), "t.sh::test_limits");
        assert_eq!(found[1].flaw, None);
        assert_eq!(found[2].flaw.as_deref(), Some("help is no test"));
    }

    #[test]
    fn a_closure_or_a_line_break_does_not_hide_the_function() {
        let text = "mod tests {\n    #[test]\n    /// Why.\n    fn shows() {\n        let f = || {\n            \
                    covers!(\"a/one\", \"a/two\");\n        };\n    }\n}\n";
        let found = in_rust("t.rs", text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].name(), "t.rs::shows");
        assert_eq!(found[0].flaw, None);
    }
}
