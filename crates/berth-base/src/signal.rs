//! Signals by name or number (signal(7), Linux numbering of x86 and Arm).

/// Names without prefix, and numbers; of two names for one number the usual one comes first.
pub const SIGNALS: [(&str, i32); 35] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("IOT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("POLL", 29),
    ("PWR", 30),
    ("SYS", 31),
    ("UNUSED", 31),
];

/// glibc's SIGRTMIN: the kernel's 32 and 33 belong to its threads.
const REALTIME_MIN: i32 = 34;
/// The last signal.
pub const SIGNAL_MAX: i32 = 64;

/// Reads `TERM`, `SIGTERM`, `sigterm`, `15`, `RTMIN+3`, `RTMAX-2`.
pub fn signal_number(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (1..=SIGNAL_MAX).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    match SIGNALS.iter().find(|(name, _)| *name == bare) {
        Some((_, number)) => Some(*number),
        None => realtime(bare),
    }
}

/// The name of a signal with its prefix, `SIGTERM`; the real-time ones count from SIGRTMIN.
pub fn signal_name(number: i32) -> String {
    if let Some((name, _)) = SIGNALS.iter().find(|(_, n)| *n == number) {
        return format!("SIG{name}");
    }
    match number {
        REALTIME_MIN => "SIGRTMIN".to_owned(),
        SIGNAL_MAX => "SIGRTMAX".to_owned(),
        _ if number > REALTIME_MIN => format!("SIGRTMIN+{}", number - REALTIME_MIN),
        _ => number.to_string(),
    }
}

fn realtime(bare: &str) -> Option<i32> {
    let offset = |text: &str, sign: char| match text {
        "" => Some(0),
        _ => text.strip_prefix(sign)?.parse::<i32>().ok(),
    };
    let number = match bare.strip_prefix("RTMIN") {
        Some(rest) => REALTIME_MIN.checked_add(offset(rest, '+')?)?,
        None => SIGNAL_MAX.checked_sub(offset(bare.strip_prefix("RTMAX")?, '-')?)?,
    };
    (REALTIME_MIN..=SIGNAL_MAX)
        .contains(&number)
        .then_some(number)
}
