//! `berth pid -`: standard input to standard output, with a container's name behind each PID.

use std::io;
use std::time::{Duration, Instant};

use berth_base::ErrorClass;
use berth_map::Sources;
use berth_map::annotate::{Annotator, Labels};
use berth_map::model::Wanted;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::cli::failure::Failure;
use crate::cli::subject::discover;
use crate::cli::{Context, Outcome};

/// A snapshot is used for at least this long.
const MIN_AGE: Duration = Duration::from_secs(1);
/// And for at least so many times as long as it took to read: at most 5 % of the time is spent on
/// reading the host.
const COST_FACTOR: u32 = 20;
/// Bytes taken per read(2).
const READ: usize = 64 * 1024;

/// The containers' processes, read anew when they are asked for and have grown old.
struct Snapshot<'a> {
    sources: &'a Sources,
    labels: Labels,
    taken: Instant,
    lifetime: Duration,
}

impl<'a> Snapshot<'a> {
    fn take(sources: &'a Sources, context: &Context) -> Result<Self, Failure> {
        let begin = Instant::now();
        let world = discover(sources, &Wanted::default())?;
        context.warn_all(world.warnings());
        Ok(Self {
            sources,
            labels: Labels::of(&world),
            taken: Instant::now(),
            lifetime: MIN_AGE.max(begin.elapsed() * COST_FACTOR),
        })
    }

    /// The labels, at most [`Self::lifetime`] old. Where the host cannot be read any more the old
    /// ones are gone with their truth: numbers pass as they are.
    fn labels(&mut self) -> &Labels {
        if self.taken.elapsed() > self.lifetime {
            let begin = Instant::now();
            let world = discover(self.sources, &Wanted::default());
            self.labels = world.map_or_else(|_| Labels::default(), |world| Labels::of(&world));
            self.taken = Instant::now();
            self.lifetime = MIN_AGE.max(begin.elapsed() * COST_FACTOR);
        }
        &self.labels
    }
}

/// Copies until the input ends or the reader leaves.
pub(super) fn run(context: &mut Context, sources: &Sources) -> Outcome {
    let mut snapshot = Snapshot::take(sources, context)?;
    let mut annotator = Annotator::default();
    let mut buffer = vec![0; READ];
    let mut out = Vec::with_capacity(2 * READ);
    while !context.out.is_closed() && wait_for_input(context)? {
        let length = match rustix::io::read(io::stdin(), &mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(Errno::INTR | Errno::AGAIN) => continue,
            Err(error) => return Err(unreadable(error)),
        };
        let bytes = buffer.get(..length).unwrap_or_default();
        annotator.feed(bytes, snapshot.labels(), &mut out);
        context.out.bytes(&out)?;
        // Whoever watches sees each line when it comes; of much input this is once for 64 KiB.
        context.out.flush()?;
        out.clear();
    }
    if annotator.is_pending() {
        annotator.finish(snapshot.labels(), &mut out);
        context.out.bytes(&out)?;
    }
    context.out.flush()?;
    Ok(0)
}

/// Waits until there is input; `false` when the reader of the output has left meanwhile.
fn wait_for_input(context: &mut Context) -> Result<bool, Failure> {
    let (stdin, stdout) = (io::stdin(), io::stdout());
    let mut fds = [
        PollFd::new(&stdin, PollFlags::IN),
        PollFd::new(&stdout, PollFlags::empty()),
    ];
    match poll(&mut fds, None) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(unreadable(error)),
    }
    Ok(!context.out.probe_closed())
}

fn unreadable(error: Errno) -> Failure {
    let why = io::Error::from(error);
    Failure::new(
        ErrorClass::Unavailable,
        format!("cannot read standard input: {why}; give it a pipe, as in \"dmesg | berth pid -\""),
    )
}
