//! Rules for source files: their size, unsafe code, and paths of the machine they were made on.

use std::path::{Component, Path};

use super::{Source, Violation};

/// A file longer than this has more than one concept in it.
const LINES_MAX: usize = 800;

/// The main file of a program parses, calls and maps the result.
const MAIN_LINES_MAX: usize = 60;

/// The one crate that may call the kernel without a safe wrapper.
const UNSAFE_CRATE: &str = "crates/berth-sys";

/// Top folders that the file hierarchy standard knows: naming one of them says nothing about the
/// machine.
const STANDARD_FOLDERS: [&str; 18] = [
    "bin", "boot", "dev", "etc", "home", "lib", "media", "mnt", "opt", "proc", "root", "run",
    "sbin", "srv", "sys", "tmp", "usr", "var",
];

/// Checks every source file. `root` is where the workspace lies on this machine.
pub(super) fn check(sources: &[Source], root: &Path) -> Vec<Violation> {
    let own_path = machine_path(root);
    let mut violations = Vec::new();
    for source in sources {
        violations.extend(too_long(source));
        violations.extend(unsafe_code(source));
        violations.extend(own_path.iter().flat_map(|path| names_machine(source, path)));
    }
    violations
}

fn too_long(source: &Source) -> Option<Violation> {
    if !["rs", "c", "sh"]
        .iter()
        .any(|extension| source.is(extension))
    {
        return None;
    }
    let lines = source.text.lines().count();
    if lines > LINES_MAX {
        return Some(source.at(
            LINES_MAX + 1,
            format!("{lines} lines; split it by concept, {LINES_MAX} is the most and 500 the aim"),
        ));
    }
    if is_main(&source.path) && lines >= MAIN_LINES_MAX {
        return Some(source.at(
            MAIN_LINES_MAX,
            format!("a program's main file of {lines} lines; it stays under {MAIN_LINES_MAX}"),
        ));
    }
    None
}

fn is_main(path: &Path) -> bool {
    path.ends_with("src/main.rs")
        || path
            .parent()
            .is_some_and(|folder| folder.ends_with("src/bin"))
}

fn unsafe_code(source: &Source) -> Vec<Violation> {
    if !source.is("rs") || source.below(UNSAFE_CRATE) {
        return Vec::new();
    }
    let code = blank_words(&source.text);
    code.lines()
        .enumerate()
        .filter(|(_, line)| has_word(line, "unsafe"))
        .map(|(at, _)| {
            source.at(
                at + 1,
                "unsafe outside berth-sys; wrap the call there, or use rustix",
            )
        })
        .collect()
}

/// The part of the workspace's own path that no file may name.
fn machine_path(root: &Path) -> Option<String> {
    let parts: Vec<_> = root
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    let first = parts.first()?;
    if STANDARD_FOLDERS.contains(first) {
        (parts.len() > 1).then(|| format!("/{}", parts.join("/")))
    } else {
        Some(format!("/{first}/"))
    }
}

fn names_machine(source: &Source, path: &str) -> Vec<Violation> {
    source
        .text
        .lines()
        .enumerate()
        .filter(|(_, line)| {
            line.match_indices(path)
                .any(|(at, _)| starts_a_path(line, at))
        })
        .map(|(at, _)| {
            source.at(
                at + 1,
                format!("names {path}, a path of this machine alone"),
            )
        })
        .collect()
}

/// Whether the slash at `at` begins a path instead of standing within one.
fn starts_a_path(line: &str, at: usize) -> bool {
    !line[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '}'))
}

fn has_word(line: &str, word: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].ends_with(part_of_word) && !line[at + word.len()..].starts_with(part_of_word)
    })
}

/// Rust source with the contents of comments, strings and character literals taken out; line
/// breaks stay, so that line numbers hold.
pub(super) fn blank_words(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(hashes) = raw_string(rest, &code) {
            let close = format!("\"{}", "#".repeat(hashes));
            let open = hashes + 2;
            rest[open..]
                .find(&close)
                .map_or(rest.len(), |at| open + at + close.len())
        } else if c == '"' {
            quoted(rest, '"')
        } else if c == '\'' && is_char_literal(rest) {
            quoted(rest, '\'')
        } else {
            0
        };
        if skipped == 0 {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            code.extend(rest[..skipped].chars().filter(|c| *c == '\n'));
            code.push(' ');
            rest = &rest[skipped..];
        }
    }
    code
}

/// Length of the block comment at the start; they nest.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// The number of hashes of the raw string that starts here, if one does.
fn raw_string(rest: &str, before: &str) -> Option<usize> {
    if before.ends_with(|c: char| c.is_alphanumeric() && c != 'b' && c != 'c' || c == '_') {
        return None;
    }
    let hashes = rest.strip_prefix('r')?;
    let count = hashes.len() - hashes.trim_start_matches('#').len();
    hashes[count..].starts_with('"').then_some(count)
}

/// Length of the literal at the start, quotes included.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return at + c.len_utf8();
        }
    }
    rest.len()
}

/// Tells a character literal from a lifetime.
fn is_char_literal(rest: &str) -> bool {
    let mut chars = rest.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) => true,
        (Some(_), Some(after)) => after == '\'',
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;

    fn messages(path: &str, text: &str, root: &str) -> Vec<String> {
        check(&[source(path, text)], Path::new(root))
            .into_iter()
            .map(|v| format!("{}:{}: {}", v.file.display(), v.line, v.message))
            .collect()
    }

    #[test]
    fn sizes() {
        assert!(messages("crates/a/src/lib.rs", &"//\n".repeat(800), "/").is_empty());
        assert_eq!(
            messages("crates/a/src/lib.rs", &"//\n".repeat(801), "/").len(),
            1
        );
        assert!(messages("crates/a/src/main.rs", &"//\n".repeat(59), "/").is_empty());
        assert_eq!(
            messages("crates/a/src/main.rs", &"//\n".repeat(60), "/").len(),
            1
        );
        assert_eq!(
            messages("crates/a/src/bin/b.rs", &"//\n".repeat(60), "/").len(),
            1
        );
        assert!(messages("docs/long.md", &"x\n".repeat(2000), "/").is_empty());
    }

    #[test]
    fn unsafe_is_found_in_code_alone() {
        let text = "fn f<'a>(x: &'a str) {\n    let q = '\"'; // unsafe\n    unsafe { g(x) }\n}\n\
                    const A: &str = \"unsafe \\\" unsafe\";\n/* unsafe /* */ unsafe */\n\
                    #![forbid(unsafe_code)]\nconst B: &str = r#\"unsafe \" unsafe\"#;\n";
        assert_eq!(
            messages("crates/berth-map/src/lib.rs", text, "/"),
            [
                "crates/berth-map/src/lib.rs:3: unsafe outside berth-sys; wrap the call there, or \
              use rustix"
            ]
        );
        assert!(messages("crates/berth-sys/src/lib.rs", text, "/").is_empty());
    }

    #[test]
    fn paths_of_the_machine() {
        let found = messages(
            "README.md",
            "run /odd/place/bin\nnot a/odd/place\n",
            "/odd/tree",
        );
        assert_eq!(
            found,
            ["README.md:1: names /odd/, a path of this machine alone"]
        );
        assert!(messages("README.md", "see /home/somebody\n", "/home/me/berth").is_empty());
        assert_eq!(
            messages("README.md", "cd /home/me/berth\n", "/home/me/berth").len(),
            1
        );
    }
}
