//! `-v` and `--tmpfs`.

use std::path::{Path, PathBuf};

use berth_engine::MountRequest;

use super::Rejected;
use super::size::size;

/// `-v SOURCE:TARGET[:OPTIONS]` before a relative source is made absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Volume {
    source: PathBuf,
    target: String,
    read_only: bool,
    options: Vec<String>,
}

impl Volume {
    /// Completes the request: a relative source counts from `directory`.
    pub(crate) fn at(self, directory: &Path) -> MountRequest {
        MountRequest::Bind {
            source: directory.join(self.source),
            target: self.target,
            read_only: self.read_only,
            options: self.options,
        }
    }
}

/// Reads a bind mount. The source is a path: `/srv`, `./data`, `..`.
pub(crate) fn volume(text: &str) -> Result<Volume, Rejected> {
    let mut parts = text.split(':');
    let (Some(source), Some(target)) = (parts.next(), parts.next()) else {
        return Err(Rejected::new(
            "give SOURCE:TARGET[:OPTIONS], such as /srv/data:/data:ro; volumes without a source come later",
        ));
    };
    let options = parts.next().unwrap_or_default();
    if parts.next().is_some() {
        return Err(Rejected::new(
            "too many colons; give SOURCE:TARGET[:OPTIONS], such as /srv/data:/data:ro",
        ));
    }
    let is_path = source.starts_with('/')
        || matches!(source, "." | "..")
        || source.starts_with("./")
        || source.starts_with("../");
    if !is_path {
        return Err(Rejected::new(
            "the source is a path such as /srv/data or ./data; named volumes come later",
        ));
    }
    let mut volume = Volume {
        source: PathBuf::from(source),
        target: target_path(target)?,
        read_only: false,
        options: Vec::new(),
    };
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => volume.read_only = true,
            "rw" => volume.read_only = false,
            "rprivate" | "private" | "rshared" | "shared" | "rslave" | "slave" | "bind"
            | "rbind" | "nosuid" | "nodev" | "noexec" => volume.options.push(option.to_owned()),
            // SELinux relabelling, copying into new volumes and caching hints of other
            // platforms: nothing to do for a bind mount where SELinux is off.
            "z" | "Z" | "nocopy" | "cached" | "consistent" | "delegated" => {}
            _ => {
                return Err(Rejected::new(format!(
                    "unknown option {option:?}; there are ro, rw, nosuid, nodev, noexec, rbind, bind, rprivate, private, rshared, shared, rslave, slave"
                )));
            }
        }
    }
    Ok(volume)
}

/// Reads `TARGET[:OPTIONS]`, options as mount(8) has them for tmpfs.
pub(crate) fn tmpfs(text: &str) -> Result<MountRequest, Rejected> {
    let (target, options) = text.split_once(':').unwrap_or((text, ""));
    let target = target_path(target)?;
    let mut kept = Vec::new();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        kept.push(tmpfs_option(option)?);
    }
    Ok(MountRequest::Tmpfs {
        target,
        options: kept,
    })
}

fn tmpfs_option(option: &str) -> Result<String, Rejected> {
    let (key, value) = match option.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (option, None),
    };
    let sound = match (key, value) {
        (
            "ro" | "rw" | "suid" | "nosuid" | "dev" | "nodev" | "exec" | "noexec" | "sync"
            | "async" | "atime" | "noatime" | "diratime" | "nodiratime" | "relatime" | "norelatime"
            | "strictatime" | "nostrictatime",
            None,
        ) => true,
        ("size", Some(value)) => {
            let percent = value
                .strip_suffix('%')
                .is_some_and(|p| p.parse::<u8>().is_ok());
            percent || size(value).is_ok()
        }
        ("mode", Some(value)) => u32::from_str_radix(value, 8).is_ok_and(|mode| mode <= 0o7777),
        ("uid" | "gid", Some(value)) => value.parse::<u32>().is_ok(),
        ("nr_inodes" | "nr_blocks", Some(value)) => size(value).is_ok(),
        _ => {
            return Err(Rejected::new(format!(
                "unknown tmpfs option {key:?}; there are size=, mode=, uid=, gid=, nr_inodes=, nr_blocks=, ro, nosuid, nodev, noexec and their opposites"
            )));
        }
    };
    if sound {
        Ok(option.to_owned())
    } else {
        Err(Rejected::new(format!(
            "{option:?} is out of shape; write size=64m, mode=1777, uid=0 or nr_inodes=1k"
        )))
    }
}

fn target_path(target: &str) -> Result<String, Rejected> {
    let escapes = target.split('/').any(|part| part == "..");
    let root = target.split('/').all(|part| part.is_empty() || part == ".");
    if !target.starts_with('/') || escapes || root || target.contains('\0') {
        return Err(Rejected::new(
            "the target is an absolute path below the container's root, without .., such as /data",
        ));
    }
    Ok(target.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(text: &str) -> MountRequest {
        volume(text).unwrap().at(Path::new("/here"))
    }

    #[test]
    fn volumes() {
        assert_eq!(
            bind("/srv:/data:ro,rslave,z"),
            MountRequest::Bind {
                source: "/srv".into(),
                target: "/data".into(),
                read_only: true,
                options: vec!["rslave".into()],
            }
        );
        assert_eq!(
            bind("./a:/b"),
            MountRequest::Bind {
                source: "/here/./a".into(),
                target: "/b".into(),
                read_only: false,
                options: vec![],
            }
        );
    }

    #[test]
    fn volumes_refused() {
        let line = |text: &str| volume(text).unwrap_err().0;
        insta::assert_snapshot!(line("/data"), @"give SOURCE:TARGET[:OPTIONS], such as /srv/data:/data:ro; volumes without a source come later");
        insta::assert_snapshot!(line("data:/data"), @"the source is a path such as /srv/data or ./data; named volumes come later");
        insta::assert_snapshot!(line("/a:b"), @"the target is an absolute path below the container's root, without .., such as /data");
        insta::assert_snapshot!(line("/a:/b:rx"), @r#"unknown option "rx"; there are ro, rw, nosuid, nodev, noexec, rbind, bind, rprivate, private, rshared, shared, rslave, slave"#);
        insta::assert_snapshot!(line("/a:/b:ro:x"), @"too many colons; give SOURCE:TARGET[:OPTIONS], such as /srv/data:/data:ro");
        for bad in ["/a:/", "/a:/../etc", "/a:/x/../..", "/a:"] {
            assert!(volume(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tmpfs_mounts() {
        assert_eq!(
            tmpfs("/run:size=64m,mode=1777,noexec"),
            Ok(MountRequest::Tmpfs {
                target: "/run".into(),
                options: vec!["size=64m".into(), "mode=1777".into(), "noexec".into()],
            })
        );
        assert!(tmpfs("/run:size=50%").is_ok());
        for bad in [
            "run",
            "/run:size",
            "/run:size=x",
            "/run:mode=9",
            "/run:foo",
            "/run:uid=a",
        ] {
            assert!(tmpfs(bad).is_err(), "{bad}");
        }
    }
}
