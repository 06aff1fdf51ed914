//! Whether a container is started again by itself, and how far that has come.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{ProcessIdentity, Timestamp};

/// When a container that has ended is started again (`--restart`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum RestartPolicy {
    /// Never.
    #[default]
    No,
    /// When it failed, at most so many times in a row; without a limit when 0.
    OnFailure(u32),
    /// Until a user stops it, and again after the next boot.
    Always,
    /// Until a user stops it, for good.
    UnlessStopped,
}

impl RestartPolicy {
    /// The name without the number.
    pub const fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::OnFailure(_) => "on-failure",
            Self::Always => "always",
            Self::UnlessStopped => "unless-stopped",
        }
    }

    /// The number of `on-failure`, else 0.
    pub const fn limit(self) -> u32 {
        match self {
            Self::OnFailure(limit) => limit,
            _ => 0,
        }
    }
}

impl fmt::Display for RestartPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.limit() {
            0 => f.write_str(self.name()),
            limit => write!(f, "{}:{limit}", self.name()),
        }
    }
}

impl From<RestartPolicy> for String {
    fn from(policy: RestartPolicy) -> Self {
        policy.to_string()
    }
}

/// A text names no policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRestartPolicy {
    /// There is none of this name.
    #[error("give no, on-failure[:NUMBER], always or unless-stopped")]
    Unknown,
    /// Only on-failure takes a number.
    #[error("a number of restarts goes with on-failure alone; leave it out")]
    NoNumber,
    /// It is none.
    #[error("give a whole number of restarts after the colon, as in on-failure:3")]
    BadNumber,
}

impl FromStr for RestartPolicy {
    type Err = InvalidRestartPolicy;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, number) = match text.split_once(':') {
            Some((name, number)) => (name, Some(number)),
            None => (text, None),
        };
        let policy = match name {
            // As Docker has it, an empty text is `no`.
            "no" | "" => Self::No,
            "on-failure" => {
                let limit = number.map_or(Ok(0), str::parse);
                return limit
                    .map(Self::OnFailure)
                    .map_err(|_| InvalidRestartPolicy::BadNumber);
            }
            "always" => Self::Always,
            "unless-stopped" => Self::UnlessStopped,
            _ => return Err(InvalidRestartPolicy::Unknown),
        };
        match number {
            None => Ok(policy),
            Some(_) => Err(InvalidRestartPolicy::NoNumber),
        }
    }
}

impl TryFrom<String> for RestartPolicy {
    type Error = InvalidRestartPolicy;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// How far the restarts of a container have come; part of `status.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartRecord {
    /// How often it was started again by itself since a user started it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub count: u32,
    /// The pause before the last of these, 0 before the first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub pause_ms: u32,
    /// The start that somebody has taken upon himself, until it has happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<RestartClaim>,
    /// The boot in which a user stopped it, since it was last started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_in: Option<String>,
}

/// A process is to start a container again. Whoever finds it dead does it instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartClaim {
    /// Who.
    pub by: ProcessIdentity,
    /// The run after which.
    pub after_run: u32,
    /// When it is due; absent: as soon as that run is over, which the claimant sees to itself
    /// (`berth restart`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
}

const fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_as_they_are_written() {
        for text in [
            "no",
            "on-failure",
            "on-failure:3",
            "always",
            "unless-stopped",
        ] {
            let policy: RestartPolicy = text.parse().unwrap();
            assert_eq!(policy.to_string(), text);
        }
        assert_eq!("".parse(), Ok(RestartPolicy::No));
        assert_eq!("on-failure:0".parse(), Ok(RestartPolicy::OnFailure(0)));
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        for (text, error) in [
            ("sometimes", InvalidRestartPolicy::Unknown),
            ("always:3", InvalidRestartPolicy::NoNumber),
            ("no:", InvalidRestartPolicy::NoNumber),
            ("on-failure:", InvalidRestartPolicy::BadNumber),
            ("on-failure:-1", InvalidRestartPolicy::BadNumber),
            ("on-failure:many", InvalidRestartPolicy::BadNumber),
        ] {
            assert_eq!(text.parse::<RestartPolicy>(), Err(error), "{text}");
        }
    }

    #[test]
    fn an_empty_record_takes_no_room() {
        let text = serde_json::to_string(&RestartRecord::default()).unwrap();
        assert_eq!(text, "{}");
    }
}
