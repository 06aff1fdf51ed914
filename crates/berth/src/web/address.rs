//! Where the page listens.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// An address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address(pub(crate) SocketAddr);

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no address to listen on: write IP:PORT, [IPv6]:PORT, an IP or a port")]
pub(crate) struct AddressError {
    text: String,
}

impl Address {
    /// This machine alone, on a port that the kernel chooses.
    pub(crate) const DEFAULT: &'static str = "127.0.0.1:0";

    /// Whether only programs of this machine reach it.
    pub(crate) fn is_local(self) -> bool {
        match self.0.ip() {
            IpAddr::V4(ip) => ip.is_loopback(),
            // ::ffff:127.0.0.1 is IPv4's loopback.
            IpAddr::V6(ip) => {
                ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback())
            }
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// Reads an address; no name is looked up.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let bare = text.strip_prefix(':').unwrap_or(text);
        if let Ok(port) = bare.parse::<u16>() {
            return Ok(Self(SocketAddr::new(local, port)));
        }
        if let Some(port) = text.strip_prefix("localhost:").and_then(|p| p.parse().ok()) {
            return Ok(Self(SocketAddr::new(local, port)));
        }
        if text == "localhost" {
            return Ok(Self(SocketAddr::new(local, 0)));
        }
        let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        let ip = inner.map_or_else(
            || text.parse::<IpAddr>().ok(),
            |inner| inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        );
        let found = ip.map(|ip| SocketAddr::new(ip, 0));
        let found = found.or_else(|| text.parse().ok());
        found.map(Self).ok_or_else(|| AddressError {
            text: text.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, AddressError> {
        text.parse().map(|address: Address| address.0.to_string())
    }

    #[test]
    fn short_forms_mean_this_machine() {
        assert_eq!(parse("8080").unwrap(), "127.0.0.1:8080");
        assert_eq!(parse(":8080").unwrap(), "127.0.0.1:8080");
        assert_eq!(parse("localhost:1").unwrap(), "127.0.0.1:1");
        assert_eq!(parse("localhost").unwrap(), "127.0.0.1:0");
        assert_eq!(parse("[::1]:9").unwrap(), "[::1]:9");
        assert_eq!(parse("[::1]").unwrap(), "[::1]:0");
        assert_eq!(parse("::1").unwrap(), "[::1]:0");
        assert_eq!(parse("0.0.0.0").unwrap(), "0.0.0.0:0");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "web",
            "70000",
            "1.2.3.4:99999",
            "localhost:x",
            "[::1",
            "a b",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn loopback_is_local_and_nothing_else() {
        let local = |text: &str| text.parse::<Address>().unwrap().is_local();
        assert!(
            [
                "127.0.0.1:1",
                "127.9.9.9",
                "[::1]:1",
                "[::ffff:127.0.0.1]:1"
            ]
            .map(local)
                == [true; 4]
        );
        assert!(["0.0.0.0:1", "[::]:1", "192.0.2.1:80"].map(local) == [false; 3]);
    }
}
