//! A Berth of our own: the release binary with state in a folder that goes with the command.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::exec;
use crate::failure::Outcome;

/// The binary and where it keeps its state. Whatever container is left when this is dropped is
/// removed by force.
pub(crate) struct Berth {
    /// Words that execute what follows them where it lives; none for the host as it is.
    entrance: Vec<String>,
    start: [String; 7],
}

impl Berth {
    /// The binary, with its state below the folder.
    pub(crate) fn new(binary: &Path, folder: &Path) -> Self {
        Self::within(Vec::new(), binary, folder)
    }

    /// The same, with every command behind the words of an entrance.
    pub(crate) fn within(entrance: Vec<String>, binary: &Path, folder: &Path) -> Self {
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        Self {
            entrance,
            start: [
                text(binary.to_path_buf()),
                "--root".to_owned(),
                text(folder.join("berth-root")),
                "--state".to_owned(),
                text(folder.join("berth-state")),
                // No bridges on the machine that measures.
                "--default-network".to_owned(),
                "none".to_owned(),
            ],
        }
    }

    /// The words from the binary up to the subcommand, for who is where it lives.
    pub(crate) fn start(&self) -> &[String] {
        &self.start
    }

    /// Where it keeps what survives a boot.
    pub(crate) fn root(&self) -> &Path {
        Path::new(&self.start[2])
    }

    /// A command line of it.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut all = self.entrance.iter().chain(&self.start);
        let mut command = Command::new(all.next().unwrap_or(&self.start[0]));
        command.args(all).args(words);
        command
    }

    /// What a command prints, without the line break at its end.
    ///
    /// # Errors
    /// It does not exit with 0.
    pub(crate) fn read(&self, words: &[&str]) -> Outcome<String> {
        Ok(exec::read(&mut self.command(words))?.trim_end().to_owned())
    }

    /// Removes every container by force.
    ///
    /// # Errors
    /// The binary is missing or a container cannot be removed.
    pub(crate) fn remove_all(&self) -> Outcome {
        let ids = self.read(&["ps", "-aq", "--no-trunc"])?;
        let ids: Vec<&str> = ids.split_whitespace().collect();
        if ids.is_empty() {
            return Ok(());
        }
        self.read(&[&["rm", "-f"], &ids[..]].concat()).map(drop)
    }
}

impl Drop for Berth {
    fn drop(&mut self) {
        if let Err(failure) = self.remove_all() {
            eprintln!("xtask: containers may be left: {failure}");
        }
    }
}
