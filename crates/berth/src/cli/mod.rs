//! The command line: what it looks like, and one file for each command.

mod attach;
mod check;
mod commit;
mod complete;
mod completion;
mod config;
mod container;
mod cp;
mod create;
mod diff;
mod elsewhere;
mod empty;
mod enter;
mod events;
mod exec;
mod exec_sessions;
mod export;
pub(crate) mod failure;
mod filter;
mod flags;
mod global;
mod help;
mod image;
mod import;
mod info;
mod inspect;
mod internal;
mod kill;
mod later;
mod load;
mod login;
mod logout;
mod logs;
mod manual;
mod map;
mod network;
mod ns;
pub(crate) mod output;
pub(crate) mod parse;
mod pause;
mod pid;
mod port;
mod progress;
mod proxies;
mod prune;
mod ps;
mod pull;
mod push;
mod registry;
mod rename;
mod restart;
mod rm;
mod run;
mod save;
mod start;
mod stats;
mod stop;
mod subject;
mod surface;
mod system;
mod top;
mod update;
mod usage;
mod version;
mod volume;
mod wait;
mod who;

use std::ffi::OsString;

use berth_base::ContainerId;
use berth_engine::{Container, Engine, EngineConfig};
use clap::builder::styling::Styles;
use clap::{Parser, Subcommand};

use failure::{Console, EXIT_ENGINE, EXIT_FAILURE, Failure};
use later::Later;
use output::Output;

/// Run processes in containers, and tell their PIDs at every level.
#[derive(Parser, Debug)]
#[command(
    name = "berth",
    version,
    disable_version_flag = true,
    args_override_self = true,
    subcommand_required = true,
    arg_required_else_help = true,
    propagate_version = false,
    infer_long_args = false,
    styles = Styles::plain(),
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: global::GlobalFlags,
    /// Print the version
    #[arg(short = 'v', long, action = clap::ArgAction::Version, help_heading = "Options")]
    version: Option<bool>,
    #[command(subcommand)]
    pub(crate) command: CliCommand,
}

/// The commands, in the order of the help text.
#[derive(Subcommand, Debug)]
pub(crate) enum CliCommand {
    /// Create and start a container
    Run(Later<run::Run>),
    /// Create a container without starting it
    Create(Later<create::Create>),
    /// Start containers
    Start(Later<start::Start>),
    /// Run a further process in a running container
    Exec(Later<exec::Exec>),
    /// Join the streams of a running container
    Attach(Later<attach::Attach>),
    /// List containers
    Ps(Later<ps::Ps>),
    /// Stop containers: a signal, a timeout, then SIGKILL
    Stop(Later<stop::Stop>),
    /// Stop containers and start them again
    Restart(Later<restart::Restart>),
    /// Send a signal to containers, SIGKILL unless told otherwise
    Kill(Later<kill::Kill>),
    /// Give a container another name
    Rename(Later<rename::Rename>),
    /// Stop every process of containers where it is
    Pause(Later<pause::Pause>),
    /// Let paused containers go on
    Unpause(Later<pause::Unpause>),
    /// Change the limits and the restart policy of containers
    Update(Later<update::Update>),
    /// Remove containers
    Rm(Later<rm::Rm>),
    /// Remove what nothing uses, as system prune does
    Prune(Later<system::Prune>),
    /// Wait until containers end, then print their exit codes
    Wait(Later<wait::Wait>),
    /// Show what a container wrote
    Logs(Later<logs::Logs>),
    /// Copy files between the host and a container
    Cp(Later<cp::Cp>),
    /// Show everything about containers, images, networks and volumes
    Inspect(Later<inspect::Inspect>),
    /// List images
    Images(Later<image::Images>),
    /// Remove images
    Rmi(Later<image::Rmi>),
    /// Give an image another name
    Tag(Later<image::Tag>),
    /// Show how an image came about
    History(Later<image::History>),
    /// Look after images
    Image(Later<image::Image>),
    /// Make an image of a container
    Commit(Later<commit::Commit>),
    /// Show what a container changed of its image
    Diff(Later<diff::Diff>),
    /// Write the root of a container as a tar
    Export(Later<export::Export>),
    /// Download images from a registry
    Pull(Later<pull::Pull>),
    /// Upload an image to a registry
    Push(Later<push::Push>),
    /// Log in to a registry
    Login(Later<login::Login>),
    /// Log out of a registry
    Logout(Later<logout::Logout>),
    /// Load images from an archive
    Load(Later<load::Load>),
    /// Write images into an archive
    Save(Later<save::Save>),
    /// Make an image of the tar of a root filesystem
    Import(Later<import::Import>),
    /// Show what containers use up
    Stats(Later<stats::Stats>),
    /// Show what happens, and what has happened
    Events(Later<events::Events>),
    /// Show which ports of the host lead to a container
    Port(Later<port::Port>),
    /// List the processes of a container
    Top(Later<top::Top>),
    /// Translate a PID between the host and containers
    Pid(Later<pid::Pid>),
    /// Draw all processes, their namespaces and their PIDs at each level
    Map(Later<map::Map>),
    /// List namespaces: who lives in them, who holds them
    Ns(Later<ns::Ns>),
    /// Show what keeps a namespace alive
    Who(Later<who::Who>),
    /// Run a command in the namespaces of a process
    Enter(Later<enter::Enter>),
    /// Find what is wrong with how containers are isolated
    Check(Later<check::Check>),
    /// Manage containers
    Container(Later<container::Container>),
    /// Look after the whole store
    System(Later<system::System>),
    /// Manage networks
    Network(Later<network::Network>),
    /// Manage volumes
    Volume(Later<volume::Volume>),
    /// Show the version
    Version(Later<version::Version>),
    /// Show the engine's surroundings
    Info(Later<info::Info>),
    /// Write the completion of a shell
    Completion(Later<completion::Completion>),
    /// What monitors execute
    #[command(hide = true)]
    Internal(Later<internal::Internal>),
}

