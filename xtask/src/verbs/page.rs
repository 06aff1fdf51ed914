//! docs/docker-differences.md: the tables that give the reasons.
//!
//! Below `## Commands` a row is `| commands | why |`, below `## Flags` it is `| commands | flags | why |`;
//! names stand in backticks, several with commas between. The program itself is called `docker`.

use super::compare::Difference;
use crate::failure::{Failure, Outcome};

/// The page against what differs.
#[derive(Debug)]
pub(super) struct Judged {
    /// Differences without a reason.
    pub(super) unexplained: Vec<Difference>,
    /// Reasons for what does not differ.
    pub(super) stale: Vec<String>,
    /// The page without them.
    pub(super) kept: String,
}

/// What a row gives a reason for.
type Subject = (String, Option<String>);

/// Judges every row of the page.
///
/// # Errors
/// A row has no reason, or names nothing.
pub(super) fn judge(text: &str, differences: &[Difference]) -> Outcome<Judged> {
    let mut explained: Vec<Subject> = Vec::new();
    let mut stale = Vec::new();
    let mut kept = String::new();
    let mut section = "";
    let differs = |subject: &Subject| {
        let is = |one: &Difference| (&one.verb, &one.flag) == (&subject.0, &subject.1);
        differences.iter().any(is)
    };
    for (at, line) in text.lines().enumerate() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = heading;
        }
        let Some(row) = row(section, line, at)? else {
            kept.push_str(&format!("{line}\n"));
            continue;
        };
        let (needed, over): (Vec<Subject>, Vec<Subject>) = row.subjects().partition(differs);
        stale.extend(over.iter().map(shown));
        if over.is_empty() {
            kept.push_str(&format!("{line}\n"));
        } else if !needed.is_empty() {
            kept.push_str(&row.with(&needed));
        }
        explained.extend(needed);
    }
    let unexplained = differences.iter().filter(|one| {
        let subject = (one.verb.clone(), one.flag.clone());
        !explained.contains(&subject)
    });
    Ok(Judged {
        unexplained: unexplained.cloned().collect(),
        stale,
        kept,
    })
}

fn shown((verb, flag): &Subject) -> String {
    match flag {
        Some(flag) => format!("{verb} --{flag}").trim_start().to_owned(),
        None => verb.clone(),
    }
}

/// A row of one of the tables.
struct Row<'a> {
    verbs: Vec<String>,
    flags: Vec<String>,
    why: &'a str,
}

impl Row<'_> {
    fn subjects(&self) -> impl Iterator<Item = Subject> {
        self.verbs.iter().flat_map(|verb| {
            let of_verb = self.flags.is_empty().then(|| (verb.clone(), None));
            let of_flags = self
                .flags
                .iter()
                .map(|flag| (verb.clone(), Some(flag.clone())));
            of_verb.into_iter().chain(of_flags)
        })
    }

    /// The row for some of its subjects, as lines.
    fn with(&self, needed: &[Subject]) -> String {
        let cells = needed.iter().map(|(verb, flag)| {
            let verb = if verb.is_empty() { "docker" } else { verb };
            match flag {
                Some(flag) => format!("| `{verb}` | `--{flag}` | {} |\n", self.why),
                None => format!("| `{verb}` | {} |\n", self.why),
            }
        });
        cells.collect()
    }
}

fn row<'a>(section: &str, line: &'a str, at: usize) -> Outcome<Option<Row<'a>>> {
    let columns = match section {
        "Commands" => 2,
        "Flags" => 3,
        _ => return Ok(None),
    };
    let inner = line.strip_prefix('|').and_then(|l| l.strip_suffix('|'));
    let Some(inner) = inner.filter(|inner| inner.contains('`')) else {
        return Ok(None);
    };
    let cells: Vec<&str> = inner.splitn(columns, " | ").map(str::trim).collect();
    let mistake = |what: &str| {
        Err(Failure::new(format!(
            "line {} of docs/docker-differences.md {what}",
            at + 1
        )))
    };
    if cells.len() != columns {
        return mistake("has too few columns");
    }
    let (verbs, flags) = (
        names(cells[0]),
        if columns == 3 {
            names(cells[1])
        } else {
            vec![]
        },
    );
    let why = cells[columns - 1];
    if verbs.is_empty() || (columns == 3 && flags.is_empty()) || why.is_empty() {
        return mistake("names nothing or gives no reason");
    }
    let bare = |name: String| match name.as_str() {
        "docker" => String::new(),
        name => name.trim_start_matches("--").to_owned(),
    };
    Ok(Some(Row {
        verbs: verbs.into_iter().map(bare).collect(),
        flags: flags.into_iter().map(bare).collect(),
        why,
    }))
}

/// What stands in backticks.
fn names(cell: &str) -> Vec<String> {
    let parts = cell.split('`').skip(1).step_by(2);
    parts.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(verb: &str, flag: Option<&str>) -> Difference {
        Difference {
            verb: verb.to_owned(),
            flag: flag.map(str::to_owned),
            what: "is missing".to_owned(),
        }
    }

    #[test]
    fn reasons_are_wanted_and_may_not_outlive_the_difference() {
        let page = "# Page\n\n| `not` | a table of ours |\n\n## Commands\n\n| Command | Why |\n|---|---|\n| `swarm`, `node` | one host |\n\n## Flags\n\n| Commands | Flags | Why |\n|---|---|---|\n| `create`, `run` | `--gpus`, `--link` | no |\n| `docker` | `--host` | no daemon |\n";
        let differences = [
            difference("", Some("host")),
            difference("create", Some("gpus")),
            difference("run", Some("gpus")),
            difference("run", Some("isolation")),
            difference("swarm", None),
        ];
        let judged = judge(page, &differences).unwrap();
        assert_eq!(judged.stale, ["node", "create --link", "run --link"]);
        assert_eq!(judged.unexplained, [difference("run", Some("isolation"))]);
        assert!(judged.kept.contains("| `swarm` | one host |\n"));
        assert!(judged.kept.contains("| `run` | `--gpus` | no |\n"));
        let again = judge(&judged.kept, &differences).unwrap();
        assert!(again.stale.is_empty());
        assert_eq!(again.kept, judged.kept);
    }

    #[test]
    fn a_row_without_a_reason_is_none() {
        assert!(judge("## Commands\n| `swarm` |  |\n", &[]).is_err());
        assert!(judge("## Flags\n| `run` | `--x` |\n", &[]).is_err());
    }
}
