//! `berth top`: the processes of a container, with their PIDs side by side.

use berth_engine::EventObject;
use berth_map::lookup::LookupError;
use berth_map::model::World;
use berth_map::top::{TopRow, read_commands, rows};
use clap::Args;
use serde_json::json;

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
}

impl Top {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let format = Format::parse(self.format.as_deref(), TABLE)?;
        check_runs(context, &self.container)?;
        let sources = sources(context)?;
        // Others' containers are none of our journal's.
        if let Ok(id) = context.engine.resolve(&self.container)
            && let Ok(ours) = context.engine.inspect(&id)
        {
            context.engine.note(EventObject::Container(&ours), "top");
        }
        let world = World::discover(&sources)?;
        let container = world
            .find_container(&self.container)
            .map_err(LookupError::from)?;
        let mut processes = rows(&world, container);
        read_commands(&mut processes, &world, &sources.proc);
        let lines: Vec<Row> = processes.iter().map(row).collect();
        format.write(&lines, &COLUMNS, |_, _, _| None, &mut context.out)?;
        context.warn_all(world.warnings());
        Ok(0)
    }
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
