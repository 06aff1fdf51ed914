//! `berth diff`.

use berth_base::escape_untrusted;
use clap::Args;
use serde_json::json;

use super::{Context, Outcome};
use crate::view::listing::{Column, Format, Row};

const LINE: &str = "{{.Kind}} {{.Path}}";
const COLUMNS: [Column; 2] = [("Kind", "KIND"), ("Path", "PATH")];

/// Show what a container changed of its image: A added, C changed, D deleted.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Diff {
    /// json, or a Go template such as {{.Path}}
    #[arg(long, value_name = "FORMAT", allow_hyphen_values = true)]
    format: Option<String>,
    /// The container, by name, id or unique beginning of an id
    #[arg(value_name = "CONTAINER")]
    container: String,
}

impl Diff {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let format = Format::parse(Some(self.format.as_deref().unwrap_or(LINE)), LINE)?;
        let id = context.engine.resolve(&self.container)?;
        let changes = context.engine.diff(&id)?;
        let rows: Vec<Row> = changes
            .iter()
            .map(|change| {
                let path = change.path.to_string_lossy();
                Row::plain(json!({
                    "Kind": change.kind.letter().to_string(),
                    "Path": escape_untrusted(&path),
                }))
            })
            .collect();
        format.write(&rows, &COLUMNS, |_, _, _| None, &mut context.out)?;
        Ok(0)
    }
}
