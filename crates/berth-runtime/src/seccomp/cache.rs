//! Keeping compiled programs.
//!
//! Compiling the default profile takes several milliseconds, as long as the rest of a start. A
//! file is named by the digest of everything that decides its content, holds the program, and
//! ends in a digest of both, so that a torn or foreign file is noticed and compiled anew. The
//! cache is never needed: whatever fails about it is passed over.

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
use super::words::flags_of;

/// Changes whenever the same profile would compile to another program.
const FORMAT: u32 = 2;
const DIGEST_LEN: usize = 32;

type Key = [u8; DIGEST_LEN];

/// Compiles a profile, or takes the program from `cache_dir` where it was compiled before.
///
/// A folder that is missing, read-only or full only costs time. It must be writable by nobody
/// else: what is in it is loaded as it is.
pub fn load_or_compile(
    profile: &LinuxSeccomp,
    cache_dir: &Path,
) -> Result<CompiledFilter, SeccompError> {
    let flags = flags_of(profile)?;
    let Some(key) = key_of(profile) else {
        return compile(profile);
    };
    let path = cache_dir.join(format!("seccomp-{}", hex(&key)));
    if let Some(program) = read(&path, &key) {
        return Ok(CompiledFilter { program, flags });
    }
    let filter = compile(profile)?;
    // A cache that cannot be written is a slow cache, not an error.
    if write(&path, &key, &filter.program).is_err() {
        return Ok(filter);
    }
    Ok(filter)
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

fn trailer(key: &Key, program: &[u8]) -> Key {
    let mut digest = Sha256::new();
    digest.update(key);
    digest.update(program);
    digest.finalize().into()
}

/// Reads and checks a program; `None` when there is none or it is not whole.
fn read(path: &Path, key: &Key) -> Option<Vec<[u8; 8]>> {
    const LONGEST: usize = MAX_INSTRUCTIONS * 8 + DIGEST_LEN;
    let file = berth_persist::open(path).ok()?;
    let limit = u64::try_from(LONGEST + 1).ok()?;
    let mut bytes = Vec::with_capacity(16 * 1024);
    file.take(limit).read_to_end(&mut bytes).ok()?;
    let end = bytes.len().checked_sub(DIGEST_LEN)?;
    let (program, digest) = bytes.split_at_checked(end)?;
    let (instructions, rest) = program.as_chunks::<8>();
    let is_whole = rest.is_empty()
        && (1..=MAX_INSTRUCTIONS).contains(&instructions.len())
        && trailer(key, program).as_slice() == digest;
    is_whole.then(|| instructions.to_vec())
}

/// Writes a temporary file and renames it, so that a reader sees all or nothing.
fn write(path: &Path, key: &Key, program: &[[u8; 8]]) -> io::Result<()> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let temporary: PathBuf = path.with_extension(format!("{}-{count}.tmp", std::process::id()));
    let bytes = program.as_flattened();
    let result = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.write_all(&trailer(key, bytes))
        })
        .and_then(|()| std::fs::rename(&temporary, path));
    if result.is_err() && temporary.exists() {
        // A full disk: take the piece away again.
        std::fs::remove_file(&temporary)?;
    }
    result
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
