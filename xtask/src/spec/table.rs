//! The rows of the page.

use crate::failure::{Failure, Outcome};

/// A duty of the specification.
#[derive(Debug)]
pub(super) struct Row {
    /// The document and the row's name: `config-linux/ns-new`.
    pub(super) id: String,
    /// The section of the document.
    pub(super) section: String,
    /// What is asked for.
    pub(super) duty: String,
    /// Why it cannot be asked of this runtime.
    pub(super) cannot_apply: Option<String>,
}

/// Reads the rows of a page: below each heading `## NAME.md` a table of four columns.
///
/// # Errors
/// A row is malformed or there twice, or there is none.
pub(super) fn rows(page: &str) -> Outcome<Vec<Row>> {
    let mut document = None;
    let mut rows: Vec<Row> = Vec::new();
    for (at, line) in page.lines().enumerate() {
        if let Some(heading) = line.strip_prefix("## ") {
            document = heading.strip_suffix(".md");
        }
        let (Some(document), Some(cells)) = (document, cells(line)) else {
            continue;
        };
        let [name, section, duty, reason] = cells[..] else {
            return Err(mistake(at, "has not four columns"));
        };
        if name == "Row" || name.starts_with("---") {
            continue;
        }
        let id = format!("{document}/{name}");
        if rows.iter().any(|row| row.id == id) {
            return Err(mistake(at, "is there twice"));
        }
        rows.push(Row {
            id,
            section: section.to_owned(),
            duty: duty.to_owned(),
            cannot_apply: (!reason.is_empty()).then(|| reason.to_owned()),
        });
    }
    if rows.is_empty() {
        return Err(Failure::new("the page of the specification has no rows"));
    }
    Ok(rows)
}

fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(inner.split('|').map(str::trim).collect())
}

fn mistake(at: usize, what: &str) -> Failure {
    Failure::new(format!("the row at line {} of the page {what}", at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_pages_are_named_by_line() {
        assert!(rows("# nothing").is_err());
        let twice = "## a.md\n| x | S | d | |\n| x | S | d | |\n";
        assert_eq!(
            rows(twice).unwrap_err().to_string(),
            "the row at line 3 of the page is there twice"
        );
        assert_eq!(
            rows("## a.md\n| x | S | d |\n").unwrap_err().to_string(),
            "the row at line 2 of the page has not four columns"
        );
    }
}
