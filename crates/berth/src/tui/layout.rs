//! Where on the screen what is. Pure; the view paints by it, and clicks are looked up in it.

use ratatui_core::layout::Rect;

/// The least screen that shows anything useful.
pub(super) const LEAST: (u16, u16) = (40, 8);
/// From this width on the details stand beside the tree, else below it.
pub(super) const WIDE: u16 = 120;
/// From this height on the timeline has two lines for its columns.
const TALL: u16 = 18;

/// What is asked for besides the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extras {
    /// The pane with details.
    pub(crate) details: bool,
    /// A line for what does not work.
    pub(crate) notes: bool,
}

/// The parts of the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Lenses, filter, order, time.
    pub(crate) bar: Rect,
    /// The head line of the tree.
    pub(crate) head: Rect,
    /// The tree.
    pub(crate) tree: Rect,
    /// Details of the chosen line.
    pub(crate) details: Option<Rect>,
    /// What does not work.
    pub(crate) notes: Option<Rect>,
    /// Starts and exits over time.
    pub(crate) timeline: Option<Rect>,
    /// Keys, prompts and notices.
    pub(crate) foot: Rect,
}

impl Layout {
    /// Divides a screen; `None` where it is too small.
    pub(crate) fn divide(screen: Rect, extras: Extras) -> Option<Self> {
        if screen.width < LEAST.0 || screen.height < LEAST.1 {
            return None;
        }
        let mut rest = screen;
        let bar = take_top(&mut rest, 1);
        let foot = take_bottom(&mut rest, 1);
        let timeline = match screen.height {
            TALL.. => Some(take_bottom(&mut rest, 3)),
            12.. => Some(take_bottom(&mut rest, 2)),
            _ => None,
        };
        let notes = extras.notes.then(|| take_bottom(&mut rest, 1));
        let is_wide = screen.width >= WIDE;
        let details = match extras.details {
            true if is_wide => Some(take_right(&mut rest, (screen.width / 3).clamp(50, 76))),
            true if rest.height >= 9 => {
                let height = (rest.height / 2).min(16);
                Some(take_bottom(&mut rest, height))
            }
            _ => None,
        };
        let head = take_top(&mut rest, 1);
        Some(Self {
            bar,
            head,
            tree: rest,
            details,
            notes,
            timeline,
            foot,
        })
    }
}

/// Cells of the names in front of the timeline.
const NAMES: u16 = 14;

/// The columns of a timeline, without the names in front.
pub(super) fn timeline_columns(area: Rect) -> Rect {
    Rect {
        x: area.x + NAMES,
        width: area.width.saturating_sub(NAMES),
        ..area
    }
}

fn take_top(rest: &mut Rect, height: u16) -> Rect {
    let part = Rect { height, ..*rest };
    rest.y += height;
    rest.height -= height;
    part
}

fn take_bottom(rest: &mut Rect, height: u16) -> Rect {
    rest.height -= height;
    let y = rest.y + rest.height;
    Rect { y, height, ..*rest }
}

fn take_right(rest: &mut Rect, width: u16) -> Rect {
    rest.width -= width;
    let x = rest.x + rest.width;
    Rect { x, width, ..*rest }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_fill_every_screen_and_do_not_overlap() {
        for width in LEAST.0..240 {
            for height in LEAST.1..70 {
                for details in [false, true] {
                    for notes in [false, true] {
                        check(Rect::new(0, 0, width, height), Extras { details, notes });
                    }
                }
            }
        }
    }

    fn check(screen: Rect, extras: Extras) {
        let layout = Layout::divide(screen, extras).unwrap();
        let optional = [layout.details, layout.notes, layout.timeline];
        let mut parts = vec![layout.bar, layout.head, layout.tree, layout.foot];
        parts.extend(optional.into_iter().flatten());
        let cells: u32 = parts.iter().map(|part| part.area()).sum();
        assert_eq!(cells, screen.area(), "{screen:?} {extras:?}");
        assert!(layout.tree.height >= 3, "{screen:?} {extras:?}");
        for (at, part) in parts.iter().enumerate() {
            let others = parts.iter().skip(at + 1);
            assert!(others.clone().all(|other| !part.intersects(*other)));
        }
    }

    #[test]
    fn what_is_too_small_is_refused() {
        let extras = Extras {
            details: true,
            notes: true,
        };
        assert!(Layout::divide(Rect::new(0, 0, 39, 50), extras).is_none());
        assert!(Layout::divide(Rect::new(0, 0, 100, 7), extras).is_none());
        assert!(Layout::divide(Rect::new(0, 0, 0, 0), extras).is_none());
    }
}
