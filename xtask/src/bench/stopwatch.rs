//! A process that times others from within a given environment.
//!
//! Some peers only run in a mount namespace of their own. Entering it must not be part of their
//! time, so a copy of xtask lives in there and times what it is told to: one line comes in (how
//! many copies are to run at once, then the commands that each copy runs one after the other), one
//! line with nanoseconds, exit code and the number of the command that failed goes out.
//!
//! It is the reaper of what it starts, as the shims of engines are: the first process of a
//! container that was made in the background becomes its child.
//!
//! A command that does not end in time is ended, with its process group and all that it left to the
//! reaper.

use std::fmt;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getpid, kill_process_group, set_child_subreaper};

use super::hang::{Children, reap, wait_until};

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

/// How long one command may take: far more than any takes in the largest crowd.
pub(super) const DEADLINE: Duration = Duration::from_secs(60);

/// In an answer, in place of an exit code.
const HUNG: &str = "hung";

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// With this code; 128 and the signal, if one ended it.
    Code(i32),
    /// Not in time, so that it was ended.
    Hung,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "{code}"),
            Self::Hung => f.write_str(HUNG),
        }
    }
}

/// Why there is no time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Miss {
    /// A command failed: which, its exit code and last words.
    Failed(String),
    /// A command did not end in time: which, and its last words.
    Hung(String),
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(why) => f.write_str(why),
            Self::Hung(why) => write!(f, "it hung: {why}"),
        }
    }
}

/// Runs the hidden command `stopwatch FILE SECONDS [--reap]`: serves until its input ends.
pub(crate) fn serve(mut args: Args) -> Outcome {
    let reap = args.flag("--reap");
    let log = args.word().map(PathBuf::from).unwrap_or_default();
    let seconds = args.word().and_then(|word| word.parse().ok());
    let deadline = seconds.map_or(DEADLINE, Duration::from_secs);
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
        // What was there before is of other measurements.
        let kept = reap.then(Children::list).transpose()?;
        let (time, end, at) = measure(&commands, copies, &log, deadline)?;
        if let (End::Hung, Some(kept)) = (end, kept) {
            kept.end_others()?;
        }
        println!("{} {end} {at}", time.as_nanos());
    }
    Ok(())
}

