//! `/etc/hosts`, `/etc/resolv.conf` and `/etc/hostname` of a container: files in its volatile folder,
//! mounted over those of its image and written before each start. Who shares the network of another
//! container shares its files; on the host's network they say what the host's say.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use berth_base::ContainerId;
use berth_base::NamespaceKind;
use berth_base::state::{NamespaceSource, RootSource, Wiring};
use berth_persist::{Durability, make_dirs, replace};

use super::lacks::without_servers;
use super::names::has_names;
use super::user;
use crate::{Container, CreateOptions, Engine, EngineError};

/// The resolver of containers on networks that have names.
const EMBEDDED: &str = "127.0.0.11";

/// The names of the files, which are those below `/etc`.
pub(crate) const FILES: [&str; 3] = ["hosts", "resolv.conf", "hostname"];

/// The folder of a container's files.
pub(crate) fn folder(engine: &Engine, id: &ContainerId) -> PathBuf {
    engine.store().volatile_dir(id).join("etc")
}

/// The files of a container, with their paths from the volatile folder of any.
pub(crate) fn seen_from_a_neighbour(id: &ContainerId) -> Vec<(&'static str, PathBuf)> {
    let folder = Path::new("..").join(id.as_str()).join("etc");
    FILES.map(|name| (name, folder.join(name))).into()
}

/// Whether a path is that of such a file, which need not be there yet.
pub(crate) fn is_file_of_ours(path: &Path) -> bool {
    let name = |path: Option<&Path>| path.and_then(Path::file_name)?.to_str().map(str::to_owned);
    let parent = path.parent();
    let owner = parent.and_then(Path::parent);
    name(Some(path)).is_some_and(|name| FILES.contains(&&*name))
        && name(parent).is_some_and(|name| name == "etc")
        && name(owner).is_some_and(|name| name.parse::<ContainerId>().is_ok())
}

/// Whose files a container has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Its own.
    Itself,
    /// Those of the container whose network it shares, where that has any.
    Other(ContainerId),
    /// Those of its root.
    Root,
}

impl Owner {
    /// A directory or the host's root has these files, or its user made it without; an image cannot
    /// know them.
    pub(crate) fn of(
        root: &RootSource,
        options: &CreateOptions,
        network: &NamespaceSource,
    ) -> Self {
        match network {
            NamespaceSource::Container(id) => Self::Other(id.clone()),
            _ if !options.networks.is_empty() => Self::Itself,
            NamespaceSource::Private | NamespaceSource::Host => match root {
                RootSource::Layers { .. } => Self::Itself,
                _ => Self::Root,
            },
            _ => Self::Root,
        }
    }

    fn of_container(container: &Container) -> Self {
        let create = &container.create;
        Self::of(&create.root, &create.options, network_of(container))
    }
}

fn network_of(container: &Container) -> &NamespaceSource {
    let namespaces = &container.create.namespaces;
    let network = namespaces.get(&NamespaceKind::Net);
    network.unwrap_or(&NamespaceSource::Private)
}

impl Engine {
    /// Writes the files of a container that is about to start. They belong to its root, whose uid and
    /// gid may be others than ours. Returns what its user should know of them.
    pub(crate) fn write_network_files(
        &self,
        container: &Container,
        wiring: &Wiring,
        root_ids: Option<(u32, u32)>,
    ) -> Result<Option<String>, EngineError> {
        if Owner::of_container(container) != Owner::Itself {
            return Ok(None);
        }
        let folder = folder(self, &container.id);
        // The container's root may be another user than ours.
        make_dirs("container.files.folder", &folder, 0o755)
            .map_err(|e| failed("make", &folder, &e))?;
        let texts = texts(container, wiring);
        // by path: the host's /etc
        let has_file = Path::new("/etc/resolv.conf").exists();
        let host = (&*host_resolver(wiring), has_file);
        let warning = without_servers(container, wiring, &texts[1], host);
        for (name, text) in FILES.into_iter().zip(texts) {
            let point = "container.files.write";
            replace(point, &folder, name, text.as_bytes(), Durability::Boot)
                .map_err(|e| failed(e.action, &e.path, &e.source))?;
            let path = folder.join(name);
            make_readable(&path)?;
            if let Some((uid, gid)) = root_ids.filter(|_| !crate::facts::is_rootless()) {
                // by path: a state folder
                std::os::unix::fs::chown(&path, Some(uid), Some(gid))
                    .map_err(|e| failed("change the owner of", &path, &e))?;
            }
        }
        Ok(warning)
    }
}

/// Writes the files of a running container anew, in place: they are mounted.
pub(super) fn rewrite(engine: &Engine, container: &Container) -> Result<(), EngineError> {
    let folder = folder(engine, &container.id);
    for (name, text) in FILES.into_iter().zip(texts(container, &container.wiring)) {
        let path = folder.join(name);
        // by path: a state folder
        std::fs::write(&path, text).map_err(|e| failed("write", &path, &e))?;
    }
    Ok(())
}

