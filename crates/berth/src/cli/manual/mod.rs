//! Manual pages, one for each command: flags from the description that parses, and what that does not
//! say from tables.

mod examples;
mod sections;

use std::io;
use std::path::Path;

use clap::Command;
use clap_mangen::Man;

use super::usage;

/// Writes `berth.1`, `berth-run.1`, `berth-container-run.1` and so on into a folder. `date` stands at
/// their foot.
///
/// Booleans stand there without the `=false` that they also take, which every page would repeat.
pub(super) fn write(folder: &Path, date: &str) -> io::Result<()> {
    let mut root = usage::declared().disable_help_subcommand(true);
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
    let mut page = String::from_utf8_lossy(&page).replace("\n.br\n\n.br\n", "\n.sp\n");
    page.push_str(&sections::of(name));
    std::fs::write(folder.join(format!("{name}.1")), page)
}

/// A page's command as the tables name it: `run` for `berth-run` and `berth-container-run`, `network
/// create` for `berth-network-create`; nothing for the program's own.
fn key(page: &str) -> String {
    let path = page.strip_prefix("berth").unwrap_or(page);
    let path = path.trim_start_matches('-').replace('-', " ");
    let same = [
        ("container ls", "ps"),
        ("image ls", "images"),
        ("image rm", "rmi"),
        ("system events", "events"),
        ("system info", "info"),
        ("prune", "system prune"),
    ];
    if let Some((_, flat)) = same.iter().find(|(group, _)| *group == path) {
        return (*flat).to_owned();
    }
    match path.split_once(' ') {
        // These are not the flat ones.
        Some((_, "prune" | "inspect")) => path,
        Some(("container" | "image", verb)) => verb.to_owned(),
        _ => path,
    }
}
