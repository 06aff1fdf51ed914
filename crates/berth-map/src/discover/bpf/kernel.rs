//! What is known about the running kernel: may we, and where are its fields.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use rustix::thread::CapabilitySet;

use super::offsets::{NoOffsets, Offsets};
use super::{BTF_FILE, Unavailable};

/// No type information is longer.
const MAX_BTF: u64 = 256 * 1024 * 1024;

/// The offsets of the running kernel, when the caller may use them.
pub(super) fn offsets(_state_dir: Option<&Path>) -> Result<Offsets, Unavailable> {
    let held = rustix::thread::capabilities(None)
        .map_err(|_| Unavailable::Privilege)?
        .effective;
    let enough = CapabilitySet::BPF | CapabilitySet::PERFMON;
    if !held.contains(enough) && !held.contains(CapabilitySet::SYS_ADMIN) {
        return Err(Unavailable::Privilege);
    }
    let layout = |why: NoOffsets| Unavailable::Layout {
        why: match why {
            NoOffsets::Damaged(bad) => bad.0.to_owned(),
            NoOffsets::Missing(field) => format!("the kernel lacks {field}"),
        },
    };
    let no_btf = |source| Unavailable::NoBtf { source };
    let mut file = File::open(BTF_FILE).map_err(no_btf)?;
    let length = file.metadata().map_err(no_btf)?.len();
    if let Ok(length) = usize::try_from(length)
        && let Ok(mapped) = berth_sys::map_kernel_btf(&file, length)
    {
        return Offsets::look_up(&mapped).map_err(layout);
    }
    let mut data = Vec::new();
    file.by_ref()
        .take(MAX_BTF)
        .read_to_end(&mut data)
        .map_err(no_btf)?;
    Offsets::look_up(&data).map_err(layout)
}
