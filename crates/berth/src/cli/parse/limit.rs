//! Limits with a form of their own.

use super::Rejected;
use super::size::size;

/// A size, or -1 for no limit; 0 sets none.
pub(crate) fn swap(text: &str) -> Result<i64, Rejected> {
    if text == "-1" {
        return Ok(-1);
    }
    let bytes = size(text)
        .map_err(|rejected| Rejected::new(format!("{}, or -1 for no limit of swap", rejected.0)))?;
    i64::try_from(bytes).map_err(|_| Rejected::new("a size is at most 8 EiB"))
}

/// 0 to 100, or -1, Docker's word for "as it is".
pub(crate) fn swappiness(text: &str) -> Result<i8, Rejected> {
    match text.parse() {
        Ok(value @ -1..=100) => Ok(value),
        _ => Err(Rejected::new(
            "give a number from 0 to 100, or -1 to leave it as it is",
        )),
    }
}

/// -1000 to 1000 (proc(5), oom_score_adj).
pub(crate) fn oom_score(text: &str) -> Result<i32, Rejected> {
    match text.parse() {
        Ok(score @ -1000..=1000) => Ok(score),
        _ => Err(Rejected::new("give a number from -1000 to 1000")),
    }
}

/// A whole number from 0 up; 0 sets none.
pub(crate) fn whole(text: &str) -> Result<u64, Rejected> {
    text.parse()
        .map_err(|_| Rejected::new("give a whole number from 0 up"))
}

/// Microseconds; 0 sets none, -1 is no limit.
pub(crate) fn microseconds(text: &str) -> Result<i64, Rejected> {
    match text.parse() {
        Ok(us @ -1..) => Ok(us),
        _ => Err(Rejected::new(
            "give a number of microseconds, or -1 for no limit",
        )),
    }
}

/// `NAME=VALUE`.
pub(crate) fn sysctl(text: &str) -> Result<(String, String), Rejected> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(Rejected::new(
            "give NAME=VALUE, such as net.core.somaxconn=1024",
        )),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bounds() {
        assert_eq!(swap("-1"), Ok(-1));
        assert_eq!(swap("1g"), Ok(1 << 30));
        assert!(swap("-2").is_err() && swap("x").is_err() && swap("9000000t").is_err());
        assert_eq!(swappiness("-1"), Ok(-1));
        assert_eq!(swappiness("100"), Ok(100));
        assert!(swappiness("101").is_err() && swappiness("").is_err());
        assert_eq!(oom_score("-1000"), Ok(-1000));
        assert!(oom_score("1001").is_err() && oom_score("x").is_err());
        assert_eq!(whole("0"), Ok(0));
        assert!(whole("-1").is_err() && whole("1.5").is_err());
        assert_eq!(microseconds("-1"), Ok(-1));
        assert!(microseconds("-2").is_err());
        assert_eq!(sysctl("a.b=c=d"), Ok(("a.b".into(), "c=d".into())));
        assert_eq!(sysctl("a.b="), Ok(("a.b".into(), String::new())));
        assert!(sysctl("a.b").is_err() && sysctl("=c").is_err());
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,24}|-?[0-9.]{0,24}[a-z]?") {
            drop((swap(&text), swappiness(&text), oom_score(&text)));
            drop((whole(&text), microseconds(&text), sysctl(&text)));
        }
    }
}
