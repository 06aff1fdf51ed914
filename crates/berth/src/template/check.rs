//! Whether a template fits objects of a shape, before there is one: so that a misspelt field is an
//! error also where a listing has no line.

use serde_json::Value;

use super::ast::{Branch, Command, Node, Operand, OperandKind, Pipeline};
use super::error::Fault;
use super::eval::field;

/// Checks fields of the top-level object. `null` in the sample stands for what may be anything, as
/// does whatever `range` and `with` make the dot.
pub(super) fn check(
    nodes: &[Node],
    sample: &Value,
    is_method: &dyn Fn(&str) -> bool,
) -> Result<(), Fault> {
    let checker = Checker { sample, is_method };
    checker.nodes(nodes, Some(sample))
}

struct Checker<'a> {
    sample: &'a Value,
    is_method: &'a dyn Fn(&str) -> bool,
}

impl Checker<'_> {
    fn nodes(&self, nodes: &[Node], dot: Option<&Value>) -> Result<(), Fault> {
        nodes.iter().try_for_each(|node| match node {
            Node::Action(pipeline) => self.pipeline(pipeline, dot),
            Node::If(branch) => self.branch(branch, dot, dot),
            Node::With(branch) | Node::Range(branch) => self.branch(branch, dot, None),
            Node::Text(_) | Node::Break | Node::Continue => Ok(()),
        })
    }

    fn branch(
        &self,
        branch: &Branch,
        dot: Option<&Value>,
        inside: Option<&Value>,
    ) -> Result<(), Fault> {
        self.pipeline(&branch.pipeline, dot)?;
        self.nodes(&branch.body, inside)?;
        self.nodes(&branch.otherwise, dot)
    }

    fn pipeline(&self, pipeline: &Pipeline, dot: Option<&Value>) -> Result<(), Fault> {
        let mut commands = pipeline.commands.iter().enumerate();
        commands.try_for_each(|(at, command)| self.command(command, dot, at > 0))
    }

    fn command(&self, command: &Command, dot: Option<&Value>, is_piped: bool) -> Result<(), Fault> {
        let takes_arguments = is_piped || !command.arguments.is_empty();
        let is_method = match (command.head.fields.as_slice(), &command.head.kind) {
            ([name], OperandKind::Dot | OperandKind::Variable(_)) => {
                takes_arguments && (self.is_method)(name)
            }
            _ => false,
        };
        if !is_method {
            self.operand(&command.head, dot)?;
        }
        let mut arguments = command.arguments.iter();
        arguments.try_for_each(|argument| self.operand(argument, dot))
    }

    fn operand(&self, operand: &Operand, dot: Option<&Value>) -> Result<(), Fault> {
        let value = match &operand.kind {
            OperandKind::Dot => dot,
            OperandKind::Variable(name) if name.is_empty() => Some(self.sample),
            OperandKind::Group(pipeline) => {
                self.pipeline(pipeline, dot)?;
                None
            }
            OperandKind::Variable(_) | OperandKind::Literal(_) | OperandKind::Function(_) => None,
        };
        let Some(mut value) = value else {
            return Ok(());
        };
        for name in &operand.fields {
            if value.is_null() {
                return Ok(());
            }
            let found = field(value, name);
            value = found
                .map_err(|message| Fault::new(operand.offset, message))?
                .value;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::template::Template;

    fn check(text: &str) -> Result<(), String> {
        let sample = json!({"Names": "", "Actor": {"ID": "", "Attributes": {}}, "Any": null});
        let template = Template::parse(text).unwrap();
        let checked = template.check(&sample, &|name| name == "Label");
        checked.map_err(|error| error.to_string())
    }

    #[test]
    fn what_fits() {
        for text in [
            "{{.Names}} {{upper .Names}} {{.Names | lower}} {{json .}}",
            "{{.Actor.ID}} {{.Actor.Id}} {{.Actor.Attributes.name}} {{.Any.thing.At}}",
            r#"{{.Label "a"}} {{"a" | .Label}} {{$.Names}}"#,
            "{{range .Any}}{{.Whatever}}{{else}}{{.Names}}{{end}}{{with .Actor}}{{.ID}}{{end}}",
            "{{if eq .Names (print .Any.x)}}{{.Names}}{{end}}{{$x := .Any}}{{$x.Y}}",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_does_not() {
        for (text, message) in [
            ("{{.Name}}", ".Name; did you mean .Names?"),
            ("{{if true}}{{upper .Nmaes}}{{end}}", ".Nmaes"),
            ("{{if .Nope}}{{end}}", ".Nope; there are"),
            ("{{range .Actors}}{{end}}", ".Actors; did you mean .Actor?"),
            ("{{range .Any}}{{$.Nope}}{{end}}", ".Nope"),
            ("{{.Actor.id}}", "there is no field .id"),
            ("{{.Names.First}}", "a string has no field .First"),
            (r#"{{.Labels "x"}}"#, ".Labels"),
            ("{{print (upper .Nope)}}", ".Nope"),
        ] {
            let error = check(text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
