//! Unit properties and their values, as systemd types them.

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
