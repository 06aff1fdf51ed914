//! `berth who`: what keeps a namespace alive.

use std::path::Path;

use berth_base::{ErrorClass, NamespaceId, escape_untrusted};
use berth_map::json::{NsDocument, Residents};
use berth_map::model::{Wanted, WantedThreads, World};
use berth_map::ns_table::{NsFilter, NsRow, rows};
use berth_map::who::{Keeper, keepers};
use clap::Args;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::failure::Failure;
use super::pid::sources;
use super::subject::{
    discover, find_namespace, find_process, kind_of_flag, no_namespace, parse_namespace,
    process_spec, warn,
};
use super::{Context, Outcome};
use crate::view::columns::{Align, Heading, Layout, lay_out};
use crate::view::json;

/// Show what keeps a namespace alive: processes, threads, descriptors, sockets, mounts.
///
/// Of a container: all namespaces of its first process that are not the host's.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
#[command(after_help = "Examples:
  berth who 4026532193           a namespace, by the number of \"berth ns\"
  berth who /run/netns/blue      the one mounted there
  berth who /proc/31995/ns/net   the one that a link leads to
  berth who web                  those of a container")]
pub(crate) struct Who {
    /// The documented, versioned JSON
    #[arg(short = 'J', long)]
    json: bool,
    /// A namespace's number, a path that begins with / or ., or a container
    #[arg(value_name = "NS|PATH|CONTAINER")]
    subject: String,
}

/// What this command shows beyond processes.
fn wanted() -> Wanted {
    Wanted {
        threads: WantedThreads::Strays,
        holders: true,
        ..Wanted::default()
    }
}

const HEADINGS: [Heading; 7] = [
    ("NS", Align::Right),
    ("TYPE", Align::Left),
    ("HOW", Align::Left),
    ("PID", Align::Right),
    ("NAME", Align::Left),
    ("CONTAINER", Align::Left),
    ("DETAIL", Align::Left),
];

impl Who {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let sources = sources(context)?;
        // A path is looked at first: the world that is read afterwards knows what it leads to.
        let by_path = match self.subject.starts_with(['/', '.']) {
            // Not held open: this process would be found as one of those that keep it alive.
            true => Some(namespace_at(Path::new(&self.subject))?),
            false => None,
        };
        let process = match (&by_path, parse_namespace(&self.subject)) {
            (None, None) => {
                let spec = process_spec(context, &sources, &self.subject).map_err(explain)?;
                Some(find_process(&sources, &spec)?.pid)
            }
            _ => None,
        };
        let world = discover(&sources, &wanted())?;
        let table = match (&by_path, process, parse_namespace(&self.subject)) {
            (Some(id), _, _) => of_one(&world, *id, &self.subject)?,
            (None, Some(pid), _) => of_process(&world, pid, &self.subject)?,
            (None, None, Some(inode)) => {
                let id = find_namespace(&world, &self.subject, inode)?;
                of_one(&world, id, &self.subject)?
            }
            (None, None, None) => return Err(no_namespace(&self.subject)),
        };
        if self.json {
            let document = NsDocument::new(&world, &table, Residents::Listed);
            context.out.line(&json::pretty(&document))?;
            return Ok(0);
        }
        let lines: Vec<Vec<String>> = table
            .iter()
            .map(|row| row.namespace.id)
            .flat_map(|id| {
                keepers(&world, id)
                    .unwrap_or_default()
                    .into_iter()
                    .map(move |k| (id, k))
            })
            .map(|(id, keeper)| line(&world, id, &keeper))
            .collect();
        let text = lay_out(&HEADINGS, &lines, Layout::default());
        context.out.text(&text)?;
        context.out.flush()?;
        warn(context, &world);
        Ok(0)
    }
}

fn line(world: &World, id: NamespaceId, keeper: &Keeper) -> Vec<String> {
    let dash = |text: Option<String>| text.filter(|t| !t.is_empty()).unwrap_or_else(|| "-".into());
    vec![
        id.inode.to_string(),
        id.kind.as_str().to_owned(),
        keeper.how.as_str().to_owned(),
        dash(keeper.pid.map(|pid| pid.to_string())),
        dash(keeper.name.clone()),
        dash(keeper.container.map(|index| world.container_label(index))),
        keeper.how.detail(),
    ]
}

/// The row of one namespace.
fn of_one(world: &World, id: NamespaceId, text: &str) -> Result<Vec<NsRow>, Failure> {
    let filter = NsFilter {
        kinds: vec![id.kind],
        inode: Some(id.inode),
        ..NsFilter::default()
    };
    let table = rows(world, &filter);
    match table.is_empty() {
        true => Err(no_namespace(text)),
        false => Ok(table),
    }
}

/// The rows of a process's namespaces that are not the host's.
fn of_process(world: &World, pid: berth_base::HostPid, text: &str) -> Result<Vec<NsRow>, Failure> {
    super::subject::existing(world, pid)?;
    let filter = NsFilter {
        process: Some(pid),
        ..NsFilter::default()
    };
    let mut table = rows(world, &filter);
    table.retain(|row| {
        let id = row.namespace.id;
        world.host().namespaces.of(id.kind) != Some(id)
    });
    if table.is_empty() {
        return Err(Failure::new(
            ErrorClass::NotFound,
            format!(
                "{} has no namespace of its own that can be seen: it lives in the host's; name one by its number",
                escape_untrusted(text)
            ),
        )
        .on(text));
    }
    Ok(table)
}

/// Says what else the argument can be.
fn explain(failure: Failure) -> Failure {
    match failure.class {
        ErrorClass::Invalid => Failure {
            message: format!(
                "{}; or a namespace's number, or a path such as /run/netns/blue",
                failure.message
            ),
            ..failure
        },
        _ => failure,
    }
}

/// Says which namespace a path leads to.
fn namespace_at(path: &Path) -> Result<NamespaceId, Failure> {
    let shown = escape_untrusted(&path.to_string_lossy()).into_owned();
    let fail = |class, why: String| {
        let message = format!("cannot tell the namespace at {shown}: {why}");
        Failure::new(class, message).on(shown.clone())
    };
    let refused = |error: Errno| match error {
        Errno::NOENT | Errno::NOTDIR => fail(
            ErrorClass::NotFound,
            "there is no such file; \"berth ns -o NS,TYPE,NSFS\" lists what is mounted".to_owned(),
        ),
        Errno::ACCESS | Errno::PERM => fail(
            ErrorClass::Denied,
            "permission denied; try again as root".to_owned(),
        ),
        error => fail(
            ErrorClass::Unavailable,
            std::io::Error::from(error).to_string(),
        ),
    };
    // O_PATH first: opening a FIFO or a device would do something.
    let found = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    let found = found.map_err(refused)?;
    let kind = rustix::fs::fstatfs(&found).map_err(refused)?.f_type;
    if kind != NSFS_MAGIC {
        return Err(fail(
            ErrorClass::Invalid,
            "it is no namespace; was it unmounted, or not mounted in this mount namespace?"
                .to_owned(),
        ));
    }
    let opened = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let opened = opened.map_err(refused)?;
    let flag = berth_sys::namespace_flag(std::os::fd::AsFd::as_fd(&opened)).map_err(refused)?;
    let inode = rustix::fs::fstat(&opened).map_err(refused)?.st_ino;
    let kind = kind_of_flag(flag)
        .ok_or_else(|| fail(ErrorClass::Unsupported, "its kind is not known".to_owned()))?;
    Ok(NamespaceId { kind, inode })
}

/// NSFS_MAGIC of linux/magic.h.
const NSFS_MAGIC: rustix::fs::FsWord = 0x6e73_6673;
