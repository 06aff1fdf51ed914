//! Go templates over JSON values, as Docker's `--format` takes them.
//!
//! A template is parsed once ([`Template::parse`]) and rendered once for each object. The
//! language is that of Go's text/template without `define`, `template`, `block` and `call`; the
//! functions are Go's and Docker's (see [`functions`]). A JSON object whose keys all begin with a
//! capital letter stands for a Go struct: a field it lacks is an error, as in Go. Any other
//! object stands for a map, whose missing keys are `<no value>`. What a struct of Docker's has and its
//! JSON leaves out where it is empty, [`add_zeros`] gives an object.
//!
//! Owns no state, does no I/O, never panics on any input.

mod ast;
mod check;
mod compare;
mod error;
mod eval;
mod functions;
mod lex;
mod parse;
mod printf;
mod show;
mod syntax;
mod zeros;

use serde_json::Value;

pub(crate) use error::TemplateError;
pub(crate) use show::quote;
pub(crate) use zeros::add_zeros;

/// A parsed template.
#[derive(Debug)]
pub(crate) struct Template {
    source: String,
    nodes: Vec<ast::Node>,
}

/// A method of the object that is rendered, such as `.Label "x"`: what stands beside the object,
/// name, arguments. Answers `None` where there is no such method.
pub(crate) type Method = fn(&Value, &str, &[Value]) -> Option<Value>;

/// What surrounds one rendering.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    /// Methods of the top-level object.
    pub(crate) method: Method,
    /// What methods may read and fields do not show.
    pub(crate) beside: &'a Value,
    /// What `{{json .}}` shows, where that is not the object itself.
    pub(crate) json: Option<&'a Value>,
    /// Docker's functions leave their argument as it is, as in the header of a table.
    pub(crate) header: bool,
}

impl Default for Surroundings<'_> {
    fn default() -> Self {
        Self {
            method: |_, _, _| None,
            beside: &Value::Null,
            json: None,
            header: false,
        }
    }
}

impl Template {
    /// Parses a template; errors carry line and column.
    pub(crate) fn parse(source: &str) -> Result<Self, TemplateError> {
        let tokens = lex::lex(source).map_err(|fault| fault.at(source))?;
        let nodes = parse::parse(&tokens).map_err(|fault| fault.at(source))?;
        Ok(Self {
            source: source.to_owned(),
            nodes,
        })
    }

    /// Checks the fields that are named against an object of the shape that is to be rendered.
    pub(crate) fn check(
        &self,
        sample: &Value,
        is_method: &dyn Fn(&str) -> bool,
    ) -> Result<(), TemplateError> {
        check::check(&self.nodes, sample, is_method).map_err(|fault| fault.at(&self.source))
    }

    /// Renders one object.
    pub(crate) fn render(
        &self,
        dot: &Value,
        surroundings: Surroundings<'_>,
    ) -> Result<String, TemplateError> {
        eval::render(&self.nodes, dot, surroundings).map_err(|fault| fault.at(&self.source))
    }
}

#[cfg(test)]
mod tests;
