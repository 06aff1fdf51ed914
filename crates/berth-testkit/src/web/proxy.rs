//! A proxy on loopback that takes every server for one address.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// What the proxy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyRule {
    /// Lets everything through.
    Open,
    /// Lets those through whose Proxy-Authorization is this value; answers 407 to others.
    Wants(&'static str),
    /// Answers this status to everything.
    Refuses(u16),
    /// Closes connections when it has read a request.
    HangsUp,
}

/// A proxy for plain HTTP and for tunnels. Whatever server a client names, its bytes go to one
/// address, so names need no resolving: tests can ask for `r.example`. Ends when it is dropped.
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts a proxy on a port that is free; what it lets through goes to `target`.
    pub fn start(target: SocketAddr, rule: ProxyRule) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let ended = Arc::new(AtomicBool::new(false));
        let (log_of_thread, ended_of_thread) = (Arc::clone(&log), Arc::clone(&ended));
        let thread = std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if ended_of_thread.load(Ordering::SeqCst) {
                    return;
                }
                let log = Arc::clone(&log_of_thread);
                // A connection's end is its thread's.
                std::thread::spawn(move || drop(serve(client, target, rule, &log)));
            }
        });
        Self {
            address,
            log,
            ended,
            thread: Some(thread),
        }
    }

    /// Its URL, `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `METHOD TARGET` of everything that it was asked, each connection's first request alone.
    pub fn lines(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn serve(
    client: TcpStream,
    target: SocketAddr,
    rule: ProxyRule,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let line = head.lines().next().unwrap_or_default();
    let asked = line.rsplit_once(' ').map_or(line, |(asked, _)| asked);
    log.lock().unwrap().push(asked.to_owned());
    let mut client = client;
    match rule {
        ProxyRule::HangsUp => return client.shutdown(Shutdown::Both),
        ProxyRule::Refuses(status) => return answer(&mut client, status, ""),
        ProxyRule::Wants(value) if !shows(&head, value) => {
            return answer(
                &mut client,
                407,
                "proxy-authenticate: Basic realm=\"p\"\r\n",
            );
        }
        ProxyRule::Wants(_) | ProxyRule::Open => {}
    }
    let mut server = TcpStream::connect(target)?;
    if asked.starts_with("CONNECT ") {
        client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
    } else {
        // Passed on with its whole URL, which every server must take (RFC 9112, section 3.2.2);
        // what follows on this connection is passed on as it is.
        server.write_all(head.as_bytes())?;
    }
    let back = (server.try_clone()?, client);
    std::thread::spawn(move || pass(back.0, back.1));
    pass(reader, server);
    Ok(())
}

fn shows(head: &str, value: &str) -> bool {
    head.lines().any(|line| {
        let (name, shown) = line.split_once(": ").unwrap_or_default();
        name.eq_ignore_ascii_case("proxy-authorization") && shown == value
    })
}

fn answer(client: &mut TcpStream, status: u16, header: &str) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 {status} X\r\n{header}content-length: 0\r\n\r\n");
    client.write_all(head.as_bytes())
}

/// Passes bytes on until one side ends, and ends the other.
fn pass(mut from: impl Read, mut to: TcpStream) {
    // A broken connection ends it as well as a closed one.
    drop(std::io::copy(&mut from, &mut to));
    drop(to.shutdown(Shutdown::Both));
}
