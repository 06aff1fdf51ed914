//! The patterns of `--filter name=`: Docker reads them as regular expressions of Go (RE2, see
//! <https://github.com/google/re2/wiki/Syntax>).
//!
//! Of these there is what names are looked for by: `.`, `[a-z]`, `[^a-z]`, `*`, `+`, `?`, `{2,3}`,
//! `(a|b)`, `^`, `$`, `\d`, `\w`, `\s` and escaped characters. A match follows all ways at once, so that
//! its time grows with pattern and name alone.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::str::Chars;

/// How often a part may be asked for by `{}`, as in RE2.
const REPEATS: usize = 1000;

/// How deep groups may be.
const DEPTH: usize = 50;

/// A pattern that is looked for anywhere in a name.
#[derive(Debug)]
pub(crate) struct Pattern(Vec<Vec<Part>>);

#[derive(Debug)]
enum Part {
    Start,
    End,
    /// Ranges of characters, or all but these.
    One(Vec<(char, char)>, Kind),
    Group(Vec<Vec<Part>>),
    /// At least, and at most where there is an end.
    Repeated(Box<Part>, usize, Option<usize>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    These,
    Others,
}

impl Pattern {
    /// Reads a pattern; `None` for what is none, or asks for more than is known here.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut rest = text.chars().peekable();
        let branches = branches(&mut rest, 0)?;
        // What is left is a parenthesis that nothing opened.
        rest.peek().is_none().then_some(Self(branches))
    }

    /// Whether a part of the name fits.
    pub(crate) fn is_in(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let starts = (0..=name.len()).collect();
        !after_any(&self.0, &name, &starts).is_empty()
    }
}

/// Whether a value of `name=` means a name: the name itself, or a pattern that is found in it.
pub(crate) fn names(value: &str, name: &str) -> bool {
    value == name || Pattern::read(value).is_some_and(|pattern| pattern.is_in(name))
}

fn branches(rest: &mut Peekable<Chars>, depth: usize) -> Option<Vec<Vec<Part>>> {
    let mut branches = vec![Vec::new()];
    while let Some(&c) = rest.peek() {
        if c == ')' || depth > DEPTH {
            break;
        }
        rest.next();
        if c == '|' {
            branches.push(Vec::new());
            continue;
        }
        let branch = branches.last_mut()?;
        let part = match c {
            '^' => Part::Start,
            '$' => Part::End,
            '.' => Part::One(vec![('\n', '\n')], Kind::Others),
            '(' => group(rest, depth + 1)?,
            '[' => class(rest)?,
            '\\' => escape(rest.next()?)?,
            '*' | '+' | '?' => repeated(branch.pop()?, &c.to_string())?,
            '{' => match counted(rest) {
                Some(counts) => repeated(branch.pop()?, &counts)?,
                None => one('{'),
            },
            c => one(c),
        };
        branch.push(part);
    }
    Some(branches)
}

fn one(c: char) -> Part {
    Part::One(vec![(c, c)], Kind::These)
}

/// Behind `(`; what it has captured nobody asks for.
fn group(rest: &mut Peekable<Chars>, depth: usize) -> Option<Part> {
    if rest.next_if_eq(&'?').is_some() {
        rest.next_if_eq(&':')?;
    }
    let branches = branches(rest, depth)?;
    rest.next_if_eq(&')')?;
    Some(Part::Group(branches))
}

/// Behind `[`.
fn class(rest: &mut Peekable<Chars>) -> Option<Part> {
    let kind = match rest.next_if_eq(&'^') {
        Some(_) => Kind::Others,
        None => Kind::These,
    };
    let mut ranges = Vec::new();
    loop {
        let first = match rest.next()? {
            // The first may be a bracket.
            ']' if !ranges.is_empty() => return Some(Part::One(ranges, kind)),
            '\\' => {
                let c = rest.next()?;
                if let Some(all) = shorthand(c) {
                    ranges.extend(all);
                    continue;
                }
                if c.is_ascii_alphanumeric() {
                    return None;
                }
                c
            }
            // Classes such as [:alpha:].
            '[' if rest.peek() == Some(&':') => return None,
            c => c,
        };
        let mut ahead = rest.clone();
        let last = match (ahead.next(), ahead.next()) {
            (Some('-'), Some(last)) if last != ']' && last != '\\' => {
                *rest = ahead;
                last
            }
            _ => first,
        };
        if last < first {
            return None;
        }
        ranges.push((first, last));
    }
}

/// Behind `\`.
fn escape(c: char) -> Option<Part> {
    if let Some(ranges) = shorthand(c) {
        return Some(Part::One(ranges, Kind::These));
    }
    if let Some(ranges) = shorthand(c.to_ascii_lowercase()) {
        return Some(Part::One(ranges, Kind::Others));
    }
    match c {
        'A' => Some(Part::Start),
        'z' => Some(Part::End),
        c if c.is_ascii_alphanumeric() => None,
        c => Some(one(c)),
    }
}

