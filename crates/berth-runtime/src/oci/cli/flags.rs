//! What can be typed, by runc's names.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgMatches, Args, FromArgMatches, Parser, Subcommand, ValueEnum};

/// Open Container Initiative runtime.
#[derive(Debug, Parser)]
#[command(
    name = "berth-runtime",
    version = version(),
    about = "The OCI runtime of Berth: runs containers from bundles, with runc's command line",
    disable_version_flag = true,
    args_override_self = true
)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) global: Global,
    /// Print the version
    #[arg(short = 'v', long, action = clap::ArgAction::Version)]
    version: Option<bool>,
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

/// Flags before the command.
#[derive(Args, Debug)]
pub(super) struct Global {
    /// Where the state of containers is kept (on a tmpfs)
    #[arg(long, value_name = "DIR")]
    pub(super) root: Option<PathBuf>,
    /// Append log messages to this file [default: standard error]
    #[arg(long, value_name = "FILE")]
    pub(super) log: Option<PathBuf>,
    /// The form of log messages
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(super) log_format: LogFormat,
    /// Log more
    #[arg(long)]
    pub(super) debug: bool,
    /// Have systemd make the cgroups; cgroupsPath is then slice:prefix:name
    #[arg(long)]
    pub(super) systemd_cgroup: bool,
    /// Whether cgroup permission errors are ignored: true, false or auto
    #[arg(long, value_name = "BOOL", default_value = "auto")]
    pub(super) rootless: String,
    /// Accepted for callers that name a criu binary; not used
    #[arg(long, value_name = "PATH", hide = true)]
    pub(super) criu: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a container: everything but its program's start
    Create(Lazily<CreateFlags>),
    /// Create and start a container
    Run(Lazily<RunFlags>),
    /// Execute the program of a created container
    Start {
        /// The container
        id: String,
    },
    /// Execute another process in a container
    Exec(Box<Lazily<ExecFlags>>),
    /// Send a signal to a container's first process
    Kill(Lazily<KillFlags>),
    /// Remove what a container holds
    Delete(Lazily<DeleteFlags>),
    /// Stop all processes of a container, to be resumed
    Pause {
        /// The container
        id: String,
    },
    /// Let the processes of a paused container go on
    Resume {
        /// The container
        id: String,
    },
    /// Print the state of a container as JSON
    State {
        /// The container
        id: String,
    },
    /// List containers
    List(Lazily<ListFlags>),
    /// Show the processes of a container
    Ps(Lazily<PsFlags>),
    /// Print what a container uses, and when it runs out of memory
    Events(Lazily<EventsFlags>),
    /// Change the limits of a container
    Update(Box<Lazily<UpdateFlags>>),
    /// Write a configuration to begin with
    Spec(Lazily<SpecFlags>),
    /// Print what this runtime can do
    Features,
    /// Print the ordered steps by which a bundle would be set up here
    Plan {
        /// The bundle
        #[arg(default_value = ".")]
        bundle: PathBuf,
    },
    /// Not supported
    #[command(hide = true)]
    Checkpoint {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<OsString>,
    },
    /// Not supported
    #[command(hide = true)]
    Restore {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<OsString>,
    },
}

/// Flags of a command that are described to the parser only when that command is called: to
/// describe all of them costs a tenth of a millisecond, in a program that runs for five.
#[derive(Debug)]
pub(super) struct Lazily<T>(pub(super) T);

impl<T: Args> Args for Lazily<T> {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.defer(T::augment_args)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        command.defer(T::augment_args_for_update)
    }
}

impl<T: FromArgMatches> FromArgMatches for Lazily<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        T::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

// What `create` and `run` have in common. No doc comment: it would become the help of both.
#[derive(Args, Debug)]
pub(super) struct BundleFlags {
    /// The bundle [default: the current directory]
    #[arg(short, long, value_name = "DIR")]
    pub(super) bundle: Option<PathBuf>,
    /// A unix socket that receives the master of the container's terminal
    #[arg(long, value_name = "SOCKET")]
    pub(super) console_socket: Option<PathBuf>,
    /// A unix socket that receives a pidfd of the first process
    #[arg(long, value_name = "SOCKET")]
    pub(super) pidfd_socket: Option<PathBuf>,
    /// Write the PID of the first process to this file
    #[arg(long, value_name = "FILE")]
    pub(super) pid_file: Option<PathBuf>,
    /// Move the root over / instead of pivot_root, for hosts that run from a ramdisk
    #[arg(long)]
    pub(super) no_pivot: bool,
    /// Leave the container the session keyring of the caller
    #[arg(long)]
    pub(super) no_new_keyring: bool,
    /// Leave the container this many descriptors after standard error (and after $LISTEN_FDS)
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) preserve_fds: u32,
    /// The container's id, unique below --root
    pub(super) id: String,
}

