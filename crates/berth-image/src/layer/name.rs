//! Names in an archive, and what overlayfs makes of them.
//!
//! Image-spec, layer.md, "Whiteouts": `.wh.NAME` removes NAME of the layers below, `.wh..wh..opq`
//! all of its folder's content below. Further names in `.wh..wh.` were aufs' own.

/// Removes its sibling below.
const WHITEOUT: &[u8] = b".wh.";
/// Removes all siblings below.
const OPAQUE: &[u8] = b".wh..wh..opq";
/// aufs' own.
const RESERVED: &[u8] = b".wh..wh.";
/// Where aufs kept files with several names; its layers have hard links to here.
pub(super) const LINKS: &[u8] = b".wh..wh.plnk";

/// What the name of an entry asks for. Paths have no slash in front or behind and no `.`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// The layer's folder itself.
    Root,
    /// An entry of its own.
    At(&'a [u8]),
    /// The path below is gone.
    Whiteout { folder: &'a [u8], name: &'a [u8] },
    /// All that is below in the folder is gone.
    Opaque { folder: &'a [u8] },
    /// Nothing that matters.
    Ignored,
}

/// Makes a path of an archive relative to the layer's folder: a slash in front means that folder,
/// as with every extractor of images. The root is the empty path.
pub(super) fn clean(name: &[u8]) -> Result<Vec<u8>, &'static str> {
    if name.is_empty() {
        return Err("an empty name");
    }
    if name.contains(&0) {
        return Err("a name with a NUL byte");
    }
    let mut path = Vec::with_capacity(name.len());
    for part in name.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return Err("a name that leads upwards (\"..\")"),
            _ => {
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.extend_from_slice(part);
            }
        }
    }
    Ok(path)
}

/// Tells what a clean path asks for.
pub(super) fn place(path: &[u8]) -> Result<Place<'_>, &'static str> {
    if path.is_empty() {
        return Ok(Place::Root);
    }
    let (folder, name) = split(path);
    if path == LINKS || folder == LINKS {
        return Ok(Place::At(path));
    }
    for part in folder.split(|b| *b == b'/') {
        if part.starts_with(RESERVED) {
            return Ok(Place::Ignored);
        }
        if part.starts_with(WHITEOUT) {
            return Err("a name below a whiteout");
        }
    }
    if name == OPAQUE {
        return Ok(Place::Opaque { folder });
    }
    if name.starts_with(RESERVED) {
        return Ok(Place::Ignored);
    }
    match name.strip_prefix(WHITEOUT) {
        None => Ok(Place::At(path)),
        Some(b"" | b"." | b"..") => Err("a whiteout of no name"),
        Some(name) => Ok(Place::Whiteout { folder, name }),
    }
}

/// The whiteout's name for an entry.
pub(super) fn whiteout_of(name: &[u8]) -> Vec<u8> {
    [WHITEOUT, name].concat()
}

/// The opaque marker's path in a folder.
pub(super) fn opaque_in(folder: &[u8]) -> Vec<u8> {
    join(folder, OPAQUE)
}

/// Whether an entry of this name would be a marker in the archive.
pub(super) fn is_reserved(name: &[u8]) -> bool {
    name.starts_with(WHITEOUT)
}

/// A folder's path and the last name.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(at) => (
            path.get(..at).unwrap_or_default(),
            path.get(at + 1..).unwrap_or_default(),
        ),
        None => (b"", path),
    }
}

/// A name below a folder.
pub(super) fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() {
        return name.to_vec();
    }
    let mut path = Vec::with_capacity(folder.len() + 1 + name.len());
    path.extend_from_slice(folder);
    path.push(b'/');
    path.extend_from_slice(name);
    path
}

/// Whether the path is the folder or lies below it.
pub(super) fn is_within(path: &[u8], folder: &[u8]) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| folder.is_empty() || rest.is_empty() || rest.starts_with(b"/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_paths_below_the_folder() {
        for (name, path) in [
            ("etc/passwd", "etc/passwd"),
            ("./etc//passwd/", "etc/passwd"),
            ("/etc/./passwd", "etc/passwd"),
            ("./", ""),
            (".", ""),
            ("///", ""),
            ("...", "..."),
        ] {
            assert_eq!(clean(name.as_bytes()).unwrap(), path.as_bytes(), "{name}");
        }
        for bad in ["", "..", "../x", "a/../../x", "a/..", "a\0b"] {
            assert!(clean(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn markers() {
        let place = |path: &'static str| place(path.as_bytes());
        assert_eq!(place(""), Ok(Place::Root));
        assert_eq!(place("a/b"), Ok(Place::At(b"a/b")));
        assert_eq!(
            place("a/.wh.b"),
            Ok(Place::Whiteout {
                folder: b"a",
                name: b"b"
            })
        );
        assert_eq!(place("a/.wh..wh..opq"), Ok(Place::Opaque { folder: b"a" }));
        assert_eq!(place(".wh..wh..opq"), Ok(Place::Opaque { folder: b"" }));
        assert_eq!(place(".wh..wh.aufs"), Ok(Place::Ignored));
        assert_eq!(place(".wh..wh.orph/x"), Ok(Place::Ignored));
        assert_eq!(
            place(".wh..wh.plnk/1.2"),
            Ok(Place::At(b".wh..wh.plnk/1.2"))
        );
        for bad in [".wh.", "a/.wh..", "a/.wh...", ".wh.a/b"] {
            assert!(place(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn paths_come_apart_and_together() {
        assert_eq!(split(b"a/b/c"), (&b"a/b"[..], &b"c"[..]));
        assert_eq!(split(b"a"), (&b""[..], &b"a"[..]));
        assert_eq!(join(b"a/b", b"c"), b"a/b/c");
        assert_eq!(join(b"", b"c"), b"c");
        assert!(is_within(b"a/b", b"a") && is_within(b"a", b"a") && is_within(b"a", b""));
        assert!(!is_within(b"ab", b"a"));
    }
}
