//! What a host without `/etc/resolv.conf` means for its containers: they start, and their users are told.

use std::path::{Path, PathBuf};

use berth_base::ErrorClass;
use berth_base::state::{RootSource, Wiring};

use super::names::has_names;
use crate::{Container, CreateOptions, EngineError, facts};

/// Leaves out the files that cannot be mounted: without root the image "host" is read-only, and where
/// the host has no such file there is nothing to mount on. One that was asked for something is needed.
///
/// # Errors
/// One that is left out was asked for.
pub(crate) fn mountable(
    mut files: Vec<(&'static str, PathBuf)>,
    options: &CreateOptions,
    on_host_image: bool,
) -> Result<Vec<(&'static str, PathBuf)>, EngineError> {
    // by path: the host's /etc
    let is_missing = |name: &str| on_host_image && !Path::new("/etc").join(name).exists();
    let names = &options.names;
    let asks =
        !(names.dns.is_empty() && names.search.is_empty() && names.resolver_options.is_empty());
    let wishes = [
        ("resolv.conf", "--dns, --dns-search or --dns-option", asks),
        ("hosts", "--add-host", !names.add_hosts.is_empty()),
    ];
    for (name, flag, asked) in wishes {
        if asked && is_missing(name) {
            let text = format!("cannot fulfil {flag}: {}", nothing_to_mount_on(name));
            return Err(EngineError::new(ErrorClass::Unavailable, text).on(flag));
        }
    }
    files.retain(|(name, _)| !is_missing(name));
    Ok(files)
}

fn nothing_to_mount_on(name: &str) -> String {
    format!(
        "the host has no /etc/{name}, and without root the image \"host\" is read-only; have the \
         administrator run \"touch /etc/{name}\", or take another image"
    )
}

/// What is to be said of a container that starts and cannot look up names. Docker asks servers of
/// Google's then; whom a host asks is for its administrator to say.
pub(super) fn without_servers(
    container: &Container,
    wiring: &Wiring,
    written: &str,
    (host, has_file): (&str, bool),
) -> Option<String> {
    let options = &container.create.options;
    let leads_out = wiring.interfaces.iter().any(|i| !i.gateways.is_empty());
    if !leads_out || !options.names.dns.is_empty() {
        return None;
    }
    let name = &container.name;
    let has_server = |text: &str| text.lines().any(|line| line.starts_with("nameserver "));
    if has_names(options) {
        return (!has_server(host)).then(|| {
            format!(
                "container {name} looks up names of its networks alone: the host's /etc/resolv.conf \
                 {}; name a server with --dns, or there",
                missing(has_file)
            )
        });
    }
    let on_host_image = container.create.root == RootSource::Host;
    // by path: the host's /etc
    if on_host_image && facts::is_rootless() && !Path::new("/etc/resolv.conf").exists() {
        let why = nothing_to_mount_on("resolv.conf");
        return Some(format!("container {name} cannot look up names: {why}"));
    }
    (!has_server(written)).then(|| {
        format!(
            "container {name} cannot look up names: the host's /etc/resolv.conf {}; name a server \
             with --dns, or there",
            missing(has_file)
        )
    })
}

const fn missing(has_file: bool) -> &'static str {
    match has_file {
        true => "names no server that it reaches",
        false => "does not exist",
    }
}
