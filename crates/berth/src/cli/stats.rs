//! `berth stats`.

use std::time::{Duration, Instant};

use berth_base::ContainerId;
use berth_engine::Usage;
use clap::Args;
use serde_json::json;

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

/// Time between the two samples from which CPU use is told.
const SAMPLE: Duration = Duration::from_millis(200);
/// Time between two screens.
const REFRESH: Duration = Duration::from_secs(1);
/// What is not known.
const UNKNOWN: &str = "--";
/// Cursor home, clear to the end (ECMA-48 CUP and ED).
const CLEAR: &[u8] = b"\x1b[H\x1b[J";

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
    id: ContainerId,
    name: String,
}

impl Stats {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let format = Format::parse(self.format.as_deref(), TABLE)?;
        loop {
            let subjects = self.subjects(context)?;
            let rows = self.sample(context, &subjects);
            if !self.no_stream && context.out.is_terminal() {
                context.out.bytes(CLEAR)?;
            }
            format.write(&rows, &COLUMNS, |_, _, _| None, &mut context.out)?;
            context.out.flush()?;
            if self.no_stream || context.out.probe_closed() {
                return Ok(0);
            }
            std::thread::sleep(REFRESH.saturating_sub(SAMPLE));
        }
    }

    fn subjects(&self, context: &Context) -> Result<Vec<Subject>, Failure> {
        if self.containers.is_empty() {
            let containers = context.engine.list()?;
            return Ok(containers
                .into_iter()
                .filter(|container| self.all || container.status.is_live())
                .map(|container| Subject {
                    reference: container.id.short().to_owned(),
                    name: container.name.to_string(),
                    id: container.id,
                })
                .collect());
        }
        let mut subjects = Vec::new();
        for reference in &self.containers {
            let id = context.engine.resolve(reference)?;
            let name = context.engine.inspect(&id)?.name.to_string();
            subjects.push(Subject {
                reference: reference.clone(),
                id,
                name,
            });
        }
        Ok(subjects)
    }

    /// Reads every container twice; one that ended shows unknowns.
    fn sample(&self, context: &Context, subjects: &[Subject]) -> Vec<Row> {
        let begin = Instant::now();
        let read = |subject: &Subject| context.engine.usage(&subject.id).ok();
        let before: Vec<Option<Usage>> = subjects.iter().map(read).collect();
        std::thread::sleep(SAMPLE);
        let elapsed = begin.elapsed();
        let host_memory = host_memory();
        subjects
            .iter()
            .zip(before)
            .map(|(subject, before)| {
                let after = read(subject);
                self.row(subject, before.zip(after), elapsed, host_memory)
            })
            .collect()
    }

    fn row(
        &self,
        subject: &Subject,
        usage: Option<(Usage, Usage)>,
        elapsed: Duration,
        host_memory: u64,
    ) -> Row {
        let unknown = || UNKNOWN.to_owned();
        let id = match self.no_trunc {
            true => subject.id.as_str(),
            false => subject.id.short(),
        };
        let (before, after) = match &usage {
            Some((before, after)) => (Some(before), Some(after)),
            None => (None, None),
        };
        let cpu = before
            .and_then(|usage| usage.cpu_nanos)
            .zip(after.and_then(|usage| usage.cpu_nanos));
        let memory = after.and_then(|usage| usage.memory_bytes);
        let limit = after.and_then(|usage| usage.memory_limit_bytes);
        let limit = limit.unwrap_or(host_memory).min(host_memory.max(1));
        let blocks = after.and_then(|usage| {
            let (read, written) = (usage.block_read_bytes, usage.block_write_bytes);
            let known = read.is_some() || written.is_some();
            known.then(|| (read.unwrap_or(0), written.unwrap_or(0)))
        });
        let pids = after.and_then(|usage| usage.pids);
        Row::plain(json!({
            "Container": subject.reference,
            "ID": id,
            "Name": subject.name,
            "CPUPerc": cpu.map_or_else(unknown, |(before, after)| {
                percent(u128::from(after.saturating_sub(before)), elapsed.as_nanos())
            }),
            "MemUsage": memory.map_or_else(
                || format!("{UNKNOWN} / {UNKNOWN}"),
                |bytes| format!("{} / {}", binary(bytes), binary(limit)),
            ),
            "MemPerc": memory.map_or_else(unknown, |bytes| percent(bytes.into(), limit.into())),
            // Network counters come with bridges.
            "NetIO": UNKNOWN,
            "BlockIO": blocks.map_or_else(unknown, |(read, written)| {
                format!("{} / {}", decimal(read), decimal(written))
            }),
            "PIDs": pids.map_or_else(unknown, |pids| pids.to_string()),
        }))
    }
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
}
