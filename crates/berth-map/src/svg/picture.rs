//! What is drawn where. Coordinates are pixels from the upper left corner; all texts are escaped
//! for a reader's eye (control characters, reordering), not for XML.

/// A rectangle.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rect {
    /// Its left edge.
    pub x: f64,
    /// Its upper edge.
    pub y: f64,
    /// Its width.
    pub width: f64,
    /// Its height.
    pub height: f64,
}

/// A size.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Area {
    /// From left to right.
    pub width: f64,
    /// From top to bottom.
    pub height: f64,
}

/// A colour by its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tint {
    /// The host's, and what belongs to no box.
    Host,
    /// One of six for boxes: of the PID lens by level, else in turn.
    Box(usize),
}

impl Tint {
    /// The class of style sheets.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Host => "h",
            Self::Box(0) => "t0",
            Self::Box(1) => "t1",
            Self::Box(2) => "t2",
            Self::Box(3) => "t3",
            Self::Box(4) => "t4",
            Self::Box(_) => "t5",
        }
    }
}

/// How a piece of text is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// A name or a fact.
    Plain,
    /// Less weighty.
    Faint,
    /// To be noticed.
    Alarm,
    /// How many a pill or a box stands for.
    Count,
}

/// A piece of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// What it says.
    pub text: String,
    /// How it is meant.
    pub mood: Mood,
}

/// A line of text.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// Where its baseline begins.
    pub x: f64,
    /// The height of its baseline.
    pub y: f64,
    /// What it says.
    pub words: Vec<Word>,
}

/// A box: a namespace, or the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// Its place.
    pub rect: Rect,
    /// Its colour.
    pub tint: Tint,
    /// Its name, with the baseline of the title.
    pub title: Note,
    /// Lines of text below the title and at the foot.
    pub notes: Vec<Note>,
    /// Whether it stands for several that look alike.
    pub is_crowd: bool,
    /// Everything that is said of it, for a tooltip.
    pub tooltip: String,
}

/// A PID in a pill.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Its left edge.
    pub x: f64,
    /// Its width.
    pub width: f64,
    /// The PID, or the first and the last of several.
    pub text: String,
    /// The colour of its level.
    pub tint: Tint,
}

/// A process, a thread, or several that look alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Pill {
    /// Its place.
    pub rect: Rect,
    /// Its name, and what is said of it.
    pub words: Vec<Word>,
    /// Its PID at each level, the host's first.
    pub cells: Vec<Cell>,
    /// Whether something is wrong with it: a zombie, stopped, frozen.
    pub is_odd: bool,
    /// Whether it only shows where others are.
    pub is_context: bool,
    /// Everything that is said of it, for a tooltip.
    pub tooltip: String,
}

/// The line from a process to its child: down from a point, then right to the child's pill.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// Where it begins.
    pub from: (f64, f64),
    /// Where it ends.
    pub to: (f64, f64),
}

/// A picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picture {
    /// Its size.
    pub size: Area,
    /// What it shows, in one sentence.
    pub title: String,
    /// Boxes, outer before inner.
    pub panels: Vec<Panel>,
    /// Processes.
    pub pills: Vec<Pill>,
    /// Lines between them.
    pub links: Vec<Link>,
    /// Text beside pills: what a column goes on with.
    pub notes: Vec<Note>,
}
