//! The nearest of several words, for suggestions.

/// Finds the candidate that differs least from `word`, if one is near enough to be meant.
///
/// Near enough: at most one edit for every three letters (and at least one), or a candidate that
/// `word` begins with or that begins with `word`.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = word.chars().count().div_ceil(3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (edits(word, candidate), candidate))
        .filter(|(distance, candidate)| {
            let prefix = word.len() >= 3 && candidate.len() >= 3;
            *distance <= allowed
                || (prefix && (candidate.starts_with(word) || word.starts_with(candidate)))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Counts insertions, deletions, replacements and swaps of neighbours between two words.
fn edits(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().collect();
    let to: Vec<char> = to.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let cost = usize::from(a != b);
            let mut best = (above[j + 1] + 1).min(row[j] + 1).min(above[j] + cost);
            let swapped = i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b;
            if swapped {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_slips_are_found() {
        let flags = [
            "name",
            "network",
            "memory",
            "interactive",
            "rm",
            "env",
            "env-file",
        ];
        for (typed, meant) in [
            ("nmae", Some("name")),
            ("mem", Some("memory")),
            ("nets", None),
            ("memroy", Some("memory")),
            ("interactve", Some("interactive")),
            ("env-fil", Some("env-file")),
            ("zzz", None),
        ] {
            assert_eq!(nearest(typed, flags), meant, "{typed}");
        }
    }

    #[test]
    fn distances() {
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("abc", "abc"), 0);
        assert_eq!(edits("abc", "acb"), 1);
        assert_eq!(edits("kitten", "sitting"), 3);
    }
}
