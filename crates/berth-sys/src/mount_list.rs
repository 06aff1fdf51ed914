//! statmount(2) and listmount(2), Linux 6.8; of another mount namespace 6.11; and the walk over
//! all mount namespaces by ioctl_nsfs(2), 6.12.
//!
//! Everything here only asks. A mount namespace is named by its 64-bit id, so that nothing has to
//! be entered, and no path is resolved.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd};

/// `struct mnt_id_req` of Linux 6.11 (MNT_ID_REQ_SIZE_VER1).
#[repr(C)]
struct RawRequest {
    size: u32,
    spare: u32,
    mount: u64,
    param: u64,
    namespace: u64,
}

/// `struct mnt_ns_info`.
#[repr(C)]
#[derive(Default)]
struct RawNamespaceInfo {
    size: u32,
    mounts: u32,
    id: u64,
}

/// `struct statmount` up to its spare fields, which are zero on a kernel that fills less of it.
#[repr(C)]
#[derive(Clone, Copy)]
struct RawStat {
    size: u32,
    mount_options: u32,
    mask: u64,
    device_major: u32,
    device_minor: u32,
    magic: u64,
    superblock_flags: u32,
    file_system: u32,
    id: u64,
    parent: u64,
    old_id: u32,
    old_parent: u32,
    attributes: u64,
    propagation: u64,
    peer_group: u64,
    master: u64,
    propagate_from: u64,
    root: u32,
    point: u32,
    namespace: u64,
    subtype: u32,
    source: u32,
    spare: [u64; 48],
}

/// The size of [`RawRequest`], as it says itself.
const REQUEST_SIZE: u32 = 32;
const _: () = assert!(size_of::<RawRequest>() == 32);
/// SYS_statmount and SYS_listmount, the same number on every architecture.
const SYS_STATMOUNT: libc::c_long = 457;
const SYS_LISTMOUNT: libc::c_long = 458;
/// The mount at the root of a namespace.
const LSMT_ROOT: u64 = u64::MAX;
/// Ids taken by one listmount(2).
const BATCH: usize = 512;

/// The sequence of all mount namespaces, and what they tell (linux/nsfs.h).
const NSIO: u8 = 0xb7;
const NS_MNT_GET_INFO: u8 = 10;
const NS_MNT_GET_NEXT: u8 = 11;
const NS_MNT_GET_PREV: u8 = 12;

/// A mount namespace as the kernel counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MountNamespace {
    /// Its 64-bit id, never used again.
    pub id: u64,
    /// How many mounts it has.
    pub mounts: u32,
}

/// Which way to go through the sequence of mount namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// To the next younger one.
    Next,
    /// To the next older one.
    Previous,
}

/// What statmount(2) is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatMask(u64);

impl StatMask {
    /// [`MountStat::magic`] alone, the cheapest.
    pub const MAGIC: Self = Self(0x1);
    /// Root, mount point and parent as well.
    pub const PLACE: Self = Self(0x1 | 0x2 | 0x8 | 0x10);
    /// Everything that [`MountStat`] holds.
    pub const ALL: Self = Self(0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x100 | 0x200);
}

/// One mount. What was not asked for, or the kernel does not know, is zero or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountStat {
    /// The magic number of the file system (statfs(2)).
    pub magic: u64,
    /// SB_RDONLY and the like (mount(2)).
    pub superblock_flags: u32,
    /// Its unique 64-bit id.
    pub id: u64,
    /// The unique id of the mount that carries it; its own for the root of a namespace.
    pub parent: u64,
    /// MOUNT_ATTR_* (mount_setattr(2)).
    pub attributes: u64,
    /// MS_SHARED, MS_SLAVE, MS_PRIVATE or MS_UNBINDABLE.
    pub propagation: u64,
    /// The peer group that it is in.
    pub peer_group: u64,
    /// The peer group that it is a slave of.
    pub master: u64,
    /// The nearest dominating peer group below the reader's root.
    pub propagate_from: u64,
    /// Which directory of the file system is its root.
    pub root: Vec<u8>,
    /// The mount point, below the root of the namespace.
    pub point: Vec<u8>,
    /// The type of the file system.
    pub file_system: Vec<u8>,
    /// The subtype (`fuse.SUBTYPE`), since 6.13.
    pub subtype: Vec<u8>,
    /// The source, since 6.13.
    pub source: Vec<u8>,
}

