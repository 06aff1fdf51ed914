//! The groups of flags, as the help text shows them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use berth_base::state::LogDriver;
use berth_base::{ContainerName, MacAddress};
use berth_engine::{
    Capability, HealthAction, Healthcheck, HostAddress, LogChoice, MountRequest, NamespaceMode,
    RestartPolicy,
};
use berth_image::Platform;
use clap::{Args, ValueEnum};

use crate::cli::failure::Failure;
use crate::cli::load::platform;
use crate::cli::parse::capability::capability;
use crate::cli::parse::env::{EnvRequest, env};
use crate::cli::parse::label::label;
use crate::cli::parse::life::{health_action, restart_policy, retries};
use crate::cli::parse::log::{log_driver, log_option};
use crate::cli::parse::mount::{Unplaced, mount, tmpfs, volume, volumes_from};
use crate::cli::parse::namespace::{IpcArgument, NetworkArgument, ipc, namespace, network};
use crate::cli::parse::number::seconds;
use crate::cli::parse::publish::{PublishArgument, add_host, domain_name, expose, publish};
use crate::cli::parse::security::{SecurityOption, security_option};
use crate::cli::parse::signal::signal;
use crate::cli::parse::stream::{StdStream, stream};
use crate::cli::parse::time::duration;
use crate::cli::parse::{absolute_path, container_name, host_name, user};

/// Who the container is.
#[derive(Args, Debug)]
#[command(next_help_heading = "Identity")]
pub(super) struct IdentityFlags {
    /// Name of the container
    #[arg(long, value_name = "NAME", value_parser = container_name)]
    pub(super) name: Option<ContainerName>,
    /// Host name inside; the short id when absent
    #[arg(short = 'h', long, value_name = "NAME", value_parser = host_name)]
    pub(super) hostname: Option<String>,
    /// Metadata, KEY=VALUE or KEY
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = label, allow_hyphen_values = true)]
    pub(super) label: Vec<(String, String)>,
    /// Read metadata from a file, one KEY=VALUE a line
    #[arg(long, value_name = "FILE")]
    pub(super) label_file: Vec<PathBuf>,
    /// Write the container's id to a file that does not exist yet
    #[arg(long, value_name = "FILE")]
    pub(super) cidfile: Option<PathBuf>,
}

/// What runs in it.
#[derive(Args, Debug)]
#[command(next_help_heading = "Process")]
pub(super) struct ProcessFlags {
    /// Keep standard input open
    #[arg(short, long)]
    pub(super) interactive: bool,
    /// Give it a terminal
    #[arg(short, long)]
    pub(super) tty: bool,
    /// Attach to stdin, stdout or stderr alone; may be given several times
    #[arg(short, long, value_name = "STREAM", value_parser = stream)]
    pub(super) attach: Vec<StdStream>,
    /// Environment variable, KEY=VALUE, or KEY for your own value
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = env, allow_hyphen_values = true)]
    pub(super) env: Vec<EnvRequest>,
    /// Read environment variables from a file, one a line
    #[arg(long, value_name = "FILE")]
    pub(super) env_file: Vec<PathBuf>,
    /// Working directory inside
    #[arg(short, long, value_name = "DIR", value_parser = absolute_path)]
    pub(super) workdir: Option<String>,
    /// User and group inside, by name or id
    #[arg(short, long, value_name = "USER[:GROUP]", value_parser = user)]
    pub(super) user: Option<String>,
    /// Further group, by name or id
    #[arg(long, value_name = "GROUP")]
    pub(super) group_add: Vec<String>,
    /// Program to put before the command
    #[arg(long, value_name = "PROGRAM", allow_hyphen_values = true)]
    pub(super) entrypoint: Option<String>,
    /// Put a small init at PID 1 that forwards signals and reaps
    #[arg(long)]
    pub(super) init: bool,
}

/// How it ends.
#[derive(Args, Debug)]
#[command(next_help_heading = "Lifecycle")]
pub(super) struct LifeFlags {
    /// Remove the container when it ends
    #[arg(long)]
    pub(super) rm: bool,
    /// Start it again when it ends: no (when absent), on-failure[:NUMBER], always or unless-stopped
    #[arg(long, value_name = "POLICY", value_parser = restart_policy)]
    pub(super) restart: Option<RestartPolicy>,
    /// Signal that asks it to stop; TERM when absent
    #[arg(long, value_name = "SIGNAL", value_parser = signal)]
    pub(super) stop_signal: Option<i32>,
    /// Seconds from that signal to SIGKILL; 10 when absent
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub(super) stop_timeout: Option<u32>,
}

