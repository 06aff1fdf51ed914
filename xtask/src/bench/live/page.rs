//! The web page, measured from outside: the server's cost with one client, and how soon a process
//! is on the page.
//!
//! Beside the forks, which end at once, processes are started one at a time that live until the
//! event stream has brought their pill. The clock runs from before the fork until the client has
//! read the message, so the fork itself is in the delay.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::super::memory::{kib, read};
use crate::exec;
use crate::failure::{Failure, Outcome};

/// A pill that has not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two processes that are looked for; not even, lest they keep step with anything.
const PAUSES_MS: [u64; 5] = [53, 97, 71, 113, 86];
/// Clock ticks a second in /proc (USER_HZ): 100 on every architecture.
const TICK: Duration = Duration::from_millis(10);

/// What was seen of a stretch of time.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) passed: Duration,
    cost: Duration,
    /// From before the fork until the pill was there, sorted.
    delays: Vec<Duration>,
    pub(super) memory_kib: usize,
    bytes: usize,
}

impl Sample {
    /// Processor time of one core.
    pub(super) fn percent(&self) -> f64 {
        100.0 * self.cost.as_secs_f64() / self.passed.as_secs_f64()
    }

    /// The delay that so many of a hundred do not exceed.
    pub(super) fn delay(&self, percent: usize) -> Duration {
        let at = (self.delays.len() * percent / 100).min(self.delays.len().saturating_sub(1));
        self.delays.get(at).copied().unwrap_or_default()
    }

    /// Processes that were looked for.
    pub(super) fn probes(&self) -> usize {
        self.delays.len()
    }

    /// Bytes that the client got in a second.
    pub(super) fn bytes_a_second(&self) -> f64 {
        let bytes = u32::try_from(self.bytes).map_or(f64::INFINITY, f64::from);
        bytes / self.passed.as_secs_f64()
    }
}

/// A running `berth map --serve`, and a client that reads its events.
pub(super) struct Page {
    server: Child,
    messages: Receiver<(Instant, String)>,
}

impl Page {
    /// Starts both, and waits for the whole page.
    pub(super) fn open(berth: &Path, folder: &Path) -> Outcome<Self> {
        let mut command = exec::at_root(berth);
        command
            .arg("--root")
            .arg(folder.join("root"))
            .arg("--state")
            .arg(folder.join("state"))
            .args(["map", "--serve"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let child = command.spawn();
        let mut server = child.map_err(|error| exec::cannot_start(&command, &error))?;
        let mut url = String::new();
        if let Some(out) = server.stdout.take() {
            let read = BufReader::new(out).read_line(&mut url);
            read.map_err(|error| Failure::new(format!("the page has no URL: {error}")))?;
        }
        let messages = follow(url.trim());
        // Whatever fails from here on, the server ends with this.
        let mut page = Self {
            server,
            messages: channel().1,
        };
        page.messages = messages?;
        page.find("\"full\":true")?;
        Ok(page)
    }

    /// Looks for new processes until a stretch of time is over.
    pub(super) fn watch(&self, time: Duration) -> Outcome<Sample> {
        // What waits is of the time before.
        self.messages.try_iter().for_each(drop);
        let mut bytes = 0;
        let (start, before) = (Instant::now(), self.cost()?);
        let mut delays = Vec::new();
        let mut pauses = PAUSES_MS.iter().cycle().copied();
        while start.elapsed() < time {
            let pause = Duration::from_millis(pauses.next().unwrap_or(100));
            bytes += self.hear_for(pause.min(time.saturating_sub(start.elapsed())))?;
            let (delay, read) = self.probe()?;
            delays.push(delay);
            bytes += read;
        }
        delays.sort_unstable();
        let (passed, cost) = (start.elapsed(), self.cost()?.saturating_sub(before));
        let rollup = read(&self.proc("smaps_rollup"))?;
        Ok(Sample {
            passed,
            cost,
            delays,
            memory_kib: kib(&rollup, "Private_Clean:") + kib(&rollup, "Private_Dirty:"),
            bytes,
        })
    }

    /// Ends the server.
    pub(super) fn close(mut self) -> Outcome {
        let mut kill = exec::at_root("kill");
        exec::run(kill.args(["-INT", &self.server.id().to_string()]))?;
        match self.server.wait() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Failure::new(format!("the page ended with {status}"))),
            Err(error) => Err(Failure::new(format!("cannot wait for the page: {error}"))),
        }
    }

