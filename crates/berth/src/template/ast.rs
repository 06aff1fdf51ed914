//! The tree of a template.

use serde_json::Value;

/// A piece of a template.
#[derive(Debug)]
pub(super) enum Node {
    /// Text outside of actions.
    Text(String),
    /// `{{pipeline}}`.
    Action(Pipeline),
    /// `{{if}}`.
    If(Branch),
    /// `{{with}}`.
    With(Branch),
    /// `{{range}}`.
    Range(Branch),
    /// `{{break}}`.
    Break,
    /// `{{continue}}`.
    Continue,
}

/// A condition and its two bodies.
#[derive(Debug)]
pub(super) struct Branch {
    pub(super) pipeline: Pipeline,
    pub(super) body: Vec<Node>,
    pub(super) otherwise: Vec<Node>,
}

/// Commands joined by `|`, whose result may be given to variables.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) offset: usize,
    pub(super) binding: Option<Binding>,
    pub(super) commands: Vec<Command>,
}

/// `$x :=`, `$x =`, or `$i, $x :=` in a range.
#[derive(Debug)]
pub(super) struct Binding {
    pub(super) names: Vec<String>,
    /// `:=` makes variables, `=` changes one.
    pub(super) declares: bool,
}

/// A value, or a function or method and its arguments.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) head: Operand,
    pub(super) arguments: Vec<Operand>,
}

/// A value in a command.
#[derive(Debug)]
pub(super) struct Operand {
    pub(super) offset: usize,
    pub(super) kind: OperandKind,
    /// Field names that follow, as in `$x.A.B` or `.A.B`.
    pub(super) fields: Vec<String>,
}

/// What an operand begins with.
#[derive(Debug)]
pub(super) enum OperandKind {
    /// `.`, or the object of `.A`.
    Dot,
    /// A literal.
    Literal(Value),
    /// `$` or `$name`; the name without the `$`.
    Variable(String),
    /// A function.
    Function(String),
    /// `(pipeline)`.
    Group(Box<Pipeline>),
}
