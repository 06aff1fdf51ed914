//! `--mount type=...,source=...,target=...`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use berth_engine::{MountOrigin, MountRequest, VolumeMount};

use super::csv::fields;
use super::{Unplaced, is_propagation, target_path, volume_name};
use crate::cli::parse::label::label;
use crate::cli::parse::size::size;
use crate::cli::parse::{Rejected, go_boolean};

const TYPES: &str = "bind, volume, tmpfs";
const KEYS: &str = "type, source, target, readonly, bind-propagation, bind-recursive, bind-create-src, volume-nocopy, volume-subpath, volume-opt, volume-label, volume-driver, tmpfs-size, tmpfs-mode";

/// What the fields say, before the type decides what they mean.
#[derive(Debug, Default)]
struct Fields {
    kind: Option<String>,
    source: Option<String>,
    target: Option<String>,
    read_only: bool,
    propagation: Option<String>,
    recursive: Option<Recursive>,
    create_source: bool,
    no_copy: bool,
    subpath: Option<String>,
    labels: BTreeMap<String, String>,
    driver_options: BTreeMap<String, String>,
    tmpfs_size: Option<u64>,
    tmpfs_mode: Option<u32>,
    /// Keys that belong to one type alone, in order.
    only: Vec<(&'static str, &'static str)>,
}

/// `bind-recursive`: what becomes of the mounts below the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recursive {
    Enabled,
    Disabled,
    Writable,
    ReadOnly,
}

/// Reads one mount in Docker's spelling.
pub(crate) fn mount(text: &str) -> Result<Unplaced, Rejected> {
    let mut fields_of = Fields::default();
    for field in fields(text)? {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (field.as_str(), None),
        };
        fields_of.take(&key.to_ascii_lowercase(), value)?;
    }
    fields_of.request().map(Unplaced)
}

impl Fields {
    fn take(&mut self, key: &str, value: Option<&str>) -> Result<(), Rejected> {
        match key {
            "readonly" | "ro" => self.read_only = boolean(key, value)?,
            "volume-nocopy" => self.no_copy = boolean(self.of("volume", "volume-nocopy"), value)?,
            "bind-nonrecursive" => {
                if boolean(self.of("bind", "bind-nonrecursive"), value)? {
                    self.recursive = Some(Recursive::Disabled);
                }
            }
            "bind-create-src" => {
                self.create_source = boolean(self.of("bind", "bind-create-src"), value)?;
            }
            _ => return self.take_value(key, value),
        }
        Ok(())
    }

    fn take_value(&mut self, key: &str, value: Option<&str>) -> Result<(), Rejected> {
        let needed = || {
            value.filter(|value| !value.is_empty()).ok_or_else(|| {
                let known = KEYS.split(", ").any(|one| one == key)
                    || matches!(key, "src" | "dst" | "destination" | "consistency");
                match known {
                    true => Rejected::new(format!("{key} needs a value, as in {key}=VALUE")),
                    false => unknown(key),
                }
            })
        };
        match key {
            "type" => self.kind = Some(needed()?.to_ascii_lowercase()),
            "source" | "src" => self.source = Some(needed()?.to_owned()),
            "target" | "dst" | "destination" => self.target = Some(target_path(needed()?)?),
            // Caching hints of other platforms.
            "consistency" => {
                needed()?;
            }
            "bind-propagation" => {
                let word = needed()?;
                if !is_propagation(word) {
                    return Err(Rejected::new(format!(
                        "unknown bind-propagation {word:?}; there are rprivate, private, rshared, shared, rslave, slave"
                    )));
                }
                self.propagation = Some(word.to_owned());
                self.of("bind", "bind-propagation");
            }
            "bind-recursive" => {
                self.recursive = Some(recursive(needed()?)?);
                self.of("bind", "bind-recursive");
            }
            "volume-subpath" => {
                self.subpath = Some(needed()?.to_owned());
                self.of("volume", "volume-subpath");
            }
            "volume-driver" => {
                let driver = needed()?;
                if driver != berth_engine::LOCAL_DRIVER {
                    return Err(Rejected::new(format!(
                        "no volume driver is called {driver:?}; there is local alone"
                    )));
                }
                self.of("volume", "volume-driver");
            }
            "volume-label" => {
                self.labels.extend([label(needed()?)?]);
                self.of("volume", "volume-label");
            }
            "volume-opt" => {
                self.driver_options.extend([driver_option(needed()?)?]);
                self.of("volume", "volume-opt");
            }
            "tmpfs-size" => {
                self.tmpfs_size = Some(size(needed()?)?);
                self.of("tmpfs", "tmpfs-size");
            }
            "tmpfs-mode" => {
                let mode = u32::from_str_radix(needed()?, 8).ok();
                let mode = mode.filter(|mode| *mode <= 0o7777);
                self.tmpfs_mode = Some(mode.ok_or_else(|| {
                    Rejected::new("tmpfs-mode is an octal mode such as 1777 or 700")
                })?);
                self.of("tmpfs", "tmpfs-mode");
            }
            _ => return Err(unknown(key)),
        }
        Ok(())
    }

