//! `-v [SOURCE:]TARGET[:OPTIONS]`.

use std::path::PathBuf;

use berth_engine::{MountOrigin, MountRequest, VolumeMount};

use super::{Unplaced, is_path, is_propagation, target_path, volume_name};
use crate::cli::parse::Rejected;

/// Reads a bind mount, whose source is a path (`/srv`, `./data`, `..`), a named volume, or the
/// target of an anonymous one.
pub(crate) fn volume(text: &str) -> Result<Unplaced, Rejected> {
    let mut parts = text.split(':');
    let (first, second) = (parts.next().unwrap_or_default(), parts.next());
    let options = parts.next().unwrap_or_default();
    if parts.next().is_some() {
        return Err(Rejected::new(
            "too many colons; give SOURCE:TARGET[:OPTIONS], such as /srv/data:/data:ro",
        ));
    }
    let Some(target) = second else {
        let anonymous = VolumeMount {
            target: target_path(first).map_err(|_| {
                Rejected::new(
                    "give NAME:TARGET, /SOURCE:TARGET, or the absolute path of an anonymous volume, such as /data",
                )
            })?,
            ..VolumeMount::default()
        };
        return Ok(Unplaced(MountRequest::Volume(anonymous)));
    };
    let target = target_path(target)?;
    if is_path(first) {
        let mut read_only = false;
        let mut kept = Vec::new();
        for option in words(options) {
            match option {
                "ro" => read_only = true,
                "rw" => read_only = false,
                "bind" | "rbind" => kept.push(option.to_owned()),
                // SELinux relabelling, copying into new volumes and caching hints of other
                // platforms: nothing to do for a bind mount where SELinux is off.
                "z" | "Z" | "nocopy" | "cached" | "consistent" | "delegated" => {}
                _ => kept.push(common(option, "bind, rbind")?),
            }
        }
        return Ok(Unplaced(MountRequest::Bind {
            source: PathBuf::from(first),
            target,
            read_only,
            writable_below: false,
            options: kept,
            create_source: true,
            origin: MountOrigin::User,
        }));
    }
    let mut volume = VolumeMount {
        name: Some(volume_name(first)?),
        target,
        ..VolumeMount::default()
    };
    for option in words(options) {
        match option {
            "ro" => volume.read_only = true,
            "rw" => volume.read_only = false,
            "nocopy" => volume.no_copy = true,
            "z" | "Z" | "cached" | "consistent" | "delegated" => {}
            _ => volume.options.push(common(option, "nocopy")?),
        }
    }
    Ok(Unplaced(MountRequest::Volume(volume)))
}

fn words(options: &str) -> impl Iterator<Item = &str> {
    options.split(',').filter(|option| !option.is_empty())
}

/// An option that binds and volumes share.
fn common(option: &str, others: &str) -> Result<String, Rejected> {
    if is_propagation(option) || matches!(option, "nosuid" | "nodev" | "noexec") {
        return Ok(option.to_owned());
    }
    Err(Rejected::new(format!(
        "unknown option {option:?}; there are ro, rw, nosuid, nodev, noexec, {others}, rprivate, private, rshared, shared, rslave, slave"
    )))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(text: &str) -> MountRequest {
        volume(text).unwrap().at(Path::new("/here"))
    }

    #[test]
    fn binds() {
        let bind = |source: &str, target: &str, read_only, options: &[&str]| MountRequest::Bind {
            source: source.into(),
            target: target.into(),
            read_only,
            writable_below: false,
            options: options.iter().map(|o| (*o).to_owned()).collect(),
            create_source: true,
            origin: MountOrigin::User,
        };
        assert_eq!(
            read("/srv:/data:ro,rslave,z"),
            bind("/srv", "/data", true, &["rslave"])
        );
        assert_eq!(read("./a:/b"), bind("/here/./a", "/b", false, &[]));
    }

    #[test]
    fn volumes() {
        assert_eq!(
            read("db.1:/data:ro,nocopy,Z,noexec"),
            MountRequest::Volume(VolumeMount {
                name: Some("db.1".parse().unwrap()),
                target: "/data".into(),
                read_only: true,
                no_copy: true,
                options: vec!["noexec".into()],
                ..VolumeMount::default()
            })
        );
        assert_eq!(
            read("/data"),
            MountRequest::Volume(VolumeMount {
                target: "/data".into(),
                ..VolumeMount::default()
            })
        );
    }

    #[test]
    fn refused() {
        let line = |text: &str| volume(text).unwrap_err().0;
        insta::assert_snapshot!(line("data"), @"give NAME:TARGET, /SOURCE:TARGET, or the absolute path of an anonymous volume, such as /data");
        insta::assert_snapshot!(line("a b:/data"), @r#""a b" is no volume: a name has at most 200 letters, digits, _, . and -, and begins with a letter or digit; the path of a folder begins with / or ./"#);
        insta::assert_snapshot!(line("/a:b"), @"the target is an absolute path below the container's root, without .., such as /data");
        insta::assert_snapshot!(line("/a:/b:rx"), @r#"unknown option "rx"; there are ro, rw, nosuid, nodev, noexec, bind, rbind, rprivate, private, rshared, shared, rslave, slave"#);
        insta::assert_snapshot!(line("a:/b:bind"), @r#"unknown option "bind"; there are ro, rw, nosuid, nodev, noexec, nocopy, rprivate, private, rshared, shared, rslave, slave"#);
        insta::assert_snapshot!(line("/a:/b:ro:x"), @"too many colons; give SOURCE:TARGET[:OPTIONS], such as /srv/data:/data:ro");
        for bad in [
            "",
            "/",
            "/..",
            ":/b",
            "a/b:/c",
            "~/x:/c",
            "/a:/",
            "/a:/../etc",
            "/a:/x/../..",
            "/a:",
        ] {
            assert!(volume(bad).is_err(), "{bad}");
        }
    }
}
