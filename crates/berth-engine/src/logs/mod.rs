//! Containers' logs: what a user may ask for, and reading what monitors wrote.
//!
//! Writing is the monitor's (`berth_runtime`), turning files as well. We read: all files of a log in
//! their order while they grow, are turned, compressed or removed. Nothing here writes, but for
//! [`pack`], the process that compresses turned files.

mod ahead;
mod choice;
mod fields;
mod follow;
mod json;
mod local;
mod pack;
mod part;
mod reader;
mod record;
mod series;
mod use_case;

pub use ahead::Gap;
pub use choice::{LOG_OPTIONS, LogChoice, LogSettings};
pub use follow::Follow;
pub use pack::pack_log;
pub use reader::{LogReader, LogRequest};
pub use record::{LogRecord, LogStream};
