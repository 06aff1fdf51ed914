//! Who a process in a container is: `-u` and `--group-add` against the container's own passwd(5)
//! and group(5).
//!
//! The files belong to the container and may hold anything: they are opened below its root only,
//! read up to a limit, and a line that makes no sense is skipped. A numeric user is a number, even
//! where a line has that number for a name (CVE-2016-3697).

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

use berth_base::ErrorClass;

use crate::EngineError;

/// The most that is read of either file.
const LIMIT_BYTES: u64 = 4 << 20;
/// The most supplementary groups a process can have, NGROUPS_MAX (setgroups(2)).
const GROUPS_MAX: usize = 65536;

/// A resolved user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResolvedUser {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Supplementary groups, the main one first, without duplicates.
    pub(crate) groups: Vec<u32>,
    /// The home folder; `/` where passwd names none.
    pub(crate) home: String,
}

/// A user or group could not be resolved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UserError {
    #[error("unknown user {0:?}: the container's /etc/passwd has no such name; give a numeric id")]
    UnknownUser(String),
    #[error("unknown group {0:?}: the container's /etc/group has no such name; give a numeric id")]
    UnknownGroup(String),
    #[error("the id {0:?} is out of range; ids go from 0 to 4294967294")]
    OutOfRange(String),
    #[error("invalid user {0:?}; write user, uid, user:group or uid:gid")]
    Malformed(String),
    #[error("cannot read /etc/{file} of the container: {source}")]
    Unreadable {
        file: &'static str,
        source: io::Error,
    },
    #[error("a process cannot have more than {GROUPS_MAX} groups")]
    TooManyGroups,
}

impl From<UserError> for EngineError {
    fn from(error: UserError) -> Self {
        let class = match &error {
            UserError::Unreadable { .. } => ErrorClass::Unavailable,
            _ => ErrorClass::Invalid,
        };
        Self::new(class, error.to_string())
    }
}

/// The two account files of a container, as text.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Accounts {
    passwd: String,
    group: String,
}

impl Accounts {
    /// Reads both files below a container's root. One that does not exist, or is no regular
    /// file, is empty.
    pub(crate) fn read(root: BorrowedFd<'_>) -> Result<Self, UserError> {
        Ok(Self {
            passwd: read_below(root, "passwd")?,
            group: read_below(root, "group")?,
        })
    }

    /// Reads both files by a function that opens a path below a root.
    pub(crate) fn read_from(open: impl Fn(&Path) -> io::Result<File>) -> Result<Self, UserError> {
        let read = |file: &'static str| {
            let failed = |source| UserError::Unreadable { file, source };
            match open(&Path::new("etc").join(file)) {
                Ok(opened) => limited(opened).map_err(failed),
                Err(e)
                    if matches!(
                        e.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                    ) =>
                {
                    Ok(String::new())
                }
                Err(e) => Err(failed(e)),
            }
        };
        Ok(Self {
            passwd: read("passwd")?,
            group: read("group")?,
        })
    }

    /// Resolves `-u` (`None` is root) and `--group-add`.
    pub(crate) fn resolve(
        &self,
        user: Option<&str>,
        group_add: &[String],
    ) -> Result<ResolvedUser, UserError> {
        let (user, group) = split(user.unwrap_or("0"))?;
        let entry = match parse_id(user)? {
            Some(uid) => self
                .passwd_entries()
                .find(|e| e.uid == uid)
                .map_or_else(|| Ok(PasswdEntry::numeric(uid)), Ok),
            None => self
                .passwd_entries()
                .find(|e| e.name == user)
                .ok_or_else(|| UserError::UnknownUser(user.to_owned())),
        }?;
        let gid = match group {
            Some(group) => self.resolve_group(group)?,
            None => entry.gid,
        };
        // The main group too: a process that changes it (a setgid program, newgrp) would otherwise
        // leave it, and reach what a file denies to that group (CVE-2022-36109).
        let mut groups = vec![gid];
        // As Docker: a group that was asked for replaces the memberships of /etc/group.
        if group.is_none() && !entry.name.is_empty() {
            groups.extend(self.memberships(entry.name));
        }
        for group in group_add {
            groups.push(self.resolve_group(group)?);
        }
        deduplicate(&mut groups);
        if groups.len() > GROUPS_MAX {
            return Err(UserError::TooManyGroups);
        }
        let home = if entry.home.starts_with('/') && !entry.home.contains('\0') {
            entry.home
        } else {
            "/"
        };
        Ok(ResolvedUser {
            uid: entry.uid,
            gid,
            groups,
            home: home.to_owned(),
        })
    }

    fn resolve_group(&self, group: &str) -> Result<u32, UserError> {
        if let Some(gid) = parse_id(group)? {
            return Ok(gid);
        }
        self.group_entries()
            .find(|(name, ..)| *name == group)
            .map(|(_, gid, _)| gid)
            .ok_or_else(|| UserError::UnknownGroup(group.to_owned()))
    }

    fn memberships(&self, user: &str) -> Vec<u32> {
        self.group_entries()
            .filter(|(_, _, members)| members.split(',').any(|m| m == user))
            .map(|(_, gid, _)| gid)
            .collect()
    }

    /// name, gid, members of each sound line.
    fn group_entries(&self) -> impl Iterator<Item = (&str, u32, &str)> {
        self.group.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next().filter(|n| !n.is_empty())?;
            let gid = fields.nth(1)?.parse().ok().filter(|g| *g != u32::MAX)?;
            Some((name, gid, fields.next().unwrap_or_default()))
        })
    }

    fn passwd_entries(&self) -> impl Iterator<Item = PasswdEntry<'_>> {
        self.passwd.lines().filter_map(PasswdEntry::parse)
    }
}

