//! The program that is run inside: found and executed there.

use std::ffi::CString;

use berth_base::{ErrorClass, escape_untrusted};
use berth_sys::{ArgVector, execve};
use rustix::fs::{Access, FileType};
use rustix::io::Errno;

use crate::cli::failure::Failure;

/// Where programs are looked for when the environment has no PATH.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The shell that every root folder with a shell has.
const SHELL: &str = "/bin/sh";

/// A program, its arguments and its environment.
pub(super) struct Program {
    /// As written; `None` is the caller's shell.
    name: Option<String>,
    arguments: Vec<CString>,
    environment: Vec<CString>,
    path: String,
    shell: String,
    /// Whether it is looked for in another mount namespace than the caller's.
    inside: bool,
}

impl Program {
    /// Takes a command, empty for the caller's shell, and `KEY=VALUE` pairs that win over the
    /// caller's environment.
    pub(super) fn new(
        command: &[String],
        pairs: Vec<String>,
        inside: bool,
    ) -> Result<Self, Failure> {
        let own = std::env::vars_os().filter_map(|(key, value)| {
            use std::os::unix::ffi::OsStringExt;
            let mut pair = key.into_vec();
            pair.push(b'=');
            pair.extend(value.into_vec());
            CString::new(pair).ok()
        });
        let mut environment: Vec<CString> = own.collect();
        for pair in pairs {
            let key = pair.split_inclusive('=').next().unwrap_or_default();
            environment.retain(|old| !old.as_bytes().starts_with(key.as_bytes()));
            environment.extend(CString::new(pair));
        }
        let value = |key: &str| {
            let pair = environment.iter().find_map(|pair| {
                let text = pair.to_str().ok()?;
                text.strip_prefix(key)?.strip_prefix('=')
            });
            pair.filter(|value| !value.is_empty()).map(str::to_owned)
        };
        let path = value("PATH").unwrap_or_else(|| PATH.to_owned());
        let shell = value("SHELL").filter(|shell| shell.starts_with('/'));
        let arguments: Result<Vec<CString>, _> = command
            .iter()
            .map(|word| CString::new(word.as_str()))
            .collect();
        Ok(Self {
            name: command.first().cloned(),
            arguments: arguments
                .map_err(|_| Failure::usage("an argument of the command holds a NUL byte"))?,
            environment,
            path,
            shell: shell.unwrap_or_else(|| SHELL.to_owned()),
            inside,
        })
    }

    /// Replaces this process by the program, which is looked for where we are now. Returns why
    /// not, with exit code 126 or 127.
    pub(super) fn execute(&self) -> Failure {
        let (name, file) = match self.locate() {
            Ok(found) => found,
            Err(failure) => return failure,
        };
        let Ok(file) = CString::new(file) else {
            return self.not_found(&name);
        };
        let mut arguments = self.arguments.clone();
        if arguments.is_empty() {
            arguments.push(file.clone());
        }
        berth_sys::signal::reset_all();
        // What cannot be unblocked was not blocked by us.
        drop(berth_sys::signal::unblock_all());
        if let Err(error) = berth_sys::close_on_exec_from(3) {
            return refused(&name, error);
        }
        let arguments = ArgVector::new(arguments);
        let environment = ArgVector::new(self.environment.clone());
        match execve(&file, &arguments, &environment) {
            // The file is there: it is its interpreter that is not.
            Errno::NOENT => Failure {
                exit_code: Some(127),
                ..Failure::new(
                    ErrorClass::NotFound,
                    format!("cannot run {name:?}: its interpreter or loader is missing"),
                )
                .on(name)
            },
            error => refused(&name, error),
        }
    }

    /// The name to show and the file to execute.
    fn locate(&self) -> Result<(String, String), Failure> {
        let Some(name) = &self.name else {
            let shell = [self.shell.as_str(), SHELL]
                .into_iter()
                .find(|shell| is_executable(shell))
                .unwrap_or(SHELL);
            return Ok((shell.to_owned(), shell.to_owned()));
        };
        if name.contains('/') {
            return match rustix::fs::stat(name.as_str()) {
                Err(Errno::NOENT | Errno::NOTDIR) => Err(self.not_found(name)),
                _ => Ok((name.clone(), name.clone())),
            };
        }
        let mut there = None;
        for folder in self.path.split(':') {
            let folder = if folder.is_empty() { "." } else { folder };
            let file = format!("{folder}/{name}");
            if is_executable(&file) {
                return Ok((name.clone(), file));
            }
            if rustix::fs::stat(file.as_str()).is_ok() {
                there.get_or_insert(file);
            }
        }
        match there {
            Some(file) => Ok((name.clone(), file)),
            None => Err(self.not_found(name)),
        }
    }

    fn not_found(&self, name: &str) -> Failure {
        let name = escape_untrusted(name);
        let place = if name.contains('/') { "" } else { " in PATH" };
        let next = match self.inside {
            true => " of its root; --ns without mnt keeps your own programs",
            false => "",
        };
        Failure {
            exit_code: Some(127),
            ..Failure::new(
                ErrorClass::NotFound,
                format!("cannot run \"{name}\": executable file not found{place}{next}"),
            )
            .on(name)
        }
    }
}

fn is_executable(file: &str) -> bool {
    let is_file = rustix::fs::stat(file)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
    is_file && rustix::fs::access(file, Access::EXEC_OK).is_ok()
}

fn refused(name: &str, error: Errno) -> Failure {
    let name = escape_untrusted(name);
    let why = match error {
        Errno::ACCESS | Errno::PERM => {
            "permission denied; it is a directory, or lacks the execute permission".to_owned()
        }
        Errno::NOEXEC => "it is neither a program nor a script with a first line #!".to_owned(),
        error => std::io::Error::from(error).to_string(),
    };
    Failure {
        exit_code: Some(126),
        ..Failure::new(ErrorClass::Denied, format!("cannot run \"{name}\": {why}")).on(name)
    }
}
