//! `berth import`.

use std::path::Path;
use std::time::SystemTime;

use berth_image::archive::{Changes, ImportOptions};
use berth_image::{ImageError, ImageRef, Platform};
use clap::Args;

use super::failure::Failure;
use super::load::{open, platform, stdin};
use super::progress::Bars;
use super::{Context, Outcome};

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
    /// The tar, plain or compressed by gzip or zstd; - is standard input
    #[arg(value_name = "FILE|-")]
    file: String,
    /// The image's name
    #[arg(value_name = "NAME[:TAG]")]
    name: Option<String>,
}

impl Import {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        if self.file.starts_with("http://") || self.file.starts_with("https://") {
            let url = &self.file;
            return Err(Failure::usage(format!(
                "cannot import {url}: import reads files alone; fetch it first, such as by \"curl -fL {url} | berth import -\""
            )));
        }
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
        let (file, what) = match self.file.as_str() {
            "-" => (stdin()?, "standard input"),
            path => (open(Path::new(path))?, path),
        };
        let bars = Bars::new(context.console, self.quiet);
        let image = context.engine.import_image(file, what, &options, &bars)?;
        drop(bars);
        context.out.line(image.id.as_str())?;
        Ok(0)
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
