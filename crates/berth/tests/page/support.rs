//! A server, requests to it, and processes to look at.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long anything may take on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running `berth map --serve`.
pub struct Server {
    child: Child,
    _folder: TempDir,
    /// What it printed.
    pub url: String,
    pub port: u16,
    pub token: String,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut found = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value)
    }
}

pub fn command(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_berth"));
    command
        .arg("--root")
        .arg(folder.path().join("root"))
        .arg("--state")
        .arg(folder.path().join("state"))
        .args(["map", "--serve"])
        .args(arguments)
        .stdin(Stdio::null());
    command
}

impl Server {
    pub fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = command(&folder, arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut url).unwrap();
        let url = url.trim().to_owned();
        let rest = url.strip_prefix("http://").unwrap();
        let (address, token) = rest.trim_end_matches('/').split_once('/').unwrap();
        let port = address.rsplit_once(':').unwrap().1.parse().unwrap();
        Self {
            port,
            token: token.to_owned(),
            url,
            child,
            _folder: folder,
        }
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends bytes and reads until the server closes.
    pub fn raw(&self, request: &str) -> Answer {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        // A server that closes on what it does not want to read may reset.
        drop(stream.read_to_end(&mut bytes));
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
        Answer {
            status: status.unwrap_or(0),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    /// A request for a path below the token.
    pub fn request(&self, method: &str, path: &str) -> Answer {
        self.raw(&format!(
            "{method} /{}/{path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n",
            self.token, self.port
        ))
    }

    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path)
    }

    /// Opens a stream of events.
    pub fn events(&self, query: &str) -> Events {
        let mut stream = self.connect();
        let request = format!(
            "GET /{}/events?{query} HTTP/1.1\r\nHost: localhost:{}\r\n\r\n",
            self.token, self.port
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut events = Events {
            reader: BufReader::new(stream),
            status: 0,
        };
        let first = events.line();
        events.status = first.split(' ').nth(1).unwrap().parse().unwrap();
        events
    }

    /// Sends a signal and says how it ended.
    pub fn end(mut self, signal: &str) -> i32 {
        signal_to(self.child.id(), signal);
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Its resident memory.
    pub fn memory_kib(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = text
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub fn signal_to(pid: u32, signal: &str) {
    let status = Command::new("kill")
        .args([signal, &pid.to_string()])
        .status();
    assert!(status.unwrap().success());
}

/// Server-sent events as they come.
pub struct Events {
    reader: BufReader<TcpStream>,
    pub status: u16,
}

impl Events {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// The next event of a kind, as JSON.
    pub fn next(&mut self, kind: &str) -> serde_json::Value {
        assert_eq!(self.status, 200);
        let sought = format!("event: {kind}");
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.line() == sought {
                let line = self.line();
                return serde_json::from_str(line.strip_prefix("data: ").unwrap()).unwrap();
            }
        }
        panic!("no event {kind}");
    }

    /// Reads pages until one holds a text in a fragment; the fragment's HTML.
    pub fn fragment_with(&mut self, text: &str) -> String {
        loop {
            let page = self.next("page");
            let pieces = page["put"].as_array().cloned().unwrap_or_default();
            let html = pieces.iter().filter_map(|piece| piece["html"].as_str());
            if let Some(found) = html.into_iter().find(|html| html.contains(text)) {
                return found.to_owned();
            }
        }
    }
}

/// A tree of processes below unshare(1) that ends with the test.
pub struct Tree {
    root: Child,
}

impl Tree {
    /// Runs a shell script as PID 1 of new namespaces.
    pub fn new(script: &str) -> Self {
        let mut command = Command::new("unshare");
        command.args([
            "-Urpmnf",
            "--mount-proc",
            "--kill-child",
            "sh",
            "-c",
            script,
        ]);
        command.stdin(Stdio::null());
        Self {
            root: command.spawn().unwrap(),
        }
    }

    /// Its processes, unshare(1) left out: host PID, then those of the levels below.
    pub fn processes(&self) -> Vec<Vec<u32>> {
        let mut all = below(self.root.id());
        all.remove(0);
        all.iter().filter_map(|pid| pids(*pid)).collect()
    }

    /// Waits until there are so many processes, and lists them.
    pub fn settled(&self, count: usize) -> Vec<Vec<u32>> {
        eventually("the processes of the tree", || {
            self.processes().len() == count
        });
        self.processes()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        drop(self.root.kill());
        drop(self.root.wait());
    }
}

/// A process's PID at each level.
pub fn pids(pid: u32) -> Option<Vec<u32>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    Some(
        line.split_whitespace()
            .map(|pid| pid.parse().unwrap())
            .collect(),
    )
}

/// The name of a process.
pub fn comm(pid: u32) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/comm"));
    text.unwrap_or_default().trim_end().to_owned()
}

fn below(root: u32) -> Vec<u32> {
    let mut all = vec![root];
    let mut at = 0;
    while let Some(pid) = all.get(at).copied() {
        let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let text = text.unwrap_or_default();
        all.extend(
            text.split_whitespace()
                .map(|pid| pid.parse::<u32>().unwrap()),
        );
        at += 1;
    }
    all
}

pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(20));
    }
}
