//! `berth inspect`.

use clap::Args;
use serde_json::Value;

use super::failure::{EXIT_FAILURE, Failure};
use super::{Context, Outcome};
use crate::template::{Surroundings, Template};
use crate::view::inspect::{Inspect as View, inspect};
use crate::view::{json, listing};

/// Show everything about containers.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Inspect {
    /// json, or a Go template such as {{.State.Pid}}
    #[arg(short, long, value_name = "FORMAT", allow_hyphen_values = true)]
    format: Option<String>,
    /// What to inspect; there are containers only
    #[arg(long = "type", value_name = "TYPE", value_parser = ["container"])]
    kind: Option<String>,
    /// Containers, by name, id or unique beginning of an id
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Inspect {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let template = match self.format.as_deref() {
            None | Some("json") => None,
            Some(text) => Some(listing::template(text)?),
        };
        let mut code = 0;
        let mut found = Vec::new();
        for reference in &self.containers {
            let view = look_up(context, reference);
            match (view, &template) {
                (Ok(view), Some(template)) => show(context, template, &view)?,
                (Ok(view), None) => found.push(view),
                (Err(failure), _) => {
                    context.out.flush()?;
                    context.console.fail(&failure);
                    code = EXIT_FAILURE;
                }
            }
        }
        if template.is_none() {
            let text = match self.format {
                Some(_) => json::line(&found),
                None => json::pretty(&found),
            };
            context.out.line(&text)?;
        }
        Ok(code)
    }
}

fn look_up(context: &Context, reference: &str) -> Result<View, Failure> {
    let id = context.engine.resolve(reference)?;
    let container = context.engine.inspect(&id)?;
    let log = context.engine.log_path(&id);
    Ok(inspect(&container, log.display().to_string()))
}

fn show(context: &mut Context, template: &Template, view: &View) -> Result<(), Failure> {
    let mut value = serde_json::to_value(view).unwrap_or(Value::Null);
    if context.out.is_terminal() {
        value = listing::escape_texts(&value);
    }
    let line = template.render(&value, Surroundings::default());
    context.out.line(&line.map_err(listing::refuse)?)
}
