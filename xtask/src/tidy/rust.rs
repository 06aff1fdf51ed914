//! As much of Rust's grammar as the rules need: tokens, imports, paths and method calls.

use std::collections::BTreeMap;

use super::sources::blank_words;

/// A word or a sign of the code, with its line from 1.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) line: usize,
}

impl Token {
    fn is_word(&self) -> bool {
        self.text
            .starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

/// The tokens of a file without comments, literals and what is compiled for tests alone.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let code = blank_words(text);
    let mut all = Vec::new();
    for (at, line) in code.lines().enumerate() {
        let mut rest = line;
        while let Some(first) = rest.chars().next() {
            let length = if first.is_alphanumeric() || first == '_' {
                rest.find(|c: char| !(c.is_alphanumeric() || c == '_'))
                    .unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            let (token, after) = rest.split_at(length);
            if !first.is_whitespace() {
                all.push(Token {
                    text: token.to_owned(),
                    line: at + 1,
                });
            }
            rest = after;
        }
    }
    without_tests(all)
}

/// Takes out `#[cfg(test)]` with the item behind it.
fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    const ATTRIBUTE: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let here = tokens.get(at..at + ATTRIBUTE.len()).unwrap_or_default();
        if !here.is_empty() && here.iter().map(|t| t.text.as_str()).eq(ATTRIBUTE) {
            at += ATTRIBUTE.len() + item(tokens.get(at + ATTRIBUTE.len()..).unwrap_or_default());
        } else {
            kept.push(token.clone());
            at += 1;
        }
    }
    kept
}

/// The number of tokens up to the end of the item: its `;`, or its closing brace.
fn item(tokens: &[Token]) -> usize {
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            ";" if depth == 0 => return at + 1,
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                // `use a::{b};` goes on.
                if depth == 0 && tokens.get(at + 1).is_none_or(|next| next.text != ";") {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    tokens.len()
}

/// What each imported name stands for.
pub(super) type Names = BTreeMap<String, String>;

/// The names that `use` brings in anywhere in the file, and the modules imported whole.
pub(super) fn imports(tokens: &[Token]) -> (Names, Vec<(usize, String)>) {
    let mut names = Names::new();
    let mut globs = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if token.text == "use" {
            let mut rest = tokens.get(at + 1..).unwrap_or_default();
            tree(&mut rest, "", &mut names, &mut globs);
        }
    }
    (names, globs)
}

/// One tree of a `use`: `a::b`, `a as b`, `a::*`, `a::{...}`.
fn tree(tokens: &mut &[Token], prefix: &str, names: &mut Names, globs: &mut Vec<(usize, String)>) {
    let mut path = prefix.to_owned();
    let mut last = String::new();
    while let Some((token, rest)) = tokens.split_first() {
        *tokens = rest;
        match token.text.as_str() {
            "::" => {}
            "*" => globs.push((token.line, path.clone())),
            "{" => {
                while tokens.first().is_some_and(|next| next.text != "}") {
                    tree(tokens, &path, names, globs);
                    if tokens.first().is_some_and(|next| next.text == ",") {
                        *tokens = tokens.get(1..).unwrap_or_default();
                    }
                }
                *tokens = tokens.get(1..).unwrap_or_default();
                return;
            }
            "as" => {
                if let Some((alias, rest)) = tokens.split_first() {
                    *tokens = rest;
                    last = alias.text.clone();
                }
            }
            "self" if !prefix.is_empty() => {}
            word => {
                if !path.is_empty() {
                    path.push_str("::");
                }
                path.push_str(word);
                last = word.to_owned();
            }
        }
        let ends = |next: &Token| matches!(next.text.as_str(), ";" | "," | "}");
        if tokens.first().is_none_or(ends) {
            break;
        }
    }
    if last.is_empty() {
        last = path.rsplit("::").next().unwrap_or_default().to_owned();
    }
    if !path.is_empty() {
        names.insert(last, path);
    }
}

/// Every path of the code outside `use`, with imported names spelled out.
pub(super) fn paths(tokens: &[Token], names: &Names) -> Vec<(usize, String)> {
    let mut all = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let before = at.checked_sub(1).and_then(|at| tokens.get(at));
        if token.text == "use" {
            at += item(tokens.get(at..).unwrap_or_default());
            continue;
        }
        if !token.is_word() || before.is_some_and(|t| t.text == ".") {
            at += 1;
            continue;
        }
        let line = token.line;
        let mut path = names
            .get(&token.text)
            .cloned()
            .unwrap_or_else(|| token.text.clone());
        at += 1;
        while let (Some(colons), Some(next)) = (tokens.get(at), tokens.get(at + 1)) {
            if colons.text != "::" || !next.is_word() {
                break;
            }
            path.push_str("::");
            path.push_str(&next.text);
            at += 2;
        }
        // A definition's own name, and a field, are no call of what is imported.
        let defines =
            before.is_some_and(|t| matches!(t.text.as_str(), "fn" | "mod" | "let" | "struct"));
        if !defines {
            all.push((line, path));
        }
    }
    all
}

/// Every method that is called without arguments.
pub(super) fn methods(tokens: &[Token]) -> Vec<(usize, &str)> {
    tokens
        .windows(4)
        .filter(|w| w[0].text == "." && w[1].is_word() && w[2].text == "(" && w[3].text == ")")
        .map(|w| (w[1].line, w[1].text.as_str()))
        .collect()
}
