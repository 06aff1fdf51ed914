//! Other people's rules that hold for our packets too.

use std::path::Path;

use berth_engine::dropping_chains;

use super::Patient;
use super::finding::{Finding, State};
use super::sysctl;

const AREA: &str = "Firewall";

pub(super) fn look(patient: &Patient<'_>) -> Vec<Finding> {
    if !patient.is_root {
        // A user's packets leave as the user's own.
        return Vec::new();
    }
    let mut all = vec![forwarding()];
    all.extend(policies());
    all.extend(firewalld());
    all
}

/// Turned on by the first network that needs it.
fn forwarding() -> Finding {
    let value = sysctl::read("net/ipv4/ip_forward").unwrap_or_default();
    let found = match value.as_str() {
        "1" => "on",
        _ => "off; the first network that is not internal turns it on",
    };
    Finding::ok(AREA, "net.ipv4.ip_forward", found)
}

fn policies() -> Vec<Finding> {
    let name = "others' policy for what is passed on";
    let dropping = match dropping_chains() {
        Ok(chains) if chains.is_empty() => return vec![Finding::ok(AREA, name, "accept")],
        Ok(chains) => chains,
        Err(error) => return vec![Finding::ok(AREA, name, error.message)],
    };
    let each = dropping.iter().map(|chain| {
        let name = format!("chain {} of table {}", chain.chain, chain.table);
        let found = match chain.asks_docker_user {
            true => "drops what no rule accepts; asks DOCKER-USER first, where ours are",
            false => "drops what no rule accepts",
        };
        Finding::ok(AREA, name, found).unless(
            chain.asks_docker_user,
            State::Warning,
            "containers of networks reach nothing outside, unless a rule there lets them",
            "iptables -I FORWARD -i berth+ -j ACCEPT; iptables -I FORWARD -o berth+ -j ACCEPT",
        )
    });
    each.collect()
}

/// It refuses what containers send, where their addresses are in no zone that lets them.
fn firewalld() -> Option<Finding> {
    let runs = ["/run/firewalld.pid", "/run/firewalld"]
        .iter()
        .any(|path| Path::new(path).exists());
    let finding = Finding::ok(AREA, "firewalld", "runs");
    runs.then(|| {
        finding.but(
            State::Warning,
            "containers of networks reach nothing outside, unless their zone lets them",
            "firewall-cmd --permanent --zone=trusted --add-source=10.210.0.0/15; firewall-cmd --reload",
        )
    })
}
