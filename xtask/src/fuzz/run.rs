//! One target at work, and what it found.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::build::Built;
use super::targets::Target;
use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::setup;

/// Where targets make their folders; thousands a second, of which no disk should hear.
pub(super) const MEMORY: &str = "/dev/shm";

/// A target that needs more has found something.
const MEMORY_MIB: u32 = 1024;

/// An input that takes longer is found, on a machine as loaded as can be.
const SECONDS_FOR_ONE: u32 = 60;

/// Runs a program where nothing but loopback is in reach.
const APART: &str = r#"ip link set lo up && exec "$0" "$@""#;

/// The folders of a target.
pub(super) struct Place<'a> {
    target: &'a Target,
    program: PathBuf,
    scratch: &'a Path,
    seeds: PathBuf,
    corpus: PathBuf,
    found: PathBuf,
    log: PathBuf,
}

impl<'a> Place<'a> {
    /// Makes the folders.
    ///
    /// # Errors
    /// One cannot be made.
    pub(super) fn make(built: &Built, target: &'a Target, scratch: &'a Path) -> Outcome<Self> {
        let folder = |kind: &str| {
            let path = built.target_dir.join(kind).join(target.name);
            fs::create_dir_all(&path)
                .map(|()| path.clone())
                .map_err(|error| Failure::file("create", &path, &error))
        };
        Ok(Self {
            target,
            program: built.programs.join(target.name),
            scratch,
            seeds: folder("seeds")?,
            corpus: folder("corpus")?,
            found: folder("found")?,
            log: folder("log")?.join("last"),
        })
    }

    /// Makes up inputs for so long.
    ///
    /// # Errors
    /// An input was found that must not be; the message shows it and how to try it again.
    pub(super) fn explore(&self, time: Duration) -> Outcome {
        let before = self.inputs()?;
        let mut command = self.command()?;
        command
            .arg(format!("-max_total_time={}", time.as_secs()))
            .arg(format!("-max_len={}", self.target.longest_bytes))
            .arg(format!("-artifact_prefix={}/", self.found.display()))
            .arg("-print_final_stats=1")
            .arg(&self.corpus)
            .arg(&self.seeds);
        let status = self.logged(&mut command)?;
        let said = self.said()?;
        if status.success() {
            println!("{:<10} {}", self.target.name, summary(&said));
            return Ok(());
        }
        let mut message = format!("{} ended with {status}:\n{}", self.target.name, tail(&said));
        for input in self.inputs()? {
            if !before.contains(&input) {
                message.push_str(&self.describe(&input));
            }
        }
        Err(Failure::new(message))
    }

    /// Tries one input, with the terminal.
    ///
    /// # Errors
    /// The target fails.
    pub(super) fn try_one(&self, input: &Path) -> Outcome {
        exec::run(self.command()?.arg(input))
    }

    fn command(&self) -> Outcome<Command> {
        let mut command = match self.target.talks {
            true => Command::new("unshare"),
            false => Command::new(&self.program),
        };
        if self.target.talks {
            let user = (!setup::is_root()?).then_some("--map-root-user");
            command.args(user).args(["--net", "--", "sh", "-c", APART]);
            command.arg(&self.program);
        }
        command
            .arg(format!("-rss_limit_mb={MEMORY_MIB}"))
            .arg(format!("-timeout={SECONDS_FOR_ONE}"))
            .env("BERTH_FUZZ_DIR", self.scratch)
            .env("BERTH_FUZZ_SEEDS", &self.seeds)
            // Reading the system's authorities would be most of what a target does.
            .env("SSL_CERT_FILE", "/dev/null")
            // The message says where; the stack would be the end of the log.
            .env("RUST_BACKTRACE", "0")
            .current_dir(self.scratch);
        Ok(command)
    }

    fn logged(&self, command: &mut Command) -> Outcome<std::process::ExitStatus> {
        let log =
            File::create(&self.log).map_err(|error| Failure::file("create", &self.log, &error))?;
        let twice = log
            .try_clone()
            .map_err(|error| Failure::file("open", &self.log, &error))?;
        command
            .stdout(twice)
            .stderr(log)
            .status()
            .map_err(|error| exec::cannot_start(command, &error))
    }

    fn said(&self) -> Outcome<String> {
        let bytes =
            fs::read(&self.log).map_err(|error| Failure::file("read", &self.log, &error))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// What was found by now.
    fn inputs(&self) -> Outcome<Vec<PathBuf>> {
        let entries = fs::read_dir(&self.found)
            .map_err(|error| Failure::file("read", &self.found, &error))?;
        Ok(entries.flatten().map(|entry| entry.path()).collect())
    }

    fn describe(&self, input: &Path) -> String {
        let bytes = fs::read(input).unwrap_or_default();
        format!(
            "\ninput of {} bytes: {}\ntry it again: cargo xtask fuzz {} {}\n",
            bytes.len(),
            shown(&bytes),
            self.target.name,
            input.display()
        )
    }
}

/// The beginning of an input, as Rust writes bytes.
fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 2000;
    let head = bytes.get(..MOST).unwrap_or(bytes);
    let more = if bytes.len() > MOST { "..." } else { "" };
    format!("b\"{}\"{more}", head.escape_ascii())
}

/// Inputs that were tried, and edges that they reached.
fn summary(said: &str) -> String {
    let tried = said
        .lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))
        .map_or("no", str::trim);
    let edges = said
        .lines()
        .rev()
        .find_map(|line| line.split("cov: ").nth(1)?.split(' ').next())
        .unwrap_or("no");
    format!("{tried:>9} inputs, {edges} edges")
}

/// The last lines of a log.
fn tail(said: &str) -> String {
    let lines: Vec<&str> = said.lines().collect();
    let from = lines.len().saturating_sub(40);
    lines.get(from..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_summed_up() {
        let said = "#2\tINITED cov: 80 ft: 81 corp: 1/1b\n#9\tDONE   cov: 214 ft: 900 corp: 3/9b\n\
                    stat::number_of_executed_units: 123456\nstat::peak_rss_mb:  41\n";
        assert_eq!(summary(said), "   123456 inputs, 214 edges");
        assert_eq!(summary(""), "       no inputs, no edges");
    }

    #[test]
    fn an_input_is_shown_as_rust_would_write_it() {
        assert_eq!(shown(b"a\"\xff\n"), r#"b"a\"\xff\n""#);
        assert!(shown(&[0; 5000]).ends_with("\"..."));
    }
}
