//! Proxies that let us through: what they are asked, what they and the servers behind see.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use berth_base::ErrorClass;
use berth_image::registry::{HostConfig, NoProxy, Proxies, ProxySetting, RegistryConfig};
use berth_testkit::web::{Proxy, ProxyRule, free_address};
use tokio_rustls::rustls::{ServerConnection, StreamOwned};

use crate::certificates::Certificates;
use crate::hostile::{Request, Response, Server, start_tls};
use crate::image::{Image, Pull, config, with_host};
use crate::store::Store;

/// One proxy for everything.
pub(crate) fn both(url: &str) -> Proxies {
    let setting = |source: &str| {
        Some(ProxySetting {
            url: url.to_owned(),
            source: source.to_owned(),
        })
    };
    Proxies {
        http: setting("HTTP_PROXY"),
        https: setting("HTTPS_PROXY"),
        except: NoProxy::default(),
    }
}

/// A registry that may speak plain HTTP.
pub(crate) fn plain() -> HostConfig {
    HostConfig {
        insecure: true,
        ..HostConfig::default()
    }
}

/// Trusts the authority of the test for a registry.
fn trusting(certificates: &Certificates) -> HostConfig {
    HostConfig {
        ca: Some(certificates.path("ca.crt")),
        ..HostConfig::default()
    }
}

fn pull(config: RegistryConfig, reference: &str) -> Result<(), berth_image::ImageError> {
    let store = Store::new();
    let mut pull = Pull::into(&store);
    pull.config = config;
    pull.run(reference).map(drop)
}

#[test]
fn plain_http_by_whole_urls() {
    let image = Image::new("amd64", &[10, 2000]);
    let server = Server::start(move |request: &Request| image.answer(request));
    // "me:secret".
    let proxy = Proxy::start(server.address, ProxyRule::Wants("Basic bWU6c2VjcmV0"));
    let mut config = with_host(config(), "r.example", plain());
    config.proxies = both(&format!("me:secret@{}", proxy.address));
    pull(config, "r.example/app:1").unwrap();
    // Whether it speaks TLS was asked through a tunnel.
    let lines = proxy.lines();
    assert_eq!(lines[0], "CONNECT r.example:443");
    assert_eq!(lines[1], "GET http://r.example/v2/app/manifests/1");
    let asked = server.asked();
    assert_eq!(asked.len(), 4);
    for request in &asked {
        assert!(
            request.path.starts_with("http://r.example/v2/app/"),
            "{request:?}"
        );
        assert_eq!(request.header("host"), Some("r.example"));
        // On each: the proxy may close its connection after any of them.
        let shown = request.header("proxy-authorization");
        assert_eq!(shown, Some("Basic bWU6c2VjcmV0"), "{request:?}");
    }
}

#[test]
fn tls_through_a_tunnel() {
    let certificates = Certificates::new();
    let image = Image::new("amd64", &[10, 2000]);
    let answer = move |request: &Request| image.answer(request);
    let server = start_tls(certificates.server(false), answer);
    let proxy = Proxy::start(server.address, ProxyRule::Wants("Basic bWU6c2VjcmV0"));
    let mut config = with_host(config(), "r.example", trusting(&certificates));
    config.proxies = both(&format!("http://me:secret@{}", proxy.address));
    pull(config, "r.example/app:1").unwrap();
    let lines = proxy.lines();
    assert!(
        lines.iter().all(|line| line == "CONNECT r.example:443"),
        "{lines:?}"
    );
    let asked = server.asked();
    assert_eq!(asked.len(), 4);
    for request in &asked {
        assert!(request.path.starts_with("/v2/app/"), "{request:?}");
        assert_eq!(request.header("proxy-authorization"), None);
    }
}

#[test]
fn a_proxy_behind_tls() {
    let certificates = Certificates::new();
    let image = Image::new("amd64", &[10]);
    let proxy = start_tls(
        certificates.server(false),
        move |request: &Request| match request.method.as_str() {
            "CONNECT" => Response::new(403),
            _ => image.answer(request),
        },
    );
    let folder = tempfile::tempdir().unwrap();
    let host = format!("localhost:{}", proxy.address.port());
    let mut config = with_host(config(), "r.example", plain());
    config.certificate_folders = vec![folder.path().to_owned()];
    config.proxies = both(&format!("https://{host}"));
    let error = pull(config.clone(), "r.example/app:1").unwrap_err();
    let words = error.to_string().replace(&host, "PROXY");
    insta::assert_snapshot!(words, @"cannot pull r.example/app:1: the proxy PROXY (HTTPS_PROXY) has a certificate that is not trusted (UnknownIssuer); check HTTPS_PROXY, or put r.example into NO_PROXY if it can be reached without");
    certificates.install(folder.path(), &host, &["ca.crt"]);
    pull(config, "r.example/app:1").unwrap();
    let lines = proxy.lines();
    assert_eq!(lines[0], "CONNECT r.example:443");
    assert_eq!(lines[1], "GET http://r.example/v2/app/manifests/1");
}

