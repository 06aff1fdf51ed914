//! No path string near a root file system: what a container can write it can also swap for a link
//! between two calls, so everything inside is opened below a descriptor.
//!
//! Every file of the crates in [`COVERED`] is checked, new ones too. [`HOST_SIDE`] lists the
//! modules that never see a container's file; in all others a call that resolves a path of the
//! host's stands under a comment `// by path: why`, and so does the start of a program
//! everywhere. Tests are not checked.

use std::collections::BTreeMap;

use super::rust::{self, Token};
use super::{Source, Violation, is_one_of, is_test};

/// The crates that touch a root file system.
const COVERED: [&str; 3] = [
    "crates/berth-runtime/src",
    "crates/berth-image/src",
    "crates/berth-engine/src",
];

/// Files and folders whose paths are all the host's, and why.
#[rustfmt::skip]
const HOST_SIDE: &[(&str, &str)] = &[
    ("crates/berth-engine/src/cgroup.rs", "procfs"),
    ("crates/berth-engine/src/copy/host.rs", "what the caller names, opened with its rights"),
    ("crates/berth-engine/src/copy/overlay.rs", "state folders and procfs"),
    ("crates/berth-engine/src/facts.rs", "system folders and procfs"),
    ("crates/berth-engine/src/hint.rs", "procfs"),
    ("crates/berth-engine/src/ids.rs", "state folders"),
    ("crates/berth-engine/src/logs", "state folders"),
    ("crates/berth-engine/src/members.rs", "procfs and cgroupfs"),
    ("crates/berth-engine/src/namespaces.rs", "an nsfs file that the caller names, checked to be one"),
    ("crates/berth-engine/src/process.rs", "procfs"),
    ("crates/berth-engine/src/recover.rs", "state folders"),
    ("crates/berth-engine/src/seccomp.rs", "a profile that the caller names"),
    ("crates/berth-engine/src/session.rs", "state folders"),
    ("crates/berth-engine/src/events", "the folder of the journal"),
    ("crates/berth-engine/src/store", "state folders"),
    ("crates/berth-engine/src/subid.rs", "/etc/subuid and its like"),
    ("crates/berth-image/src/store", "state folders"),
    ("crates/berth-engine/src/volume/store.rs", "the folders of the volumes; what is in them goes by descriptor"),
    ("crates/berth-engine/src/volume/users.rs", "state folders"),
    ("crates/berth-runtime/src/cgroup", "cgroupfs and procfs"),
    ("crates/berth-runtime/src/facts.rs", "system folders and procfs; nothing is opened for later"),
    ("crates/berth-runtime/src/keeper.rs", "state folders and /dev/null"),
    ("crates/berth-runtime/src/launch.rs", "state folders and our own binary"),
    ("crates/berth-runtime/src/mapping.rs", "procfs"),
    ("crates/berth-runtime/src/journal.rs", "the folder of the journal"),
    ("crates/berth-runtime/src/monitor", "state folders"),
    ("crates/berth-runtime/src/oci/cli", "the bundle's folder, and what flags name"),
    ("crates/berth-runtime/src/oci/container.rs", "state folders and procfs"),
    ("crates/berth-runtime/src/oci/create.rs", "state folders and procfs"),
    ("crates/berth-runtime/src/oci/delete.rs", "procfs"),
    ("crates/berth-runtime/src/oci/listener.rs", "procfs"),
    ("crates/berth-runtime/src/oci/notify.rs", "state folders and the caller's socket"),
    ("crates/berth-runtime/src/oci/prepare.rs", "the bundle's config.json, and the root itself"),
    ("crates/berth-runtime/src/oci/run.rs", "the caller's PID file"),
    ("crates/berth-runtime/src/oci/start.rs", "state folders"),
    ("crates/berth-runtime/src/oci/store.rs", "state folders"),
    ("crates/berth-runtime/src/process.rs", "procfs"),
    ("crates/berth-runtime/src/resctrl", "resctrl, a file system of the kernel alone"),
    ("crates/berth-runtime/src/seccomp/cache.rs", "the cache folder"),
    ("crates/berth-runtime/src/state.rs", "state folders"),
    ("crates/berth-runtime/src/survivor.rs", "procfs"),
];

/// The comment that allows one call.
const MARKER: &str = "// by path:";

