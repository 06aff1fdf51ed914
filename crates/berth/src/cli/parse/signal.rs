//! Signals by name or number, as flags take them.

pub(crate) use berth_base::signal_name;
use berth_base::{SIGNAL_MAX, SIGNALS, signal_number};

use super::Rejected;
use super::nearest::nearest;

/// Reads `TERM`, `SIGTERM`, `sigterm`, `15`, `RTMIN+3`, `RTMAX-2`.
pub(crate) fn signal(text: &str) -> Result<i32, Rejected> {
    if let Some(number) = signal_number(text) {
        return Ok(number);
    }
    if text.parse::<i32>().is_ok() {
        return Err(Rejected::new(format!(
            "a signal's number is from 1 to {SIGNAL_MAX}"
        )));
    }
    let upper = text.to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    Err(Rejected::new(
        match nearest(bare, SIGNALS.iter().map(|(name, _)| *name)) {
            Some(near) => format!("no signal is called so; did you mean {near}?"),
            None => {
                "no signal is called so; give a name such as TERM or a number such as 15".to_owned()
            }
        },
    ))
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
