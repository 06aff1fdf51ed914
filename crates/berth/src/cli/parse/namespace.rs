//! `--pid`, `--net` and their siblings: where a namespace comes from.

use std::path::PathBuf;

use berth_engine::{DEFAULT_NETWORK, NamespaceMode, NetworkName, NetworkRequest};

use super::Rejected;

/// Reads `private`, `host`, `container:NAME` or `ns:PATH`.
pub(crate) fn namespace(text: &str) -> Result<NamespaceMode, Rejected> {
    let rejected = || Rejected::new("give private, host, container:NAME or ns:PATH");
    match text.split_once(':') {
        None => match text {
            "private" => Ok(NamespaceMode::Private),
            "host" => Ok(NamespaceMode::Host),
            _ => Err(rejected()),
        },
        Some(("container", name)) if !name.is_empty() => {
            Ok(NamespaceMode::Container(name.to_owned()))
        }
        Some(("ns", path)) if path.starts_with('/') => Ok(NamespaceMode::Path(PathBuf::from(path))),
        Some(("ns", _)) => Err(Rejected::new(
            "the path of a namespace is absolute, such as ns:/run/netns/blue",
        )),
        Some(_) => Err(rejected()),
    }
}

/// `--ipc`: where the namespace comes from, and whether there is a /dev/shm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IpcArgument {
    /// The source.
    pub(crate) mode: NamespaceMode,
    /// `none`.
    pub(crate) without_shm: bool,
}

/// Reads what [`namespace`] does; `shareable`, which every private one is; and `none`, a private one
/// without /dev/shm.
pub(crate) fn ipc(text: &str) -> Result<IpcArgument, Rejected> {
    let mode = match text {
        "none" | "shareable" => NamespaceMode::Private,
        _ => namespace(text).map_err(|rejected| match text.starts_with("ns:") {
            true => rejected,
            false => {
                Rejected::new("give private, shareable, none, host, container:NAME or ns:PATH")
            }
        })?,
    };
    Ok(IpcArgument {
        mode,
        without_shm: text == "none",
    })
}

/// One `--network`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NetworkArgument {
    /// A network namespace as a whole.
    Namespace(NamespaceMode),
    /// One of the networks that the container is to be on.
    Network(NetworkRequest),
}

/// Reads what [`namespace`] does; `none`, a network namespace with loopback alone; the name of a
/// network; or Docker's long form, `name=NAME,alias=WORD,ip=ADDRESS`.
pub(crate) fn network(text: &str) -> Result<NetworkArgument, Rejected> {
    match text {
        "none" => return Ok(NetworkArgument::Namespace(NamespaceMode::Private)),
        "default" => {
            return Ok(NetworkArgument::Network(NetworkRequest::named(
                DEFAULT_NETWORK,
            )));
        }
        _ => {}
    }
    if text.contains('=') {
        return long_network(text).map(NetworkArgument::Network);
    }
    if text.contains(':') || text == "private" || text == "host" {
        return namespace(text)
            .map(NetworkArgument::Namespace)
            .map_err(|r| match text.starts_with("ns:") {
                true => r,
                false => Rejected::new(
                    "give the name of a network, or none, host, container:NAME or ns:PATH",
                ),
            });
    }
    match text.parse::<NetworkName>() {
        Ok(_) => Ok(NetworkArgument::Network(NetworkRequest::named(text))),
        Err(error) => Err(Rejected::new(error.to_string())),
    }
}

fn long_network(text: &str) -> Result<NetworkRequest, Rejected> {
    let mut request = NetworkRequest::named("");
    for part in text.split(',') {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let wrong = |what: &str| Rejected::new(format!("{value:?} is no {what}"));
        match key {
            "name" => request.name = value.to_owned(),
            "alias" => request.aliases.push(value.to_owned()),
            "ip" => request.ipv4 = Some(value.parse().map_err(|_| wrong("IPv4 address"))?),
            "ip6" => request.ipv6 = Some(value.parse().map_err(|_| wrong("IPv6 address"))?),
            "mac-address" => {
                request.mac = Some(value.parse().map_err(|_| wrong("Ethernet address"))?);
            }
            _ => {
                return Err(Rejected::new(format!(
                    "{key:?} is no part of it; there are name, alias, ip, ip6 and mac-address"
                )));
            }
        }
    }
    match request.name.parse::<NetworkName>() {
        Ok(_) => Ok(request),
        Err(error) => Err(Rejected::new(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_sources() {
        assert_eq!(namespace("private"), Ok(NamespaceMode::Private));
        assert_eq!(namespace("host"), Ok(NamespaceMode::Host));
        assert_eq!(
            namespace("container:web"),
            Ok(NamespaceMode::Container("web".into()))
        );
        assert_eq!(
            namespace("ns:/proc/1/ns/net"),
            Ok(NamespaceMode::Path("/proc/1/ns/net".into()))
        );
        for bad in [
            "",
            "bridge",
            "container:",
            "ns:",
            "ns:blue",
            "none",
            "host:x",
        ] {
            assert!(namespace(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ipc_has_words_of_its_own() {
        for (text, mode, without_shm) in [
            ("shareable", NamespaceMode::Private, false),
            ("private", NamespaceMode::Private, false),
            ("none", NamespaceMode::Private, true),
            ("host", NamespaceMode::Host, false),
        ] {
            let wanted = IpcArgument { mode, without_shm };
            assert_eq!(ipc(text), Ok(wanted), "{text}");
        }
        insta::assert_snapshot!(ipc("share").unwrap_err(), @"give private, shareable, none, host, container:NAME or ns:PATH");
    }

    #[test]
    fn networks_by_name_and_in_full() {
        let named = |name| Ok(NetworkArgument::Network(NetworkRequest::named(name)));
        assert_eq!(
            network("none"),
            Ok(NetworkArgument::Namespace(NamespaceMode::Private))
        );
        assert_eq!(
            network("host"),
            Ok(NetworkArgument::Namespace(NamespaceMode::Host))
        );
        assert_eq!(network("bridge"), named("bridge"));
        assert_eq!(network("default"), named("bridge"));
        assert_eq!(network("blue"), named("blue"));
        let full = NetworkRequest {
            aliases: vec!["a".into(), "b".into()],
            ipv4: Some("10.0.0.9".parse().unwrap()),
            ..NetworkRequest::named("blue")
        };
        assert_eq!(
            network("name=blue,alias=a,alias=b,ip=10.0.0.9"),
            Ok(NetworkArgument::Network(full))
        );
        for bad in [
            "",
            "name=",
            "alias=a",
            "name=a,ip=x",
            "name=a,x=y",
            "a b",
            "hosts:x",
        ] {
            assert!(network(bad).is_err(), "{bad}");
        }
        insta::assert_snapshot!(network("ns:blue").unwrap_err(), @"the path of a namespace is absolute, such as ns:/run/netns/blue");
    }
}
