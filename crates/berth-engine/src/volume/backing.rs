//! From the options of a volume to what is mounted. Pure.

use std::collections::BTreeMap;
use std::path::Path;

use berth_base::ErrorClass;

use crate::EngineError;
use crate::options::VolumeBacking;

/// What a volume with these options is; `folder` is its own.
///
/// Docker's local driver mounts the file system on the host when the first container starts. Here
/// nothing is mounted on the host: the mount is made for each container, inside its namespace, which
/// is why there are folders and memory alone.
pub(super) fn backing(
    options: &BTreeMap<String, String>,
    folder: &Path,
) -> Result<VolumeBacking, EngineError> {
    let known = ["device", "o", "type"];
    if let Some(other) = options.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(invalid(format!(
            "unknown volume option {other:?}; the driver local knows type, device and o"
        )));
    }
    let option = |key: &str| options.get(key).map(String::as_str).unwrap_or_default();
    let (kind, device) = (option("type"), option("device"));
    let words: Vec<String> = option("o")
        .split(',')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    let binds = words.iter().any(|word| word == "bind" || word == "rbind");
    match kind {
        "tmpfs" => {
            if let Some(bad) = words.iter().find(|word| !is_tmpfs_option(word)) {
                return Err(invalid(format!(
                    "unknown option {bad:?} of a tmpfs volume; there are size=, mode=, uid=, gid=, nr_inodes=, nr_blocks=, nosuid, nodev, noexec"
                )));
            }
            Ok(VolumeBacking::Memory { options: words })
        }
        "" | "none" | "bind" if binds || kind == "bind" => {
            if !Path::new(device).is_absolute() {
                return Err(invalid(
                    "a bind volume needs the folder to bind; give --opt device=/srv/data, an absolute path",
                ));
            }
            if let Some(bad) = words.iter().find(|word| !is_bind_option(word)) {
                return Err(invalid(format!(
                    "unknown option {bad:?} of a bind volume; there are bind, rbind, ro, rw, nosuid, nodev, noexec"
                )));
            }
            Ok(VolumeBacking::Folder {
                path: device.into(),
                options: words,
            })
        }
        "" if device.is_empty() && words.is_empty() => Ok(VolumeBacking::Folder {
            path: folder.to_owned(),
            options: Vec::new(),
        }),
        "" | "none" => Err(invalid(
            "a volume with a device or options needs a type; give --opt type=tmpfs, or --opt type=none --opt o=bind --opt device=/srv/data",
        )),
        other => Err(EngineError::new(
            ErrorClass::Unsupported,
            format!(
                "volumes of type {other:?} are not mounted by berth; mount it on the host, and give --opt type=none --opt o=bind --opt device=FOLDER"
            ),
        )),
    }
}

fn is_tmpfs_option(word: &str) -> bool {
    let key = word.split('=').next().unwrap_or(word);
    matches!(
        key,
        "size" | "mode" | "uid" | "gid" | "nr_inodes" | "nr_blocks"
    ) == word.contains('=')
        && (word.contains('=')
            || matches!(
                word,
                "ro" | "rw" | "nosuid" | "nodev" | "noexec" | "suid" | "dev" | "exec" | "noatime"
            ))
}

fn is_bind_option(word: &str) -> bool {
    matches!(
        word,
        "bind" | "rbind" | "ro" | "rw" | "nosuid" | "nodev" | "noexec" | "noatime"
    )
}

fn invalid(text: impl Into<String>) -> EngineError {
    EngineError::new(ErrorClass::Invalid, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Result<VolumeBacking, String> {
        let pairs = pairs.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        backing(&pairs.collect(), Path::new("/v/_data")).map_err(|e| e.message)
    }

    #[test]
    fn a_folder_of_ours_one_of_the_hosts_or_memory() {
        assert_eq!(
            of(&[]),
            Ok(VolumeBacking::Folder {
                path: "/v/_data".into(),
                options: vec![]
            })
        );
        let bound = Ok(VolumeBacking::Folder {
            path: "/srv".into(),
            options: vec!["bind".into(), "ro".into()],
        });
        let bind = [("type", "none"), ("o", "bind,ro"), ("device", "/srv")];
        assert_eq!(of(&bind), bound);
        assert_eq!(of(&bind[1..]), bound);
        assert_eq!(
            of(&[
                ("type", "tmpfs"),
                ("device", "tmpfs"),
                ("o", "size=1m,,uid=7")
            ]),
            Ok(VolumeBacking::Memory {
                options: vec!["size=1m".into(), "uid=7".into()]
            })
        );
    }

    #[test]
    fn what_cannot_be_is_said() {
        let lines = [
            of(&[("typ", "tmpfs")]),
            of(&[("type", "nfs"), ("device", ":/x"), ("o", "addr=1.2.3.4")]),
            of(&[("device", "/srv")]),
            of(&[("o", "bind")]),
            of(&[("o", "bind"), ("device", "srv")]),
            of(&[("o", "bind,size=1"), ("device", "/srv")]),
            of(&[("type", "tmpfs"), ("o", "size")]),
            of(&[("type", "tmpfs"), ("o", "frob=1")]),
        ];
        let lines: Vec<String> = lines.into_iter().map(Result::unwrap_err).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        unknown volume option "typ"; the driver local knows type, device and o
        volumes of type "nfs" are not mounted by berth; mount it on the host, and give --opt type=none --opt o=bind --opt device=FOLDER
        a volume with a device or options needs a type; give --opt type=tmpfs, or --opt type=none --opt o=bind --opt device=/srv/data
        a bind volume needs the folder to bind; give --opt device=/srv/data, an absolute path
        a bind volume needs the folder to bind; give --opt device=/srv/data, an absolute path
        unknown option "size=1" of a bind volume; there are bind, rbind, ro, rw, nosuid, nodev, noexec
        unknown option "size" of a tmpfs volume; there are size=, mode=, uid=, gid=, nr_inodes=, nr_blocks=, nosuid, nodev, noexec
        unknown option "frob=1" of a tmpfs volume; there are size=, mode=, uid=, gid=, nr_inodes=, nr_blocks=, nosuid, nodev, noexec
        "#);
    }
}
