//! Files from anywhere, as `import` reads them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use berth_base::ErrorClass;
use berth_image::ImageError;
use berth_image::registry::{HostConfig, RegistryConfig, WebFile, download};
use berth_testkit::web::{Proxy, ProxyRule, free_address};

use crate::certificates::Certificates;
use crate::hostile::{Request, Response, Server, start_tls};
use crate::image::{Notes, config, with_host, words};
use crate::proxies::both;

const LIMIT: u64 = 100_000;

fn fetch_with(config: RegistryConfig, url: &str, notes: &Notes) -> Result<Vec<u8>, ImageError> {
    let file = WebFile::parse(url).unwrap();
    download(config, &file, LIMIT, notes, |input| {
        let mut bytes = Vec::new();
        let read = input.read_to_end(&mut bytes);
        read.map_err(|error| ImageError::malformed("the reader", error.to_string()))?;
        Ok(bytes)
    })
}

fn fetch(url: &str) -> Result<Vec<u8>, ImageError> {
    fetch_with(config(), url, &Notes::default())
}

/// What is said of `http://HOST/x.tar?secret=1`, which must fail.
fn refused(response: Response) -> (ErrorClass, String, usize) {
    let server = Server::start(move |_| response.clone());
    let error = fetch(&format!("http://{}/x.tar?secret=1", server.host())).unwrap_err();
    let words = words(&error, &server.host());
    assert!(!words.contains("secret"), "{words}");
    (error.class(), words, server.asked().len())
}

/// A server of one answer, which is closed behind these bytes.
fn raw(answer: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 4096];
        let read = stream.read(&mut head).unwrap();
        assert!(head[..read].ends_with(b"\r\n\r\n"));
        // A client that has read enough closes it.
        drop(stream.write_all(&answer));
    });
    address
}

#[test]
fn what_is_there() {
    let body: Vec<u8> = (0..90_000_u32).map(|i| i as u8).collect();
    let expected = body.clone();
    let server = Server::start(move |request: &Request| match request.path.as_str() {
        "/start?a=b" => Response::new(302).with("location", "there/x.tar"),
        "/there/x.tar" => Response::new(200).body(body.clone()),
        _ => Response::new(500),
    });
    let notes = Notes::default();
    let url = format!("http://{}/start?a=b#fragment", server.host());
    assert_eq!(fetch_with(config(), &url, &notes).unwrap(), expected);
    assert_eq!(*notes.bytes.lock().unwrap(), 90_000);
    assert_eq!(server.lines(), ["GET /start?a=b", "GET /there/x.tar"]);
    assert_eq!(
        fetch(&format!(
            "http://{}",
            raw(b"HTTP/1.0 200 OK\r\n\r\nto its end".to_vec())
        ))
        .unwrap(),
        b"to its end"
    );
}

#[test]
fn a_moment_is_waited_for() {
    let count = std::sync::atomic::AtomicU32::new(0);
    let server =
        Server::start(
            move |_| match count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                0 => Response::new(503),
                _ => Response::new(200).body("now"),
            },
        );
    let notes = Notes::default();
    let url = format!("http://{}/x", server.host());
    assert_eq!(fetch_with(config(), &url, &notes).unwrap(), b"now");
    let notes = notes.notes.lock().unwrap().join("\n");
    assert!(
        notes.contains("503 Service Unavailable; trying again in"),
        "{notes}"
    );
}

#[test]
fn what_servers_refuse() {
    let (class, text, tries) = refused(
        Response::new(404)
            .with("content-type", "text/html")
            .body("<html>"),
    );
    assert_eq!((class, tries), (ErrorClass::NotFound, 1));
    insta::assert_snapshot!(text, @"cannot import http://HOST/x.tar: it is not on HOST; check the URL");
    let (class, text, _) = refused(Response::new(403));
    assert_eq!(class, ErrorClass::Denied);
    insta::assert_snapshot!(text, @"cannot import http://HOST/x.tar: HOST forbids it; ask its owner for the right");
    let (class, text, tries) = refused(Response::new(500).with("content-type", "text/html"));
    assert_eq!((class, tries), (ErrorClass::Unavailable, 3));
    insta::assert_snapshot!(text, @"cannot import http://HOST/x.tar: HOST answered 500 Internal Server Error; try again later");
    let (class, text, _) = refused(Response::new(429).with("retry-after", "3600"));
    assert_eq!(class, ErrorClass::Unavailable);
    insta::assert_snapshot!(text, @"cannot import http://HOST/x.tar: HOST allows no more requests for now (its rate limit); try again in 60 minutes");
    let (class, text, tries) = refused(Response::new(302).with("location", "/x.tar"));
    assert_eq!((class, tries), (ErrorClass::Denied, 9));
    insta::assert_snapshot!(text, @"cannot import http://HOST/x.tar: HOST sent us to http://HOST/x.tar, after 8 redirects; ask the server's owner");
    let host = free_address().to_string();
    let error = fetch(&format!("http://{host}/x.tar")).unwrap_err();
    insta::assert_snapshot!(words(&error, &host), @"cannot import http://HOST/x.tar: the server HOST cannot be reached: connection refused; check its name and port, or start it");
    let (class, text, tries) = refused(Response::new(206).body("part"));
    assert_eq!((class, tries), (ErrorClass::Invalid, 1));
    insta::assert_snapshot!(text, @"cannot import http://HOST/x.tar: HOST answered 206 Partial Content");
}

