//! Changes that happen together or not at all.

use berth_sys::batch::{Attributes, Batch, NetlinkSocket, Refusal};
use rustix::io::Errno;
use rustix::net::sockopt;

use super::NftError;
use super::expr::Expressions;
use super::read;
use super::sets::{Element, Elements, Set, Whole};
use super::wire::{
    ACK, APPEND, BATCH_BEGIN, BATCH_END, BATCH_GENERATION, CREATE, UNSPECIFIED, batch_head, chain,
    comment, element, generation, head, message, rule, set, table,
};

/// Elements in one message: the attribute around them ends at 64 KiB, and the longest that there
/// are, with their comments, have 200 bytes.
const ELEMENTS: usize = 256;
/// What a socket sends at once without being told (net.core.wmem_default, less the kernel's share).
const SENT: usize = 128 << 10;
/// How often a change is tried that others' changes get in the way of.
pub(super) const TRIES: u32 = 16;

/// A hook of the kernel where a chain begins (NF_INET_*).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// What comes in, before its way is known.
    Prerouting,
    /// What passes through.
    Forward,
    /// What this host sends.
    Output,
    /// What goes out.
    Postrouting,
}

/// What a chain that begins at a hook may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainType {
    /// Sees every packet.
    Filter,
    /// Sees the first packet of each connection, and may translate.
    Nat,
}

/// Where a chain begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it may do.
    pub kind: ChainType,
    /// The hook.
    pub hook: Hook,
    /// Its place among the chains of the hook (NF_IP_PRI_*): lower ones come first.
    pub priority: i32,
}

/// What a message of a transaction is about, should it be refused.
#[derive(Clone, Debug)]
struct Purpose {
    what: String,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// Something is made of the kernel's parts, and ENOENT means that it has no such part.
    Make { of: String },
    /// Something stands in the table or is taken away, and ENOENT means that it is not there.
    Change,
}

/// One transaction under construction; nothing of it happens before it is performed.
#[derive(Clone, Debug)]
pub struct Transaction {
    family: u8,
    table: String,
    batch: Batch,
    purposes: Vec<Purpose>,
    elements: usize,
}

impl Transaction {
    /// For a table; `family` is NFPROTO_*.
    pub(super) fn new(family: u8, table: &str) -> Self {
        Self::begin(family, table, None)
    }

    /// For a table in the state of a [`current`] generation: refused when anything was changed since.
    pub(super) fn after(generation: u32, family: u8, table: &str) -> Self {
        Self::begin(family, table, Some(generation))
    }

    fn begin(family: u8, table: &str, generation: Option<u32>) -> Self {
        let mut batch = Batch::new();
        batch.message(BATCH_BEGIN, 0, &batch_head(), |a| {
            if let Some(generation) = generation {
                a.net_number(BATCH_GENERATION, generation);
            }
        });
        Self {
            family,
            table: table.to_owned(),
            batch,
            purposes: vec![Purpose {
                what: format!("change the table {table}"),
                kind: Kind::Change,
            }],
            elements: 0,
        }
    }

