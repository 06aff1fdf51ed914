//! `berth stats`.

use std::collections::HashMap;
use std::time::Duration;

use berth_base::ContainerId;
use berth_engine::{Container, Sample};
use clap::Args;
use serde_json::{Value, json};

use super::failure::Failure;
use super::{Context, Outcome};
use crate::view::listing::{Column, Format, Row};
use crate::view::size::{binary, decimal};

const TABLE: &str = "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}";

const COLUMNS: [Column; 9] = [
    ("Container", "CONTAINER"),
    ("ID", "CONTAINER ID"),
    ("Name", "NAME"),
    ("CPUPerc", "CPU %"),
    ("MemUsage", "MEM USAGE / LIMIT"),
    ("MemPerc", "MEM %"),
    ("NetIO", "NET I/O"),
    ("BlockIO", "BLOCK I/O"),
    ("PIDs", "PIDS"),
];

/// Time between the two first samples from which CPU use is told.
const FIRST: Duration = Duration::from_millis(200);
/// Time between two screens, and the samples of them.
const REFRESH: Duration = Duration::from_secs(1);
/// What is not known.
const UNKNOWN: &str = "--";
/// Cursor home; clear to the end of the line; clear what is below (ECMA-48 CUP, EL, ED). A screen is
/// written over the one before, so that nothing flickers.
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K\n";
const CLEAR_BELOW: &str = "\x1b[J";

/// Show what containers use up.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Stats {
    /// Those that do not run, too
    #[arg(short, long)]
    all: bool,
    /// table, table TEMPLATE, json, or a Go template such as {{.CPUPerc}}
    #[arg(long, value_name = "FORMAT", allow_hyphen_values = true)]
    format: Option<String>,
    /// Show it once
    #[arg(long)]
    no_stream: bool,
    /// Show long values whole
    #[arg(long)]
    no_trunc: bool,
    /// Containers, by name, id or unique beginning of an id; all that run when absent
    #[arg(value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// A container to look at.
struct Subject {
    reference: String,
    container: Container,
}

/// The last samples of all containers.
type Samples = HashMap<ContainerId, Sample>;

impl Stats {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let format = Format::parse(self.format.as_deref(), TABLE)?;
        // A wrong template is told before anybody waits.
        format.render(&[], &COLUMNS, raw, false)?;
        let mut before = Samples::new();
        let mut subjects = self.subjects(context)?;
        let mut pause = FIRST;
        sample(context, &subjects, &mut before);
        loop {
            std::thread::sleep(pause);
            if pause == REFRESH {
                subjects = self.subjects(context)?;
            }
            pause = REFRESH;
            let mut now = Samples::new();
            sample(context, &subjects, &mut now);
            let host_memory = host_memory();
            let rows: Vec<Row> = subjects
                .iter()
                .map(|subject| {
                    let id = &subject.container.id;
                    self.row(subject, before.get(id), now.get(id), host_memory)
                })
                .collect();
            self.show(context, &format, &rows)?;
            before = now;
            if self.no_stream || context.out.probe_closed() {
                return Ok(0);
            }
        }
    }

    fn show(&self, context: &mut Context, format: &Format, rows: &[Row]) -> Result<(), Failure> {
        if self.no_stream || !context.out.is_terminal() {
            format.write(rows, &COLUMNS, raw, &mut context.out)?;
        } else {
            let text = format.render(rows, &COLUMNS, raw, true)?;
            context.out.bytes(screen(&text).as_bytes())?;
        }
        context.out.flush()
    }

    fn subjects(&self, context: &Context) -> Result<Vec<Subject>, Failure> {
        if self.containers.is_empty() {
            let containers = context.containers()?;
            return Ok(containers
                .into_iter()
                .filter(|container| self.all || container.status.is_live())
                .map(|container| Subject {
                    reference: container.id.short().to_owned(),
                    container,
                })
                .collect());
        }
        let mut subjects = Vec::new();
        for reference in &self.containers {
            let id = context.engine.resolve(reference)?;
            subjects.push(Subject {
                reference: reference.clone(),
                container: context.engine.inspect(&id)?,
            });
        }
        Ok(subjects)
    }

    fn row(
        &self,
        subject: &Subject,
        before: Option<&Sample>,
        now: Option<&Sample>,
        host_memory: u64,
    ) -> Row {
        let unknown = || UNKNOWN.to_owned();
        let container = &subject.container;
        let id = match self.no_trunc {
            true => container.id.as_str(),
            false => container.id.short(),
        };
        let usage = now.map(|sample| sample.usage);
        let memory = usage.and_then(|usage| usage.memory_bytes);
        let limit = usage.and_then(|usage| usage.memory_limit_bytes);
        let limit = limit.unwrap_or(host_memory).min(host_memory.max(1));
        let blocks = usage.and_then(|usage| {
            let (read, written) = (usage.block_read_bytes, usage.block_write_bytes);
            let known = read.is_some() || written.is_some();
            known.then(|| (read.unwrap_or(0), written.unwrap_or(0)))
        });
        let network = now.and_then(|sample| sample.network);
        let pids = usage.and_then(|usage| usage.pids);
        let pair = |pair: Option<(u64, u64)>| {
            pair.map_or_else(unknown, |(one, other)| {
                format!("{} / {}", decimal(one), decimal(other))
            })
        };
        let fields = json!({
            "Container": subject.reference,
            "ID": id,
            "Name": container.name.as_str(),
            "CPUPerc": cpu(before, now).unwrap_or_else(unknown),
            "MemUsage": memory.map_or_else(
                || format!("{UNKNOWN} / {UNKNOWN}"),
                |bytes| format!("{} / {}", binary(bytes), binary(limit)),
            ),
            "MemPerc": memory.map_or_else(unknown, |bytes| percent(bytes.into(), limit.into())),
            "NetIO": pair(network),
            "BlockIO": pair(blocks),
            "PIDs": pids.map_or_else(unknown, |pids| pids.to_string()),
        });
        let beside = json!({
            "cpu_nanos": usage.and_then(|usage| usage.cpu_nanos),
            "memory_bytes": memory,
            "memory_limit_bytes": limit,
            "network_received_bytes": network.map(|(received, _)| received),
            "network_sent_bytes": network.map(|(_, sent)| sent),
            "block_read_bytes": blocks.map(|(read, _)| read),
            "block_write_bytes": blocks.map(|(_, written)| written),
            "pids": pids,
            "pids_limit": usage.and_then(|usage| usage.pids_limit),
        });
        Row { fields, beside }
    }
}

