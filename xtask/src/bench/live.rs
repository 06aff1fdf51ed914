//! `bench live`: what it costs to watch a host of 5,000 sleepers, and how soon a view knows.
//!
//! A program watches as a view does (crates/berth-map/examples/watch.rs) while another forks at an
//! even rate (bench/forks.c). What the kernel does at each fork in the forking process is not in
//! the numbers.
//!
//! Then the same for the web page (`berth map --serve`) with one client.

mod page;
mod watcher;

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::map::crowd::{Crowd, Size};
use super::{How, compile, table};
use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::scratch::Scratch;
use crate::setup::{self, Purpose};
use page::Page;
use watcher::{Sample, Watcher};

/// The sleepers.
const CROWD: Size = Size::new(5_000, 10);

/// Forks a second.
const RATES: [usize; 3] = [0, 100, 1_000];

/// Time for each rate.
const SECONDS: usize = 20;

/// What has just begun or ended must not be charged to what is measured.
const SETTLE: Duration = Duration::from_secs(4);

/// Of one processor, at 100 forks a second and at none, in percent.
const CPU_PERCENT: f64 = 2.0;
const IDLE_PERCENT: f64 = 0.5;
/// From a fork until the view has the event, for 99 of 100.
const DELAY_MS: f64 = 50.0;

/// A rate, and what was seen of it.
struct Result {
    rate: usize,
    /// Forks that were made.
    forks: Option<u64>,
    sample: Sample,
}

/// A rate, and what was seen of it on the page.
struct PageResult {
    rate: usize,
    sample: page::Sample,
}

/// Runs the measurement. `minutes` at 1,000 forks a second come last, for the memory.
pub(super) fn run(how: &How, seconds: Option<usize>, minutes: Option<usize>) -> Outcome {
    setup::ensure(&[Purpose::Build, Purpose::Bench])?;
    if !setup::is_root()? {
        return Err(Failure::new(
            "bench needs root: BPF and new PID namespaces do",
        ));
    }
    let interrupt = Interrupt::catch()?;
    let scratch = Scratch::make("bench")?;
    let program = crate::build::example("berth-map", "watch", how.dev)?;
    let berth = page::program(how.dev)?;
    let crowd = compile(&scratch, "crowd")?;
    let forks = compile(&scratch, "forks")?;
    let crowd = match Crowd::gather(&crowd, CROWD)? {
        Ok(crowd) => crowd,
        Err(why) => return Err(Failure::new(format!("no {CROWD}: {why}"))),
    };
    let mut watcher = Watcher::start(&program, &scratch.folder("state")?)?;
    exec::announce(&format!("bench: {CROWD}, events from {}", watcher.source));
    let mut results = Vec::new();
    let seconds = seconds.unwrap_or(SECONDS);
    let mut stretches: Vec<(usize, usize)> = RATES.map(|rate| (rate, seconds)).to_vec();
    stretches.extend(minutes.map(|minutes| (1_000, minutes * 60)));
    let mut done = Ok(());
    for (rate, seconds) in stretches {
        match measure(&mut watcher, &forks, (rate, seconds), &interrupt) {
            Ok(result) => results.push(result),
            Err(error) => {
                // What was measured until then is worth a look, too.
                done = Err(error);
                break;
            }
        }
    }
    let source = watcher.source.clone();
    print!("{}", render(&results, &source, how.markdown));
    watcher.stop()?;
    if done.is_ok() {
        let results = pages((&berth, &scratch), &forks, seconds, &interrupt)?;
        print!("{}", render_pages(&results, how.markdown));
    }
    crowd.dismiss()?;
    done
}

/// Measures the page at each rate.
fn pages(
    (berth, scratch): (&Path, &Scratch),
    program: &Path,
    seconds: usize,
    interrupt: &Interrupt,
) -> Outcome<Vec<PageResult>> {
    exec::announce("bench: the web page with one client");
    let page = Page::open(berth, &scratch.folder("page")?)?;
    let mut results = Vec::new();
    for rate in RATES {
        interrupt.check()?;
        std::thread::sleep(SETTLE);
        let time = Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX));
        // They go on a moment longer than is measured.
        let forks = match rate {
            0 => None,
            _ => {
                let mut forks = Forks::start(&mut Forks::command(program, rate, seconds + 2))?;
                forks.begin()?;
                Some(forks)
            }
        };
        let sample = page.watch(time)?;
        drop(forks);
        results.push(PageResult { rate, sample });
    }
    page.close()?;
    Ok(results)
}

