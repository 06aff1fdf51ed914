//! The `sysctl` of a spec: Docker's defaults, then what the user asked for.

use std::collections::{BTreeMap, HashMap};

use berth_base::NamespaceKind;
use berth_base::state::NamespaceSource;
use berth_runtime::namespaces::flag_of;
use berth_runtime::spec::{sysctl_key, sysctl_namespace};

use super::{SpecError, SpecFacts};
use crate::namespaces::word;

pub(super) fn sysctls(
    asked: &BTreeMap<String, String>,
    facts: &SpecFacts,
) -> Result<Option<HashMap<String, String>>, SpecError> {
    let mut all: HashMap<String, String> = defaults(facts).into_iter().collect();
    for (key, value) in asked {
        let path = check(key, value, facts)?;
        // The same in another spelling.
        all.retain(|other, _| sysctl_key(other).as_deref() != Some(path.as_str()));
        all.insert(key.clone(), value.clone());
    }
    Ok((!all.is_empty()).then_some(all))
}

/// Docker's sysctls of a network namespace of the container's own: ports below 1024 and ping need
/// no privilege. Not in a user namespace, whose group range has no meaning outside.
fn defaults(facts: &SpecFacts) -> Vec<(String, String)> {
    if !facts.is_private(NamespaceKind::Net) || facts.has_user_namespace() {
        return Vec::new();
    }
    vec![
        ("net.ipv4.ip_unprivileged_port_start".into(), "0".into()),
        ("net.ipv4.ping_group_range".into(), "0 2147483647".into()),
    ]
}

/// Only those of a namespace that the container has for itself (CVE-2022-0811); their path below
/// /proc/sys.
fn check(key: &str, value: &str, facts: &SpecFacts) -> Result<String, SpecError> {
    let refuse = |why: String| SpecError::Sysctl {
        key: key.to_owned(),
        why,
    };
    let path = sysctl_key(key).ok_or_else(|| refuse("it is not the name of a sysctl".into()))?;
    if value.contains(['\0', '\n']) {
        return Err(refuse("its value is not one line of text".into()));
    }
    if path == "kernel/hostname" {
        return Err(refuse("give --hostname instead".into()));
    }
    if path == "kernel/domainname" {
        return Err(refuse("give --domainname instead".into()));
    }
    let flag = sysctl_namespace(&path).ok_or_else(|| {
        refuse(format!(
            "it is one of the whole host, not of a namespace; set it there with \"sysctl -w {key}=VALUE\""
        ))
    })?;
    let kind = NamespaceKind::ALL
        .into_iter()
        .find(|kind| flag_of(*kind) == flag);
    match kind {
        Some(kind) if *facts.source(kind) == NamespaceSource::Host => Err(refuse(format!(
            "it belongs to the {} namespace, which is the host's; {}",
            word(kind),
            match kind {
                NamespaceKind::Net => "give the container a network of its own",
                NamespaceKind::Ipc => "leave out --ipc host",
                NamespaceKind::User => "give --userns private",
                _ => "give the container one of its own",
            }
        ))),
        _ => Ok(path),
    }
}