/// Functions that take a path and no descriptor, or none that binds them.
const BY_PATH: &[(&str, &[&str])] = &[
    ("std::fs", &["*"]),
    (
        "std::fs::File",
        &["open", "create", "create_new", "options"],
    ),
    ("std::fs::OpenOptions", &["new"]),
    ("std::fs::DirBuilder", &["new"]),
    (
        "berth_persist",
        &["open", "open_folder", "read", "read_to_string"],
    ),
    ("std::os::unix::fs", &["*"]),
    ("std::os::unix::net::UnixStream", &["connect"]),
    ("std::os::unix::net::UnixListener", &["bind"]),
    ("std::os::unix::net::UnixDatagram", &["bind"]),
    ("std::env", &["set_current_dir"]),
    ("std::path::Path", METHODS),
    ("std::path::PathBuf", METHODS),
    (
        "rustix::fs",
        &[
            "ABS",
            "CWD",
            "access",
            "chmod",
            "chown",
            "getxattr",
            "lgetxattr",
            "link",
            "listxattr",
            "llistxattr",
            "lremovexattr",
            "lsetxattr",
            "lstat",
            "mkdir",
            "mknod",
            "open",
            "readlink",
            "removexattr",
            "rename",
            "rmdir",
            "setxattr",
            "stat",
            "statfs",
            "statvfs",
            "symlink",
            "truncate",
            "unlink",
        ],
    ),
    (
        "rustix::mount",
        &[
            "mount",
            "mount2",
            "mount_bind",
            "mount_bind_recursive",
            "mount_change",
            "mount_move",
            "mount_recursive_bind",
            "mount_remount",
            "unmount",
        ],
    ),
    ("rustix::process", &["chdir", "chroot", "pivot_root"]),
];

/// Programs and libraries of who knows where.
const FOREIGN: &[(&str, &[&str])] = &[
    ("std::process::Command", &["new"]),
    ("libloading", &["*"]),
    ("libc", &["dlopen", "system", "popen"]),
];

/// Methods of a path that look at the file system.
const METHODS: &[&str] = &[
    "canonicalize",
    "exists",
    "is_dir",
    "is_file",
    "is_symlink",
    "metadata",
    "read_dir",
    "read_link",
    "symlink_metadata",
    "try_exists",
];

/// Checks every source file of the covered crates.
pub(super) fn check(sources: &[Source]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for source in sources.iter().filter(|source| is_covered(source)) {
        violations.extend(calls(source));
    }
    violations.extend(stale_entries(sources));
    violations
}

fn is_covered(source: &Source) -> bool {
    let in_crate = COVERED.iter().any(|folder| source.below(folder));
    in_crate && source.is("rs") && !is_test(source)
}

fn is_on_host(source: &Source) -> bool {
    HOST_SIDE.iter().any(|(place, _)| source.below(place))
}

/// Calls without a marker, and markers without a call.
fn calls(source: &Source) -> Vec<Violation> {
    let tokens = rust::tokens(&source.text);
    let lines: Vec<&str> = source.text.lines().collect();
    let mut markers: BTreeMap<usize, bool> = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| reason(line).is_some())
        .map(|(at, _)| (at + 1, false))
        .collect();
    let mut violations = Vec::new();
    let mut all = programs(&tokens);
    if !is_on_host(source) {
        all.extend(by_path(&tokens));
    }
    for (line, message) in all {
        match marker_above(&lines, line) {
            Some(marker) => {
                markers.insert(marker, true);
            }
            None => violations.push(source.at(line, message)),
        }
    }
    let unused = markers.into_iter().filter(|(_, used)| !used);
    violations
        .extend(unused.map(|(line, _)| {
            source.at(line, "nothing below resolves a path; remove this comment")
        }));
    violations
}

/// The reason that a marker on this line gives.
fn reason(line: &str) -> Option<&str> {
    let (_, reason) = line.split_once(MARKER)?;
    Some(reason.trim()).filter(|reason| !reason.is_empty())
}

/// The line of the marker that covers a line: on it, or above the statement that it belongs to.
fn marker_above(lines: &[&str], line: usize) -> Option<usize> {
    let mut at = line.checked_sub(1)?;
    if reason(lines.get(at)?).is_some() {
        return Some(line);
    }
    while at > 0 {
        at -= 1;
        let above = lines.get(at)?.trim();
        if above.starts_with("//") {
            if reason(above).is_some() {
                return Some(at + 1);
            }
        } else if above.is_empty() || above.ends_with([';', '{', '}', ',']) {
            return None;
        }
    }
    None
}

