//! Keeping compiled programs.
//!
//! Compiling the default profile takes several milliseconds, as long as the rest of a start. A
//! file is named by the digest of everything that decides its content, holds the flags and the
//! program, and ends in a digest of all three, so that a torn or foreign file is noticed and
//! compiled anew. The cache is never needed: whatever fails about it is passed over.

use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use libseccomp::ScmpVersion;
use oci_spec::runtime::LinuxSeccomp;
use sha2::{Digest as _, Sha256};

use super::compile::{CompiledFilter, MAX_INSTRUCTIONS, compile};
use super::error::SeccompError;

/// Changes whenever the same profile would compile to another program.
const FORMAT: u32 = 3;
const DIGEST_LEN: usize = 32;
/// The flags, before the program.
const HEAD_LEN: usize = 8;

type Key = [u8; DIGEST_LEN];

/// The name of a program in the cache: 64 digits in base 16.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterName(String);

impl FilterName {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Compiles a profile, or takes the program from `cache_dir` where it was compiled before. With
/// the name by which [`load`] finds it again, if it could be kept.
///
/// A folder that is missing, read-only or full only costs time. It must be writable by nobody
/// else: what is in it is loaded as it is.
pub fn load_or_compile(
    profile: &LinuxSeccomp,
    cache_dir: &Path,
) -> Result<(CompiledFilter, Option<FilterName>), SeccompError> {
    let Some(key) = key_of(profile) else {
        return Ok((compile(profile)?, None));
    };
    let (name, path) = file_of(&key, cache_dir);
    if let Some(filter) = read(&path, &key) {
        return Ok((filter, Some(name)));
    }
    let filter = compile(profile)?;
    // A cache that cannot be written is a slow cache, not an error.
    let kept = write(&path, &key, &filter).is_ok();
    Ok((filter, kept.then_some(name)))
}

/// Takes a program from the cache by the name that [`load_or_compile`] gave; `None` where it is
/// not there any more, or not whole.
pub fn load(name: &str, cache_dir: &Path) -> Option<CompiledFilter> {
    let (digits, rest) = name.as_bytes().as_chunks::<2>();
    let bytes = digits.iter().map(|pair| {
        let text = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(text, 16).ok()
    });
    let key: Key = bytes.collect::<Option<Vec<_>>>()?.try_into().ok()?;
    rest.is_empty().then_some(())?;
    read(&file_of(&key, cache_dir).1, &key)
}

fn file_of(key: &Key, cache_dir: &Path) -> (FilterName, PathBuf) {
    let name: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let path = cache_dir.join(format!("seccomp-{name}"));
    (FilterName(name), path)
}

/// The digest of what decides the program. The JSON is canonical: fields are written in the order
/// of the type, which holds no map.
fn key_of(profile: &LinuxSeccomp) -> Option<Key> {
    let version = ScmpVersion::current().ok()?;
    let json = serde_json::to_vec(profile).ok()?;
    let mut digest = Sha256::new();
    for number in [FORMAT, version.major, version.minor, version.micro] {
        digest.update(number.to_le_bytes());
    }
    digest.update(std::env::consts::ARCH);
    digest.update([0]);
    digest.update(json);
    Some(digest.finalize().into())
}

fn trailer(key: &Key, content: &[u8]) -> Key {
    let mut digest = Sha256::new();
    digest.update(key);
    digest.update(content);
    digest.finalize().into()
}

/// Reads and checks a program; `None` when there is none or it is not whole.
fn read(path: &Path, key: &Key) -> Option<CompiledFilter> {
    const LONGEST: usize = HEAD_LEN + MAX_INSTRUCTIONS * 8 + DIGEST_LEN;
    let file = berth_persist::open(path).ok()?;
    let limit = u64::try_from(LONGEST + 1).ok()?;
    let mut bytes = Vec::with_capacity(8 * 1024);
    file.take(limit).read_to_end(&mut bytes).ok()?;
    let (content, digest) = bytes.split_last_chunk::<DIGEST_LEN>()?;
    let (head, program) = content.split_first_chunk::<HEAD_LEN>()?;
    let (instructions, rest) = program.as_chunks::<8>();
    let is_whole = rest.is_empty()
        && (1..=MAX_INSTRUCTIONS).contains(&instructions.len())
        && trailer(key, content) == *digest;
    is_whole.then(|| CompiledFilter {
        program: instructions.to_vec(),
        flags: u64::from_ne_bytes(*head),
    })
}

/// Writes a temporary file and renames it, so that a reader sees all or nothing.
fn write(path: &Path, key: &Key, filter: &CompiledFilter) -> io::Result<()> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let temporary: PathBuf = path.with_extension(format!("{}-{count}.tmp", std::process::id()));
    let mut bytes = filter.flags.to_ne_bytes().to_vec();
    bytes.extend(filter.program.as_flattened());
    bytes.extend(trailer(key, &bytes));
    let result = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| file.write_all(&bytes))
        .and_then(|()| std::fs::rename(&temporary, path));
    if result.is_err() && temporary.exists() {
        // A full disk: take the piece away again.
        std::fs::remove_file(&temporary)?;
    }
    result
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
