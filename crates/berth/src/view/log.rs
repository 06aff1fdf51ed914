//! What `inspect` says of a container's log.

use std::path::PathBuf;

use berth_base::state::{LogDriver, LostFile};
use berth_engine::Container;
use serde::Serialize;
use serde_json::{Value, json};

/// `Berth.Log`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LogView {
    /// The newest file, which may not exist yet.
    path: Option<PathBuf>,
    /// Records that the last run's log could not keep.
    lost: u64,
    /// Why, the last time.
    lost_reason: String,
}

impl LogView {
    /// From what the engine knows.
    pub(crate) fn new(path: Option<PathBuf>, lost: LostFile) -> Self {
        Self {
            path,
            lost: lost.records,
            lost_reason: lost.reason,
        }
    }

    /// `LogPath`: as with Docker, of json-file alone.
    pub(crate) fn docker_path(&self, container: &Container) -> String {
        let path = self
            .path
            .as_ref()
            .filter(|_| driver(container) == LogDriver::JsonFile);
        path.map_or_else(String::new, |path| path.display().to_string())
    }
}

/// `HostConfig.LogConfig`: as with Docker, with what was asked for alone.
pub(crate) fn log_config(container: &Container) -> Value {
    let options = &container.create.options.log.options;
    json!({"Type": driver(container).as_str(), "Config": options})
}

fn driver(container: &Container) -> LogDriver {
    container.create.options.log.driver.unwrap_or_default()
}
