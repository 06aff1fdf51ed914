//! The home folder of a user, by the passwd file of a root filesystem.

use std::io::Read;
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat2};

/// The most that is read of a passwd file, which is the image's to write.
const LONGEST: u64 = 1 << 20;

/// The home folder of a numeric user, `/` when the file does not say. Resolved inside the root;
/// the name of the user plays no part (CVE-2016-3697).
pub(crate) fn of(rootfs: &Path, uid: u32) -> String {
    passwd(rootfs)
        .and_then(|text| home_in(&text, uid))
        .unwrap_or_else(|| "/".to_owned())
}

fn passwd(rootfs: &Path) -> Option<String> {
    let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // by path: the root itself; the file in it is opened below it
    let root = open(rootfs, folder, Mode::empty()).ok()?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let file = openat2(&root, "etc/passwd", flags, Mode::empty(), resolve).ok()?;
    let mut bytes = Vec::new();
    std::fs::File::from(file)
        .take(LONGEST)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn home_in(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let matches = fields.get(2)?.parse() == Ok(uid);
        let home = fields.get(5)?;
        (matches && home.starts_with('/') && !home.contains('\0')).then(|| (*home).to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::home_in;

    #[test]
    fn the_number_decides() {
        let text = "root:x:0:0:r:/root:/bin/sh\n7:x:0:0::/evil:/bin/sh\nweb:x:7:7::/srv:/bin/sh\n";
        assert_eq!(home_in(text, 0).as_deref(), Some("/root"));
        assert_eq!(home_in(text, 7).as_deref(), Some("/srv"));
        assert_eq!(home_in(text, 8), None);
        assert_eq!(home_in("broken", 0), None);
    }
}
