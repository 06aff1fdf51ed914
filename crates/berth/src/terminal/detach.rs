//! The keys that detach.

/// Finds the detach sequence in what is typed.
///
/// Keys that may begin it are held back until it is complete or broken off, then passed on.
pub(super) struct DetachScanner {
    keys: Vec<u8>,
    matched: usize,
}

/// What a piece of input came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scan {
    /// Bytes to pass on.
    Pass(Vec<u8>),
    /// Bytes to pass on, then the sequence was complete.
    Detach(Vec<u8>),
}

impl DetachScanner {
    /// Looks for `keys`; none means never.
    pub(super) const fn new(keys: Vec<u8>) -> Self {
        Self { keys, matched: 0 }
    }

    /// Takes what was typed.
    pub(super) fn scan(&mut self, typed: &[u8]) -> Scan {
        let mut pass = Vec::with_capacity(typed.len() + self.matched);
        for byte in typed {
            self.step(*byte, &mut pass);
            if self.matched == self.keys.len() && !self.keys.is_empty() {
                self.matched = 0;
                return Scan::Detach(pass);
            }
        }
        Scan::Pass(pass)
    }

    fn step(&mut self, byte: u8, pass: &mut Vec<u8>) {
        loop {
            if self.keys.get(self.matched) == Some(&byte) {
                self.matched += 1;
                return;
            }
            if self.matched == 0 {
                pass.push(byte);
                return;
            }
            // Broken off: the longest end of what is held that begins the sequence anew stays.
            let held = self.keys.get(..self.matched).unwrap_or(&[]);
            let keep = (0..self.matched)
                .rev()
                .find(|length| held.ends_with(self.keys.get(..*length).unwrap_or(&[])))
                .unwrap_or(0);
            pass.extend_from_slice(held.get(..self.matched - keep).unwrap_or(&[]));
            self.matched = keep;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scanner() -> DetachScanner {
        DetachScanner::new(vec![0x10, 0x11])
    }

    #[test]
    fn the_sequence_is_found_across_pieces() {
        let mut s = scanner();
        assert_eq!(s.scan(b"ab\x10"), Scan::Pass(b"ab".to_vec()));
        assert_eq!(s.scan(b"\x11rest"), Scan::Detach(vec![]));
        let mut s = scanner();
        assert_eq!(s.scan(b"x\x10\x11"), Scan::Detach(b"x".to_vec()));
    }

    #[test]
    fn a_sequence_broken_off_is_passed_on() {
        let mut s = scanner();
        assert_eq!(s.scan(b"\x10a"), Scan::Pass(b"\x10a".to_vec()));
        assert_eq!(s.scan(b"\x10\x10"), Scan::Pass(b"\x10".to_vec()));
        assert_eq!(s.scan(b"\x11"), Scan::Detach(vec![]));
        let mut s = DetachScanner::new(b"aab".to_vec());
        assert_eq!(s.scan(b"aaab"), Scan::Detach(b"a".to_vec()));
    }

    #[test]
    fn no_keys_never_detach() {
        let mut s = DetachScanner::new(vec![]);
        assert_eq!(s.scan(b"\x10\x11"), Scan::Pass(b"\x10\x11".to_vec()));
    }

    proptest! {
        #[test]
        fn nothing_is_lost(pieces in proptest::collection::vec("[abc]{0,6}", 0..8)) {
            let mut s = DetachScanner::new(b"abab".to_vec());
            let whole = pieces.concat();
            let mut passed = Vec::new();
            for piece in &pieces {
                match s.scan(piece.as_bytes()) {
                    Scan::Pass(bytes) => passed.extend(bytes),
                    Scan::Detach(bytes) => {
                        passed.extend(bytes);
                        passed.extend(b"abab");
                        prop_assert!(whole.as_bytes().starts_with(&passed));
                        prop_assert_eq!(whole.find("abab"), Some(passed.len() - 4));
                        return Ok(());
                    }
                }
            }
            prop_assert!(!whole.contains("abab"));
            passed.extend_from_slice(&b"abab"[..s.matched]);
            prop_assert_eq!(passed, whole.as_bytes());
        }
    }
}
