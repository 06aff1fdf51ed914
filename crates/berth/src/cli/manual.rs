//! Manual pages, one for each command, from the description that parses.

use std::io;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use super::Cli;

/// Writes `berth.1`, `berth-run.1`, `berth-container-run.1` and so on into a folder. `date` stands at
/// their foot.
///
/// Booleans stand there without the `=false` that they also take, which every page would repeat.
pub(super) fn write(folder: &Path, date: &str) -> io::Result<()> {
    let mut root = Cli::command().disable_help_subcommand(true);
    // Names commands by their whole path.
    root.build();
    pages(&root, folder, date)
}

fn pages(command: &Command, folder: &Path, date: &str) -> io::Result<()> {
    for below in command.get_subcommands().filter(|c| !c.is_hide_set()) {
        pages(below, folder, date)?;
    }
    let name = command.get_display_name().unwrap_or(command.get_name());
    let man = Man::new(command.clone())
        .title(name.to_uppercase())
        .date(date)
        .source(concat!("berth ", env!("CARGO_PKG_VERSION")))
        .manual("Berth");
    let mut page = Vec::new();
    man.render(&mut page)?;
    // Breaks around an empty line do nothing, and mandoc says so.
    let page = String::from_utf8_lossy(&page).replace("\n.br\n\n.br\n", "\n.sp\n");
    std::fs::write(folder.join(format!("{name}.1")), page)
}