    /// Starts a process and waits until its pill is there.
    fn probe(&self) -> Outcome<(Duration, usize)> {
        let mut command = exec::at_root("sleep");
        command.arg("60").stdin(Stdio::null());
        let start = Instant::now();
        let child = command.spawn();
        let mut child = child.map_err(|error| exec::cannot_start(&command, &error))?;
        let found = self.find(&format!("{{\"id\":\"p{}\",\"in\"", child.id()));
        child.kill().ok();
        child.wait().ok();
        let (at, bytes) = found?;
        Ok((at.saturating_duration_since(start), bytes))
    }

    /// Reads until a message holds a text: when it came, and how many bytes were read.
    fn find(&self, text: &str) -> Outcome<(Instant, usize)> {
        let deadline = Instant::now() + PATIENCE;
        let mut bytes = 0;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.messages.recv_timeout(left) {
                Ok((at, line)) => {
                    bytes += line.len();
                    if line.contains(text) {
                        return Ok((at, bytes));
                    }
                }
                Err(_) => return Err(Failure::new(format!("the page never says {text}"))),
            }
        }
    }

    fn hear_for(&self, time: Duration) -> Outcome<usize> {
        let deadline = Instant::now() + time;
        let mut bytes = 0;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.messages.recv_timeout(left) {
                Ok((_, line)) => bytes += line.len(),
                Err(RecvTimeoutError::Timeout) => return Ok(bytes),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Failure::new("the page has closed its stream of events"));
                }
            }
        }
    }

    fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.server.id())
    }

    /// Processor time so far, that of threads which have ended included (proc_pid_stat(5)).
    fn cost(&self) -> Outcome<Duration> {
        let path = self.proc("stat");
        let ticks = ticks(&read(&path)?);
        let ticks = ticks.ok_or_else(|| Failure::new(format!("{path} has no processor time")))?;
        Ok(TICK * ticks)
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // It has ended, or it must: either way there is nothing to add.
        self.server.kill().ok();
        self.server.wait().ok();
    }
}

/// Where the page's server is, of the release unless `dev`.
pub(super) fn program(dev: bool) -> Outcome<PathBuf> {
    let binaries = if dev {
        crate::build::debug()?
    } else {
        crate::build::release()?
    };
    let first = binaries.into_iter().next();
    first.ok_or_else(|| Failure::new("the build has no binaries"))
}

/// utime and stime together, behind the name, which may hold anything.
fn ticks(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let (user, system): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    user.checked_add(system)
}

/// Opens the stream of events of the page with this URL, read by a thread of its own.
fn follow(url: &str) -> Outcome<Receiver<(Instant, String)>> {
    let rest = url.strip_prefix("http://").and_then(|u| u.split_once('/'));
    let Some((address, path)) = rest else {
        return Err(Failure::new(format!("\"{url}\" is no URL")));
    };
    let failed = |error| Failure::new(format!("cannot read the page's events: {error}"));
    let mut stream = TcpStream::connect(address).map_err(failed)?;
    let request = format!("GET /{path}events?lens=pid HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let (sender, messages) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if line.starts_with("data: ") && sender.send((Instant::now(), line)).is_err() {
                return;
            }
        }
    });
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_stands_behind_any_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 10 0 0 0 120 45 3 4 20 0 1 0 99";
        assert_eq!(ticks(stat), Some(165));
        assert_eq!(ticks("7 (a) S 1"), None);
    }

    #[test]
    fn a_delay_of_all_is_the_longest() {
        let sample = Sample {
            passed: Duration::from_secs(2),
            cost: Duration::from_millis(30),
            delays: [1, 2, 9].map(Duration::from_millis).to_vec(),
            memory_kib: 1,
            bytes: 4_000,
        };
        assert_eq!(sample.delay(99), Duration::from_millis(9));
        assert_eq!(sample.delay(50), Duration::from_millis(2));
        assert!((sample.percent() - 1.5).abs() < 1e-9);
        assert!((sample.bytes_a_second() - 2_000.0).abs() < 1e-9);
    }
}
