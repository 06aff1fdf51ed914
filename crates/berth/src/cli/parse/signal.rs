//! Signals by name or number (signal(7), Linux numbering of x86 and Arm).

use super::Rejected;
use super::nearest::nearest;

const NAMES: [(&str, i32); 35] = [
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
const REALTIME_MAX: i32 = 64;

/// Reads `TERM`, `SIGTERM`, `sigterm`, `15`, `RTMIN+3`, `RTMAX-2`.
pub(crate) fn signal(text: &str) -> Result<i32, Rejected> {
    if let Ok(number) = text.parse::<i32>() {
        return match number {
            1..=REALTIME_MAX => Ok(number),
            _ => Err(Rejected::new("a signal's number is from 1 to 64")),
        };
    }
    let upper = text.to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some((_, number)) = NAMES.iter().find(|(name, _)| *name == bare) {
        return Ok(*number);
    }
    if let Some(number) = realtime(bare) {
        return Ok(number);
    }
    Err(Rejected::new(
        match nearest(bare, NAMES.iter().map(|(name, _)| *name)) {
            Some(near) => format!("no signal is called so; did you mean {near}?"),
            None => {
                "no signal is called so; give a name such as TERM or a number such as 15".to_owned()
            }
        },
    ))
}

/// The name of a signal with its prefix, `SIGTERM`; the real-time ones count from SIGRTMIN.
pub(crate) fn signal_name(number: i32) -> String {
    if let Some((name, _)) = NAMES.iter().find(|(_, n)| *n == number) {
        return format!("SIG{name}");
    }
    match number {
        REALTIME_MIN => "SIGRTMIN".to_owned(),
        REALTIME_MAX => "SIGRTMAX".to_owned(),
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
        None => REALTIME_MAX.checked_sub(offset(bare.strip_prefix("RTMAX")?, '-')?)?,
    };
    (REALTIME_MIN..=REALTIME_MAX)
        .contains(&number)
        .then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_numbers_and_realtime() {
        for (text, number) in [
            ("TERM", 15),
            ("SIGKILL", 9),
            ("sighup", 1),
            ("9", 9),
            ("RTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("RTMAX-1", 63),
            ("RTMAX", 64),
        ] {
            assert_eq!(signal(text), Ok(number), "{text}");
        }
        for text in [
            "", "0", "65", "-9", "TERN2X", "RTMIN+31", "RTMIN-1", "RTMAX+1",
        ] {
            assert!(signal(text).is_err(), "{text}");
        }
        insta::assert_snapshot!(signal("SIGTREM").unwrap_err(), @"no signal is called so; did you mean TERM?");
    }

    #[test]
    fn names_go_back() {
        assert_eq!(signal_name(15), "SIGTERM");
        assert_eq!(signal_name(37), "SIGRTMIN+3");
        assert_eq!(signal_name(32), "32");
        for number in (1..=31).chain(34..=64) {
            assert_eq!(signal(&signal_name(number)), Ok(number));
        }
    }
}
