//! `berth info`.

use berth_base::Status;
use clap::Args;
use serde_json::{Value, json};

use super::failure::Failure;
use super::{Context, Outcome, version};
use crate::template::Surroundings;
use crate::view::{json as json_view, listing, size};

/// Show the engine's surroundings.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Info {
    /// json, or a Go template such as {{.Containers}}
    #[arg(short, long, value_name = "FORMAT", allow_hyphen_values = true)]
    format: Option<String>,
}

impl Info {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let info = gather(context)?;
        match self.format.as_deref() {
            None => context.out.text(&text(&info))?,
            Some("json") => context.out.line(&json_view::line(&info))?,
            Some(template) => {
                let template = listing::template(template)?;
                let line = template.render(&info, Surroundings::default());
                context.out.line(&line.map_err(listing::refuse)?)?;
            }
        }
        Ok(0)
    }
}

/// Field names are Docker's where it has them.
fn gather(context: &Context) -> Result<Value, Failure> {
    let containers = context.engine.list()?;
    let count = |wanted: &[Status]| {
        containers
            .iter()
            .filter(|container| wanted.contains(&container.status))
            .count()
    };
    let system = rustix::system::sysinfo();
    let kernel = rustix::system::uname();
    let memory = u64::from(system.mem_unit).saturating_mul(system.totalram);
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let uid = rustix::process::geteuid();
    Ok(json!({
        "ServerVersion": env!("CARGO_PKG_VERSION"),
        "Containers": containers.len(),
        // As with Docker, what is about to run counts.
        "ContainersRunning": count(&[Status::Running, Status::Restarting]),
        "ContainersPaused": count(&[Status::Paused]),
        "ContainersStopped": count(&[Status::Created, Status::Exited]),
        "DockerRootDir": context.config.root,
        "StateDir": context.config.state,
        "DefaultRuntime": "berth-runtime",
        "RuntimePath": context.config.runtime_binary,
        "LoggingDriver": "json-file",
        "CgroupDriver": "cgroupfs",
        "CgroupParent": context.config.cgroup_parent.as_deref().unwrap_or(""),
        "CgroupHierarchies": cgroup_hierarchies(),
        "KernelVersion": kernel.release().to_string_lossy(),
        "OperatingSystem": operating_system(),
        "OSType": std::env::consts::OS,
        "Architecture": version::architecture(),
        "NCPU": cpus,
        "MemTotal": memory,
        "Name": kernel.nodename().to_string_lossy(),
        "Rootless": !uid.is_root(),
        "SeccompActions": sysctl("kernel/seccomp/actions_avail"),
        "PidMax": sysctl("kernel/pid_max"),
        "UserNamespacesMax": sysctl("user/max_user_namespaces"),
    }))
}

fn sysctl(name: &str) -> String {
    let content = std::fs::read_to_string(format!("/proc/sys/{name}"));
    content
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

/// What is mounted: `v2`, `v1` or `hybrid`.
fn cgroup_hierarchies() -> &'static str {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let has = |kind: &str| {
        mounts
            .lines()
            .filter_map(|line| line.split_once(" - "))
            .any(|(_, tail)| tail.split(' ').next() == Some(kind))
    };
    match (has("cgroup"), has("cgroup2")) {
        (true, true) => "hybrid",
        (true, false) => "v1",
        (false, true) => "v2",
        (false, false) => "none",
    }
}

/// PRETTY_NAME of os-release(5).
fn operating_system() -> String {
    let content = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = content
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map(|name| name.trim_matches('"').to_owned())
        .unwrap_or_default()
}

fn text(info: &Value) -> String {
    let show = |key: &str| match &info[key] {
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let memory = size::binary(info["MemTotal"].as_u64().unwrap_or(0));
    let lines = [
        ("Version", show("ServerVersion")),
        ("Containers", show("Containers")),
        (" Running", show("ContainersRunning")),
        (" Paused", show("ContainersPaused")),
        (" Stopped", show("ContainersStopped")),
        ("Root", show("DockerRootDir")),
        ("State", show("StateDir")),
        ("Runtime", show("RuntimePath")),
        ("Rootless", show("Rootless")),
        ("Logging driver", show("LoggingDriver")),
        ("Cgroup hierarchies", show("CgroupHierarchies")),
        ("Cgroup parent", show("CgroupParent")),
        ("Kernel", show("KernelVersion")),
        ("Operating system", show("OperatingSystem")),
        (
            "OS/Arch",
            format!("{}/{}", show("OSType"), show("Architecture")),
        ),
        ("CPUs", show("NCPU")),
        ("Memory", memory),
        ("Highest PID", show("PidMax")),
        ("Host", show("Name")),
    ];
    lines
        .iter()
        .map(|(name, value)| format!("{name}: {value}\n"))
        .collect()
}
