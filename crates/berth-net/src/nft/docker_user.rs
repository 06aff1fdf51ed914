//! Beside Docker: its chain FORWARD (table `filter`, by iptables-nft) drops what is none of its own,
//! ours too, whatever our table says. Docker asks its chain DOCKER-USER first, and leaves that one
//! to others; a pair of rules there accepts what comes from our bridges and what goes to them. Our
//! own table still decides about both.
//!
//! The rules are found again by their comment. Nothing else in there is touched, and rules of the
//! user's that stand there come first.

use berth_sys::batch::{Batch, NetlinkSocket, Refusal};
use rustix::io::Errno;

use super::NftError;
use super::expr::{Expression, Expressions, Family, Meta, Verdict};
use super::read::Attributes;
use super::rules::Tag;
use super::transaction::{TRIES, Transaction, current};
use super::wire::{
    self, DATA_VERDICT, DUMP, EXPRESSION_DATA, EXPRESSION_NAME, VERDICT_CODE, VERDICT_RETURN,
    chain, head, message, rule,
};

pub(super) const TABLE: &str = "filter";
pub(super) const CHAIN: &str = "DOCKER-USER";
/// NFTA_IMMEDIATE_DATA.
const IMMEDIATE_DATA: u16 = 2;

/// A rule of the chain.
struct Rule {
    handle: u64,
    /// Empty where it has none.
    comment: String,
    /// Everything that comes so far goes back.
    returns: bool,
}

/// Lets packets of our bridges pass Docker's chain, for both families: afterwards the chain has a pair
/// of ours for each of `interfaces`, and no other one of ours. `berth+` stands for all interfaces
/// whose names begin so, as in iptables. Where there is no such chain, or it is so already, nothing
/// happens. True when anything was changed.
///
/// # Errors
/// One of them is no name of an interface, or the kernel refuses.
pub fn open_docker_user(
    socket: &NetlinkSocket,
    tag: &Tag,
    interfaces: &[&str],
) -> Result<bool, NftError> {
    for name in interfaces {
        super::sets::interface(name.strip_suffix('+').unwrap_or(name))?;
    }
    let mut changed = false;
    for family in Family::ALL {
        changed |= change(socket, || plan(socket, tag, interfaces, family))?;
    }
    Ok(changed)
}

/// Takes our rules out of Docker's chain; with the last of our networks. True when there were any.
///
/// # Errors
/// The kernel refuses.
pub fn close_docker_user(socket: &NetlinkSocket, tag: &Tag) -> Result<bool, NftError> {
    open_docker_user(socket, tag, &[])
}

/// What the pair looks at.
const PAIR: [Meta; 2] = [Meta::InputName, Meta::OutputName];

fn plan(
    socket: &NetlinkSocket,
    tag: &Tag,
    interfaces: &[&str],
    family: Family,
) -> Result<Transaction, NftError> {
    let mut transaction = Transaction::after(current(socket)?, family.number(), TABLE);
    let Some(rules) = rules(socket, family)? else {
        return Ok(transaction);
    };
    let mark = format!("{}:", tag.table());
    let is_own = |rule: &&Rule| rule.comment.starts_with(&mark);
    let own: Vec<&Rule> = rules.iter().filter(is_own).collect();
    let pairs = interfaces.iter().flat_map(|name| {
        let comment = format!("{mark}{name}");
        PAIR.map(|which| (comment.clone(), which, *name))
    });
    let wanted: Vec<(String, Meta, &str)> = pairs.collect();
    if own
        .iter()
        .map(|r| &r.comment)
        .eq(wanted.iter().map(|(c, ..)| c))
    {
        return Ok(transaction);
    }
    for rule in own {
        transaction.delete_rule(CHAIN, rule.handle);
    }
    // Older versions of Docker end the chain so, and what stands behind is never reached.
    let last = rules.last().filter(|rule| rule.returns);
    for (comment, which, name) in &wanted {
        let accept = from_or_to(*which, name)
            .and(Expression::Counter)
            .verdict(Verdict::Accept);
        transaction.add_rule(CHAIN, last.map(|rule| rule.handle), comment, &accept);
    }
    Ok(transaction)
}