/// Asks a mount namespace who it is (NS_MNT_GET_INFO, 6.12).
///
/// Fails with ENOTTY on older kernels, EINVAL when the descriptor is no mount namespace.
pub fn mount_namespace(namespace: impl AsFd) -> io::Result<MountNamespace> {
    ask(namespace, NS_MNT_GET_INFO).map(|(_, info)| info)
}

/// Opens the neighbour of a mount namespace in the sequence of all of them, whether a process
/// lives there or not (NS_MNT_GET_NEXT and NS_MNT_GET_PREV, 6.12).
///
/// Left out are namespaces over which the caller lacks CAP_SYS_ADMIN. `None` is the end. Fails
/// with ENOTTY on older kernels, EPERM without privilege.
pub fn neighbour(
    namespace: impl AsFd,
    step: Step,
) -> io::Result<Option<(OwnedFd, MountNamespace)>> {
    let request = match step {
        Step::Next => NS_MNT_GET_NEXT,
        Step::Previous => NS_MNT_GET_PREV,
    };
    match ask(namespace, request) {
        Ok((opened, info)) => {
            // SAFETY: a non-negative result of these two requests is a new descriptor that nobody
            // else owns.
            Ok(Some((unsafe { OwnedFd::from_raw_fd(opened) }, info)))
        }
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The three requests that fill a mnt_ns_info.
fn ask(namespace: impl AsFd, number: u8) -> io::Result<(i32, MountNamespace)> {
    let mut info = RawNamespaceInfo::default();
    let request = rustix::ioctl::opcode::read::<RawNamespaceInfo>(NSIO, number);
    let fd = namespace.as_fd().as_raw_fd();
    // SAFETY: the request encodes the size of mnt_ns_info and writes at most that much through
    // its argument, a live and aligned one; the descriptor is borrowed and open.
    let result = unsafe { libc::ioctl(fd, libc::Ioctl::from(request), &raw mut info) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let found = MountNamespace {
        id: info.id,
        mounts: info.mounts,
    };
    Ok((result, found))
}

/// The unique ids of all mounts of a mount namespace (listmount(2)).
///
/// Fails with ENOSYS before 6.8, EINVAL before 6.11, ENOENT when there is no such namespace,
/// EPERM without CAP_SYS_ADMIN over it.
pub fn list_mounts(namespace: u64) -> io::Result<Vec<u64>> {
    let mut found: Vec<u64> = Vec::new();
    loop {
        let request = request(LSMT_ROOT, found.last().copied().unwrap_or(0), namespace);
        let mut batch = [0u64; BATCH];
        // SAFETY: `request` is a live mnt_id_req that says its own size; the kernel writes at
        // most BATCH ids to `batch`, which holds as many.
        let result = unsafe {
            libc::syscall(
                SYS_LISTMOUNT,
                &raw const request,
                batch.as_mut_ptr(),
                BATCH,
                0,
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        let count = usize::try_from(result).map_err(io::Error::other)?;
        found.extend(batch.iter().take(count));
        if count < BATCH {
            return Ok(found);
        }
    }
}

/// Asks about one mount of a mount namespace (statmount(2)). The buffer keeps its size for the
/// next call.
///
/// Fails as [`list_mounts`] does, and with ENOENT when there is no such mount (any more).
pub fn stat_mount(
    namespace: u64,
    mount: u64,
    mask: StatMask,
    buffer: &mut StatBuffer,
) -> io::Result<MountStat> {
    let request = request(mount, mask.0, namespace);
    loop {
        let size = size_of_val(buffer.0.as_slice());
        // SAFETY: `request` is a live mnt_id_req that says its own size; the kernel writes at
        // most `size` bytes to the buffer, which is as long and aligned for 64-bit fields.
        let result = unsafe {
            libc::syscall(
                SYS_STATMOUNT,
                &raw const request,
                buffer.0.as_mut_ptr(),
                size,
                0,
            )
        };
        if result == 0 {
            return Ok(buffer.read());
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::EOVERFLOW) || buffer.0.len() >= MAX_WORDS {
            return Err(error);
        }
        let length = buffer.0.len() * 2;
        buffer.0.resize(length, 0);
    }
}

/// Room for the answers of statmount(2), in words of 8 bytes.
#[derive(Debug)]
pub struct StatBuffer(Vec<u64>);

/// Longest answer that is asked for: far beyond two paths of PATH_MAX and their like.
const MAX_WORDS: usize = 1 << 17;

impl Default for StatBuffer {
    fn default() -> Self {
        Self(vec![0; 512])
    }
}

impl StatBuffer {
    /// Takes apart what the kernel wrote.
    fn read(&self) -> MountStat {
        // SAFETY: the vector is longer than a statmount (it never shrinks below 4 KiB) and
        // aligned for it; statmount is plain integers, for which any bytes are a value.
        let raw = unsafe { self.0.as_ptr().cast::<RawStat>().read() };
        let known = |bit: u64, value: u64| if raw.mask & bit == 0 { 0 } else { value };
        let text = |bit: u64, at: u32| {
            if raw.mask & bit == 0 {
                Vec::new()
            } else {
                self.text(at)
            }
        };
        MountStat {
            magic: known(0x1, raw.magic),
            superblock_flags: raw.superblock_flags,
            id: known(0x2, raw.id),
            parent: known(0x2, raw.parent),
            attributes: known(0x2, raw.attributes),
            propagation: known(0x2, raw.propagation),
            peer_group: known(0x2, raw.peer_group),
            master: known(0x2, raw.master),
            propagate_from: known(0x4, raw.propagate_from),
            root: text(0x8, raw.root),
            point: text(0x10, raw.point),
            file_system: text(0x20, raw.file_system),
            subtype: text(0x100, raw.subtype),
            source: text(0x200, raw.source),
        }
    }

    /// The string at an offset behind the fixed part.
    fn text(&self, at: u32) -> Vec<u8> {
        let start = size_of::<RawStat>() + usize::try_from(at).unwrap_or(usize::MAX / 2);
        let (word, skip) = (start / 8, start % 8);
        let words = self.0.get(word..).unwrap_or_default();
        let bytes = words.iter().flat_map(|w| w.to_ne_bytes()).skip(skip);
        bytes.take_while(|byte| *byte != 0).collect()
    }
}

/// A request about a mount of a namespace.
fn request(mount: u64, param: u64, namespace: u64) -> RawRequest {
    RawRequest {
        size: REQUEST_SIZE,
        spare: 0,
        mount,
        param,
        namespace,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};

    /// Kernels before 6.12, and callers without privilege.
    fn refused(error: &io::Error) -> bool {
        let known = [libc::ENOTTY, libc::ENOSYS, libc::EINVAL, libc::EPERM];
        error.raw_os_error().is_some_and(|e| known.contains(&e))
    }

    #[test]
    fn own_mounts_are_those_of_mountinfo() {
        assert_eq!(size_of::<RawStat>(), 512);
        let own = File::open("/proc/self/ns/mnt").unwrap();
        let info = match mount_namespace(&own) {
            Ok(info) => info,
            Err(error) => return assert!(refused(&error), "{error}"),
        };
        let text = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let ids = list_mounts(info.id).unwrap();
        assert_eq!(ids.len(), text.lines().count());
        assert_eq!(
            ids.len(),
            usize::try_from(mount_namespace(&own).unwrap().mounts).unwrap()
        );
        let mut buffer = StatBuffer::default();
        for id in ids {
            let stat = stat_mount(info.id, id, StatMask::ALL, &mut buffer).unwrap();
            let point = String::from_utf8(stat.point).unwrap().replace(' ', "\\040");
            let root = String::from_utf8(stat.root).unwrap();
            let kind = String::from_utf8(stat.file_system).unwrap();
            let line = text.lines().find(|line| {
                let fields: Vec<_> = line.split(' ').collect();
                fields[3] == root && fields[4] == point
            });
            assert!(line.unwrap().contains(&format!(" - {kind}")), "{line:?}");
        }
    }

    #[test]
    fn a_namespace_that_never_was_is_said() {
        let error = list_mounts(u64::MAX - 7).unwrap_err();
        assert!(refused(&error) || error.raw_os_error() == Some(libc::ENOENT));
    }

    #[test]
    fn the_walk_ends_and_goes_both_ways() {
        let own = File::open("/proc/self/ns/mnt").unwrap();
        let Ok(Some((next, info))) = neighbour(&own, Step::Next) else {
            return;
        };
        let back = neighbour(&next, Step::Previous).unwrap().unwrap();
        assert!(back.1.id < info.id);
        let mut current = next;
        let mut last = info.id;
        while let Some((fd, info)) = neighbour(&current, Step::Next).unwrap() {
            assert!(info.id > last);
            (current, last) = (fd, info.id);
        }
    }
}
