//! A process that times others from within a given environment.
//!
//! Some peers only run in a mount namespace of their own. Entering it must not be part of their
//! time, so a copy of xtask lives in there and times what it is told to: one line comes in (how
//! many copies are to run at once, then the commands that each copy runs one after the other), one
//! line with nanoseconds, exit code and the number of the command that failed goes out.
//!
//! It is the reaper of what it starts, as the shims of engines are: the first process of a
//! container that was made in the background becomes its child.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, getpid, set_child_subreaper, waitpid};

use crate::args::Args;
use crate::exec;
use crate::failure::{Failure, Outcome};

/// Between words; no word of ours has it.
const UNIT_SEPARATOR: char = '\u{1f}';

/// Between commands.
const RECORD_SEPARATOR: char = '\u{1e}';

/// In a word, stands for the number of the copy, from 0.
pub(super) const COPY: &str = "{copy}";

/// The first word of a command that is no program: waits for the end of the process whose PID the
/// file in the second word holds, and reaps it.
pub(super) const AWAIT: &str = "@await";

/// Runs the hidden command `stopwatch FILE [--reap]`: serves until its input ends.
pub(crate) fn serve(mut args: Args) -> Outcome {
    let reap = args.flag("--reap");
    let log = args.word().map(PathBuf::from).unwrap_or_default();
    args.finish()?;
    if reap {
        set_child_subreaper(Some(getpid()))
            .map_err(|error| Failure::new(format!("cannot become a reaper: {error}")))?;
    }
    let broken = |error| Failure::new(format!("the stopwatch lost its caller: {error}"));
    for line in std::io::stdin().lines() {
        let line = line.map_err(broken)?;
        let mut parts = line.split(RECORD_SEPARATOR);
        let copies = parts
            .next()
            .and_then(|copies| copies.parse().ok())
            .ok_or_else(|| Failure::usage("stopwatch needs a number and commands"))?;
        let commands: Vec<Vec<&str>> = parts
            .map(|command| command.split(UNIT_SEPARATOR).collect())
            .collect();
        let (time, code, at) = measure(&commands, copies, &log)?;
        println!("{} {code} {at}", time.as_nanos());
    }
    Ok(())
}

/// From just before the first copy is started until all have been waited for. Code and number are
/// those of the first command that failed in the first copy that failed.
fn measure(commands: &[Vec<&str>], copies: usize, log: &Path) -> Outcome<(Duration, i32, usize)> {
    let errors = File::create(log).map_err(|error| Failure::file("create", log, &error))?;
    let errors = &errors;
    let begun = Instant::now();
    // A thread would be most of the time of what is timed alone.
    let ended: Vec<Outcome<(i32, usize)>> = if copies == 1 {
        vec![one_copy(commands, 0, errors)]
    } else {
        thread::scope(|scope| {
            let copies: Vec<_> = (0..copies)
                .map(|copy| scope.spawn(move || one_copy(commands, copy, errors)))
                .collect();
            copies
                .into_iter()
                .map(|copy| {
                    copy.join()
                        .unwrap_or_else(|_| Err(Failure::new("a thread of the stopwatch panicked")))
                })
                .collect()
        })
    };
    let time = begun.elapsed();
    let mut failed = (0, 0);
    for end in ended {
        let end = end?;
        if failed.0 == 0 {
            failed = end;
        }
    }
    Ok((time, failed.0, failed.1))
}

/// Runs the commands of a copy until one fails: its exit code and number.
fn one_copy(commands: &[Vec<&str>], copy: usize, errors: &File) -> Outcome<(i32, usize)> {
    for (at, words) in commands.iter().enumerate() {
        let words: Vec<String> = words
            .iter()
            .map(|word| word.replace(COPY, &copy.to_string()))
            .collect();
        let code = match &words[..] {
            [verb, file] if verb == AWAIT => await_end(Path::new(file))?,
            [program, rest @ ..] => one_program(program, rest, errors)?,
            [] => return Err(Failure::new("nothing to measure")),
        };
        if code != 0 {
            return Ok((code, at));
        }
    }
    Ok((0, 0))
}

