//! Names of scopes and slices, and where their cgroups are (systemd.unit(5), systemd.slice(5)).
//!
//! Pure.

use serde::{Deserialize, Serialize};

use crate::cgroup::error::CgroupError;
use crate::cgroup::hierarchies::Hierarchy;

/// systemd takes no longer name of a unit.
const LONGEST_NAME: usize = 255;

/// Which systemd is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bus {
    /// The system's, for root.
    System,
    /// The caller's own, for who has no privilege.
    User,
}

/// A transient unit: its name, the slice it is in, and whose systemd runs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// Like `berth-ID.scope`.
    pub unit: String,
    /// Like `system.slice`; `-.slice` is the root.
    pub slice: String,
    /// Where to ask.
    pub bus: Bus,
}

impl Scope {
    /// From `slice:prefix:name`; an empty text means `:berth:ID`.
    pub(super) fn parse(text: &str, id: &str, bus: Bus) -> Result<Self, CgroupError> {
        let invalid = |why| CgroupError::InvalidPath {
            path: text.to_owned(),
            why,
        };
        let (slice, prefix, name) = if text.is_empty() {
            ("", "berth", id)
        } else {
            let mut parts = text.split(':');
            match (parts.next(), parts.next(), parts.next(), parts.next()) {
                (Some(slice), Some(prefix), Some(name), None) => (slice, prefix, name),
                _ => {
                    return Err(invalid(
                        "with the systemd driver it has the form slice:prefix:name",
                    ));
                }
            }
        };
        if name.is_empty() {
            return Err(invalid("the name after the last colon is empty"));
        }
        let slice = match (slice, bus) {
            ("", Bus::System) => "system.slice",
            ("", Bus::User) => "user.slice",
            ("-", _) => "-.slice",
            (slice, _) => slice,
        };
        if !is_slice(slice) {
            return Err(invalid(
                "the slice is a name like system.slice or a-b.slice, without slashes",
            ));
        }
        if name.ends_with(".slice") {
            return Err(invalid(
                "the name is a slice, which holds other units and no process of a container",
            ));
        }
        let unit = match prefix {
            "" => format!("{}.scope", escape(name)),
            prefix => format!("{}-{}.scope", escape(prefix), escape(name)),
        };
        if unit.len() > LONGEST_NAME {
            return Err(invalid("systemd takes unit names of at most 255 bytes"));
        }
        Ok(Self {
            unit,
            slice: slice.to_owned(),
            bus,
        })
    }

    /// Where systemd puts the unit in one hierarchy, beginning with a slash.
    ///
    /// The user's systemd works below its own cgroup, `user@UID.service`, above the caller's.
    pub(in crate::cgroup) fn below(&self, hierarchy: &Hierarchy) -> String {
        let above = match self.bus {
            Bus::System => String::new(),
            Bus::User => user_service(&hierarchy.own_path().unwrap_or_default()).to_owned(),
        };
        let slice = expand(&self.slice);
        format!("{above}{slice}/{}", self.unit)
    }
}

/// The part of a cgroup path up to `user@UID.service`; nothing where it is not in one.
fn user_service(own: &str) -> &str {
    let mut end = 0;
    for part in own.split('/') {
        end += part.len();
        if part.starts_with("user@") && part.ends_with(".service") {
            return own.get(..end).unwrap_or_default();
        }
        end += 1;
    }
    ""
}

/// The path of a slice: `a-b.slice` is in `a.slice`, `-.slice` is the root, an empty path.
pub(super) fn expand(slice: &str) -> String {
    let name = slice.strip_suffix(".slice").unwrap_or(slice);
    if name == "-" {
        return String::new();
    }
    let ends = name.match_indices('-').map(|(at, _)| at);
    ends.chain([name.len()])
        .filter_map(|end| name.get(..end))
        .map(|prefix| format!("/{prefix}.slice"))
        .collect()
}

/// Whether systemd takes it as the name of a slice: dashes divide, so none begins, ends or
/// repeats.
fn is_slice(text: &str) -> bool {
    let Some(name) = text.strip_suffix(".slice") else {
        return false;
    };
    name == "-"
        || (text.len() <= LONGEST_NAME
            && text.bytes().all(is_plain)
            && name.split('-').all(|part| !part.is_empty()))
}

/// What a unit name may hold (systemd.unit(5)), backslashes of an escape included.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b":_.-@\\".contains(&byte)
}

/// Writes what a unit name may not hold as `\xNN`, as systemd-escape(1) does: a container's id
/// may hold `+`.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_plain(byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("\\x{byte:02x}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (String, String) {
        let scope = Scope::parse(text, "id+1", Bus::System).unwrap();
        (scope.slice, scope.unit)
    }

    fn named(slice: &str, unit: &str) -> (String, String) {
        (slice.to_owned(), unit.to_owned())
    }

    #[test]
    fn slice_prefix_and_name_become_a_scope() {
        assert_eq!(
            parse("system.slice:docker:abc"),
            named("system.slice", "docker-abc.scope")
        );
        assert_eq!(
            parse("kubepods-burstable-pod1_2.slice:cri-containerd:abc"),
            named(
                "kubepods-burstable-pod1_2.slice",
                "cri-containerd-abc.scope"
            )
        );
        assert_eq!(parse(""), named("system.slice", "berth-id\\x2b1.scope"));
        assert_eq!(parse(":libpod:x"), named("system.slice", "libpod-x.scope"));
        assert_eq!(parse("-::x"), named("-.slice", "x.scope"));
        let rootless = Scope::parse("", "x", Bus::User).unwrap();
        assert_eq!(rootless.slice, "user.slice");
    }

    #[test]
    fn other_forms_are_refused() {
        for bad in [
            "/docker/abc",
            "a:b",
            "a.slice:b:c:d",
            "a.slice:b:",
            "a/b.slice:p:n",
            "a:p:n",
            "a--b.slice:p:n",
            "-a.slice:p:n",
            "../x.slice:p:n",
            ".slice:p:n",
            ":p:a-b.slice",
        ] {
            let refused = Scope::parse(bad, "id", Bus::System).unwrap_err();
            assert!(refused.to_string().contains(bad), "{refused}");
        }
        let long = format!(":p:{}", "n".repeat(255));
        assert!(Scope::parse(&long, "id", Bus::System).is_err());
    }

    #[test]
    fn dashes_nest_slices() {
        assert_eq!(expand("a-b-c.slice"), "/a.slice/a-b.slice/a-b-c.slice");
        assert_eq!(expand("system.slice"), "/system.slice");
        assert_eq!(expand("-.slice"), "");
    }

    #[test]
    fn the_user_s_systemd_works_below_its_own_cgroup() {
        let mut hierarchy = Hierarchy {
            controllers: Vec::new(),
            mount: "/sys/fs/cgroup".into(),
            root: "/".to_owned(),
            own: "/user.slice/user-7.slice/user@7.service/app.slice/x.scope".to_owned(),
            read_only: false,
        };
        let user = Scope::parse("", "x", Bus::User).unwrap();
        assert_eq!(
            user.below(&hierarchy),
            "/user.slice/user-7.slice/user@7.service/user.slice/berth-x.scope"
        );
        let system = Scope::parse("", "x", Bus::System).unwrap();
        assert_eq!(system.below(&hierarchy), "/system.slice/berth-x.scope");
        hierarchy.own = "/user.slice/user-7.slice/session-1.scope".to_owned();
        assert_eq!(user.below(&hierarchy), "/user.slice/berth-x.scope");
    }
}
