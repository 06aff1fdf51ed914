//! How a process ended, in words.

use berth_map::live::Exit;

/// Names of signals that end processes (signal(7), x86).
const SIGNALS: [(u8, &str); 17] = [
    (1, "SIGHUP"),
    (2, "SIGINT"),
    (3, "SIGQUIT"),
    (4, "SIGILL"),
    (5, "SIGTRAP"),
    (6, "SIGABRT"),
    (7, "SIGBUS"),
    (8, "SIGFPE"),
    (9, "SIGKILL"),
    (10, "SIGUSR1"),
    (11, "SIGSEGV"),
    (12, "SIGUSR2"),
    (13, "SIGPIPE"),
    (14, "SIGALRM"),
    (15, "SIGTERM"),
    (24, "SIGXCPU"),
    (31, "SIGSYS"),
];

/// `exit 1`, `SIGKILL`, `ended`.
pub(super) fn describe(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exit {code}"),
        Exit::Signal(number) => {
            let name = SIGNALS.iter().find(|(signal, _)| *signal == number);
            name.map_or_else(
                || format!("signal {number}"),
                |(_, name)| (*name).to_owned(),
            )
        }
        Exit::Unknown => "ended".to_owned(),
    }
}
