//! What is said on `dns.sock`: one JSON document a packet, each answered by one.

use std::net::IpAddr;

use berth_base::ContainerId;
use serde::{Deserialize, Serialize};

/// The longest packet: a registration with many networks, or the list of all containers.
pub(crate) const MAX_PACKET: usize = 192 << 10;

/// A container, as the resolver must know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// Who asks through the sockets.
    pub container: ContainerId,
    /// The networks whose names it sees. A name that several have is the first one's.
    pub networks: Vec<Attachment>,
    /// The servers that are asked instead of the host's (`--dns`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<IpAddr>,
    /// The options of its resolv.conf (`--dns-option`), of which `ndots` matters here: with one
    /// above 0 names without a dot are never asked for outside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

/// A network that a container is attached to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The network's id, which names its folder.
    pub id: String,
    /// The network's name: `web.NAME` is looked up too, and reverse lookups answer with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it has no way out. A container with no other networks asks nobody outside.
    #[serde(default)]
    pub internal: bool,
    /// Whether containers have no names there, as on the default network, which is a way out and
    /// nothing more.
    #[serde(default)]
    pub nameless: bool,
}

/// The reply to a registration that was accepted; what else comes says why it was not.
pub const DONE: &[u8] = b"\"done\"";

impl Registration {
    /// The packet for `dns.sock` that registers the container. UDP socket, TCP listener and the
    /// pidfd of its first process come along, in this order, by SCM_RIGHTS.
    ///
    /// # Errors
    /// None that can occur; those of serde.
    pub fn packet(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&Request::Register(self.clone()))
    }

    /// Whether names that are not known here may be asked for outside.
    pub(crate) fn forwards(&self) -> bool {
        self.networks.iter().any(|network| !network.internal)
    }

    /// Whether `ndots` is set above 0.
    pub(crate) fn expects_dots(&self) -> bool {
        let ndots = |option: &String| option.strip_prefix("ndots:")?.parse::<u32>().ok();
        let last = self.options.iter().filter_map(ndots).next_back();
        last.is_some_and(|ndots| ndots > 0)
    }

    /// What is wrong with it.
    pub(crate) fn fault(&self) -> Option<String> {
        let is_id = |id: &str| {
            let fits =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            !id.is_empty() && !id.starts_with('.') && id.len() <= 128 && id.bytes().all(fits)
        };
        let wrong = self.networks.iter().find(|network| !is_id(&network.id));
        wrong.map(|network| format!("{:?} is no id of a network", network.id))
    }
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// Serve a container; UDP socket, TCP listener and its first process's pidfd come along.
    Register(Registration),
    /// A container is on other networks now; its sockets stay.
    Update(Registration),
    /// Let go of a container.
    Forget(ContainerId),
    /// Which containers are served?
    List,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    /// It is done.
    Done,
    /// It is not, and why.
    Refused(String),
    /// There is no such container.
    Unknown,
    /// The containers that are served.
    Containers(Vec<ContainerId>),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registration(options: &[&str], networks: &[(&str, bool)]) -> Registration {
        Registration {
            container: ContainerId::from_bytes([1; 32]),
            networks: networks
                .iter()
                .map(|(id, internal)| Attachment {
                    id: (*id).to_owned(),
                    name: None,
                    internal: *internal,
                    nameless: false,
                })
                .collect(),
            servers: Vec::new(),
            options: options.iter().map(|&option| option.to_owned()).collect(),
        }
    }

    #[test]
    fn what_goes_over_the_wire_stays_as_it_is() {
        let packet = registration(&[], &[("net", false)]).packet().unwrap();
        let id = "01".repeat(32);
        let expected = format!(
            "{{\"register\":{{\"container\":\"{id}\",\"networks\":[{{\"id\":\"net\",\
             \"internal\":false,\"nameless\":false}}]}}}}"
        );
        assert_eq!(String::from_utf8(packet).unwrap(), expected);
        // What others may add is no obstacle, nor is what they leave out.
        let read = |text: &str| serde_json::from_str::<Request>(text).unwrap();
        let short =
            format!("{{\"register\":{{\"container\":\"{id}\",\"networks\":[], \"search\":[]}}}}");
        assert_eq!(read(&short), Request::Register(registration(&[], &[])));
        assert_eq!(serde_json::to_vec(&Reply::Done).unwrap(), DONE);
    }

    #[test]
    fn the_last_ndots_counts() {
        for (options, expected) in [
            (&[][..], false),
            (&["ndots:0"], false),
            (&["ndots:2", "timeout:1"], true),
            (&["ndots:2", "ndots:0"], false),
            (&["ndots:x", "ndots"], false),
        ] {
            assert_eq!(
                registration(options, &[]).expects_dots(),
                expected,
                "{options:?}"
            );
        }
    }

    #[test]
    fn one_network_with_a_way_out_is_enough() {
        assert!(!registration(&[], &[]).forwards());
        assert!(!registration(&[], &[("a", true)]).forwards());
        assert!(registration(&[], &[("a", true), ("b", false)]).forwards());
    }

    #[test]
    fn an_id_stays_below_its_folder() {
        for right in ["0a-b_c", "My.net"] {
            assert_eq!(registration(&[], &[(right, true)]).fault(), None);
        }
        for wrong in ["", ".", "..", "a/b", "../a", ".a"] {
            assert!(
                registration(&[], &[(wrong, true)]).fault().is_some(),
                "{wrong}"
            );
        }
    }
}
