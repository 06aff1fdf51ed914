//! `berth import`.

use std::fs::File;
use std::path::Path;
use std::time::SystemTime;

use berth_image::archive::{Changes, ImportOptions};
use berth_image::registry::WebFile;
use berth_image::{ImageError, ImageRef, Platform};
use clap::Args;

use super::failure::Failure;
use super::load::{open, platform, stdin};
use super::progress::Bars;
use super::{Context, Outcome, registry};

/// Make an image of the tar of a root filesystem.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Import {
    /// An instruction of a Dockerfile about the image: CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK,
    /// LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME or WORKDIR; may be given several times
    #[arg(short, long = "change", value_name = "INSTRUCTION")]
    changes: Vec<String>,
    /// A word about how it came about
    #[arg(short, long)]
    message: Option<String>,
    /// The platform that it is for, such as linux/arm64; this host's unless given
    #[arg(long, value_name = "OS/ARCH", value_parser = platform)]
    platform: Option<Platform>,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
    /// The tar, plain or compressed by gzip or zstd; - is standard input, http:// and https:// are
    /// downloaded
    #[arg(value_name = "FILE|URL|-")]
    file: String,
    /// The image's name
    #[arg(value_name = "NAME[:TAG]")]
    name: Option<String>,
}

/// Where the tar is.
enum Source<'a> {
    /// With its name for messages.
    File(File, &'a str),
    Web(WebFile),
}

impl Import {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let name = self.name.as_deref().map(name).transpose()?;
        let changes = Changes::parse(&self.changes).map_err(usage)?;
        let options = ImportOptions {
            name,
            changes,
            message: self.message.clone(),
            platform: self.platform.clone().unwrap_or_else(Platform::host),
            created: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            limits: context.engine.image_limits().archive.clone(),
        };
        let source = self.source()?;
        let bars = Bars::new(context.console, self.quiet);
        let engine = &context.engine;
        let imported = match source {
            Source::File(file, what) => engine.import_image(file, what, &options, &bars),
            Source::Web(file) => {
                engine.import_from_web(registry::settings()?, &file, &options, &bars)
            }
        };
        drop(bars);
        context.out.line(imported?.id.as_str())?;
        Ok(0)
    }

    fn source(&self) -> Result<Source<'_>, Failure> {
        let is_url = |text: &str| text.starts_with("http://") || text.starts_with("https://");
        Ok(match self.file.as_str() {
            "-" => Source::File(stdin()?, "standard input"),
            url if is_url(url) => Source::Web(WebFile::parse(url).map_err(usage)?),
            path => Source::File(open(Path::new(path))?, path),
        })
    }
}

/// Reads the name for a new image.
fn name(text: &str) -> Result<ImageRef, Failure> {
    let name: ImageRef = text.parse().map_err(|e| usage(ImageError::Reference(e)))?;
    match name.digest() {
        None => Ok(name),
        Some(_) => Err(Failure::usage(format!(
            "cannot name an image {text}: a name with a digest is what a registry gave"
        ))),
    }
}

fn usage(error: ImageError) -> Failure {
    Failure::usage(error.to_string())
}
