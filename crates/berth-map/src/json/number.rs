//! Numbers of 64 bits, which readers that only know doubles would round.

use serde::{Serialize, Serializer};

/// A number that is written as a string of its digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digits(pub u64);

impl Serialize for Digits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(itoa::Buffer::new().format(self.0))
    }
}