struct PasswdEntry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

impl<'a> PasswdEntry<'a> {
    /// `name:password:uid:gid:gecos:home:shell`; `None` for a line that makes no sense, such as
    /// one whose id is empty, which atoi(3) would take for root.
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next().filter(|n| !n.is_empty())?;
        let uid = fields.nth(1)?.parse().ok().filter(|u| *u != u32::MAX)?;
        let gid = fields.next()?.parse().ok().filter(|g| *g != u32::MAX)?;
        let home = fields.nth(1).unwrap_or_default();
        Some(Self {
            name,
            uid,
            gid,
            home,
        })
    }

    /// A user that has a number and nothing else; its group is 0, as Docker has it.
    const fn numeric(uid: u32) -> Self {
        Self {
            name: "",
            uid,
            gid: 0,
            home: "/",
        }
    }
}

fn split(user: &str) -> Result<(&str, Option<&str>), UserError> {
    let (name, group) = match user.split_once(':') {
        Some((name, group)) => (name, Some(group)),
        None => (user, None),
    };
    let sound = !name.is_empty()
        && group.is_none_or(|g| !g.is_empty() && !g.contains(':'))
        && !user.contains(['\n', '\0']);
    if sound {
        Ok((name, group))
    } else {
        Err(UserError::Malformed(user.to_owned()))
    }
}

/// Reads a text of digits alone as an id; `None` for a name. 4294967295 is -1, "no change".
fn parse_id(text: &str) -> Result<Option<u32>, UserError> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse::<u32>() {
        Ok(id) if id != u32::MAX => Ok(Some(id)),
        _ => Err(UserError::OutOfRange(text.to_owned())),
    }
}

fn deduplicate(groups: &mut Vec<u32>) {
    let mut seen = std::collections::HashSet::new();
    groups.retain(|group| seen.insert(*group));
}

/// Reads `/etc/NAME` below a root. The path is resolved inside that root alone (openat2(2),
/// RESOLVE_IN_ROOT), crosses no magic link, and never blocks on a FIFO or a device.
fn read_below(root: BorrowedFd<'_>, file: &'static str) -> Result<String, UserError> {
    let unreadable = |source: io::Error| UserError::Unreadable { file, source };
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let opened = loop {
        match openat2(root, format!("etc/{file}"), flags, Mode::empty(), resolve) {
            // A rename raced with the walk; the kernel asks to try again (openat2(2)).
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => break other,
        }
    };
    let opened = match opened {
        Ok(fd) => File::from(fd),
        // Missing, a loop of links, or no file at all (a socket): as good as empty.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => return Ok(String::new()),
        Err(e) => return Err(unreadable(e.into())),
    };
    limited(opened).map_err(unreadable)
}