fn one_program(program: &str, rest: &[String], errors: &File) -> Outcome<i32> {
    let errors = errors
        .try_clone()
        .map_err(|error| Failure::new(format!("cannot duplicate the log: {error}")))?;
    let mut command = Command::new(program);
    let status = command
        .args(rest)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors)
        .status()
        .map_err(|error| exec::cannot_start(&command, &error))?;
    Ok(status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)))
}

/// Waits for our adopted child, whatever its own exit code is.
fn await_end(file: &Path) -> Outcome<i32> {
    let text = fs::read_to_string(file).map_err(|error| Failure::file("read", file, &error))?;
    let pid = text
        .trim()
        .parse()
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| Failure::new(format!("{} holds no PID: {text:?}", file.display())))?;
    loop {
        match waitpid(Some(pid), WaitOptions::empty()) {
            Err(Errno::INTR) => {}
            Err(error) => {
                return Err(Failure::new(format!(
                    "cannot wait for PID {pid:?}: {error}"
                )));
            }
            Ok(_) => return Ok(0),
        }
    }
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
    /// Standard errors of what it times go to `log`; podman's configuration lies beside it. With
    /// `reap` it adopts what its programs leave running, for [`AWAIT`].
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn start(entrance: &[String], log: PathBuf, reap: bool) -> Outcome<Self> {
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
            .args(reap.then_some("--reap"))
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

    /// Times copies, which run at once, of a row of commands. The inner error is that of the
    /// command that failed: its exit code and last words.
    ///
    /// # Errors
    /// The stopwatch itself is gone.
    pub(super) fn time(
        &mut self,
        commands: &[Vec<String>],
        copies: usize,
    ) -> Outcome<Result<Duration, String>> {
        let gone = || Failure::new("a stopwatch ended; see the message above");
        let mut line = copies.to_string();
        for words in commands {
            line.push(RECORD_SEPARATOR);
            line.push_str(&words.join(&UNIT_SEPARATOR.to_string()));
        }
        let to = self.to.as_mut().ok_or_else(gone)?;
        writeln!(to, "{line}")
            .and_then(|()| to.flush())
            .map_err(|_| gone())?;
        let mut answer = String::new();
        self.from.read_line(&mut answer).map_err(|_| gone())?;
        let mut fields = answer.split_whitespace();
        let mut field = || fields.next().ok_or_else(gone);
        let nanos = field()?.parse().map_err(|_| gone())?;
        let code = field()?;
        let at: usize = field()?.parse().map_err(|_| gone())?;
        if code == "0" {
            return Ok(Ok(Duration::from_nanos(nanos)));
        }
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        let last = said
            .lines()
            .rev()
            .find(|line| !line.trim().is_empty())
            .unwrap_or("no message");
        let shown = commands
            .get(at)
            .map_or(String::new(), |words| words.join(" "));
        Ok(Err(format!("\"{shown}\" ended with {code}: {last}")))
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
        let shell = |text| vec!["sh", "-c", text];
        let ok = || shell("exit 0");
        let (time, code, at) =
            measure(&[ok(), shell("sleep 0.05; exit 3"), ok()], 1, &log).unwrap();
        assert_eq!((code, at), (3, 1));
        assert!(time >= Duration::from_millis(50), "{time:?}");
        let (_, code, _) = measure(&[shell("kill -9 $$")], 1, &log).unwrap();
        assert_eq!(code, 137);
        let (time, code, _) = measure(&[vec!["sleep", "0.2"]], 8, &log).unwrap();
        assert_eq!(code, 0);
        assert!(time < Duration::from_millis(800), "{time:?}");
        let (_, code, _) = measure(&[shell("test {copy} -lt 3")], 3, &log).unwrap();
        assert_eq!(code, 0);
        let (_, code, _) = measure(&[shell("test {copy} -lt 3")], 4, &log).unwrap();
        assert_eq!(code, 1);
        fs::remove_file(&log).unwrap();
    }
}
