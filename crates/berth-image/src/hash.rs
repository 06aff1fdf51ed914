//! Digests taken while content passes by.

use std::io::{self, Read, Write};

use berth_base::{Digest, DigestAlgorithm};
use sha2::{Digest as _, Sha256, Sha512};

/// A digest under way.
#[derive(Clone, Debug)]
pub struct Hasher {
    inner: Inner,
    bytes: u64,
}

#[derive(Clone, Debug)]
enum Inner {
    Sha256(Box<Sha256>),
    Sha512(Box<Sha512>),
}

impl Hasher {
    /// Begins a digest.
    pub fn new(algorithm: DigestAlgorithm) -> Self {
        let inner = match algorithm {
            DigestAlgorithm::Sha256 => Inner::Sha256(Box::new(Sha256::new())),
            DigestAlgorithm::Sha512 => Inner::Sha512(Box::new(Sha512::new())),
        };
        Self { inner, bytes: 0 }
    }

    /// The digest of some bytes, SHA-256.
    pub fn sha256(bytes: &[u8]) -> Digest {
        let mut hasher = Self::new(DigestAlgorithm::Sha256);
        hasher.update(bytes);
        hasher.finish()
    }

    /// Takes more content.
    pub fn update(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        match &mut self.inner {
            Inner::Sha256(hasher) => hasher.update(bytes),
            Inner::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// Bytes so far.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Ends the digest.
    pub fn finish(self) -> Digest {
        match self.inner {
            Inner::Sha256(hasher) => Digest::sha256(&hasher.finalize().into()),
            Inner::Sha512(hasher) => Digest::sha512(&hasher.finalize().into()),
        }
    }
}

/// Hashes what is read through it.
pub struct HashingReader<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> HashingReader<R> {
    /// Wraps a reader.
    pub fn new(inner: R, algorithm: DigestAlgorithm) -> Self {
        Self {
            inner,
            hasher: Hasher::new(algorithm),
        }
    }

    /// The digest and the number of bytes read so far.
    pub fn finish(self) -> (Digest, u64) {
        let bytes = self.hasher.bytes();
        (self.hasher.finish(), bytes)
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// Hashes what is written through it.
pub struct HashingWriter<W> {
    inner: W,
    hasher: Hasher,
}

impl<W: Write> HashingWriter<W> {
    /// Wraps a writer.
    pub fn new(inner: W, algorithm: DigestAlgorithm) -> Self {
        Self {
            inner,
            hasher: Hasher::new(algorithm),
        }
    }

    /// The writer, the digest and the number of bytes written.
    pub fn finish(self) -> (W, Digest, u64) {
        let bytes = self.hasher.bytes();
        (self.inner, self.hasher.finish(), bytes)
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        let empty = Hasher::sha256(b"");
        assert_eq!(
            empty.as_str(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        let mut writer = HashingWriter::new(Vec::new(), DigestAlgorithm::Sha256);
        writer.write_all(b"abc").unwrap();
        let (_, digest, bytes) = writer.finish();
        assert_eq!(bytes, 3);
        assert_eq!(digest.short(), "ba7816bf8f01");
    }
}
