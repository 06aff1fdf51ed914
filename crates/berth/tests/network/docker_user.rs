//! Docker's chain for others, made here as Docker makes it: our pair of rules is in it whenever it is
//! needed. Beside a real dockerd: `tests/peers/beside`.

use crate::cli::PATIENCE;
use crate::ports::{ask, serve};
use crate::world::World;

/// What dockerd leaves of the filter table, as far as it concerns others.
const DOCKER: &str = "iptables-nft -N DOCKER-USER && iptables-nft -A DOCKER-USER -j RETURN \
    && iptables-nft -P FORWARD DROP && iptables-nft -I FORWARD -j DOCKER-USER";

/// How many rules of ours are in the chain.
fn rules(world: &World) -> usize {
    let listed = world.host("iptables-nft -S DOCKER-USER 2>/dev/null || true");
    let rules: Vec<&str> = listed
        .lines()
        .filter(|line| line.starts_with("-A"))
        .collect();
    // Behind Docker's own, which ends the chain, they would be of no use.
    assert!(
        rules.last().is_none_or(|last| last.ends_with("-j RETURN")),
        "{listed}"
    );
    rules.iter().filter(|line| line.contains("berth")).count()
}

fn await_pair(world: &World) {
    let end = std::time::Instant::now() + PATIENCE;
    while rules(world) != 2 {
        assert!(std::time::Instant::now() < end, "no pair of rules");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn the_pair_is_there_whenever_the_chain_is() {
    let Some(world) = World::new() else { return };
    if world.host("command -v iptables-nft || true").is_empty() {
        return berth_testkit::skip("iptables-nft is not installed");
    }
    let lan = world.neighbour();
    world.host("ip address add 192.0.2.2/24 dev up0");
    world.ok(&["network", "create", "blue"]);
    serve(&world, "web", &["--network", "blue", "-p", "8080:80"]);
    assert_eq!(ask(&lan, "192.0.2.2:8080").unwrap(), "web");
    // Docker comes later.
    world.host(DOCKER);
    await_pair(&world);
    assert_eq!(ask(&lan, "192.0.2.2:8080").unwrap(), "web");
    // Somebody empties the chain, or takes all there is, and Docker starts again.
    world.host("iptables-nft -F DOCKER-USER && iptables-nft -A DOCKER-USER -j RETURN");
    await_pair(&world);
    world.host(&format!("nft flush ruleset && {DOCKER}"));
    await_pair(&world);
    assert_eq!(ask(&lan, "192.0.2.2:8080").unwrap(), "web");
    world.host("printf '*filter\\n:FORWARD ACCEPT\\nCOMMIT\\n' | iptables-nft-restore");
    assert_eq!(rules(&world), 0);
    world.host(DOCKER);
    await_pair(&world);
    // It goes with the last network, and nobody brings it back.
    world.ok(&["rm", "-f", "web"]);
    world.ok(&["network", "rm", "blue"]);
    assert_eq!(rules(&world), 0);
    world.host("iptables-nft -N OTHER");
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(rules(&world), 0);
}
