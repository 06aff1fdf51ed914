//! Trees of `berth ns`: what `--tree` takes, and the lines that are drawn.

use std::convert::Infallible;
use std::str::FromStr;

use berth_map::ns_table::{Branch, Relation};

/// What follows `-T`, as in lsns `-Tparent`.
///
/// lsns takes a word that stands apart for a namespace. No relation is a number, so both are
/// understood here: `-T parent` and `-T 4026532193`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TreeWord {
    /// What the tree hangs together by.
    Relation(Relation),
    /// A word that is no relation.
    Other(String),
}

impl FromStr for TreeWord {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "process" => Self::Relation(Relation::Process),
            "parent" => Self::Relation(Relation::Parent),
            "owner" => Self::Relation(Relation::Owner),
            other => Self::Other(other.to_owned()),
        })
    }
}

/// The rows as they are.
pub(super) fn flat(rows: usize) -> Vec<Branch> {
    let branch = |row| Branch {
        row,
        depth: 0,
        is_last: true,
    };
    (0..rows).map(branch).collect()
}

/// The lines that lead from the root to each branch.
pub(super) fn stems(branches: &[Branch], unicode: bool) -> Vec<String> {
    let (tee, corner, bar) = if unicode {
        ("├─", "└─", "│ ")
    } else {
        ("|-", "`-", "| ")
    };
    let mut open: Vec<bool> = Vec::new();
    let mut stems = Vec::with_capacity(branches.len());
    for branch in branches {
        open.truncate(branch.depth);
        let mut stem = String::new();
        if branch.depth > 0 {
            for is_open in open.iter().skip(1) {
                stem.push_str(if *is_open { bar } else { "  " });
            }
            stem.push_str(if branch.is_last { corner } else { tee });
        }
        open.push(!branch.is_last);
        stems.push(stem);
    }
    stems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stems_follow_the_tree() {
        let branch = |row, depth, is_last| Branch {
            row,
            depth,
            is_last,
        };
        let branches = [
            branch(0, 0, true),
            branch(1, 1, false),
            branch(2, 2, true),
            branch(3, 1, true),
            branch(4, 2, true),
        ];
        assert_eq!(stems(&branches, true), ["", "├─", "│ └─", "└─", "  └─"]);
        assert_eq!(stems(&branches, false), ["", "|-", "| `-", "`-", "  `-"]);
    }
}
