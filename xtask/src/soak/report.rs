//! What a person sees of a soak: where it is, on a terminal; times, at its end.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often the line on a terminal changes.
const EVERY: Duration = Duration::from_millis(200);

/// The times of one kind of starts.
pub(super) struct Times {
    what: &'static str,
    of: usize,
    times: Vec<Duration>,
    slowest: (Duration, String),
    /// When the line was last drawn; `None` where standard error is no terminal.
    drawn: Option<Instant>,
}

impl Times {
    /// None yet `of` so many.
    pub(super) fn new(what: &'static str, of: usize) -> Self {
        Self {
            what,
            of,
            times: Vec::with_capacity(of),
            slowest: (Duration::ZERO, String::new()),
            drawn: std::io::stderr().is_terminal().then(Instant::now),
        }
    }

    /// One more, with its name.
    pub(super) fn add(&mut self, (time, name): (Duration, String)) {
        self.times.push(time);
        if time > self.slowest.0 {
            self.slowest = (time, name);
        }
        if self.drawn.is_some_and(|drawn| drawn.elapsed() >= EVERY) {
            self.drawn = Some(Instant::now());
            draw(&format!(
                "{}: {} of {}",
                self.what,
                self.times.len(),
                self.of
            ));
        }
    }

    /// Prints them; `elapsed` is how long all took together.
    pub(super) fn show(mut self, elapsed: Duration) {
        if self.drawn.is_some() {
            draw("");
        }
        self.times.sort_unstable();
        println!("{}", self.line(elapsed));
    }

    fn line(&self, elapsed: Duration) -> String {
        let at = |percent: usize| {
            let at = self.times.len().saturating_sub(1) * percent / 100;
            self.times.get(at).copied().map_or(0.0, ms)
        };
        format!(
            "{}: {} starts in {:.1} s; median {:.1} ms, 99 % within {:.1} ms, slowest {:.1} ms ({})",
            self.what,
            self.times.len(),
            elapsed.as_secs_f64(),
            at(50),
            at(99),
            ms(self.slowest.0),
            self.slowest.1
        )
    }
}

/// Replaces the terminal's line.
fn draw(text: &str) {
    let mut terminal = std::io::stderr();
    if write!(terminal, "\r\x1b[K{text}")
        .and_then(|()| terminal.flush())
        .is_err()
    {
        // Without a terminal there is nothing to show progress on.
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_start_is_named() {
        let mut times = Times::new("in a row", 3);
        for (ms, name) in [(2, "a"), (9, "b"), (4, "c")] {
            times.add((Duration::from_millis(ms), name.to_owned()));
        }
        times.times.sort_unstable();
        assert_eq!(
            times.line(Duration::from_secs(1)),
            "in a row: 3 starts in 1.0 s; median 4.0 ms, 99 % within 4.0 ms, slowest 9.0 ms (b)"
        );
    }
}
