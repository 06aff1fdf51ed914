//! Places for rectangles in a strip: each as high up as it fits, then as far left (the skyline
//! algorithm).

use super::picture::Area;

/// A piece of the lower edge of what has been placed.
#[derive(Clone, Copy, Debug)]
struct Step {
    x: f64,
    y: f64,
    width: f64,
}

/// A strip that is filled from above.
#[derive(Debug)]
pub(super) struct Strip {
    width: f64,
    steps: Vec<Step>,
}

impl Strip {
    /// An empty strip.
    pub(super) fn new(width: f64) -> Self {
        let step = Step {
            x: 0.0,
            y: 0.0,
            width,
        };
        Self {
            width,
            steps: vec![step],
        }
    }

    /// Finds a place and takes it. What is wider than the strip begins at its left edge.
    pub(super) fn place(&mut self, area: Area) -> (f64, f64) {
        let mut best: Option<(f64, f64)> = None;
        for (at, step) in self.steps.iter().enumerate() {
            if at > 0 && step.x + area.width > self.width + 0.01 {
                break;
            }
            let y = self.top(at, area.width);
            if best.is_none_or(|(_, lowest)| y < lowest - 0.01) {
                best = Some((step.x, y));
            }
        }
        let (x, y) = best.unwrap_or_default();
        self.cover(x, y + area.height, area.width);
        (x, y)
    }

    /// The height at which something as wide as this fits at a step.
    fn top(&self, at: usize, width: f64) -> f64 {
        let Some(first) = self.steps.get(at) else {
            return 0.0;
        };
        let end = first.x + width - 0.01;
        let below = self.steps.iter().skip(at).take_while(|step| step.x < end);
        below.map(|step| step.y).fold(0.0, f64::max)
    }

    /// Puts a step over what is below it. In place: this is called for every box of every try.
    fn cover(&mut self, x: f64, y: f64, width: f64) {
        let end = x + width;
        let mut from = self
            .steps
            .partition_point(|step| step.x + step.width <= x + 0.01);
        let to = self.steps.partition_point(|step| step.x + 0.01 < end);
        // What sticks out to the right of it.
        let rest = to
            .checked_sub(1)
            .and_then(|last| self.steps.get(last))
            .map(|last| Step {
                x: end,
                y: last.y,
                width: last.x + last.width - end,
            });
        let rest = rest.filter(|rest| rest.width > 0.01);
        if let Some(first) = self.steps.get_mut(from)
            && first.x < x - 0.01
        {
            first.width = x - first.x;
            from += 1;
        }
        let new = std::iter::once(Step { x, y, width }).chain(rest);
        self.steps.splice(from..to.max(from), new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_overlaps_and_gaps_are_filled() {
        let mut strip = Strip::new(100.0);
        let mut placed: Vec<(f64, f64, Area)> = Vec::new();
        let mut seed = 7u32;
        for _ in 0..200 {
            seed = seed.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            let area = Area {
                width: f64::from(seed >> 16 & 31) + 5.0,
                height: f64::from(seed >> 24 & 15) + 5.0,
            };
            let (x, y) = strip.place(area);
            assert!(x + area.width <= 100.01);
            for (other_x, other_y, other) in &placed {
                let apart = x + area.width <= other_x + 0.02
                    || other_x + other.width <= x + 0.02
                    || y + area.height <= other_y + 0.02
                    || other_y + other.height <= y + 0.02;
                assert!(apart, "{x},{y} {area:?} on {other_x},{other_y} {other:?}");
            }
            placed.push((x, y, area));
        }
        let filled: f64 = placed.iter().map(|(.., a)| a.width * a.height).sum();
        let lowest = placed.iter().map(|(_, y, a)| y + a.height);
        let used = lowest.fold(0.0, f64::max) * 100.0;
        assert!(filled / used > 0.6, "{}", filled / used);
    }

    #[test]
    fn what_is_too_wide_is_placed_all_the_same() {
        let mut strip = Strip::new(10.0);
        let wide = Area {
            width: 50.0,
            height: 5.0,
        };
        assert_eq!(strip.place(wide), (0.0, 0.0));
        assert_eq!(strip.place(wide), (0.0, 5.0));
    }
}
