//! Who carries the packets, and for how long.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use crate::cli::eventually;
use crate::host::{Held, Host, host};

fn has_eth0(host: &Host, name: &str) -> bool {
    let path = format!("/proc/{}/net/dev", host.init(name));
    std::fs::read_to_string(path).unwrap().contains("eth0")
}

#[test]
fn what_is_installed_is_taken() {
    let Some(host) = host(&["pasta", "slirp4netns"]) else {
        return;
    };
    let name = |programs: &[&str]| {
        let arguments = ["run", "-d", "--name", "web", "host", "sleep", "600"];
        let done = host.run_with(&arguments, Some(programs));
        assert_eq!(done.code, 0, "{done:?}");
        let program = host.servants("web").program;
        let inside = host.ok(&["exec", "web", "cat", "/proc/net/if_inet6"]);
        host.ok(&["rm", "-f", "web"]);
        assert!(program.has_ended());
        // Only pasta has IPv6.
        inside.contains("fd000000000000000000000000000064")
    };
    assert!(name(&["pasta", "slirp4netns"]));
    assert!(!name(&["slirp4netns"]));
    let run = ["run", "--rm", "host", "true"];
    assert_eq!(
        host.fails(&run, Some(&[])),
        "berth: cannot connect the container: neither pasta nor slirp4netns is installed; install \
         the package passt or slirp4netns, or give --network none"
    );
    let done = host.run_with(
        &["run", "--rm", "--network", "none", "host", "true"],
        Some(&[]),
    );
    assert_eq!(done.code, 0, "{done:?}");
}

#[test]
fn the_hardware_address_is_shown() {
    for carrier in ["pasta", "slirp4netns"] {
        let Some(host) = host(&[carrier]) else {
            continue;
        };
        let run = ["run", "-d", "--name", "web", "--network", carrier];
        host.ok(&[&run[..], &["host", "sleep", "600"]].concat());
        let line = host.ok(&["exec", "web", "cat", "/sys/class/net/eth0/address"]);
        let format = "{{range .NetworkSettings.Networks}}{{.MacAddress}}{{end}}";
        assert_eq!(host.ok(&["inspect", "-f", format, "web"]), line);
        host.ok(&["rm", "-f", "web"]);
    }
}

#[test]
fn what_needs_root_is_refused() {
    let Some(host) = host(&["pasta"]) else { return };
    let with = |flags: &str| {
        let mut arguments = vec!["run", "--rm"];
        arguments.extend(flags.split_whitespace());
        arguments.extend(["host", "true"]);
        host.fails(&arguments, None)
    };
    assert_eq!(
        with("--network blue"),
        "berth: cannot put the container on network blue: that needs root; without it there are \
         pasta, slirp4netns, none, host and container:NAME"
    );
    assert_eq!(
        with("--ip 10.0.2.7"),
        "berth: cannot fulfil --ip: networks with addresses and names need root"
    );
    assert_eq!(
        with("-p 80:80"),
        "berth: cannot publish port 80/tcp: ports below that of the sysctl \
         net.ipv4.ip_unprivileged_port_start are root's; publish a higher one with -p"
    );
    let twice = with("-p 127.0.0.1:8080:80 -p 127.0.0.2:8080:80");
    assert!(twice.contains("pasta has one for each port"), "{twice}");
}

/// What the kernel makes without udev.
#[test]
fn a_device_that_is_roots_is_named_with_the_remedy() {
    let Some(host) = host(&["pasta"]) else { return };
    let device = host.user.path("tun");
    std::fs::set_permissions(&device, PermissionsExt::from_mode(0o600)).unwrap();
    let said = "berth: cannot connect the container: /dev/net/tun cannot be opened: Permission \
                denied (os error 13); have the administrator run \"chmod 666 /dev/net/tun\", or give \
                --network none";
    assert_eq!(host.fails(&["run", "--rm", "host", "true"], None), said);
    let doctor = host.run(&["system", "doctor"]);
    assert_eq!(doctor.code, 1, "{doctor:?}");
    let remedy = "remedy: have the administrator run \"chmod 666 /dev/net/tun\"";
    assert!(doctor.out.contains(remedy), "{doctor:?}");
    std::fs::set_permissions(&device, PermissionsExt::from_mode(0o666)).unwrap();
    host.ok(&["run", "--rm", "host", "true"]);
}

#[test]
fn a_taken_port_is_refused_with_the_name_of_who_has_it() {
    let Some(host) = host(&["pasta"]) else { return };
    host.ok(&[
        "run", "-d", "--name", "web", "-p", "8080:80", "host", "sleep", "600",
    ]);
    let second = ["run", "--rm", "-p", "8080:80", "host", "true"];
    assert_eq!(
        host.fails(&second, None),
        "berth: cannot publish port 8080/tcp: container web has it; stop that, or publish another \
         port with -p"
    );
    host.ok(&["stop", "-t", "0", "web"]);
    let _listener = host.within(|| TcpListener::bind("0.0.0.0:8080").unwrap());
    let again = host.fails(&["start", "web"], None);
    assert!(again.contains("cannot publish port 8080/tcp"), "{again}");
    host.ok(&["rm", "web"]);
}