/// What is in them, in the order of [`FILES`].
fn texts(container: &Container, wiring: &Wiring) -> [String; 3] {
    let options = &container.create.options;
    let hostname = &container.create.hostname;
    let hostname_line = format!("{hostname}\n");
    if *network_of(container) == NamespaceSource::Host {
        // by path: the host's /etc
        let of_host = |name| std::fs::read_to_string(Path::new("/etc").join(name));
        let mut hosts = of_host("hosts").unwrap_or_else(|_| LOOPBACK.to_owned());
        add_hosts(&mut hosts, options, Some(Ipv4Addr::LOCALHOST.into()));
        let asks_others = options.names != crate::NameOptions::default();
        let resolver = match of_host("resolv.conf") {
            Ok(text) if !asks_others => text,
            _ => resolver(options, &host_resolver(wiring), None),
        };
        return [hosts, resolver, hostname_line];
    }
    let of_host = match options.names.dns.is_empty() {
        true => host_resolver(wiring),
        false => String::new(),
    };
    [
        hosts(hostname, options, wiring),
        resolver(options, &of_host, user::forwarder(wiring)),
        hostname_line,
    ]
}

/// Everybody inside reads them.
fn make_readable(path: &Path) -> Result<(), EngineError> {
    use std::os::unix::fs::PermissionsExt as _;
    // by path: a state folder
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))
        .map_err(|e| failed("change the mode of", path, &e))
}

fn failed(action: &str, path: &Path, error: &std::io::Error) -> EngineError {
    let text = format!("cannot {action} {}: {error}", path.display());
    EngineError::new(berth_base::ErrorClass::Internal, text)
}

fn hosts(hostname: &str, options: &CreateOptions, wiring: &Wiring) -> String {
    let mut text = LOOPBACK.to_owned();
    let gateways = wiring.interfaces.iter().flat_map(|i| i.gateways.first());
    let gateway = match user::has_tap(wiring) {
        // The gateway of a tap is nobody's.
        true => user::host_address(),
        false => gateways.copied().next(),
    };
    add_hosts(&mut text, options, gateway);
    let domain = options.names.domain.as_deref();
    let names = match (domain, hostname.split_once('.')) {
        (Some(domain), _) => format!("{hostname}.{domain} {hostname}"),
        // The short name leads there too, as with Docker.
        (None, Some((short, _))) => format!("{hostname} {short}"),
        (None, None) => hostname.to_owned(),
    };
    for interface in &wiring.interfaces {
        for (address, _) in &interface.addresses {
            line(&mut text, *address, &names);
        }
    }
    text
}

const LOOPBACK: &str = "127.0.0.1\tlocalhost\n\
    ::1\tlocalhost ip6-localhost ip6-loopback\n\
    fe00::\tip6-localnet\n\
    ff00::\tip6-mcastprefix\n\
    ff02::1\tip6-allnodes\n\
    ff02::2\tip6-allrouters\n";

/// The names of `--add-host`; `gateway` is the host as the container reaches it.
fn add_hosts(text: &mut String, options: &CreateOptions, gateway: Option<IpAddr>) {
    for (name, address) in &options.names.add_hosts {
        let address = match address {
            HostAddress::Is(address) => Some(*address),
            HostAddress::Gateway => gateway,
        };
        if let Some(address) = address {
            line(text, address, name);
        }
    }
}

fn line(text: &mut String, address: IpAddr, names: &str) {
    *text += &format!("{address}\t{names}\n");
}

/// On networks with names the embedded resolver, which asks the host's or those of `--dns`; on the
/// default network these themselves. Where all of those are on the host's loopback, a user's container
/// asks whoever carries its packets, `forwarder`.
fn resolver(options: &CreateOptions, host: &str, forwarder: Option<Ipv4Addr>) -> String {
    let names = &options.names;
    let has_names = has_names(options);
    let of_host = |word: &'static str| {
        let lines = host.lines().map(str::split_ascii_whitespace);
        lines
            .filter_map(move |mut words| (words.next()? == word).then(|| words.collect::<Vec<_>>()))
    };
    let mut text = String::new();
    let mut put = |word: &str, values: &[String]| {
        if !values.is_empty() {
            text += &format!("{word} {}\n", values.join(" "));
        }
    };
    if has_names {
        put("nameserver", &[EMBEDDED.to_owned()]);
    } else if names.dns.is_empty() {
        let servers = of_host("nameserver").flatten();
        let (local, reachable): (Vec<&str>, Vec<&str>) = servers.partition(|s| is_loopback(s));
        for server in &reachable {
            put("nameserver", &[(*server).to_owned()]);
        }
        if let Some(forwarder) = forwarder
            && reachable.is_empty()
            && !local.is_empty()
        {
            put("nameserver", &[forwarder.to_string()]);
        }
    } else {
        for server in &names.dns {
            put("nameserver", &[server.to_string()]);
        }
    }
    let search: Vec<String> = match names.search.is_empty() {
        true => of_host("search")
            .next_back()
            .unwrap_or_default()
            .iter()
            .map(|s| (*s).to_owned())
            .collect(),
        // `.` alone: none, not even the host's.
        false => names.search.iter().filter(|s| *s != ".").cloned().collect(),
    };
    put("search", &search);
    let mut resolver_options = names.resolver_options.clone();
    if resolver_options.is_empty() {
        resolver_options = of_host("options").flatten().map(str::to_owned).collect();
    }
    if has_names && !resolver_options.iter().any(|o| o.starts_with("ndots:")) {
        resolver_options.push("ndots:0".to_owned());
    }
    put("options", &resolver_options);
    text
}

