//! Paths on the stack, and resolving them inside a root.

use std::ffi::CStr;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags, mkdirat, openat, openat2, readlinkat_raw};
use rustix::io::Errno;

use crate::plan::{Links, TargetKind};

/// A path of at most 4095 bytes, built without allocating.
pub(super) struct StackPath {
    bytes: [u8; 4096],
    length: usize,
}

impl StackPath {
    /// An empty path.
    pub(super) const fn new() -> Self {
        Self {
            bytes: [0; 4096],
            length: 0,
        }
    }

    /// Appends bytes; ENAMETOOLONG when they do not fit with their terminator.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<&mut Self, Errno> {
        let end = self.length + bytes.len();
        if end >= self.bytes.len() {
            return Err(Errno::NAMETOOLONG);
        }
        self.bytes
            .get_mut(self.length..end)
            .ok_or(Errno::NAMETOOLONG)?
            .copy_from_slice(bytes);
        self.length = end;
        Ok(self)
    }

    /// Appends a decimal number.
    pub(super) fn push_number(&mut self, number: u32) -> Result<&mut Self, Errno> {
        let mut digits = [0u8; 10];
        let mut rest = number;
        let mut first = digits.len();
        loop {
            first -= 1;
            // A remainder below ten fits a byte.
            let digit = u8::try_from(rest % 10).unwrap_or(0);
            if let Some(slot) = digits.get_mut(first) {
                *slot = b'0' + digit;
            }
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.push(digits.get(first..).unwrap_or_default())
    }

    /// Its first bytes.
    fn prefix(&self, length: usize) -> &[u8] {
        self.bytes.get(..length).unwrap_or_default()
    }

    /// The path as a C string.
    pub(super) fn as_c_str(&self) -> Result<&CStr, Errno> {
        let bytes = self.bytes.get(..=self.length).ok_or(Errno::NAMETOOLONG)?;
        CStr::from_bytes_until_nul(bytes).map_err(|_| Errno::INVAL)
    }
}

/// How paths inside a root are resolved: never out of it, never through magic links.
fn resolve_flags(links: Links) -> ResolveFlags {
    let base = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    match links {
        Links::InRoot => base,
        Links::Refused => base | ResolveFlags::NO_SYMLINKS,
    }
}

/// Opens a path below a root (O_PATH), following links inside it only (openat2(2)).
pub(super) fn open_in_root(
    root: BorrowedFd<'_>,
    path: &CStr,
    links: Links,
) -> Result<OwnedFd, Errno> {
    let relative = relative(path);
    loop {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        match openat2(root, relative, flags, Mode::empty(), resolve_flags(links)) {
            // A rename raced with the walk; openat2(2) asks to try again.
            Err(Errno::AGAIN) => {}
            other => return other,
        }
    }
}

/// As many links as the kernel follows in one walk (path_resolution(7)).
const LINKS_MAX: u32 = 40;

/// Opens a mount target below a root, making it and its parents when they do not exist: also those
/// that a symbolic link names, such as an image's /etc/resolv.conf into an empty /run.
pub(super) fn open_target(
    root: BorrowedFd<'_>,
    path: &CStr,
    kind: TargetKind,
    links: Links,
) -> Result<OwnedFd, Errno> {
    match open_in_root(root, path, links) {
        Err(Errno::NOENT) => {}
        other => return other,
    }
    let mut wanted = StackPath::new();
    wanted.push(path.to_bytes())?;
    for _ in 0..LINKS_MAX {
        if let Some(target) = make_path(root, &mut wanted, kind, links)? {
            return Ok(target);
        }
    }
    Err(Errno::LOOP)
}

/// Walks a path, making what is missing. `None` at a link that leads nowhere yet: the path is then
/// the one to walk instead.
fn make_path(
    root: BorrowedFd<'_>,
    path: &mut StackPath,
    kind: TargetKind,
    links: Links,
) -> Result<Option<OwnedFd>, Errno> {
    let mut parent = open_in_root(root, c"/", links)?;
    let mut walked = StackPath::new();
    let mut rest = path.as_c_str()?.to_bytes();
    loop {
        let start = rest.iter().take_while(|b| **b == b'/').count();
        rest = rest.get(start..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(Some(parent));
        }
        let end = rest.iter().position(|b| *b == b'/').unwrap_or(rest.len());
        let (component, after) = rest.split_at_checked(end).ok_or(Errno::INVAL)?;
        let is_last = after.iter().all(|b| *b == b'/');
        rest = after;
        let folder = walked.length;
        walked.push(b"/")?.push(component)?;
        parent = match open_in_root(root, walked.as_c_str()?, links) {
            Ok(next) => next,
            Err(Errno::NOENT) => {
                let mut name = StackPath::new();
                name.push(component)?;
                let name = name.as_c_str()?;
                if links == Links::InRoot
                    && let Some(next) = follow(&parent, name, walked.prefix(folder), after)?
                {
                    *path = next;
                    return Ok(None);
                }
                make(parent, name, is_last, kind)?
            }
            Err(error) => return Err(error),
        };
    }
}

/// The path that a symbolic link of an open directory leads to, with the rest of the walk behind
/// it; `None` when there is no link of that name.
fn follow(
    parent: &OwnedFd,
    name: &CStr,
    folder: &[u8],
    after: &[u8],
) -> Result<Option<StackPath>, Errno> {
    let mut buffer = [0u8; 4096];
    let length = match readlinkat_raw(parent, name, &mut buffer) {
        Ok(length) => length,
        Err(Errno::NOENT | Errno::INVAL) => return Ok(None),
        Err(error) => return Err(error),
    };
    let target = buffer.get(..length).ok_or(Errno::NAMETOOLONG)?;
    let mut next = StackPath::new();
    if !target.starts_with(b"/") {
        next.push(folder)?.push(b"/")?;
    }
    next.push(target)?.push(after)?;
    Ok(Some(next))
}

/// Makes one missing component below an open directory and opens it without following links.
fn make(parent: OwnedFd, name: &CStr, is_last: bool, kind: TargetKind) -> Result<OwnedFd, Errno> {
    if is_last && kind == TargetKind::File {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(
            &parent,
            name,
            flags | OFlags::WRONLY,
            Mode::from_raw_mode(0o644),
        )?;
        drop(file);
    } else {
        match mkdirat(&parent, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
    }
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(&parent, name, flags, Mode::empty())
}

/// The path without leading slashes; `.` for the root itself.
fn relative(path: &CStr) -> &CStr {
    let bytes = path.to_bytes_with_nul();
    let start = bytes.iter().take_while(|b| **b == b'/').count();
    match bytes.get(start..).map(CStr::from_bytes_with_nul) {
        Some(Ok(rest)) if !rest.is_empty() => rest,
        _ => c".",
    }
}

#[cfg(test)]
#[path = "path_tests.rs"]
mod tests;
