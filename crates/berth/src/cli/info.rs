//! `berth info`.

use std::time::SystemTime;

use berth_base::{Status, Timestamp};
use berth_runtime::cgroup::Hierarchies;
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
    let mut info = json!({
        "ID": "",
        "ServerVersion": env!("CARGO_PKG_VERSION"),
        "Driver": "overlayfs",
        "DriverStatus": [],
        "Debug": false,
        "DockerRootDir": context.config.root,
        "StateDir": context.config.state,
        "DefaultRuntime": "berth-runtime",
        "Runtimes": {"berth-runtime": {"path": context.config.runtime_binary}},
        "RuntimePath": context.config.runtime_binary,
        "LoggingDriver": "json-file",
        "InitBinary": "berth-runtime",
        "IndexServerAddress": "https://index.docker.io/v1/",
        "Labels": [],
        "LiveRestoreEnabled": true,
        "ExperimentalBuild": false,
        "Swarm": {
            "NodeID": "",
            "NodeAddr": "",
            "LocalNodeState": "inactive",
            "ControlAvailable": false,
            "Error": "",
            "RemoteManagers": null,
        },
        "CDISpecDirs": ["/etc/cdi", "/var/run/cdi"],
        "GenericResources": null,
        "HttpProxy": proxy("HTTP_PROXY"),
        "HttpsProxy": proxy("HTTPS_PROXY"),
        "NoProxy": proxy("NO_PROXY"),
        "Isolation": "",
        "Plugins": {
            "Volume": ["local"],
            "Network": ["bridge", "host", "null"],
            "Authorization": null,
            "Log": ["journald", "json-file", "local", "none"],
        },
        "ClientInfo": {
            "Debug": false,
            "Version": env!("CARGO_PKG_VERSION"),
            "Os": std::env::consts::OS,
            "Arch": version::architecture(),
            "Context": "default",
            "Plugins": [],
            "Warnings": null,
        },
        "Warnings": [],
    });
    for part in [counts(context)?, cgroups(context), host(), security()] {
        if let (Value::Object(all), Value::Object(part)) = (&mut info, part) {
            all.extend(part);
        }
    }
    Ok(info)
}

fn counts(context: &Context) -> Result<Value, Failure> {
    let containers = context.containers()?;
    let count = |wanted: &[Status]| {
        containers
            .iter()
            .filter(|container| wanted.contains(&container.status))
            .count()
    };
    let images = context.engine.images().images().map_err(Failure::from)?;
    let pools = context.config.network.pools.iter();
    let pools: Vec<Value> = pools
        .map(|pool| json!({"Base": pool.base.to_string(), "Size": pool.prefix}))
        .collect();
    Ok(json!({
        "Containers": containers.len(),
        // As with Docker, what is about to run counts.
        "ContainersRunning": count(&[Status::Running, Status::Restarting]),
        "ContainersPaused": count(&[Status::Paused]),
        "ContainersStopped": count(&[Status::Created, Status::Exited]),
        "Images": images.len(),
        "DefaultAddressPools": pools,
    }))
}

/// What may be limited, and how.
fn cgroups(context: &Context) -> Value {
    let read = |file| std::fs::read_to_string(file).unwrap_or_default();
    let found = Hierarchies::discover(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"));
    let kind = match (found.v1.is_empty(), found.v2.is_some()) {
        (false, true) => "hybrid",
        (false, false) => "v1",
        (true, true) => "v2",
        (true, false) => "none",
    };
    let v2 = found.v2.as_ref().map(|v2| match is_root() {
        true => v2.mount.clone(),
        false => v2.own_directory().unwrap_or_default(),
    });
    // by path: a cgroup
    let v2 = v2.and_then(|folder| std::fs::read_to_string(folder.join("cgroup.controllers")).ok());
    let v2 = v2.unwrap_or_default();
    let has = |v1: &str, name: &str| {
        (is_root() && found.v1_of(v1).is_some()) || v2.split_whitespace().any(|word| word == name)
    };
    json!({
        "CgroupDriver": if is_root() || kind == "v2" { "cgroupfs" } else { "none" },
        // As Docker: that of the controllers.
        "CgroupVersion": if kind == "v2" { "2" } else { "1" },
        "CgroupParent": context.config.cgroup_parent.as_deref().unwrap_or(""),
        "CgroupHierarchies": kind,
        "MemoryLimit": has("memory", "memory"),
        "SwapLimit": has("memory", "memory"),
        "CpuCfsPeriod": has("cpu", "cpu"),
        "CpuCfsQuota": has("cpu", "cpu"),
        "CPUShares": has("cpu", "cpu"),
        "CPUSet": has("cpuset", "cpuset"),
        "PidsLimit": has("pids", "pids"),
        "OomKillDisable": is_root() && found.v1_of("memory").is_some(),
    })
}

fn host() -> Value {
    let system = rustix::system::sysinfo();
    let kernel = rustix::system::uname();
    let memory = u64::from(system.mem_unit).saturating_mul(system.totalram);
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    json!({
        "KernelVersion": kernel.release().to_string_lossy(),
        "OperatingSystem": os_release("PRETTY_NAME"),
        "OSVersion": os_release("VERSION_ID"),
        "OSType": std::env::consts::OS,
        // As Docker: in the kernel's words, where an image's are Go's.
        "Architecture": kernel.machine().to_string_lossy(),
        "NCPU": cpus,
        "MemTotal": memory,
        "Name": kernel.nodename().to_string_lossy(),
        "SystemTime": Timestamp::from(SystemTime::now()).to_string(),
        "IPv4Forwarding": sysctl("net/ipv4/ip_forward") == "1",
        "PidMax": sysctl("kernel/pid_max"),
        "UserNamespacesMax": sysctl("user/max_user_namespaces"),
    })
}

fn security() -> Value {
    let actions = sysctl("kernel/seccomp/actions_avail");
    let mut options = Vec::new();
    if !actions.is_empty() {
        options.push("name=seccomp,profile=builtin");
    }
    if !is_root() {
        options.push("name=rootless");
    }
    options.push("name=cgroupns");
    json!({
        "SecurityOptions": options,
        "SeccompActions": actions,
        "Rootless": !is_root(),
    })
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// What pulls and pushes go through, without whom it lets in.
fn proxy(name: &str) -> String {
    let value = std::env::var(name).or_else(|_| std::env::var(name.to_ascii_lowercase()));
    let value = value.unwrap_or_default();
    match (value.split_once("://"), value.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://xxxxx:xxxxx@{host}"),
        (None, Some((_, host))) => format!("xxxxx:xxxxx@{host}"),
        (_, None) => value,
    }
}

fn sysctl(name: &str) -> String {
    let content = std::fs::read_to_string(format!("/proc/sys/{name}"));
    content
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

/// A value of os-release(5).
fn os_release(key: &str) -> String {
    let content = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let value = content
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    value
        .map(|value| value.trim_matches('"').to_owned())
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
        ("Images", show("Images")),
        ("Storage driver", show("Driver")),
        ("Root", show("DockerRootDir")),
        ("State", show("StateDir")),
        ("Runtime", show("RuntimePath")),
        ("Rootless", show("Rootless")),
        ("Logging driver", show("LoggingDriver")),
        ("Cgroup driver", show("CgroupDriver")),
        ("Cgroup version", show("CgroupVersion")),
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