/// Reads a file up to the limit; what is no regular file is empty.
fn limited(file: File) -> io::Result<String> {
    let stat = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Ok(String::new());
    }
    let mut bytes = Vec::new();
    file.take(LIMIT_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use proptest::prelude::*;

    use super::*;

    fn accounts() -> Accounts {
        Accounts {
            passwd: "root:x:0:0:root:/root:/bin/sh\n\
                     1000:x:0:0:trap:/root:/bin/sh\n\
                     nouid:x::0::/:\n\
                     huge:x:4294967295:0::/:\n\
                     web:x:33:44:www:/var/www:/bin/false\n\
                     :x:7:7::/:\n\
                     garbage\n"
                .into(),
            group: "root:x:0:\naudio:x:29:web,other\nvideo:x:44:web\n33:x:0:\nbad:x::web\n".into(),
        }
    }

    #[test]
    fn a_numeric_user_is_a_number_even_where_a_name_looks_alike() {
        // CVE-2016-3697.
        let user = accounts().resolve(Some("1000"), &[]).unwrap();
        assert_eq!((user.uid, user.gid), (1000, 0));
        let user = accounts().resolve(Some("33:33"), &[]).unwrap();
        assert_eq!((user.uid, user.gid), (33, 33));
    }

    #[test]
    fn a_name_brings_its_group_home_and_memberships() {
        let user = accounts().resolve(Some("web"), &["root".into()]).unwrap();
        let expected = ResolvedUser {
            uid: 33,
            gid: 44,
            groups: vec![44, 29, 0],
            home: "/var/www".into(),
        };
        assert_eq!(user, expected);
        let user = accounts()
            .resolve(Some("web:audio"), &["29".into(), "7".into()])
            .unwrap();
        assert_eq!((user.gid, user.groups), (29, vec![29, 7]));
    }

    #[test]
    fn the_main_group_is_among_the_further_ones() {
        // CVE-2022-36109.
        for (user, groups) in [
            (None, vec![0]),
            (Some("1000:1000"), vec![1000]),
            (Some("5"), vec![0]),
            (Some("33"), vec![44, 29]),
            (Some("web:video"), vec![44]),
        ] {
            let resolved = accounts().resolve(user, &[]).unwrap();
            assert_eq!(resolved.groups, groups, "{user:?}");
        }
    }

    #[test]
    fn without_files_only_numbers_work() {
        let none = Accounts::default();
        let user = none.resolve(None, &[]).unwrap();
        assert_eq!((user.uid, user.gid, user.home.as_str()), (0, 0, "/"));
        assert!(matches!(
            none.resolve(Some("web"), &[]),
            Err(UserError::UnknownUser(_))
        ));
    }

    #[test]
    fn hostile_lines_never_become_root() {
        for user in ["nouid", "huge", "garbage", "bad"] {
            assert!(accounts().resolve(Some(user), &[]).is_err(), "{user}");
        }
        for user in ["", ":", "web:", "a:b:c", ":0", "4294967295", "99999999999"] {
            assert!(accounts().resolve(Some(user), &[]).is_err(), "{user}");
        }
        assert!(accounts().resolve(Some("web:bad"), &[]).is_err());
    }

    #[test]
    fn a_link_out_of_the_root_stays_inside() {
        let dir = tempfile::tempdir().unwrap();
        let etc = dir.path().join("etc");
        std::fs::create_dir(&etc).unwrap();
        std::os::unix::fs::symlink("/../../secret", etc.join("passwd")).unwrap();
        std::fs::write(dir.path().join("secret"), "web:x:5:6::/:\n").unwrap();
        let root = File::open(dir.path()).unwrap();
        let accounts = Accounts::read(root.as_fd()).unwrap();
        // Inside the root, "/../../secret" is the root's own file.
        assert_eq!(accounts.resolve(Some("web"), &[]).unwrap().uid, 5);
    }

    #[test]
    fn magic_links_fifos_and_folders_are_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let etc = dir.path().join("etc");
        std::fs::create_dir(&etc).unwrap();
        std::fs::create_dir(etc.join("passwd")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            etc.join("group"),
            rustix::fs::FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        let root = File::open(dir.path()).unwrap();
        let accounts = Accounts::read(root.as_fd()).unwrap();
        assert_eq!((accounts.passwd, accounts.group), Default::default());
    }

    proptest! {
        /// CVE-2026-30892: whatever the files say, a numeric id is that id.
        #[test]
        fn numbers_win_over_any_file(passwd in ".{0,200}", group in ".{0,200}", uid in 0..u32::MAX, gid in 0..u32::MAX) {
            let accounts = Accounts { passwd, group };
            let user = accounts.resolve(Some(&format!("{uid}:{gid}")), &[]).unwrap();
            prop_assert_eq!((user.uid, user.gid), (uid, gid));
        }

        #[test]
        fn no_text_panics(passwd in "[\\PC\n:0-9]{0,300}", user in "\\PC{0,20}") {
            let accounts = Accounts { passwd: passwd.clone(), group: passwd };
            drop(accounts.resolve(Some(&user), std::slice::from_ref(&user)));
        }
    }
}
