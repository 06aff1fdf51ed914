//! Any bytes as the answers of a registry to a pull: nothing panics or waits for ever, and what was
//! pulled reads back.
//!
//! The parts of an input are the answers, in their order, after which connections are closed. `@H`
//! is the registry's address, and `@0` and `#0` are digest and size of the body of an earlier
//! answer. Behind a part that is `%` the answers are given in reverse, since a manifest, which names
//! blobs, is asked for before them. Runs in a network namespace of its own: answers may lead anywhere.
#![no_main]

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use berth_image::registry::{Anonymous, Client, PlatformChoice, RegistryConfig, Tuning};
use berth_image::store::UnpackHere;
use berth_image::{ImageRef, ImageStore, NoProgress, media};
use berth_image_fuzz::{PART, folder, join, plant, resolve, tar_of};

static ADDRESS: OnceLock<SocketAddr> = OnceLock::new();
static ANSWERS: Mutex<VecDeque<Vec<u8>>> = Mutex::new(VecDeque::new());

/// Nothing here is far away.
const PATIENCE: Duration = Duration::from_millis(300);

fn tuning() -> Tuning {
    Tuning {
        transfers: 1,
        unpackers: 1,
        attempts: 2,
        first_pause: Duration::ZERO,
        longest_pause: Duration::ZERO,
        longest_wait: Duration::ZERO,
        connect: PATIENCE,
        idle: PATIENCE,
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let answer = |head: &str, body: &str| format!("HTTP/1.1 {head}\r\n\r\n{body}").into_bytes();
    let sized =
        |head: &str, body: &str| answer(&format!("{head}\r\nContent-Length: {}", body.len()), body);
    let bearer = answer(
        "401 No\r\nContent-Length: 0\r\nWWW-Authenticate: Basic realm=\"x\", Bearer realm=\"http://@H/t\",service=\"s\",scope=\"a:b\"",
        "",
    );
    let token = sized(
        "200 OK\r\nContent-Type: application/json",
        r#"{"token":"t","access_token":"u","expires_in":60,"issued_at":"2026-01-02T03:04:05Z"}"#,
    );
    let away = answer(
        "307 There\r\nLocation: http://@H/elsewhere\r\nContent-Length: 0",
        "",
    );
    let busy = answer("429 Later\r\nRetry-After: 0\r\nContent-Length: 0", "");
    let refused = sized(
        "404 Not Found",
        r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"m","detail":{"a":1}}]}"#,
    );
    let layer = tar_of(&[("file", b"content")]);
    let layer = [b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &layer].concat();
    let config = r#"{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["@0"]}}"#;
    let config = answer("200 OK", config);
    let descriptor =
        |kind: &str, of: u8| format!(r#"{{"mediaType":"{kind}","digest":"@{of}","size":#{of}}}"#);
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{},"layers":[{}]}}"#,
        media::MANIFEST,
        descriptor(media::CONFIG, 1),
        descriptor(media::LAYER, 0)
    );
    let head = format!("200 OK\r\nContent-Type: {}", media::MANIFEST);
    let manifest = answer(&head, &manifest);
    vec![
        join(&[&bearer, &token, &away, &refused]),
        join(&[&busy, &refused]),
        join(&[b"%", &layer, &config, &manifest]),
        join(&[b"%", &layer, &config, &manifest, &away, &token, &bearer]),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n".to_vec(),
    ]
}

/// The answers that an input is, in the order in which they are given.
fn answers(input: &[u8], address: &str) -> VecDeque<Vec<u8>> {
    let (input, reversed) = match input.strip_prefix(b"%") {
        Some(rest) => (rest.strip_prefix(&[PART]).unwrap_or(rest), true),
        None => (input, false),
    };
    let mut answers = VecDeque::new();
    let mut bodies: Vec<Vec<u8>> = Vec::new();
    for part in input.split(|byte| *byte == PART).take(10) {
        let answer = with_address(&resolve(part, &bodies), address);
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
        let body = end.and_then(|end| answer.get(end + 4..));
        bodies.push(body.unwrap_or_default().to_vec());
        answers.push_back(answer);
    }
    if reversed {
        answers.make_contiguous().reverse();
    }
    answers
}

fn with_address(answer: &[u8], address: &str) -> Vec<u8> {
    let mut written = Vec::new();
    let mut rest = answer;
    while let Some(at) = rest.windows(2).position(|two| two == b"@H") {
        written.extend_from_slice(rest.get(..at).unwrap_or_default());
        written.extend_from_slice(address.as_bytes());
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    written.extend_from_slice(rest);
    written
}

fn listen() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen on loopback");
    let address = listener.local_addr().expect("an address");
    ADDRESS.set(address).expect("the first time");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // One that fails is the client's to complain about.
            serve(stream).ok();
        }
    });
}

fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.ends_with(b"\r\n\r\n") {
        let count = stream.read(&mut buffer)?;
        let got = buffer.get(..count).unwrap_or_default();
        // The beginning of TLS, which nobody speaks here.
        if count == 0 || (request.is_empty() && got.first() == Some(&0x16)) {
            return stream.write_all(b"HTTP/1.1 400 No\r\n\r\n");
        }
        request.extend_from_slice(got);
    }
    let answer = ANSWERS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .pop_front();
    stream.write_all(&answer.unwrap_or_default())
}

fn check(input: &[u8]) {
    let address = ADDRESS.get().expect("listening").to_string();
    *ANSWERS.lock().unwrap_or_else(PoisonError::into_inner) = answers(input, &address);
    let outer = folder();
    let store = ImageStore::open(outer.path());
    let config = RegistryConfig {
        tuning: tuning(),
        ..RegistryConfig::default()
    };
    let client = Client::new(config, Box::new(Anonymous));
    let image: ImageRef = format!("{address}/a/b:1").parse().expect("a reference");
    let how = UnpackHere::default();
    // Most inputs fail, in one of many ways; all that is asked of them is to come back.
    drop(store.pull(&client, &image, &PlatformChoice::Host, &how, &NoProgress));
    for listed in store.images().expect("list the images") {
        listed.image.expect("a pulled image reads back");
    }
}

libfuzzer_sys::fuzz_target!(
    init: {
        plant(seeds());
        listen();
    },
    |input: &[u8]| check(input)
);
