//! `berth system df`.

use berth_engine::DiskUsage;
use clap::Args;
use serde_json::json;

use crate::cli::{Context, Outcome};
use crate::view::listing::{Column, Format, Row};
use crate::view::size;

const TABLE: &str = "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}";
const COLUMNS: [Column; 5] = [
    ("Type", "TYPE"),
    ("TotalCount", "TOTAL"),
    ("Active", "ACTIVE"),
    ("Size", "SIZE"),
    ("Reclaimable", "RECLAIMABLE"),
];

/// Show what images, containers and volumes take on disk.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Df {
    /// table, table TEMPLATE, json, or a Go template such as {{.Size}}
    #[arg(long, value_name = "FORMAT", allow_hyphen_values = true)]
    format: Option<String>,
    /// Each image, container and volume
    #[arg(short, long)]
    verbose: bool,
}

impl Df {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        if self.verbose {
            return self.each(context);
        }
        let format = Format::parse(self.format.as_deref(), TABLE)?;
        // For its warnings.
        context.containers()?;
        let engine = &context.engine;
        let rows = [
            ("Images", engine.images_disk_usage()?),
            ("Containers", engine.containers_disk_usage()?),
            ("Local Volumes", engine.volumes_disk_usage()?),
        ]
        .map(|(kind, usage)| row(kind, &usage));
        format.write(&rows, &COLUMNS, |_, _, _| None, &mut context.out)?;
        Ok(0)
    }

    fn each(&self, context: &mut Context) -> Outcome {
        let images = [
            ("Name", "IMAGE"),
            ("ID", "IMAGE ID"),
            ("Size", "SIZE"),
            ("Shared", "SHARED SIZE"),
            ("Unique", "UNIQUE SIZE"),
            ("Containers", "CONTAINERS"),
        ];
        let rows: Vec<Row> = context
            .engine
            .image_usage()?
            .iter()
            .map(|usage| {
                Row::plain(json!({
                    "Name": usage.image.display_name(),
                    "ID": usage.image.id.short(),
                    "Size": size::decimal(usage.bytes),
                    "Shared": size::decimal(usage.shared),
                    "Unique": size::decimal(usage.bytes - usage.shared),
                    "Containers": usage.containers.to_string(),
                }))
            })
            .collect();
        section(context, "Images space usage:", &images, &rows)?;
        let containers = [
            ("ID", "CONTAINER ID"),
            ("Image", "IMAGE"),
            ("Size", "SIZE"),
            ("Status", "STATUS"),
            ("Names", "NAMES"),
        ];
        let mut rows = Vec::new();
        for container in context.containers()? {
            let bytes = context.engine.container_bytes(&container);
            rows.push(Row::plain(json!({
                "ID": container.id.short(),
                "Image": container.create.image,
                "Size": size::decimal(bytes),
                "Status": container.status.as_str(),
                "Names": container.name.as_str(),
            })));
        }
        section(context, "Containers space usage:", &containers, &rows)?;
        let volumes = [
            ("Name", "VOLUME NAME"),
            ("Links", "LINKS"),
            ("Size", "SIZE"),
        ];
        let users = context.engine.volume_users()?;
        let mut rows = Vec::new();
        for volume in context.engine.volumes()? {
            let bytes = context.engine.volume_size(&volume.file.name)?;
            rows.push(Row::plain(json!({
                "Name": volume.file.name.as_str(),
                "Links": users.get(&volume.file.name).map_or(0, Vec::len).to_string(),
                "Size": size::decimal(bytes),
            })));
        }
        section(context, "Local Volumes space usage:", &volumes, &rows)?;
        Ok(0)
    }
}

fn section(
    context: &mut Context,
    title: &str,
    columns: &[Column],
    rows: &[Row],
) -> Result<(), crate::cli::failure::Failure> {
    context.out.line(title)?;
    context.out.line("")?;
    let table: Vec<String> = columns
        .iter()
        .map(|(name, _)| format!("{{{{.{name}}}}}"))
        .collect();
    let format = Format::parse(None, &table.join("\t"))?;
    format.write(rows, columns, |_, _, _| None, &mut context.out)?;
    context.out.line("")
}

fn row(kind: &str, usage: &DiskUsage) -> Row {
    let share = (usage.reclaimable * 100)
        .checked_div(usage.bytes)
        .unwrap_or(0);
    Row::plain(json!({
        "Type": kind,
        "TotalCount": usage.count.to_string(),
        "Active": usage.active.to_string(),
        "Size": size::decimal(usage.bytes),
        "Reclaimable": format!("{} ({share}%)", size::decimal(usage.reclaimable)),
    }))
}
