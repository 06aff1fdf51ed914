//! The installed table, read back: what the kernel has, against what it should have.

use std::collections::BTreeSet;

use berth_sys::batch::{Batch, NetlinkSocket};
use rustix::io::Errno;

use super::NftError;
use super::chains::chains;
use super::read::Attributes;
use super::rules::{Published, Rules, Tag, Transit};
use super::sets::{self, Element, Set};
use super::table::{self, COMMENT};
use super::transaction::TRIES;
use super::wire::{self, DUMP, INET, element, head, message, rule};

/// What the kernel has of a table of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// Made by this version of the program.
    pub current: bool,
    /// Every chain has its rules; `None` when some are missing, or are not ours.
    pub transit: Option<Transit>,
    /// The bridges of all networks.
    pub bridges: BTreeSet<String>,
    /// The published ports.
    pub published: BTreeSet<Published>,
    /// All elements of all sets.
    elements: BTreeSet<Bare>,
}

impl Installed {
    /// Whether this is what the rules ask for; if not, install them anew.
    ///
    /// # Errors
    /// A name, a subnet or a port of the rules is none.
    pub fn matches(&self, rules: &Rules) -> Result<bool, NftError> {
        let wanted: BTreeSet<_> = table::elements(rules)?.into_iter().map(bare).collect();
        Ok(self.current && self.transit == Some(rules.transit) && self.elements == wanted)
    }
}

/// An element without its comment: set, key, whether it ends an interval, and datum.
type Bare = (Set, Vec<u8>, bool, Option<Vec<u8>>);

fn bare((set, element): (Set, Element)) -> Bare {
    (set, element.key, element.end, element.datum)
}

/// Reads the table in the socket's network namespace; `None` when there is none.
///
/// # Errors
/// The kernel's refusal.
pub fn inspect(socket: &NetlinkSocket, tag: &Tag) -> Result<Option<Installed>, NftError> {
    for _ in 0..TRIES {
        match read(socket, tag) {
            // Changed while it was read.
            Err(NftError::Refused { refusal, .. }) if refusal.errno == Errno::INTR => {}
            // Removed, or replaced, while it was read.
            Err(NftError::Missing { .. }) => {}
            other => return other,
        }
    }
    Err(NftError::Raced {
        what: format!("read the table {}", tag.table()),
    })
}

/// Whether our table is there, made by this version of the program: one question. Whoever takes a
/// table away takes it whole, save for people who play with it.
///
/// # Errors
/// The kernel's refusal.
pub fn is_installed(socket: &NetlinkSocket, tag: &Tag) -> Result<bool, NftError> {
    Ok(comment_of_table(socket, tag)?.is_some_and(|comment| comment == COMMENT))
}

fn read(socket: &NetlinkSocket, tag: &Tag) -> Result<Option<Installed>, NftError> {
    let Some(comment) = comment_of_table(socket, tag)? else {
        return Ok(None);
    };
    let mut installed = Installed {
        current: comment == COMMENT,
        transit: None,
        bridges: BTreeSet::new(),
        published: BTreeSet::new(),
        elements: BTreeSet::new(),
    };
    if !installed.current {
        // Its sets may be others.
        return Ok(Some(installed));
    }
    installed.transit = transit(&rules_of(socket, tag)?);
    for set in Set::ALL {
        for element in elements_of(socket, tag, set)? {
            match set {
                Set::Bridges => {
                    let name = sets::interface_of(&element.key);
                    installed.bridges.insert(name);
                }
                _ => installed
                    .published
                    .extend(sets::published_of(set, &element)),
            }
            // The kernel, or nft, may have an end before the first interval; it means nothing.
            let leading = element.end && element.key.iter().all(|byte| *byte == 0);
            if !leading {
                installed.elements.insert(bare((set, element)));
            }
        }
    }
    Ok(Some(installed))
}

/// The table's comment.
fn comment_of_table(socket: &NetlinkSocket, tag: &Tag) -> Result<Option<String>, NftError> {
    let mut question = Batch::new();
    question.message(message::GET_TABLE, 0, &head(INET), |a| {
        a.text(wire::table::NAME, &tag.table());
    });
    let mut comment = String::new();
    let answer = socket.ask(&question, |_, body| {
        let data = Attributes::of_message(body).value(wire::table::USER_DATA);
        comment = data.and_then(wire::comment_of).unwrap_or_default();
    });
    match answer {
        Ok(()) => Ok(Some(comment)),
        Err(refusal) if refusal.errno == Errno::NOENT => Ok(None),
        Err(refusal) => Err(NftError::refused(&reading(tag), refusal)),
    }
}

/// The rules by chain and comment, in the order in which they stand.
fn rules_of(socket: &NetlinkSocket, tag: &Tag) -> Result<Vec<(String, String)>, NftError> {
    let mut question = Batch::new();
    question.message(message::GET_RULE, DUMP, &head(INET), |a| {
        a.text(rule::TABLE, &tag.table());
    });
    let mut rules = Vec::new();
    socket
        .ask(&question, |_, body| {
            let attributes = Attributes::of_message(body);
            // A kernel that does not filter dumps everybody's.
            if attributes.text(rule::TABLE) != Some(&tag.table()) {
                return;
            }
            let chain = attributes.text(rule::CHAIN).unwrap_or_default();
            let data = attributes.value(rule::USER_DATA);
            let comment = data.and_then(wire::comment_of).unwrap_or_default();
            rules.push((chain.to_owned(), comment));
        })
        .map_err(|refusal| missing(tag, refusal))?;
    Ok(rules)
}

/// Which rules these are.
fn transit(found: &[(String, String)]) -> Option<Transit> {
    [Transit::Open, Transit::Closed]
        .into_iter()
        .find(|transit| {
            chains(*transit).iter().all(|chain| {
                let wanted = chain.rules.iter().map(|(comment, _)| *comment);
                let own = found.iter().filter(|(name, _)| name == chain.name);
                own.map(|(_, comment)| comment.as_str()).eq(wanted)
            })
        })
}

fn elements_of(socket: &NetlinkSocket, tag: &Tag, set: Set) -> Result<Vec<Element>, NftError> {
    let mut question = Batch::new();
    question.message(message::GET_ELEMENT, DUMP, &head(INET), |a| {
        a.text(element::TABLE, &tag.table())
            .text(element::SET, set.name());
    });
    let mut elements = Vec::new();
    socket
        .ask(&question, |_, body| {
            let list = Attributes::of_message(body).list(element::ELEMENTS);
            elements.extend(list.filter_map(Element::read));
        })
        .map_err(|refusal| missing(tag, refusal))?;
    Ok(elements)
}

fn reading(tag: &Tag) -> String {
    format!("read the table {}", tag.table())
}

fn missing(tag: &Tag, refusal: berth_sys::batch::Refusal) -> NftError {
    match refusal.errno {
        Errno::NOENT => NftError::Missing {
            what: reading(tag),
            table: tag.table(),
            refusal,
        },
        _ => NftError::refused(&reading(tag), refusal),
    }
}
