//! The names of shared folders of mount points.
//!
//! `ENTRY+ENTRY...`, sorted by path, says all that is in a folder, so that it can be made again and
//! two containers that need the same find the same. An entry is a path with `,` for `/`, then
//!
//! - nothing: an empty folder, 0755;
//! - `!`: an empty file;
//! - `@MODE.UID.GID.SECONDS.NANOSECONDS`: a folder of the image with what it shows of itself (mode
//!   in octal, time of the last change).
//!
//! `etc@755.0.0.1731024000.0+etc,hosts!+proc+sys` is what a small image lacks.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::points::{Attributes, MountPoints, Point};

/// Longest name; a file's may have 255 bytes, and a hidden one begins with a few of them.
const MAX: usize = 240;

impl MountPoints {
    /// The name of the shared folder that has exactly these, if there can be one.
    pub(crate) fn shared_name(&self) -> Option<String> {
        let mut entries = Vec::with_capacity(self.0.len());
        for (path, point) in &self.0 {
            let path = path.to_str()?;
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-/".contains(&b);
            if path.starts_with('.') || !path.bytes().all(plain) {
                return None;
            }
            let path = path.replace('/', ",");
            entries.push(match point {
                Point::Folder => path,
                Point::File => format!("{path}!"),
                Point::Over(a) => {
                    let (seconds, nanos) = a.modified;
                    let Attributes { mode, uid, gid, .. } = a;
                    format!("{path}@{mode:o}.{uid}.{gid}.{seconds}.{nanos}")
                }
            });
        }
        let name = entries.join("+");
        (1..=MAX).contains(&name.len()).then_some(name)
    }

    /// What a shared folder has, by its name; `None` where it is not the name of one.
    pub(super) fn of_shared(name: &str) -> Option<Self> {
        let mut points = BTreeMap::new();
        for entry in name.split('+') {
            let (path, point) = match entry.split_once('@') {
                Some((path, attributes)) => (path, Point::Over(parse(attributes)?)),
                None => match entry.strip_suffix('!') {
                    Some(path) => (path, Point::File),
                    None => (entry, Point::Folder),
                },
            };
            let mut parts = path.split(',');
            if parts.any(|part| matches!(part, "" | "." | "..")) || path.contains('/') {
                return None;
            }
            points.insert(PathBuf::from(path.replace(',', "/")), point);
        }
        Some(Self(points))
    }
}

fn parse(attributes: &str) -> Option<Attributes> {
    let mut parts = attributes.split('.');
    let mode = u32::from_str_radix(parts.next()?, 8).ok()?;
    let uid = parts.next()?.parse().ok()?;
    let gid = parts.next()?.parse().ok()?;
    let modified = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some(Attributes {
        mode,
        uid,
        gid,
        modified,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETC: Attributes = Attributes {
        mode: 0o2755,
        uid: 0,
        gid: 12,
        modified: (-5, 17),
    };

    fn points(list: &[(&str, Point)]) -> MountPoints {
        let entries = list
            .iter()
            .map(|(path, point)| (path.into(), point.clone()));
        MountPoints(entries.collect())
    }

    #[test]
    fn a_name_says_all_that_is_in_it() {
        let list = [
            ("proc", Point::Folder),
            ("etc", Point::Over(ETC)),
            ("etc/hosts", Point::File),
            ("sys", Point::Folder),
        ];
        let made = points(&list);
        let name = made.shared_name().unwrap();
        assert_eq!(name, "etc@2755.0.12.-5.17+etc,hosts!+proc+sys");
        assert_eq!(MountPoints::of_shared(&name).unwrap().0, made.0);
        // As they were before there were others.
        let plain = MountPoints::of_shared("proc+sys").unwrap();
        assert_eq!(plain.0, points(&[list[0].clone(), list[3].clone()]).0);
    }

    #[test]
    fn odd_ones_are_a_containers_own() {
        assert_eq!(points(&[]).shared_name(), None, "there is nothing to make");
        let long = "x".repeat(MAX + 1);
        for own in [".x", "a+b", "a b", "a,b", "a!", "a@b", "\u{e9}", &long] {
            assert_eq!(points(&[(own, Point::Folder)]).shared_name(), None, "{own}");
        }
    }

    #[test]
    fn other_names_are_not_understood() {
        for name in [
            "",
            "a,,b",
            "..",
            "a,..,b",
            "a/b",
            "a@",
            "a@9.0.0.0.0",
            "a@755.0.0",
            "a++b",
        ] {
            assert!(MountPoints::of_shared(name).is_none(), "{name}");
        }
    }
}