/// Every call that resolves a path, with its line.
fn by_path(tokens: &[Token]) -> Vec<(usize, String)> {
    let (names, globs) = rust::imports(tokens);
    let globs = globs
        .into_iter()
        .filter(|(_, module)| BY_PATH.iter().any(|(listed, _)| listed == module))
        .map(|(line, module)| (line, format!("imports all of {module}; name what is used")));
    let paths = rust::paths(tokens, &names)
        .into_iter()
        .filter(|(_, path)| is_one_of(path, BY_PATH))
        .map(|(line, path)| {
            let message = format!(
                "{path} resolves a path string; open below a descriptor, or say above \
                 why it may: {MARKER} ..."
            );
            (line, message)
        });
    let methods = rust::methods(tokens)
        .into_iter()
        .filter(|(_, name)| METHODS.contains(name))
        .map(|(line, name)| {
            let message = format!(
                ".{name}() resolves a path string; ask a descriptor, or say above \
                 why it may: {MARKER} ..."
            );
            (line, message)
        });
    globs.chain(paths).chain(methods).collect()
}

/// Every start of a program and load of a library, with its line.
fn programs(tokens: &[Token]) -> Vec<(usize, String)> {
    let (names, _) = rust::imports(tokens);
    rust::paths(tokens, &names)
        .into_iter()
        .filter(|(_, path)| is_one_of(path, FOREIGN))
        .map(|(line, path)| {
            let message = format!(
                "{path} runs foreign code; do the work in process, or say above \
                 why it may: {MARKER} ..."
            );
            (line, message)
        })
        .collect()
}

