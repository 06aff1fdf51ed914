//! Lists of CPUs and memory nodes (cpuset(7), "List format").

/// The greatest number taken: more CPUs than any kernel is built for, and no list of a user's is
/// written out.
const MOST: u32 = 65_535;

/// Ranges of numbers, first and last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NumberList(Vec<(u32, u32)>);

impl NumberList {
    /// Reads `0-3,7`; `None` for what is no such list, the empty one included.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            let number: u32 = text.parse().ok().filter(|_| digits)?;
            (number <= MOST).then_some(number)
        };
        let range = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some((first, last))
        };
        let mut ranges: Vec<(u32, u32)> = text
            .trim()
            .split(',')
            .map(range)
            .collect::<Option<Vec<_>>>()?;
        ranges.sort_unstable();
        // What touches is one, so that a range is in another list when one of that holds it.
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some((_, end)) if first <= *end + 1 => *end = last.max(*end),
                _ => merged.push((first, last)),
            }
        }
        Some(Self(merged))
    }

    /// Whether every number of another list is in this one.
    pub(crate) fn holds(&self, other: &Self) -> bool {
        other.0.iter().all(|(first, last)| {
            self.0
                .iter()
                .any(|(start, end)| start <= first && last <= end)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(text: &str) -> NumberList {
        NumberList::parse(text).unwrap()
    }

    #[test]
    fn lists_are_read_and_compared() {
        let host = list("0-3,4-7,12\n");
        for inside in ["0", "7,0", "2-5", "0-7,12", "12"] {
            assert!(host.holds(&list(inside)), "{inside}");
        }
        for outside in ["8", "7-8", "11-12", "0-12"] {
            assert!(!host.holds(&list(outside)), "{outside}");
        }
        for bad in [
            "",
            ",",
            "0,",
            "-1",
            "1-",
            "3-1",
            "+1",
            "0x1",
            "a",
            "0-99999",
            "4294967296",
        ] {
            assert_eq!(NumberList::parse(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics_and_a_list_holds_itself(text in "[0-9,\\- ]{0,20}") {
            if let Some(list) = NumberList::parse(&text) {
                prop_assert!(list.holds(&list));
            }
        }

        #[test]
        fn members_are_held(a in 0u32..200, b in 0u32..200, c in 0u32..200) {
            let (low, high) = (a.min(b), a.max(b));
            let host = list(&format!("{low}-{high}"));
            prop_assert_eq!(host.holds(&list(&c.to_string())), (low..=high).contains(&c));
        }
    }
}
