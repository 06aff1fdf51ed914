//! `berth images`.

use std::time::SystemTime;

use berth_base::Timestamp;
use berth_image::{Image, ImageRef};
use clap::Args;

use super::filter::ImageFilters;
use crate::cli::failure::Failure;
use crate::cli::parse::filter::filter;
use crate::cli::{Context, Outcome};
use crate::view::image::{self, Beside, created};
use crate::view::listing::{Format, Row};
use crate::view::row::Width;

const TABLE: &str = "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}";
const DIGESTS: &str =
    "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}";

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
        format.write(&rows, &image::COLUMNS, |_, _, _| None, &mut context.out)?;
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
        let width = match self.no_trunc {
            true => Width::Full,
            false => Width::Short,
        };
        let beside = Beside {
            containers: context.engine.containers_of_image(&image.id)?,
            bytes: context.engine.image_bytes(image),
            // As docker images: "system df -v" tells.
            shared: None,
        };
        let now = Timestamp::from(SystemTime::now());
        let row = |name: Option<&ImageRef>| image::row(image, name, &beside, width, now);
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
