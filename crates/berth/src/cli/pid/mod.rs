//! `berth pid`: PIDs at every level, from any to any, and in other programs' output.

mod filter;

use berth_base::{ErrorClass, escape_untrusted};
use berth_map::discover::{DiscoverError, Sources};
use berth_map::json::PidDocument;
use berth_map::lookup::{Found, LookupError, seen_from};
use berth_map::translate::{PidSpec, Resolution};
use clap::Args;

use super::failure::{EXIT_FAILURE, Failure};
use super::subject::{find_process, process_spec};
use super::{Context, Outcome};
use crate::view::columns::{Align, Heading, Layout, lay_out};
use crate::view::json;

/// Translate PIDs between the host and containers.
///
/// Of a host PID the answer is the container and the PID inside, of a container's PID the host
/// PID. Several are answered one a line; what has no answer is an error on standard error, and
/// the others are answered nevertheless.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
#[command(after_help = "Examples:
  berth pid web:7            the host PID of PID 7 in container web
  berth pid web              the host PID of its first process
  berth pid 31995 31996      container and PID inside, of host PIDs
  berth pid --in web 31995   the PID that container web sees it as
  berth pid --in outer web:7 PID 7 of web, as the container around it sees it
  berth pid --all web:7      every level: namespace, PID, container
  berth pid docker/web:7     a container of another engine
  dmesg | berth pid -        write \" [web:7]\" behind each host PID of a container")]
pub(crate) struct Pid {
    /// The PID as this container sees it, or host
    #[arg(long = "in", value_name = "CONTAINER")]
    inside: Option<String>,
    /// Every level: namespace, PID, container
    #[arg(short, long, conflicts_with = "inside")]
    all: bool,
    /// The documented, versioned JSON: one document, of several a list
    #[arg(long, conflicts_with_all = ["inside", "all"])]
    json: bool,
    /// CONTAINER:PID, a host PID, or CONTAINER for its first process; - alone copies standard input
    #[arg(value_name = "PID", required = true)]
    processes: Vec<String>,
}

/// An answer, before it is known how many there are.
enum Answered {
    Line(String),
    Levels(Vec<Vec<String>>),
    Document(Box<PidDocument>),
}

const HEADINGS: [Heading; 5] = [
    ("HOST PID", Align::Right),
    ("LEVEL", Align::Right),
    ("NAMESPACE", Align::Right),
    ("PID", Align::Right),
    ("CONTAINER", Align::Left),
];

impl Pid {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        if self.processes.iter().any(|process| process == "-") {
            if self.processes.len() > 1 || self.json || self.all || self.inside.is_some() {
                return Err(Failure::usage(
                    "\"berth pid -\" copies standard input and takes no other PID and no flag",
                ));
            }
            return filter::run(context, &sources(context)?);
        }
        if let Some(container) = &self.inside {
            check_runs(context, container)?;
        }
        let sources = sources(context)?;
        let mut answers = Vec::new();
        let mut failures = Vec::new();
        for process in &self.processes {
            match self.answer(context, &sources, process) {
                Ok(answer) => answers.push(answer),
                Err(failure) if self.processes.len() == 1 => return Err(failure),
                Err(failure) => failures.push(failure),
            }
        }
        self.show(context, answers)?;
        // What was answered stands before what was not.
        context.out.flush()?;
        for failure in &failures {
            context.console.fail(failure);
        }
        Ok(if failures.is_empty() { 0 } else { EXIT_FAILURE })
    }

    fn answer(
        &self,
        context: &Context,
        sources: &Sources,
        text: &str,
    ) -> Result<Answered, Failure> {
        let spec = process_spec(context, sources, text)?;
        let found = find_process(sources, &spec)?;
        if let Some(container) = &self.inside {
            let seen = seen_from(sources, &found, container)?;
            return Ok(Answered::Line(seen.to_string()));
        }
        if self.json || self.all {
            let resolution = found.resolution().map_err(LookupError::from)?;
            return Ok(if self.json {
                let mut document = PidDocument::new(&found.world, &resolution);
                document.asked = Some(escape_untrusted(text).into_owned());
                Answered::Document(Box::new(document))
            } else {
                Answered::Levels(levels(&found, &resolution))
            });
        }
        Ok(Answered::Line(match spec {
            PidSpec::Host(_) if !names_container(text) => {
                let resolution = found.resolution().map_err(LookupError::from)?;
                resolution.answer.to_string()
            }
            _ => found.pid.to_string(),
        }))
    }

    fn show(&self, context: &mut Context, answers: Vec<Answered>) -> Result<(), Failure> {
        let mut documents = Vec::new();
        let mut rows = Vec::new();
        for answer in answers {
            match answer {
                Answered::Line(line) => context.out.line(&line)?,
                Answered::Levels(levels) => rows.extend(levels),
                Answered::Document(document) => documents.push(document),
            }
        }
        if self.all && !rows.is_empty() {
            context
                .out
                .text(&lay_out(&HEADINGS, &rows, Layout::default()))?;
        }
        match documents.as_slice() {
            [one] if self.processes.len() == 1 => context.out.line(&json::pretty(one)),
            several if self.json => context.out.line(&json::pretty(&several)),
            _ => Ok(()),
        }
    }
}

/// The rows of --all: the host's level first.
fn levels(found: &Found, resolution: &Resolution) -> Vec<Vec<String>> {
    let dash = || "-".to_owned();
    let row = |level: &berth_map::translate::Level| {
        let container = level
            .container
            .map(|index| found.world.container_label(index));
        vec![
            found.pid.to_string(),
            level.level.to_string(),
            level.namespace.map_or_else(dash, |id| id.inode.to_string()),
            level.pid.to_string(),
            container.unwrap_or_else(dash),
        ]
    };
    resolution.levels.iter().map(row).collect()
}

/// Whether a question is about a container's process: its answer is a host PID.
fn names_container(text: &str) -> bool {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    !digits && !text.starts_with("host:")
}

/// Refuses a container of ours that does not run. What is none of ours may be another engine's:
/// the map knows.
pub(super) fn check_runs(context: &Context, reference: &str) -> Result<(), Failure> {
    let id = match context.engine.resolve(reference) {
        Ok(id) => id,
        Err(error) if error.class == ErrorClass::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let container = context.engine.inspect(&id)?;
    match container.status.is_live() {
        true => Ok(()),
        false => Err(not_running(container.name.as_str())),
    }
}

/// A container has no processes.
pub(super) fn not_running(name: &str) -> Failure {
    Failure::new(
        ErrorClass::Conflict,
        format!("container {name} is not running; start it with \"berth start {name}\""),
    )
    .on(name)
}

/// The host's procfs and this engine's containers.
pub(super) fn sources(context: &Context) -> Result<Sources, Failure> {
    Ok(Sources::host(context.engine.state_dir())?)
}

impl From<LookupError> for Failure {
    fn from(error: LookupError) -> Self {
        Self::new(error.class(), error.to_string())
    }
}

impl From<DiscoverError> for Failure {
    fn from(error: DiscoverError) -> Self {
        Self::new(error.class(), error.to_string())
    }
}
