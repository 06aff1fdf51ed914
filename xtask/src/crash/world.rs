//! A root and a state folder of our own, and commands on them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use super::host;
use super::operations::{Program, Step};
use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::soak::bounded;

/// SIGKILL.
const KILLED: i32 = 9;
/// A command that takes longer hangs.
const DEADLINE: Duration = Duration::from_secs(60);

/// The programs of the dev profile, which alone know faults.
#[derive(Debug)]
pub(super) struct Programs {
    pub(super) berth: PathBuf,
    pub(super) store: PathBuf,
    /// The folder of the archives.
    pub(super) fixtures: PathBuf,
}

/// One root, by one worker.
#[derive(Debug)]
pub(super) struct World<'a> {
    pub(super) programs: &'a Programs,
    /// Holds `r`, the root, `s`, the state, and `t`, the traces.
    pub(super) folder: PathBuf,
    /// Begins the names of its containers, and is its parent of cgroups.
    pub(super) token: String,
}

/// What is set in the environment of a command.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults<'a> {
    /// `BERTH_FAULT`.
    pub(super) fault: Option<&'a str>,
    /// Whether its operations are written down.
    pub(super) trace: bool,
    /// Both are for what the monitors of containers execute that it starts.
    pub(super) is_beyond: bool,
}

impl<'a> World<'a> {
    pub(super) fn root(&self) -> PathBuf {
        self.folder.join("r")
    }

    pub(super) fn state(&self) -> PathBuf {
        self.folder.join("s")
    }

    pub(super) fn trace(&self) -> PathBuf {
        self.folder.join("t/trace")
    }

    /// There once a fault has come about, in whichever process.
    pub(super) fn note(&self) -> PathBuf {
        self.folder.join("t/hit")
    }

    /// Another of the same worker, in another folder.
    pub(super) fn beside(&self, name: &str) -> Self {
        Self {
            programs: self.programs,
            folder: self.folder.with_file_name(name),
            token: self.token.clone(),
        }
    }

