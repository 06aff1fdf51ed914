//! Log messages as runc writes them: logrus' text, or one JSON object a line, which shims read
//! to learn why a command failed.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::time::SystemTime;

use super::flags::{Global, LogFormat};

/// Where messages go.
pub(super) struct Log {
    file: Option<PathBuf>,
    format: LogFormat,
    debug: bool,
}

impl Log {
    pub(super) fn new(global: &Global) -> Self {
        Self {
            file: global.log.clone(),
            format: global.log_format,
            debug: global.debug,
        }
    }

    /// Why the command fails. Goes to the log, and where that is a file, to standard error too.
    pub(super) fn error(&self, message: &str) {
        self.write("error", message);
        if self.file.is_some() {
            eprintln!("{}", berth_base::escape_untrusted(message));
        }
    }

    /// Something that the user should know.
    pub(super) fn warning(&self, message: &str) {
        self.write("warning", message);
    }

    /// For `--debug`.
    pub(super) fn debug(&self, message: &str) {
        if self.debug {
            self.write("debug", message);
        }
    }

    fn write(&self, level: &str, message: &str) {
        let time = humantime::format_rfc3339_seconds(SystemTime::now());
        let line = match self.format {
            LogFormat::Text => {
                let message = berth_base::escape_untrusted(message);
                format!("time=\"{time}\" level={level} msg={message:?}\n")
            }
            LogFormat::Json => {
                let fields = serde_json::json!({
                    "level": level, "msg": message, "time": time.to_string(),
                });
                format!("{fields}\n")
            }
        };
        let written = match &self.file {
            None => std::io::stderr().write_all(line.as_bytes()),
            Some(path) => OpenOptions::new()
                .append(true)
                .create(true)
                .open(path)
                // One write: lines of two commands do not mix.
                .and_then(|mut file| file.write_all(line.as_bytes())),
        };
        if let (Err(error), Some(path)) = (written, &self.file) {
            eprintln!("cannot write the log {}: {error}", path.display());
        }
    }
}
