//! Kernel modules in the order in which they can be inserted.
//!
//! What depmod would write is read from the modules themselves: the section `.modinfo` holds
//! `key=value` strings that end in NUL, among them `depends=` (names with underscores, separated
//! by commas) and `softdep=pre: ...` (kernel: include/linux/module.h).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Outcome};

/// The modules of one kernel by name.
pub(super) struct Modules {
    loadable: BTreeMap<String, PathBuf>,
    built_in: Vec<String>,
}

impl Modules {
    /// Reads the folder `lib/modules/RELEASE`.
    ///
    /// # Errors
    /// A folder below it cannot be listed.
    pub(super) fn read(folder: &Path) -> Outcome<Self> {
        let mut loadable = BTreeMap::new();
        collect(&folder.join("kernel"), &mut loadable)?;
        let list = folder.join("modules.builtin");
        let text =
            fs::read_to_string(&list).map_err(|error| Failure::file("read", &list, &error))?;
        let built_in = text
            .lines()
            .filter_map(|line| name_of(Path::new(line)))
            .collect();
        Ok(Self { loadable, built_in })
    }

    /// The files of the wanted modules and all that they need, each after what it needs. Modules
    /// that are built in are left out.
    ///
    /// # Errors
    /// A wanted or needed module does not exist, or cannot be read.
    pub(super) fn in_order(&self, wanted: &[&str]) -> Outcome<Vec<PathBuf>> {
        let mut order = Vec::new();
        for name in wanted {
            self.add(name, &mut order)?;
        }
        Ok(order)
    }

    fn add(&self, name: &str, order: &mut Vec<PathBuf>) -> Outcome {
        let Some(path) = self.loadable.get(name) else {
            return if self.built_in.iter().any(|known| known == name) {
                Ok(())
            } else {
                Err(Failure::new(format!(
                    "the guest's kernel has no module {name}"
                )))
            };
        };
        if order.contains(path) {
            return Ok(());
        }
        let bytes = fs::read(path).map_err(|error| Failure::file("read", path, &error))?;
        for needed in values(&bytes, b"depends=")
            .iter()
            .flat_map(|value| value.split(','))
        {
            if !needed.is_empty() {
                self.add(needed, order)?;
            }
        }
        // Soft dependencies may name an alias or nothing at all.
        for value in values(&bytes, b"softdep=") {
            let before = value.split("post:").next().unwrap_or_default();
            for word in before
                .split_whitespace()
                .filter(|word| self.loadable.contains_key(*word))
            {
                self.add(word, order)?;
            }
        }
        order.push(path.clone());
        Ok(())
    }
}

fn collect(folder: &Path, found: &mut BTreeMap<String, PathBuf>) -> Outcome {
    let entries = fs::read_dir(folder).map_err(|error| Failure::file("list", folder, &error))?;
    for entry in entries {
        let path = entry
            .map_err(|error| Failure::file("list", folder, &error))?
            .path();
        if path.is_dir() {
            collect(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "ko") {
            found.extend(name_of(&path).map(|name| (name, path)));
        }
    }
    Ok(())
}

/// A module's name: its file's stem with underscores.
fn name_of(path: &Path) -> Option<String> {
    Some(path.file_stem()?.to_str()?.replace('-', "_"))
}

/// The values of the NUL-terminated strings that begin with `key` at a string's start.
fn values(bytes: &[u8], key: &[u8]) -> Vec<String> {
    bytes
        .split(|byte| *byte == 0)
        .filter_map(|string| string.strip_prefix(key))
        .map(|value| String::from_utf8_lossy(value).into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_module_comes_after_what_it_needs() {
        let root = std::env::temp_dir().join(format!("xtask-modules-{}", std::process::id()));
        let kernel = root.join("kernel/net");
        fs::create_dir_all(&kernel).unwrap();
        let module = |name: &str, info: &str| {
            fs::write(
                kernel.join(format!("{name}.ko")),
                format!("ELF\0{info}\0end"),
            )
            .unwrap();
        };
        module("bridge", "depends=stp,llc");
        module("stp", "depends=llc");
        module("llc", "depends=");
        module(
            "nf-tables",
            "depends=crc32c\0softdep=pre: stp nothing post: bridge",
        );
        fs::write(root.join("modules.builtin"), "kernel/lib/crc32c.ko\n").unwrap();
        let modules = Modules::read(&root).unwrap();
        let order = modules.in_order(&["nf_tables", "bridge"]).unwrap();
        let names: Vec<_> = order.iter().filter_map(|path| name_of(path)).collect();
        assert_eq!(names, ["llc", "stp", "nf_tables", "bridge"]);
        assert!(modules.in_order(&["no_such"]).is_err());
        fs::remove_dir_all(&root).unwrap();
    }
}
