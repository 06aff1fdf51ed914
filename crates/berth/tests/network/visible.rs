//! What `network inspect` and `map --ns net` show of wires, ports and who listens.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::world::World;

/// Two networks: web on blue and red with published ports and a server, idle on blue without one.
fn fill(world: &World) {
    for (name, subnet) in [("blue", "10.50.0.0/24"), ("red", "10.51.0.0/24")] {
        world.ok(&["network", "create", "--subnet", subnet, name]);
    }
    let server = "sleep 1000 & exec busybox nc -ll -p80 -e true";
    let ports = ["-p", "8080:80", "-p", "127.0.0.1:5300:53/udp"];
    let networks = ["--network", "blue", "--network", "red"];
    let run = ["run", "-d", "--name", "web"];
    let command = ["host", "sh", "-c", server];
    world.ok(&[&run[..], &ports, &networks, &command].concat());
    let run = ["run", "-d", "--name", "idle", "--network", "blue"];
    world.ok(&[&run[..], &["host", "sleep", "1000"]].concat());
    world.wait("the server to listen", || {
        world
            .ok(&["exec", "web", "cat", "/proc/net/tcp", "/proc/net/tcp6"])
            .contains(":0050 ")
    });
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Name, then index and hardware address, of each interface of a namespace, from `ip -o link`.
fn links(text: &str) -> BTreeMap<String, (u64, String)> {
    text.lines()
        .map(|line| {
            let (index, rest) = line.split_once(": ").unwrap();
            let name = rest.split([':', '@']).next().unwrap();
            let mac = rest.split("link/ether ").nth(1).unwrap_or_default();
            let mac = mac.split(' ').next().unwrap();
            (name.to_owned(), (index.parse().unwrap(), mac.to_owned()))
        })
        .collect()
}

#[test]
fn inspect_shows_both_ends_and_who_listens() {
    let Some(world) = World::new() else { return };
    fill(&world);
    let all = json(&world.ok(&["network", "inspect", "blue", "red"]));
    let id = world.ok(&["inspect", "-f", "{{.Id}}", "web"]);
    let blue = &all[0];
    // As Docker's users know it.
    assert_eq!(blue["Containers"][&id]["IPv4Address"], "10.50.0.2/24");
    assert_eq!(blue["IPAM"]["Config"][0]["Subnet"], "10.50.0.0/24");
    assert_eq!(blue["Internal"], false);
    assert_eq!(blue["EnableIPv6"], false);
    assert!(blue["Options"].is_object() && blue["Labels"].is_object());
    // The wire, against what another program sees.
    let (host, inside) = (
        links(&world.host("ip -o link")),
        links(&world.within_container("web", world_ip)),
    );
    let web = &blue["Berth"]["Containers"][&id];
    assert_eq!(
        (&web["Name"], &web["Running"]),
        (&Value::from("web"), &Value::from(true))
    );
    for (end, all) in [("Interface", &inside), ("HostInterface", &host)] {
        let end = &web[end];
        let (index, mac) = &all[end["Name"].as_str().unwrap()];
        assert_eq!(end["Index"], *index);
        assert_eq!(end["MacAddress"], *mac);
        assert_eq!(
            (&end["Up"], &end["Mtu"]),
            (&Value::from(true), &Value::from(1500))
        );
    }
    assert_eq!(web["Interface"]["Name"], "eth0");
    // Where Docker has it, too.
    let mac = &web["Interface"]["MacAddress"];
    assert_eq!(blue["Containers"][&id]["MacAddress"], *mac);
    let format = "{{.NetworkSettings.Networks.blue.MacAddress}}";
    assert_eq!(world.ok(&["inspect", "-f", format, "web"]), *mac);
    assert!(
        web["Interface"]["Addresses"]
            .as_array()
            .unwrap()
            .contains(&"10.50.0.2/24".into())
    );
    let bridge = blue["Berth"]["Interface"].as_str().unwrap();
    assert_eq!(web["HostInterface"]["Bridge"], bridge);
    assert_eq!(blue["Berth"]["Carriers"][0]["Index"], host[bridge].0);
    // Who listens, and who does not.
    let published = web["Published"].as_array().unwrap();
    let of = |protocol: &str| {
        published
            .iter()
            .find(|p| p["Protocol"] == protocol)
            .unwrap()
    };
    assert_eq!(of("tcp")["HostPort"], 8080);
    let server = &of("tcp")["Listeners"][0];
    let pid = world.ok(&["inspect", "-f", "{{.State.Pid}}", "web"]);
    assert_eq!(server["HostPid"].to_string(), pid);
    assert_eq!(
        (&server["Pid"], &server["Process"]),
        (&Value::from(1), &Value::from("busybox"))
    );
    assert_eq!(of("udp")["Listeners"], Value::Array(Vec::new()));
    // Ports arrive by the first network.
    assert_eq!(
        all[1]["Berth"]["Containers"][&id]["Published"],
        Value::Array(Vec::new())
    );
    assert_eq!(
        all[1]["Berth"]["Containers"][&id]["Interface"]["Name"],
        "eth1"
    );
    assert_eq!(blue["Berth"]["Notes"], Value::Array(Vec::new()));
}

/// `ip -o link` where the calling thread is.
fn world_ip() -> String {
    let output = std::process::Command::new("ip")
        .args(["-o", "link"])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Numbers and random names as words.
fn masked(text: &str, host: &BTreeMap<String, (u64, String)>) -> String {
    let mut masked = text.to_owned();
    for (name, (index, mac)) in host {
        let word = match name {
            name if name.starts_with("bv") => "PORT",
            name if name.starts_with("berth") => "BRIDGE",
            _ => continue,
        };
        masked = masked.replace(&format!("{name} ({index})"), &format!("{word} (N)"));
        masked = masked.replace(&**name, word).replace(&**mac, "MAC");
    }
    let hide = |text: String, from: &str, to: char| {
        let mut parts = text.split(from);
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |text, part| {
            let rest = part.split_once(to).map_or("", |(_, rest)| rest);
            format!("{text}{from}N{to}{rest}")
        })
    };
    hide(hide(masked, "host ", ')'), "eth0 (", ')')
}

#[test]
fn wires_are_shown_as_text() {
    let Some(world) = World::new() else { return };
    fill(&world);
    let host = links(&world.host("ip -o link"));
    let shown = world.ok(&["network", "inspect", "-f", "table", "blue"]);
    assert!(shown.lines().all(|line| line.len() <= 80), "{shown}");
    insta::assert_snapshot!(masked(&shown, &host), @r"
    blue  bridge
      10.50.0.0/24  gateway 10.50.0.1
      BRIDGE (N)  MAC  mtu 1500
      idle  10.50.0.3/24
        eth0 (N)  02:42:0a:32:00:03  mtu 1500
        <-> PORT (N)  MAC  mtu 1500  on BRIDGE
      web  10.50.0.2/24
        eth0 (N)  02:42:0a:32:00:02  mtu 1500
        <-> PORT (N)  MAC  mtu 1500  on BRIDGE
        0.0.0.0:8080->80/tcp  busybox (pid 1, host N)
        127.0.0.1:5300->53/udp  nobody listens
    ");
    world.ok(&["rm", "-f", "idle"]);
    world.ok(&["stop", "-t", "0", "web"]);
    let shown = world.ok(&["network", "inspect", "-f", "table", "blue"]);
    assert!(
        shown.contains("web  not running, keeps  10.50.0.2/24"),
        "{shown}"
    );
    let done = world.run(&["network", "inspect", "-f", "table", "green", "blue"]);
    assert_eq!(done.code, 1);
    assert!(
        done.err.contains("green") && done.out.contains("blue  bridge"),
        "{done:?}"
    );
}

#[test]
fn the_map_draws_the_wires() {
    let Some(world) = World::new() else { return };
    fill(&world);
    let text = world.ok(&["map", "--ns", "net", "--width", "80"]);
    let host = links(&world.host("ip -o link"));
    let own = text
        .split("\nwires: ")
        .find(|part| part.contains("of network blue"))
        .unwrap();
    let own: Vec<&str> = own
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with(' '))
        .collect();
    assert!(own.iter().all(|line| line.chars().count() <= 80), "{own:?}");
    let mut parts: Vec<String> = masked(&own.join("\n"), &host)
        .split("\n  BRIDGE")
        .map(|part| format!("{}\n", part.trim_start_matches("  BRIDGE")))
        .collect();
    parts.sort();
    insta::assert_snapshot!(parts.join(""), @r"
      bridge of network blue  10.50.0.1/24
        PORT <-> eth0@web  10.50.0.2/24
          127.0.0.1:5300->53/udp  nobody listens
          :8080->80/tcp  busybox (pid 1, host N)
        PORT <-> eth0@idle  10.50.0.3/24
      bridge of network red  10.51.0.1/24
        PORT <-> eth1@web  10.51.0.2/24
    ");
    // The same of the document.
    let document = json(&world.ok(&["map", "--json"]));
    let id = world.ok(&["inspect", "-f", "{{.State.Pid}}", "web"]);
    let networks = document["networks"].as_array().unwrap();
    let web = networks
        .iter()
        .find(|n| n["published"][0]["host_port"] == 8080 || n["published"][1]["host_port"] == 8080);
    let published = web.unwrap()["published"].as_array().unwrap();
    let tcp = published.iter().find(|p| p["protocol"] == "tcp").unwrap();
    assert_eq!(tcp["processes"][0].to_string(), id);
    assert_eq!(tcp["port"], 80);
}
