//! `[network]` of the configuration file.

use std::net::IpAddr;

use berth_engine::{AddressPool, Ipv4Net, NetworkSettings};
use serde::Deserialize;

/// The longest prefix of a network: room for a gateway and a container.
const LONGEST_PREFIX: u8 = 30;

/// What a file sets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct NetworkSection {
    default_address_pools: Option<Vec<Pool>>,
    publish_address: Option<IpAddr>,
    big_tcp: Option<bool>,
}

/// As in Docker's daemon.json: `{ base = "10.210.0.0/15", size = 20 }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawPool")]
struct Pool(AddressPool);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPool {
    base: Ipv4Net,
    size: u8,
}

impl TryFrom<RawPool> for Pool {
    type Error = String;

    fn try_from(RawPool { base, size }: RawPool) -> Result<Self, String> {
        if !(base.prefix_len()..=LONGEST_PREFIX).contains(&size) {
            let shortest = base.prefix_len();
            return Err(format!(
                "the size {size} of pool {base} is the length of a network's prefix: from {shortest} to {LONGEST_PREFIX}"
            ));
        }
        if base.trunc() != base {
            return Err(format!(
                "the pool {base} begins in the middle of a network; write {}",
                base.trunc()
            ));
        }
        Ok(Self(AddressPool { base, prefix: size }))
    }
}

impl NetworkSection {
    /// These settings, completed by those of `other`.
    pub(in crate::cli) fn over(self, other: Self) -> Self {
        Self {
            default_address_pools: self.default_address_pools.or(other.default_address_pools),
            publish_address: self.publish_address.or(other.publish_address),
            big_tcp: self.big_tcp.or(other.big_tcp),
        }
    }

    /// The settings in force.
    pub(in crate::cli) fn settings(self) -> NetworkSettings {
        let mut settings = NetworkSettings::default();
        if let Some(pools) = self.default_address_pools {
            settings.pools = pools.into_iter().map(|Pool(pool)| pool).collect();
        }
        settings.big_tcp = self.big_tcp.unwrap_or(settings.big_tcp);
        settings.publish_address = self.publish_address.filter(|a| !a.is_unspecified());
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(text: &str) -> Result<NetworkSection, String> {
        toml::from_str(text).map_err(|e| e.message().to_owned())
    }

    #[test]
    fn the_users_settings_win_one_by_one() {
        let user = section("publish-address = \"127.0.0.1\"").unwrap();
        let system = section(
            "publish-address = \"10.0.0.1\"\ndefault-address-pools = [{ base = \"10.9.0.0/16\", size = 24 }]",
        );
        let settings = user.over(system.unwrap()).settings();
        assert_eq!(settings.publish_address, Some([127, 0, 0, 1].into()));
        assert_eq!(settings.pools.len(), 1);
        assert_eq!(settings.pools[0].prefix, 24);
        assert_eq!(
            NetworkSection::default().settings(),
            NetworkSettings::default()
        );
    }

    #[test]
    fn senseless_pools_are_refused() {
        let pool = |base: &str, size: u8| {
            section(&format!(
                "default-address-pools = [{{ base = \"{base}\", size = {size} }}]"
            ))
            .unwrap_err()
        };
        assert_eq!(
            pool("10.9.0.0/16", 12),
            "the size 12 of pool 10.9.0.0/16 is the length of a network's prefix: from 16 to 30"
        );
        assert!(pool("10.9.0.0/16", 31).contains("to 30"));
        assert_eq!(
            pool("10.9.1.0/16", 24),
            "the pool 10.9.1.0/16 begins in the middle of a network; write 10.9.0.0/16"
        );
        assert!(pool("fd00::/8", 64).contains("address"), "IPv4 alone");
        assert!(section("pools = 3").unwrap_err().contains("pools"));
    }
}