/// Watches for so many seconds at so many forks a second.
fn measure(
    watcher: &mut Watcher,
    program: &Path,
    (rate, seconds): (usize, usize),
    interrupt: &Interrupt,
) -> Outcome<Result> {
    std::thread::sleep(SETTLE);
    watcher.ask(None)?;
    if rate == 0 {
        for _ in 0..seconds {
            interrupt.check()?;
            std::thread::sleep(Duration::from_secs(1));
        }
        let sample = watcher.ask(None)?;
        return Ok(Result {
            rate,
            forks: None,
            sample,
        });
    }
    let mut forks = Forks::start(&mut Forks::command(program, rate, seconds))?;
    let pid = forks.child.id();
    watcher.ask(None)?;
    let count = forks.finish()?;
    interrupt.check()?;
    // The last ones are under way.
    std::thread::sleep(Duration::from_millis(100));
    let sample = watcher.ask(Some(pid))?;
    Ok(Result {
        rate,
        forks: Some(count),
        sample,
    })
}

/// The program that forks. It ends at its time, or when this is dropped.
struct Forks {
    child: Child,
}

impl Forks {
    fn command(program: &Path, rate: usize, seconds: usize) -> Command {
        let mut command = exec::at_root(program);
        command
            .args([rate.to_string(), seconds.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        command
    }

    fn start(command: &mut Command) -> Outcome<Self> {
        let child = command.spawn();
        let child = child.map_err(|error| exec::cannot_start(command, &error))?;
        Ok(Self { child })
    }

    /// Lets it begin.
    fn begin(&mut self) -> Outcome {
        if let Some(mut input) = self.child.stdin.take() {
            input.write_all(b"\n").map_err(forks_failed)?;
        }
        Ok(())
    }

    /// Lets it begin, and waits for its end; returns how many forks there were.
    fn finish(&mut self) -> Outcome<u64> {
        self.begin()?;
        let mut text = String::new();
        if let Some(mut out) = self.child.stdout.take() {
            std::io::Read::read_to_string(&mut out, &mut text).map_err(forks_failed)?;
        }
        let count = text.trim().parse();
        count.map_err(|_| Failure::new("the forking program did not say how often it forked"))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn forks_failed(error: std::io::Error) -> Failure {
    Failure::new(format!("the forking program failed: {error}"))
}

impl Drop for Forks {
    fn drop(&mut self) {
        // It has ended, or it must: either way there is nothing to add.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn render(results: &[Result], source: &str, markdown: bool) -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("?").to_owned();
    let mut text = format!(
        "\n{}, load {load}; {CROWD}; events from {source}\n\n",
        table::machine()
    );
    let head = [
        "forks a second",
        "seconds",
        "CPU of one core %",
        "delay median ms",
        "p99 ms",
        "forks",
        "seen",
        "lost",
        "frames",
        "private MiB",
    ];
    let rows: Vec<Vec<String>> = results.iter().map(row).collect();
    text.push_str(&table::grid(&head, &rows, markdown));
    text.push('\n');
    let head = ["budget", "measured", "at most", "verdict"];
    text.push_str(&table::grid(&head, &verdicts(results), markdown));
    text
}

fn render_pages(results: &[PageResult], markdown: bool) -> String {
    let head = [
        "forks a second",
        "seconds",
        "CPU of the server %",
        "fork to page, median ms",
        "p99 ms",
        "processes",
        "KiB a second",
        "private MiB",
    ];
    let rows: Vec<Vec<String>> = results.iter().map(page_row).collect();
    let mut text = String::from("\nthe page, with one client\n\n");
    text.push_str(&table::grid(&head, &rows, markdown));
    text.push('\n');
    let head = ["budget", "measured", "at most", "verdict"];
    text.push_str(&table::grid(&head, &page_verdicts(results), markdown));
    text
}

fn page_row(PageResult { rate, sample }: &PageResult) -> Vec<String> {
    let mib = u32::try_from(sample.memory_kib).map_or(f64::INFINITY, f64::from) / 1024.0;
    vec![
        rate.to_string(),
        format!("{:.0}", sample.passed.as_secs_f64()),
        format!("{:.2}", sample.percent()),
        format!("{:.1}", ms(sample.delay(50))),
        format!("{:.1}", ms(sample.delay(99))),
        sample.probes().to_string(),
        format!("{:.1}", sample.bytes_a_second() / 1024.0),
        format!("{mib:.1}"),
    ]
}

fn page_verdicts(results: &[PageResult]) -> Vec<Vec<String>> {
    let of = |rate: usize| results.iter().find(move |result| result.rate == rate);
    let cpu = |rate| of(rate).map(|result| result.sample.percent());
    let p99 = |rate| of(rate).map(|result| ms(result.sample.delay(99)));
    let lines = [
        ("CPU of the page at 100 a second, %", cpu(100), CPU_PERCENT),
        ("p99 to the page at 100 a second, ms", p99(100), DELAY_MS),
        ("p99 to the page at 1000 a second, ms", p99(1_000), DELAY_MS),
    ];
    lines.map(verdict_row).to_vec()
}

fn verdict_row((what, measured, limit): (&str, Option<f64>, f64)) -> Vec<String> {
    vec![
        what.to_owned(),
        measured.map_or_else(|| "-".to_owned(), |measured| format!("{measured:.2}")),
        limit.to_string(),
        table::verdict(measured, limit).to_owned(),
    ]
}

fn row(result: &Result) -> Vec<String> {
    let Result {
        rate,
        forks,
        sample,
    } = result;
    let of_forks = |text: String| forks.map_or_else(|| "-".to_owned(), |_| text);
    vec![
        rate.to_string(),
        format!("{:.0}", sample.passed.as_secs_f64()),
        format!("{:.2}", sample.percent()),
        of_forks(format!("{:.1}", ms(sample.median))),
        of_forks(format!("{:.1}", ms(sample.p99))),
        forks.map_or_else(|| "-".to_owned(), |forks| forks.to_string()),
        of_forks(sample.births.to_string()),
        (sample.lost + sample.missed).to_string(),
        sample.frames.to_string(),
        format!("{:.1}", sample.memory_mib()),
    ]
}

fn verdicts(results: &[Result]) -> Vec<Vec<String>> {
    let of = |rate: usize| results.iter().find(move |result| result.rate == rate);
    let cpu = |rate| of(rate).map(|result| result.sample.percent());
    let p99 = |rate| of(rate).map(|result| ms(result.sample.p99));
    let unseen = of(1_000).and_then(|result| {
        let unseen = result.forks?.saturating_sub(result.sample.births);
        Some(as_float(unseen.max(result.sample.lost)))
    });
    [
        ("CPU of one core at none, %", cpu(0), IDLE_PERCENT),
        ("CPU of one core at 100 a second, %", cpu(100), CPU_PERCENT),
        ("p99 at 100 a second, ms", p99(100), DELAY_MS),
        ("p99 at 1000 a second, ms", p99(1_000), DELAY_MS),
        ("lost at 1000 a second", unseen, 0.0),
    ]
    .map(verdict_row)
    .to_vec()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// For counts, which are far from where a double ends.
fn as_float(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forks_that_nobody_saw_count_as_lost() {
        let sample = Sample::parse("1000000000 10000000 9 98 1 2 3 0 0 2048").unwrap();
        let results = [Result {
            rate: 1_000,
            forks: Some(100),
            sample,
        }];
        let rows = verdicts(&results);
        assert_eq!(rows[4], ["lost at 1000 a second", "2.00", "0", "missed"]);
        assert_eq!(rows[0][3], "not measured");
        assert_eq!(row(&results[0])[2], "1.00");
    }
}