    /// Whether nothing would happen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batch.len() == 1
    }

    fn add(
        &mut self,
        purpose: Purpose,
        kind: u16,
        flags: i32,
        attributes: impl FnOnce(&mut Attributes<'_>),
    ) {
        // One answer is enough to know that it was all done, and does not fill the socket.
        let ack = if self.is_empty() { ACK } else { 0 };
        self.batch
            .message(kind, flags | ack, &head(self.family), attributes);
        self.purposes.push(purpose);
    }

    /// Makes the table unless it is there.
    pub(super) fn make_table(&mut self, text: &str) {
        let name = self.table.clone();
        let purpose = Purpose::make(format!("make the table {name}"), "nf_tables");
        self.add(purpose, message::NEW_TABLE, CREATE, |a| {
            a.text(table::NAME, &name)
                .bytes(table::USER_DATA, &comment(text));
        });
    }

    /// Removes the table with everything in it.
    pub(super) fn delete_table(&mut self) {
        let name = self.table.clone();
        let purpose = Purpose::change(format!("remove the table {name}"));
        self.add(purpose, message::DELETE_TABLE, 0, |a| {
            a.text(table::NAME, &name);
        });
    }

    /// Makes a chain: one that begins at a hook and lets pass what it does not decide, or one that
    /// others jump to.
    pub(super) fn make_chain(&mut self, name: &str, entry: Option<Entry>) {
        let table = self.table.clone();
        let of = match entry.map(|entry| entry.kind) {
            Some(ChainType::Nat) => "chains of type nat (CONFIG_NFT_NAT)",
            _ => "nf_tables",
        };
        let purpose = Purpose::make(format!("make the chain {name} of the table {table}"), of);
        self.add(purpose, message::NEW_CHAIN, CREATE, |a| {
            a.text(chain::TABLE, &table).text(chain::NAME, name);
            let Some(entry) = entry else { return };
            a.nest(chain::HOOK, |a| {
                a.net_number(chain::HOOK_NUMBER, entry.hook.number())
                    .net_number(chain::HOOK_PRIORITY, entry.priority.cast_unsigned());
            });
            // NF_ACCEPT.
            a.net_number(chain::POLICY, 1)
                .text(chain::TYPE, entry.kind.as_str());
        });
    }

    /// Makes a set.
    pub(super) fn make_set(&mut self, which: Set) {
        let table = self.table.clone();
        let name = which.name();
        let purpose = Purpose::make(
            format!("make the set {name} of the table {table}"),
            "nf_tables with sets",
        );
        self.add(purpose, message::NEW_SET, CREATE, |a| {
            a.text(set::TABLE, &table).text(set::NAME, name);
            which.declare(a);
        });
    }

    /// Adds a rule, with a comment that `nft` and `iptables` show: behind the others, or before the
    /// one with the handle.
    pub(super) fn add_rule(
        &mut self,
        chain: &str,
        before: Option<u64>,
        text: &str,
        expressions: &Expressions,
    ) {
        let table = self.table.clone();
        let purpose = Purpose::make(
            format!("add the rule {text:?} to the chain {chain} of the table {table}"),
            &format!("nf_tables with {}", expressions.names().join(", ")),
        );
        let place = if before.is_some() { 0 } else { APPEND };
        self.add(purpose, message::NEW_RULE, CREATE | place, |a| {
            a.text(rule::TABLE, &table).text(rule::CHAIN, chain);
            if let Some(handle) = before {
                a.bytes(rule::POSITION, &handle.to_be_bytes());
            }
            expressions.write(a, rule::EXPRESSIONS);
            a.bytes(rule::USER_DATA, &comment(text));
        });
    }

    /// Removes a rule.
    pub(super) fn delete_rule(&mut self, chain: &str, handle: u64) {
        let table = self.table.clone();
        let purpose = Purpose::change(format!(
            "remove a rule from the chain {chain} of the table {table}"
        ));
        self.add(purpose, message::DELETE_RULE, 0, |a| {
            a.text(rule::TABLE, &table)
                .text(rule::CHAIN, chain)
                .bytes(rule::HANDLE, &handle.to_be_bytes());
        });
    }

    /// Adds elements. One that is there with the same datum stays as it is; one with another datum
    /// refuses the transaction.
    pub(super) fn add_elements(&mut self, elements: &Elements) {
        self.change_elements(message::NEW_ELEMENT, CREATE, elements, Whole::Element);
    }

    /// Removes elements, by their keys; one that is not there refuses the transaction.
    pub(super) fn delete_elements(&mut self, elements: &Elements) {
        self.change_elements(message::DELETE_ELEMENT, 0, elements, Whole::Key);
    }

    fn change_elements(&mut self, kind: u16, flags: i32, elements: &Elements, whole: Whole) {
        for which in Set::ALL {
            let own: Vec<&Element> = elements
                .iter()
                .filter(|(set, _)| *set == which)
                .map(|(_, element)| element)
                .collect();
            for some in own.chunks(ELEMENTS) {
                self.elements += some.len();
                let (table, name) = (self.table.clone(), which.name());
                let purpose =
                    Purpose::change(format!("change the set {name} of the table {table}"));
                self.add(purpose, kind, flags, |a| {
                    a.text(element::TABLE, &table).text(element::SET, name);
                    a.nest(element::ELEMENTS, |list| {
                        for element in some {
                            element.write(list, whole);
                        }
                    });
                });
            }
        }
    }

    /// How many messages it has, and how many elements of sets are in them: what it costs.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.purposes.len() - 1, self.elements)
    }

    /// The messages, ready to be sent by whoever is in the right network namespace.
    #[must_use]
    pub fn batch(&self) -> Batch {
        let mut batch = self.batch.clone();
        batch.message(BATCH_END, 0, &batch_head(), |_| {});
        batch
    }

    /// Carries it out in the socket's network namespace: all of it, or nothing.
    ///
    /// # Errors
    /// The kernel's refusal, with what it refused.
    pub fn perform(&self, socket: &NetlinkSocket) -> Result<(), NftError> {
        match self.is_empty() {
            true => Ok(()),
            false => self.send(&self.batch(), socket),
        }
    }

    /// Asks the kernel whether it would carry it out; it does not.
    ///
    /// # Errors
    /// As of [`Transaction::perform`].
    pub(super) fn rehearse(&self, socket: &NetlinkSocket) -> Result<(), NftError> {
        // Without its end a transaction is checked and undone.
        self.send(&self.batch, socket)
    }

    fn send(&self, batch: &Batch, socket: &NetlinkSocket) -> Result<(), NftError> {
        let explain = |refusal: Refusal| self.error(refusal);
        let bytes = batch.bytes().map_err(|errno| explain(errno.into()))?;
        if bytes.len() > SENT {
            // A transaction cannot be sent in parts.
            sockopt::set_socket_send_buffer_size_force(socket, bytes.len())
                .map_err(|errno| explain(errno.into()))?;
        }
        socket.perform(bytes).map_err(explain)
    }

    /// What the kernel refused, in words.
    fn error(&self, refusal: Refusal) -> NftError {
        let index = refusal.index.and_then(|index| usize::try_from(index).ok());
        let first = index.and_then(|index| self.purposes.get(index));
        let purpose = first.or(self.purposes.first());
        let what = purpose.map(|p| p.what.clone()).unwrap_or_default();
        match (refusal.errno, purpose.map(|p| &p.kind)) {
            (Errno::RESTART, _) => NftError::Raced { what },
            (Errno::NOENT | Errno::OPNOTSUPP, Some(Kind::Make { of })) => NftError::Unsupported {
                what,
                lacks: of.clone(),
                refusal,
            },
            (Errno::NOENT, _) => NftError::Missing {
                what,
                table: self.table.clone(),
                refusal,
            },
            (Errno::BUSY | Errno::EXIST, Some(Kind::Change)) => NftError::Taken { what },
            _ => NftError::refused(&what, refusal),
        }
    }
}

