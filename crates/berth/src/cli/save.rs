//! `berth save`.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use berth_base::ErrorClass;
use berth_image::archive::SaveFormat;
use clap::{Args, ValueEnum};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, openat};

use super::failure::Failure;
use super::load::widen;
use super::progress::Bars;
use super::{Context, Outcome};

/// Write images into an archive.
///
/// Unless told otherwise the archive is one that docker load, podman load and the tools of OCI
/// read alike.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Save {
    /// Write to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write one of the two forms alone
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
    /// Images, by name or id
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

/// `--format`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    DockerArchive,
    OciArchive,
}

impl Save {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let format = match self.format {
            None => SaveFormat::Both,
            Some(Format::DockerArchive) => SaveFormat::DockerArchive,
            Some(Format::OciArchive) => SaveFormat::OciArchive,
        };
        let target = Target::open(self.output.as_deref(), "an archive", || {
            context.engine.images_to_save(&self.images)
        });
        let (target, items) = target?;
        let bars = Bars::new(context.console, self.quiet);
        let (file, name) = (target.file(), target.name());
        context
            .engine
            .save_images(&items, format, file, &name, &bars)?;
        target.finish()?;
        Ok(0)
    }
}

/// Where a stream of bytes goes: standard output, or a file that is there only once it is whole.
pub(super) struct Target {
    file: File,
    path: Option<PathBuf>,
    hidden: Hidden,
}

/// How a file stays out of sight until it is whole.
enum Hidden {
    /// Not at all: a device, a pipe.
    No,
    /// It has no name yet (O_TMPFILE), and vanishes with us.
    Nameless,
    /// It has another name.
    Beside(PathBuf),
}

impl Target {
    /// Opens the target, after `prepare`, so that what fails there leaves no file behind. `what`
    /// names the content in the refusal of a terminal.
    pub(super) fn open<T, E: Into<Failure>>(
        path: Option<&Path>,
        what: &str,
        prepare: impl FnOnce() -> Result<T, E>,
    ) -> Result<(Self, T), Failure> {
        let path = path.filter(|path| *path != Path::new("-"));
        if path.is_none() && io::stdout().is_terminal() {
            return Err(Failure::usage(format!(
                "cannot write {what} to a terminal; name a file with --output, or redirect standard output"
            )));
        }
        let prepared = prepare().map_err(Into::into)?;
        let target = match path {
            None => Self::stdout(),
            Some(path) => Self::create(path),
        };
        let shown = path.map_or("standard output".to_owned(), |p| p.display().to_string());
        let failed = |error| Failure::new(class(&error), format!("cannot write {shown}: {error}"));
        Ok((target.map_err(failed)?, prepared))
    }

    fn stdout() -> io::Result<Self> {
        let own: OwnedFd = io::stdout().as_fd().try_clone_to_owned()?;
        widen(&own);
        Ok(Self {
            file: own.into(),
            path: None,
            hidden: Hidden::No,
        })
    }

    fn create(path: &Path) -> io::Result<Self> {
        let known = std::fs::metadata(path);
        if known.as_ref().is_ok_and(|known| !known.is_file()) {
            return Ok(Self {
                file: File::options().write(true).open(path)?,
                path: Some(path.to_owned()),
                hidden: Hidden::No,
            });
        }
        // Through links: what they lead to is replaced, not they.
        let path = match known {
            Ok(_) => path.canonicalize()?,
            Err(_) => path.to_owned(),
        };
        let mode = Mode::from_raw_mode(0o600);
        let nameless = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        let (file, hidden) = match openat(CWD, folder_of(&path), nameless, mode) {
            Ok(file) => (File::from(file), Hidden::Nameless),
            // Not every file system has it.
            Err(_) => {
                let beside = beside(&path);
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
                let file = openat(CWD, &beside, flags, mode)?;
                (File::from(file), Hidden::Beside(beside))
            }
        };
        let path = Some(path);
        Ok(Self { file, path, hidden })
    }

    /// Where to write.
    pub(super) const fn file(&self) -> &File {
        &self.file
    }

    /// A further descriptor to write to.
    pub(super) fn writer(&self) -> Result<File, Failure> {
        self.file.try_clone().map_err(|error| {
            let text = format!("cannot write {}: {error}", self.name());
            Failure::new(class(&error), text)
        })
    }

    /// How errors call it.
    pub(super) fn name(&self) -> String {
        let path = self.path.as_ref();
        path.map_or("standard output".to_owned(), |path| {
            path.display().to_string()
        })
    }

    /// Gives the file its name.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        let Some(path) = self.path.clone() else {
            return Ok(());
        };
        self.publish(&path).map_err(|error| {
            let text = format!("cannot write {}: {error}", path.display());
            Failure::new(class(&error), text)
        })
    }

    fn publish(&mut self, path: &Path) -> io::Result<()> {
        if matches!(self.hidden, Hidden::Nameless) {
            let named = beside(path);
            let own = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            linkat(CWD, own, CWD, &named, AtFlags::SYMLINK_FOLLOW)?;
            self.hidden = Hidden::Beside(named);
        }
        if let Hidden::Beside(named) = &self.hidden {
            std::fs::rename(named, path)?;
        }
        self.hidden = Hidden::No;
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Hidden::Beside(path) = &self.hidden {
            drop(std::fs::remove_file(path));
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// A name of our own in the same folder.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.berth-{}", std::process::id()))
}

fn class(error: &io::Error) -> ErrorClass {
    match error.kind() {
        io::ErrorKind::NotFound => ErrorClass::NotFound,
        io::ErrorKind::PermissionDenied => ErrorClass::Denied,
        _ => ErrorClass::Unavailable,
    }
}
