//! `berth check`: what is wrong with how containers are isolated.

use berth_map::check::{Finding, Severity, check};
use berth_map::json::{CheckDocument, SarifLog};
use berth_map::model::{Wanted, WantedThreads, World};
use clap::{Args, ValueEnum};

use super::pid::sources;
use super::subject::{discover, warn};
use super::{Context, Outcome};
use crate::view::json;

/// Find what is wrong with how containers are isolated.
///
/// Looks at the containers of all engines. Exit code: 0 nothing or infos alone, 1 warnings,
/// 2 errors, 125 when the host could not be read.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
#[command(after_help = "Examples:
  berth check                    findings, the worst first, each with a remedy
  berth check --fail-on error    exit code 0 unless there is an error
  berth check --sarif > x.sarif  for code scanning services

BM001-BM007 namespaces shared with the host: pid net mnt ipc uts cgroup time
BM010 uid 0 inside is uid 0 outside      BM020 BM021 limits of processes are near
BM030 BM031 zombies that nobody reaps    BM040 namespaces that outlived their processes
BM050 processes that came from outside")]
pub(crate) struct Check {
    /// The least severity that makes the exit code 1 or 2: info, warning, error or never
    #[arg(
        long,
        value_name = "SEVERITY",
        default_value = "warning",
        hide_possible_values = true
    )]
    fail_on: FailOn,
    /// The documented, versioned JSON
    #[arg(short = 'J', long, conflicts_with = "sarif")]
    json: bool,
    /// A SARIF 2.1.0 log
    #[arg(long)]
    sarif: bool,
}

/// What makes the exit code other than 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Info,
    Warning,
    Error,
    Never,
}

/// What this command looks at beyond processes.
fn wanted() -> Wanted {
    Wanted {
        threads: WantedThreads::All,
        holders: true,
        id_maps: true,
        usage: true,
        ..Wanted::default()
    }
}

impl Check {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let world = discover(&sources(context)?, &wanted())?;
        let findings = check(&world);
        if self.sarif {
            let log = SarifLog::new(&world, &findings, env!("CARGO_PKG_VERSION"));
            context.out.line(&json::pretty(&log))?;
        } else if self.json {
            let document = CheckDocument::new(&world, &findings);
            context.out.line(&json::pretty(&document))?;
        } else {
            context.out.text(&text(&world, &findings))?;
            context.out.flush()?;
            warn(context, &world);
        }
        Ok(self.exit_code(&findings))
    }

    fn exit_code(&self, findings: &[Finding]) -> u8 {
        let least = match self.fail_on {
            FailOn::Info => Severity::Info,
            FailOn::Warning => Severity::Warning,
            FailOn::Error => Severity::Error,
            FailOn::Never => return 0,
        };
        match berth_map::check::worst(findings).filter(|worst| *worst >= least) {
            None => 0,
            Some(Severity::Info | Severity::Warning) => 1,
            Some(Severity::Error) => 2,
        }
    }
}

/// Two lines for each finding.
fn text(world: &World, findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        text.push_str(&format!(
            "{} {}: {}: {}\n      {}\n",
            finding.rule.id,
            finding.severity.as_str(),
            finding.object.describe(world),
            finding.reason,
            finding.remedy
        ));
    }
    if findings.is_empty() {
        // Whoever may read little must not take silence for health.
        text.push_str(match world.warnings() {
            [] => "nothing found\n",
            _ => "nothing found in what could be read\n",
        });
    }
    text
}