impl Purpose {
    fn make(what: String, of: &str) -> Self {
        Self {
            what,
            kind: Kind::Make { of: of.to_owned() },
        }
    }

    fn change(what: String) -> Self {
        Self {
            what,
            kind: Kind::Change,
        }
    }
}

impl Hook {
    const fn number(self) -> u32 {
        match self {
            Self::Prerouting => 0,
            Self::Forward => 2,
            Self::Output => 3,
            Self::Postrouting => 4,
        }
    }
}

impl ChainType {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Nat => "nat",
        }
    }
}

/// The number of the packet filter's state in the socket's network namespace: every transaction of
/// anybody makes it another.
pub(super) fn current(socket: &NetlinkSocket) -> Result<u32, NftError> {
    let mut question = Batch::new();
    question.message(message::GET_GENERATION, 0, &head(UNSPECIFIED), |_| {});
    let mut number = None;
    let what = "ask for the state of the packet filter";
    socket
        .ask(&question, |kind, body| {
            if kind == message::NEW_GENERATION {
                number = read::Attributes::of_message(body).number(generation::ID);
            }
        })
        .map_err(|refusal| NftError::refused(what, refusal))?;
    number.ok_or_else(|| NftError::refused(what, Errno::BADMSG))
}

#[cfg(test)]
mod tests {
    use berth_base::ErrorClass;