    /// Removes all that is in it.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub(super) fn clear(&self) -> Outcome {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Failure::file("remove", &self.folder, &error));
            }
            _ => {}
        }
        let traces = self.folder.join("t");
        fs::create_dir_all(&traces).map_err(|error| Failure::file("create", &traces, &error))
    }

    /// Becomes a copy of another.
    ///
    /// # Errors
    /// Something cannot be copied.
    pub(super) fn copy_of(&self, template: &World<'_>) -> Outcome {
        self.clear()?;
        for name in ["r", "s"] {
            let from = template.folder.join(name);
            if from.exists() {
                copy_tree(&from, &self.folder.join(name))?;
            }
        }
        Ok(())
    }

    /// Runs a command.
    ///
    /// # Errors
    /// It cannot be started, or hangs.
    pub(super) fn run(
        &self,
        program: Program,
        words: &[&str],
        faults: Faults<'_>,
    ) -> Outcome<Output> {
        let mut command = self.command(program, words);
        let whose = match faults.is_beyond {
            true => "BERTH_BEYOND",
            false => "BERTH_FAULT",
        };
        if let Some(fault) = faults.fault {
            command.env(whose, fault);
            command.env(format!("{whose}_NOTE"), self.note());
        }
        if faults.trace {
            command.env(format!("{whose}_TRACE"), self.trace());
        }
        let output = bounded::output(&mut command, DEADLINE)?;
        self.wait_for_background()?;
        Ok(output)
    }

    /// Runs a command of `berth` and does not wait for what it leaves behind.
    ///
    /// # Errors
    /// It cannot be started, or hangs.
    pub(super) fn run_beside_others(&self, words: &[&str]) -> Outcome<Output> {
        bounded::output(&mut self.command(Program::Berth, words), DEADLINE)
    }

    /// Waits until what a command left behind to sync layers has ended, too: it knows the faults, and
    /// what it is killed at comes before the recovery.
    fn wait_for_background(&self) -> Outcome {
        let begin = Instant::now();
        while self.has_background() {
            if begin.elapsed() > DEADLINE {
                let root = self.root();
                return Err(Failure::new(format!(
                    "a process of {} does not end",
                    root.display()
                )));
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Whether a `berth` with our root lives; keepers and monitors have other command lines, and the
    /// resolver outlives its containers.
    fn has_background(&self) -> bool {
        let ours = self.own_command_line();
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let mut lines = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        lines.any(|line| line.starts_with(&ours) && !host::is_resolver(&line))
    }

    fn command(&self, program: Program, words: &[&str]) -> Command {
        let mut command = match program {
            Program::Berth => Command::new(&self.programs.berth),
            Program::Store => Command::new(&self.programs.store),
        };
        for name in ["BERTH_FAULT", "BERTH_FAULT_NOTE", "BERTH_FAULT_TRACE"] {
            command.env_remove(name);
        }
        match program {
            Program::Berth => {
                command.arg("--root").arg(self.root());
                command.arg("--state").arg(self.state());
                command.arg("--cgroup-parent").arg(&self.token);
                command.args(["--default-network", "none"]);
            }
            Program::Store => {
                command.arg(self.root());
            }
        }
        let named = words.iter().map(|word| self.named(word));
        command.args(named);
        command
    }

    /// A word with the token and the folder of the archives in their places.
    pub(super) fn named(&self, word: &str) -> String {
        word.replace('@', &format!("{}-", self.token))
            .replace('%', &self.programs.fixtures.display().to_string())
    }

    /// Runs a command that must succeed; what it prints.
    ///
    /// # Errors
    /// It does not.
    pub(super) fn must(&self, program: Program, words: &[&str]) -> Outcome<String> {
        let output = self.run(program, words, Faults::default())?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(Failure::new(format!(
            "\"{}\" ended with {}: {}",
            exec::shown(&self.command(program, words)),
            output.status,
            said(&output)
        )))
    }

    /// Runs steps of a preparation: they succeed, or die of their faults. A trace goes where that of
    /// the operation goes.
    ///
    /// # Errors
    /// One does not.
    pub(super) fn steps(&self, program: Program, steps: &[Step], trace: bool) -> Outcome {
        for step in steps {
            let program = step.by.unwrap_or(program);
            let fault = step.fault;
            let output = self.run(
                program,
                step.words,
                Faults {
                    fault,
                    trace,
                    ..Faults::default()
                },
            )?;
            let as_wanted = match fault {
                Some(fault) if fault.starts_with("fail=") => output.status.success(),
                Some(_) => was_killed(&output),
                None => output.status.success(),
            };
            if !as_wanted {
                return Err(Failure::new(format!(
                    "{:?} was to {} and ended with {}: {}",
                    step.words,
                    fault.map_or("succeed".to_owned(), |fault| format!("die of {fault}")),
                    output.status,
                    said(&output)
                )));
            }
        }
        Ok(())
    }
}

/// Whether the command died of SIGKILL.
pub(super) fn was_killed(output: &Output) -> bool {
    output.status.signal() == Some(KILLED)
}

/// What a command wrote to standard error, in one line.
pub(super) fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    text.trim().replace('\n', " / ")
}

/// Copies folders, files and links; sockets and what else there may be is nothing without its
/// process.
pub(super) fn copy_tree(from: &Path, to: &Path) -> Outcome {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| Failure::file("copy", &path, &error)
    };
    let meta = fs::symlink_metadata(from).map_err(failed(from))?;
    if meta.is_symlink() {
        let target = fs::read_link(from).map_err(failed(from))?;
        return symlink(target, to).map_err(failed(to));
    }
    if meta.is_file() {
        return fs::copy(from, to).map(drop).map_err(failed(from));
    }
    if !meta.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(to).map_err(failed(to))?;
    let mode = fs::Permissions::from_mode(meta.permissions().mode());
    fs::set_permissions(to, mode).map_err(failed(to))?;
    for entry in fs::read_dir(from).map_err(failed(from))? {
        let entry = entry.map_err(failed(from))?;
        copy_tree(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}
