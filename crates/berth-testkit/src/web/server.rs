//! A server of a few lines that does what a test wants: speaks HTTP/1.1 on loopback, keeps what it
//! was asked, and lies as told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a client asked.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`.
    pub method: String,
    /// With its query; of a proxy's request the whole URL.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// As long as Content-Length says.
    pub body: Vec<u8>,
}

impl Request {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What is answered.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// Such as 200.
    pub status: u16,
    /// Without Content-Length, which is added.
    pub headers: Vec<(String, String)>,
    /// All of it.
    pub body: Vec<u8>,
    /// Only so many bytes of the body are sent before the connection is cut.
    pub cut_at: Option<usize>,
    /// Before anything is sent.
    pub delay: Duration,
}

impl Response {
    /// An empty answer.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Answers of the distribution's errors.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let body = format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#);
        Self::new(status)
            .with("content-type", "application/json")
            .body(body)
    }
}

/// What HTTP is spoken on.
pub trait Conversation: Read + Write {}

impl<S: Read + Write> Conversation for S {}

type Answer = dyn Fn(&Request) -> Response + Send + Sync;

/// The server; ends when it is dropped.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    log: Arc<Mutex<Vec<Request>>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server on a port that is free.
    pub fn start(answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self::on(listener, answer)
    }

    /// A server whose answers need its own address.
    pub fn start_with(
        make: impl FnOnce(SocketAddr) -> Box<dyn Fn(&Request) -> Response + Send + Sync>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let answer = make(listener.local_addr().unwrap());
        Self::on(listener, answer)
    }

    /// A server that listens already.
    pub fn on(
        listener: TcpListener,
        answer: impl Fn(&Request) -> Response + Send + Sync + 'static,
    ) -> Self {
        Self::wrapped(listener, |stream| Box::new(stream), answer)
    }

    /// A server that speaks something else below HTTP, such as TLS.
    pub fn wrapped(
        listener: TcpListener,
        wrap: impl Fn(TcpStream) -> Box<dyn Conversation> + Send + Sync + 'static,
        answer: impl Fn(&Request) -> Response + Send + Sync + 'static,
    ) -> Self {
        let wrap = Arc::new(wrap);
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let ended = Arc::new(AtomicBool::new(false));
        let answer: Arc<Answer> = Arc::new(answer);
        let (log_of_thread, ended_of_thread) = (Arc::clone(&log), Arc::clone(&ended));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ended_of_thread.load(Ordering::SeqCst) {
                    return;
                }
                let (log, answer) = (Arc::clone(&log_of_thread), Arc::clone(&answer));
                let wrap = Arc::clone(&wrap);
                std::thread::spawn(move || {
                    let patience = Some(Duration::from_secs(20));
                    stream.set_read_timeout(patience).unwrap();
                    // Head and body are two writes; the second would wait for the first's receipt.
                    stream.set_nodelay(true).unwrap();
                    serve(wrap(stream), &log, &*answer);
                });
            }
        });
        Self {
            address,
            log,
            ended,
            thread: Some(thread),
        }
    }

    /// `HOST:PORT`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Everything that was asked.
    pub fn asked(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }

    /// `METHOD PATH` of everything that was asked.
    pub fn lines(&self) -> Vec<String> {
        let asked = self.asked();
        asked
            .iter()
            .map(|r| format!("{} {}", r.method, r.path))
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn serve(stream: impl Read + Write, log: &Mutex<Vec<Request>>, answer: &Answer) {
    let mut reader = BufReader::new(stream);
    loop {
        // The greeting of TLS: what Go's servers do with it.
        if reader
            .fill_buf()
            .is_ok_and(|bytes| bytes.first() == Some(&0x16))
        {
            drop(
                reader
                    .get_mut()
                    .write_all(b"HTTP/1.0 400 Bad Request\r\n\r\nnot TLS"),
            );
            return;
        }
        let Some(request) = read_request(&mut reader) else {
            return;
        };
        let response = answer(&request);
        let is_head = request.method == "HEAD";
        log.lock().unwrap().push(request);
        std::thread::sleep(response.delay);
        if !write_response(reader.get_mut(), &response, is_head) {
            return;
        }
    }
}

fn read_request(reader: &mut BufReader<impl Read>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request {
        method,
        path,
        headers,
        body: Vec::new(),
    };
    let length = request
        .header("content-length")
        .and_then(|l| l.parse().ok());
    request.body = vec![0; length.unwrap_or(0)];
    let mut body = std::mem::take(&mut request.body);
    reader.read_exact(&mut body).ok()?;
    request.body = body;
    Some(request)
}

/// Answers whether the connection is still good.
fn write_response(stream: &mut impl Write, response: &Response, is_head: bool) -> bool {
    let mut head = format!("HTTP/1.1 {} X\r\n", response.status);
    for (name, value) in &response.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if response.status != 204 {
        head.push_str(&format!("content-length: {}\r\n", response.body.len()));
    }
    head.push_str("\r\n");
    let body = match response.cut_at {
        Some(at) => &response.body[..at],
        None => &response.body,
    };
    if stream.write_all(head.as_bytes()).is_err() {
        return false;
    }
    if !is_head && stream.write_all(body).is_err() {
        return false;
    }
    stream.flush().is_ok() && response.cut_at.is_none()
}