    use super::*;
    use crate::nft::expr::Verdict;
    use crate::nft::wire::INET;

    fn refusal(index: u32, errno: Errno) -> Refusal {
        Refusal {
            index: Some(index),
            errno,
            text: None,
        }
    }

    fn example() -> Transaction {
        let mut transaction = Transaction::new(1, "berth");
        transaction.make_table("text");
        let drop = Expressions::new().to_this_host().verdict(Verdict::Drop);
        transaction.add_rule("forward", None, "not for us", &drop);
        transaction.add_elements(&vec![(
            Set::Bridges,
            Element {
                key: vec![0; 16],
                end: false,
                datum: None,
                comment: None,
            },
        )]);
        transaction
    }

    #[test]
    fn a_refusal_names_what_was_refused() {
        let error = |index, errno| example().error(refusal(index, errno));
        let lacks = error(2, Errno::NOENT);
        assert_eq!(lacks.class(), ErrorClass::Unsupported);
        insta::assert_snapshot!(lacks, @r#"cannot add the rule "not for us" to the chain forward of the table berth: No such file or directory (os error 2); this kernel has no nf_tables with fib, cmp, immediate; load or build it, or use --network host or none"#);
        let none = error(0, Errno::OPNOTSUPP);
        assert_eq!(none.class(), ErrorClass::Unsupported);
        insta::assert_snapshot!(none, @"cannot change the table berth: Operation not supported (os error 95); this kernel has no nf_tables; load or build it, or use --network host or none");
        assert_eq!(error(0, Errno::RESTART).class(), ErrorClass::Unavailable);
        let missing = error(3, Errno::NOENT);
        assert_eq!(missing.class(), ErrorClass::NotFound);
        insta::assert_snapshot!(missing, @r#"cannot change the set bridges of the table berth: No such file or directory (os error 2); somebody removed the table berth or a part of it; run "berth network reload""#);
        assert_eq!(error(3, Errno::BUSY).class(), ErrorClass::Conflict);
        assert_eq!(error(1, Errno::NOMEM).class(), ErrorClass::Unavailable);
        // A number that no message of ours has.
        assert_eq!(error(99, Errno::INVAL).class(), ErrorClass::Internal);
    }

    #[test]
    fn one_answer_is_asked_for() {
        let batch = example().batch();
        let mut rest = batch.bytes().unwrap();
        let mut asking = Vec::new();
        while let [a, b, c, d, kind, _, flags, _, ..] = *rest {
            asking.push((kind, i32::from(flags) & ACK != 0));
            let length = u32::from_ne_bytes([a, b, c, d]);
            rest = &rest[usize::try_from(length).unwrap()..];
        }
        let expected = [(16, false), (0, true), (6, false), (12, false), (17, false)];
        assert_eq!(asking, expected);
        assert!(Transaction::new(1, "berth").is_empty());
    }

    #[test]
    fn what_was_made_for_an_older_state_is_refused() {
        if !rustix::process::geteuid().is_root() {
            berth_testkit::skip("network namespaces need root");
            return;
        }
        // CLONE_NEWNET.
        berth_sys::unshare_namespaces(0x4000_0000).unwrap();
        let socket = NetlinkSocket::netfilter().unwrap();
        let seen = current(&socket).unwrap();
        let make = |mut transaction: Transaction| {
            transaction.make_table("text");
            transaction.perform(&socket)
        };
        make(Transaction::after(seen, INET, "berth")).unwrap();
        let error = make(Transaction::after(seen, INET, "berth_late")).unwrap_err();
        assert!(matches!(error, NftError::Raced { .. }), "{error}");
        let now = current(&socket).unwrap();
        make(Transaction::after(now, INET, "berth_late")).unwrap();
    }
}
