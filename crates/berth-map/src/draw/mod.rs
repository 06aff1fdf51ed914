//! The host as text: processes as a tree, namespaces as boxes, one PID column per level.
//!
//! What stands below what, and the words, are every picture's; `canvas` knows columns and
//! borders, `paint` colours; `rows` is the same drawing in parts, for who paints it. All text that a process or container chose is escaped.

mod canvas;
mod paint;
mod rows;
mod tree;

use berth_base::NamespaceKind;

pub use canvas::{GAP, Glyphs, Joint, Piece, RAIL, Rail, column_name};
pub use paint::Ink;
pub use rows::{Order, Row, RowOptions, Rows, Shape, Subject, rows};

use crate::model::World;
pub use crate::picture::{Hue, Inodes, KernelThreads, Threads};
use crate::scope::Selection;

/// How a map is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapOptions {
    /// Width of a line in terminal cells; less than 40 is drawn as 40.
    pub width: usize,
    /// The characters of lines and borders.
    pub style: Style,
    /// Whether boxes and PIDs are coloured by namespace.
    pub color: Color,
    /// The kind of namespace that boxes stand for.
    pub lens: NamespaceKind,
    /// Which part of the world.
    pub selection: Selection,
    /// Whether kernel threads are one line.
    pub kernel_threads: KernelThreads,
    /// Which threads have a line, of those that the snapshot holds.
    pub threads: Threads,
    /// Whether titles show the inode number of the namespace.
    pub inodes: Inodes,
}

impl Default for MapOptions {
    fn default() -> Self {
        Self {
            width: 100,
            style: Style::Unicode,
            color: Color::Never,
            lens: NamespaceKind::Pid,
            selection: Selection::default(),
            kernel_threads: KernelThreads::Folded,
            threads: Threads::Strays,
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

/// Whether text holds escape sequences for colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// It holds none.
    Never,
    /// For a terminal. The sequences are the drawing's own: names are escaped all the same.
    Always,
}

/// Draws a snapshot. The text ends with a line break, and holds no escape sequence but those of
/// [`Color::Always`].
pub fn map(world: &World, options: &MapOptions) -> String {
    tree::draw(world, options)
}
