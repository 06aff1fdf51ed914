//! `berth history`.

use std::time::{Duration, SystemTime};

use berth_base::Timestamp;
use berth_image::{Image, ImageStore};
use clap::Args;
use serde_json::json;

use crate::cli::failure::Failure;
use crate::cli::{Context, Outcome};
use crate::view::listing::{Column, Format, Row};
use crate::view::row::{Width, ellipsis};
use crate::view::{size, span};

const TABLE: &str = "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";
const COLUMNS: [Column; 6] = [
    ("ID", "IMAGE"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("CreatedBy", "CREATED BY"),
    ("Size", "SIZE"),
    ("Comment", "COMMENT"),
];
const COMMAND_WIDTH: usize = 45;

/// Show how an image came about.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct History {
    /// table, table TEMPLATE, json, or a Go template such as {{.CreatedBy}}
    #[arg(long, value_name = "FORMAT", allow_hyphen_values = true)]
    format: Option<String>,
    /// Sizes and times for people; false for plain numbers
    #[arg(short = 'H', long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value_t = true, default_missing_value = "true",
          action = clap::ArgAction::Set, hide_possible_values = true)]
    human: bool,
    /// Show long values whole
    #[arg(long)]
    no_trunc: bool,
    /// Ids alone
    #[arg(short, long)]
    quiet: bool,
    /// The image, by name or id
    #[arg(value_name = "IMAGE")]
    image: String,
}

impl History {
    pub(in crate::cli) fn execute(&self, context: &mut Context) -> Outcome {
        let format = match self.quiet {
            true => Format::parse(Some("{{.ID}}"), TABLE)?,
            false => Format::parse(self.format.as_deref(), TABLE)?,
        };
        let store = context.engine.images().clone();
        let image = store.resolve(&self.image).map_err(Failure::from)?;
        let rows = self.rows(&store, &image);
        format.write(&rows, &COLUMNS, |_, _, _| None, &mut context.out)?;
        Ok(0)
    }

    /// The newest step first, each with the layer that it made.
    fn rows(&self, store: &ImageStore, image: &Image) -> Vec<Row> {
        let now = Timestamp::from(SystemTime::now());
        let width = match self.no_trunc {
            true => Width::Full,
            false => Width::Short,
        };
        let mut layers = image.layers.iter();
        let steps = image.config.history.iter().map(|step| {
            let layer = if step.empty_layer {
                None
            } else {
                layers.next()
            };
            (step.clone(), layer)
        });
        let mut steps: Vec<_> = steps.collect();
        // Layers that the history does not tell of.
        steps.extend(layers.map(|layer| (berth_image::History::default(), Some(layer))));
        let last = steps.len().saturating_sub(1);
        let mut rows: Vec<Row> = steps
            .into_iter()
            .enumerate()
            .map(|(at, (step, layer))| {
                let bytes = layer.map_or(0, |layer| {
                    let meta = store.layer_meta(&layer.chain_id).ok().flatten();
                    meta.map_or(layer.descriptor.size, |meta| meta.bytes)
                });
                let id = match (at == last, width) {
                    (true, Width::Full) => image.id.as_str(),
                    (true, Width::Short) => image.id.short(),
                    (false, _) => "<missing>",
                };
                let created: Option<Timestamp> = step.created.as_deref().and_then(|t| t.parse().ok());
                let by = step.created_by.unwrap_or_default().replace('\t', " ");
                Row::plain(json!({
                    "ID": id,
                    "CreatedSince": created.map_or_else(|| "N/A".to_owned(), |t| self.since(t, now)),
                    "CreatedAt": created.map_or_else(String::new, utc),
                    "CreatedBy": match width { Width::Full => by, Width::Short => ellipsis(&by, COMMAND_WIDTH) },
                    "Size": if self.human { size::decimal(bytes) } else { bytes.to_string() },
                    "Comment": step.comment.unwrap_or_default(),
                }))
            })
            .collect();
        rows.reverse();
        rows
    }

    fn since(&self, then: Timestamp, now: Timestamp) -> String {
        match self.human {
            true => format!("{} ago", span::words(now.since(then))),
            false => utc(then),
        }
    }
}

/// A time as Docker writes it here.
fn utc(time: Timestamp) -> String {
    let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(time.as_nanos());
    humantime::format_rfc3339_seconds(time).to_string()
}