/// How to tell whether it is well.
#[derive(Args, Debug)]
#[command(next_help_heading = "Health")]
pub(super) struct HealthFlags {
    /// Command that tells by its exit code, run by /bin/sh inside
    #[arg(long, value_name = "COMMAND", allow_hyphen_values = true)]
    pub(super) health_cmd: Option<String>,
    /// Time between two checks; 30s when absent
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(super) health_interval: Option<Duration>,
    /// Time for one check; 30s when absent
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(super) health_timeout: Option<Duration>,
    /// Time after the start in which failures do not count; none when absent
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(super) health_start_period: Option<Duration>,
    /// Time between two checks in that time; 5s when absent
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(super) health_start_interval: Option<Duration>,
    /// Failures in a row until it is unhealthy; 3 when absent
    #[arg(long, value_name = "NUMBER", value_parser = retries, allow_negative_numbers = true)]
    pub(super) health_retries: Option<u32>,
    /// What is done then: none (when absent), kill, stop or restart
    #[arg(long, value_name = "WHAT", value_parser = health_action)]
    pub(super) health_on_failure: Option<HealthAction>,
    /// Leave out the image's check
    #[arg(long)]
    pub(super) no_healthcheck: bool,
}

impl HealthFlags {
    /// What they come to; the image's own check completes it.
    pub(super) fn healthcheck(&self) -> Result<Option<Healthcheck>, Failure> {
        let command = self.health_cmd.as_deref().filter(|line| !line.is_empty());
        let nanos = |span: Option<Duration>| {
            let nanos = span.unwrap_or_default().as_nanos();
            u64::try_from(nanos).unwrap_or(u64::MAX)
        };
        let mut check = Healthcheck {
            test: command
                .map(|line| vec!["CMD-SHELL".to_owned(), line.to_owned()])
                .unwrap_or_default(),
            interval_ns: nanos(self.health_interval),
            timeout_ns: nanos(self.health_timeout),
            start_period_ns: nanos(self.health_start_period),
            start_interval_ns: nanos(self.health_start_interval),
            retries: self.health_retries.unwrap_or(0),
            on_failure: self.health_on_failure.unwrap_or_default(),
            ..Healthcheck::default()
        };
        let is_nothing = check == Healthcheck::default();
        if self.no_healthcheck && !is_nothing {
            let text =
                "--no-healthcheck conflicts with the other --health flags; leave out one side";
            return Err(Failure::usage(text).on("--no-healthcheck"));
        }
        if self.no_healthcheck {
            check.test = vec!["NONE".to_owned()];
            return Ok(Some(check));
        }
        Ok((!is_nothing).then_some(check))
    }
}

/// What it sees of the file system.
#[derive(Args, Debug)]
#[command(next_help_heading = "Files")]
pub(super) struct FileFlags {
    /// Run this directory instead of an image, under a throwaway layer
    #[arg(long, value_name = "DIR")]
    pub(super) rootfs: Option<PathBuf>,
    /// Write through to the directory of --rootfs
    #[arg(long)]
    pub(super) rw: bool,
    /// Mount a volume, or a directory or file of the host: NAME or /SOURCE; neither for a new volume
    #[arg(short, long, value_name = "[SOURCE:]TARGET[:OPTIONS]", value_parser = volume)]
    pub(super) volume: Vec<Unplaced>,
    /// The same in full, such as type=bind,source=/srv,target=/data,readonly
    #[arg(long, value_name = "KEY=VALUE,...", value_parser = mount)]
    pub(super) mount: Vec<Unplaced>,
    /// Mount what another container has mounted
    #[arg(long, value_name = "CONTAINER[:ro]", value_parser = volumes_from)]
    pub(super) volumes_from: Vec<MountRequest>,
    /// Mount an empty folder in memory, such as /run:size=64m,mode=1777
    #[arg(long, value_name = "TARGET[:OPTIONS]", value_parser = tmpfs)]
    pub(super) tmpfs: Vec<MountRequest>,
    /// Make its root read-only
    #[arg(long)]
    pub(super) read_only: bool,
}

/// When the registry is asked for the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum PullPolicy {
    /// Where it is not here.
    #[default]
    Missing,
    /// Each time, for a newer one.
    Always,
    /// Not at all.
    Never,
}

/// Where its image comes from.
#[derive(Args, Debug)]
#[command(next_help_heading = "Image")]
pub(super) struct PullFlags {
    /// Ask the registry for the image: missing (when absent), always or never
    #[arg(
        long,
        value_name = "WHEN",
        value_enum,
        default_value_t,
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub(super) pull: PullPolicy,
    /// The platform to take where there are several, such as linux/arm64
    #[arg(long, value_name = "OS/ARCH", value_parser = platform)]
    pub(super) platform: Option<Platform>,
    /// Show no progress of the download
    #[arg(short, long)]
    pub(super) quiet: bool,
}

