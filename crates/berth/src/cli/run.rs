//! `berth run`: create, start, attach, wait, remove.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use berth_base::{ContainerId, ErrorClass};
use berth_engine::{Container, RemoveOptions, StartAttach};
use clap::{ArgAction, Args};

use super::failure::Failure;
use super::flags::ContainerFlags;
use super::global::config_file;
use super::parse::keys::{DetachKeys, detach_keys};
use super::{Context, Outcome};
use crate::terminal::{
    Attachment, End, SignalPolicy, Signals, attach, check_terminal, terminal_size,
};

/// Create and start a container.
#[derive(Args, Debug)]
#[command(
    override_usage = "berth run [OPTIONS] IMAGE [COMMAND] [ARG...]",
    disable_help_flag = true,
    args_override_self = true
)]
pub(crate) struct Run {
    /// Leave it in the background and print its id
    #[arg(short, long, help_heading = "Options")]
    pub(crate) detach: bool,
    /// Keys that leave it, where -it joins it; ctrl-p,ctrl-q unless configured
    #[arg(long, value_name = "KEYS", value_parser = detach_keys, help_heading = "Options",
          allow_hyphen_values = true)]
    detach_keys: Option<DetachKeys>,
    /// Pass signals on to it, where there is no terminal
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value_t = true, default_missing_value = "true", action = ArgAction::Set,
          hide_possible_values = true, hide_default_value = true, help_heading = "Options")]
    sig_proxy: bool,
    #[command(flatten)]
    pub(crate) container: ContainerFlags,
    /// Print help
    #[arg(long, action = ArgAction::Help, help_heading = "Options")]
    help: Option<bool>,
}

impl Run {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let flags = &self.container;
        if self.detach && flags.attached().is_some() {
            return Err(Failure::usage(
                "-a and -d exclude each other: -d attaches to nothing; leave one out",
            )
            .on("--attach"));
        }
        let options = flags.options(self.detach)?;
        if !self.detach {
            check_terminal(flags.interactive(), flags.terminal())?;
        }
        let cidfile = CidFile::open(flags.cidfile())?;
        super::pull::ensure(context, flags.wanted_image())?;
        // Taken over before anything is made: a Ctrl-C from here on reaches the container.
        let signals = match self.detach {
            true => None,
            false => Some(self.take_signals()?),
        };
        let created = context.engine.create(&options)?;
        context.warn_all(&created.warnings);
        if let Err(failure) = cidfile.write(&created.id) {
            return Err(undo(context, &created.id, failure));
        }
        match signals {
            None => self.background(context, &created.id),
            Some(mut signals) => self.foreground(context, &created.id, &mut signals),
        }
    }

    fn take_signals(&self) -> Result<Signals, Failure> {
        let terminal = self.container.terminal();
        Signals::take(SignalPolicy::of(self.sig_proxy, terminal), terminal)
    }

    fn background(&self, context: &mut Context, id: &ContainerId) -> Outcome {
        let started = match context.engine.start(id, &StartAttach::default()) {
            Ok(started) => started,
            Err(error) => {
                if !self.container.auto_remove() {
                    context.out.line(id.as_str())?;
                    context.out.flush()?;
                }
                return Err(self.not_started(context, id, error.into()));
            }
        };
        context.warn_all(&started.warnings);
        context.out.line(id.as_str())?;
        Ok(0)
    }

    fn foreground(
        &self,
        context: &mut Context,
        id: &ContainerId,
        signals: &mut Signals,
    ) -> Outcome {
        let flags = &self.container;
        let detach_keys = attached_keys(self.detach_keys.as_ref(), flags.terminal());
        let detach_keys = detach_keys.map_err(|failure| undo(context, id, failure))?;
        let output = flags.shown();
        // -a stdin without -i feeds nobody, as with Docker.
        let stdin = flags.interactive();
        let wanted = StartAttach {
            output: output.any(),
            stdin,
            size: terminal_size(),
            client_handles_exit: flags.auto_remove(),
        };
        let started = context.engine.start(id, &wanted);
        let mut started = started.map_err(|e| self.not_started(context, id, e.into()))?;
        context.warn_all(&started.warnings);
        if !output.any() {
            // As with -d: whoever feeds it finds it again.
            context.out.line(id.as_str())?;
            context.out.flush()?;
        }
        let attachment = Attachment {
            engine: &context.engine,
            id,
            stdin,
            output,
            joins: false,
            raw: stdin && flags.terminal(),
            detach_keys,
            first_process: true,
        };
        // Held until the container is removed: the monitor removes it when we are gone.
        let end = attach(&attachment, &mut started.session, signals)?;
        if let End::Exited(_) = end
            && flags.auto_remove()
        {
            // The exit code is the container's, whatever becomes of its remains. Who restarts it
            // wants it still.
            if let Err(error) = context.engine.exited(id) {
                context.console.fail(&error.into());
            }
        }
        Ok(end.exit_code())
    }

    /// What becomes of a container whose start failed: as with Docker it stays, to be started again
    /// or looked at, unless it was to go at its end.
    fn not_started(&self, context: &Context, id: &ContainerId, failure: Failure) -> Failure {
        if self.container.auto_remove() {
            return undo(context, id, failure);
        }
        match context.engine.inspect(id) {
            Ok(container) => failure.hinted(&kept(&container)),
            // Somebody removed it meanwhile.
            Err(_) => failure,
        }
    }
}

