//! `--security-opt`.

use std::path::PathBuf;

use berth_engine::SeccompChoice;

use super::Rejected;

/// One security option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SecurityOption {
    /// `no-new-privileges[=BOOL]`: prctl(2) PR_SET_NO_NEW_PRIVS.
    NoNewPrivileges(bool),
    /// `seccomp=unconfined|builtin|FILE`.
    Seccomp(SeccompChoice),
    /// `apparmor=unconfined`, `label=disable`: what is the case anyway.
    NoLabel,
}

/// Reads a security option; `:` serves as `=` as it did in Docker before 1.11.
pub(crate) fn security_option(text: &str) -> Result<SecurityOption, Rejected> {
    let (key, value) = match text.split_once(['=', ':']) {
        Some((key, value)) => (key, Some(value)),
        None => (text, None),
    };
    match (key, value) {
        ("no-new-privileges", None | Some("true")) => Ok(SecurityOption::NoNewPrivileges(true)),
        ("no-new-privileges", Some("false")) => Ok(SecurityOption::NoNewPrivileges(false)),
        ("seccomp", Some("unconfined")) => Ok(SecurityOption::Seccomp(SeccompChoice::Unconfined)),
        ("seccomp", Some("builtin")) => Ok(SecurityOption::Seccomp(SeccompChoice::Default)),
        ("seccomp", Some(path)) if !path.is_empty() => {
            Ok(SecurityOption::Seccomp(SeccompChoice::Profile {
                path: PathBuf::from(path),
            }))
        }
        ("apparmor", Some("unconfined")) | ("label", Some("disable")) => {
            Ok(SecurityOption::NoLabel)
        }
        ("apparmor" | "label", _) => Err(Rejected::new(
            "AppArmor and SELinux labels come later; only apparmor=unconfined and label=disable are accepted",
        )),
        _ => Err(Rejected::new(
            "give no-new-privileges, seccomp=unconfined, seccomp=builtin or seccomp=FILE",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options() {
        assert_eq!(
            security_option("no-new-privileges"),
            Ok(SecurityOption::NoNewPrivileges(true))
        );
        assert_eq!(
            security_option("no-new-privileges:true"),
            Ok(SecurityOption::NoNewPrivileges(true))
        );
        assert_eq!(
            security_option("seccomp=unconfined"),
            Ok(SecurityOption::Seccomp(SeccompChoice::Unconfined))
        );
        assert_eq!(
            security_option("seccomp=./p.json"),
            Ok(SecurityOption::Seccomp(SeccompChoice::Profile {
                path: "./p.json".into()
            }))
        );
        for bad in [
            "",
            "seccomp",
            "seccomp=",
            "no-new-privileges=maybe",
            "apparmor=docker-default",
            "x=y",
        ] {
            assert!(security_option(bad).is_err(), "{bad}");
        }
    }
}
