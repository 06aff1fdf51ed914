//! `demo`: real containers on this machine, their PIDs in every namespace, and their end.
//!
//! Everything it makes is in a folder of its own and is removed at the end, on failure and on
//! Ctrl-C too.

mod processes;

use std::thread;
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::berth::Berth;
use crate::build;
use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::scratch::Scratch;
use crate::setup::{self, Purpose};
use processes::Process;

/// How long a process may take to appear after its container was started.
const APPEAR: Duration = Duration::from_secs(5);

/// The containers, and what each runs.
const CONTAINERS: [(&str, &[&str]); 3] = [
    ("red", &["host", "sh", "-c", "sleep 1000 & sleep 1001"]),
    ("blue", &["host", "sh", "-c", "sleep 1000 & sleep 1001"]),
    (
        "nest",
        // Opening a namespace inside takes the capability that Docker's defaults leave out.
        &[
            "--cap-add",
            "SYS_ADMIN",
            "host",
            "unshare",
            "--pid",
            "--fork",
            "--mount-proc",
            "sleep",
            "1000",
        ],
    ),
];

/// Runs `cargo xtask demo`.
pub(crate) fn command(args: Args) -> Outcome {
    args.finish()?;
    setup::ensure(&[Purpose::Build, Purpose::Demo])?;
    let binaries = build::release()?;
    let [binary, ..] = &binaries[..] else {
        return Err(Failure::new("the release has no binaries"));
    };
    let interrupt = Interrupt::catch()?;
    let scratch = Scratch::make("demo")?;
    let tour = Tour {
        berth: Berth::new(binary, scratch.path()),
        interrupt,
    };
    tour.start()?;
    tour.look()?;
    tour.translate()?;
    tour.end()
}

/// The demonstration, chapter by chapter.
struct Tour {
    berth: Berth,
    interrupt: Interrupt,
}

impl Tour {
    fn start(&self) -> Outcome {
        self.chapter(
            "Three containers from the host's own programs: two side by side, and one that opens \
             a further PID namespace inside its own",
        )?;
        for (name, words) in CONTAINERS {
            let start = ["run", "-d", "--net", "none", "--name", name];
            self.show(&[&start[..], words].concat())?;
        }
        self.deepest()?;
        self.show(&["ps"])
    }

    fn look(&self) -> Outcome {
        self.chapter("The host, its PID namespaces, and the PIDs that each process has")?;
        self.show(&["map"])?;
        self.chapter("The processes of one container, those of the deeper namespace too")?;
        self.show(&["top", "nest"])
    }

    fn translate(&self) -> Outcome {
        self.chapter("From a container's PID to the host's and back; the kernel agrees")?;
        for name in ["red:1", "blue:1"] {
            let pid = self.show_and_read(&["pid", name])?;
            self.kernel_says(&pid)?;
            self.show(&["pid", &pid])?;
        }
        let deepest = self.deepest()?.pid.to_string();
        self.kernel_says(&deepest)?;
        self.show(&["pid", &deepest])?;
        self.show(&["pid", "--json", &deepest])
    }

    fn end(&self) -> Outcome {
        let mut all = Vec::new();
        for (name, _) in CONTAINERS {
            let id = self.berth.read(&["inspect", "--format", "{{.Id}}", name])?;
            all.extend(processes::in_cgroup(&id)?);
        }
        if all.len() < 2 * CONTAINERS.len() {
            return Err(Failure::new(format!(
                "found only {} processes in containers",
                all.len()
            )));
        }
        self.chapter("Stop, and every process is gone")?;
        let names = CONTAINERS.map(|(name, _)| name);
        self.show(&[&["stop", "--stop-fast"], &names[..]].concat())?;
        for process in &all {
            let state = if process.lives() { "ALIVE" } else { "gone" };
            println!("/proc/{:<8} {:<10} {state}", process.pid, process.name);
        }
        self.show(&[&["rm"], &names[..]].concat())?;
        self.show(&["ps", "-a"])?;
        match all.iter().filter(|process| process.lives()).count() {
            0 => {
                println!(
                    "\n{} processes were in the containers; none is left.",
                    all.len()
                );
                Ok(())
            }
            left => Err(Failure::new(format!(
                "{left} processes outlived their containers"
            ))),
        }
    }

    /// A heading; also the place where Ctrl-C takes effect.
    fn chapter(&self, text: &str) -> Outcome {
        self.interrupt.check()?;
        println!("\n=== {text}");
        Ok(())
    }

    /// Shows the command as a user would type it, and runs it with our terminal.
    fn show(&self, words: &[&str]) -> Outcome {
        self.interrupt.check()?;
        println!("\n$ berth {}", typed(words));
        let mut command = self.berth.command(words);
        let status = command
            .status()
            .map_err(|error| exec::cannot_start(&command, &error))?;
        self.interrupt.check()?;
        if status.success() {
            return Ok(());
        }
        Err(Failure::new(format!(
            "\"berth {}\" ended with {status}",
            typed(words)
        )))
    }

    /// As [`Tour::show`], for a result that is used further on.
    fn show_and_read(&self, words: &[&str]) -> Outcome<String> {
        self.interrupt.check()?;
        println!("\n$ berth {}", typed(words));
        let text = self.berth.read(words)?;
        println!("{text}");
        Ok(text)
    }

    fn kernel_says(&self, pid: &str) -> Outcome {
        println!("\n$ grep NSpid /proc/{pid}/status");
        println!("{}", processes::status_line(pid, "NSpid")?);
        Ok(())
    }

    /// The process in the namespace inside a container's: three levels, the host's being the first.
    fn deepest(&self) -> Outcome<Process> {
        let id = self
            .berth
            .read(&["inspect", "--format", "{{.Id}}", "nest"])?;
        let end = Instant::now() + APPEAR;
        loop {
            let found = processes::in_cgroup(&id)?
                .into_iter()
                .find(|process| process.levels == 3);
            if let Some(process) = found {
                return Ok(process);
            }
            if Instant::now() > end {
                return Err(Failure::new(
                    "container nest has no process on a third level",
                ));
            }
            self.interrupt.check()?;
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn typed(words: &[&str]) -> String {
    let quoted: Vec<String> = words
        .iter()
        .map(|word| {
            if word.contains([' ', '{']) {
                format!("'{word}'")
            } else {
                (*word).to_owned()
            }
        })
        .collect();
    quoted.join(" ")
}