/// What every command gets.
pub(crate) struct Context {
    pub(crate) engine: Engine,
    pub(crate) config: EngineConfig,
    /// The global flags that were given.
    pub(crate) flags: Vec<&'static str>,
    pub(crate) console: Console,
    pub(crate) out: Output,
}

/// A command's exit code, or why it failed.
pub(crate) type Outcome = Result<u8, Failure>;

/// Runs one command line and answers the exit code.
pub(crate) fn run(arguments: &[OsString]) -> u8 {
    berth_sys::signal::ignore_file_size();
    let console = Console::new(global::error_format(arguments));
    let cli = match usage::parse(arguments) {
        Ok(cli) => cli,
        Err(usage::Early::Show(text)) => return show(&console, &text),
        Err(usage::Early::Fail(failure)) => {
            console.fail(&failure);
            return EXIT_ENGINE;
        }
    };
    let cli = cli.at_the_top();
    let usual = cli.command.failure_code();
    match execute(cli, console) {
        Ok(code) => code,
        Err(failure) => {
            console.fail(&failure);
            failure.exit_code.unwrap_or(usual)
        }
    }
}

fn show(console: &Console, text: &str) -> u8 {
    let mut out = Output::stdout();
    match out.text(text).and_then(|()| out.flush()) {
        Ok(()) => 0,
        Err(failure) => {
            console.fail(&failure);
            EXIT_FAILURE
        }
    }
}

fn execute(cli: Cli, console: Console) -> Outcome {
    let config = cli.global.engine_config()?;
    let mut context = Context {
        engine: Engine::open(config.clone())?,
        config,
        flags: cli.global.given(),
        console,
        out: Output::stdout(),
    };
    let code = cli.command.execute(&mut context)?;
    context.out.flush()?;
    Ok(code)
}

impl Cli {
    /// The same with `container run` as `run`.
    pub(crate) fn at_the_top(mut self) -> Self {
        if let CliCommand::Container(group) = self.command {
            self.command = group.0.at_the_top();
        }
        self
    }
}

