//! Values of flags: text in, typed value out, one line of refusal otherwise.
//!
//! Nothing here knows which flag it serves: the refusal says what is wrong and what is accepted,
//! and `cli::usage` puts the flag and the value before it.

pub(crate) mod capability;
pub(crate) mod cpus;
pub(crate) mod device;
pub(crate) mod env;
pub(crate) mod filter;
pub(crate) mod keys;
pub(crate) mod label;
pub(crate) mod life;
pub(crate) mod limit;
mod lines;
pub(crate) mod log;
pub(crate) mod mount;
pub(crate) mod namespace;
pub(crate) mod nearest;
pub(crate) mod number;
pub(crate) mod pattern;
pub(crate) mod publish;
pub(crate) mod security;
pub(crate) mod signal;
pub(crate) mod size;
pub(crate) mod stream;
pub(crate) mod time;
pub(crate) mod ulimit;

use berth_base::ContainerName;

/// Why a value is not accepted, and which values are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Rejected(pub(crate) String);

impl Rejected {
    /// Makes a refusal from its line.
    pub(crate) fn new(line: impl Into<String>) -> Self {
        Self(line.into())
    }
}

/// Reads a boolean as Go's strconv.ParseBool does.
pub(crate) fn go_boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Accepts the value of a boolean flag, as in `--rm=false`.
pub(crate) fn switch(text: &str) -> Result<bool, Rejected> {
    go_boolean(text).ok_or_else(|| Rejected::new("give true or false"))
}

/// Accepts a container name, with the `/` before it that inspect shows.
pub(crate) fn container_name(text: &str) -> Result<ContainerName, Rejected> {
    text.strip_prefix('/').unwrap_or(text).parse().map_err(|_| {
        Rejected::new(
            "a name has at most 128 letters, digits, _, . and -, and begins with a letter or digit",
        )
    })
}

/// Accepts an absolute path inside a container.
pub(crate) fn absolute_path(text: &str) -> Result<String, Rejected> {
    if !text.starts_with('/') {
        return Err(Rejected::new(
            "a path inside the container begins with /, such as /srv",
        ));
    }
    if text.contains('\0') {
        return Err(Rejected::new("a path cannot hold a NUL byte"));
    }
    Ok(text.to_owned())
}

/// Accepts a host name: sethostname(2) takes at most 64 bytes.
pub(crate) fn host_name(text: &str) -> Result<String, Rejected> {
    let sound = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    if text.is_empty() || text.len() > 64 || !sound || text.starts_with(['-', '.']) {
        return Err(Rejected::new(
            "a host name has 1 to 64 letters, digits, dots and dashes, and begins with neither dot nor dash",
        ));
    }
    Ok(text.to_owned())
}

/// Accepts `NAME|UID[:GROUP|GID]`; whether they exist is known inside the container only. Without a
/// user it would be root, which nobody asked for.
pub(crate) fn user(text: &str) -> Result<String, Rejected> {
    let mut parts = text.split(':');
    let user = parts.next().unwrap_or_default();
    let group = parts.next();
    if user.is_empty() || group == Some("") || parts.next().is_some() || text.contains('\0') {
        return Err(Rejected::new(
            "give NAME or UID, with :GROUP or :GID after it where needed",
        ));
    }
    for number in [Some(user), group].into_iter().flatten() {
        let digits = number.bytes().all(|b| b.is_ascii_digit());
        if digits && number.parse::<u32>().is_ok_and(|n| n < u32::MAX) {
            continue;
        }
        if digits || number.starts_with('-') {
            return Err(Rejected::new("an id is a number from 0 to 4294967294"));
        }
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_names_or_small_numbers() {
        for good in ["root", "0", "1000:1000", "www-data:adm", "4294967294"] {
            assert_eq!(user(good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            ":",
            "::",
            ":a:b",
            "a:",
            ":b",
            "a:b:c",
            "4294967295",
            "-1",
            "1:99999999999",
        ] {
            assert!(user(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_may_have_the_slash_that_inspect_shows() {
        assert_eq!(container_name("/web").unwrap().as_str(), "web");
        assert_eq!(container_name("web").unwrap().as_str(), "web");
        for bad in ["", "/", "//web", "a/b", "web/"] {
            assert!(container_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn host_names_fit_the_kernel() {
        assert!(host_name("web-1.local").is_ok());
        assert!(host_name(&"x".repeat(64)).is_ok());
        for bad in ["", "-a", ".a", "a b", "a/b"] {
            assert!(host_name(bad).is_err(), "{bad}");
        }
        assert!(host_name(&"x".repeat(65)).is_err());
    }

    #[test]
    fn paths_inside_are_absolute() {
        assert!(absolute_path("/srv").is_ok());
        assert!(absolute_path("srv").is_err());
        assert!(absolute_path("").is_err());
    }
}
