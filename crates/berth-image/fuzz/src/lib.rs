//! What the fuzz targets share: planting seeds, and documents that name each other by digest.

use std::path::PathBuf;

use berth_image::Hasher;

/// Separates the parts of an input; no byte of UTF-8.
pub const PART: u8 = 0xff;

/// Writes the inputs to start from into the folder that `BERTH_FUZZ_SEEDS` names, if it does.
pub fn plant(seeds: impl IntoIterator<Item = Vec<u8>>) {
    let Some(folder) = std::env::var_os("BERTH_FUZZ_SEEDS").map(PathBuf::from) else {
        return;
    };
    for (at, seed) in seeds.into_iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{at:02}")), seed).expect("write a seed");
    }
}

/// Makes a folder for one input, where `BERTH_FUZZ_DIR` says or among other temporary ones.
pub fn folder() -> tempfile::TempDir {
    let parent = std::env::var_os("BERTH_FUZZ_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    tempfile::tempdir_in(parent).expect("make a folder")
}

/// Joins parts to an input.
pub fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.join(&PART)
}

/// Puts digests and sizes of earlier parts where a part says `@0` to `@9` and `#0` to `#9`: without
/// them no change to a document would get past the check of its digest.
pub fn resolve(part: &[u8], earlier: &[Vec<u8>]) -> Vec<u8> {
    let mut resolved = Vec::with_capacity(part.len());
    let mut rest = part.iter().copied();
    while let Some(byte) = rest.next() {
        let next = rest.clone().next().unwrap_or_default();
        let of = next
            .is_ascii_digit()
            .then(|| earlier.get(usize::from(next - b'0')));
        match (byte, of.flatten()) {
            (b'@', Some(of)) => resolved.extend(Hasher::sha256(of).to_string().bytes()),
            (b'#', Some(of)) => resolved.extend(of.len().to_string().bytes()),
            _ => {
                resolved.push(byte);
                continue;
            }
        }
        rest.next();
    }
    resolved
}

/// A tar of files.
pub fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(1);
        tar.append_data(&mut header, name, *content)
            .expect("append to memory");
    }
    tar.into_inner().expect("end in memory")
}
