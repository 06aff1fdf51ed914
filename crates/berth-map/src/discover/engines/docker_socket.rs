//! Docker's API socket, for users who may not read its files but may talk to it: the group docker.
//!
//! `GET /containers/json` and `GET /containers/ID/json` of the Engine API, without a version, since
//! all have them. Seen with dockerd 20.10. Asked only where a daemon runs (its PID file is there, or
//! its command line names the socket): connecting to one that systemd listens on would start it.
//! Whoever listens is believed as the owner of a file is.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::net::sockopt::socket_peercred;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::time::{ClockId, clock_gettime};
use serde::Deserialize;

use super::docker::{self, Config};
use super::record::{Search, Wanted, is_plain};
use super::tree::MAX_FILE_BYTES;
use crate::model::{Evidence, EvidenceKind};

/// Where packages put it, and the file that is there while the daemon runs.
pub(super) const SOCKET: &str = "run/docker.sock";
pub(super) const PID_FILE: &str = "run/docker.pid";

/// How long one answer, and all of them, may take.
const PATIENCE: Duration = Duration::from_millis(500);
const ALL_PATIENCE: Duration = Duration::from_secs(2);
/// Containers that are asked about.
const MAX_CONTAINERS: usize = 512;

/// An entry of the list.
#[derive(Deserialize)]
struct Listed {
    #[serde(rename = "Id")]
    id: String,
}

/// Asks about the containers that run; whether the daemon answered.
pub(super) fn read(search: &mut Search, socket: &str) -> bool {
    let begun = Instant::now();
    let ids: Vec<String> = match search.wanted {
        Wanted::Named(ids) => ids.iter().filter(|id| is_plain(id)).cloned().collect(),
        Wanted::All => match ask(search, socket, "/containers/json") {
            Ok((body, _)) => match serde_json::from_slice::<Vec<Listed>>(&body) {
                Ok(all) => all.into_iter().map(|listed| listed.id).collect(),
                Err(_) => {
                    search.warn(socket, "gives a list of an unknown form");
                    return true;
                }
            },
            Err(error) => return refuse(search, socket, &error),
        },
    };
    for id in ids.iter().filter(|id| is_plain(id)).take(MAX_CONTAINERS) {
        if begun.elapsed() > ALL_PATIENCE {
            search.warn(socket, "takes too long to answer");
            return true;
        }
        let (body, uid) = match ask(search, socket, &format!("/containers/{id}/json")) {
            Ok(answer) => answer,
            // It ended meanwhile, or is another engine's.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return refuse(search, socket, &error),
        };
        match serde_json::from_slice::<Config>(&body) {
            Ok(config) if config.id == *id => {
                let evidence = Evidence {
                    kind: EvidenceKind::Socket,
                    detail: search.tree.name(socket),
                };
                let now = clock_gettime(ClockId::Realtime).tv_sec;
                let record = docker::record(config, evidence, (now, uid), search.tree);
                search.records.extend(record);
            }
            Ok(_) => search.warn(socket, "answers with another container"),
            Err(_) => search.warn(socket, "gives an answer of an unknown form"),
        }
    }
    true
}

/// Notes why there is no answer; whether that is worth a line: most users may not ask.
fn refuse(search: &mut Search, socket: &str, error: &io::Error) -> bool {
    match error.kind() {
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::NotFound
        | io::ErrorKind::ConnectionRefused => false,
        _ => {
            search.warn(socket, format!("does not answer: {error}"));
            true
        }
    }
}

/// The body of an answer, and the uid of who listens. "Not found" is an error of that kind.
fn ask(search: &Search, socket: &str, path: &str) -> io::Result<(Vec<u8>, u32)> {
    let place = search.tree.handle(socket)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let end = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // Not blocking: a daemon that accepts nobody would keep us here.
    connect(&end, &SocketAddrUnix::new(place.path().as_str())?)?;
    let uid = socket_peercred(&end)?.uid.as_raw();
    let mut stream = UnixStream::from(end);
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // 1.0: the answer comes in one piece and ends with the connection.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n")?;
    let mut answer = Vec::new();
    let begun = Instant::now();
    let mut piece = [0; 16 * 1024];
    loop {
        let length = stream.read(&mut piece)?;
        if length == 0 {
            break;
        }
        answer.extend_from_slice(piece.get(..length).unwrap_or_default());
        let size = u64::try_from(answer.len()).unwrap_or(u64::MAX);
        if size > MAX_FILE_BYTES || begun.elapsed() > PATIENCE {
            return Err(io::Error::other("the answer is too long"));
        }
    }
    Ok((body(&answer)?.to_vec(), uid))
}

/// The body of an answer that succeeded.
fn body(answer: &[u8]) -> io::Result<&[u8]> {
    let unknown = || io::Error::other("the answer is no HTTP");
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let (head, body) = answer.split_at(end.ok_or_else(unknown)?);
    let head = str::from_utf8(head).map_err(|_| unknown())?;
    let status = head.split(' ').nth(1).ok_or_else(unknown)?;
    match (head.starts_with("HTTP/1."), status) {
        (true, "200") => Ok(body.get(4..).unwrap_or_default()),
        (true, "404") => Err(io::ErrorKind::NotFound.into()),
        (true, "401" | "403") => Err(io::ErrorKind::PermissionDenied.into()),
        (true, other) if other.bytes().all(|b| b.is_ascii_digit()) => {
            Err(io::Error::other(format!("it answers with status {other}")))
        }
        _ => Err(unknown()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_succeeded_has_a_body() {
        assert_eq!(body(b"HTTP/1.0 200 OK\r\nA: b\r\n\r\n[]").unwrap(), b"[]");
        let kind = |answer: &[u8]| body(answer).unwrap_err().kind();
        assert_eq!(kind(b"HTTP/1.1 404 No\r\n\r\n"), io::ErrorKind::NotFound);
        for bad in [
            "",
            "HTTP/1.0 200 OK\r\n",
            "SSH-2.0 200\r\n\r\n",
            "HTTP/1.0 500 x\r\n\r\n",
        ] {
            assert_eq!(kind(bad.as_bytes()), io::ErrorKind::Other, "{bad}");
        }
    }
}
