//! Expressions one after the other: what a rule is.

use berth_sys::batch::Attributes;

use super::{Base, Comparison, Connection, Expression, Family, Meta, Register, Verdict};

/// The expressions of a rule, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expressions(Vec<Expression>);

impl Expressions {
    /// A rule that matches everything and does nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    #[must_use]
    pub fn and(mut self, expression: Expression) -> Self {
        self.0.push(expression);
        self
    }

    /// Matches packets of a family. What reads an IP header must come behind it.
    #[must_use]
    pub fn family(self, family: Family) -> Self {
        self.and(Expression::Meta(Meta::Family, Register::FIRST))
            .equals(vec![family.number()])
    }

    /// Matches when the first register begins with the value.
    #[must_use]
    pub fn equals(self, value: Vec<u8>) -> Self {
        self.and(Expression::Compare(
            Register::FIRST,
            Comparison::Equal,
            value,
        ))
    }

    /// Matches when an interface's name is in a set.
    #[must_use]
    pub fn interface_in(self, which: Meta, set: &'static str) -> Self {
        self.and(Expression::Meta(which, Register::FIRST))
            .and(Expression::InSet(Register::FIRST, set.into()))
    }

    /// Matches when an interface's name begins so (`-i PREFIX+` in iptables).
    #[must_use]
    pub fn interface_begins(self, which: Meta, prefix: &str) -> Self {
        self.and(Expression::Meta(which, Register::FIRST))
            .equals(prefix.as_bytes().to_vec())
    }

    /// Matches when an interface's name is this (`-i NAME` in iptables).
    #[must_use]
    pub fn interface_is(self, which: Meta, name: &str) -> Self {
        let mut value = name.as_bytes().to_vec();
        // Not the beginning of a longer one.
        value.push(0);
        self.and(Expression::Meta(which, Register::FIRST))
            .equals(value)
    }

    /// Matches when any of the bits is set.
    #[must_use]
    pub fn connection_has(self, what: Connection, bits: u32) -> Self {
        self.and(Expression::Connection(what, Register::FIRST))
            .and(Expression::Mask(
                Register::FIRST,
                bits.to_ne_bytes().to_vec(),
            ))
            .and(Expression::Compare(
                Register::FIRST,
                Comparison::Unequal,
                vec![0; 4],
            ))
    }

    /// Matches what is addressed to this host itself.
    #[must_use]
    pub fn to_this_host(self) -> Self {
        /// RTN_LOCAL (linux/rtnetlink.h).
        const LOCAL: u32 = 2;
        self.and(Expression::DestinationType(Register::FIRST))
            .equals(LOCAL.to_ne_bytes().to_vec())
    }

    /// Loads the source address.
    #[must_use]
    pub fn load_source(self, family: Family, to: Register) -> Self {
        self.load(family.source(), to)
    }

    /// Loads the destination address.
    #[must_use]
    pub fn load_destination(self, family: Family, to: Register) -> Self {
        self.load(family.destination(), to)
    }

    fn load(self, (offset, length): (u32, u32), to: Register) -> Self {
        self.and(Expression::Payload {
            base: Base::Network,
            offset,
            length,
            to,
        })
    }

    /// Loads the destination port of TCP, UDP or SCTP.
    #[must_use]
    pub fn load_port(self, to: Register) -> Self {
        self.and(Expression::Payload {
            base: Base::Transport,
            offset: 2,
            length: 2,
            to,
        })
    }

    /// Ends with a verdict.
    #[must_use]
    pub fn verdict(self, verdict: Verdict) -> Self {
        self.and(Expression::Verdict(verdict))
    }

    /// The names of the expressions, each once.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        for expression in &self.0 {
            if !names.contains(&expression.name()) {
                names.push(expression.name());
            }
        }
        names
    }

    /// Writes them as the attribute `kind` of a rule.
    pub fn write(&self, a: &mut Attributes<'_>, kind: u16) {
        a.nest(kind, |list| {
            for expression in &self.0 {
                expression.write(list);
            }
        });
    }
}
