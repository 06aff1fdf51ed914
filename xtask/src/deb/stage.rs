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
    let doc = data.join("share/doc/berth");
    pages(&doc)?;
    changelogs(&doc)?;
    let overrides = workspace::root().join("packaging/lintian-overrides");
    copy(&overrides, &data.join("share/lintian/overrides/berth"))?;
    let systemd = workspace::root().join("packaging/systemd");
    units(&systemd, &data.join("lib/systemd/system"))?;
    units(&systemd.join("user"), &data.join("lib/systemd/user"))
}

/// Writes a manual page for each command.
///
/// # Errors
/// The folder cannot be written.
pub(super) fn manual(berth: &Path, folder: &Path) -> Outcome {
    make(folder)?;
    let of_runtime = workspace::root().join("packaging/man/berth-runtime.1");
    copy(&of_runtime, &folder.join("berth-runtime.1"))?;
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

/// The list of changes as it is, and Debian's own, which has another form (deb-changelog(5)).
fn changelogs(folder: &Path) -> Outcome {
    let changes = folder.join("changelog");
    copy(&workspace::root().join("CHANGELOG.md"), &changes)?;
    let metadata = workspace::metadata()?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let mut versions = packages.filter(|p| p["name"] == "berth");
    let package = versions
        .next()
        .ok_or_else(|| Failure::new("there is no package berth"))?;
    let version = package["version"].as_str().unwrap_or_default();
    let from = package["metadata"]["deb"]["maintainer"].as_str();
    let maintainer = maintainer().or(from.map(str::to_owned)).unwrap_or_default();
    let mut git = exec::at_root("git");
    // The day of the source, so that packages made twice are the same.
    let day = exec::read(git.args(["log", "-1", "--format=%cD"]));
    let day = day.unwrap_or_else(|_| "Thu, 01 Jan 1970 00:00:00 +0000".to_owned());
    let text = format!(
        "berth ({version}-1) unstable; urgency=medium\n\n  * What has changed is in changelog.gz.\n\n \
         -- {maintainer}  {}\n",
        day.trim()
    );
    let of_debian = folder.join("changelog.Debian");
    write(&of_debian, &text)?;
    exec::read(
        Command::new("gzip")
            .args(["-9", "-n"])
            .arg(&changes)
            .arg(&of_debian),
    )
    .map(drop)
}

/// Who makes the package, as Debian's tools ask for it (debchange(1)).
pub(super) fn maintainer() -> Option<String> {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (name, address) = (set("DEBFULLNAME")?, set("DEBEMAIL")?);
    Some(format!("{name} <{address}>"))
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
fn units(from: &Path, folder: &Path) -> Outcome {
    let Ok(entries) = fs::read_dir(from) else {
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
