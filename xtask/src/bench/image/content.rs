//! Content that is the same on every machine and packs as that of images does, about 2.5 times.

/// Numbers from a seed (splitmix64, by Sebastiano Vigna: no cycle shorter than 2^64).
pub(super) struct Numbers(u64);

impl Numbers {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap_or(0)
    }
}

/// How many words texts are made of.
const WORDS: usize = 4096;

/// Makes text, as most small files are, and what looks like machine code, as most large ones are.
pub(super) struct Writer {
    words: Vec<Vec<u8>>,
}

impl Writer {
    pub(super) fn new() -> Self {
        let mut numbers = Numbers::new(1);
        let words = (0..WORDS).map(|_| {
            let length = 2 + numbers.below(8);
            let letter = |numbers: &mut Numbers| b"etaoinshrdlucmfwypvbgkjqxz"[skewed(numbers, 26)];
            (0..length).map(|_| letter(&mut numbers)).collect()
        });
        Self {
            words: words.collect(),
        }
    }

    /// So many bytes of text.
    pub(super) fn text(&self, seed: u64, length: usize) -> Vec<u8> {
        let mut numbers = Numbers::new(seed);
        let mut text = Vec::with_capacity(length + 16);
        while text.len() < length {
            text.extend_from_slice(&self.words[skewed(&mut numbers, self.words.len())]);
            let end = if numbers.below(12) == 0 { b'\n' } else { b' ' };
            text.push(end);
        }
        text.truncate(length);
        text
    }

    /// So many bytes in which new ones and repeated ones take turns.
    pub(super) fn code(&self, seed: u64, length: usize) -> Vec<u8> {
        let mut numbers = Numbers::new(seed);
        let mut code = Vec::with_capacity(length + 64);
        while code.len() < length {
            for _ in 0..=numbers.below(3) {
                code.extend_from_slice(&numbers.next().to_le_bytes());
            }
            // From at most 32 KiB back, which is as far as gzip looks.
            let window = code.len().min(32_000);
            let repeated = 8 + numbers.below(40);
            let from = code.len() - 1 - numbers.below(window);
            let end = (from + repeated).min(code.len());
            code.extend_from_within(from..end);
        }
        code.truncate(length);
        code
    }
}

/// A place in a list whose first entries come most often.
fn skewed(numbers: &mut Numbers, end: usize) -> usize {
    let most = 1 + numbers.below(end);
    numbers.below(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_content_each_time() {
        let writer = Writer::new();
        for length in [0, 1, 5000] {
            assert_eq!(writer.text(7, length).len(), length);
            assert_eq!(writer.text(7, length), Writer::new().text(7, length));
            assert_eq!(writer.code(7, length).len(), length);
            assert_eq!(writer.code(7, length), writer.code(7, length));
        }
        assert_ne!(writer.code(7, 100), writer.code(8, 100));
    }
}
