//! The Container Device Interface (github.com/cncf-tags/container-device-interface, SPEC.md): files
//! in which vendors say what a device of theirs needs in a container.
//!
//! Files of YAML and JSON. One that cannot be used harms only its own devices, and is told of when
//! one is not found. What a file asks for and cannot be done is an error, never left out.

mod apply;
mod file;
#[cfg(test)]
mod tests;
mod yaml;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use berth_base::{ErrorClass, nearest};

use crate::EngineError;
use crate::spec::Injected;
use crate::user::ResolvedUser;
use file::File;

/// The most devices that an error lists.
const MOST_LISTED: usize = 8;

/// Whether a text is `vendor/class=name` (SPEC.md, "Kind" and "CDI Devices").
pub fn is_cdi_name(text: &str) -> bool {
    let parts = text
        .split_once('=')
        .and_then(|(kind, name)| kind.split_once('/').map(|(v, c)| (v, c, name)));
    parts.is_some_and(|(vendor, class, name)| {
        is_vendor(vendor) && is_class(class) && is_device(name)
    })
}

fn is_vendor(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && is_made_of(text, b"-_.")
}

fn is_class(text: &str) -> bool {
    text.len() <= 63 && is_made_of(text, b"-_.")
}

fn is_device(text: &str) -> bool {
    is_made_of(text, b"-_.:")
}

/// Letters and digits at both ends, and `others` between them.
fn is_made_of(text: &str, others: &[u8]) -> bool {
    let bytes = text.as_bytes();
    let inner = |b: &u8| b.is_ascii_alphanumeric() || others.contains(b);
    let [first, .., last] = bytes else {
        return bytes.first().is_some_and(u8::is_ascii_alphanumeric);
    };
    first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() && bytes.iter().all(inner)
}

/// What was read of all folders.
#[derive(Debug, Default)]
struct Registry {
    files: Vec<(PathBuf, File)>,
    /// File and device by full name; several of one folder make the name useless.
    devices: BTreeMap<String, Vec<(usize, usize)>>,
    /// Files that could not be used, and why.
    unread: Vec<String>,
}

/// Adds what devices need, each file's own edits once. Nodes belong to `user` unless a file says
/// otherwise, so that a program which is not root may use them.
pub(super) fn inject(
    names: &[String],
    folders: &[PathBuf],
    user: &ResolvedUser,
    injected: &mut Injected,
) -> Result<(), EngineError> {
    let registry = Registry::read(folders);
    let mut seen = Vec::new();
    for name in names {
        let (file, device) = registry.find(name, folders)?;
        let Some((path, contents)) = registry.files.get(file) else {
            continue;
        };
        let asked = apply::Asked {
            file: path,
            name,
            user,
        };
        if !seen.contains(&file) {
            seen.push(file);
            apply::apply(&asked, &contents.container_edits, injected)?;
        }
        if let Some(device) = contents.devices.get(device) {
            apply::apply(&asked, &device.container_edits, injected)?;
        }
    }
    Ok(())
}

impl Registry {
    /// Reads every folder; a device of a later one replaces that of an earlier.
    fn read(folders: &[PathBuf]) -> Self {
        let mut registry = Self::default();
        for folder in folders {
            let mut own: BTreeMap<String, Vec<(usize, usize)>> = BTreeMap::new();
            // by path: folders of the host's administrator
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
            paths.sort();
            for path in paths {
                match file::parse(&path) {
                    None => {}
                    Some(Err(why)) => registry.unread.push(format!("{}: {why}", path.display())),
                    Some(Ok(file)) => {
                        let number = registry.files.len();
                        for (index, device) in file.devices.iter().enumerate() {
                            let name = format!("{}={}", file.kind, device.name);
                            own.entry(name).or_default().push((number, index));
                        }
                        registry.files.push((path, file));
                    }
                }
            }
            registry.devices.extend(own);
        }
        registry
    }

    fn find(&self, name: &str, folders: &[PathBuf]) -> Result<(usize, usize), EngineError> {
        let (class, why) = match self.devices.get(name).map(Vec::as_slice) {
            Some([only]) => return Ok(*only),
            Some(several) => {
                let files = several.iter().filter_map(|(file, _)| self.files.get(*file));
                let files: Vec<String> =
                    files.map(|(path, _)| path.display().to_string()).collect();
                let why = format!("{} all define it; leave it in one", files.join(" and "));
                (ErrorClass::Conflict, why)
            }
            None => (ErrorClass::NotFound, self.why_unknown(name, folders)),
        };
        let text = format!("cannot use the device {name}: {why}");
        Err(EngineError::new(class, text).on(name))
    }

    fn why_unknown(&self, name: &str, folders: &[PathBuf]) -> String {
        let folders: Vec<String> = folders.iter().map(|f| f.display().to_string()).collect();
        let folders = folders.join(" and ");
        let known = || self.devices.keys().map(String::as_str);
        let mut why = match (known().count(), nearest(name, known())) {
            (0, _) => format!("no file in {folders} defines a device"),
            (1..=MOST_LISTED, None) => {
                let known: Vec<&str> = known().collect();
                format!("{folders} define {}", known.join(", "))
            }
            (count, None) => {
                format!("the {count} devices that {folders} define have other names")
            }
            (_, Some(near)) => format!("{folders} do not define it; did you mean {near}?"),
        };
        for unread in &self.unread {
            why += &format!("; {unread}");
        }
        if self.unread.is_empty() && self.devices.is_empty() {
            why += "; its vendor's tool writes one, such as \"nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml\"";
        }
        why
    }
}
