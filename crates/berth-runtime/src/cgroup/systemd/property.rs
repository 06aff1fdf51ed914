//! Unit properties and their values, as systemd types them.

use rustbus::wire::errors::MarshalError;
use rustbus::wire::marshal::MarshalContext;
use rustbus::{Marshal, Signature, signature};

/// One property of a unit.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Property {
    pub(super) name: String,
    pub(super) value: Value,
}

/// The types of values that our properties have.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// `b`
    Bool(bool),
    /// `i`
    I32(i32),
    /// `u`
    U32(u32),
    /// `x`
    I64(i64),
    /// `t`
    U64(u64),
    /// `s`
    Text(String),
    /// `as`
    Texts(Vec<String>),
    /// `ay`: bit masks of CPUs and memory nodes.
    Bytes(Vec<u8>),
    /// `au`: PIDs.
    Pids(Vec<u32>),
    /// `a(ss)`: device rules, a path or `char-136` with its access.
    Pairs(Vec<(String, String)>),
}

impl Property {
    pub(super) fn new(name: &str, value: Value) -> Self {
        Self {
            name: name.to_owned(),
            value,
        }
    }
}

/// A property is sent as the variant that is its value; its name goes before it.
impl Signature for Property {
    fn signature() -> signature::Type {
        signature::Type::Container(signature::Container::Variant)
    }

    fn alignment() -> usize {
        1
    }

    fn has_sig(sig: &str) -> bool {
        sig.starts_with('v')
    }
}

impl Marshal for Property {
    fn marshal(&self, ctx: &mut MarshalContext<'_, '_>) -> Result<(), MarshalError> {
        match &self.value {
            Value::Bool(value) => value.marshal_as_variant(ctx),
            Value::I32(value) => value.marshal_as_variant(ctx),
            Value::U32(value) => value.marshal_as_variant(ctx),
            Value::I64(value) => value.marshal_as_variant(ctx),
            Value::U64(value) => value.marshal_as_variant(ctx),
            Value::Text(value) => value.marshal_as_variant(ctx),
            Value::Texts(value) => value.marshal_as_variant(ctx),
            Value::Bytes(value) => value.marshal_as_variant(ctx),
            Value::Pids(value) => value.marshal_as_variant(ctx),
            Value::Pairs(value) => value.marshal_as_variant(ctx),
        }
    }
}
