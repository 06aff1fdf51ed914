//! `--pid`, `--net` and their siblings: where a namespace comes from.

use std::path::PathBuf;

use berth_engine::NamespaceMode;

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

/// Reads what [`namespace`] does and `none`, a network namespace with loopback alone.
pub(crate) fn network(text: &str) -> Result<NamespaceMode, Rejected> {
    if text == "none" {
        return Ok(NamespaceMode::Private);
    }
    namespace(text).map_err(|rejected| {
        if text.contains(':') {
            rejected
        } else {
            Rejected::new("give none, private, host, container:NAME or ns:PATH")
        }
    })
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
    fn none_is_a_private_network() {
        assert_eq!(network("none"), Ok(NamespaceMode::Private));
        insta::assert_snapshot!(network("bridge").unwrap_err(), @"give none, private, host, container:NAME or ns:PATH");
        insta::assert_snapshot!(network("ns:blue").unwrap_err(), @"the path of a namespace is absolute, such as ns:/run/netns/blue");
    }
}
