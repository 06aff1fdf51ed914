//! `-p`: which port of the host leads to which port of the container.

use std::net::IpAddr;

use berth_base::Transport;
use berth_engine::{HostAddress, PublishRequest};

use super::Rejected;

const FORMS: &str = "give [ADDRESS:][HOST-PORT:]CONTAINER-PORT[/tcp|udp|sctp], such as 8080:80 or 127.0.0.1:5300:53/udp";

/// One `-p`: a port, or a range of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublishArgument(pub(crate) Vec<PublishRequest>);

/// Reads Docker's forms of `-p`. Ranges are as long on both sides, or a range of the host for one
/// port of the container, of which a free one is taken.
pub(crate) fn publish(text: &str) -> Result<PublishArgument, Rejected> {
    let (ports, transport) = match text.rsplit_once('/') {
        None => (text, Transport::Tcp),
        Some((ports, name)) => {
            let transport = name.to_ascii_lowercase().parse().map_err(|()| {
                Rejected::new(format!(
                    "{name:?} is no transport; there are tcp, udp and sctp"
                ))
            })?;
            (ports, transport)
        }
    };
    let (address, rest) = address(ports)?;
    let (host, container) = match rest.rsplit_once(':') {
        None => (None, rest),
        Some(("", container)) => (None, container),
        Some((host, container)) => (Some(range(host)?), container),
    };
    let container = range(container)?;
    if container.0 == 0 {
        return Err(Rejected::new(
            "0 is no port of a container; they go from 1 to 65535",
        ));
    }
    let host = match (host, length(container)) {
        (None, _) => None,
        // 0 is the kernel's to choose, as with bind(2).
        (Some((0, 0)), _) => None,
        (Some(host), 1) => Some((host, 0)),
        (Some(host), count) if length(host) == count => Some((host, 1)),
        (Some(host), count) => {
            return Err(Rejected::new(format!(
                "{} ports of the host for {count} of the container; give as many on both sides",
                length(host)
            )));
        }
    };
    let requests = (container.0..=container.1).enumerate().map(|(at, port)| {
        let at = u16::try_from(at).unwrap_or(0);
        let host_ports = host.map(|(range, step)| match step {
            0 => range,
            _ => (range.0.saturating_add(at), range.0.saturating_add(at)),
        });
        PublishRequest {
            transport,
            host_address: address,
            host_ports,
            container_port: port,
        }
    });
    Ok(PublishArgument(requests.collect()))
}

/// Reads `--expose`: `80`, `80/udp`, `8000-8010`.
pub(crate) fn expose(text: &str) -> Result<String, Rejected> {
    let (ports, transport) = match text.split_once('/') {
        None => (text, "tcp"),
        Some(parts) => parts,
    };
    let transport: Transport = transport.parse().map_err(|()| {
        Rejected::new(format!(
            "{transport:?} is no transport; there are tcp, udp and sctp"
        ))
    })?;
    range(ports)?;
    Ok(format!("{ports}/{transport}"))
}

/// Reads `--add-host`.
pub(crate) fn add_host(text: &str) -> Result<(String, HostAddress), Rejected> {
    // As Docker has it, also NAME=ADDRESS.
    let parts = text.split_once('=').or_else(|| text.split_once(':'));
    let (name, address) = parts.ok_or_else(|| Rejected::new("give NAME:ADDRESS"))?;
    let fits = |c: char| !c.is_whitespace() && !c.is_control() && c != '#';
    if name.is_empty() || !name.chars().all(fits) {
        return Err(Rejected::new(format!("{name:?} is no name of a host")));
    }
    let bare = address
        .strip_prefix('[')
        .and_then(|a| a.strip_suffix(']'))
        .unwrap_or(address);
    match bare {
        "host-gateway" => Ok((name.to_owned(), HostAddress::Gateway)),
        _ => match bare.parse() {
            Ok(address) => Ok((name.to_owned(), HostAddress::Is(address))),
            Err(_) => Err(Rejected::new(format!(
                "{address:?} is no address; give one, or host-gateway"
            ))),
        },
    }
}

/// Reads `--domainname`.
pub(crate) fn domain_name(text: &str) -> Result<String, Rejected> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    match !text.is_empty() && text.len() <= 64 && text.chars().all(fits) {
        true => Ok(text.to_owned()),
        false => Err(Rejected::new("a domain has at most 64 of [a-zA-Z0-9._-]")),
    }
}

