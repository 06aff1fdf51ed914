//! Names and addresses, in mount and network namespaces of the test's own: /etc/hosts, a name
//! server, and a registry at an address that counts as public. This program is static, as berth is.

use std::net::{TcpListener, UdpSocket};
use std::process::{Command, Stdio};

use berth_image::registry::{Credential, HostConfig};

use crate::hostile::{Request, Response, Server};
use crate::image::{Image, Pull, with_host, words};
use crate::store::Store;

/// Assigned to the loopback device of the test's namespace; 192.0.3.0/24 is nobody's special block.
const PUBLIC: &str = "192.0.3.7";

#[test]
fn outside() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let hosts = write(
        "hosts",
        "127.0.0.1 localhost\n127.0.0.1 r.hosts.test other\n",
    );
    let servers = write(
        "resolv.conf",
        "nameserver 127.0.0.1\nsearch found.test\noptions timeout:1 attempts:1\n",
    );
    let me = std::env::current_exe().unwrap();
    let script = format!(
        "set -e; mount --bind {hosts} /etc/hosts; mount --bind {servers} /etc/resolv.conf; ip link set lo up; ip address add {PUBLIC}/32 dev lo; exec {} --exact names::inside --ignored --nocapture",
        me.display()
    );
    let spawned = Command::new("unshare")
        .args(["--mount", "--net", "sh", "-c", &script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = spawned else {
        return berth_testkit::skip("unshare is not installed");
    };
    let code = berth_testkit::finish(&mut child);
    let output = child.wait_with_output().unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    if said.contains("unshare: ") || said.contains("mount: ") {
        return berth_testkit::skip("no right to make namespaces");
    }
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "run by `outside` in namespaces of its own"]
fn inside() {
    serve_names();
    let image = Image::new("amd64", &[10]);
    names_are_found(&image);
    a_public_registry_sends_nobody_inside(&image);
}

fn names_are_found(image: &Image) {
    let image = image.clone();
    let server = Server::start(move |request: &Request| image.answer(request));
    let port = server.address.port();
    let run = |name: &str| {
        let store = Store::new();
        let mut pull = Pull::into(&store);
        pull.config.tuning.attempts = 1;
        let registry = format!("{name}:{port}");
        let insecure = HostConfig {
            insecure: true,
            ..HostConfig::default()
        };
        pull.config = with_host(pull.config, &registry, insecure);
        pull.run(&format!("{registry}/app:1"))
            .map(drop)
            .map_err(|e| e.to_string())
    };
    for known in ["localhost", "r.hosts.test", "other", "r.dns.test", "short"] {
        run(known).unwrap_or_else(|error| panic!("{known}: {error}"));
    }
    let error = run("r.none.test").unwrap_err();
    assert!(
        error.contains("r.none.test cannot be resolved: there is no such name"),
        "{error}"
    );
}

/// What a server of the Internet could want of ours.
fn a_public_registry_sends_nobody_inside(image: &Image) {
    let inner = Server::start(|_| Response::new(200));
    let place = format!("http://{}/", inner.host());
    let listener = || TcpListener::bind((PUBLIC, 0)).unwrap();

    let (theirs, to) = (image.clone(), place.clone());
    let sends = Server::on(listener(), move |request: &Request| {
        if request.path.contains("/blobs/") {
            return Response::new(307).with("location", to.clone());
        }
        theirs.answer(request)
    });
    let to = place;
    let asks = Server::on(listener(), move |_: &Request| {
        Response::new(401).with("www-authenticate", format!("Bearer realm=\"{to}token\""))
    });
    for server in [&sends, &asks] {
        let store = Store::new();
        let mut pull = Pull::into(&store);
        pull.credentials = Box::new(Credential::Password {
            name: "me".into(),
            secret: "secret".into(),
        });
        let insecure = HostConfig {
            insecure: true,
            ..HostConfig::default()
        };
        pull.config = with_host(pull.config, &server.host(), insecure);
        let error = pull.run(&format!("{}/app:1", server.host())).unwrap_err();
        let text = words(&error, &server.host());
        assert!(
            text.contains("which is the private address 127.0.0.1"),
            "{text}"
        );
        assert_eq!(error.class(), berth_base::ErrorClass::Denied);
    }
    assert!(inner.asked().is_empty());
}

/// A name server that knows two names, for IPv4.
fn serve_names() {
    let socket = UdpSocket::bind("127.0.0.1:53").unwrap();
    // Ends with this process.
    std::thread::spawn(move || {
        let mut packet = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut packet) {
            let answer = answer(&packet[..length]);
            drop(socket.send_to(&answer, from));
        }
    });
}

/// RFC 1035, section 4: the question again, and an address where the name is known.
fn answer(query: &[u8]) -> Vec<u8> {
    let mut at = 12;
    let mut name = Vec::new();
    while query[at] != 0 {
        let length = usize::from(query[at]);
        let label = &query[at + 1..=at + length];
        name.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        at += length + 1;
    }
    let end = at + 5;
    let is_a = query[at + 1..at + 3] == [0, 1];
    let is_known = ["r.dns.test", "short.found.test"].contains(&name.join(".").as_str());
    let count = u8::from(is_known && is_a);
    let mut answer = query[..2].to_vec();
    let flags = if is_known { [0x81, 0x80] } else { [0x81, 0x83] };
    answer.extend(flags);
    answer.extend([0, 1, 0, count, 0, 0, 0, 0]);
    answer.extend(&query[12..end]);
    if count == 1 {
        // A pointer to the question's name, A, IN, a minute, four bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    }
    answer
}
