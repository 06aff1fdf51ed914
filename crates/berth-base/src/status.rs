//! The one status of a container, and which status may follow which.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a container is doing. One value at a time; nothing overlaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Made, never started.
    Created,
    /// A start was begun; intent is on disk, the outcome is not.
    Starting,
    /// Its first process lives.
    Running,
    /// Its first process lives and its cgroup is frozen.
    Paused,
    /// Its first process ended, and it is started again as soon as a pause is over.
    Restarting,
    /// Its first process ended and its namespaces are empty.
    Exited,
    /// Removal was begun; only removal may go on.
    Removing,
}

/// A status may not follow another.
#[derive(Debug, thiserror::Error)]
#[error("a container that is {from} cannot become {to}")]
pub struct InvalidTransition {
    /// The status it has.
    pub from: Status,
    /// The status it was to get.
    pub to: Status,
}

impl Status {
    /// The word that `ps` and `inspect` use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Exited => "exited",
            Self::Removing => "removing",
        }
    }

    /// Whether the container has a living first process.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }

    /// Checks one step against the transition table.
    pub fn become_status(self, to: Self) -> Result<Self, InvalidTransition> {
        use Status::*;
        let allowed = matches!(
            (self, to),
            (Created | Exited | Restarting, Starting)
                | (Starting, Running | Exited | Restarting | Created)
                | (Running, Paused | Exited | Restarting)
                | (Paused, Running | Exited | Restarting)
                | (Exited, Restarting)
                | (Restarting, Exited)
                | (
                    Created | Exited | Restarting | Starting | Removing,
                    Removing
                )
        );
        if allowed {
            Ok(to)
        } else {
            Err(InvalidTransition { from: self, to })
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_container_cannot_be_started_or_removed() {
        assert!(Status::Running.become_status(Status::Starting).is_err());
        assert!(Status::Running.become_status(Status::Removing).is_err());
        assert!(Status::Exited.become_status(Status::Starting).is_ok());
        assert!(Status::Restarting.become_status(Status::Starting).is_ok());
        assert!(Status::Restarting.become_status(Status::Running).is_err());
    }
}
