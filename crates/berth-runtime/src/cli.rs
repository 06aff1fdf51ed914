//! The command line of `berth-runtime` as far as it exists: `plan` and `--version`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use berth_base::ContainerId;
use berth_base::state::{CgroupPaths, MonitorConfig, RootSource, STATE_VERSION, StdioConfig};
use oci_spec::runtime::Spec;

use crate::facts::HostFacts;
use crate::plan;

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
    let config = bundle_config(path, bundle.join(root.path()), writable, &spec);
    let mountinfo = fs::read_to_string("/proc/self/mountinfo")
        .map_err(|e| format!("cannot read /proc/self/mountinfo: {e}"))?;
    let facts = HostFacts::gather(&spec, &config, &mountinfo, CgroupPaths::default())
        .map_err(|e| format!("cannot look at this host: {e}"))?;
    plan::build(&spec, &config, &facts)
        .map(|plan| plan.render())
        .map_err(|e| e.to_string())
}

fn bundle_config(spec_path: PathBuf, root: PathBuf, writable: bool, spec: &Spec) -> MonitorConfig {
    let terminal = spec
        .process()
        .as_ref()
        .and_then(|p| p.terminal())
        .unwrap_or(false);
    MonitorConfig {
        version: STATE_VERSION,
        id: ContainerId::from_bytes([0; 32]),
        name: "bundle".into(),
        run: 1,
        spec: spec_path,
        root: RootSource::Directory {
            path: root,
            writable,
        },
        persistent_dir: PathBuf::new(),
        volatile_dir: PathBuf::from("/run/berth"),
        cache_dir: PathBuf::new(),
        joined: Vec::new(),
        stdio: StdioConfig {
            terminal,
            stdin: false,
            stdin_once: false,
            attached: false,
            size: (0, 0),
        },
        log: None,
        init: false,
        on_exit: Vec::new(),
        client_handles_exit: false,
    }
}
