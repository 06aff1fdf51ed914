//! `network create`, `ls`, `inspect`, `rm`, `prune`: what they take and what they refuse.

use crate::world::World;

#[test]
fn networks_come_and_go() {
    let Some(world) = World::new() else { return };
    let id = world.ok(&["network", "create", "--label", "a=b", "blue"]);
    assert_eq!(id.len(), 64);
    world.ok(&[
        "network",
        "create",
        "--subnet",
        "10.50.0.0/24",
        "--ipv6",
        "red",
    ]);
    let listed = world.ok(&[
        "network",
        "ls",
        "--format",
        "{{.Name}} {{.Driver}} {{.IPv6}}",
    ]);
    assert_eq!(listed, "blue bridge false\nred bridge true");
    assert_eq!(
        world.ok(&["network", "ls", "-q", "--no-trunc", "--filter", "label=a"]),
        id
    );
    let gateway = "{{(index .IPAM.Config 0).Gateway}}";
    assert_eq!(
        world.ok(&["network", "inspect", "-f", gateway, "red"]),
        "10.50.0.1"
    );
    assert_eq!(
        world.ok(&["network", "inspect", "-f", "{{.Name}}", &id[..8]]),
        "blue"
    );
    assert!(
        world.interfaces().is_empty(),
        "a bridge comes with its first container"
    );
    world.ok(&[
        "run",
        "-d",
        "--name",
        "web",
        "--network",
        "red",
        "host",
        "sleep",
        "1000",
    ]);
    let done = world.run(&["network", "rm", "red"]);
    assert_eq!(done.code, 1);
    insta::assert_snapshot!(done.err.trim_end(), @r#"berth: cannot remove network red: container web is on it; stop it first, or disconnect with "berth network disconnect""#);
    assert_eq!(
        world.ok(&["network", "prune", "-f"]),
        "Deleted Networks:\nblue"
    );
    world.ok(&["rm", "-f", "web"]);
    world.ok(&["network", "rm", "red"]);
    world.wait_for_interfaces(0);
    assert!(!world.host("nft list ruleset").contains("berth"));
    assert_eq!(world.ok(&["network", "ls", "-q"]), "");
}

#[test]
fn an_internal_network_has_no_way_out() {
    let Some(world) = World::new() else { return };
    world.ok(&["network", "create", "--internal", "quiet"]);
    let routes = world.sh("--network quiet", "tail -n +2 /proc/net/route | cut -f2");
    assert!(!routes.lines().any(|line| line == "00000000"), "{routes}");
}

#[test]
fn addresses_are_given_as_asked() {
    let Some(world) = World::new() else { return };
    world.ok(&[
        "network",
        "create",
        "--subnet",
        "10.50.0.0/24",
        "--subnet",
        "fd00:50::/64",
        "red",
    ]);
    let seen = world.sh(
        "--network red --ip 10.50.0.77 --ip6 fd00:50::abcd --mac-address 02:00:00:00:00:07",
        "hostname -I; cat /sys/class/net/eth0/address",
    );
    assert_eq!(seen, "10.50.0.77 fd00:50::abcd \n02:00:00:00:00:07");
    world.ok(&[
        "run",
        "-d",
        "--name",
        "a",
        "--network",
        "name=red,ip=10.50.0.9",
        "host",
        "sleep",
        "1000",
    ]);
    let refused = |flags: &[&str]| {
        let mut arguments = vec!["run", "--rm"];
        arguments.extend(flags);
        arguments.extend(["host", "true"]);
        let done = world.run(&arguments);
        assert_eq!(done.code, 125, "{done:?}");
        done.err.trim_end().to_owned()
    };
    insta::assert_snapshot!(refused(&["--network", "red", "--ip", "10.50.0.9"]), @"berth: cannot give the address 10.50.0.9 of network red: container a has it; leave the address out, or take a free one");
    insta::assert_snapshot!(refused(&["--network", "red", "--ip", "10.51.0.9"]), @"berth: cannot give the address 10.51.0.9 of network red: it is outside of the subnet 10.50.0.0/24");
    insta::assert_snapshot!(refused(&["--network", "nope"]), @r#"berth: there is no network nope: there is red; make it with "berth network create nope""#);
    insta::assert_snapshot!(refused(&["--network", "red", "--network", "host"]), @"berth: none, host, container:NAME and ns:PATH stand alone; leave out the other --network");
}

#[test]
fn what_cannot_be_made_is_said() {
    let Some(world) = World::new() else { return };
    world.ok(&["network", "create", "--subnet", "10.50.0.0/24", "red"]);
    let refused = |flags: &[&str]| {
        let mut arguments = vec!["network", "create"];
        arguments.extend(flags);
        let done = world.run(&arguments);
        assert_ne!(done.code, 0, "{done:?}");
        done.err.trim_end().to_owned()
    };
    insta::assert_snapshot!(refused(&["red"]), @r#"berth: there is a network red already; remove it with "berth network rm red", or take another name"#);
    insta::assert_snapshot!(refused(&["--subnet", "10.50.0.128/25", "x"]), @"berth: cannot use the subnet 10.50.0.128/25: it overlaps 10.50.0.0/24, network red; give another one by --subnet, or none");
    insta::assert_snapshot!(refused(&["--subnet", "10.60.0.1/24", "x"]), @"berth: 10.60.0.1/24 is no subnet: bits of the host are set; did you mean 10.60.0.0/24?");
    insta::assert_snapshot!(refused(&["--subnet", "10.60.0.1", "x"]), @r#"berth: invalid value "10.60.0.1" for --subnet: give an address and a length, such as 10.60.0.0/16 or fd00:60::/64"#);
    insta::assert_snapshot!(refused(&["--gateway", "here", "x"]), @r#"berth: invalid value "here" for --gateway: "here" is no address"#);
    insta::assert_snapshot!(refused(&["--gateway", "10.61.0.1", "x"]), @"berth: cannot use the gateway 10.61.0.1: no --subnet contains it");
    insta::assert_snapshot!(refused(&["-d", "weave", "x"]), @r#"berth: there is no network driver weave; there are bridge, macvlan and ipvlan, and "--network host" and "--network none" need no network"#);
    insta::assert_snapshot!(refused(&["-o", "foo=bar", "x"]), @"berth: the driver bridge has no option foo; there are com.docker.network.driver.mtu, com.docker.network.bridge.name, berth.big-tcp");
    insta::assert_snapshot!(refused(&["-d", "macvlan", "x"]), @"berth: a network of driver macvlan stands on an interface of the host; name it with -o parent=INTERFACE");
    assert_eq!(world.ok(&["network", "ls", "-q"]).lines().count(), 1);
}

#[test]
fn pools_and_the_published_address_are_those_of_the_configuration() {
    let Some(world) = World::new() else { return };
    let folder = world.berth.path("config/berth");
    std::fs::create_dir_all(&folder).unwrap();
    let settings = |text: &str| std::fs::write(folder.join("config.toml"), text).unwrap();
    settings(
        "[network]\npublish-address = \"127.0.0.1\"\n\
         default-address-pools = [{ base = \"10.99.0.0/16\", size = 24 }]\n",
    );
    world.ok(&["network", "create", "red"]);
    let subnet = world.ok(&[
        "network",
        "inspect",
        "-f",
        "{{range .IPAM.Config}}{{.Subnet}}{{end}}",
        "red",
    ]);
    assert_eq!(subnet, "10.99.0.0/24");
    let address = world.sh("", "hostname -I");
    assert_eq!(address, "10.99.1.2");
    world.ok(&[
        "run", "-d", "--name", "web", "-p", "8080:80", "host", "sleep", "1000",
    ]);
    assert_eq!(world.ok(&["port", "web"]), "80/tcp -> 127.0.0.1:8080");
    settings("");
    world.ok(&["stop", "-t", "0", "web"]);
    world.ok(&["start", "web"]);
    assert_eq!(world.ok(&["port", "web"]), "80/tcp -> 127.0.0.1:8080");
    world.ok(&[
        "run",
        "-d",
        "--name",
        "all",
        "-p",
        "0.0.0.0:8081:80",
        "host",
        "sleep",
        "1000",
    ]);
    assert_eq!(world.ok(&["port", "all"]), "80/tcp -> 0.0.0.0:8081");
    settings("[network]\ndefault-address-pools = [{ base = \"10.99.0.0/16\", size = 8 }]\n");
    let done = world.run(&["ps"]);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(
        done.err.contains("line 2: the size 8 of pool 10.99.0.0/16"),
        "{}",
        done.err
    );
}

#[test]
fn without_the_right_or_the_kernel_the_way_on_is_said() {
    let Some(world) = World::new() else { return };
    let berth = world.berth.bare_command(&["run", "--rm", "host", "true"]);
    let said = |shell: &str| {
        let mut command = std::process::Command::new("unshare");
        command
            .args(["--mount", "sh", "-c", shell, "sh"])
            .arg(berth.get_program())
            .args(berth.get_args())
            .env_remove("BERTH_DEFAULT_NETWORK");
        let done = crate::cli::finish(world.spawn(&mut command));
        assert_eq!(done.code, 125, "{done:?}");
        assert_eq!(world.leases("bridge"), [""; 0]);
        done.err
    };
    let denied = said("exec setpriv --bounding-set=-net_admin --inh-caps=-net_admin \"$@\"");
    assert!(denied.contains("cannot make the bridge berth"), "{denied}");
    assert!(
        denied.ends_with(
            "hint: networks need root, or CAP_NET_ADMIN over this network namespace; --network none and --network host do without\n"
        ),
        "{denied}"
    );
    let hidden = said("mount -t tmpfs none /proc/sys/net && exec \"$@\"");
    assert!(
        hidden.contains("ip_forward: No such file") && hidden.contains("do not reach the outside"),
        "{hidden}"
    );
    assert!(
        hidden.ends_with("sets it to 1; --network none and --network host do without\n"),
        "{hidden}"
    );
}

/// `-v` shows what is shown without it, all of it.
#[test]
fn all_is_shown_with_verbose_as_well() {
    let Some(world) = World::new() else { return };
    world.ok(&["network", "create", "blue"]);
    world.ok(&[
        "run",
        "-d",
        "--name",
        "web",
        "--network",
        "blue",
        "host",
        "sleep",
        "1000",
    ]);
    let plain = world.ok(&["network", "inspect", "blue"]);
    assert_eq!(world.ok(&["network", "inspect", "-v", "blue"]), plain);
    assert_eq!(
        world.ok(&["network", "inspect", "--verbose", "blue"]),
        plain
    );
    let shown: serde_json::Value = serde_json::from_str(&plain).unwrap();
    let containers = shown[0]["Containers"].as_object().unwrap();
    assert_eq!(containers.len(), 1);
    let name = [
        "network",
        "inspect",
        "-v",
        "-f",
        "{{range .Containers}}{{.Name}}{{end}}",
        "blue",
    ];
    assert_eq!(world.ok(&name), "web");
    let done = world.run(&["network", "inspect", "-v", "blue", "none"]);
    assert_eq!(done.code, 1);
    assert!(
        done.err.contains("none") && done.out.contains("\"blue\""),
        "{done:?}"
    );
}
