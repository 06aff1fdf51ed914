//! `--tmpfs TARGET[:OPTIONS]`.

use berth_engine::MountRequest;

use super::target_path;
use crate::cli::parse::Rejected;
use crate::cli::parse::size::size;

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

#[cfg(test)]
mod tests {
    use super::*;

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