#[derive(Args, Debug)]
pub(super) struct CreateFlags {
    #[command(flatten)]
    pub(super) bundle: BundleFlags,
}

#[derive(Args, Debug)]
pub(super) struct RunFlags {
    /// Return as soon as the program runs
    #[arg(short, long)]
    pub(super) detach: bool,
    /// Leave orphaned processes of the container to somebody else
    #[arg(long)]
    pub(super) no_subreaper: bool,
    /// Keep the container after it has ended
    #[arg(long)]
    pub(super) keep: bool,
    #[command(flatten)]
    pub(super) bundle: BundleFlags,
}

#[derive(Args, Debug)]
pub(super) struct ExecFlags {
    /// A unix socket that receives the master of the process's terminal
    #[arg(long, value_name = "SOCKET")]
    pub(super) console_socket: Option<PathBuf>,
    /// A unix socket that receives a pidfd of the process
    #[arg(long, value_name = "SOCKET")]
    pub(super) pidfd_socket: Option<PathBuf>,
    /// The working directory in the container
    #[arg(long, value_name = "DIR")]
    pub(super) cwd: Option<PathBuf>,
    /// Set an environment variable
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub(super) env: Vec<String>,
    /// Give the process a terminal
    #[arg(short, long)]
    pub(super) tty: bool,
    /// Its user, in numbers
    #[arg(short, long, value_name = "UID[:GID]")]
    pub(super) user: Option<String>,
    /// More groups, in numbers
    #[arg(short = 'g', long, value_name = "GID")]
    pub(super) additional_gids: Vec<u32>,
    /// Take the process from this file
    #[arg(short, long, value_name = "FILE")]
    pub(super) process: Option<PathBuf>,
    /// Return as soon as the program runs
    #[arg(short, long)]
    pub(super) detach: bool,
    /// Write the PID of the process to this file
    #[arg(long, value_name = "FILE")]
    pub(super) pid_file: Option<PathBuf>,
    /// Its SELinux label
    #[arg(long, value_name = "LABEL")]
    pub(super) process_label: Option<String>,
    /// Its AppArmor profile
    #[arg(long, value_name = "PROFILE")]
    pub(super) apparmor: Option<String>,
    /// It and its children can gain no privileges
    #[arg(long)]
    pub(super) no_new_privs: bool,
    /// Add a capability
    #[arg(short, long, value_name = "NAME")]
    pub(super) cap: Vec<String>,
    /// Leave the process this many descriptors after standard error (and after $LISTEN_FDS)
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) preserve_fds: u32,
    /// Run it in an existing sub-cgroup
    #[arg(long, value_name = "[CONTROLLER:]PATH")]
    pub(super) cgroup: Vec<String>,
    /// Also in a paused container
    #[arg(long)]
    pub(super) ignore_paused: bool,
    /// The container
    pub(super) id: String,
    /// The program and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(super) args: Vec<String>,
}

#[derive(Args, Debug)]
pub(super) struct KillFlags {
    /// Send it to every process of the container
    #[arg(short, long)]
    pub(super) all: bool,
    /// The container
    pub(super) id: String,
    /// The signal, by name or number
    #[arg(default_value = "SIGTERM")]
    pub(super) signal: String,
}

#[derive(Args, Debug)]
pub(super) struct DeleteFlags {
    /// End the container if it still runs (SIGKILL)
    #[arg(short, long)]
    pub(super) force: bool,
    /// The containers
    #[arg(required = true)]
    pub(super) ids: Vec<String>,
}

#[derive(Args, Debug)]
pub(super) struct ListFlags {
    /// table or json
    #[arg(short, long, default_value = "table")]
    pub(super) format: Format,
    /// Only ids
    #[arg(short, long)]
    pub(super) quiet: bool,
}

