//! Running a program over all objects of its kind.

use std::mem::MaybeUninit;

use berth_sys::bpf::{self, Instruction};
use rustix::io::Errno;

use super::Unavailable;

/// The kernel hands out at most eight pages a read (bpf_seq_read).
const BUFFER: usize = 64 * 1024;

/// A program as it is loaded.
pub(super) struct Program<'p> {
    /// Its name in listings.
    pub(super) name: &'static str,
    /// What it reads, for messages.
    pub(super) what: &'static str,
    /// The id of the iterator's function.
    pub(super) target: u32,
    /// The code.
    pub(super) code: &'p [Instruction],
    /// Where functions beyond the first begin in it.
    pub(super) callbacks: &'p [u32],
}

/// Runs a program once over everything, and gives what it writes to `take`, which takes whole
/// records off the front; what it leaves is given again with what follows.
pub(super) fn run(
    program: &Program<'_>,
    mut take: impl FnMut(&mut &[u8]),
) -> Result<(), Unavailable> {
    let what = program.what;
    let loaded = bpf::load_iterator(
        program.code,
        program.callbacks,
        program.name,
        program.target,
    )
    .map_err(|source| match source.errno {
        Errno::PERM => Unavailable::Privilege,
        _ => Unavailable::Program { what, source },
    })?;
    let failed = |errno: Errno| Unavailable::Iterate {
        what: "run an iterator",
        source: errno.into(),
    };
    let link = bpf::attach_iterator(&loaded).map_err(failed)?;
    let iterator = bpf::open_iterator(&link).map_err(failed)?;
    let mut space = vec![MaybeUninit::<u8>::uninit(); BUFFER];
    let mut left: Vec<u8> = Vec::new();
    loop {
        let read = match rustix::io::read(&iterator, &mut space[..]) {
            Ok((read, _)) => &*read,
            // EAGAIN: a million objects that wrote nothing; the next read goes on.
            Err(Errno::INTR | Errno::AGAIN) => continue,
            Err(errno) => return Err(failed(errno)),
        };
        if read.is_empty() {
            break;
        }
        if left.is_empty() {
            let mut rest = read;
            take(&mut rest);
            left.extend_from_slice(rest);
        } else {
            left.extend_from_slice(read);
            let mut rest = left.as_slice();
            take(&mut rest);
            left = rest.to_vec();
        }
    }
    match left.is_empty() {
        true => Ok(()),
        false => Err(Unavailable::Record { what }),
    }
}
