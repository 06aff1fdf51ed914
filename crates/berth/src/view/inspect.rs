//! A container as `docker inspect` shows one, and what Berth knows beyond that.

mod host;
mod limits;
mod zeros;

use std::collections::BTreeMap;

use berth_base::state::{ExitOutcome, HealthStatus, RootSource};
use berth_base::{NamespaceKind, Status};
use berth_engine::{Container, Particulars, SeccompChoice};
use serde::Serialize;
use serde_json::{Value, json};

use super::log::{LogView, log_config};
use super::row::namespace_mode;
use super::{mounts, ports};
use crate::cli::parse::signal::signal_name;

pub(crate) use zeros::zeros;

/// Go's zero time, which Docker shows for a time that has not come.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// The object of `inspect`. Field names and their meaning are Docker's; `Berth` is ours.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Inspect {
    id: String,
    created: String,
    path: String,
    args: Vec<String>,
    state: State,
    image: String,
    resolv_conf_path: String,
    hostname_path: String,
    hosts_path: String,
    log_path: String,
    name: String,
    /// As with Docker, null where there are none.
    #[serde(rename = "ExecIDs")]
    exec_ids: Option<Vec<String>>,
    restart_count: u32,
    driver: &'static str,
    platform: &'static str,
    mount_label: &'static str,
    process_label: &'static str,
    #[serde(rename = "AppArmorProfile")]
    apparmor_profile: &'static str,
    graph_driver: Value,
    host_config: Value,
    mounts: Vec<Value>,
    config: Value,
    network_settings: Value,
    berth: Value,
}

/// `State`. Its booleans are derived from the one status.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    status: &'static str,
    running: bool,
    paused: bool,
    restarting: bool,
    #[serde(rename = "OOMKilled")]
    oom_killed: bool,
    dead: bool,
    pid: u32,
    exit_code: u8,
    error: String,
    started_at: String,
    finished_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<Value>,
}

/// Makes the object; the ids of its exec sessions, and what others know of it, are the engine's.
pub(crate) fn inspect(
    container: &Container,
    log: LogView,
    exec_ids: Vec<String>,
    particulars: &Particulars,
) -> Inspect {
    let create = &container.create;
    let (path, args) = match create.argv.split_first() {
        Some((path, args)) => (path.clone(), args.to_vec()),
        None => (String::new(), Vec::new()),
    };
    Inspect {
        id: container.id.to_string(),
        created: create.created_at.to_string(),
        path,
        args,
        state: state(container),
        // The image that it was made of, whatever bears its name by now.
        image: match &create.source {
            Some(source) => source.id.to_string(),
            None => create.image.clone(),
        },
        resolv_conf_path: file_of(container, "resolv.conf"),
        hostname_path: file_of(container, "hostname"),
        hosts_path: file_of(container, "hosts"),
        log_path: log.docker_path(container),
        name: format!("/{}", container.name),
        exec_ids: (!exec_ids.is_empty()).then_some(exec_ids),
        restart_count: container.restarts.count,
        driver: "overlay",
        platform: "linux",
        // Neither SELinux nor AppArmor confines it.
        mount_label: "",
        process_label: "",
        apparmor_profile: "",
        graph_driver: graph_driver(container),
        host_config: host_config(container, particulars),
        mounts: mounts::mounts(container),
        config: config(container),
        network_settings: ports::settings(container, &particulars.network_ids),
        berth: own(container, log),
    }
}

/// A file that the engine makes for a container on networks, where it is.
fn file_of(container: &Container, name: &str) -> String {
    let path = container.volatile_dir.join(name);
    // by path: a state folder
    match path.exists() {
        true => path.display().to_string(),
        false => String::new(),
    }
}

/// Where the layers are, as Docker's overlay2 tells it.
fn graph_driver(container: &Container) -> Value {
    let data = match &container.create.root {
        RootSource::Layers {
            lowers,
            upper,
            work,
            ..
        } => {
            let lowers: Vec<String> = lowers.iter().map(|l| l.display().to_string()).collect();
            // It is mounted in the container's namespaces alone: the way there is through its process.
            let merged = container.live.as_ref();
            let merged = merged.map(|live| format!("/proc/{}/root", live.init.pid));
            json!({
                "LowerDir": lowers.join(":"),
                "MergedDir": merged.unwrap_or_default(),
                "UpperDir": upper,
                "WorkDir": work,
            })
        }
        RootSource::Host | RootSource::Directory { .. } => Value::Null,
    };
    json!({"Name": "overlay", "Data": data})
}

