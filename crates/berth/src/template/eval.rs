//! Rendering: the tree and an object give text.

use serde_json::Value;

use super::ast::{Branch, Command, Node, Operand, OperandKind, Pipeline};
use super::compare::{kind, truth};
use super::error::Fault;
use super::show::{NIL, NO_VALUE, show};
use super::{Surroundings, functions, zeros};
use crate::cli::parse::nearest::nearest;

/// Text longer than this is refused: nested ranges multiply.
const MAX_OUTPUT: usize = 64 << 20;

/// Renders nodes with `root` as `$` and `.`.
pub(super) fn render(
    nodes: &[Node],
    root: &Value,
    surroundings: Surroundings<'_>,
) -> Result<String, Fault> {
    let mut evaluator = Evaluator {
        output: String::new(),
        empty: NO_VALUE,
        variables: vec![(String::new(), root.clone())],
        root,
        surroundings,
    };
    evaluator.nodes(nodes, root)?;
    Ok(evaluator.output)
}

/// What the enclosing range is to do next.
#[derive(PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

struct Evaluator<'a> {
    output: String,
    /// How the field that was looked up last prints, should it be empty.
    empty: &'static str,
    variables: Vec<(String, Value)>,
    root: &'a Value,
    surroundings: Surroundings<'a>,
}

