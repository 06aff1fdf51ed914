//! Colours of boxes.

/// A colour of a box, by its place in a palette.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hue(pub usize);

impl Hue {
    /// How many there are.
    pub const COUNT: usize = 6;
}

/// Gives boxes their colours in the order in which they are drawn.
#[derive(Debug, Default)]
pub(crate) struct Hues {
    next: usize,
    /// The boxes around, outermost first.
    open: Vec<Hue>,
}

impl Hues {
    /// The colour of a box that is opened: never that of the box around it.
    pub(crate) fn open(&mut self) -> Hue {
        let around = self.open.last().copied();
        let mut hue = Hue(self.next % Hue::COUNT);
        if Some(hue) == around {
            self.next += 1;
            hue = Hue(self.next % Hue::COUNT);
        }
        self.next += 1;
        self.open.push(hue);
        hue
    }

    /// The innermost box is closed.
    pub(crate) fn close(&mut self) {
        self.open.pop();
    }

    /// The colours of the boxes around, outermost first.
    pub(crate) fn around(&self) -> impl Iterator<Item = Hue> + '_ {
        self.open.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_differs_from_the_one_around_it() {
        let mut hues = Hues::default();
        let first = hues.open();
        for _ in 0..Hue::COUNT * 3 {
            assert_ne!(hues.open(), first);
            hues.close();
        }
        assert_eq!(hues.around().collect::<Vec<_>>(), [first]);
    }
}
