//! `tidy`: what the compiler does not check, so that the house stays as it was planned.

mod crates;
mod docs;
mod paths;
mod persist;
mod rust;
mod sources;

use std::fs;
use std::path::{Path, PathBuf};

use crate::args::Args;
use crate::failure::{Failure, Outcome};
use crate::workspace;

/// One breach of a rule, shown as `file:line: message`.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    /// Relative to the workspace's root.
    file: PathBuf,
    /// From 1.
    line: usize,
    /// Which rule, and what to do instead.
    message: String,
}

/// A text file of the workspace.
pub(crate) struct Source {
    /// Relative to the workspace's root.
    path: PathBuf,
    text: String,
}

impl Source {
    /// A breach at a line of this file.
    fn at(&self, line: usize, message: impl Into<String>) -> Violation {
        Violation {
            file: self.path.clone(),
            line,
            message: message.into(),
        }
    }

    /// Whether its name ends in a dot and this.
    fn is(&self, extension: &str) -> bool {
        self.path.extension().is_some_and(|e| e == extension)
    }

    /// Whether it belongs to the crate or folder.
    fn below(&self, folder: &str) -> bool {
        self.path.starts_with(folder)
    }
}

/// Runs `cargo xtask tidy`.
pub(crate) fn command(args: Args) -> Outcome {
    args.finish()?;
    check()
}

/// Checks every rule and prints each breach.
///
/// # Errors
/// There are breaches, or the workspace cannot be read.
pub(crate) fn check() -> Outcome {
    let root = workspace::root();
    let sources = read_sources(root)?;
    let mut violations = sources::check(&sources, root);
    violations.extend(docs::check(&sources, root));
    violations.extend(paths::check(&sources));
    violations.extend(persist::check(&sources));
    violations.extend(crates::check(&workspace::metadata()?, &sources));
    violations.sort();
    for Violation {
        file,
        line,
        message,
    } in &violations
    {
        println!("{}:{line}: {message}", file.display());
    }
    match violations.len() {
        0 => {
            println!("tidy: {} files, nothing to say", sources.len());
            Ok(())
        }
        1 => Err(Failure::new("tidy found 1 breach of the rules")),
        many => Err(Failure::new(format!(
            "tidy found {many} breaches of the rules"
        ))),
    }
}

/// Every text file below the root but what was built and what git keeps for itself.
fn read_sources(root: &Path) -> Outcome<Vec<Source>> {
    let mut sources = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries =
            fs::read_dir(&folder).map_err(|error| Failure::file("list", &folder, &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| Failure::file("list", &folder, &error))?;
            let path = entry.path();
            let kind = entry
                .file_type()
                .map_err(|e| Failure::file("look at", &path, &e))?;
            let name = entry.file_name();
            // `.git` is a file in a linked worktree.
            if name == "target" || name == ".git" {
                continue;
            }
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                let bytes = fs::read(&path).map_err(|e| Failure::file("read", &path, &e))?;
                let path = path.strip_prefix(root).unwrap_or(&path).to_path_buf();
                if let Ok(text) = String::from_utf8(bytes) {
                    sources.push(Source { path, text });
                }
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(sources)
}

/// `tests.rs`, `x_tests.rs` and folders of tests.
fn is_test(source: &Source) -> bool {
    let name = source.path.file_stem().unwrap_or_default();
    let name = name.to_string_lossy();
    name == "tests"
        || name.ends_with("_tests")
        || source.path.iter().any(|part| {
            let part = part.to_string_lossy();
            part == "tests" || part.ends_with("_tests")
        })
}

/// Whether a path names a function of the list. `*` stands for every function: a name that begins
/// with a small letter.
fn is_one_of(path: &str, list: &[(&str, &[&str])]) -> bool {
    let Some((module, name)) = path.rsplit_once("::") else {
        return false;
    };
    list.iter().any(|(listed, functions)| {
        *listed == module
            && (functions.contains(&name)
                || functions.contains(&"*") && name.starts_with(|c: char| c.is_lowercase()))
    })
}

#[cfg(test)]
pub(crate) fn source(path: &str, text: &str) -> Source {
    Source {
        path: path.into(),
        text: text.to_owned(),
    }
}
