//! `berth load`.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use berth_base::ErrorClass;
use berth_image::archive::{LoadOptions, Source};
use berth_image::{ImageRef, Platform};
use clap::Args;
use rustix::pipe::fcntl_setpipe_size;

use super::failure::Failure;
use super::progress::Bars;
use super::{Context, Outcome};

/// What any user may have (/proc/sys/fs/pipe-max-size).
const PIPE_BYTES: usize = 1 << 20;

/// Load images from an archive.
///
/// Reads what docker save, podman save, skopeo and others write: docker-archive and oci-archive,
/// plain or compressed by gzip or zstd, and folders with an OCI image layout.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Load {
    /// The archive or folder, instead of standard input
    #[arg(short, long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
    /// The platform to take where there are several, such as linux/arm64
    #[arg(long, value_name = "OS/ARCH", value_parser = platform)]
    platform: Option<Platform>,
}

impl Load {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let bars = Bars::new(context.console, self.quiet);
        let options = LoadOptions {
            platform: self.platform.clone(),
            limits: context.engine.image_limits().archive.clone(),
            ..LoadOptions::default()
        };
        let source = source(self.input.as_deref())?;
        let loaded = context.engine.load_images(source, &options, &bars)?;
        drop(bars);
        for image in loaded.iter().map(|loaded| &loaded.image) {
            if image.references.is_empty() {
                context
                    .out
                    .line(&format!("Loaded image ID: {}", image.id))?;
            }
            for name in image.references.iter().map(ImageRef::familiar) {
                context.out.line(&format!("Loaded image: {name}"))?;
            }
        }
        Ok(0)
    }
}

/// Reads the value of `--platform`.
pub(super) fn platform(text: &str) -> Result<Platform, &'static str> {
    Platform::parse(text).ok_or("write OS/ARCH or OS/ARCH/VARIANT, such as linux/arm64")
}

fn source(input: Option<&Path>) -> Result<Source<'static>, Failure> {
    let Some(path) = input.filter(|path| *path != Path::new("-")) else {
        return Ok(Source::Stream {
            name: "standard input".to_owned(),
            input: Box::new(stdin()?),
        });
    };
    let name = path.display().to_string();
    let file = open(path)?;
    let is_folder = file.metadata().is_ok_and(|metadata| metadata.is_dir());
    Ok(match is_folder {
        true => Source::Folder {
            name,
            folder: file.into(),
        },
        false => Source::Stream {
            name,
            input: Box::new(file),
        },
    })
}

/// Opens what the user names.
pub(super) fn open(path: &Path) -> Result<File, Failure> {
    let name = path.display().to_string();
    File::open(path).map_err(|error| {
        let class = match error.kind() {
            io::ErrorKind::NotFound => ErrorClass::NotFound,
            io::ErrorKind::PermissionDenied => ErrorClass::Denied,
            _ => ErrorClass::Unavailable,
        };
        Failure::new(class, format!("cannot open {name}: {error}")).on(name)
    })
}

/// Standard input, without the buffer of its own that std has; a terminal holds no archive.
pub(super) fn stdin() -> Result<File, Failure> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Err(Failure::usage(
            "cannot read an archive from a terminal; name a file, or redirect one to standard input",
        ));
    }
    let own: OwnedFd = stdin.as_fd().try_clone_to_owned().map_err(|error| {
        let text = format!("cannot read standard input: {error}");
        Failure::new(ErrorClass::Unavailable, text)
    })?;
    widen(&own);
    Ok(File::from(own))
}

/// Asks for more room in a pipe, so that both sides take turns less often. What is none, or may
/// not grow, stays as it is.
pub(super) fn widen(pipe: impl AsFd) {
    fcntl_setpipe_size(pipe, PIPE_BYTES).ok();
}
