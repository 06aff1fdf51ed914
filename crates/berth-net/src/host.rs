//! The host's own network.

use berth_sys::batch::NetlinkSocket;
use berth_sys::route;
use ipnet::IpNet;

use crate::NetError;

/// Where the host's routes lead, without the default ones: networks must not overlap them.
///
/// # Errors
/// [`NetError::Kernel`].
pub fn routes() -> Result<Vec<IpNet>, NetError> {
    let read = || {
        let socket = NetlinkSocket::route()?;
        route::destinations(&socket)
    };
    let found = read().map_err(|why| NetError::kernel("list the routes of this host", why))?;
    let nets = found
        .into_iter()
        .filter_map(|(address, prefix)| IpNet::new(address, prefix).ok());
    Ok(nets.filter(|net| net.prefix_len() > 0).collect())
}

/// For which families the host has a default route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DefaultRoutes {
    /// IPv4.
    pub ipv4: bool,
    /// IPv6.
    pub ipv6: bool,
}

/// The host's default routes.
///
/// # Errors
/// [`NetError::Kernel`].
pub fn default_routes() -> Result<DefaultRoutes, NetError> {
    let read = || route::default_routes(&NetlinkSocket::route()?);
    let (ipv4, ipv6) =
        read().map_err(|why| NetError::kernel("list the routes of this host", why))?;
    Ok(DefaultRoutes { ipv4, ipv6 })
}
