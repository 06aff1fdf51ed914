//! Published ports: who reaches them, who does not, and what becomes of them.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use crate::cli::{PATIENCE, eventually};
use crate::world::World;

/// A server of one line at port 80.
const SERVER: [&str; 5] = ["busybox", "nc", "-ll", "-p80", "-e"];

pub fn serve(world: &World, name: &str, flags: &[&str]) {
    let mut arguments = vec!["run", "-d", "--name", name];
    arguments.extend(flags);
    arguments.push("host");
    arguments.extend(SERVER);
    arguments.extend(["echo", name]);
    world.ok(&arguments);
}

/// What a TCP server says, once it listens; the error's kind when nobody does.
pub fn ask(world: &World, address: &str) -> Result<String, ErrorKind> {
    let end = Instant::now() + PATIENCE;
    loop {
        match ask_once(world, address) {
            // A server that was just started may not listen yet.
            Err(ErrorKind::ConnectionRefused) if Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(10));
            }
            other => return other,
        }
    }
}

/// What a TCP server says; the error's kind when nobody does by now.
pub fn ask_once(world: &World, address: &str) -> Result<String, ErrorKind> {
    let address: SocketAddr = address.parse().unwrap();
    let asked = world.within(|| {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text.trim().to_owned())
    });
    asked.map_err(|error: std::io::Error| error.kind())
}

/// Takes a port, once the monitor of the container that had it has closed it, which it does at its own
/// end.
pub fn take(world: &World, address: &str) -> TcpListener {
    let mut taken = None;
    eventually("the port to be free", || {
        taken = world.within(|| TcpListener::bind(address).ok());
        taken.is_some()
    });
    taken.unwrap()
}

#[test]
fn a_published_port_is_reached_from_everywhere_that_it_should() {
    let Some(world) = World::new() else { return };
    serve(&world, "web", &["-p", "8080:80"]);
    assert_eq!(ask(&world, "127.0.0.1:8080").unwrap(), "web");
    assert_eq!(ask(&world, "10.210.0.1:8080").unwrap(), "web");
    let inside =
        |name: &str| world.ok(&["exec", name, "busybox", "nc", "-w5", "10.210.0.1", "8080"]);
    assert_eq!(inside("web"), "web", "the container itself");
    serve(&world, "other", &[]);
    assert_eq!(inside("other"), "web", "a neighbour");
    world.ok(&["network", "create", "blue"]);
    serve(&world, "far", &["--network", "blue"]);
    assert_eq!(inside("far"), "web", "another network, through the port");
    // The other network itself is out of reach.
    let done = world.run(&["exec", "far", "busybox", "nc", "-w1", "10.210.0.2", "80"]);
    assert_ne!(done.code, 0, "{done:?}");
    assert_eq!(
        world.ok(&["port", "web"]),
        "80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080"
    );
    assert_eq!(world.ok(&["port", "web", "80"]), "0.0.0.0:8080\n[::]:8080");
    let shown = world.ok(&["ps", "--format", "{{.Names}} {{.Ports}} {{.Networks}}"]);
    assert!(
        shown.contains("web 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp bridge"),
        "{shown}"
    );
}

#[test]
fn a_published_port_brings_the_default_network_along() {
    let Some(world) = World::new() else { return };
    let run = ["run", "--rm", "-p", "8080:80", "host", "hostname", "-i"];
    // In which "none" is the default.
    let done = crate::cli::finish(world.spawn(&mut world.berth.command(&run)));
    assert_eq!((done.code, done.out.trim()), (0, "10.210.0.2"), "{done:?}");
}

#[test]
fn udp_is_published_too() {
    let Some(world) = World::new() else { return };
    let run = [
        "run",
        "-d",
        "--name",
        "dns",
        "-p",
        "127.0.0.1:5300:53/udp",
        "host",
        "sleep",
        "1000",
    ];
    world.ok(&run);
    let server = world.within_container("dns", || UdpSocket::bind("0.0.0.0:53").unwrap());
    std::thread::spawn(move || {
        let mut buffer = [0; 16];
        while let Ok((length, from)) = server.recv_from(&mut buffer) {
            server.send_to(&buffer[..length], from).unwrap();
        }
    });
    let answer = world.within(|| {
        let socket = UdpSocket::bind((IpAddr::from([127, 0, 0, 1]), 0)).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let mut buffer = [0; 16];
        (0..100).find_map(|_| {
            socket.send_to(b"hello", "127.0.0.1:5300").ok()?;
            let length = socket.recv(&mut buffer).ok()?;
            Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
        })
    });
    assert_eq!(answer.as_deref(), Some("hello"));
}

