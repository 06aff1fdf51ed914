//! `ociVersion`: SemVer 2.0.0, within what this build knows.

use super::{Checked, refuse};

/// The newest minor version of the specification that this build implements.
const NEWEST_MINOR: u32 = 3;

/// Accepts 1.0 to 1.3, with any patch, pre-release and build.
pub(super) fn check(version: &str) -> Checked {
    const FIELD: &str = "ociVersion";
    if version.is_empty() {
        return Err(refuse(FIELD, "missing"));
    }
    let Some((major, minor)) = parse(version) else {
        return Err(refuse(
            FIELD,
            format!("{version:?} is not a version such as 1.3.0"),
        ));
    };
    if major == 1 && minor <= NEWEST_MINOR {
        return Ok(());
    }
    Err(refuse(
        FIELD,
        format!("{version} is not supported; this build knows 1.0 to 1.{NEWEST_MINOR}"),
    ))
}

/// Major and minor of a semantic version.
fn parse(version: &str) -> Option<(u32, u32)> {
    let (rest, build) = split(version, '+');
    let (core, pre) = split(rest, '-');
    let word = |text: &str| {
        !text.is_empty()
            && text.split('.').all(|part| {
                !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            })
    };
    if !build.is_none_or(word) || !pre.is_none_or(word) {
        return None;
    }
    let numbers: Vec<u32> = core
        .split('.')
        .map(|part| {
            let plain = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            let leading_zero = part.len() > 1 && part.starts_with('0');
            (plain && !leading_zero).then(|| part.parse().ok())?
        })
        .collect::<Option<_>>()?;
    match numbers.as_slice() {
        [major, minor, _] => Some((*major, *minor)),
        _ => None,
    }
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    match text.split_once(at) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for good in [
            "1.0.0",
            "1.0.2-dev",
            "1.1.0+x",
            "1.2.0-rc.1+dev",
            "1.3.7",
            "1.0.0-rc1",
        ] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "1",
            "1.0",
            "1.0.0.0",
            "1.0.x",
            "v1.0.0",
            "01.0.0",
            "1.0.0-",
            "1.0.0-a..b",
            "1.4.0",
            "2.0.0",
            "0.5.0",
            "1.0.99999999999",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
