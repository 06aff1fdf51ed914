//! One door to what a store keeps: whatever renames, links, unlinks, makes a folder or syncs goes
//! through `berth_persist::perform` with the name of its point, so that `cargo xtask crash` can
//! kill, fail and lose power there. A call that goes past it is a place nobody has crashed.
//!
//! [`EXEMPT`] lists what never touches a store, or works below a folder that nobody sees yet. Tests
//! are not checked.

use super::rust::{self, Token};
use super::{Source, Violation, is_one_of, is_test};

/// The crates that keep stores.
const COVERED: [&str; 2] = ["crates/berth-engine/src", "crates/berth-image/src"];

/// Files and folders that may change the file system on their own, and why.
#[rustfmt::skip]
const EXEMPT: &[(&str, &str)] = &[
    ("crates/berth-engine/src/volume/mounts.rs", "makes the missing source of a bind mount, a folder of the user's"),
    ("crates/berth-image/src/layer", "unpacks below a hidden folder, which is then published whole"),
];

/// Functions that change a folder's entries or sync.
const CHANGES: &[(&str, &[&str])] = &[
    (
        "std::fs",
        &[
            "create_dir",
            "create_dir_all",
            "hard_link",
            "remove_dir",
            "remove_dir_all",
            "remove_file",
            "rename",
            "soft_link",
        ],
    ),
    ("std::fs::DirBuilder", &["new"]),
    ("std::os::unix::fs", &["symlink"]),
    ("std::fs::File", SYNCS),
    (
        "rustix::fs",
        &[
            "fdatasync",
            "fsync",
            "link",
            "linkat",
            "mkdir",
            "mkdirat",
            "rename",
            "renameat",
            "renameat_with",
            "rmdir",
            "symlink",
            "symlinkat",
            "sync",
            "syncfs",
            "unlink",
            "unlinkat",
        ],
    ),
];

/// Methods of a file that wait for the disk.
const SYNCS: &[&str] = &["sync_all", "sync_data"];

/// Checks every source file of the covered crates.
pub(super) fn check(sources: &[Source]) -> Vec<Violation> {
    let covered = sources.iter().filter(|source| is_covered(source));
    let mut violations: Vec<Violation> = covered
        .filter(|source| !is_exempt(source))
        .flat_map(|source| {
            let found = changes(&rust::tokens(&source.text));
            found.into_iter().map(|(line, what)| {
                source.at(
                    line,
                    format!(
                        "{what} goes past berth_persist::perform; name a point and go through it, \
                         so that the place can be crashed"
                    ),
                )
            })
        })
        .collect();
    violations.extend(stale_entries(sources));
    violations
}

fn is_covered(source: &Source) -> bool {
    COVERED.iter().any(|folder| source.below(folder)) && source.is("rs") && !is_test(source)
}

fn is_exempt(source: &Source) -> bool {
    EXEMPT.iter().any(|(place, _)| source.below(place))
}

/// Every call that changes the file system, with its line.
fn changes(tokens: &[Token]) -> Vec<(usize, String)> {
    let (names, globs) = rust::imports(tokens);
    let globs = globs
        .into_iter()
        .filter(|(_, module)| CHANGES.iter().any(|(listed, _)| listed == module))
        .map(|(line, module)| (line, format!("an import of all of {module}")));
    let paths = rust::paths(tokens, &names)
        .into_iter()
        .filter(|(_, path)| is_one_of(path, CHANGES));
    let methods = rust::methods(tokens)
        .into_iter()
        .filter(|(_, name)| SYNCS.contains(name))
        .map(|(line, name)| (line, format!(".{name}()")));
    globs.chain(paths).chain(methods).collect()
}

