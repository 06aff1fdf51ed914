//! What pasta and slirp4netns are told: pure, save for a look at the host's resolvers.

use std::net::Ipv4Addr;

use berth_base::state::NetworkHelper;
use berth_base::{MacAddress, PublishedPort, Transport};

use super::{CONTAINER, CONTAINER_V6, GATEWAY, GATEWAY_V6, PREFIX, Place};

/// pasta(1). Nothing is forwarded that was not asked for: neither ports that happen to be open, nor
/// from the container to the host's loopback.
pub(super) fn pasta(
    place: Place,
    published: &[PublishedPort],
    mac: Option<MacAddress>,
) -> Vec<String> {
    let mut arguments = words(
        "--quiet --config-net --no-map-gw --ns-ifname eth0 --tcp-ns none --udp-ns none --netns-only",
    );
    let mut put = |words: &[&str]| arguments.extend(words.iter().map(|w| (*w).to_owned()));
    put(&[
        "--netns",
        &format!("/proc/self/fd/{}", NetworkHelper::NAMESPACE),
    ]);
    match (place.has_v4(), place.has_v6()) {
        (true, false) => put(&["--ipv4-only"]),
        (false, true) => put(&["--ipv6-only"]),
        _ => {}
    }
    if place.has_v4() {
        let prefix = PREFIX.to_string();
        put(&["--address", &place.v4(CONTAINER).to_string()]);
        put(&["--netmask", &prefix]);
        put(&["--gateway", &place.v4(GATEWAY).to_string()]);
        if let Some(server) = loopback_resolver() {
            put(&["--dns", &server.to_string()]);
            put(&["--dns-forward", &place.resolver().to_string()]);
        }
    }
    if place.has_v6() {
        put(&["--address", &CONTAINER_V6.to_string()]);
        put(&["--gateway", &GATEWAY_V6.to_string()]);
    }
    if let Some(mac) = mac {
        put(&["--ns-mac-addr", &mac.to_string()]);
    }
    for (transport, flag) in [
        (Transport::Tcp, "--tcp-ports"),
        (Transport::Udp, "--udp-ports"),
    ] {
        let specs = specifiers(published, transport);
        for spec in &specs {
            put(&[flag, spec]);
        }
        if specs.is_empty() {
            put(&[flag, "none"]);
        }
    }
    arguments
}

/// The ports of a transport in pasta's words. It knows a port once: for both families without an
/// address.
fn specifiers(published: &[PublishedPort], transport: Transport) -> Vec<String> {
    let ports: Vec<&PublishedPort> = published
        .iter()
        .filter(|p| p.transport == transport)
        .collect();
    let mut specs = Vec::new();
    for port in &ports {
        let (outer, inner) = (port.host_port, port.container_port);
        let same = ports.iter().filter(|other| other.host_port == outer);
        let spec = match same.count() {
            1 => format!("{}/{outer}:{inner}", port.host_address),
            _ => format!("{outer}:{inner}"),
        };
        if !specs.contains(&spec) {
            specs.push(spec);
        }
    }
    specs
}

/// slirp4netns(1).
pub(super) fn slirp(
    place: Place,
    published: &[PublishedPort],
    mac: Option<MacAddress>,
) -> Vec<String> {
    let mut arguments = words(
        "--configure --mtu=65520 --disable-host-loopback --enable-sandbox --enable-seccomp --netns-type=path",
    );
    arguments.push(format!("--cidr={}/{PREFIX}", place.v4(0)));
    arguments.push(format!("--ready-fd={}", NetworkHelper::READY));
    if let Some(mac) = mac {
        arguments.push(format!("--macaddress={mac}"));
    }
    if !published.is_empty() {
        arguments.extend(["--api-socket".to_owned(), NetworkHelper::API.to_owned()]);
    }
    arguments.push(format!("/proc/self/fd/{}", NetworkHelper::NAMESPACE));
    arguments.push("eth0".to_owned());
    arguments
}

/// A request of slirp4netns's socket.
pub(super) fn forward(place: Place, port: &PublishedPort) -> String {
    serde_json::json!({
        "execute": "add_hostfwd",
        "arguments": {
            "proto": port.transport.as_str(),
            "host_addr": port.host_address.to_string(),
            "host_port": port.host_port,
            "guest_addr": place.v4(CONTAINER).to_string(),
            "guest_port": port.container_port,
        },
    })
    .to_string()
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// The host's first resolver, where that is on the host's loopback.
fn loopback_resolver() -> Option<Ipv4Addr> {
    // by path: the host's /etc
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    text.lines().find_map(|line| {
        let address = line.strip_prefix("nameserver")?.trim().parse::<Ipv4Addr>();
        address.ok().filter(Ipv4Addr::is_loopback)
    })
}

#[cfg(test)]
mod tests {
    use super::super::Carrier;
    use super::super::tests::{place, port};
    use super::*;

    #[test]
    fn pasta_forwards_what_was_asked_for_and_nothing_else() {
        let place = place(Carrier::Pasta, (true, true));
        let all = pasta(place, &[], None).join(" ");
        assert!(all.contains("--tcp-ports none --udp-ports none"), "{all}");
        assert!(all.contains("--no-map-gw"), "{all}");
        let ports = [port(Transport::Tcp, "0.0.0.0"), port(Transport::Tcp, "::")];
        let all = pasta(place, &ports, None).join(" ");
        let wanted = "--tcp-ports 8080:80 --udp-ports none";
        assert!(all.ends_with(wanted), "{all}");
        let all = pasta(place, &ports[..1], None).join(" ");
        assert!(all.contains("--tcp-ports 0.0.0.0/8080:80 "), "{all}");
    }

    #[test]
    fn the_socket_of_slirp4netns_is_asked_in_its_own_words() {
        let place = place(Carrier::Slirp, (true, false));
        assert_eq!(
            forward(place, &port(Transport::Udp, "127.0.0.1")),
            r#"{"arguments":{"guest_addr":"10.0.2.100","guest_port":80,"host_addr":"127.0.0.1","host_port":8080,"proto":"udp"},"execute":"add_hostfwd"}"#
        );
    }
}