impl Evaluator<'_> {
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, Fault> {
        for node in nodes {
            let flow = match node {
                Node::Text(text) => {
                    self.output.push_str(text);
                    Flow::Next
                }
                Node::Action(pipeline) => {
                    let value = self.pipeline(pipeline, dot)?;
                    if pipeline.binding.is_some() {
                        // Its value is kept, not printed.
                    } else if value.is_null() && is_a_field(pipeline) {
                        self.output.push_str(self.empty);
                    } else {
                        self.output.push_str(&show(&value));
                    }
                    if self.output.len() > MAX_OUTPUT {
                        return Err(Fault::new(pipeline.offset, "more than 64 MiB of output"));
                    }
                    Flow::Next
                }
                Node::If(branch) => self.condition(branch, dot, false)?,
                Node::With(branch) => self.condition(branch, dot, true)?,
                Node::Range(branch) => self.range(branch, dot)?,
                Node::Break => Flow::Break,
                Node::Continue => Flow::Continue,
            };
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn condition(&mut self, branch: &Branch, dot: &Value, rebinds: bool) -> Result<Flow, Fault> {
        let scope = self.variables.len();
        let value = self.pipeline(&branch.pipeline, dot)?;
        let flow = if !truth(&value) {
            self.nodes(&branch.otherwise, dot)?
        } else if rebinds {
            self.nodes(&branch.body, &value)?
        } else {
            self.nodes(&branch.body, dot)?
        };
        self.variables.truncate(scope);
        Ok(flow)
    }

    fn range(&mut self, branch: &Branch, dot: &Value) -> Result<Flow, Fault> {
        let scope = self.variables.len();
        let commands = &branch.pipeline.commands;
        let over = self.commands(commands, dot)?;
        let items =
            range_items(over).map_err(|message| Fault::new(branch.pipeline.offset, message))?;
        let empty = items.is_empty();
        for (key, item) in items {
            if let Some(binding) = &branch.pipeline.binding {
                match binding.names.as_slice() {
                    [value] => self.bind(value, binding.declares, item.clone()),
                    [first, second] => {
                        self.bind(first, binding.declares, key);
                        self.bind(second, binding.declares, item.clone());
                    }
                    _ => {}
                }
            }
            let flow = self.nodes(&branch.body, &item)?;
            self.variables.truncate(scope);
            if flow == Flow::Break {
                break;
            }
        }
        if empty {
            return self.nodes(&branch.otherwise, dot);
        }
        Ok(Flow::Next)
    }

    fn bind(&mut self, name: &str, declares: bool, value: Value) {
        if declares {
            self.variables.push((name.to_owned(), value));
        } else if let Some(slot) = self.variables.iter_mut().rev().find(|(n, _)| n == name) {
            slot.1 = value;
        }
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, Fault> {
        let value = self.commands(&pipeline.commands, dot)?;
        if let Some(binding) = &pipeline.binding {
            for name in &binding.names {
                self.bind(name, binding.declares, value.clone());
            }
        }
        Ok(value)
    }

    fn commands(&mut self, commands: &[Command], dot: &Value) -> Result<Value, Fault> {
        let mut piped = None;
        for command in commands {
            piped = Some(self.command(command, dot, piped)?);
        }
        Ok(piped.unwrap_or(Value::Null))
    }

    fn command(
        &mut self,
        command: &Command,
        dot: &Value,
        piped: Option<Value>,
    ) -> Result<Value, Fault> {
        let head = &command.head;
        if let OperandKind::Function(name) = &head.kind {
            return self.function(name, command, dot, piped);
        }
        if command.arguments.is_empty() && piped.is_none() {
            return self.operand(head, dot);
        }
        let mut arguments = Vec::with_capacity(command.arguments.len() + 1);
        for argument in &command.arguments {
            arguments.push(self.operand(argument, dot)?);
        }
        arguments.extend(piped);
        self.method(head, dot, &arguments)
    }

    fn function(
        &mut self,
        name: &str,
        command: &Command,
        dot: &Value,
        piped: Option<Value>,
    ) -> Result<Value, Fault> {
        let mut arguments = Vec::with_capacity(command.arguments.len() + 1);
        for argument in &command.arguments {
            let value = self.operand(argument, dot)?;
            // `and` and `or` do not evaluate what cannot change their result.
            let decided = match name {
                "and" => !truth(&value),
                "or" => truth(&value),
                _ => false,
            };
            if decided {
                return Ok(value);
            }
            arguments.push(value);
        }
        arguments.extend(piped);
        if let (Some(json), "json", [whole]) = (self.surroundings.json, name, &*arguments)
            && whole == self.root
        {
            arguments = vec![json.clone()];
        }
        functions::call(name, &arguments, self.surroundings.header)
            .map_err(|message| Fault::new(command.head.offset, format!("{name}: {message}")))
    }

    /// Calls a method of the top-level object, the last name of `operand`.
    fn method(
        &mut self,
        operand: &Operand,
        dot: &Value,
        arguments: &[Value],
    ) -> Result<Value, Fault> {
        let refuse = |name: &str| Fault::new(operand.offset, format!(".{name} takes no arguments"));
        let (Some(name), OperandKind::Dot | OperandKind::Variable(_)) =
            (operand.fields.last(), &operand.kind)
        else {
            return Err(Fault::new(
                operand.offset,
                "this takes no arguments; it is no function",
            ));
        };
        let receiver = match &operand.kind {
            OperandKind::Variable(variable) => self.variable(variable),
            _ => dot.clone(),
        };
        if operand.fields.len() != 1 || receiver != *self.root {
            return Err(refuse(name));
        }
        (self.surroundings.method)(self.surroundings.beside, name, arguments)
            .ok_or_else(|| refuse(name))
    }

    fn variable(&self, name: &str) -> Value {
        let found = self.variables.iter().rev().find(|(n, _)| n == name);
        found.map_or(Value::Null, |(_, value)| value.clone())
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, Fault> {
        let held;
        let mut value: &Value = match &operand.kind {
            OperandKind::Dot => dot,
            OperandKind::Literal(value) => value,
            OperandKind::Variable(name) => {
                held = self.variable(name);
                &held
            }
            OperandKind::Group(pipeline) => {
                held = self.pipeline(pipeline, dot)?;
                &held
            }
            OperandKind::Function(name) => {
                held = functions::call(name, &[], self.surroundings.header)
                    .map_err(|message| Fault::new(operand.offset, format!("{name}: {message}")))?;
                &held
            }
        };
        self.empty = NO_VALUE;
        for name in &operand.fields {
            let found = field(value, name);
            let found = found.map_err(|message| Fault::new(operand.offset, message))?;
            (value, self.empty) = (found.value, found.empty);
        }
        Ok(value.clone())
    }
}

/// Whether an action names a value and does nothing to it.
fn is_a_field(pipeline: &Pipeline) -> bool {
    match pipeline.commands.as_slice() {
        [command] => {
            command.arguments.is_empty() && !matches!(command.head.kind, OperandKind::Function(_))
        }
        _ => false,
    }
}

/// What a field is.
pub(super) struct Found<'v> {
    pub(super) value: &'v Value,
    /// How it prints where it is null.
    empty: &'static str,
}

/// Looks a field up: missing ones are absent in a map and an error in a struct. Go's name of a field
/// and that in JSON often differ in case, as `ID` and `Id` do; either is known.
pub(super) fn field<'v>(value: &'v Value, name: &str) -> Result<Found<'v>, String> {
    let map = match value {
        Value::Object(map) => map,
        Value::Null => return Err(format!("there is nothing whose .{name} could be shown")),
        other => return Err(format!("{} has no field .{name}", kind(other))),
    };
    let zeros = zeros::of(map);
    if !zeros::is_struct(map) {
        let empty = if map.contains_key(name) {
            NIL
        } else {
            NO_VALUE
        };
        let value = map.get(name).unwrap_or(&Value::Null);
        return Ok(Found { value, empty });
    }
    let names = || zeros::names(map);
    let is_exported = name.starts_with(|c: char| c.is_ascii_uppercase());
    let known = names().find(|known| *known == name).or_else(|| {
        let mut alike = names().filter(|known| is_exported && known.eq_ignore_ascii_case(name));
        alike.next()
    });
    let Some(known) = known else {
        return Err(match nearest(name, names()) {
            Some(near) => format!("there is no field .{name}; did you mean .{near}?"),
            None => {
                let names: Vec<&str> = names().collect();
                format!("there is no field .{name}; there are {}", names.join(", "))
            }
        });
    };
    let zero = zeros.and_then(|zeros| zeros.get(known));
    Ok(Found {
        value: map
            .get(known)
            .or(zero.map(zeros::value))
            .unwrap_or(&Value::Null),
        empty: zero.map_or(NIL, zeros::shown),
    })
}

/// The keys and items that a range visits: a list in order, a map by key, a number counting up.
fn range_items(over: Value) -> Result<Vec<(Value, Value)>, String> {
    match over {
        Value::Null => Ok(Vec::new()),
        Value::Array(values) => Ok(values
            .into_iter()
            .enumerate()
            .map(|(index, value)| (Value::from(index), value))
            .collect()),
        Value::Object(map) => {
            let pairs = map.into_iter().filter(|(key, _)| key != zeros::KEY);
            let mut pairs: Vec<_> = pairs.collect();
            pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
            Ok(pairs
                .into_iter()
                .map(|(key, value)| (Value::from(key), value))
                .collect())
        }
        Value::Number(number) => match number.as_i64() {
            Some(count @ ..=1_000_000) => Ok((0..count)
                .map(|n| (Value::from(n), Value::from(n)))
                .collect()),
            _ => Err("range counts whole numbers up to 1000000".to_owned()),
        },
        other => Err(format!("range cannot go through {}", kind(&other))),
    }
}
