//! What a user asks about: `31995`, `web:7`, `docker/4f2a:7`, `host:31995`.

use std::str::FromStr;

use berth_base::{HostPid, escape_untrusted};

use super::{HOST, PidError};

/// A PID, on the host or in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PidSpec {
    /// Digits alone, or `host:` and digits: a PID on the host.
    Host(HostPid),
    /// A PID in the PID namespace in which a container's PIDs count.
    Inside {
        /// The container as written: id, name, beginning of an id, engine and one of these.
        container: String,
        /// The PID, from 1.
        pid: u32,
    },
}

impl FromStr for PidSpec {
    type Err = PidError;

    fn from_str(text: &str) -> Result<Self, PidError> {
        match text.rsplit_once(':') {
            None => Ok(Self::Host(parse_pid(text, text)?)),
            Some((HOST, digits)) => Ok(Self::Host(parse_pid(digits, text)?)),
            Some((container, digits)) => Ok(Self::Inside {
                pid: parse_pid(digits, text)?.get(),
                container: container.to_owned(),
            }),
        }
    }
}

/// Reads a PID; anything but decimal digits, 0 and what no kernel counts to is refused.
fn parse_pid(digits: &str, whole: &str) -> Result<HostPid, PidError> {
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let number: Option<u32> = plain.then(|| digits.parse().ok()).flatten();
    number.and_then(HostPid::new).ok_or_else(|| {
        let text = escape_untrusted(whole).into_owned();
        match number {
            Some(0) => PidError::Zero { text },
            _ => PidError::NotAPid { text },
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_alone_are_a_host_pid() {
        let host = PidSpec::Host(HostPid::new(31_995).unwrap());
        assert_eq!("31995".parse::<PidSpec>().unwrap(), host);
        assert_eq!("host:31995".parse::<PidSpec>().unwrap(), host);
    }

    #[test]
    fn a_container_may_be_named_by_digits() {
        let spec = "123:7".parse::<PidSpec>().unwrap();
        let container = "123".to_owned();
        assert_eq!(spec, PidSpec::Inside { container, pid: 7 });
    }

    #[test]
    fn what_is_no_pid_is_said_so() {
        for text in [
            "",
            "web",
            "-1",
            "+1",
            "web:",
            "web:x",
            "web:-1",
            " 1",
            "99999999999",
        ] {
            let error = text.parse::<PidSpec>().unwrap_err();
            assert!(matches!(error, PidError::NotAPid { .. }), "{text}: {error}");
        }
        assert!(matches!(
            "web:0".parse::<PidSpec>(),
            Err(PidError::Zero { .. })
        ));
        assert!(matches!("0".parse::<PidSpec>(), Err(PidError::Zero { .. })));
    }
}
