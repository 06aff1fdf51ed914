//! The host as text: processes as a tree, PID namespaces as boxes, one PID column per level.
//!
//! `forest` decides what stands below what, `notes` words what is marked, `canvas` knows columns
//! and borders. All text that a process or container chose is escaped here.

mod canvas;
mod forest;
mod notes;
mod tree;

use crate::model::World;

/// How a map is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapOptions {
    /// Width of a line in terminal cells; less than 40 is drawn as 40.
    pub width: usize,
    /// The characters of lines and borders.
    pub style: Style,
    /// Whether kernel threads are one line.
    pub kernel_threads: KernelThreads,
    /// Whether titles show the inode number of the PID namespace.
    pub inodes: Inodes,
}

impl Default for MapOptions {
    fn default() -> Self {
        Self {
            width: 100,
            style: Style::Unicode,
            kernel_threads: KernelThreads::Folded,
            inodes: Inodes::Hidden,
        }
    }
}

/// The characters of lines and borders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Box-drawing characters.
    Unicode,
    /// ASCII alone, for terminals and files that know no other. Names keep their characters.
    Ascii,
}

/// What becomes of kernel threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelThreads {
    /// One line with their number.
    Folded,
    /// A line each.
    Listed,
}

/// Whether namespace numbers are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inodes {
    /// Names only.
    Hidden,
    /// `pid:[4026532300]` in the title of each box.
    Shown,
}

/// Draws a snapshot. The text ends with a line break and holds no escape sequence.
pub fn map(world: &World, options: &MapOptions) -> String {
    tree::draw(world, options)
}
