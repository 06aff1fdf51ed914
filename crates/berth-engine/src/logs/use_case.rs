//! The log of a container: where it is, and reading it.

use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use berth_base::state::{LOST_FILE, LogConfig, LogDriver, LostFile};
use berth_base::{ErrorClass, Status};

use super::part::Format;
use super::{LogReader, LogRequest, LogSettings, fields};
use crate::{Container, CreateOptions, Engine, EngineError, Session};

/// Where the journal listens.
const JOURNAL: &str = "/run/systemd/journal/socket";

impl Engine {
    /// The newest file of a container's log, which may not exist yet; `None` where it keeps none in
    /// files.
    pub fn log_path(&self, container: &Container) -> Option<PathBuf> {
        let driver = container.create.options.log.driver.unwrap_or_default();
        Some(container.persistent_dir.join(driver.file_name()?))
    }

    /// Reads a container's log.
    ///
    /// # Errors
    /// Its driver keeps nothing that could be read, or the files cannot be.
    pub fn logs(
        &self,
        container: &Container,
        request: LogRequest,
    ) -> Result<LogReader, EngineError> {
        let name = &container.name;
        let driver = container.create.options.log.driver.unwrap_or_default();
        let (format, file) = match driver {
            LogDriver::JsonFile => (Format::Json, "log.json"),
            LogDriver::Local => (Format::Local, "log.local"),
            LogDriver::Journald => {
                let id = &container.id;
                let text = format!(
                    "the log of container {name} is in the journal; read it with \"journalctl CONTAINER_ID_FULL={id}\""
                );
                return Err(EngineError::new(ErrorClass::Unsupported, text).on(name.as_str()));
            }
            LogDriver::None => {
                let text = format!(
                    "container {name} keeps no log: it was made with --log-driver none; \"berth attach {name}\" shows what it writes from now on"
                );
                return Err(EngineError::new(ErrorClass::Unsupported, text).on(name.as_str()));
            }
        };
        let path = container.persistent_dir.join(file);
        LogReader::open(&path, format, request).map_err(|error| unreadable(container, &error))
    }

    /// Whether more may come: the container lives, or its monitor still writes what it left in its
    /// pipes. One that is stopped goes on for that.
    pub fn is_logging(&self, container: &Container) -> bool {
        let is_over = container.exit.is_some() || container.run == 0;
        container.status.is_live()
            || (!is_over
                && container.status == Status::Exited
                && Session::is_served(&container.volatile_dir)
                && self.check_monitor(&container.id).is_ok())
    }

    /// What the log of the last run could not keep; zero records where it could.
    pub fn log_lost(&self, container: &Container) -> LostFile {
        let read = berth_persist::read(&container.volatile_dir.join(LOST_FILE)).ok();
        let lost: Option<LostFile> =
            read.and_then(|bytes| serde_json::from_slice(bytes.trim_ascii()).ok());
        lost.filter(|lost| lost.run == container.run)
            .unwrap_or_default()
    }

    /// Completes the wishes for a log and refuses what cannot be.
    pub(crate) fn choose_log(&self, options: &mut CreateOptions) -> Result<(), EngineError> {
        options.log = options.log.over(&self.config().log);
        let settings = options.log.settings()?;
        check_journal(&settings, Path::new(JOURNAL))
    }

    /// What the monitor is to do with output; `None` for nothing.
    pub(crate) fn log_config(
        &self,
        container: &Container,
    ) -> Result<Option<LogConfig>, EngineError> {
        let settings = container.create.options.log.settings()?;
        check_journal(&settings, Path::new(JOURNAL))?;
        if settings.driver == LogDriver::None {
            return Ok(None);
        }
        let path = self.log_path(container).unwrap_or_else(|| JOURNAL.into());
        Ok(Some(LogConfig {
            driver: settings.driver,
            max_bytes: settings.max_bytes,
            max_files: settings.max_files,
            pack: match settings.compress {
                true => self.internal_command(&["pack-log", &path.to_string_lossy()]),
                false => Vec::new(),
            },
            buffer_bytes: settings.buffer_bytes.unwrap_or(0),
            fields: fields::of(container, &settings),
            path,
        }))
    }
}

fn check_journal(settings: &LogSettings, socket: &Path) -> Result<(), EngineError> {
    if settings.driver != LogDriver::Journald {
        return Ok(());
    }
    let found = socket.metadata();
    if found.is_ok_and(|metadata| metadata.file_type().is_socket()) {
        return Ok(());
    }
    let text = format!(
        "cannot log to the journal: nothing listens on {}; start systemd-journald, or choose another --log-driver",
        socket.display()
    );
    Err(EngineError::new(ErrorClass::Unavailable, text)
        .on("journald")
        .exit_code(125))
}

pub(super) fn unreadable(container: &Container, error: &io::Error) -> EngineError {
    let name = &container.name;
    let text = format!("cannot read the log of container {name}: {error}");
    EngineError::new(ErrorClass::Unavailable, text).on(name.as_str())
}
