//! `berth system df`.

use std::time::SystemTime;

use berth_base::Timestamp;
use berth_engine::DiskUsage;
use clap::Args;
use serde_json::json;

use crate::cli::failure::Failure;
use crate::cli::{Context, Outcome};
use crate::view::listing::{Column, Format, Row};
use crate::view::row::{self, Width};
use crate::view::{image, size, volume};

const TABLE: &str = "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}";
const COLUMNS: [Column; 5] = [
    ("Type", "TYPE"),
    ("TotalCount", "TOTAL"),
    ("Active", "ACTIVE"),
    ("Size", "SIZE"),
    ("Reclaimable", "RECLAIMABLE"),
];

/// The tables of `-v`, Docker's.
const IMAGES: &str = "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}";
const CONTAINERS: &str = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}";
const VOLUMES: &str = "{{.Name}}\t{{.Links}}\t{{.Size}}";

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
        .map(|(kind, usage)| summary(kind, &usage));
        format.write(&rows, &COLUMNS, |_, _, _| None, &mut context.out)?;
        Ok(0)
    }

    fn each(&self, context: &mut Context) -> Outcome {
        let text = self.format.as_deref().unwrap_or("table").trim();
        let width = match text {
            "table" => Width::Short,
            _ => Width::Full,
        };
        let found = Each::find(context, width)?;
        if text == "table" {
            found.sections(context)?;
            return Ok(0);
        }
        // As with Docker, a template is about all of it, and no table.
        let format = match Format::parse(Some(text), "")? {
            Format::Table(template) | Format::Lines(template) => Format::Lines(template),
            Format::Json => Format::Json,
        };
        format.write(&[found.whole()], &[], |_, _, _| None, &mut context.out)?;
        Ok(0)
    }
}

/// A row for each image, container and volume.
struct Each {
    images: Vec<Row>,
    containers: Vec<Row>,
    volumes: Vec<Row>,
}

impl Each {
    fn find(context: &mut Context, width: Width) -> Result<Self, Failure> {
        let containers = context.containers()?;
        let engine = &context.engine;
        let now = Timestamp::from(SystemTime::now());
        let images = engine.image_usage()?.into_iter().map(|usage| {
            let beside = image::Beside {
                containers: usage.containers,
                bytes: usage.bytes,
                shared: Some(usage.shared),
            };
            let mut names = usage.image.references.iter();
            let name = names.find(|name| name.tag().is_some());
            image::row(&usage.image, name, &beside, width, now)
        });
        let images = images.collect();
        let containers = containers.iter().map(|container| {
            let beside = row::Beside {
                image: engine.shown_image(container),
                sizes: Some((engine.container_bytes(container), 0)),
            };
            row::row(container, &beside, width, now)
        });
        let containers = containers.collect();
        let users = engine.volume_users()?;
        let mut volumes = Vec::new();
        for volume in engine.volumes()? {
            let mut row = volume::row(&volume);
            let name = &volume.file.name;
            row.fields["Links"] = users.get(name).map_or(0, Vec::len).to_string().into();
            row.fields["Size"] = size::decimal(engine.volume_size(name)?).into();
            volumes.push(row);
        }
        Ok(Self {
            images,
            containers,
            volumes,
        })
    }

    fn sections(&self, context: &mut Context) -> Result<(), Failure> {
        for (title, table, columns, rows) in [
            ("Images", IMAGES, &image::COLUMNS[..], &self.images),
            ("Containers", CONTAINERS, &row::COLUMNS, &self.containers),
            ("Local Volumes", VOLUMES, &volume::COLUMNS, &self.volumes),
        ] {
            context.out.line(&format!("{title} space usage:\n"))?;
            let format = Format::parse(None, table)?;
            format.write(rows, columns, row::method, &mut context.out)?;
            context.out.line("")?;
        }
        Ok(())
    }

    /// All as the one object that a template is about. Nothing is built, so nothing is kept of that.
    fn whole(self) -> Row {
        let fields = |rows: Vec<Row>| rows.into_iter().map(|row| row.fields).collect::<Vec<_>>();
        Row::plain(json!({
            "Images": fields(self.images),
            "Containers": fields(self.containers),
            "Volumes": fields(self.volumes),
            "BuildCache": [],
        }))
    }
}

fn summary(kind: &str, usage: &DiskUsage) -> Row {
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