fn is_loopback(server: &str) -> bool {
    server
        .parse::<IpAddr>()
        .is_ok_and(|address| address.is_loopback())
}

/// The host's resolv.conf; where that points at a resolver on the host's own loopback, which no
/// container reaches, what systemd-resolved asks itself.
fn host_resolver(wiring: &Wiring) -> String {
    // by path: the host's /etc
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let is_local = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        words.next() == Some("nameserver") && words.next().is_some_and(is_loopback)
    };
    // systemd-resolved itself knows more than what it asks, and a user's container can ask it.
    if user::forwarder(wiring).is_none() && text.lines().any(is_local) {
        // by path: the host's /run
        if let Ok(real) = std::fs::read_to_string("/run/systemd/resolve/resolv.conf") {
            return real;
        }
    }
    text
}

/// What a name of `--add-host` stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostAddress {
    /// This address.
    Is(IpAddr),
    /// The host, as the container reaches it (`host-gateway`).
    Gateway,
}

impl fmt::Display for HostAddress {
    /// As `--add-host` takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(address) => address.fmt(f),
            Self::Gateway => f.write_str("host-gateway"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NameOptions, NetworkRequest};
    use berth_base::state::{WiredInterface, WiredLink};

    fn on(network: &str) -> CreateOptions {
        CreateOptions {
            networks: vec![NetworkRequest::named(network)],
            ..CreateOptions::default()
        }
    }

    fn wired() -> Wiring {
        Wiring {
            interfaces: vec![WiredInterface {
                network: "blue".into(),
                name: "eth0".into(),
                link: WiredLink::Pair {
                    bridge: "berth0".into(),
                    host_interface: "bv0".into(),
                    big_tcp: false,
                },
                mac: None,
                mtu: None,
                addresses: vec![("10.0.0.2".parse().unwrap(), 20)],
                gateways: vec!["10.0.0.1".parse().unwrap()],
                metric: 0,
            }],
            ..Wiring::default()
        }
    }

    #[test]
    fn hosts_has_the_container_and_what_was_added() {
        let mut options = on("blue");
        options.names = NameOptions {
            domain: Some("example.org".into()),
            add_hosts: vec![
                ("db".into(), HostAddress::Is("10.1.1.1".parse().unwrap())),
                ("host.docker.internal".into(), HostAddress::Gateway),
            ],
            ..NameOptions::default()
        };
        let text = hosts("web", &options, &wired());
        let own: Vec<&str> = text.lines().skip(6).collect();
        assert_eq!(
            own,
            [
                "10.1.1.1\tdb",
                "10.0.0.1\thost.docker.internal",
                "10.0.0.2\tweb.example.org web"
            ]
        );
    }

    const HOST: &str = "# of the host\nnameserver 127.0.0.53\nnameserver 192.0.2.53\nsearch a.example b.example\noptions edns0\n";

    #[test]
    fn the_default_network_has_the_hosts_resolvers() {
        insta::assert_snapshot!(resolver(&on("bridge"), HOST, None), @r"
        nameserver 192.0.2.53
        search a.example b.example
        options edns0
        ");
    }

    #[test]
    fn a_user_asks_the_host_by_way_of_the_carrier_where_only_its_loopback_answers() {
        let forwarder = Some("10.0.2.2".parse().unwrap());
        let local = "nameserver 127.0.0.53\n";
        let text = resolver(&on("pasta"), local, forwarder);
        assert_eq!(text, "nameserver 10.0.2.2\n");
        assert!(resolver(&on("pasta"), HOST, forwarder).starts_with("nameserver 192.0.2.53\n"));
    }

    #[test]
    fn networks_with_names_have_ours() {
        insta::assert_snapshot!(resolver(&on("blue"), HOST, None), @r"
        nameserver 127.0.0.11
        search a.example b.example
        options edns0 ndots:0
        ");
    }

    #[test]
    fn flags_win() {
        let mut options = on("bridge");
        options.names = NameOptions {
            dns: vec!["9.9.9.9".parse().unwrap()],
            search: vec![".".into()],
            resolver_options: vec!["ndots:2".into()],
            ..NameOptions::default()
        };
        insta::assert_snapshot!(resolver(&options, HOST, None), @r"
        nameserver 9.9.9.9
        options ndots:2
        ");
    }
}