#[test]
fn a_container_that_starts_again_is_connected_again() {
    let Some(host) = host(&["pasta"]) else { return };
    host.ok(&[
        "run", "-d", "--name", "web", "-p", "8080:80", "host", "sleep", "600",
    ]);
    for _ in 0..3 {
        let program = host.servants("web").program;
        host.ok(&["stop", "-t", "0", "web"]);
        assert!(program.has_ended());
        host.ok(&["start", "web"]);
        assert!(has_eth0(&host, "web"));
    }
    host.ok(&["rm", "-f", "web"]);
}

#[test]
fn the_end_of_pasta_is_not_the_containers() {
    let Some(host) = host(&["pasta"]) else { return };
    host.ok(&["run", "-d", "--name", "web", "host", "sleep", "600"]);
    let servants = host.servants("web");
    servants.program.kill();
    servants
        .warden
        .wait("the warden to see that nothing is left to guard");
    assert!(!has_eth0(&host, "web"));
    host.ok(&["stop", "-t", "0", "web"]);
    host.ok(&["start", "web"]);
    assert!(has_eth0(&host, "web"));
    host.ok(&["rm", "-f", "web"]);
}

/// Whoever of a container's processes is killed: its network lives as long as it does, no longer.
#[test]
fn pasta_lives_as_long_as_the_container() {
    let Some(host) = host(&["pasta"]) else { return };
    for killed in ["monitor", "keeper", "both", "warden"] {
        host.ok(&["run", "-d", "--name", "web", "host", "sleep", "600"]);
        let servants = host.servants("web");
        let init = Held::new(host.init("web"));
        match killed {
            "monitor" => servants.monitor.kill(),
            "keeper" => servants.keeper.kill(),
            "both" => {
                servants.keeper.kill();
                servants.monitor.kill();
            }
            _ => servants.warden.kill(),
        }
        if killed == "warden" {
            servants
                .program
                .wait("the kernel to end pasta with its warden");
            assert!(!init.has_ended());
        } else {
            assert!(has_eth0(&host, "web"), "{killed}");
            assert!(!servants.program.has_ended(), "{killed}");
        }
        init.kill();
        servants.program.wait(killed);
        servants.warden.wait(killed);
        eventually("the container to be over", || {
            host.ok(&["ps", "-aq", "--filter", "status=running"])
                .is_empty()
        });
        host.ok(&["system", "restore"]);
        host.ok(&["rm", "-f", "web"]);
    }
}

#[test]
fn a_start_that_fails_leaves_nobody_with_its_ports() {
    let Some(host) = host(&["pasta"]) else { return };
    for _ in 0..3 {
        let run = ["run", "-p", "8080:80", "host", "/no/such/program"];
        let failed = host.fails(&run, None);
        assert!(failed.contains("/no/such/program"), "{failed}");
    }
    host.within(|| TcpListener::bind("0.0.0.0:8080").unwrap());
}

/// What carried its packets listens on the port, and is gone before anybody hears of the end.
#[test]
fn whoever_waits_for_the_end_of_a_container_has_its_ports() {
    for carrier in ["pasta", "slirp4netns"] {
        let Some(host) = host(&[carrier]) else {
            continue;
        };
        let run = ["run", "--rm", "--network", carrier, "-p", "8080:80"];
        for _ in 0..10 {
            host.ok(&[&run[..], &["host", "true"]].concat());
            host.within(|| TcpListener::bind("0.0.0.0:8080").map(drop))
                .unwrap();
        }
    }
}

/// It cannot follow the container, nor can the program then.
#[test]
fn a_warden_that_is_stopped_is_ended() {
    let Some(host) = host(&["pasta"]) else { return };
    let run = ["run", "-d", "--name", "web", "-p", "8080:80"];
    host.ok(&[&run[..], &["host", "sleep", "2"]].concat());
    let servants = host.servants("web");
    servants.warden.signal(Signal::STOP);
    host.ok(&["wait", "web"]);
    host.within(|| TcpListener::bind("0.0.0.0:8080").map(drop))
        .unwrap();
    assert!(servants.warden.has_ended());
    host.ok(&["rm", "web"]);
}

/// A policy's restart connects it again, with the same ports.
#[test]
fn a_policys_restart_has_the_same_ports() {
    let Some(host) = host(&["pasta"]) else { return };
    let server = ["busybox", "nc", "-ll", "-p80", "-e", "echo", "web"];
    let flags = ["run", "-d", "--name", "web", "-p", "8080:80"];
    host.ok(&[&flags[..], &["--restart", "always", "host"], &server].concat());
    let field = |field: &str| host.ok(&["inspect", "-f", &format!("{{{{{field}}}}}"), "web"]);
    let before = field(".NetworkSettings.IPAddress");
    for count in 1..3 {
        let program = host.servants("web").program;
        Held::new(host.init("web")).kill();
        program.wait("the end of what carried its packets");
        eventually("the restart", || {
            field(".RestartCount") == count.to_string() && field(".State.Status") == "running"
        });
        assert_eq!(field(".NetworkSettings.IPAddress"), before);
        assert_eq!(host.ok(&["port", "web", "80"]), "0.0.0.0:8080\n[::]:8080");
        let mut said = String::new();
        eventually("an answer at its port", || {
            said.clear();
            let mut stream = host
                .within(|| TcpStream::connect("127.0.0.1:8080"))
                .unwrap();
            stream.read_to_string(&mut said).is_ok() && !said.is_empty()
        });
        assert_eq!(said, "web\n");
    }
    host.ok(&["rm", "-f", "web"]);
}
