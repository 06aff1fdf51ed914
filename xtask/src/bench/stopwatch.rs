//! A process that times others from within a given environment.
//!
//! Some peers only run in a mount namespace of their own. Entering it must not be part of their
//! time, so a copy of xtask lives in there and times what it is told to: one line of words comes
//! in (the first says how many copies are to run at once), one line with nanoseconds and exit code
//! goes out.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::exec;
use crate::failure::{Failure, Outcome};

/// Between words; no word of ours has it.
const UNIT_SEPARATOR: char = '\u{1f}';

/// Runs the hidden command `stopwatch FILE`: serves until its input ends.
pub(crate) fn serve(mut args: Args) -> Outcome {
    let log = args.word().map(PathBuf::from).unwrap_or_default();
    args.finish()?;
    let broken = |error| Failure::new(format!("the stopwatch lost its caller: {error}"));
    for line in std::io::stdin().lines() {
        let line = line.map_err(broken)?;
        let words: Vec<&str> = line.split(UNIT_SEPARATOR).collect();
        let (copies, words) = words
            .split_first()
            .and_then(|(copies, words)| Some((copies.parse().ok()?, words)))
            .ok_or_else(|| Failure::usage("stopwatch needs a number and a command"))?;
        let (time, code) = measure(words, copies, &log)?;
        println!("{} {code}", time.as_nanos());
    }
    Ok(())
}

/// From just before the first copy is started until all have been waited for. The code is that of
/// the first copy that failed.
fn measure(words: &[&str], copies: usize, log: &Path) -> Outcome<(Duration, i32)> {
    let (program, rest) = words
        .split_first()
        .ok_or_else(|| Failure::new("nothing to measure"))?;
    let errors = File::create(log).map_err(|error| Failure::file("create", log, &error))?;
    let mut commands = Vec::with_capacity(copies);
    for _ in 0..copies {
        let errors = errors
            .try_clone()
            .map_err(|error| Failure::file("open", log, &error))?;
        let mut command = Command::new(program);
        command
            .args(rest)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors);
        commands.push(command);
    }
    let begun = Instant::now();
    let started: Vec<_> = commands.iter_mut().map(Command::spawn).collect();
    let ended: Vec<_> = started.into_iter().map(|child| child?.wait()).collect();
    let time = begun.elapsed();
    let mut code = 0;
    for (status, command) in ended.into_iter().zip(&commands) {
        let status = status.map_err(|error| exec::cannot_start(command, &error))?;
        if code == 0 {
            code = status
                .code()
                .unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        }
    }
    Ok((time, code))
}

/// The caller's side: a stopwatch in its environment.
pub(super) struct Stopwatch {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
    log: PathBuf,
}

impl Stopwatch {
    /// Starts a copy of ourselves behind the words of `entrance`, which enter the environment.
    /// Standard errors of what it times go to `log`; podman's configuration lies beside it.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn start(entrance: &[String], log: PathBuf) -> Outcome<Self> {
        let own = std::env::current_exe()
            .map_err(|error| Failure::new(format!("cannot find xtask itself: {error}")))?;
        let mut words = entrance.iter();
        let mut command = match words.next() {
            Some(first) => {
                let mut command = Command::new(first);
                command.args(words).arg(own);
                command
            }
            None => Command::new(own),
        };
        command
            // Ctrl-C is for the caller, who cleans up with our help.
            .process_group(0)
            .env("CONTAINERS_CONF", log.with_file_name("containers.conf"))
            .arg("stopwatch")
            .arg(&log)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|error| exec::cannot_start(&command, &error))?;
        let (to, from) = (child.stdin.take(), child.stdout.take());
        let from = from.ok_or_else(|| Failure::new("the stopwatch has no output"))?;
        Ok(Self {
            child,
            to,
            from: BufReader::new(from),
            log,
        })
    }

    /// Times copies of one command that run at once. The inner error is the command's own: its exit code and last words.
    ///
    /// # Errors
    /// The stopwatch itself is gone.
    pub(super) fn time(
        &mut self,
        words: &[String],
        copies: usize,
    ) -> Outcome<Result<Duration, String>> {
        let gone = || Failure::new("a stopwatch ended; see the message above");
        let line: Vec<&str> = words.iter().map(String::as_str).collect();
        let line = line.join(&UNIT_SEPARATOR.to_string());
        let to = self.to.as_mut().ok_or_else(gone)?;
        writeln!(to, "{copies}{UNIT_SEPARATOR}{line}")
            .and_then(|()| to.flush())
            .map_err(|_| gone())?;
        let mut answer = String::new();
        self.from.read_line(&mut answer).map_err(|_| gone())?;
        let (nanos, code) = answer.trim().split_once(' ').ok_or_else(gone)?;
        let nanos = nanos.parse().map_err(|_| gone())?;
        if code == "0" {
            return Ok(Ok(Duration::from_nanos(nanos)));
        }
        let said = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last = said
            .lines()
            .rev()
            .find(|line| !line.trim().is_empty())
            .unwrap_or("no message");
        let shown: Vec<&str> = words.iter().map(String::as_str).collect();
        Ok(Err(format!(
            "\"{}\" ended with {code}: {last}",
            shown.join(" ")
        )))
    }
}

impl Drop for Stopwatch {
    fn drop(&mut self) {
        self.to = None;
        if let Err(error) = self.child.wait() {
            eprintln!("xtask: a stopwatch cannot be waited for: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measured_program_gives_time_and_code() {
        let log = std::env::temp_dir().join(format!("xtask-stopwatch-{}", std::process::id()));
        let (time, code) = measure(&["sh", "-c", "sleep 0.05; exit 3"], 1, &log).unwrap();
        assert_eq!(code, 3);
        assert!(time >= Duration::from_millis(50), "{time:?}");
        let (_, code) = measure(&["sh", "-c", "kill -9 $$"], 1, &log).unwrap();
        assert_eq!(code, 137);
        let (time, code) = measure(&["sleep", "0.2"], 8, &log).unwrap();
        assert_eq!(code, 0);
        assert!(time < Duration::from_millis(800), "{time:?}");
        std::fs::remove_file(&log).unwrap();
    }
}
