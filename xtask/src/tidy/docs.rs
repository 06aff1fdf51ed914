//! Rules for the pages: a link to a file or a heading of ours leads somewhere.

use std::path::{Component, Path, PathBuf};

use super::{Source, Violation};

/// Checks the links of every Markdown page.
pub(super) fn check(sources: &[Source], root: &Path) -> Vec<Violation> {
    let mut violations = Vec::new();
    for page in sources.iter().filter(|source| source.is("md")) {
        for (line, target) in links(&page.text) {
            if let Some(message) = dead(&target, page, sources, root) {
                violations.push(page.at(line, message));
            }
        }
    }
    violations
}

/// The targets of inline links outside code, with their lines.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        let mut rest = without_code(line);
        while let Some(at) = rest.find("](") {
            let target = rest.split_off(at + 2);
            let end = target.find(')').unwrap_or(target.len());
            let word = target[..end].split_whitespace().next().unwrap_or_default();
            found.push((number, word.to_owned()));
            rest = target[end..].to_owned();
        }
    }
    found
}

/// The lines outside fenced blocks, numbered from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            return None;
        }
        (!fenced).then_some((at + 1, line))
    })
}

/// The line without its `code spans`.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

/// Why the target leads nowhere; `None` when it leads somewhere or outside.
fn dead(target: &str, page: &Source, sources: &[Source], root: &Path) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() {
        page.path.clone()
    } else {
        resolve(page.path.parent().unwrap_or(Path::new("")), file)
    };
    if !root.join(&path).exists() && !sources.iter().any(|source| source.path == path) {
        return Some(format!("the link to {target} leads nowhere"));
    }
    let linked = sources.iter().find(|source| source.path == path)?;
    let headed = heading.is_empty()
        || !linked.is("md")
        || headings(&linked.text).any(|anchor| anchor == heading);
    (!headed).then(|| format!("{} has no heading #{heading}", path.display()))
}

/// The anchors of a page's headings: lower case, spaces as hyphens, punctuation left out.
fn headings(text: &str) -> impl Iterator<Item = String> {
    prose(text)
        .filter(|(_, line)| line.starts_with('#'))
        .map(|(_, line)| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
}

/// `file` as seen from `folder`, without dots.
fn resolve(folder: &Path, file: &str) -> PathBuf {
    let mut path = PathBuf::new();
    for part in folder.join(file).components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;

    #[test]
    fn dead_links_are_named_by_line() {
        let pages = [
            source(
                "docs/a.md",
                "[up](../README.md) [b](b.md#two-words) [out](https://example.org/x)\n\
                 ```\n[no](link.md)\n```\n`[no](link.md)`\n\
                 [gone](c.md)\n[gone](b.md#three) [self](#here)\n# Here\n",
            ),
            source("docs/b.md", "## Two words\n"),
            source("README.md", ""),
        ];
        let found: Vec<_> = check(&pages, Path::new("/"))
            .into_iter()
            .map(|v| (v.line, v.message))
            .collect();
        assert_eq!(
            found,
            [
                (6, "the link to c.md leads nowhere".to_owned()),
                (7, "docs/b.md has no heading #three".to_owned()),
            ]
        );
    }
}
