//! Whether this kernel can do what the table needs, before anything depends on it.

use berth_sys::batch::NetlinkSocket;

use super::NftError;
use super::chains::chains;
use super::expr::{Connection, Expression, Expressions, Family, Meta, Register, Verdict, state};
use super::rules::Transit;
use super::sets::Set;
use super::table::COMMENT;
use super::transaction::Transaction;
use super::wire::INET;

/// A name that nobody has; the table is never made.
const TABLE: &str = "berth_probe";

/// Checks that nf_tables is there with everything that the table uses, and that we may change it,
/// in the socket's network namespace. Nothing is changed: the transaction has no end. It takes the
/// kernel 10 to 100 ms to forget it (a grace period of RCU): ask when something is in doubt, not on
/// the way to every container.
///
/// # Errors
/// [`NftError::Unsupported`] names what is missing, [`NftError::Denied`] says that we may not.
pub fn available(socket: &NetlinkSocket) -> Result<(), NftError> {
    rehearsal().rehearse(socket)
}

/// The rules that need one thing each come first, so that the kernel's refusal names it; the chains
/// of the table behind them.
fn rehearsal() -> Transaction {
    let mut transaction = Transaction::new(INET, TABLE);
    transaction.make_table(COMMENT);
    for set in Set::ALL {
        transaction.make_set(set);
    }
    for chain in chains(Transit::Closed) {
        transaction.make_chain(chain.name, chain.entry);
    }
    for (chain, text, expressions) in steps() {
        transaction.add_rule(chain, None, text, &expressions);
    }
    for chain in chains(Transit::Closed) {
        for (text, expressions) in &chain.rules {
            transaction.add_rule(chain.name, None, text, expressions);
        }
    }
    transaction
}

fn steps() -> [(&'static str, &'static str, Expressions); 10] {
    let new = Expressions::new;
    let first = Register::FIRST;
    [
        ("forward", "verdict", new().verdict(Verdict::Accept)),
        (
            "forward",
            "meta",
            new().and(Expression::Meta(Meta::InputName, first)),
        ),
        (
            "forward",
            "set",
            new().interface_in(Meta::InputName, Set::Bridges.name()),
        ),
        ("forward", "payload", new().load_port(first)),
        (
            "forward",
            "ct",
            new().and(Expression::Connection(Connection::State, first)),
        ),
        (
            "forward",
            "bitwise",
            new().connection_has(Connection::State, state::ESTABLISHED),
        ),
        (
            "prerouting",
            "fib",
            new().and(Expression::DestinationType(first)),
        ),
        (
            "prerouting",
            "nat",
            new()
                .and(Expression::Immediate(first, vec![127, 0, 0, 1]))
                .and(Expression::Immediate(Register::word(1), vec![0, 80]))
                .and(Expression::TranslateDestination {
                    family: Family::V4,
                    address: first,
                    port: Register::word(1),
                }),
        ),
        ("postrouting", "masq", new().and(Expression::Masquerade)),
        ("guard", "notrack", new().and(Expression::NoTracking)),
    ]
}
