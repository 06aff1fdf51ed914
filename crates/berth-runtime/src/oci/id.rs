//! Container ids as callers of an OCI runtime choose them.

use std::fmt;

use berth_base::ErrorClass;

use super::{Outcome, fail};

/// An id: letters, digits, `_`, `+`, `-` and `.`; it names a folder, so never `.` or `..`, nor
/// does it begin with a dot, which is ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OciId(String);

/// The longest name of a folder on common file systems (NAME_MAX).
const LONGEST: usize = 255;

impl OciId {
    pub(crate) fn parse(text: &str) -> Outcome<Self> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'+' | b'-' | b'.');
        let why = if text.is_empty() {
            "it is empty"
        } else if text.len() > LONGEST {
            "it is longer than 255 bytes"
        } else if text.starts_with('.') {
            "it begins with a dot"
        } else if !text.bytes().all(plain) {
            "it may hold letters, digits, _, +, - and . only"
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(fail(
            ErrorClass::Invalid,
            format!("invalid container ID format {text:?}: {why}"),
        ))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OciId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_name_a_folder_and_nothing_else() {
        for good in ["a", "web-1", "0f3e", "a.b_c+d"] {
            assert_eq!(OciId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "../x", "a/b", "a b", ".hidden", "é", "a\n"] {
            assert!(OciId::parse(bad).is_err(), "{bad:?}");
        }
        assert!(OciId::parse(&"x".repeat(256)).is_err());
    }
}