/// `.Raw "memory_bytes"`: a number as the kernel has it.
fn raw(beside: &Value, name: &str, arguments: &[Value]) -> Option<Value> {
    match (name, arguments) {
        ("Raw", [Value::String(key)]) => Some(beside.get(key).cloned().unwrap_or_default()),
        _ => None,
    }
}

/// Reads the counters of each; one that has ended has none.
fn sample(context: &Context, subjects: &[Subject], samples: &mut Samples) {
    for subject in subjects {
        if let Some(sample) = context.engine.sample(&subject.container) {
            samples.insert(subject.container.id.clone(), sample);
        }
    }
}

/// CPU time in percent of one CPU: on four of them up to 400 %.
fn cpu(before: Option<&Sample>, now: Option<&Sample>) -> Option<String> {
    let (before, now) = before.zip(now)?;
    let (earlier, later) = before.usage.cpu_nanos.zip(now.usage.cpu_nanos)?;
    let elapsed = now.read_at.saturating_duration_since(before.read_at);
    Some(percent(
        u128::from(later.saturating_sub(earlier)),
        elapsed.as_nanos(),
    ))
}

/// A screen over the one before.
fn screen(text: &str) -> String {
    let lines = text.lines().map(|line| format!("{line}{CLEAR_LINE}"));
    format!("{HOME}{}{CLEAR_BELOW}", lines.collect::<String>())
}

/// `part` of `whole` in percent with two decimals, in integers.
fn percent(part: u128, whole: u128) -> String {
    let hundredths = part * 10_000 / whole.max(1);
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

fn host_memory() -> u64 {
    let system = rustix::system::sysinfo();
    u64::from(system.mem_unit).saturating_mul(system.totalram)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents() {
        assert_eq!(percent(1, 3), "33.33%");
        assert_eq!(percent(3, 2), "150.00%");
        assert_eq!(percent(5, 0), "500.00%");
    }

    #[test]
    fn a_screen_is_written_over_the_last() {
        assert_eq!(screen("NAME\nweb"), "\x1b[HNAME\x1b[K\nweb\x1b[K\n\x1b[J");
    }
}
