//! `spec`: which duties of the runtime specification have a test.
//!
//! The duties are the rows of `docs/spec-coverage.md`; tests cite them. This compares the two, and
//! runs nothing: whether a cited test passes is for `cargo xtask test` to say.

mod citations;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::args::Args;
use crate::failure::{Failure, Outcome};
use crate::workspace;
use citations::Citation;
use table::Row;

/// The page with the rows, from the workspace's root.
const PAGE: &str = "docs/spec-coverage.md";

/// Runs `cargo xtask spec`.
pub(crate) fn command(mut args: Args) -> Outcome {
    let as_json = args.flag("--json");
    args.finish()?;
    let coverage = Coverage::read()?;
    if as_json {
        println!("{:#}", coverage.json());
    } else {
        print!("{}", coverage.text());
    }
    coverage.verdict()
}

/// Fails where a duty has no test; quiet otherwise.
///
/// # Errors
/// A row is uncovered, or a citation is worth nothing.
pub(crate) fn check() -> Outcome {
    let coverage = Coverage::read()?;
    let verdict = coverage.verdict();
    if verdict.is_err() {
        print!("{}", coverage.text());
    }
    verdict
}

/// The rows with their tests, and what does not fit together.
struct Coverage {
    rows: Vec<(Row, Vec<Citation>)>,
    /// Citations that are worth nothing, each as `file:line: why`.
    mistakes: Vec<String>,
}

impl Coverage {
    fn read() -> Outcome<Self> {
        let root = workspace::root();
        let page = root.join(PAGE);
        let text = fs::read_to_string(&page).map_err(|e| Failure::file("read", &page, &e))?;
        Ok(Self::new(table::rows(&text)?, citations::find(root)?))
    }

    fn new(rows: Vec<Row>, citations: Vec<Citation>) -> Self {
        let mut mistakes = Vec::new();
        let mut found: BTreeMap<String, Vec<Citation>> = BTreeMap::new();
        for citation in citations {
            let row = rows.iter().find(|row| row.id == citation.row);
            match (row, &citation.flaw) {
                (None, _) => mistakes.push(citation.mistake("there is no such row")),
                (Some(_), Some(flaw)) => mistakes.push(citation.mistake(flaw)),
                (Some(row), None) if row.cannot_apply.is_some() => {
                    mistakes.push(citation.mistake("the row says that it cannot apply"));
                }
                (Some(_), None) => found
                    .entry(citation.row.clone())
                    .or_default()
                    .push(citation),
            }
        }
        let rows = rows
            .into_iter()
            .map(|row| {
                let tests = found.remove(&row.id).unwrap_or_default();
                (row, tests)
            })
            .collect();
        Self { rows, mistakes }
    }

    fn covered(&self) -> impl Iterator<Item = &(Row, Vec<Citation>)> {
        self.rows.iter().filter(|(_, tests)| !tests.is_empty())
    }

    fn inapplicable(&self) -> impl Iterator<Item = &Row> {
        self.rows
            .iter()
            .map(|(row, _)| row)
            .filter(|row| row.cannot_apply.is_some())
    }

    fn uncovered(&self) -> impl Iterator<Item = &Row> {
        self.rows
            .iter()
            .filter(|(row, tests)| tests.is_empty() && row.cannot_apply.is_none())
            .map(|(row, _)| row)
    }

    fn text(&self) -> String {
        let mut text = format!("covered: {}\n", self.covered().count());
        for (row, tests) in self.covered() {
            let names: Vec<_> = tests.iter().map(Citation::name).collect();
            text.push_str(&format!("  {:<44} {}\n", row.id, names.join(", ")));
        }
        text.push_str(&format!("cannot apply: {}\n", self.inapplicable().count()));
        for row in self.inapplicable() {
            let reason = row.cannot_apply.as_deref().unwrap_or_default();
            text.push_str(&format!("  {:<44} {reason}\n", row.id));
        }
        text.push_str(&format!("uncovered: {}\n", self.uncovered().count()));
        for row in self.uncovered() {
            text.push_str(&format!("  {:<44} {}: {}\n", row.id, row.section, row.duty));
        }
        for mistake in &self.mistakes {
            text.push_str(&format!("{mistake}\n"));
        }
        text
    }

    fn json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|(row, tests)| {
                let tests: Vec<_> = tests.iter().map(Citation::name).collect();
                json!({"id": row.id, "section": row.section, "duty": row.duty, "tests": tests,
                       "cannotApply": row.cannot_apply})
            })
            .collect();
        json!({
            "version": 1,
            "covered": self.covered().count(),
            "cannotApply": self.inapplicable().count(),
            "uncovered": self.uncovered().count(),
            "mistakes": self.mistakes,
            "rows": rows,
        })
    }

    /// # Errors
    /// A row is uncovered, or a citation is worth nothing.
    fn verdict(&self) -> Outcome {
        let uncovered = self.uncovered().count();
        if uncovered == 0 && self.mistakes.is_empty() {
            return Ok(());
        }
        Err(Failure::new(format!(
            "{uncovered} rows of {PAGE} have no test, and {} citations are worth nothing",
            self.mistakes.len()
        )))
    }
}

/// A path as it is shown: from the workspace's root.
fn shown(path: &Path, root: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .display()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE_TEXT: &str = "# Page\n\n## a.md\n\n| Row | Section | Duty | Cannot apply |\n\
        |---|---|---|---|\n| one | S | does it | |\n| two | S | does more | another platform |\n\
        | three | T | last | |\n";

    fn coverage(test: &str) -> Coverage {
        let rows = table::rows(PAGE_TEXT).unwrap();
        Coverage::new(rows, citations::in_rust("t.rs", test))
    }

    #[test]
    fn uncovered_rows_fail() {
        let one = coverage("#[test]\nfn shows_it() {\n    covers!(\"a/one\");\n}\n");
        assert_eq!(
            one.uncovered().map(|r| r.id.as_str()).collect::<Vec<_>>(),
            ["a/three"]
        );
        assert!(one.verdict().is_err());
        let text = "#[test]\nfn shows_it() {\n    covers!(\n        \"a/one\",\n\"a/three\");\n}\n";
        let both = coverage(text);
        both.verdict().unwrap();
        assert_eq!(both.json()["covered"], 2);
        assert_eq!(both.json()["cannotApply"], 1);
        assert!(both.text().contains("a/three"), "{}", both.text());
        assert!(both.text().contains("t.rs::shows_it"), "{}", both.text());
    }

    #[test]
    fn citations_that_prove_nothing_fail() {
        let flawed = |test: &str| coverage(test).mistakes.join("\n");
        assert_eq!(
            flawed("#[test]\nfn f() {\n    covers!(\"a/four\");\n}\n"),
            "t.rs:3: a/four: there is no such row"
        );
        assert_eq!(
            flawed("#[test]\nfn f() {\n    covers!(\"a/two\");\n}\n"),
            "t.rs:3: a/two: the row says that it cannot apply"
        );
        assert_eq!(
            flawed("#[test]\n#[ignore = \"slow\"]\nfn f() {\n    covers!(\"a/one\");\n}\n"),
            "t.rs:4: a/one: f is ignored"
        );
        assert_eq!(
            flawed("/// Text.\nfn f() {\n    covers!(\"a/one\");\n}\n"),
            "t.rs:3: a/one: f is no test"
        );
        assert_eq!(
            flawed("covers!(\"a/one\");\n"),
            "t.rs:1: a/one: it is in no function"
        );
    }
}
