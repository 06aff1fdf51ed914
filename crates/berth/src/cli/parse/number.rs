//! Plain numbers, each with its own refusal.

use super::Rejected;

/// Seconds from 0 up.
pub(crate) fn seconds(text: &str) -> Result<u32, Rejected> {
    text.parse()
        .map_err(|_| Rejected::new("give a whole number of seconds from 0 up"))
}

/// Seconds from 0 up, or -1 for ever.
pub(crate) fn seconds_or_ever(text: &str) -> Result<i64, Rejected> {
    match text.parse::<i64>() {
        Ok(seconds @ -1..) => Ok(seconds),
        _ => Err(Rejected::new(
            "give a whole number of seconds from 0 up, or -1 to wait for ever",
        )),
    }
}

/// A limit of processes; 0 and below mean none.
pub(crate) fn process_limit(text: &str) -> Result<i64, Rejected> {
    text.parse()
        .map_err(|_| Rejected::new("give a number of processes, or -1 for no limit"))
}

/// How many; below 0 means that none was given.
pub(crate) fn how_many(text: &str) -> Result<i64, Rejected> {
    text.parse()
        .map_err(|_| Rejected::new("give a whole number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds() {
        assert_eq!(seconds("0"), Ok(0));
        assert!(seconds("-1").is_err());
        assert_eq!(seconds_or_ever("-1"), Ok(-1));
        assert!(seconds_or_ever("-2").is_err());
        assert_eq!(process_limit("-1"), Ok(-1));
        assert!(process_limit("1.5").is_err());
        assert_eq!(how_many("-1"), Ok(-1));
        assert!(how_many("few").is_err());
    }
}