/// Matches an interface, or with a `+` all whose names begin so.
fn from_or_to(which: Meta, name: &str) -> Expressions {
    match name.strip_suffix('+') {
        Some(prefix) => Expressions::new().interface_begins(which, prefix),
        None => Expressions::new().interface_is(which, name),
    }
}

/// Does what `plan` says, anew when somebody else changed anything meanwhile. True when anything was
/// done.
fn change(
    socket: &NetlinkSocket,
    plan: impl Fn() -> Result<Transaction, NftError>,
) -> Result<bool, NftError> {
    for _ in 0..TRIES {
        let result = plan().and_then(|transaction| {
            transaction.perform(socket)?;
            Ok(!transaction.is_empty())
        });
        match result {
            Err(NftError::Raced { .. } | NftError::Missing { .. }) => {}
            Err(NftError::Refused { refusal, .. }) if refusal.errno == Errno::INTR => {}
            other => return other,
        }
    }
    Err(NftError::Raced {
        what: format!("change the chain {CHAIN}"),
    })
}

/// Whether Docker has its chain for others here: one question.
///
/// # Errors
/// The kernel refuses.
pub fn has_docker_user(socket: &NetlinkSocket) -> Result<bool, NftError> {
    has_chain(socket, Family::V4)
}

fn has_chain(socket: &NetlinkSocket, family: Family) -> Result<bool, NftError> {
    let mut question = Batch::new();
    question.message(message::GET_CHAIN, 0, &head(family.number()), |a| {
        a.text(chain::TABLE, TABLE).text(chain::NAME, CHAIN);
    });
    match socket.ask(&question, |_, _| {}) {
        Ok(()) => Ok(true),
        Err(refusal) if refusal.errno == Errno::NOENT => Ok(false),
        Err(refusal) => Err(refused(refusal)),
    }
}

fn refused(refusal: Refusal) -> NftError {
    NftError::refused(&format!("read the chain {CHAIN}"), refusal)
}

/// The rules of the chain in their order; `None` where there is no such chain.
fn rules(socket: &NetlinkSocket, family: Family) -> Result<Option<Vec<Rule>>, NftError> {
    if !has_chain(socket, family)? {
        return Ok(None);
    }
    let mut question = Batch::new();
    question.message(message::GET_RULE, DUMP, &head(family.number()), |a| {
        a.text(rule::TABLE, TABLE).text(rule::CHAIN, CHAIN);
    });
    let mut rules = Vec::new();
    socket
        .ask(&question, |_, body| {
            let rule = Attributes::of_message(body);
            // A kernel that does not filter dumps those of all chains.
            let place = (rule.text(rule::TABLE), rule.text(rule::CHAIN));
            if place == (Some(TABLE), Some(CHAIN)) {
                rules.extend(Rule::read(rule));
            }
        })
        .map_err(refused)?;
    Ok(Some(rules))
}

impl Rule {
    fn read(attributes: Attributes<'_>) -> Option<Self> {
        let data = attributes.value(rule::USER_DATA);
        Some(Self {
            handle: attributes.long(rule::HANDLE)?,
            comment: data.and_then(wire::comment_of).unwrap_or_default(),
            returns: returns(attributes),
        })
    }
}

/// Whether a rule matches everything and goes back: it counts and returns, and that is all.
fn returns(attributes: Attributes<'_>) -> bool {
    let mut verdict = false;
    for expression in attributes.list(rule::EXPRESSIONS) {
        match expression.text(EXPRESSION_NAME) {
            Some("counter") => {}
            Some("immediate") => {
                let datum = expression.nest(EXPRESSION_DATA).nest(IMMEDIATE_DATA);
                let code = datum.nest(DATA_VERDICT).number(VERDICT_CODE);
                verdict = code.map(u32::cast_signed) == Some(VERDICT_RETURN);
            }
            _ => return false,
        }
    }
    verdict
}
