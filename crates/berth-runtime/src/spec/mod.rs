//! Reading a bundle's configuration: from bytes to a spec that makes sense.
//!
//! What can be told from the file alone is refused here, before anything of the container exists,
//! in a message that names the field (runtime-spec, config.md, "Valid values"). Unknown fields and
//! annotations are ignored ("Extensibility"). What depends on the host is the plan's to refuse.
//! Opens nothing.

mod linux;
mod mapping;
mod mounts;
mod process;
mod required;
mod rules;
#[cfg(test)]
mod tests;
mod version;

use std::fmt::Display;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{Process, Spec};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::error::Category;

pub(crate) use rules::number_list;
pub use rules::{sysctl_key, sysctl_namespace};

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// It is no JSON.
    #[error("cannot parse {}: line {line}, column {column}: {why}", file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// Where, from 1.
        line: usize,
        /// Where, from 1.
        column: usize,
        /// What the parser expected.
        why: String,
    },
    /// A field has a value that it cannot have.
    #[error("{field}: {why}")]
    Field {
        /// The field's path, such as `process.args[0]`.
        field: String,
        /// What is wrong with it.
        why: String,
    },
}

impl SpecError {
    /// The class of the error.
    pub const fn class(&self) -> berth_base::ErrorClass {
        berth_base::ErrorClass::Invalid
    }
}

/// What the checks of one field answer.
type Checked = Result<(), SpecError>;

/// A refusal of one field.
fn refuse(field: impl Into<String>, why: impl Display) -> SpecError {
    SpecError::Field {
        // Keys of maps are whatever the file says.
        field: berth_base::escape_untrusted(&field.into()).into_owned(),
        why: why.to_string(),
    }
}

/// Reads a `config.json`; `file` is for messages.
///
/// # Errors
/// Line and column of malformed JSON; the path of a field with a wrong type or value.
pub fn read(bytes: &[u8], file: &Path) -> Result<Spec, SpecError> {
    let spec: Spec = parse(bytes, file, |value| {
        if let Some(process) = value.get_mut("process") {
            mend_process(process);
        }
    })?;
    check(&spec)?;
    // It has been parsed once, as wider types, so it parses again.
    let required = serde_json::from_slice::<required::Config>(bytes);
    required.map_err(|e| syntax(&e, file))?.check()?;
    Ok(spec)
}

/// Reads the process of `exec --process FILE`: the shape of `process` in a `config.json`.
///
/// # Errors
/// As [`read`].
pub fn read_process(bytes: &[u8], file: &Path) -> Result<Process, SpecError> {
    let process: Process = parse(bytes, file, mend_process)?;
    check_process(&process)?;
    let required = serde_json::from_slice::<required::Process>(bytes);
    required.map_err(|e| syntax(&e, file))?.check()?;
    Ok(process)
}

/// Checks a spec that was put together elsewhere.
///
/// # Errors
/// The first field that cannot be as it is.
pub fn check(spec: &Spec) -> Checked {
    version::check(spec.version())?;
    rules::root(spec)?;
    let process = spec
        .process()
        .as_ref()
        .ok_or_else(|| refuse("process", "missing"))?;
    process::check(process)?;
    mounts::check(spec)?;
    rules::hooks(spec)?;
    rules::annotations(spec)?;
    linux::check(spec)
}

/// Checks one process.
///
/// # Errors
/// The first field that cannot be as it is.
pub fn check_process(process: &Process) -> Checked {
    process::check(process)
}

/// Parses; what does not parse is parsed once more for the path of the field at fault, and again
/// with `mend` applied where the types are narrower than the specification. The usual file pays
/// for one pass, and for one that keeps no account of paths.
fn parse<T: DeserializeOwned>(
    bytes: &[u8],
    file: &Path,
    mend: impl FnOnce(&mut Value),
) -> Result<T, SpecError> {
    if let Ok(parsed) = serde_json::from_slice(bytes) {
        return Ok(parsed);
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let first = match serde_path_to_error::deserialize(&mut deserializer) {
        Ok(parsed) => {
            deserializer.end().map_err(|e| syntax(&e, file))?;
            return Ok(parsed);
        }
        Err(error) => error,
    };
    if !matches!(first.inner().classify(), Category::Data) {
        return Err(syntax(first.inner(), file));
    }
    let Ok(mut value) = serde_json::from_slice::<Value>(bytes) else {
        return Err(wrong(&first));
    };
    let before = value.clone();
    mend(&mut value);
    if value == before {
        return Err(wrong(&first));
    }
    serde_path_to_error::deserialize(value).map_err(|e| wrong(&e))
}

/// Malformed JSON.
fn syntax(error: &serde_json::Error, file: &Path) -> SpecError {
    SpecError::Syntax {
        file: file.to_owned(),
        line: error.line(),
        column: error.column(),
        why: without_position(error),
    }
}

/// A value of the wrong type.
fn wrong(error: &serde_path_to_error::Error<serde_json::Error>) -> SpecError {
    let inner = error.inner();
    let place = match inner.line() {
        0 => String::new(),
        line => format!(" (line {line}, column {})", inner.column()),
    };
    let path = error.path().to_string();
    // The path of the whole document is a dot.
    let field = if path == "." {
        "config".to_owned()
    } else {
        path
    };
    refuse(field, format!("{}{place}", without_position(inner)))
}

/// The parser's words, less the position that it appends.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text.get(..end).unwrap_or(&text).to_owned(),
        None => text,
    }
}

/// Where oci-spec's types differ from the specification: two names of scheduler flags, and a user
/// that may be absent.
fn mend_process(process: &mut Value) {
    if let Some(object) = process.as_object_mut()
        && !object.contains_key("user")
    {
        object.insert("user".into(), Value::Object(serde_json::Map::new()));
    }
    let flags = process
        .pointer_mut("/scheduler/flags")
        .and_then(Value::as_array_mut);
    for flag in flags.into_iter().flatten() {
        match flag.as_str() {
            Some("SCHED_FLAG_RESET_ON_FORK") => *flag = "SCHED_RESET_ON_FORK".into(),
            Some("SCHED_FLAG_DL_OVERRUN") => *flag = "SCHED_FLAG_D_L_OVERRUN".into(),
            _ => {}
        }
    }
}
