//! `berth cp`.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use berth_base::{ErrorClass, escape_untrusted};
use berth_engine::{CopyReport, CopyRequest, HostEnd};
use clap::Args;

use super::failure::Failure;
use super::{Context, Outcome};

/// Copy files and folders between the host and a container, running or stopped.
///
/// A folder is copied with all that is in it; SRC/. is what is in it alone. Where DEST is a folder
/// the copy goes into it, else it becomes DEST, whose own folder must exist. With - a tar archive is
/// read from standard input or written to standard output.
#[derive(Args, Debug)]
#[command(
    args_override_self = true,
    override_usage = "berth cp [OPTIONS] CONTAINER:SRC DEST|-\n       berth cp [OPTIONS] SRC|- CONTAINER:DEST"
)]
pub(crate) struct Cp {
    /// Keep the owners of files, which else are root in the container and you on the host
    #[arg(short, long)]
    archive: bool,
    /// Copy what SRC links to, if it is a symbolic link
    #[arg(short = 'L', long)]
    follow_link: bool,
    /// Do not tell what was copied; only a terminal is told
    #[arg(short, long)]
    quiet: bool,
    /// What to copy
    #[arg(value_name = "SRC")]
    source: OsString,
    /// Where to
    #[arg(value_name = "DEST")]
    destination: OsString,
}

/// A side of the command line.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Inside { container: String, path: PathBuf },
    Host(PathBuf),
    Stream,
}

impl Cp {
    pub(super) fn execute(self, context: &mut Context) -> Outcome {
        let source = end(&self.source, "SRC")?;
        let destination = end(&self.destination, "DEST")?;
        let (out, container, inside, host) = match (source, destination) {
            (End::Inside { container, path }, End::Host(to)) => {
                (true, container, path, HostEnd::Path(absolute(&to)?))
            }
            (End::Inside { container, path }, End::Stream) => {
                let stream = File::from(owned(std::io::stdout().as_fd())?);
                (true, container, path, HostEnd::Stream(stream))
            }
            (End::Host(from), End::Inside { container, path }) => {
                (false, container, path, HostEnd::Path(absolute(&from)?))
            }
            (End::Stream, End::Inside { container, path }) => {
                let stream = File::from(owned(std::io::stdin().as_fd())?);
                (false, container, path, HostEnd::Stream(stream))
            }
            (End::Inside { .. }, End::Inside { .. }) => {
                return Err(Failure::usage(
                    "cannot copy from container to container; copy to the host, and from there, or pipe \"berth cp A:SRC -\" into \"berth cp - B:DEST\"",
                ));
            }
            _ => {
                return Err(Failure::usage(
                    "neither SRC nor DEST names a container; write CONTAINER:PATH",
                ));
            }
        };
        let id = context.engine.resolve(&container)?;
        let request = CopyRequest {
            host,
            inside,
            out,
            keep_ids: self.archive,
            follow_link: self.follow_link,
        };
        let report = context.engine.copy(&id, request)?;
        self.tell(context, &report);
        Ok(0)
    }

    fn tell(&self, context: &Context, report: &CopyReport) {
        for note in &report.notes {
            context.console.warn(note);
        }
        if self.quiet || self.destination == "-" || !std::io::stderr().is_terminal() {
            return;
        }
        let text = format!(
            "Successfully copied {} to {}",
            crate::view::size::decimal(report.bytes),
            self.destination.display()
        );
        // Where it is not taken there is nobody to tell.
        drop(writeln!(std::io::stderr(), "{}", escape_untrusted(&text)));
    }
}

/// `-`, `CONTAINER:PATH`, or a path of the host: one that has no colon, or begins with a slash or a
/// dot.
fn end(typed: &OsStr, which: &str) -> Result<End, Failure> {
    let bytes = typed.as_bytes();
    if bytes.is_empty() {
        return Err(Failure::usage(format!("{which} is empty; give a path")));
    }
    if bytes == b"-" {
        return Ok(End::Stream);
    }
    let colon = bytes.iter().position(|b| *b == b':');
    let colon = colon.filter(|_| !bytes.starts_with(b"/") && !bytes.starts_with(b"."));
    let Some(colon) = colon else {
        return Ok(End::Host(PathBuf::from(typed)));
    };
    let (container, path) = bytes.split_at(colon);
    let path = path.get(1..).unwrap_or_default();
    if container.is_empty() || path.is_empty() {
        let shown = typed.display();
        return Err(Failure::usage(format!(
            "{shown} lacks a part; write CONTAINER:PATH, or ./{shown} for a file of that name"
        )));
    }
    Ok(End::Inside {
        container: String::from_utf8_lossy(container).into_owned(),
        path: PathBuf::from(OsStr::from_bytes(path)),
    })
}

/// A path that does not depend on the working directory; its end is kept, since it means something.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.starts_with(b"/") {
        return Ok(path.to_owned());
    }
    let here = std::env::current_dir().map_err(|e| {
        let text = format!("cannot tell where {} is: {e}", path.display());
        Failure::new(ErrorClass::NotFound, text)
    })?;
    let joined = [here.as_os_str().as_bytes(), b"/", bytes].concat();
    Ok(PathBuf::from(OsString::from_vec(joined)))
}

fn owned(stream: std::os::fd::BorrowedFd<'_>) -> Result<std::os::fd::OwnedFd, Failure> {
    stream.try_clone_to_owned().map_err(|e| {
        let text = format!("cannot use the standard streams: {e}");
        Failure::new(ErrorClass::Internal, text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_told_apart_as_by_docker() {
        let parse = |text: &str| end(OsStr::new(text), "SRC");
        let inside = |container: &str, path: &str| End::Inside {
            container: container.into(),
            path: path.into(),
        };
        let host = |path: &str| End::Host(path.into());
        for (text, expected) in [
            ("-", End::Stream),
            ("web:/etc", inside("web", "/etc")),
            ("web:etc/", inside("web", "etc/")),
            ("web:a:b", inside("web", "a:b")),
            ("a", host("a")),
            ("/a:b", host("/a:b")),
            ("./a:b", host("./a:b")),
            (".a:b", host(".a:b")),
            ("a/b:c", inside("a/b", "c")),
        ] {
            assert_eq!(parse(text).unwrap(), expected, "{text}");
        }
        for bad in ["", "web:", ":/etc"] {
            assert_eq!(parse(bad).unwrap_err().exit_code, Some(125), "{bad}");
        }
    }

    #[test]
    fn the_end_of_a_relative_path_is_kept() {
        for end in ["a", "a/", "a/.", "."] {
            let path = absolute(Path::new(end)).unwrap();
            let text = path.to_str().unwrap();
            assert!(text.starts_with('/') && text.ends_with(&format!("/{end}")));
        }
    }
}