fn state(container: &Container) -> State {
    let exit = container.exit.as_ref();
    let live = container.live.as_ref();
    let failed = exit.and_then(|exit| exit.error.clone());
    State {
        status: container.status.as_str(),
        // As with Docker, what is about to run again runs.
        running: container.status.is_live() || container.status == Status::Restarting,
        paused: container.status == Status::Paused,
        restarting: container.status == Status::Restarting,
        oom_killed: container.oom_killed(),
        dead: false,
        pid: live.map_or(0, |live| live.init.pid.get()),
        exit_code: exit_code(container),
        error: container.error.clone().or(failed).unwrap_or_default(),
        started_at: live
            .map(|live| live.started_at)
            .or_else(|| exit.and_then(|exit| exit.started_at))
            .map_or_else(|| NEVER.to_owned(), |time| time.to_string()),
        finished_at: exit
            // What never ran has not ended either.
            .filter(|exit| container.status != Status::Created || exit.started_at.is_some())
            .map_or_else(|| NEVER.to_owned(), |exit| exit.finished_at.to_string()),
        health: health(container),
    }
}

/// The exit code of the last run, 0 before the first and while one lives. One that ended without
/// anybody to say how shows what `wait` says of it too.
fn exit_code(container: &Container) -> u8 {
    let unknown = || match container.status {
        Status::Exited => ExitOutcome::Unknown.shell_code(),
        _ => 0,
    };
    container
        .exit
        .as_ref()
        .map_or_else(unknown, |exit| exit.outcome.shell_code())
}

/// As with Docker, nobody is well who does not run.
fn health(container: &Container) -> Option<Value> {
    let health = container.health.as_ref()?;
    let status = match container.status {
        Status::Created | Status::Starting | Status::Running | Status::Paused => health.status,
        _ => HealthStatus::Unhealthy,
    };
    let log: Vec<Value> = health
        .log
        .iter()
        .map(|result| {
            json!({
                "Start": result.start,
                "End": result.end,
                "ExitCode": result.exit_code,
                "Output": result.output,
            })
        })
        .collect();
    Some(json!({
        "Status": status.as_str(),
        "FailingStreak": health.failing_streak,
        "Log": log,
    }))
}

fn host_config(container: &Container, particulars: &Particulars) -> Value {
    let options = &container.create.options;
    let mode = |kind, private: &str| namespace_mode(container, kind, private);
    let capabilities = |list: &[berth_engine::Capability]| -> Vec<String> {
        list.iter().map(|capability| capability.0.clone()).collect()
    };
    let mut config = json!({
        "AutoRemove": options.auto_remove,
        "Binds": mounts::binds(container),
        "CapAdd": capabilities(&options.cap_add),
        "CapDrop": capabilities(&options.cap_drop),
        "CgroupnsMode": mode(NamespaceKind::Cgroup, "private"),
        "GroupAdd": options.group_add,
        "Init": options.init,
        "IpcMode": match options.limits.without_shm {
            true => "none".to_owned(),
            false => mode(NamespaceKind::Ipc, "private"),
        },
        "LogConfig": log_config(container),
        "NetworkMode": network_mode(container),
        "PidMode": mode(NamespaceKind::Pid, ""),
        "PortBindings": ports::bindings(&options.publish),
        "Privileged": options.privileged,
        "ReadonlyRootfs": options.read_only,
        "RestartPolicy": {
            "Name": container.restart.name(),
            "MaximumRetryCount": container.restart.limit(),
        },
        "Runtime": "berth-runtime",
        "SecurityOpt": security_options(container),
        "StorageOpt": options.storage_bytes.map(|bytes| json!({"size": bytes.to_string()})),
        "Tmpfs": mounts::tmpfs(container),
        "UTSMode": mode(NamespaceKind::Uts, ""),
        "UsernsMode": mode(NamespaceKind::User, "private"),
        "VolumesFrom": mounts::volumes_from(container),
    });
    if let Some(fields) = config.as_object_mut() {
        fields.append(&mut limits::limits(container));
        fields.append(&mut host::fields(container, particulars));
    }
    config
}

