//! The host as a standalone SVG picture: namespaces as nested boxes, the host's outermost, and
//! each process as a pill with one cell for its PID at each level.
//!
//! `rows` says what is in each box ([`outline`]), `flow` and `pack` find places for it, [`Picture`] is the
//! result: rectangles and texts. `write` turns that into SVG: no script, nothing from outside,
//! light and dark by the reader's preference.

mod alike;
mod boxes;
mod escape;
mod flow;
mod pack;
mod picture;
mod rows;
mod style;
mod write;

use berth_base::NamespaceKind;

use crate::model::World;
use crate::picture::{Arrangement, Crowds, Forest, Words};
pub use crate::picture::{Inodes, KernelThreads, Threads};
use crate::scope::Selection;

pub use escape::push_text;
pub use picture::{Area, Cell, Link, Mood, Note, Panel, Picture, Pill, Rect, Tint, Word};
pub use rows::{BoxId, Content, Row};

/// What a picture shows. [`crate::dot`] takes the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureOptions {
    /// The kind of namespace that boxes stand for.
    pub lens: NamespaceKind,
    /// Which part of the world.
    pub selection: Selection,
    /// Whether kernel threads are one pill.
    pub kernel_threads: KernelThreads,
    /// Which threads have a pill, of those that the snapshot holds.
    pub threads: Threads,
    /// Whether titles show the inode number of the namespace.
    pub inodes: Inodes,
}

impl Default for PictureOptions {
    fn default() -> Self {
        Self {
            lens: NamespaceKind::Pid,
            selection: Selection::default(),
            kernel_threads: KernelThreads::Folded,
            threads: Threads::Strays,
            inodes: Inodes::Hidden,
        }
    }
}

impl PictureOptions {
    pub(crate) fn arrangement(&self) -> Arrangement<'_> {
        Arrangement {
            lens: self.lens,
            kernel_threads: self.kernel_threads,
            threads: self.threads,
            selection: &self.selection,
        }
    }
}

/// Whether siblings that look alike are one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Folding {
    /// From four on.
    #[default]
    Crowds,
    /// Each process and each box is there; zombies of one parent are one all the same.
    Nothing,
}

/// What is in each box, before anything has a place: the host's box. For those who place it
/// themselves, a page for one.
pub fn outline(world: &World, options: &PictureOptions, folding: Folding) -> Content {
    let forest = Forest::plant(world, options.arrangement());
    let words = Words::new(world, options.inodes);
    let crowds = match folding {
        Folding::Crowds => Crowds::find(world, &forest, &words),
        Folding::Nothing => Crowds::none(&forest),
    };
    rows::Reader::new(world, &forest, &words, &crowds, folding).host()
}

/// Finds a place for everything. Pure geometry, in pixels.
pub fn layout(world: &World, options: &PictureOptions) -> Picture {
    boxes::arrange(outline(world, options, Folding::Crowds))
}

/// Draws a snapshot: a whole SVG document, UTF-8.
pub fn write(world: &World, options: &PictureOptions) -> String {
    write::document(&layout(world, options))
}