/// Entries of [`HOST_SIDE`] that no file needs any more.
fn stale_entries(sources: &[Source]) -> Vec<Violation> {
    let own = |source: &&Source| source.path.ends_with("tidy/paths.rs");
    let Some(here) = sources.iter().find(own) else {
        return Vec::new();
    };
    HOST_SIDE
        .iter()
        .filter(|(place, _)| {
            !sources
                .iter()
                .filter(|source| source.below(place) && source.is("rs"))
                .any(|source| !by_path(&rust::tokens(&source.text)).is_empty())
        })
        .map(|(place, _)| {
            let line = here.text.lines().position(|line| line.contains(place));
            here.at(
                line.map_or(1, |at| at + 1),
                format!("nothing below {place} resolves a path; remove the entry"),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;

    fn messages(path: &str, text: &str) -> Vec<String> {
        check(&[source(path, text)])
            .into_iter()
            .map(|v| format!("{}: {}", v.line, v.message))
            .collect()
    }

    fn lines(text: &str) -> Vec<usize> {
        check(&[source("crates/berth-runtime/src/act/new.rs", text)])
            .into_iter()
            .map(|v| v.line)
            .collect()
    }

    #[test]
    fn path_calls_are_found_however_they_are_imported() {
        for snippet in [
            "fn f() { std::fs::read(p); }",
            "use std::fs;\nfn f() { fs::write(p, b); }",
            "use std::fs as files;\nfn f() { files::remove_file(p); }",
            "use std::{fs, io};\nfn f() -> io::Result<()> { fs::create_dir(p) }",
            "use std::fs::File;\nfn f() { File::open(p); }",
            "use std::{fs::{File as F}, io};\nfn f() { F::create(p); }",
            "use std::fs::{self, OpenOptions};\nfn f() { OpenOptions::new().open(p); }",
            "fn f() { list.map(std::fs::File::open); }",
            "use rustix::fs::{Mode, open};\nfn f() { open(p, a, b); }",
            "use rustix::fs::{CWD, openat};\nfn f() { openat(CWD, p, a, b); }",
            "use rustix::fs::mkdir as make;\nfn f() { make(p); }",
            "fn f() { use rustix::mount::unmount; unmount(p, a); }",
            "fn f() { rustix::mount::mount(a, b, c, d, e); }",
            "fn f() { rustix::process::chdir(p); }",
            "fn f(p: &Path) -> bool { p.exists() }",
            "fn f(p: &Path) { p\n.join(n)\n.canonicalize(); }",
            "use std::path::Path;\nfn f() { list.filter(Path::is_dir); }",
            "use std::os::unix::fs::symlink;\nfn f() { symlink(a, b); }",
            "use std::os::unix::net::UnixStream;\nfn f() { UnixStream::connect(p); }",
            "use std::process::Command;\nfn f() { Command::new(p); }",
            "use rustix::fs::*;",
            "fn f() { libloading::library(p); }",
        ] {
            assert_eq!(lines(snippet).len(), 1, "{snippet}");
        }
    }

    #[test]
    fn descriptors_types_and_words_pass() {
        let text = "//! std::fs::read in words\n\
            use std::fs::File;\nuse rustix::fs::{openat2, fstat, Mode};\n\
            fn f(d: BorrowedFd<'_>) -> File {\n\
            let s = \"std::fs::read\"; // fs::write\n\
            openat2(d, c\"a\", O, M, RESOLVE); fstat(d); File::from(d);\n\
            x.exists_here(); y.metadata; open(z); }\n";
        assert!(lines(text).is_empty(), "{:?}", lines(text));
    }

    #[test]
    fn tests_and_other_crates_are_left_alone() {
        let call = "fn f() { std::fs::read(p); }\n";
        let inside = format!("#[cfg(test)]\nmod tests {{\n{call}}}\n");
        assert!(lines(&inside).is_empty());
        assert_eq!(lines(&format!("{inside}{call}")), [5]);
        let alone = format!("#[cfg(test)]\nuse x::y;\n{call}");
        assert_eq!(lines(&alone), [3]);
        for path in [
            "crates/berth-runtime/src/plan/tests.rs",
            "crates/berth-runtime/src/act/path_tests.rs",
            "crates/berth-map/src/lib.rs",
            "crates/berth-runtime/src/cgroup/new.rs",
            "xtask/src/main.rs",
        ] {
            assert!(messages(path, call).is_empty(), "{path}");
        }
        let program = "fn f() { std::process::Command::new(p); }\n";
        assert_eq!(
            messages("crates/berth-runtime/src/cgroup/new.rs", program).len(),
            1
        );
        // A file that nobody thought of is covered.
        for path in [
            "crates/berth-runtime/src/new.rs",
            "crates/berth-runtime/src/act/new/deep.rs",
            "crates/berth-image/src/unpack.rs",
            "crates/berth-engine/src/copy.rs",
        ] {
            assert_eq!(messages(path, call).len(), 1, "{path}");
        }
    }

    #[test]
    fn a_marker_allows_one_statement_and_must_say_why() {
        let with = |marker: &str| {
            format!(
                "fn f() {{\n{marker}\nlet a = std::fs::read(p)\n.map(g);\nstd::fs::read(q);\n}}\n"
            )
        };
        assert_eq!(lines(&with("// by path: a file of ours")), [5]);
        assert_eq!(lines(&with("// Why.\n// by path: a file of\n// ours")), [7]);
        assert_eq!(lines(&with("// by path:")), [3, 5]);
        assert_eq!(lines(&with("// path: a file of ours")), [3, 5]);
        let trailing = "fn f() {\nstd::fs::read(p); // by path: ours\n}\n";
        assert!(lines(trailing).is_empty());
        let unused = "fn f() {\n// by path: ours\ng();\n}\n";
        assert_eq!(lines(unused), [2]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let text =
            "fn f(p: &Path) { std::fs::read(p); p.exists(); std::process::Command::new(p); }";
        assert_eq!(
            messages("crates/berth-runtime/src/act/new.rs", text),
            [
                "1: std::process::Command::new runs foreign code; do the work in process, or say \
                 above why it may: // by path: ...",
                "1: std::fs::read resolves a path string; open below a descriptor, or say above \
                 why it may: // by path: ...",
                "1: .exists() resolves a path string; ask a descriptor, or say above why it may: \
                 // by path: ...",
            ]
        );
    }

    #[test]
    fn an_entry_that_nothing_needs_is_named() {
        let here = source(
            "xtask/src/tidy/paths.rs",
            "(\"crates/berth-runtime/src/cgroup\", \"\")",
        );
        let found = check(&[here]);
        assert_eq!(found.len(), HOST_SIDE.len());
    }
}