/// What to do with a container that was made and did not start.
fn kept(container: &Container) -> String {
    let name = &container.name;
    format!(
        "container {name} is kept: \"berth inspect {name}\" shows it, \"berth start {name}\" tries again, \"berth rm {name}\" removes it"
    )
}

/// The keys that detach from a process with a terminal: the flag's, the configuration file's, else
/// Docker's; none from one without.
pub(super) fn attached_keys(keys: Option<&DetachKeys>, terminal: bool) -> Result<Vec<u8>, Failure> {
    if !terminal {
        return Ok(Vec::new());
    }
    let keys = match keys {
        Some(keys) => Some(keys.clone()),
        None => config_file()?.detach_keys,
    };
    Ok(keys.unwrap_or_default().0)
}

/// Removes a container that was made but never ran, and answers why. Where that fails too, the
/// user is told both.
pub(super) fn undo(context: &Context, id: &ContainerId, failure: Failure) -> Failure {
    if let Err(error) = remove(context, id) {
        context.console.warn(&error.message);
    }
    failure
}

fn remove(context: &Context, id: &ContainerId) -> Result<(), Failure> {
    let options = RemoveOptions {
        force: false,
        volumes: true,
    };
    match context.engine.remove(id, &options) {
        // Its monitor was faster.
        Err(error) if error.class == ErrorClass::NotFound => Ok(()),
        other => other.map_err(Failure::from),
    }
}

/// `--cidfile`: claimed before the container is made, so that no container is made for nothing.
pub(super) struct CidFile(Option<(File, PathBuf)>);

impl CidFile {
    /// Makes the file, which must not exist.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Ok(Self(None));
        };
        let file = OpenOptions::new().write(true).create_new(true).open(path);
        match file {
            Ok(file) => Ok(Self(Some((file, path.to_owned())))),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Failure::usage(
                format!(
                    "the file of --cidfile exists: {}; is another container using it? remove it or name another",
                    path.display()
                ),
            )
            .on(path.display().to_string())),
            Err(error) => Err(Failure::usage(format!(
                "cannot make the file of --cidfile {}: {error}",
                path.display()
            ))
            .on(path.display().to_string())),
        }
    }

    /// Writes the id. Without a write the file is removed again.
    pub(super) fn write(mut self, id: &ContainerId) -> Result<(), Failure> {
        let Some((mut file, path)) = self.0.take() else {
            return Ok(());
        };
        file.write_all(id.as_str().as_bytes()).map_err(|error| {
            Failure::new(
                ErrorClass::Unavailable,
                format!("cannot write the id to {}: {error}", path.display()),
            )
        })
    }
}

impl Drop for CidFile {
    fn drop(&mut self) {
        if let Some((_, path)) = self.0.take() {
            // An empty file left behind is a nuisance, not a failure.
            drop(std::fs::remove_file(path));
        }
    }
}
