//! The secret in the URL of the page.

use std::fmt;
use std::hint::black_box;

use rustix::rand::{GetRandomFlags, getrandom};

/// Bytes of a token: 192 bits.
const LENGTH: usize = 24;

/// A secret that nobody guesses, as hexadecimal digits.
pub(crate) struct Token(String);

impl Token {
    /// A new one, from the kernel (getrandom(2)).
    pub(crate) fn new() -> Result<Self, rustix::io::Errno> {
        let mut bytes = [0u8; LENGTH];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            filled += getrandom(rest, GetRandomFlags::empty())?;
        }
        Ok(Self(
            bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        ))
    }

    /// Whether a text is it, in a time that does not tell how much of it is right.
    pub(crate) fn is(&self, text: &[u8]) -> bool {
        let own = self.0.as_bytes();
        if text.len() != own.len() {
            return false;
        }
        let differing = own.iter().zip(text);
        let differing = differing.fold(0u8, |all, (a, b)| black_box(all | (a ^ b)));
        black_box(differing) == 0
    }

    /// Its digits, for the one who started the server.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    /// Tells nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_tokens_differ_and_each_knows_itself_alone() {
        let (one, other) = (Token::new().unwrap(), Token::new().unwrap());
        assert_eq!(one.reveal().len(), 2 * LENGTH);
        assert!(one.is(one.reveal().as_bytes()));
        assert!(!one.is(other.reveal().as_bytes()));
        assert!(!one.is(b""));
        assert!(!one.is(&one.reveal().as_bytes()[1..]));
        assert_eq!(format!("{one:?}"), "Token");
    }
}
