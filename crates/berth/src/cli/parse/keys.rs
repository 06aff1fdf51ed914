//! `--detach-keys`.

use serde::Deserialize;

use super::Rejected;

const ACCEPTED: &str = "give keys separated by commas, each a letter or ctrl- and one of a-z @ [ ] \\ ^ _, such as ctrl-p,ctrl-q";

/// The keys that end an attached session without ending the container; none when empty.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct DetachKeys(pub(crate) Vec<u8>);

impl TryFrom<String> for DetachKeys {
    type Error = Rejected;

    fn try_from(text: String) -> Result<Self, Rejected> {
        detach_keys(&text)
    }
}

impl Default for DetachKeys {
    /// Docker's ctrl-p, ctrl-q.
    fn default() -> Self {
        Self(vec![0x10, 0x11])
    }
}

/// Reads `ctrl-p,ctrl-q`; the empty text turns detaching off.
pub(crate) fn detach_keys(text: &str) -> Result<DetachKeys, Rejected> {
    if text.is_empty() {
        return Ok(DetachKeys(Vec::new()));
    }
    let keys: Result<Vec<u8>, Rejected> = text.split(',').map(key).collect();
    keys.map(DetachKeys)
}

fn key(text: &str) -> Result<u8, Rejected> {
    if let [single] = text.as_bytes()
        && single.is_ascii()
    {
        return Ok(*single);
    }
    match text
        .to_ascii_lowercase()
        .strip_prefix("ctrl-")
        .map(str::as_bytes)
    {
        // A control key is its letter's code without the upper three bits (ascii(7)).
        Some([c @ (b'a'..=b'z' | b'@' | b'[' | b'\\' | b']' | b'^' | b'_')]) => Ok(c & 0x1f),
        _ => Err(Rejected::new(ACCEPTED)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_keys() {
        assert_eq!(detach_keys("ctrl-p,ctrl-q"), Ok(DetachKeys::default()));
        assert_eq!(detach_keys("ctrl-@,x"), Ok(DetachKeys(vec![0, b'x'])));
        assert_eq!(detach_keys("CTRL-["), Ok(DetachKeys(vec![0x1b])));
        assert_eq!(detach_keys(""), Ok(DetachKeys(vec![])));
        for bad in ["ctrl-", "ctrl-1", "ctrl-pp", "a,,b", "xy", "ü"] {
            assert!(detach_keys(bad).is_err(), "{bad}");
        }
    }
}