/// The characters of `\d`, `\w` and `\s`.
fn shorthand(c: char) -> Option<Vec<(char, char)>> {
    let digit = ('0', '9');
    match c {
        'd' => Some(vec![digit]),
        'w' => Some(vec![digit, ('A', 'Z'), ('_', '_'), ('a', 'z')]),
        's' => Some(vec![('\t', '\n'), ('\u{c}', '\r'), (' ', ' ')]),
        _ => None,
    }
}

/// Behind `{`, up to `}`: `2`, `2,` or `2,3`; where it is none of these nothing is taken.
fn counted(rest: &mut Peekable<Chars>) -> Option<String> {
    let mut ahead = rest.clone();
    let mut text = String::new();
    loop {
        match ahead.next()? {
            '}' => break,
            c if c.is_ascii_digit() || c == ',' => text.push(c),
            _ => return None,
        }
    }
    let (least, most) = text.split_once(',').unwrap_or((&text, ""));
    if least.is_empty() || most.contains(',') {
        return None;
    }
    *rest = ahead;
    Some(text)
}

fn repeated(part: Part, how: &str) -> Option<Part> {
    let (least, most) = match how {
        "*" => (0, None),
        "+" => (1, None),
        // Also behind another, where RE2 means the shortest: it is found all the same.
        "?" => (0, Some(1)),
        counts => {
            let number = |text: &str| text.parse().ok().filter(|n: &usize| *n <= REPEATS);
            match counts.split_once(',') {
                None => (number(counts)?, Some(number(counts)?)),
                Some((least, "")) => (number(least)?, None),
                Some((least, most)) => (number(least)?, Some(number(most)?)),
            }
        }
    };
    let in_order = most.is_none_or(|most| least <= most);
    in_order.then(|| Part::Repeated(Box::new(part), least, most))
}

/// Where one may be behind any of the branches, from any of the places before them.
fn after_any(branches: &[Vec<Part>], name: &[char], from: &BTreeSet<usize>) -> BTreeSet<usize> {
    let after_all = |parts: &Vec<Part>| {
        let first = from.clone();
        parts
            .iter()
            .fold(first, |places, part| after(part, name, &places))
    };
    branches.iter().flat_map(after_all).collect()
}

fn after(part: &Part, name: &[char], from: &BTreeSet<usize>) -> BTreeSet<usize> {
    let kept = |fits: &dyn Fn(usize) -> bool| from.iter().copied().filter(|at| fits(*at)).collect();
    match part {
        Part::Start => kept(&|at| at == 0),
        Part::End => kept(&|at| at == name.len()),
        Part::One(ranges, kind) => {
            let fits = |at: &usize| {
                name.get(*at).is_some_and(|c| {
                    let known = ranges
                        .iter()
                        .any(|(first, last)| (first..=last).contains(&c));
                    known == (*kind == Kind::These)
                })
            };
            from.iter().copied().filter(fits).map(|at| at + 1).collect()
        }
        Part::Group(branches) => after_any(branches, name, from),
        Part::Repeated(part, least, most) => {
            let mut places = from.clone();
            for _ in 0..*least {
                let next = after(part, name, &places);
                if next == places {
                    break;
                }
                places = next;
            }
            let mut reached = places.clone();
            // Each further round that reaches nothing new is the last.
            for _ in *least..most.unwrap_or(usize::MAX) {
                places = after(part, name, &places);
                let known = reached.len();
                reached.extend(places.iter().copied());
                if reached.len() == known {
                    break;
                }
            }
            reached
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_as_go_reads_them() {
        for (value, name, fits) in [
            ("eb", "web-1", true),
            ("", "web-1", true),
            ("^web-1$", "web-1", true),
            ("^web$", "web-1", false),
            ("web$", "web-1", false),
            ("^eb", "web-1", false),
            ("[ab]", "web-1", true),
            ("^[^w]", "web-1", false),
            ("^[a-w]+-[0-9]$", "web-1", true),
            ("w.b", "web-1", true),
            ("web.*1", "web-1", true),
            ("^(web|db)-\\d+$", "db-12", true),
            ("^(?:web|db)-\\d+$", "db-x", false),
            ("^web|db$", "old-db", true),
            ("^we?b?-", "w-1", true),
            ("^a{2,3}$", "aaa", true),
            ("^a{2,3}$", "aaaa", false),
            ("^a{2}$", "aa", true),
            ("^a{2,}$", "aaaaa", true),
            ("^[\\w.]+$", "a_1.b", true),
            ("a\\.b", "axb", false),
            ("^(a*)*$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", false),
            ("^[]a]", "a", true),
            ("[a-]$", "web-", true),
            ("^.*?1$", "web-1", true),
            // What is no pattern means itself alone.
            ("web(", "web(", true),
            ("web(", "web", false),
            ("web)", "web", false),
            ("*", "web", false),
            ("[b-a]", "a", false),
        ] {
            assert_eq!(names(value, name), fits, "{value} {name}");
        }
    }

    #[test]
    fn deep_groups_are_refused() {
        assert!(Pattern::read(&"(".repeat(100_000)).is_none());
        let nested = format!("{}a{}", "(".repeat(40), ")".repeat(40));
        assert!(Pattern::read(&nested).is_some_and(|p| p.is_in("a")));
    }
}
