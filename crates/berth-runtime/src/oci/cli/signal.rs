//! Signals by name or number.

use berth_base::ErrorClass;

use crate::oci::{Outcome, fail};

/// Linux's signals up to 31 by number (signal(7)); the same on x86, arm and most others.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// The first and the last real-time signal as the C library counts them.
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// Reads `9`, `KILL`, `SIGKILL`, `RTMIN+3`, `RTMAX-1`; case does not matter.
pub(super) fn parse(text: &str) -> Outcome<i32> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let number = name
        .parse()
        .ok()
        .or_else(|| by_name(name))
        .or_else(|| real_time(name));
    number
        .filter(|number| (0..=RTMAX).contains(number))
        .ok_or_else(|| {
            fail(
                ErrorClass::Invalid,
                format!("unknown signal {text:?}; use a name such as TERM, or a number up to 64"),
            )
        })
}

fn by_name(name: &str) -> Option<i32> {
    let name = match name {
        "IOT" => "ABRT",
        "CLD" => "CHLD",
        "POLL" => "IO",
        other => other,
    };
    let at = NAMES.iter().position(|known| *known == name)?;
    i32::try_from(at + 1).ok()
}

fn real_time(name: &str) -> Option<i32> {
    let offset = |rest: &str, sign: char| match rest {
        "" => Some(0),
        rest => rest.strip_prefix(sign)?.parse::<i32>().ok(),
    };
    match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(rest), _) => Some(RTMIN + offset(rest, '+')?),
        (None, Some(rest)) => Some(RTMAX - offset(rest, '-')?),
        (None, None) => None,
    }
    .filter(|number| (RTMIN..=RTMAX).contains(number))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn names_and_numbers() {
        for (text, number) in [
            ("9", 9),
            ("KILL", 9),
            ("sigterm", 15),
            ("SIGRTMIN+3", 37),
            ("RTMAX-1", 63),
            ("0", 0),
            ("SYS", 31),
        ] {
            assert_eq!(parse(text).unwrap(), number, "{text}");
        }
        for bad in ["", "65", "-1", "NOPE", "RTMIN+40", "SIG"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