#[test]
fn a_tunnel_behind_tls() {
    let certificates = Certificates::new();
    let image = Image::new("amd64", &[10, 200_000]);
    let answer = move |request: &Request| image.answer(request);
    let server = start_tls(certificates.server(false), answer);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tls, target) = (certificates.server(false), server.address);
    // The thread waits for connections until the test's process ends.
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let session = ServerConnection::new(Arc::clone(&tls)).unwrap();
            let client = StreamOwned::new(session, client);
            let server = TcpStream::connect(target).unwrap();
            std::thread::spawn(move || drop(tunnel(client, server)));
        }
    });
    let folder = tempfile::tempdir().unwrap();
    certificates.install(folder.path(), &address.to_string(), &["ca.crt"]);
    let mut config = with_host(config(), "r.example", trusting(&certificates));
    config.certificate_folders = vec![folder.path().to_owned()];
    config.proxies = both(&format!("https://{address}"));
    pull(config, "r.example/app:1").unwrap();
    assert_eq!(server.asked().len(), 4);
}

/// Answers CONNECT, then passes bytes on, a little of each direction at a time.
fn tunnel(
    mut client: StreamOwned<ServerConnection, TcpStream>,
    mut server: TcpStream,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"CONNECT r.example:443 HTTP/1.1\r\n"));
    client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
    let turn = Some(Duration::from_millis(5));
    client.sock.set_read_timeout(turn)?;
    server.set_read_timeout(turn)?;
    while pass(&mut client, &mut server)? && pass(&mut server, &mut client)? {}
    Ok(())
}

/// Answers whether there can be more.
fn pass(from: &mut impl Read, to: &mut impl Write) -> std::io::Result<bool> {
    let mut bytes = [0; 16 << 10];
    match from.read(&mut bytes) {
        Ok(0) => Ok(false),
        Ok(count) => {
            to.write_all(&bytes[..count])?;
            to.flush()?;
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(true),
        Err(error) => Err(error),
    }
}

#[test]
fn this_machine_and_exceptions_are_asked_directly() {
    let image = Image::new("amd64", &[10]);
    let server = Server::start(move |request: &Request| image.answer(request));
    let port = server.address.port();
    let nobody = format!("http://{}", free_address());
    let mut config = with_host(config(), &format!("r.localhost:{port}"), plain());
    config.tuning.attempts = 1;
    config.proxies = both(&nobody);
    pull(config.clone(), &format!("127.0.0.1:{port}/app:1")).unwrap();
    pull(config.clone(), &format!("localhost:{port}/app:1")).unwrap();
    // Any other name is the proxy's to resolve, also one that means this machine.
    let name = format!("r.localhost:{port}/app:1");
    pull(config.clone(), &name).unwrap_err();
    config.proxies.except = NoProxy::parse("other.example,.localhost");
    pull(config.clone(), &name).unwrap();
    config.proxies.except = NoProxy::parse("*");
    pull(config, &name).unwrap();
}

/// A registry that sends its readers of blobs to another place.
fn sending_to(
    image: &Image,
    place: &'static str,
) -> impl Fn(&Request) -> Response + Send + Sync + 'static {
    let image = image.clone();
    move |request: &Request| {
        let is_blob = request.path.starts_with("/v2/app/blobs/");
        match request.path.rsplit_once('/') {
            Some((_, digest)) if is_blob => {
                Response::new(307).with("location", format!("{place}/{digest}"))
            }
            _ => image.answer(request),
        }
    }
}

#[test]
fn redirects_take_the_proxy_of_where_they_lead() {
    let certificates = Certificates::new();
    let image = Image::new("amd64", &[10]);
    let run = |place: &'static str| {
        let answer = sending_to(&image, place);
        let server = start_tls(certificates.server(false), answer);
        let proxy = Proxy::start(server.address, ProxyRule::Open);
        let mut config = with_host(config(), "r.example", trusting(&certificates));
        config.proxies = both(&proxy.url());
        (pull(config, "r.example/app:1"), proxy.lines())
    };
    let (pulled, lines) = run("https://blobs.example");
    pulled.unwrap();
    assert!(
        lines.iter().any(|l| l == "CONNECT blobs.example:443"),
        "{lines:?}"
    );
    // A proxy is in the middle of the private network: nobody on the Internet sends us through it
    // to its neighbours, as far as an address tells.
    for private in [
        "https://10.1.2.3",
        "https://169.254.169.254",
        "https://[fd00::1]",
        "https://2130706433",
        "https://0x7f.1",
        "https://localhost:1",
        "https://127.0.0.1:1",
    ] {
        let (pulled, lines) = run(private);
        let error = pulled.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Denied, "{private}: {error}");
        let words = error.to_string();
        assert!(words.contains("r.example sent us to "), "{words}");
        assert!(words.contains("which is the private address"), "{words}");
        assert!(
            lines.iter().all(|l| l == "CONNECT r.example:443"),
            "{lines:?}"
        );
    }
}
