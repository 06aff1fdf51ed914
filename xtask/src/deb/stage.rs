//! What the package holds, laid out as it will be installed: `bin/` and, below `data/`, what belongs to
//! `/usr`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::workspace;

/// Where each shell looks for completions.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "share/bash-completion/completions/berth"),
    ("zsh", "share/zsh/vendor-completions/_berth"),
    ("fish", "share/fish/vendor_completions.d/berth.fish"),
];

/// Lays everything out in a folder, which is emptied before.
///
/// # Errors
/// A file cannot be written, or the binary does not run.
pub(super) fn fill(folder: &Path, binaries: &[PathBuf]) -> Outcome {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|error| Failure::file("empty", folder, &error))?;
    }
    let (bin, data) = (folder.join("bin"), folder.join("data"));
    make(&bin)?;
    for binary in binaries {
        copy(binary, &bin.join(binary.file_name().unwrap_or_default()))?;
    }
    let berth = &binaries[0];
    let manual_folder = data.join("share/man/man1");
    manual(berth, &manual_folder)?;
    // As the policy of Debian has manual pages, without the time in them.
    exec::read(
        Command::new("gzip")
            .args(["-9", "-n", "-r"])
            .arg(&manual_folder),
    )?;
    for (shell, path) in COMPLETIONS {
        let script = exec::read(Command::new(berth).args(["completion", shell]))?;
        write(&data.join(path), &script)?;
    }
    pages(&data.join("share/doc/berth"))?;
    units(&data.join("lib/systemd/system"))
}

/// Writes a manual page for each command.
///
/// # Errors
/// The folder cannot be written.
pub(super) fn manual(berth: &Path, folder: &Path) -> Outcome {
    make(folder)?;
    let mut command = Command::new(berth);
    command.args(["internal", "man"]).arg(folder);
    // The day of the source, where git knows it, so that pages made twice are the same.
    let mut git = exec::at_root("git");
    let day = exec::read(git.args(["log", "-1", "--format=%cs"])).ok();
    command.args(day.as_deref().map(str::trim));
    exec::read(&mut command).map(drop)
}

/// The pages of docs/ and what is linked in with its licence.
fn pages(folder: &Path) -> Outcome {
    let root = workspace::root();
    copy(&root.join("README.md"), &folder.join("README.md"))?;
    let docs = root.join("docs");
    for entry in fs::read_dir(&docs).map_err(|error| Failure::file("list", &docs, &error))? {
        let path = entry
            .map_err(|error| Failure::file("list", &docs, &error))?
            .path();
        if path.extension().is_some_and(|end| end == "md") {
            let name = path.file_name().unwrap_or_default();
            copy(&path, &folder.join("docs").join(name))?;
        }
    }
    write(&folder.join("third-party.txt"), &third_party()?)
}

/// A line for each crate that the binaries may contain.
fn third_party() -> Outcome<String> {
    let metadata = workspace::metadata()?;
    let mut lines = BTreeSet::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let text = |key: &str| package[key].as_str().unwrap_or("unknown").to_owned();
        // Ours have no source.
        if package["source"].is_string() {
            let (name, version) = (text("name"), text("version"));
            lines.insert(format!("{name} {version}: {}\n", text("license")));
        }
    }
    Ok(lines.into_iter().collect())
}

/// The units of systemd that are there.
fn units(folder: &Path) -> Outcome {
    let from = workspace::root().join("packaging/systemd");
    let Ok(entries) = fs::read_dir(&from) else {
        return Ok(());
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_some_and(|end| end == "service") {
            copy(&path, &folder.join(path.file_name().unwrap_or_default()))?;
        }
    }
    Ok(())
}

fn make(folder: &Path) -> Outcome {
    fs::create_dir_all(folder).map_err(|error| Failure::file("create", folder, &error))
}

fn write(path: &Path, text: &str) -> Outcome {
    path.parent().map_or(Ok(()), make)?;
    fs::write(path, text).map_err(|error| Failure::file("write", path, &error))
}

fn copy(from: &Path, to: &Path) -> Outcome {
    to.parent().map_or(Ok(()), make)?;
    match fs::copy(from, to) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::file("copy", from, &error)),
    }
}