#[test]
fn half_a_file() {
    let (class, text, tries) = refused(Response {
        cut_at: Some(3000),
        ..Response::new(200).body(vec![7; 5000])
    });
    // What was handed on cannot be taken back.
    assert_eq!((class, tries), (ErrorClass::Unavailable, 1));
    assert!(
        text.starts_with("cannot import http://HOST/x.tar: the connection to HOST broke: ")
            && text.ends_with("; try again"),
        "{text}"
    );
}

#[test]
fn too_much() {
    let (class, text, _) = refused(Response::new(200).body(vec![7; 100_001]));
    assert_eq!(class, ErrorClass::Invalid);
    insta::assert_snapshot!(text, @"refused http://HOST/x.tar: it goes beyond the limit archive-blob-bytes (100000); raise it in config.toml for archives that you trust");
    // Without a word on its length.
    let mut answer = b"HTTP/1.0 200 OK\r\n\r\n".to_vec();
    answer.resize(answer.len() + 300_000, 7);
    let error = fetch(&format!("http://{}/x.tar", raw(answer))).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Invalid);
    assert!(error.to_string().contains("archive-blob-bytes"), "{error}");
}

#[test]
fn names_and_passwords() {
    let server = Server::start(|request: &Request| {
        // "me:pa@ss".
        match request.header("authorization") {
            Some("Basic bWU6cGFAc3M=") => Response::new(200).body("secret"),
            _ => Response::new(401).with("www-authenticate", "Basic realm=\"x\""),
        }
    });
    let host = server.host();
    assert_eq!(
        fetch(&format!("http://me:pa%40ss@{host}/x")).unwrap(),
        b"secret"
    );
    let error = fetch(&format!("http://{host}/x")).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Denied);
    insta::assert_snapshot!(words(&error, &host), @"cannot import http://HOST/x: HOST wants a login; write its name and password before the host, as in NAME:PASSWORD@HOST");
    let error = fetch(&format!("http://me:wrong@{host}/x")).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Denied);
    insta::assert_snapshot!(words(&error, &host), @"cannot import http://HOST/x: HOST does not take the name and password of the URL; correct them");
}

#[test]
fn over_tls() {
    let certificates = Certificates::new();
    let server = start_tls(
        certificates.server(false),
        |request: &Request| match request.path.as_str() {
            "/away" => Response::new(302).with("location", "http://127.0.0.1:1/x"),
            _ => Response::new(200).body("safe"),
        },
    );
    let host = server.host();
    let url = format!("https://{host}/x");
    let error = fetch(&url).unwrap_err();
    assert!(error.to_string().contains("unknown authority"), "{error}");
    let ca = HostConfig {
        ca: Some(certificates.path("ca.crt")),
        ..HostConfig::default()
    };
    let config = with_host(config(), &host, ca);
    let notes = Notes::default();
    assert_eq!(fetch_with(config.clone(), &url, &notes).unwrap(), b"safe");
    let error = fetch_with(config, &format!("https://{host}/away"), &notes).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Denied);
    insta::assert_snapshot!(words(&error, &host), @"cannot import https://HOST/away: HOST sent us to http://127.0.0.1:1/x, which is plain HTTP; ask the server's owner");
    // Whoever writes https gets no plain HTTP.
    let server = Server::start(|_| Response::new(200).body("in the open"));
    let error = fetch(&format!("https://{}/x", server.host())).unwrap_err();
    insta::assert_snapshot!(words(&error, &server.host()), @"cannot import https://HOST/x: HOST does not speak TLS; if plain HTTP is meant, write http://");
    assert_eq!(server.asked().len(), 0);
}

#[test]
fn through_a_proxy() {
    let server = Server::start(|_| Response::new(200).body("from far away"));
    let proxy = Proxy::start(server.address, ProxyRule::Open);
    let mut config = config();
    config.proxies = both(&proxy.url());
    let url = "http://files.example:8080/x.tar";
    assert_eq!(
        fetch_with(config, url, &Notes::default()).unwrap(),
        b"from far away"
    );
    assert_eq!(server.lines(), [format!("GET {url}")]);
}

#[test]
fn the_readers_own_failure() {
    let server = Server::start(|_| Response::new(200).body(vec![7; 50_000]));
    let file = WebFile::parse(&format!("http://{}/x", server.host())).unwrap();
    let done: Result<(), ImageError> =
        download(config(), &file, LIMIT, &Notes::default(), |input| {
            input.read_exact(&mut [0; 10]).unwrap();
            Err(ImageError::malformed("it", "no tar"))
        });
    assert_eq!(done.unwrap_err().to_string(), "cannot use it: no tar");
}
