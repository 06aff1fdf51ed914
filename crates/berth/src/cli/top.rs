//! `berth top`: the processes of a container, with their PIDs side by side.

use std::process::{Command, Output};

use berth_base::ErrorClass;
use berth_engine::EventObject;
use berth_map::discover::EngineRoots;
use berth_map::lookup::LookupError;
use berth_map::model::World;
use berth_map::top::{TopRow, read_commands, rows};
use clap::Args;
use serde_json::json;

use super::failure::Failure;
use super::pid::{check_runs, sources};
use super::{Context, Outcome};
use crate::view::listing::{Column, Format, Row};

const TABLE: &str = "{{.HostPid}}\t{{.Pid}}\t{{.Deeper}}\t{{.Level}}\t{{.ParentPid}}\t{{.Uid}}\t{{.State}}\t{{.Command}}";

const COLUMNS: [Column; 9] = [
    ("HostPid", "HOST PID"),
    ("Pid", "PID"),
    ("Deeper", "DEEPER"),
    ("Level", "LEVEL"),
    ("ParentPid", "PPID"),
    ("Uid", "UID"),
    ("State", "STATE"),
    ("Command", "COMMAND"),
    ("Name", "NAME"),
];

/// List the processes of a container.
///
/// PID is the PID inside, DEEPER the PIDs in namespaces inside it, LEVEL how deep the process
/// lives; 0 is the host.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Top {
    /// table, table TEMPLATE, json, or a Go template such as {{.HostPid}}
    #[arg(long, value_name = "FORMAT", allow_hyphen_values = true)]
    format: Option<String>,
    /// Container, by name, id or unique beginning of an id; others' as docker/web
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// Options of ps(1), as in aux or -o pid,comm: then its columns are shown, with PIDs of the host
    #[arg(
        value_name = "PS OPTION",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    ps_options: Vec<String>,
}

impl Top {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let format = Format::parse(self.format.as_deref(), TABLE)?;
        check_runs(context, &self.container)?;
        let mut sources = sources(context)?;
        let id = context.engine.resolve(&self.container);
        let ours = id.ok().and_then(|id| context.engine.inspect(&id).ok());
        // Others' containers are none of our journal's, nor their files of any use for one of ours.
        if let Some(ours) = &ours {
            context.engine.note(EventObject::Container(ours), "top");
            sources.roots = EngineRoots::default();
        }
        let world = World::discover(&sources)?;
        let container = world
            .find_container(&self.container)
            .map_err(LookupError::from)?;
        let mut processes = rows(&world, container);
        if !self.ps_options.is_empty() {
            let pids: Vec<u32> = processes.iter().map(|one| one.host_pid.get()).collect();
            return by_ps(context, &self.ps_options, &pids);
        }
        read_commands(&mut processes, &world, &sources.proc);
        let lines: Vec<Row> = processes.iter().map(row).collect();
        format.write(&lines, &COLUMNS, |_, _, _| None, &mut context.out)?;
        // Of our own everything is there; what else of the host cannot be seen is no matter.
        if ours.is_none() {
            context.warn_all(world.warnings());
        }
        Ok(0)
    }
}

/// Shows the processes as the host's ps does with these options. Its own selection by PID is tried
/// first, since without one it shows those of our terminal alone; some options do not go with it.
fn by_ps(context: &mut Context, options: &[String], pids: &[u32]) -> Outcome {
    let list: Vec<String> = pids.iter().map(u32::to_string).collect();
    let selected = ps(options, Some(&format!("-q{}", list.join(","))))?;
    let output = match selected.status.success() {
        true => selected,
        false => ps(options, None)?,
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let first = said.lines().find(|line| !line.is_empty()).unwrap_or("");
        return Err(Failure::usage(format!(
            "ps does not know these options: {}",
            first.trim()
        )));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = text.lines();
    let head = lines.next().unwrap_or_default();
    let Some(at) = head.split_whitespace().position(|title| title == "PID") else {
        return Err(Failure::usage(
            "ps shows no PID with these options, by which its lines are chosen; add pid to -o",
        ));
    };
    context.out.line(head)?;
    for line in lines {
        let pid = line.split_whitespace().nth(at).and_then(|p| p.parse().ok());
        if pid.is_some_and(|pid: u32| pids.contains(&pid)) {
            context.out.line(line)?;
        }
    }
    Ok(0)
}

fn ps(options: &[String], selection: Option<&str>) -> Result<Output, Failure> {
    let output = Command::new("ps").args(options).args(selection).output();
    output.map_err(|error| {
        Failure::new(
            ErrorClass::Unavailable,
            format!("cannot start ps of the host: {error}; without options it is not needed"),
        )
    })
}

fn row(process: &TopRow) -> Row {
    let deeper: Vec<String> = process.deeper.iter().map(u32::to_string).collect();
    let dash = |text: String| {
        if text.is_empty() {
            "-".to_owned()
        } else {
            text
        }
    };
    let command = match &process.zombie_of {
        Some(culprit) => format!(
            "{} zombie, not reaped by {}",
            process.command,
            culprit.describe()
        ),
        None => process.command.clone(),
    };
    Row::plain(json!({
        "HostPid": process.host_pid,
        "Pid": dash(process.pid.map_or_else(String::new, |pid| pid.to_string())),
        "Deeper": dash(deeper.join(" ")),
        "Level": process.level,
        "ParentPid": process.parent_pid,
        "Uid": process.uid,
        "State": process.state.to_string(),
        "Command": command,
        "Name": process.comm,
    }))
}
