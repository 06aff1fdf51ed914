//! `health.json`: what the probes of a run found, and what a monitor is to probe.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// The results that are kept, Docker's number.
pub const HEALTH_RESULTS: usize = 5;

/// What is known of a container's health in one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthFile {
    /// [`super::STATE_VERSION`].
    pub version: u32,
    /// The run.
    pub run: u32,
    /// What the probes come to.
    pub status: HealthStatus,
    /// Failures in a row.
    pub failing_streak: u32,
    /// The last [`HEALTH_RESULTS`] results, the oldest first.
    pub log: Vec<HealthResult>,
}

/// What the probes of a container come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// No probe has succeeded yet.
    #[default]
    Starting,
    /// The last counts.
    Healthy,
    /// Too many have failed in a row.
    Unhealthy,
}

impl HealthStatus {
    /// Docker's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

impl fmt::Display for HealthStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What one probe found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthResult {
    /// When it began.
    pub start: Timestamp,
    /// When it ended, or was ended.
    pub end: Timestamp,
    /// Its exit code; -1 for one that could not be started, or took too long.
    pub exit_code: i32,
    /// The beginning of what it wrote.
    pub output: String,
}

/// What a monitor is to probe; times in milliseconds, none 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthProbe {
    /// The exec session, as a client would ask for it: JSON.
    pub request: String,
    /// From the end of a probe to the next.
    pub interval_ms: u64,
    /// For one probe.
    pub timeout_ms: u64,
    /// After the start, in which failures do not count until a probe has succeeded.
    pub start_period_ms: u64,
    /// Between probes in that period.
    pub start_interval_ms: u64,
    /// Failures in a row until it is unhealthy.
    pub retries: u32,
    /// What to execute when it becomes so, nothing when empty.
    pub on_unhealthy: Vec<String>,
}
