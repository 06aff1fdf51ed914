//! `berth volume inspect`.

use clap::Args;

use crate::cli::failure::{EXIT_FAILURE, Failure};
use crate::cli::{Context, Outcome};
use crate::template::Surroundings;
use crate::view::{json, listing, volume};

/// Show everything about volumes.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(super) struct Inspect {
    /// json, or a Go template such as {{.Mountpoint}}
    #[arg(short, long, value_name = "FORMAT", allow_hyphen_values = true)]
    format: Option<String>,
    /// Volumes, by name
    #[arg(value_name = "VOLUME", required = true)]
    volumes: Vec<String>,
}

impl Inspect {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let template = match self.format.as_deref() {
            None | Some("json") => None,
            Some(text) => Some(listing::template(text)?),
        };
        let mut code = 0;
        let mut found = Vec::new();
        for name in &self.volumes {
            let view = context.engine.volume(name).map_err(Failure::from);
            match (view.map(|one| volume::inspect(&one)), &template) {
                (Ok(view), Some(template)) => {
                    let shown = match context.out.is_terminal() {
                        true => listing::escape_texts(&view),
                        false => view,
                    };
                    let line = template.render(&shown, Surroundings::default());
                    context.out.line(&line.map_err(listing::refuse)?)?;
                }
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
