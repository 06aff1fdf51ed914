//! `berth images`.

use std::time::SystemTime;

use berth_base::Timestamp;
use berth_image::{Image, ImageRef};
use clap::Args;
use serde_json::json;

use super::filter::{ImageFilters, created};
use crate::cli::failure::Failure;
use crate::cli::parse::filter::filter;
use crate::cli::{Context, Outcome};
use crate::view::listing::{Column, Format, Row};
use crate::view::{size, span};

const TABLE: &str = "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}";
const DIGESTS: &str =
    "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}";
const COLUMNS: [Column; 11] = [
    ("Repository", "REPOSITORY"),
    ("Tag", "TAG"),
    ("Digest", "DIGEST"),
    ("ID", "IMAGE ID"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("Size", "SIZE"),
    ("Containers", "CONTAINERS"),
    ("SharedSize", "SHARED SIZE"),
    ("UniqueSize", "UNIQUE SIZE"),
    ("VirtualSize", "VIRTUAL SIZE"),
];
const NONE: &str = "<none>";

/// List images.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Images {
    /// Accepted for Docker's sake: images in between do not exist here
    #[arg(short, long)]
    all: bool,
    /// Show the digests that registries know them by
    #[arg(long)]
    digests: bool,
    /// Only those that fit, such as dangling=true, label=a=b or reference=alpine
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = filter)]
    filter: Vec<(String, String)>,
    /// table, table TEMPLATE, json, or a Go template such as {{.ID}}
    #[arg(long, value_name = "FORMAT", allow_hyphen_values = true)]
    format: Option<String>,
    /// Show long values whole
    #[arg(long)]
    no_trunc: bool,
    /// Ids alone
    #[arg(short, long)]
    quiet: bool,
    /// Only those of a repository, or of this name
    #[arg(value_name = "NAME[:TAG]")]
    name: Option<String>,
}

impl Images {
    pub(in crate::cli) fn execute(&self, context: &mut Context) -> Outcome {
        let table = if self.digests { DIGESTS } else { TABLE };
        let format = match self.quiet {
            true => Format::parse(Some("{{.ID}}"), table)?,
            false => Format::parse(self.format.as_deref(), table)?,
        };
        let mut filters = self.filter.clone();
        filters.extend(
            self.name
                .iter()
                .map(|name| ("reference".into(), name.clone())),
        );
        let filters = ImageFilters::for_listing(&filters, |text| {
            let image = context.engine.images().resolve(text);
            Ok(created(&image.map_err(Failure::from)?))
        })?;
        let mut images = Vec::new();
        for listed in context.engine.images().images().map_err(Failure::from)? {
            match listed.image {
                Ok(image) if filters.accept(&image) => images.push(image),
                Ok(_) => {}
                // The others still list.
                Err(error) => {
                    let digest = listed.manifest.digest.short().to_owned();
                    let name = listed.references.first().map_or(digest, ImageRef::familiar);
                    let text = format!("{error}; \"berth rmi {name}\" takes what is left away");
                    context.console.warn(&text);
                }
            }
        }
        images.sort_by_key(|image| std::cmp::Reverse(created(image)));
        let mut rows = Vec::new();
        for image in &images {
            self.rows_of(context, image, &filters, &mut rows)?;
        }
        if self.quiet {
            // One line for each image, not for each of its names.
            rows.dedup_by(|a, b| a.fields["ID"] == b.fields["ID"]);
        }
        format.write(&rows, &COLUMNS, |_, _, _| None, &mut context.out)?;
        Ok(0)
    }

    /// A line for each name; one without a name for an image that has none.
    fn rows_of(
        &self,
        context: &Context,
        image: &Image,
        filters: &ImageFilters,
        rows: &mut Vec<Row>,
    ) -> Result<(), Failure> {
        let now = Timestamp::from(SystemTime::now());
        let created = created(image);
        let containers = context.engine.containers_of_image(&image.id)?;
        let bytes = context.engine.image_bytes(image);
        let row = |name: Option<&ImageRef>| {
            let digest = image
                .repo_digests
                .iter()
                .find(|d| name.is_none_or(|name| d.name() == name.name()));
            let fields = json!({
                "Repository": name.map_or_else(
                    || digest.map_or_else(|| NONE.to_owned(), ImageRef::familiar_name),
                    ImageRef::familiar_name),
                "Tag": name.and_then(ImageRef::tag).unwrap_or(NONE),
                "Digest": digest.and_then(ImageRef::digest).map_or(NONE, |d| d.as_str()),
                "ID": if self.no_trunc { image.id.as_str() } else { image.id.short() },
                "CreatedSince": if created == Timestamp::from_nanos(0) {
                    "N/A".to_owned()
                } else {
                    format!("{} ago", span::words(now.since(created)))
                },
                "CreatedAt": span::date(created),
                "Size": size::decimal(bytes),
                "Containers": containers.to_string(),
                // As docker images: "system df -v" tells.
                "SharedSize": "N/A",
                "UniqueSize": "N/A",
                "VirtualSize": size::decimal(bytes),
            });
            Row::plain(fields)
        };
        let shown = |name: &&ImageRef| name.tag().is_some() && filters.accept_name(name);
        let tagged = image.references.iter().filter(shown);
        let before = rows.len();
        rows.extend(tagged.map(|name| row(Some(name))));
        if rows.len() == before {
            rows.push(row(None));
        }
        Ok(())
    }
}
