//! Leases that come, change and go in a folder of the test's.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use super::*;

fn container(digit: char) -> ContainerId {
    digit.to_string().repeat(64).parse().unwrap()
}

/// A lease's file, as the allocator writes it.
fn lease(digit: char, name: &str, aliases: &[&str], addresses: &[&str]) -> String {
    let mut json = serde_json::json!({
        "version": 1,
        "container": digit.to_string().repeat(64),
        "name": name,
        "aliases": aliases,
        "interface": "eth0",
        "something_new": 1,
    });
    for address in addresses {
        let key = if address.contains(':') {
            "ipv6"
        } else {
            "ipv4"
        };
        json[key] = (*address).into();
    }
    json.to_string()
}

struct World {
    folder: tempfile::TempDir,
    zone: Zone,
}

impl World {
    fn new(networks: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for network in networks {
            fs::create_dir_all(folder.path().join(network).join("leases")).unwrap();
        }
        let mut zone = Zone::new(folder.path().to_owned()).unwrap();
        for digit in "abcdef1".chars() {
            zone.set_running(&container(digit), true);
        }
        Self { folder, zone }
    }

    fn leases(&self, network: &str) -> PathBuf {
        self.folder.path().join(network).join("leases")
    }

    /// Writes a lease as the allocator does: whole, by link(2).
    fn put(&self, network: &str, address: &str, text: &str) {
        let temporary = self.leases(network).join(format!(".{address}.1.0"));
        fs::write(&temporary, text).unwrap();
        fs::hard_link(&temporary, self.leases(network).join(address)).unwrap();
        fs::remove_file(&temporary).unwrap();
    }

    fn remove(&self, network: &str, address: &str) {
        fs::remove_file(self.leases(network).join(address)).unwrap();
    }

    fn find(&mut self, network: &str, name: &str, family: Family) -> Option<Vec<String>> {
        self.zone.refresh();
        let addresses = self.zone.addresses(network, name.as_bytes(), family)?;
        Some(addresses.map(|address| address.to_string()).collect())
    }

    fn v4(&mut self, name: &str) -> Option<Vec<String>> {
        self.find("net", name, Family::V4)
    }
}

#[test]
fn names_aliases_and_short_ids_lead_to_addresses() {
    let mut world = World::new(&["net"]);
    world.put(
        "net",
        "10.0.0.2",
        &lease(
            'a',
            "Web",
            &["front", "Web", "a.b"],
            &["10.0.0.2", "fd00::2"],
        ),
    );
    world.zone.hold("net").unwrap();
    for name in ["web", "front", "aaaaaaaaaaaa", "a.b"] {
        assert_eq!(world.v4(name).unwrap(), ["10.0.0.2"], "{name}");
        assert_eq!(
            world.find("net", name, Family::V6).unwrap(),
            ["fd00::2"],
            "{name}"
        );
        assert_eq!(
            world.find("net", name, Family::Both).unwrap().len(),
            2,
            "{name}"
        );
    }
    for name in ["other", "we", "aaaaaaaaaaa", ""] {
        assert_eq!(world.v4(name), None, "{name}");
    }
    assert_eq!(
        world.zone.name_of("net", "fd00::2".parse().unwrap()),
        Some("Web")
    );
    assert_eq!(world.zone.name_of("net", "10.0.0.3".parse().unwrap()), None);
    assert_eq!(world.find("other", "web", Family::V4), None);
}

#[test]
fn a_name_without_an_address_of_a_family_exists() {
    let mut world = World::new(&["net"]);
    world.zone.hold("net").unwrap();
    world.put("net", "10.0.0.2", &lease('a', "web", &[], &["10.0.0.2"]));
    assert_eq!(world.find("net", "web", Family::V6), Some(Vec::new()));
}

