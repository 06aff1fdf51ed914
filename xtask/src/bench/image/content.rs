//! Content that is the same on every machine and packs as that of images does, to less than a half.

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

/// Bytes of each kind from which files are cut: more than any compressor in use looks back.
const POOL_BYTES: usize = 4 << 20;

/// Files are made of pieces of this length; code repeats what gzip finds up to 32 KiB before.
const TEXT_PIECE_BYTES: usize = 4 << 10;
const CODE_PIECE_BYTES: usize = 1 << 20;

/// Makes text, as most small files are, and what looks like machine code, as most large ones are.
pub(super) struct Writer {
    text: Vec<u8>,
    code: Vec<u8>,
}

impl Writer {
    pub(super) fn new() -> Self {
        let mut numbers = Numbers::new(1);
        Self {
            text: text(&mut numbers, POOL_BYTES),
            code: code(&mut numbers, POOL_BYTES),
        }
    }

    /// So many bytes of text.
    pub(super) fn text(&self, seed: u64, length: usize) -> Vec<u8> {
        cut(&self.text, TEXT_PIECE_BYTES, seed, length)
    }

    /// So many bytes in which new ones and repeated ones take turns.
    pub(super) fn code(&self, seed: u64, length: usize) -> Vec<u8> {
        cut(&self.code, CODE_PIECE_BYTES, seed, length)
    }
}

fn cut(pool: &[u8], piece: usize, seed: u64, length: usize) -> Vec<u8> {
    let mut numbers = Numbers::new(seed);
    let mut content = Vec::with_capacity(length);
    while content.len() < length {
        let from = numbers.below(pool.len() - piece);
        let count = piece.min(length - content.len());
        content.extend_from_slice(&pool[from..from + count]);
    }
    content
}

/// Words of a vocabulary in which some are far more common than others.
fn text(numbers: &mut Numbers, length: usize) -> Vec<u8> {
    let letters = b"etaoinshrdlucmfwypvbgkjqxz";
    let word = |_| -> Vec<u8> {
        let length = 2 + numbers.below(8);
        (0..length)
            .map(|_| letters[skewed(numbers, letters.len())])
            .collect()
    };
    let words: Vec<Vec<u8>> = (0..WORDS).map(word).collect();
    let mut text = Vec::with_capacity(length + 16);
    while text.len() < length {
        text.extend_from_slice(&words[skewed(numbers, words.len())]);
        let end = if numbers.below(12) == 0 { b'\n' } else { b' ' };
        text.push(end);
    }
    text.truncate(length);
    text
}

fn code(numbers: &mut Numbers, length: usize) -> Vec<u8> {
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
            assert_eq!(writer.code(7, length), Writer::new().code(7, length));
        }
        assert_ne!(writer.code(7, 100), writer.code(8, 100));
    }
}
