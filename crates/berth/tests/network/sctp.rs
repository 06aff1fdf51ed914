//! Published ports of SCTP.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketType, accept, bind, connect, ipproto, listen, recv,
    send, socket,
};

use crate::world::World;

fn open() -> Result<OwnedFd, Errno> {
    socket(AddressFamily::INET, SocketType::STREAM, Some(ipproto::SCTP))
}

/// Answers everybody with a word, until the test ends.
fn serve(word: &'static str) {
    let listener = open().unwrap();
    bind(&listener, &SocketAddr::from((Ipv4Addr::UNSPECIFIED, 80))).unwrap();
    listen(&listener, 8).unwrap();
    std::thread::spawn(move || {
        while let Ok(client) = accept(&listener) {
            send(&client, word.as_bytes(), SendFlags::NOSIGNAL).unwrap();
        }
    });
}

fn ask(from: [u8; 4], to: &str) -> Result<String, Errno> {
    let client = open()?;
    set_socket_timeout(&client, Timeout::Recv, Some(Duration::from_secs(10)))?;
    set_socket_timeout(&client, Timeout::Send, Some(Duration::from_secs(10)))?;
    bind(&client, &SocketAddr::from((from, 0)))?;
    connect(&client, &to.parse::<SocketAddr>().unwrap())?;
    let mut buffer = [0; 16];
    let (length, _) = recv(&client, &mut buffer[..], RecvFlags::empty())?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

#[test]
fn sctp_is_published() {
    let Some(world) = World::new() else { return };
    let publish = ["-p", "8080:80/sctp"];
    if matches!(open(), Err(Errno::PROTONOSUPPORT)) {
        let run = [&["run", "--rm"], &publish[..], &["host", "true"]].concat();
        let done = world.run(&run);
        assert_eq!(done.code, 125, "{done:?}");
        insta::assert_snapshot!(done.err.trim_end(), @"berth: cannot publish port 8080/sctp: Protocol not supported (os error 93)");
        assert_eq!(world.leases("bridge"), Vec::<String>::new());
        berth_testkit::skip("the kernel has no SCTP");
        return;
    }
    let lan = world.neighbour();
    world.host("ip address add 192.0.2.2/24 dev up0");
    let name = ["--name", "web", "host", "sleep", "1000"];
    world.ok(&[&["run", "-d"], &publish[..], &name].concat());
    world.within_container("web", || serve("web"));
    let near = |from, to: &str| world.within(|| ask(from, to));
    assert_eq!(near([127, 0, 0, 1], "127.0.0.1:8080"), Ok("web".to_owned()));
    assert_eq!(near([192, 0, 2, 2], "192.0.2.2:8080"), Ok("web".to_owned()));
    let far = lan.within(|| ask([192, 0, 2, 1], "192.0.2.2:8080"));
    assert_eq!(far, Ok("web".to_owned()));
    let shown = world.ok(&["port", "web"]);
    assert!(shown.contains("80/sctp -> 0.0.0.0:8080"), "{shown}");
    world.ok(&["rm", "-f", "web"]);
    assert!(near([192, 0, 2, 2], "192.0.2.2:8080").is_err());
}