#[test]
fn what_changes_is_seen() {
    let mut world = World::new(&["net"]);
    world.zone.hold("net").unwrap();
    assert!(!world.zone.refresh());
    assert_eq!(world.v4("web"), None);
    world.put("net", "10.0.0.2", &lease('a', "web", &[], &["10.0.0.2"]));
    assert_eq!(world.v4("web").unwrap(), ["10.0.0.2"]);
    // Replaced by rename(2), with another name.
    let temporary = world.leases("net").join(".new");
    fs::write(&temporary, lease('a', "shop", &["web2"], &["10.0.0.2"])).unwrap();
    fs::rename(&temporary, world.leases("net").join("10.0.0.2")).unwrap();
    assert_eq!((world.v4("web"), world.v4("web2").is_some()), (None, true));
    assert_eq!(
        world.zone.name_of("net", "10.0.0.2".parse().unwrap()),
        Some("shop")
    );
    world.remove("net", "10.0.0.2");
    assert_eq!((world.v4("shop"), world.v4("web2")), (None, None));
    assert_eq!(world.zone.name_of("net", "10.0.0.2".parse().unwrap()), None);
}

#[test]
fn a_container_that_has_ended_has_a_lease_and_no_name() {
    let mut world = World::new(&["net"]);
    let address = "10.0.0.2".parse().unwrap();
    world.zone.set_running(&container('a'), false);
    world.put(
        "net",
        "10.0.0.2",
        &lease('a', "web", &["all"], &["10.0.0.2"]),
    );
    world.put(
        "net",
        "10.0.0.3",
        &lease('b', "db", &["all"], &["10.0.0.3"]),
    );
    world.zone.hold("net").unwrap();
    assert_eq!(world.v4("web"), None);
    assert_eq!(world.v4("all").unwrap(), ["10.0.0.3"]);
    world.zone.set_running(&container('a'), true);
    world.zone.set_running(&container('a'), true);
    assert_eq!(world.v4("web").unwrap(), ["10.0.0.2"]);
    assert_eq!(world.v4("all").unwrap().len(), 2);
    assert_eq!(world.zone.name_of("net", address), Some("web"));
    world.zone.set_running(&container('a'), false);
    assert_eq!((world.v4("web"), world.v4("all").unwrap().len()), (None, 1));
    assert_eq!(world.zone.name_of("net", address), None);
    // Its lease can go in the meantime.
    world.remove("net", "10.0.0.2");
    world.zone.refresh();
    world.zone.set_running(&container('a'), true);
    assert_eq!(world.v4("web"), None);
}

#[test]
fn what_is_no_lease_is_not_there() {
    let mut world = World::new(&["net"]);
    world.zone.hold("net").unwrap();
    let newer = lease('c', "newer", &[], &["10.0.0.4"]).replace("\"version\":1", "\"version\":99");
    for (file, text) in [
        ("10.0.0.2", "{\"version\":1"),
        ("10.0.0.3", ""),
        ("10.0.0.4", &newer),
        ("10.0.0.6", &lease('e', "elsewhere", &[], &["10.0.0.7"])),
        ("cursor", "17"),
        (".10.0.0.8", &lease('f', "hidden", &[], &["10.0.0.8"])),
    ] {
        fs::write(world.leases("net").join(file), text).unwrap();
    }
    fs::create_dir(world.leases("net").join("10.0.0.9")).unwrap();
    for name in ["newer", "elsewhere", "hidden"] {
        assert_eq!(world.v4(name), None, "{name}");
    }
    // A lease with two addresses can have two files.
    let both = lease('1', "both", &[], &["10.0.0.10", "fd00::10"]);
    world.put("net", "10.0.0.10", &both);
    world.put("net", "fd00::10", &both);
    assert_eq!(world.v4("both").unwrap(), ["10.0.0.10"]);
}

#[test]
fn containers_with_one_name_take_turns_for_each_family() {
    let mut world = World::new(&["net"]);
    for (digit, last) in [('a', 2), ('b', 3), ('c', 4)] {
        let addresses = [format!("10.0.0.{last}"), format!("fd00::{last}")];
        let text = lease(
            digit,
            &format!("web{last}"),
            &["web"],
            &[&addresses[0], &addresses[1]],
        );
        world.put("net", &addresses[0], &text);
    }
    world.zone.hold("net").unwrap();
    for family in [Family::V4, Family::V6, Family::Both] {
        let mut firsts = HashSet::new();
        for _ in 0..3 {
            // As a client does who asks for both families.
            let found = world.find("net", "web", family).unwrap();
            let other = if family == Family::V4 {
                Family::V6
            } else {
                Family::V4
            };
            world.find("net", "web", other).unwrap();
            let count = if family == Family::Both { 6 } else { 3 };
            assert_eq!(found.iter().collect::<HashSet<_>>().len(), count);
            firsts.insert(found[0].clone());
        }
        // ANY shares its turn with A.
        let least = if family == Family::Both { 2 } else { 3 };
        assert!(firsts.len() >= least, "{family:?}: {firsts:?}");
    }
    world.remove("net", "10.0.0.3");
    assert_eq!(world.v4("web").unwrap().len(), 2);
}

