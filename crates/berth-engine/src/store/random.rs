//! Random ids.

use std::io;

use berth_base::ContainerId;
use rustix::rand::{GetRandomFlags, getrandom};

/// Makes an id from 32 bytes of getrandom(2).
pub(crate) fn random_id() -> io::Result<ContainerId> {
    Ok(ContainerId::from_bytes(random_bytes()?))
}

/// A random number.
pub(crate) fn random_number() -> io::Result<u32> {
    Ok(u32::from_ne_bytes(random_bytes()?))
}

/// Random bytes; getrandom(2) fills up to 256 at once and is not interrupted below that.
pub(crate) fn random_bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let filled = getrandom(&mut bytes[..], GetRandomFlags::empty())?;
    if filled == N {
        Ok(bytes)
    } else {
        Err(io::Error::from(io::ErrorKind::UnexpectedEof))
    }
}
