//! Ports of the host, reserved for containers by sockets that are bound to them.
//!
//! The kernel decides between two containers, and between a container and a program of the host;
//! keeper and monitor hold the sockets until their container has ended, which nobody hears of before,
//! so a port is free again however either of them ends. Nothing is ever received on them: packets to the port are sent on before they get there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use berth_base::{ErrorClass, PublishedPort, Transport};
use berth_net::ports::{self, PortError};

use super::PublishRequest;
use crate::stop::wake;
use crate::{Container, Engine, EngineError, caretaker};

/// How long a container that was killed from outside, or whose monitor was, may take to let go of its
/// ports: nobody waited for its end, and nobody can be named who has them.
const ENDING: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_millis(2);

impl Engine {
    /// Reserves what a container publishes. `before` is what it had in its last run: a port that was
    /// chosen then, by the kernel or of a range, stays the same where it is free.
    pub(super) fn reserve_ports(
        &self,
        container: &Container,
        before: &[PublishedPort],
    ) -> Result<(Vec<PublishedPort>, Vec<OwnedFd>), EngineError> {
        let mut published = Vec::new();
        let mut sockets = Vec::new();
        for request in &container.create.options.publish {
            let again = earlier(request, before, &published);
            let taken = match again.map(|port| self.reserve_soon(request, &[port])) {
                Some(Ok(taken)) => taken,
                Some(Err(_)) | None => self.reserve_soon(request, &candidates(request))?,
            };
            for (host_address, host_port, socket) in taken {
                published.push(PublishedPort {
                    transport: request.transport,
                    host_address,
                    host_port,
                    container_port: request.container_port,
                });
                sockets.push(socket);
            }
        }
        Ok((published, sockets))
    }

    /// Takes one of the candidates, also when its last holder is only just going.
    fn reserve_soon(
        &self,
        request: &PublishRequest,
        candidates: &[u16],
    ) -> Result<Vec<Reserved>, EngineError> {
        let begun = Instant::now();
        loop {
            let (port, error) = match reserve_one(request, candidates) {
                Ok(taken) => return Ok(taken),
                Err(refused) => refused,
            };
            let (holder, is_going) = match error {
                PortError::Taken => self.holder_of(request.transport, port),
                _ => (None, false),
            };
            if !is_going || begun.elapsed() > ENDING {
                return Err(not_published(request, port, &error, holder));
            }
            std::thread::sleep(RETRY);
        }
    }

    /// Who has a port: a container of ours, or a program of the host that listens. And whether that is
    /// likely to end in a moment: nobody is seen to have it, or what is left of a container.
    fn holder_of(&self, transport: Transport, port: u16) -> (Option<String>, bool) {
        for id in self.store().ids().unwrap_or_default() {
            let Ok(Some(wiring)) = self.store().read_wiring(&id) else {
                continue;
            };
            let has = |p: &PublishedPort| p.transport == transport && p.host_port == port;
            if !wiring.published.iter().any(has) {
                continue;
            }
            let Ok(view) = self.view(&id) else {
                continue;
            };
            if view.container.status.is_live() {
                return (Some(format!("container {}", view.container.name)), false);
            }
            // Its keeper and monitor cannot let go of it while they are stopped.
            wake(&view);
        }
        match ports::listener(transport, port) {
            None => (None, true),
            Some(process) => {
                let is_ours = caretaker::is_name(&process.name);
                (Some(process.to_string()), is_ours)
            }
        }
    }
}

/// Takes the first of the candidates that is free on all addresses; else says of the last one why
/// not.
fn reserve_one(
    request: &PublishRequest,
    candidates: &[u16],
) -> Result<Vec<Reserved>, (u16, PortError)> {
    let addresses: &[IpAddr] = match &request.host_address {
        Some(address) => std::slice::from_ref(address),
        None => &[
            IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        ],
    };
    let mut refused = (0, PortError::NoneFree);
    for port in candidates {
        match reserve_all(request.transport, addresses, *port) {
            Ok(taken) => return Ok(taken),
            Err(error) => refused = (*port, error),
        }
    }
    Err(refused)
}

fn not_published(
    request: &PublishRequest,
    port: u16,
    error: &PortError,
    holder: Option<String>,
) -> EngineError {
    let what = format!("port {port}/{}", request.transport);
    let (class, why) = match error {
        PortError::Taken => {
            let holder = holder.unwrap_or_else(|| "another program".to_owned());
            (
                ErrorClass::Conflict,
                format!("{holder} has it; stop that, or publish another port with -p"),
            )
        }
        PortError::NotOurs(address) => (
            ErrorClass::Invalid,
            format!("{address} is no address of this host; \"ip address\" lists them"),
        ),
        PortError::Other(e) if e.kind() == std::io::ErrorKind::PermissionDenied => (
            ErrorClass::Denied,
            "ports below that of the sysctl net.ipv4.ip_unprivileged_port_start are root's; publish a higher one with -p".to_owned(),
        ),
        PortError::NoneFree => (ErrorClass::Unavailable, "no port is free".to_owned()),
        PortError::Other(e) => (ErrorClass::Unavailable, e.to_string()),
    };
    EngineError::new(class, format!("cannot publish {what}: {why}")).on(what)
}

/// The ports to try, in order; 0 is the kernel's choice.
fn candidates(request: &PublishRequest) -> Vec<u16> {
    let (first, last) = request.host_ports.unwrap_or((0, 0));
    (first..=last).collect()
}

/// The port that was chosen for a request in the last run; `published` are those that the requests
/// before it have taken now.
fn earlier(
    request: &PublishRequest,
    before: &[PublishedPort],
    published: &[PublishedPort],
) -> Option<u16> {
    let (first, last) = request.host_ports.unwrap_or((1, u16::MAX));
    let mut fitting = before.iter().filter(|port| {
        port.transport == request.transport
            && port.container_port == request.container_port
            && (first..=last).contains(&port.host_port)
            && !published
                .iter()
                .any(|taken| taken.transport == port.transport && taken.host_port == port.host_port)
    });
    let port = fitting.next()?.host_port;
    // One that is fixed is no choice.
    (first != last).then_some(port)
}

type Reserved = (IpAddr, u16, OwnedFd);

/// The same port on all addresses, or none.
fn reserve_all(
    transport: Transport,
    addresses: &[IpAddr],
    wanted: u16,
) -> Result<Vec<Reserved>, PortError> {
    /// How often the kernel is asked for a port that is free for every address.
    const TRIES: usize = 16;
    let tries = if wanted == 0 { TRIES } else { 1 };
    let mut last = PortError::NoneFree;
    for _ in 0..tries {
        match reserve_each(transport, addresses, wanted) {
            Err(PortError::Taken) if wanted == 0 => last = PortError::NoneFree,
            other => return other,
        }
    }
    Err(last)
}

fn reserve_each(
    transport: Transport,
    addresses: &[IpAddr],
    wanted: u16,
) -> Result<Vec<Reserved>, PortError> {
    let mut reserved: Vec<Reserved> = Vec::new();
    for address in addresses {
        let port = reserved.first().map_or(wanted, |(_, port, _)| *port);
        match ports::reserve(transport, *address, port) {
            Ok((port, socket)) => reserved.push((*address, port, socket)),
            // A host without IPv6 has none to publish on.
            Err(PortError::NotOurs(_)) if addresses.len() > 1 && address.is_ipv6() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(reserved)
}