#[test]
fn networks_are_apart_and_let_go() {
    let mut world = World::new(&["net", "other"]);
    world.put("net", "10.0.0.2", &lease('a', "web", &[], &["10.0.0.2"]));
    world.put("other", "10.1.0.2", &lease('b', "web", &[], &["10.1.0.2"]));
    world.zone.hold("net").unwrap();
    world.zone.hold("other").unwrap();
    world.zone.hold("net").unwrap();
    assert_eq!(
        world.find("other", "web", Family::V4).unwrap(),
        ["10.1.0.2"]
    );
    assert_eq!(world.v4("web").unwrap(), ["10.0.0.2"]);
    world.zone.release("net");
    assert!(world.v4("web").is_some());
    world.zone.release("net");
    assert_eq!(world.v4("web"), None);
    // It is nobody's: nothing is heard of it.
    world.zone.refresh();
    world.put("net", "10.0.0.3", &lease('c', "shop", &[], &["10.0.0.3"]));
    assert!(!world.zone.refresh());
}

#[test]
fn a_network_without_a_folder_cannot_be_held() {
    let mut world = World::new(&[]);
    assert_eq!(
        world.zone.hold("net").unwrap_err().kind(),
        io::ErrorKind::NotFound
    );
    assert!(world.zone.networks.is_empty());
}

#[test]
fn a_folder_that_is_made_anew_is_watched_anew() {
    let mut world = World::new(&["net"]);
    world.zone.hold("net").unwrap();
    world.put("net", "10.0.0.2", &lease('a', "web", &[], &["10.0.0.2"]));
    assert!(world.v4("web").is_some());
    fs::remove_dir_all(world.folder.path().join("net")).unwrap();
    assert_eq!(world.v4("web"), None);
    fs::create_dir_all(world.leases("net")).unwrap();
    world.put("net", "10.0.0.3", &lease('b', "web", &[], &["10.0.0.3"]));
    world.zone.hold("net").unwrap();
    assert_eq!(world.v4("web").unwrap(), ["10.0.0.3"]);
}

#[test]
fn lost_announcements_are_made_up_for() {
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let limit: usize = limit.trim().parse().unwrap();
    let mut world = World::new(&["net"]);
    world.zone.hold("net").unwrap();
    world.put("net", "10.0.0.2", &lease('a', "old", &[], &["10.0.0.2"]));
    assert!(world.v4("old").is_some());
    let noise = |folder: &Path, name: &str| fs::write(folder.join(name), "").unwrap();
    // Same announcements in a row are one: two files in turn.
    for _ in 0..limit / 2 + 1 {
        noise(&world.leases("net"), ".a");
        noise(&world.leases("net"), ".b");
    }
    world.put("net", "10.0.0.3", &lease('b', "new", &[], &["10.0.0.3"]));
    world.remove("net", "10.0.0.2");
    assert_eq!(world.v4("new").unwrap(), ["10.0.0.3"]);
    assert_eq!(world.v4("old"), None);
}

#[test]
fn five_hundred_names_are_found() {
    let mut world = World::new(&["net"]);
    world.zone.hold("net").unwrap();
    let address = |n: u16| format!("10.0.{}.{}", n / 250, n % 250 + 1);
    for n in 0..500 {
        let text = lease('a', &format!("c{n}"), &["all"], &[&address(n)]);
        world.put("net", &address(n), &text);
        if n % 100 == 0 {
            assert!(world.v4(&format!("c{n}")).is_some());
        }
    }
    for n in 0..500 {
        assert_eq!(world.v4(&format!("c{n}")).unwrap(), [address(n)]);
    }
    assert_eq!(world.v4("all").unwrap().len(), 500);
}
