//! The command line of `berth-runtime` as far as it exists: `plan` and `--version`.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use berth_base::state::{CgroupPaths, RootSource};
use oci_spec::runtime::Spec;

use crate::facts::HostFacts;
use crate::plan::{self, Keyring, RootChange, RootPlace, Setup, StartSignal, Supervision};

const USAGE: &str = "usage: berth-runtime plan BUNDLE | berth-runtime --version";

/// Runs one command.
pub fn run(mut arguments: impl Iterator<Item = String>) -> ExitCode {
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("--version" | "-v"), None) => {
            println!("berth-runtime version {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        (Some("plan"), Some(bundle)) => match print_plan(Path::new(&bundle)) {
            Ok(text) => {
                print!("{text}");
                ExitCode::SUCCESS
            }
            Err(message) => fail(&message),
        },
        _ => fail(USAGE),
    }
}

fn fail(message: &str) -> ExitCode {
    eprintln!("berth-runtime: {message}");
    ExitCode::FAILURE
}

/// The ordered steps by which a bundle would be set up here.
fn print_plan(bundle: &Path) -> Result<String, String> {
    let path = bundle.join("config.json");
    let text = fs::read(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    let spec: Spec = serde_json::from_slice(&text)
        .map_err(|e| format!("cannot parse {}: {e}", path.display()))?;
    let root = spec.root().as_ref().ok_or("the spec has no root")?;
    let writable = !root.readonly().unwrap_or(false);
    let terminal = spec.process().as_ref().and_then(|p| p.terminal());
    let setup = Setup {
        root: RootSource::Directory {
            path: bundle.join(root.path()),
            writable,
        },
        place: RootPlace::OwnPath,
        cgroup: "/".into(),
        terminal: terminal.unwrap_or(false).then_some((0, 0)),
        supervision: Supervision::Never,
        root_change: RootChange::Pivot,
        keyring: Keyring::New,
        start: StartSignal::Socket,
    };
    let mountinfo = fs::read_to_string("/proc/self/mountinfo")
        .map_err(|e| format!("cannot read /proc/self/mountinfo: {e}"))?;
    let facts = HostFacts::gather(&spec, &setup.root, &mountinfo, CgroupPaths::default())
        .map_err(|e| format!("cannot look at this host: {e}"))?;
    plan::build(&spec, &setup, &facts)
        .map(|plan| plan.render())
        .map_err(|e| e.to_string())
}