/// Entries of [`EXEMPT`] that no file needs any more. One whose code is not written yet is fine.
fn stale_entries(sources: &[Source]) -> Vec<Violation> {
    let own = |source: &&Source| source.path.ends_with("tidy/persist.rs");
    let Some(here) = sources.iter().find(own) else {
        return Vec::new();
    };
    let stale = |place: &str| {
        let below = sources.iter().filter(|source| source.below(place));
        let code = below.filter(|source| source.is("rs"));
        let tokens: Vec<Token> = code.flat_map(|s| rust::tokens(&s.text)).collect();
        tokens.iter().any(|token| token.text == "fn") && changes(&tokens).is_empty()
    };
    EXEMPT
        .iter()
        .filter(|(place, _)| stale(place))
        .map(|(place, _)| {
            let line = here.text.lines().position(|line| line.contains(place));
            here.at(
                line.map_or(1, |at| at + 1),
                format!("nothing below {place} changes the file system; remove the entry"),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&[source(path, text)])
            .into_iter()
            .map(|v| v.line)
            .collect()
    }

    #[test]
    fn changes_are_found_however_they_are_imported() {
        for snippet in [
            "fn f() { std::fs::rename(a, b); }",
            "use std::fs;\nfn f() { fs::remove_file(p); }",
            "use std::fs::{self, create_dir_all as make};\nfn f() { make(p); }",
            "fn f() { std::fs::hard_link(a, b); }",
            "use std::fs::DirBuilder;\nfn f() { DirBuilder::new().create(p); }",
            "use std::os::unix::fs::symlink;\nfn f() { symlink(a, b); }",
            "fn f(file: File) { file.sync_all(); }",
            "fn f() { list.map(std::fs::File::sync_data); }",
            "use rustix::fs::{CWD, unlinkat};\nfn f() { unlinkat(CWD, p, a); }",
            "fn f() { rustix::fs::fsync(d); }",
            "fn f() { rustix::fs::syncfs(d); }",
            "fn f() { rustix::fs::mkdirat(d, p, m); }",
            "use rustix::fs::*;",
        ] {
            for path in [
                "crates/berth-engine/src/new.rs",
                "crates/berth-image/src/store/new.rs",
            ] {
                assert_eq!(lines(path, snippet).len(), 1, "{path}: {snippet}");
            }
        }
    }

    #[test]
    fn the_door_reads_and_tests_pass() {
        let text = "use berth_persist::{At, Op, perform, remove_tree};\n\
            fn f() { perform(\"a.b\", Op::Unlink(At::path(p))); remove_tree(\"a\", at);\n\
            std::fs::read(p); std::fs::write(p, b); // std::fs::rename\n\
            names.rename(a); }\n\
            #[cfg(test)]\nmod tests { fn f() { std::fs::rename(a, b); } }\n";
        assert!(lines("crates/berth-engine/src/new.rs", text).is_empty());
        let call = "fn f() { std::fs::rename(a, b); }";
        for path in [
            "crates/berth-engine/src/store/tests.rs",
            "crates/berth-image/src/layer/unpack.rs",
            "crates/berth-persist/src/op.rs",
            "crates/berth-runtime/src/state.rs",
        ] {
            assert!(lines(path, call).is_empty(), "{path}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let found = check(&[source(
            "crates/berth-engine/src/new.rs",
            "fn f() { std::fs::rename(a, b); }",
        )]);
        let message = &found.first().unwrap().message;
        assert_eq!(
            message,
            "std::fs::rename goes past berth_persist::perform; name a point and go through it, so \
             that the place can be crashed"
        );
    }

    #[test]
    fn an_entry_that_nothing_needs_is_named() {
        let with = |code: &str| {
            let place = EXEMPT[0].0;
            let here = source("xtask/src/tidy/persist.rs", place);
            let there = source(&format!("{place}/mod.rs"), code);
            check(&[here, there]).len()
        };
        assert_eq!(with("fn f() { g(); }"), 1);
        assert_eq!(with("fn f() { std::fs::rename(a, b); }"), 0);
        assert_eq!(with("//! Not written yet."), 0);
    }
}