#[derive(Args, Debug)]
pub(super) struct PsFlags {
    /// table or json
    #[arg(short, long, default_value = "table")]
    pub(super) format: Format,
    /// The container
    pub(super) id: String,
    /// Arguments for ps [default: -ef]
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(super) args: Vec<String>,
}

#[derive(Args, Debug)]
pub(super) struct EventsFlags {
    /// How often statistics are printed
    #[arg(long, default_value = "5s")]
    pub(super) interval: String,
    /// Print statistics once and end
    #[arg(long)]
    pub(super) stats: bool,
    /// The container
    pub(super) id: String,
}

#[derive(Args, Debug)]
pub(super) struct SpecFlags {
    /// Where config.json is written [default: the current directory]
    #[arg(short, long, value_name = "DIR")]
    pub(super) bundle: Option<PathBuf>,
    /// For a caller without privilege
    #[arg(long)]
    pub(super) rootless: bool,
}

#[derive(Args, Debug)]
pub(super) struct UpdateFlags {
    /// Take the limits from this file as JSON, - for standard input; other flags are then ignored
    #[arg(short, long, value_name = "FILE")]
    pub(super) resources: Option<String>,
    /// Relative weight of block I/O, 10 to 1000
    #[arg(long, value_name = "WEIGHT")]
    pub(super) blkio_weight: Option<u16>,
    /// Period of the CPU quota in microseconds
    #[arg(long, value_name = "US")]
    pub(super) cpu_period: Option<u64>,
    /// CPU time in each period in microseconds, -1 for no limit
    #[arg(long, value_name = "US", allow_negative_numbers = true)]
    pub(super) cpu_quota: Option<i64>,
    /// CPU time that may be saved up, in microseconds
    #[arg(long, value_name = "US")]
    pub(super) cpu_burst: Option<u64>,
    /// Relative weight of CPU time
    #[arg(long, value_name = "SHARES")]
    pub(super) cpu_share: Option<u64>,
    /// Period of the real-time quota in microseconds
    #[arg(long, value_name = "US")]
    pub(super) cpu_rt_period: Option<u64>,
    /// Real-time CPU time in each period in microseconds
    #[arg(long, value_name = "US", allow_negative_numbers = true)]
    pub(super) cpu_rt_runtime: Option<i64>,
    /// 1: only idle CPU time; 0: as usual
    #[arg(long, value_name = "0|1")]
    pub(super) cpu_idle: Option<i64>,
    /// CPUs to use, such as 0-3,7
    #[arg(long, value_name = "LIST")]
    pub(super) cpuset_cpus: Option<String>,
    /// Memory nodes to use
    #[arg(long, value_name = "LIST")]
    pub(super) cpuset_mems: Option<String>,
    /// Memory limit in bytes
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    pub(super) memory: Option<String>,
    /// Soft memory limit in bytes
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    pub(super) memory_reservation: Option<String>,
    /// Memory and swap together in bytes, -1 for no limit
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    pub(super) memory_swap: Option<String>,
    /// Ignored: the kernel has this limit no more
    #[arg(long, value_name = "BYTES", hide = true)]
    pub(super) kernel_memory: Option<String>,
    /// Ignored: the kernel has this limit no more
    #[arg(long, value_name = "BYTES", hide = true)]
    pub(super) kernel_memory_tcp: Option<String>,
    /// How many processes there may be
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) pids_limit: Option<i64>,
    /// Intel RDT: schema of the L3 cache
    #[arg(long, value_name = "SCHEMA")]
    pub(super) l3_cache_schema: Option<String>,
    /// Intel RDT: schema of the memory bandwidth
    #[arg(long, value_name = "SCHEMA")]
    pub(super) mem_bw_schema: Option<String>,
    /// The container
    pub(super) id: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Table,
    Json,
}

/// runc's layout: callers parse the lines.
fn version() -> &'static str {
    concat!(
        "version ",
        env!("CARGO_PKG_VERSION"),
        "\ncommit: ",
        env!("CARGO_PKG_VERSION"),
        "\nspec: 1.3.0\nlibseccomp: 2.5.4"
    )
}