    /// Notes that a key belongs to a type.
    fn of(&mut self, kind: &'static str, key: &'static str) -> &'static str {
        self.only.push((kind, key));
        key
    }

    fn request(self) -> Result<MountRequest, Rejected> {
        let kind = self.kind.as_deref().unwrap_or("volume").to_owned();
        if !matches!(kind.as_str(), "bind" | "volume" | "tmpfs") {
            return Err(Rejected::new(format!(
                "unknown type {kind:?}; there are {TYPES}"
            )));
        }
        if let Some((of, key)) = self.only.iter().find(|(of, _)| *of != kind) {
            return Err(Rejected::new(format!(
                "{key} belongs to type={of}, and this is type={kind}"
            )));
        }
        let target = self
            .target
            .clone()
            .ok_or_else(|| Rejected::new("a target is missing; give target=/data"))?;
        match kind.as_str() {
            "bind" => self.bind(target),
            "volume" => self.volume(target),
            _ => self.tmpfs(target),
        }
    }

    fn bind(self, target: String) -> Result<MountRequest, Rejected> {
        let Some(source) = self.source else {
            return Err(Rejected::new(
                "a bind mount has a source; give source=/srv/data",
            ));
        };
        let mut options = Vec::new();
        let needs_readonly = |word: &str| {
            Err(Rejected::new(format!(
                "bind-recursive={word} is about a mount that is read-only; give readonly too"
            )))
        };
        match self.recursive {
            None | Some(Recursive::Enabled) => {}
            Some(Recursive::Disabled) => options.push("bind".to_owned()),
            Some(Recursive::Writable) if !self.read_only => return needs_readonly("writable"),
            Some(Recursive::Writable) => {}
            Some(Recursive::ReadOnly) if !self.read_only => return needs_readonly("readonly"),
            // As without it, and sure of it: a mount that arrives later would be writable.
            Some(Recursive::ReadOnly) => {
                if self.propagation.as_deref().is_some_and(|p| p != "rprivate") {
                    return Err(Rejected::new(
                        "bind-recursive=readonly goes with bind-propagation=rprivate alone",
                    ));
                }
            }
        }
        options.extend(self.propagation);
        Ok(MountRequest::Bind {
            source: PathBuf::from(source),
            target,
            read_only: self.read_only,
            writable_below: matches!(self.recursive, Some(Recursive::Writable)),
            options,
            create_source: self.create_source,
            origin: MountOrigin::User,
        })
    }

    fn volume(self, target: String) -> Result<MountRequest, Rejected> {
        let name = self.source.as_deref().map(volume_name).transpose()?;
        if name.is_none() && self.subpath.is_some() {
            return Err(Rejected::new(
                "volume-subpath is of a volume that has content; give its name with source=",
            ));
        }
        Ok(MountRequest::Volume(VolumeMount {
            name,
            target,
            read_only: self.read_only,
            no_copy: self.no_copy,
            subpath: self.subpath,
            labels: self.labels,
            driver_options: self.driver_options,
            ..VolumeMount::default()
        }))
    }

    fn tmpfs(self, target: String) -> Result<MountRequest, Rejected> {
        if self.source.is_some() {
            return Err(Rejected::new("a tmpfs has no source; leave source= out"));
        }
        let mut options = Vec::new();
        options.extend(self.read_only.then(|| "ro".to_owned()));
        options.extend(self.tmpfs_size.map(|bytes| format!("size={bytes}")));
        options.extend(self.tmpfs_mode.map(|mode| format!("mode={mode:o}")));
        Ok(MountRequest::Tmpfs { target, options })
    }
}

