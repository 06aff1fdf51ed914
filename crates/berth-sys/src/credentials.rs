//! setfsuid(2), setfsgid(2).

/// Makes the files that this thread creates from now on belong to these ids; both calls report
/// the ids before and never fail visibly, so the result is checked by asking again.
///
/// With a uid other than 0 the thread loses the capabilities over files that are not its own,
/// until it is 0 again (capabilities(7)).
pub fn set_filesystem_ids(uid: u32, gid: u32) -> Result<(), rustix::io::Errno> {
    // SAFETY: neither call has memory conditions.
    unsafe { libc::setfsgid(gid) };
    // SAFETY: as above.
    unsafe { libc::setfsuid(uid) };
    // SAFETY: as above; -1 is no id, so nothing changes and the current id is returned.
    let now_gid = unsafe { libc::setfsgid(u32::MAX) };
    // SAFETY: as above.
    let now_uid = unsafe { libc::setfsuid(u32::MAX) };
    let is = |now: i32, asked: u32| now.cast_unsigned() == asked;
    if is(now_uid, uid) && is(now_gid, gid) {
        Ok(())
    } else {
        Err(rustix::io::Errno::PERM)
    }
}