/// The address in front, and what follows it.
fn address(text: &str) -> Result<(Option<IpAddr>, &str), Rejected> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once("]:").ok_or_else(|| Rejected::new(FORMS))?;
        let address = address
            .parse()
            .map_err(|_| Rejected::new(format!("{address:?} is no IPv6 address")))?;
        return Ok((Some(IpAddr::V6(address)), rest));
    }
    match text.matches(':').count() {
        0 | 1 => Ok((None, text)),
        2 => {
            let (address, rest) = text.split_once(':').unwrap_or((text, ""));
            if address.is_empty() {
                return Ok((None, rest));
            }
            let address = address.parse().map_err(|_| {
                Rejected::new(format!("{address:?} is no IPv4 address of the host"))
            })?;
            Ok((Some(IpAddr::V4(address)), rest))
        }
        _ => Err(Rejected::new(
            "write an IPv6 address in brackets, as in [::1]:8080:80",
        )),
    }
}

/// A port or `FIRST-LAST`.
fn range(text: &str) -> Result<(u16, u16), Rejected> {
    let port = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = digits.then(|| text.parse::<u16>().ok()).flatten();
        number.ok_or_else(|| match digits {
            true => Rejected::new(format!("{text} is no port; they go from 1 to 65535")),
            false => Rejected::new(FORMS),
        })
    };
    let (first, last) = match text.split_once('-') {
        None => (port(text)?, port(text)?),
        Some((first, last)) => (port(first)?, port(last)?),
    };
    match first <= last {
        true => Ok((first, last)),
        false => Err(Rejected::new(format!(
            "the range {text} ends before it begins"
        ))),
    }
}

fn length((first, last): (u16, u16)) -> u32 {
    u32::from(last - first) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ADDRESS HOST-PORTS CONTAINER/TRANSPORT` of each.
    fn shown(text: &str) -> String {
        match publish(text) {
            Err(rejected) => format!("refused: {}", rejected.0),
            Ok(PublishArgument(requests)) => {
                let one = |r: &PublishRequest| {
                    let address = r.host_address.map_or("*".into(), |a| a.to_string());
                    let ports = r.host_ports.map_or("*".into(), |(a, b)| format!("{a}-{b}"));
                    format!("{address} {ports} {}/{}", r.container_port, r.transport)
                };
                requests.iter().map(one).collect::<Vec<_>>().join(", ")
            }
        }
    }

    #[test]
    fn dockers_forms() {
        insta::assert_snapshot!(shown("80"), @"* * 80/tcp");
        insta::assert_snapshot!(shown("8080:80"), @"* 8080-8080 80/tcp");
        insta::assert_snapshot!(shown("8080:80/udp"), @"* 8080-8080 80/udp");
        insta::assert_snapshot!(shown("0:80"), @"* * 80/tcp");
        insta::assert_snapshot!(shown("127.0.0.1:8080:80"), @"127.0.0.1 8080-8080 80/tcp");
        insta::assert_snapshot!(shown("127.0.0.1::80/SCTP"), @"127.0.0.1 * 80/sctp");
        insta::assert_snapshot!(shown("[::1]:8080:80"), @"::1 8080-8080 80/tcp");
        insta::assert_snapshot!(shown("[::]::53/udp"), @":: * 53/udp");
        insta::assert_snapshot!(shown("8000-8002:80-82"), @"* 8000-8000 80/tcp, * 8001-8001 81/tcp, * 8002-8002 82/tcp");
        insta::assert_snapshot!(shown("8000-8009:80"), @"* 8000-8009 80/tcp");
        insta::assert_snapshot!(shown("80-81"), @"* * 80/tcp, * * 81/tcp");
    }

    #[test]
    fn other_forms_are_refused_by_name() {
        insta::assert_snapshot!(shown(""), @"refused: give [ADDRESS:][HOST-PORT:]CONTAINER-PORT[/tcp|udp|sctp], such as 8080:80 or 127.0.0.1:5300:53/udp");
        insta::assert_snapshot!(shown("80/icmp"), @r#"refused: "icmp" is no transport; there are tcp, udp and sctp"#);
        insta::assert_snapshot!(shown("99999:80"), @"refused: 99999 is no port; they go from 1 to 65535");
        insta::assert_snapshot!(shown("90-80:80"), @"refused: the range 90-80 ends before it begins");
        insta::assert_snapshot!(shown("8000-8003:80-82"), @"refused: 4 ports of the host for 3 of the container; give as many on both sides");
        insta::assert_snapshot!(shown("web:8080:80"), @r#"refused: "web" is no IPv4 address of the host"#);
        insta::assert_snapshot!(shown("::1:8080:80"), @"refused: write an IPv6 address in brackets, as in [::1]:8080:80");
        insta::assert_snapshot!(shown("8080:x"), @"refused: give [ADDRESS:][HOST-PORT:]CONTAINER-PORT[/tcp|udp|sctp], such as 8080:80 or 127.0.0.1:5300:53/udp");
    }
}
