//! Names to addresses, without the C library: see the workspace manifest.
//!
//! `/etc/hosts` wins, then the servers of `/etc/resolv.conf` with its search domains. Not taken
//! from `/etc/nsswitch.conf`: multicast DNS and other modules.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Hosts, TokioResolver};

use super::failure::Failure;

/// Resolves for one thread; reads its files when it is first asked for a name.
#[derive(Default)]
pub(super) struct Resolver {
    servers: Option<TokioResolver>,
}

impl Resolver {
    /// The addresses of a host, in the order in which to try them; never empty.
    pub(super) async fn addresses(&mut self, host: &str) -> Result<Vec<IpAddr>, Failure> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        let failed = |why: String| Failure::Resolve {
            host: host.to_owned(),
            why,
        };
        let name = Name::from_utf8(host).map_err(|_| failed("it is no host name".to_owned()))?;
        let known = from_hosts_file(&name);
        if !known.is_empty() {
            return Ok(known);
        }
        // RFC 6761, section 6.3: never a question for a server.
        if host == "localhost" || host.ends_with(".localhost") {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let servers = match &mut self.servers {
            Some(servers) => servers,
            none => none.insert(open().map_err(failed)?),
        };
        let found = servers.lookup_ip(host).await;
        let found = found.map_err(|error| failed(words(&error)))?;
        let mut addresses: Vec<IpAddr> = found.iter().collect();
        // IPv4 first: many a host has an IPv6 address and no way out.
        addresses.sort_by_key(IpAddr::is_ipv6);
        if addresses.is_empty() {
            return Err(failed("it has no address".to_owned()));
        }
        Ok(addresses)
    }
}

fn open() -> Result<TokioResolver, String> {
    let builder = TokioResolver::builder_tokio();
    let resolver = builder.and_then(|builder| builder.build());
    resolver.map_err(|error| format!("no name server is known ({error})"))
}

/// What /etc/hosts says; a file that cannot be read says nothing.
fn from_hosts_file(name: &Name) -> Vec<IpAddr> {
    let hosts = Hosts::from_system().unwrap_or_default();
    let mut addresses = Vec::new();
    for kind in [RecordType::A, RecordType::AAAA] {
        let query = Query::query(name.clone(), kind);
        let Some(lookup) = hosts.lookup_static_host(&query) else {
            continue;
        };
        for record in lookup.answers() {
            match &record.data {
                RData::A(a) => addresses.push(IpAddr::V4(a.0)),
                RData::AAAA(a) => addresses.push(IpAddr::V6(a.0)),
                _ => {}
            }
        }
    }
    addresses
}

fn words(error: &hickory_resolver::net::NetError) -> String {
    if error.is_nx_domain() {
        "there is no such name".to_owned()
    } else if error.is_no_records_found() {
        "it has no address".to_owned()
    } else {
        error.to_string()
    }
}
