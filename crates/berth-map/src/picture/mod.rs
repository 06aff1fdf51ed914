//! What text, SVG and DOT have in common: who stands below whom in which box, and the words.
//!
//! A *lens* is a kind of namespace: boxes are namespaces of that kind. PID and user namespaces
//! nest; those of the other kinds have no hierarchy and stand side by side.

mod crowd;
mod forest;
mod palette;
mod spaces;
mod words;

pub(crate) use crowd::{Crowds, Member};
pub(crate) use forest::{Arrangement, Entry, Forest, Node};
pub use palette::Hue;
pub(crate) use palette::Hues;
pub(crate) use spaces::Space;
pub(crate) use words::{Span, Title, Tone, Words, cut, thousands};

/// What becomes of kernel threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KernelThreads {
    /// One entry with their number.
    #[default]
    Folded,
    /// An entry each.
    Listed,
}

/// Whether namespace numbers are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Inodes {
    /// Names only.
    #[default]
    Hidden,
    /// `pid:[4026532300]` in the title of each box.
    Shown,
}

/// Which of the snapshot's threads are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Threads {
    /// Those that live in another namespace than their process.
    #[default]
    Strays,
    /// All.
    All,
}