/// As with Docker, the first network's name.
fn network_mode(container: &Container) -> String {
    match container.create.options.networks.first() {
        Some(first) => first.name.clone(),
        None => namespace_mode(container, NamespaceKind::Net, "none"),
    }
}

fn config(container: &Container) -> Value {
    let create = &container.create;
    let options = &create.options;
    let entrypoint = &options.entrypoint;
    let mut config = json!({
        "Hostname": create.hostname,
        "Domainname": options.names.domain.as_deref().unwrap_or(""),
        "OnBuild": null,
        "User": options.user.as_deref().unwrap_or(""),
        "AttachStdin": options.stdin_once,
        "AttachStdout": options.attach_stdout,
        "AttachStderr": options.attach_stderr,
        "Tty": options.terminal,
        "OpenStdin": options.open_stdin,
        "StdinOnce": options.stdin_once,
        "Env": options.env,
        "Cmd": options.command,
        "Image": create.image,
        "Volumes": mounts::anonymous(container),
        "WorkingDir": options.workdir.as_deref().unwrap_or("/"),
        "Entrypoint": entrypoint,
        "Labels": options.labels,
        "StopSignal": signal_name(options.stop_signal.unwrap_or(15)),
        "StopTimeout": options.stop_timeout_s.unwrap_or(10),
    });
    // As with Docker, absent where there are none; a published port is an exposed one.
    let published = options.publish.iter();
    let published = published.map(|port| format!("{}/{}", port.container_port, port.transport));
    let ports: BTreeMap<String, Value> = published
        .chain(options.exposed_ports.iter().cloned())
        .map(|port| (port, json!({})))
        .collect();
    if !ports.is_empty() {
        config["ExposedPorts"] = json!(ports);
    }
    if let Some(check) = &options.healthcheck {
        config["Healthcheck"] = json!({
            "Test": check.test,
            "Interval": check.interval_ns,
            "Timeout": check.timeout_ns,
            "StartPeriod": check.start_period_ns,
            "StartInterval": check.start_interval_ns,
            "Retries": check.retries,
        });
    }
    config
}

/// What Docker has no field for.
fn own(container: &Container, log: LogView) -> Value {
    let create = &container.create;
    let namespaces: BTreeMap<&str, String> = NamespaceKind::ALL
        .iter()
        .map(|kind| (kind.as_str(), namespace_mode(container, *kind, "private")))
        .collect();
    let live = container.live.as_ref().map(|live| {
        let inodes: BTreeMap<&str, String> = live
            .namespaces
            .iter()
            .map(|namespace| (namespace.kind.as_str(), namespace.inode.to_string()))
            .collect();
        json!({
            "Run": live.run,
            "Pid": live.init.pid,
            "StartTicks": live.init.start_ticks,
            "BootId": live.init.boot_id,
            "KeeperPid": live.keeper,
            "OwnPidNamespace": live.own_pid_namespace,
            "NamespaceInodes": inodes,
            "Cgroups": live.cgroups,
        })
    });
    let rootfs = match &create.root {
        RootSource::Host => json!({"Kind": "host"}),
        RootSource::Directory { path, writable } => {
            json!({"Kind": "directory", "Path": path, "Writable": writable})
        }
        RootSource::Layers { lowers, upper, .. } => {
            json!({"Kind": "layers", "Lowers": lowers, "Upper": upper})
        }
    };
    json!({
        "HealthOnFailure": create.options.healthcheck.as_ref().map(|check| check.on_failure),
        "Rootfs": rootfs,
        "Runs": container.run,
        "Namespaces": namespaces,
        "CgroupsPath": create.cgroups_path,
        "PersistentDir": container.persistent_dir,
        "VolatileDir": container.volatile_dir,
        "Log": log,
        "Live": live,
    })
}

fn security_options(container: &Container) -> Vec<String> {
    let options = &container.create.options;
    let mut list = Vec::new();
    if options.no_new_privileges {
        list.push("no-new-privileges".to_owned());
    }
    match &options.seccomp {
        SeccompChoice::Default => {}
        SeccompChoice::Unconfined => list.push("seccomp=unconfined".to_owned()),
        SeccompChoice::Profile { path } => list.push(format!("seccomp={}", path.display())),
    }
    list
}