#[test]
fn a_taken_port_is_refused_by_the_name_of_who_has_it_and_nothing_stays() {
    let Some(world) = World::new() else { return };
    serve(&world, "web", &["-p", "8080:80"]);
    let leases = world.leases("bridge");
    let done = world.run(&["run", "--rm", "-p", "8080:81", "host", "true"]);
    assert_eq!(done.code, 125);
    insta::assert_snapshot!(done.err.trim_end(), @"berth: cannot publish port 8080/tcp: container web has it; stop that, or publish another port with -p");
    assert_eq!(world.leases("bridge"), leases);
    let _listener = world.within(|| TcpListener::bind("0.0.0.0:9090").unwrap());
    let done = world.run(&["run", "--rm", "-p", "9090:81", "host", "true"]);
    let own = format!("process {} (", std::process::id());
    assert!(done.err.contains(&own), "{done:?}");
    // A range takes the next one; without a wish the kernel has one to give.
    serve(&world, "range", &["-p", "8080-8082:80"]);
    assert_eq!(
        world.ok(&["port", "range", "80/tcp"]),
        "0.0.0.0:8081\n[::]:8081"
    );
    serve(&world, "any", &["-p", "80"]);
    let port = world.ok(&["port", "any", "80"]);
    let port = port
        .lines()
        .next()
        .unwrap()
        .rsplit(':')
        .next()
        .unwrap()
        .to_owned();
    assert_eq!(ask(&world, &format!("127.0.0.1:{port}")).unwrap(), "any");
    // A restart has the same one.
    world.ok(&["stop", "-t", "0", "any"]);
    world.ok(&["start", "any"]);
    assert!(
        world
            .ok(&["port", "any", "80"])
            .contains(&format!(":{port}"))
    );
}

#[test]
fn a_port_ends_with_its_container_and_comes_back_with_it() {
    let Some(world) = World::new() else { return };
    serve(&world, "web", &["-p", "8080:80"]);
    assert_eq!(ask(&world, "127.0.0.1:8080").unwrap(), "web");
    world.ok(&["stop", "-t", "0", "web"]);
    // The monitor removes it when the container has ended.
    world.wait("the port to be free", || {
        let free = world.within(|| TcpListener::bind("0.0.0.0:8080").is_ok());
        free && !world.host("nft list ruleset").contains("8080")
    });
    assert_eq!(
        ask_once(&world, "127.0.0.1:8080"),
        Err(ErrorKind::ConnectionRefused)
    );
    world.ok(&["start", "web"]);
    assert_eq!(ask(&world, "127.0.0.1:8080").unwrap(), "web");
    world.ok(&["rm", "-f", "web"]);
    assert!(!world.host("nft list ruleset").contains("8080"));
}

#[test]
fn what_listens_nowhere_is_published_nowhere() {
    let Some(world) = World::new() else { return };
    for (flags, why) in [
        (["--network", "none", "-p", "80"], "it is on no network"),
        (["--network", "host", "-p", "192.0.2.7:80:80"], ""),
        (
            ["--network", "bridge", "-p", "192.0.2.7:80:80"],
            "192.0.2.7 is no address of this host",
        ),
    ] {
        let mut arguments = vec!["run", "--rm"];
        arguments.extend(flags);
        arguments.extend(["host", "true"]);
        let done = world.run(&arguments);
        assert!(done.err.contains(why), "{done:?}");
        assert_eq!(done.code == 0, why.is_empty(), "{done:?}");
    }
}

#[test]
fn a_connection_lives_through_other_containers_coming_and_going() {
    let Some(world) = World::new() else { return };
    let line = "busybox nc -ll -p 80 -e cat";
    world.ok(&["run", "-d", "-p", "8080:80", "host", "sh", "-c", line]);
    let mut connected = None;
    eventually("a connection", || {
        connected = world.within(|| TcpStream::connect("127.0.0.1:8080").ok());
        connected.is_some()
    });
    let mut stream = connected.unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    for _ in 0..3 {
        world.ok(&["run", "--rm", "-p", "8081:80", "host", "true"]);
        stream.write_all(b"x").unwrap();
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
    }
}

#[test]
fn a_start_that_fails_leaves_no_port_behind() {
    let Some(world) = World::new() else { return };
    let run = ["run", "--name", "web", "-p", "8080:80", "host", "/none"];
    assert_eq!(world.run(&run).code, 127);
    let rules = world.host("nft list ruleset");
    assert!(!rules.contains("8080"), "{rules}");
    // Another program has the port, and gets what is sent to it.
    let listener = take(&world, "0.0.0.0:8080");
    let asked = world.within(|| TcpStream::connect("127.0.0.1:8080").map(drop));
    asked.unwrap();
    listener.accept().unwrap();
}

#[test]
fn the_network_that_a_crash_left_half_made_is_swept() {
    let Some(world) = World::new() else { return };
    let mut command = world.berth.command(&["network", "create", "blue"]);
    command.env("BERTH_FAULT", "kill-before network.publish 1");
    let done = crate::cli::finish(world.spawn(&mut command));
    assert_ne!(done.code, 0, "{done:?}");
    let hidden = world.berth.path("root/networks/.making-blue");
    assert!(hidden.exists());
    world.ok(&["system", "restore"]);
    assert!(!hidden.exists());
}
