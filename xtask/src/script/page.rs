//! docs/docker-differences.md: the tables of command lines whose output differs.
//!
//! Below a heading that begins with `## Output` a row is "| `command line` | why |", a | of the command
//! line written as \|.

use crate::failure::{Failure, Outcome};

/// The page against the lines that differ.
#[derive(Debug)]
pub(super) struct Judged<'a> {
    /// Lines without a reason.
    pub(super) unexplained: Vec<&'a str>,
    /// Reasons for lines that do not differ.
    pub(super) stale: Vec<String>,
    /// The page without them.
    pub(super) kept: String,
}

/// Judges every row.
///
/// # Errors
/// A row has no reason.
pub(super) fn judge<'a>(text: &str, differing: &[&'a str]) -> Outcome<Judged<'a>> {
    let mut explained = Vec::new();
    let mut stale = Vec::new();
    let mut kept = String::new();
    let mut is_output = false;
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            is_output = heading.starts_with("Output");
        }
        let row = line.strip_prefix("| `").filter(|_| is_output);
        if let Some(row) = row {
            let (subject, why) = row.split_once("` |").unwrap_or((row, ""));
            if why.trim_matches(['|', ' ']).is_empty() {
                return Err(Failure::new(format!(
                    "docs/docker-differences.md gives no reason for {subject}"
                )));
            }
            let subject = subject.replace("\\|", "|");
            if !differing.contains(&subject.as_str()) {
                stale.push(subject);
                continue;
            }
            explained.push(subject);
        }
        kept.push_str(&format!("{line}\n"));
    }
    let is_new = |line: &&&str| !explained.iter().any(|known| known == *line);
    Ok(Judged {
        unexplained: differing.iter().filter(is_new).copied().collect(),
        stale,
        kept,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_reasons_are_matched() {
        let page = "## Flags\n\n| `a` | `b` |\n\n## Output\n\n| Line | Why |\n|---|---|\n| `docker ps \\| wc` | so |\n| `docker top` | own |\n";
        let judged = judge(page, &["docker ps | wc", "docker info"]).unwrap();
        assert_eq!(judged.unexplained, ["docker info"]);
        assert_eq!(judged.stale, ["docker top"]);
        assert!(judged.kept.contains("| `a` | `b` |") && !judged.kept.contains("top"));
        assert!(judge("## Output\n| `docker ps` |  |\n", &[]).is_err());
    }
}
