//! The nearest of several words, for suggestions.

pub(crate) use berth_base::nearest;

/// Says that a word is none of those that are known: with the nearest, or with all where none is near.
pub(crate) fn unknown(what: &str, word: &str, known: &[&str]) -> String {
    let next = match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("there are {}", known.join(", ")),
    };
    format!("no {what} is called {word}; {next}")
}

/// Says that a value is none of a few, with the nearest where one is near.
pub(crate) fn none_of(word: &str, known: &[&str]) -> String {
    let choices = format!("give {}", known.join(" or "));
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("{choices}; did you mean {near}?"),
        None => choices,
    }
}

/// What a filter such as `dangling` may be.
pub(crate) const SWITCH: [&str; 2] = ["true", "false"];