/// From just before the first copy is started until all have been waited for. End and number are
/// those of the first command that failed in the first copy that failed, or that hung.
fn measure(
    commands: &[Vec<&str>],
    copies: usize,
    log: &Path,
    deadline: Duration,
) -> Outcome<(Duration, End, usize)> {
    let errors = File::create(log).map_err(|error| Failure::file("create", log, &error))?;
    let errors = &errors;
    let begun = Instant::now();
    // A thread would be most of the time of what is timed alone.
    let ended: Vec<Outcome<(End, usize)>> = if copies == 1 {
        vec![one_copy(commands, 0, errors, deadline)]
    } else {
        thread::scope(|scope| {
            let copies: Vec<_> = (0..copies)
                .map(|copy| scope.spawn(move || one_copy(commands, copy, errors, deadline)))
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
    let mut failed = (End::Code(0), 0);
    for end in ended {
        let end = end?;
        let is_worse = failed.0 != End::Hung && end.0 == End::Hung;
        if failed.0 == End::Code(0) || is_worse {
            failed = end;
        }
    }
    Ok((time, failed.0, failed.1))
}

/// Runs the commands of a copy until one fails or hangs: its end and number.
fn one_copy(
    commands: &[Vec<&str>],
    copy: usize,
    errors: &File,
    deadline: Duration,
) -> Outcome<(End, usize)> {
    for (at, words) in commands.iter().enumerate() {
        let words: Vec<String> = words
            .iter()
            .map(|word| word.replace(COPY, &copy.to_string()))
            .collect();
        let end = match &words[..] {
            [verb, file] if verb == AWAIT => await_end(Path::new(file), deadline)?,
            [program, rest @ ..] => one_program(program, rest, errors, deadline)?,
            [] => return Err(Failure::new("nothing to measure")),
        };
        if end != End::Code(0) {
            return Ok((end, at));
        }
    }
    Ok((End::Code(0), 0))
}

fn one_program(program: &str, rest: &[String], errors: &File, deadline: Duration) -> Outcome<End> {
    let errors = errors
        .try_clone()
        .map_err(|error| Failure::new(format!("cannot duplicate the log: {error}")))?;
    let mut command = Command::new(program);
    let mut child = command
        .args(rest)
        // A group of its own, which can be ended as one.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors)
        .spawn()
        .map_err(|error| exec::cannot_start(&command, &error))?;
    let pid = Pid::from_child(&child);
    let in_time = wait_until(pid, deadline)?;
    if !in_time {
        // It is not waited for yet: the number is its group's.
        kill_process_group(pid, Signal::KILL)
            .map_err(|error| Failure::new(format!("cannot end {program}: {error}")))?;
    }
    let status = child
        .wait()
        .map_err(|error| exec::cannot_start(&command, &error))?;
    if !in_time {
        return Ok(End::Hung);
    }
    let code = status.code();
    let signal = || 128 + status.signal().unwrap_or(0);
    Ok(End::Code(code.unwrap_or_else(signal)))
}

/// Waits for our adopted child, whatever its own exit code is.
fn await_end(file: &Path, deadline: Duration) -> Outcome<End> {
    let text = fs::read_to_string(file).map_err(|error| Failure::file("read", file, &error))?;
    let pid = text
        .trim()
        .parse()
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| Failure::new(format!("{} holds no PID: {text:?}", file.display())))?;
    if !wait_until(pid, deadline)? {
        return Ok(End::Hung);
    }
    reap(pid)?;
    Ok(End::Code(0))
}

/// The caller's side: a stopwatch in its environment.
pub(super) struct Stopwatch {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
    log: PathBuf,
    deadline: Duration,
}

impl Stopwatch {
    /// Starts a copy of ourselves behind the words of `entrance`, which enter the environment.
    /// Standard errors of what it times go to `log`; podman's configuration lies beside it. With
    /// `reap` it adopts what its programs leave running, for [`AWAIT`]. The deadline, in whole
    /// seconds, is that of each program.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn start(
        entrance: &[String],
        log: PathBuf,
        reap: bool,
        deadline: Duration,
    ) -> Outcome<Self> {
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
            .arg(deadline.as_secs().to_string())
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
            deadline,
        })
    }

    /// Times copies, which run at once, of a row of commands. The inner error is that of the
    /// command that failed or hung.
    ///
    /// # Errors
    /// The stopwatch itself is gone.
    pub(super) fn time(
        &mut self,
        commands: &[Vec<String>],
        copies: usize,
    ) -> Outcome<Result<Duration, Miss>> {
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
        Ok(Err(match code {
            HUNG => Miss::Hung(format!(
                "\"{shown}\" did not end within {} s: {last}",
                self.deadline.as_secs()
            )),
            code => Miss::Failed(format!("\"{shown}\" ended with {code}: {last}")),
        }))
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
        let long = Duration::from_secs(60);
        let measure =
            |commands: &[Vec<&str>], copies| measure(commands, copies, &log, long).unwrap();
        let (time, end, at) = measure(&[ok(), shell("sleep 0.05; exit 3"), ok()], 1);
        assert_eq!((end, at), (End::Code(3), 1));
        assert!(time >= Duration::from_millis(50), "{time:?}");
        let (_, end, _) = measure(&[shell("kill -9 $$")], 1);
        assert_eq!(end, End::Code(137));
        let (time, end, _) = measure(&[vec!["sleep", "0.2"]], 8);
        assert_eq!(end, End::Code(0));
        assert!(time < Duration::from_millis(800), "{time:?}");
        let (_, end, _) = measure(&[shell("test {copy} -lt 3")], 3);
        assert_eq!(end, End::Code(0));
        let (_, end, _) = measure(&[shell("test {copy} -lt 3")], 4);
        assert_eq!(end, End::Code(1));
        fs::remove_file(&log).unwrap();
    }

    #[test]
    fn what_hangs_is_ended_with_its_group() {
        let folder = std::env::temp_dir().join(format!("xtask-hang-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("pid");
        let script = format!("sleep 300 & echo $! > {}; wait", file.display());
        let commands = [vec!["true"], vec!["sh", "-c", &script], vec!["true"]];
        let deadline = Duration::from_millis(500);
        let (time, end, at) = measure(&commands, 1, &folder.join("log"), deadline).unwrap();
        assert_eq!((end, at), (End::Hung, 1));
        assert!(
            time >= deadline && time < Duration::from_secs(60),
            "{time:?}"
        );
        let pid = fs::read_to_string(&file).unwrap();
        let stat = format!("/proc/{}/stat", pid.trim());
        let has_ended = || fs::read_to_string(&stat).map_or(true, |text| text.contains(") Z "));
        let end = Instant::now() + Duration::from_secs(10);
        while !has_ended() && Instant::now() < end {
            thread::sleep(Duration::from_millis(10));
        }
        assert!(has_ended());
        // One that hangs among many that fail is what counts.
        let mixed = vec![
            "sh",
            "-c",
            "test {copy} -ne 0 || exit 4; test {copy} -ne 2 || sleep 300",
        ];
        let (_, end, _) = measure(&[mixed], 4, &folder.join("log"), deadline).unwrap();
        assert_eq!(end, End::Hung);
        fs::remove_dir_all(&folder).unwrap();
    }
}