/// Where its namespaces come from; the mount namespace is always its own.
#[derive(Args, Debug)]
#[command(next_help_heading = "Namespaces (MODE: private, host, container:NAME, ns:PATH)")]
pub(super) struct NamespaceFlags {
    /// PID namespace
    #[arg(long, value_name = "MODE", value_parser = namespace)]
    pub(super) pid: Option<NamespaceMode>,
    /// IPC namespace; also shareable, and none, which has no /dev/shm
    #[arg(long, value_name = "MODE", value_parser = ipc)]
    pub(super) ipc: Option<IpcArgument>,
    /// Host name namespace
    #[arg(long, value_name = "MODE", value_parser = namespace)]
    pub(super) uts: Option<NamespaceMode>,
    /// User namespace; host for root, private for others
    #[arg(long, value_name = "MODE", value_parser = namespace)]
    pub(super) userns: Option<NamespaceMode>,
    /// Cgroup namespace
    #[arg(long, value_name = "MODE", value_parser = namespace)]
    pub(super) cgroupns: Option<NamespaceMode>,
    /// Time namespace
    #[arg(long, value_name = "MODE", value_parser = namespace)]
    pub(super) timens: Option<NamespaceMode>,
}

/// How it is reached, and whom it reaches.
#[derive(Args, Debug)]
#[command(next_help_heading = "Network")]
pub(super) struct NetworkFlags {
    /// Network to be on, or none, host, container:NAME, ns:PATH; pasta or slirp4netns without root; may be given several times
    #[arg(long = "network", visible_alias = "net", value_name = "NETWORK", value_parser = network)]
    pub(super) network: Vec<NetworkArgument>,
    /// Lead a port of the host to one of the container, such as 8080:80 or 127.0.0.1:5300:53/udp
    #[arg(short, long, value_name = "[[ADDRESS:]PORT:]PORT[/PROTOCOL]", value_parser = publish)]
    pub(super) publish: Vec<PublishArgument>,
    /// Publish every port that is exposed, each by a free port of the host
    #[arg(short = 'P', long)]
    pub(super) publish_all: bool,
    /// Say that it listens on a port
    #[arg(long, value_name = "PORT[/PROTOCOL]", value_parser = expose)]
    pub(super) expose: Vec<String>,
    /// IPv4 address on the first network
    #[arg(long, value_name = "ADDRESS")]
    pub(super) ip: Option<Ipv4Addr>,
    /// IPv6 address on the first network
    #[arg(long, value_name = "ADDRESS")]
    pub(super) ip6: Option<Ipv6Addr>,
    /// Hardware address on the first network
    #[arg(long, value_name = "ADDRESS")]
    pub(super) mac_address: Option<MacAddress>,
    /// Further name on the first network
    #[arg(long, visible_alias = "net-alias", value_name = "NAME", value_parser = host_name)]
    pub(super) network_alias: Vec<String>,
    /// Server to ask for names
    #[arg(long, value_name = "ADDRESS")]
    pub(super) dns: Vec<IpAddr>,
    /// Domain that short names are completed with; . for none
    #[arg(long, value_name = "DOMAIN")]
    pub(super) dns_search: Vec<String>,
    /// Option of resolv.conf(5), such as ndots:2
    #[arg(long, visible_alias = "dns-opt", value_name = "OPTION")]
    pub(super) dns_option: Vec<String>,
    /// Line of /etc/hosts, NAME:ADDRESS; host-gateway stands for the host
    #[arg(long, value_name = "NAME:ADDRESS", value_parser = add_host)]
    pub(super) add_host: Vec<(String, HostAddress)>,
    /// Domain of its host name
    #[arg(long, value_name = "DOMAIN", value_parser = domain_name)]
    pub(super) domainname: Option<String>,
}

/// Where what it writes is kept.
#[derive(Args, Debug)]
#[command(next_help_heading = "Log")]
pub(super) struct LogFlags {
    /// Who keeps what it writes: json-file (unless configured), local, journald or none
    #[arg(long, value_name = "DRIVER", value_parser = log_driver)]
    log_driver: Option<LogDriver>,
    /// How, such as max-size=10m, max-file=3 or mode=non-blocking
    #[arg(long, value_name = "KEY=VALUE", value_parser = log_option)]
    log_opt: Vec<(String, String)>,
}

impl LogFlags {
    /// What they come to; of an option that is given twice the last.
    pub(super) fn choice(&self) -> LogChoice {
        LogChoice {
            driver: self.log_driver,
            options: self.log_opt.iter().cloned().collect(),
        }
    }
}

/// What it may do.
#[derive(Args, Debug)]
#[command(next_help_heading = "Security")]
pub(super) struct SecurityFlags {
    /// Give it a capability, such as NET_ADMIN, or ALL
    #[arg(long, value_name = "CAPABILITY", value_parser = capability)]
    pub(super) cap_add: Vec<Capability>,
    /// Take a capability from it, or ALL
    #[arg(long, value_name = "CAPABILITY", value_parser = capability)]
    pub(super) cap_drop: Vec<Capability>,
    /// no-new-privileges, seccomp=unconfined or seccomp=FILE
    #[arg(long, value_name = "OPTION", value_parser = security_option)]
    pub(super) security_opt: Vec<SecurityOption>,
    /// Give it all that you have: capabilities, devices, no filter
    #[arg(long)]
    pub(super) privileged: bool,
}
