//! A thread's blocking way to registries: tries, pauses, tries again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::client::{Client, local};
use super::config::Tuning;
use super::failure::{Failure, Wish};
use super::line::Line;
use crate::{ImageError, Progress};

/// Ends work of several threads once one of them failed.
#[derive(Debug, Default)]
pub(super) struct Stop(AtomicBool);

impl Stop {
    pub(super) fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// See the module. Its runtime has this thread alone: hashing and writing happen between two
/// pieces of a body, so nothing is copied from thread to thread.
pub(super) struct Session<'c> {
    runtime: Runtime,
    pub(super) line: Line<'c>,
    pub(super) progress: &'c dyn Progress,
    pub(super) stop: &'c Stop,
}

impl<'c> Session<'c> {
    pub(super) fn new(
        client: &'c Client,
        progress: &'c dyn Progress,
        stop: &'c Stop,
    ) -> Result<Self, ImageError> {
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| local("watch connections", &error))?;
        let line = Line::new(client);
        Ok(Self {
            runtime,
            line,
            progress,
            stop,
        })
    }

    pub(super) fn tuning(&self) -> &'c Tuning {
        self.line.client.tuning()
    }

    /// Does something on the line, once.
    pub(super) fn once<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Line<'c>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let Self { runtime, line, .. } = self;
        runtime.block_on(work(line))
    }

    /// Does something until it succeeds, or fails in a way that no further try changes.
    pub(super) fn retried<T>(
        &mut self,
        wish: &Wish,
        mut work: impl AsyncFnMut(&mut Line<'c>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut tries = Tries::default();
        loop {
            match self.once(async |line| work(line).await) {
                Ok(done) => return Ok(done),
                Err(failure) => self.pause(&mut tries, failure, wish)?,
            }
        }
    }

    /// Waits before a further try; gives the failure back where there is to be none.
    pub(super) fn pause(
        &self,
        tries: &mut Tries,
        failure: Failure,
        wish: &Wish,
    ) -> Result<(), Failure> {
        match failure.retry() {
            Some(asked) => self.wait(tries, asked, failure, wish),
            None => Err(failure),
        }
    }

    /// Waits before a further try, whatever the failure says of it.
    pub(super) fn wait(
        &self,
        tries: &mut Tries,
        asked: Option<Duration>,
        failure: Failure,
        wish: &Wish,
    ) -> Result<(), Failure> {
        let tuning = self.tuning();
        tries.0 += 1;
        let pause = match asked {
            Some(asked) if asked > tuning.longest_wait => return Err(failure),
            Some(asked) => asked.max(tuning.first_pause.min(Duration::from_secs(1))),
            None => backoff(tuning, tries.0, jitter()),
        };
        if tries.0 >= failure.attempts(tuning.attempts) || self.stop.is_stopped() {
            return Err(failure);
        }
        let seconds = pause.as_secs_f32();
        self.progress.note(&format!(
            "{}: {}; trying again in {seconds:.1}s",
            wish.object,
            failure.brief()
        ));
        // In steps, so that another thread's failure does not wait for this pause.
        let mut left = pause;
        while !left.is_zero() && !self.stop.is_stopped() {
            let step = left.min(Duration::from_millis(100));
            std::thread::sleep(step);
            left -= step;
        }
        Ok(())
    }
}

/// Failed tries in a row.
#[derive(Debug, Default)]
pub(super) struct Tries(u32);

impl Tries {
    /// Something moved: what fails next fails for the first time.
    pub(super) const fn reset(&mut self) {
        self.0 = 0;
    }
}

/// The pause before a further try: doubled each time, and between half of that and all of it.
fn backoff(tuning: &Tuning, failed: u32, jitter: u8) -> Duration {
    let doubled = tuning
        .first_pause
        .saturating_mul(1 << failed.saturating_sub(1).min(16));
    let whole = doubled.min(tuning.longest_pause);
    whole / 2 + whole.mul_f64(f64::from(jitter) / 510.0)
}

fn jitter() -> u8 {
    let mut byte = [0];
    match rustix::rand::getrandom(&mut byte, rustix::rand::GetRandomFlags::empty()) {
        Ok(_) => byte[0],
        Err(_) => 128,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_bounded() {
        let tuning = Tuning {
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(1),
            ..Tuning::default()
        };
        let pause = |failed, jitter| backoff(&tuning, failed, jitter).as_millis();
        assert_eq!((pause(1, 0), pause(1, 255)), (50, 100));
        assert_eq!((pause(3, 0), pause(3, 255)), (200, 400));
        assert_eq!((pause(30, 0), pause(30, 255)), (500, 1000));
    }
}
