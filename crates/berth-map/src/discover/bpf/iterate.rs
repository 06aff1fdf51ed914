//! Running a program over all objects of its kind, once or as often as wanted.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

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

/// A program that is loaded and can be run. It stays loaded as long as this lives.
pub(super) struct Loaded {
    link: OwnedFd,
    what: &'static str,
}

impl Loaded {
    /// Loads a program: checking it takes the kernel one to two milliseconds.
    pub(super) fn load(program: &Program<'_>) -> Result<Self, Unavailable> {
        let Program { name, what, .. } = *program;
        let loaded = bpf::load_iterator(program.code, program.callbacks, name, program.target);
        let loaded = loaded.map_err(|source| match source.errno {
            Errno::PERM => Unavailable::Privilege,
            _ => Unavailable::Program { what, source },
        })?;
        let link = bpf::attach_iterator(&loaded).map_err(failed)?;
        Ok(Self { link, what })
    }

    /// Runs it once over everything, and gives what it writes to `take`, which takes whole records
    /// off the front; what it leaves is given again with what follows.
    pub(super) fn run(&self, mut take: impl FnMut(&mut &[u8])) -> Result<(), Unavailable> {
        let iterator = bpf::open_iterator(&self.link).map_err(failed)?;
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
            false => Err(Unavailable::Record { what: self.what }),
        }
    }
}

fn failed(errno: Errno) -> Unavailable {
    Unavailable::Iterate {
        what: "run an iterator",
        source: errno.into(),
    }
}