impl CliCommand {
    fn execute(self, context: &mut Context) -> Outcome {
        match self {
            Self::Run(command) => command.execute(context),
            Self::Create(command) => command.execute(context),
            Self::Start(command) => command.execute(context),
            Self::Exec(command) => command.execute(context),
            Self::Attach(command) => command.execute(context),
            Self::Ps(command) => command.execute(context),
            Self::Stop(command) => command.execute(context),
            Self::Restart(command) => command.execute(context),
            Self::Kill(command) => command.execute(context),
            Self::Rename(command) => command.execute(context),
            Self::Pause(command) => command.execute(context),
            Self::Unpause(command) => command.execute(context),
            Self::Update(command) => command.execute(context),
            Self::Rm(command) => command.execute(context),
            Self::Prune(command) => command.execute(context),
            Self::Wait(command) => command.execute(context),
            Self::Logs(command) => command.execute(context),
            Self::Cp(command) => command.0.execute(context),
            Self::Inspect(command) => command.execute(context),
            Self::Images(command) => command.execute(context),
            Self::Rmi(command) => command.execute(context),
            Self::Tag(command) => command.execute(context),
            Self::History(command) => command.execute(context),
            Self::Image(command) => command.execute(context),
            Self::Commit(command) => command.execute(context),
            Self::Diff(command) => command.execute(context),
            Self::Export(command) => command.execute(context),
            Self::Pull(command) => command.execute(context),
            Self::Push(command) => command.execute(context),
            Self::Login(command) => command.execute(context),
            Self::Logout(command) => command.execute(context),
            Self::Load(command) => command.execute(context),
            Self::Save(command) => command.execute(context),
            Self::Import(command) => command.execute(context),
            Self::Stats(command) => command.execute(context),
            Self::Events(command) => command.execute(context),
            Self::Port(command) => command.execute(context),
            Self::Top(command) => command.execute(context),
            Self::Pid(command) => command.execute(context),
            Self::Map(command) => command.execute(context),
            Self::Ns(command) => command.execute(context),
            Self::Who(command) => command.execute(context),
            Self::Enter(command) => command.execute(context),
            Self::Check(command) => command.execute(context),
            Self::Container(command) => command.0.execute(context),
            Self::System(command) => command.execute(context),
            Self::Network(command) => command.execute(context),
            Self::Volume(command) => command.execute(context),
            Self::Version(command) => command.execute(context),
            Self::Info(command) => command.execute(context),
            Self::Completion(command) => command.execute(context),
            Self::Internal(command) => command.execute(context),
        }
    }

    /// The exit code of a failure that brings none of its own.
    const fn failure_code(&self) -> u8 {
        match self {
            Self::Run(_) | Self::Create(_) | Self::Exec(_) | Self::Enter(_) | Self::Check(_) => {
                EXIT_ENGINE
            }
            _ => EXIT_FAILURE,
        }
    }
}

impl Context {
    /// Tells the user what a use-case thought worth knowing.
    pub(crate) fn warn_all(&self, warnings: &[String]) {
        for warning in warnings {
            self.console.warn(warning);
        }
    }

    /// All containers that can be read; the user is told of the others, which hide nothing.
    pub(crate) fn containers(&self) -> Result<Vec<Container>, Failure> {
        self.each_container(Some)
    }

    /// What `visit` makes of all containers, newest first; as [`Self::containers`].
    pub(crate) fn each_container<T: Send>(
        &self,
        visit: impl Fn(Container) -> Option<T> + Sync,
    ) -> Result<Vec<T>, Failure> {
        let listing = self.engine.listing_of(visit)?;
        for (id, error) in listing.unreadable {
            let id = id.short();
            self.console
                .warn(&format!("container {id} is left out: {error}"));
        }
        Ok(listing.containers)
    }

    /// Does something for each of several containers: failures are reported and the others still
    /// done; the exit code is 1 when one failed.
    pub(crate) fn for_each(
        &mut self,
        references: &[String],
        mut work: impl FnMut(&mut Self, &str, &ContainerId) -> Result<(), Failure>,
    ) -> Outcome {
        let mut code = 0;
        for reference in references {
            let resolved = self.engine.resolve(reference).map_err(Failure::from);
            let done = resolved.and_then(|id| work(self, reference, &id));
            if let Err(failure) = done {
                // What was printed before it stands before it.
                self.out.flush()?;
                self.console.fail(&failure);
                code = EXIT_FAILURE;
            }
        }
        Ok(code)
    }
}