fn unknown(key: &str) -> Rejected {
    Rejected::new(format!("unknown field {key:?}; there are {KEYS}"))
}

/// A field that may stand alone.
fn boolean(key: &str, value: Option<&str>) -> Result<bool, Rejected> {
    let Some(value) = value else {
        return Ok(true);
    };
    go_boolean(value)
        .ok_or_else(|| Rejected::new(format!("{key}={value} is neither true nor false")))
}

fn recursive(word: &str) -> Result<Recursive, Rejected> {
    Ok(match word {
        "enabled" => Recursive::Enabled,
        "disabled" => Recursive::Disabled,
        "writable" => Recursive::Writable,
        "readonly" => Recursive::ReadOnly,
        other => {
            return Err(Rejected::new(format!(
                "unknown bind-recursive {other:?}; there are enabled, disabled, writable, readonly"
            )));
        }
    })
}

/// `KEY=VALUE` of the driver, as `volume-opt` and `volume create --opt` take it.
pub(crate) fn driver_option(text: &str) -> Result<(String, String), Rejected> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(Rejected::new(
            "give KEY=VALUE, such as type=tmpfs or o=size=64m",
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> MountRequest {
        mount(text).unwrap().at(Path::new("/here"))
    }

    fn json(text: &str) -> String {
        serde_json::to_string(&read(text)).unwrap()
    }

    #[test]
    fn every_spelling() {
        for (a, b) in [
            ("type=bind,src=/a,dst=/b", "type=bind,source=/a,target=/b"),
            (
                "type=bind,source=/a,destination=/b,ro",
                "TYPE=bind,source=/a,target=/b,readonly=true",
            ),
            ("source=v,target=/b", "type=volume,src=v,dst=/b,readonly=0"),
            ("type=volume,dst=/b,volume-nocopy", "dst=/b,volume-nocopy=1"),
            (
                "type=bind,src=a,dst=/b,bind-nonrecursive",
                "type=bind,src=/here/a,dst=/b,bind-recursive=disabled",
            ),
            (
                "type=bind,src=/a,dst=/b,consistency=cached",
                "type=bind,src=/a,dst=/b,bind-recursive=enabled",
            ),
        ] {
            assert_eq!(read(a), read(b), "{a}");
        }
    }

    #[test]
    fn values() {
        let lines = [
            json("type=bind,src=/a,dst=/b,ro,bind-recursive=readonly,bind-create-src"),
            json("type=bind,src=/a,dst=/b,ro,bind-recursive=writable"),
            json(
                r#"src=v,dst=/b,volume-subpath=a/b,volume-label=x=y,volume-driver=local,volume-opt=type=tmpfs,"volume-opt=o=size=1m,mode=755""#,
            ),
            json("type=tmpfs,dst=/b,tmpfs-size=64m,tmpfs-mode=1770,readonly"),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r#"
        {"kind":"bind","source":"/a","target":"/b","read_only":true,"options":[],"create_source":true,"origin":"user"}
        {"kind":"bind","source":"/a","target":"/b","read_only":true,"writable_below":true,"options":[],"origin":"user"}
        {"kind":"volume","name":"v","anonymous":false,"target":"/b","read_only":false,"no_copy":false,"subpath":"a/b","options":[],"labels":{"x":"y"},"driver_options":{"o":"size=1m,mode=755","type":"tmpfs"},"origin":"user"}
        {"kind":"tmpfs","target":"/b","options":["ro","size=67108864","mode=1770"]}
        "#);
    }

    const REFUSED: [&str; 24] = [
        "",
        "type=bind",
        "type=nfs,dst=/b",
        "type=bind,dst=/b",
        "dst=/b,frob=1",
        "dst=/b,frob",
        "dst=b",
        "dst",
        "src=a b,dst=/b",
        "dst=/b,ro=maybe",
        "dst=/b,tmpfs-size=1m",
        "type=tmpfs,dst=/b,src=x",
        "type=tmpfs,dst=/b,tmpfs-size=x",
        "type=tmpfs,dst=/b,tmpfs-mode=9",
        "type=bind,src=/a,dst=/b,volume-nocopy",
        "type=bind,src=/a,dst=/b,bind-propagation=sideways",
        "type=bind,src=/a,dst=/b,bind-recursive=sometimes",
        "type=bind,src=/a,dst=/b,bind-recursive=readonly",
        "type=bind,src=/a,dst=/b,bind-recursive=writable",
        "type=bind,src=/a,dst=/b,ro,bind-recursive=readonly,bind-propagation=rshared",
        "src=v,dst=/b,volume-driver=nfs",
        "dst=/b,volume-subpath=x",
        "src=v,dst=/b,volume-opt=type",
        "src=v,dst=/b,\"volume-opt=o=x",
    ];

    #[test]
    fn refused() {
        let lines: Vec<String> = REFUSED
            .iter()
            .map(|line| format!("{line}\n    {}", mount(line).unwrap_err()))
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"

            unknown field ""; there are type, source, target, readonly, bind-propagation, bind-recursive, bind-create-src, volume-nocopy, volume-subpath, volume-opt, volume-label, volume-driver, tmpfs-size, tmpfs-mode
        type=bind
            a target is missing; give target=/data
        type=nfs,dst=/b
            unknown type "nfs"; there are bind, volume, tmpfs
        type=bind,dst=/b
            a bind mount has a source; give source=/srv/data
        dst=/b,frob=1
            unknown field "frob"; there are type, source, target, readonly, bind-propagation, bind-recursive, bind-create-src, volume-nocopy, volume-subpath, volume-opt, volume-label, volume-driver, tmpfs-size, tmpfs-mode
        dst=/b,frob
            unknown field "frob"; there are type, source, target, readonly, bind-propagation, bind-recursive, bind-create-src, volume-nocopy, volume-subpath, volume-opt, volume-label, volume-driver, tmpfs-size, tmpfs-mode
        dst=b
            the target is an absolute path below the container's root, without .., such as /data
        dst
            dst needs a value, as in dst=VALUE
        src=a b,dst=/b
            "a b" is no volume: a name has at most 200 letters, digits, _, . and -, and begins with a letter or digit; the path of a folder begins with / or ./
        dst=/b,ro=maybe
            ro=maybe is neither true nor false
        dst=/b,tmpfs-size=1m
            tmpfs-size belongs to type=tmpfs, and this is type=volume
        type=tmpfs,dst=/b,src=x
            a tmpfs has no source; leave source= out
        type=tmpfs,dst=/b,tmpfs-size=x
            a size is a number with an optional unit b, k, m, g, t or p (powers of 1024), such as 64m or 1.5g
        type=tmpfs,dst=/b,tmpfs-mode=9
            tmpfs-mode is an octal mode such as 1777 or 700
        type=bind,src=/a,dst=/b,volume-nocopy
            volume-nocopy belongs to type=volume, and this is type=bind
        type=bind,src=/a,dst=/b,bind-propagation=sideways
            unknown bind-propagation "sideways"; there are rprivate, private, rshared, shared, rslave, slave
        type=bind,src=/a,dst=/b,bind-recursive=sometimes
            unknown bind-recursive "sometimes"; there are enabled, disabled, writable, readonly
        type=bind,src=/a,dst=/b,bind-recursive=readonly
            bind-recursive=readonly is about a mount that is read-only; give readonly too
        type=bind,src=/a,dst=/b,bind-recursive=writable
            bind-recursive=writable is about a mount that is read-only; give readonly too
        type=bind,src=/a,dst=/b,ro,bind-recursive=readonly,bind-propagation=rshared
            bind-recursive=readonly goes with bind-propagation=rprivate alone
        src=v,dst=/b,volume-driver=nfs
            no volume driver is called "nfs"; there is local alone
        dst=/b,volume-subpath=x
            volume-subpath is of a volume that has content; give its name with source=
        src=v,dst=/b,volume-opt=type
            give KEY=VALUE, such as type=tmpfs or o=size=64m
        src=v,dst=/b,"volume-opt=o=x
            a quote that does not end; a field with a comma stands in quotes, as in 'type=volume,"volume-opt=o=size=1m,mode=755"'
        "#);
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,60}") {
            drop(mount(&text));
        }
    }
}
