//! Where a registry may send us, and what goes along.

use berth_base::ErrorClass;
use berth_image::registry::{Credential, HostConfig};

use crate::certificates::Certificates;
use crate::hostile::{Request, Response, Server, start_tls};
use crate::image::{Image, Pull, with_host, words};
use crate::store::Store;

fn registry_token() -> Box<Credential> {
    Box::new(Credential::RegistryToken("mine".into()))
}

/// A registry that wants a token and sends blobs' readers to another place.
fn sending_to(
    image: &Image,
    place: String,
) -> impl Fn(&Request) -> Response + Send + Sync + 'static {
    let image = image.clone();
    move |request: &Request| {
        if request.header("authorization") != Some("Bearer mine") {
            return Response::new(401)
                .with("www-authenticate", "Bearer realm=\"http://127.0.0.1:1/\"");
        }
        if request.path.contains("/blobs/") {
            return Response::new(307).with("location", format!("{place}{}", request.path));
        }
        image.answer(request)
    }
}

#[test]
fn another_host_sees_no_login() {
    let image = Image::new("amd64", &[10, 2000]);
    let theirs = image.clone();
    let storage = Server::start(move |request: &Request| theirs.answer(request));
    let server = Server::start(sending_to(&image, format!("http://{}", storage.host())));
    let store = Store::new();
    store.leave_part(&image.layer(1).0, &image.layer(1).1[..5]);
    let mut pull = Pull::into(&store);
    pull.credentials = registry_token();
    pull.run(&format!("{}/app:1", server.host())).unwrap();
    let asked = storage.asked();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|r| r.header("authorization").is_none()));
    // What is not a secret goes along.
    assert!(
        asked
            .iter()
            .any(|r| r.header("range") == Some("bytes=5-1999"))
    );
}

#[test]
fn a_place_of_the_same_host_does() {
    let image = Image::new("amd64", &[10]);
    let server = Server::start(move |request: &Request| {
        let told = request.path.strip_prefix("/elsewhere");
        if request.header("authorization") != Some("Bearer mine") {
            return Response::new(401)
                .with("www-authenticate", "Bearer realm=\"http://127.0.0.1:1/\"");
        }
        match told {
            None if request.path.contains("/blobs/") => {
                Response::new(302).with("location", format!("/elsewhere{}", request.path))
            }
            None => image.answer(request),
            Some(path) => image.answer(&Request {
                path: path.to_owned(),
                ..request.clone()
            }),
        }
    });
    let store = Store::new();
    let mut pull = Pull::into(&store);
    pull.credentials = registry_token();
    pull.run(&format!("{}/app:1", server.host())).unwrap();
}

#[test]
fn in_circles() {
    let server = Server::start(|request: &Request| {
        Response::new(302).with("location", request.path.clone())
    });
    let store = Store::new();
    let error = Pull::into(&store)
        .run(&format!("{}/app:1", server.host()))
        .unwrap_err();
    assert_eq!(error.class(), ErrorClass::Denied);
    insta::assert_snapshot!(words(&error, &server.host()), @"cannot pull HOST/app:1: HOST sent us to http://HOST/v2/app/manifests/1, after 8 redirects; ask the registry's owner");
}

#[test]
fn from_https_never_to_http() {
    let certificates = Certificates::new();
    let image = Image::new("amd64", &[10]);
    let storage = Server::start(|_| Response::new(200));
    let place = format!("http://{}", storage.host());
    let server = start_tls(certificates.server(false), sending_to(&image, place));
    let store = Store::new();
    let mut pull = Pull::into(&store);
    pull.credentials = registry_token();
    let host = HostConfig {
        ca: Some(certificates.path("ca.crt")),
        ..HostConfig::default()
    };
    pull.config = with_host(pull.config, &server.host(), host);
    let error = pull.run(&format!("{}/app:1", server.host())).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Denied);
    assert!(
        error
            .to_string()
            .contains("which is plain HTTP; ask the registry's owner"),
        "{error}"
    );
    assert_eq!(storage.asked().len(), 0);
}

/// An image with a layer that its registry does not have.
fn foreign(urls: &[String]) -> Image {
    let mut image = Image::new("amd64", &[10]);
    let mut manifest: serde_json::Value = serde_json::from_slice(&image.manifest).unwrap();
    manifest["layers"][0]["urls"] = urls.into();
    manifest["layers"][0]["mediaType"] =
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip".into();
    image.manifest = serde_json::to_vec(&manifest).unwrap();
    image
}

#[test]
fn foreign_layers_come_over_https_alone() {
    let certificates = Certificates::new();
    let whole = foreign(&[]);
    let layer = whole.layer(0).clone();
    let bytes = layer.1.clone();
    let publisher = start_tls(certificates.server(false), move |_| {
        Response::new(200).body(bytes.clone())
    });
    let plain = Server::start(|_| Response::new(200));
    let mut image = foreign(&[
        format!("http://{}/layer", plain.host()),
        format!("https://{}/layer", publisher.host()),
    ]);
    image.blobs.truncate(1);
    let server = Server::start(move |request: &Request| image.answer(request));
    let store = Store::new();
    let mut pull = Pull::into(&store);
    let host = HostConfig {
        ca: Some(certificates.path("ca.crt")),
        ..HostConfig::default()
    };
    pull.config = with_host(pull.config, &server.host(), host);
    pull.run(&format!("{}/app:1", server.host())).unwrap();
    assert!(store.has(&layer.0));
    assert_eq!(
        (publisher.lines(), plain.asked().len()),
        (vec!["GET /layer".to_owned()], 0)
    );
    let lines = server.lines();
    assert!(
        lines.iter().any(|l| l.ends_with(layer.0.as_str())),
        "{lines:?}"
    );
}

#[test]
fn certificates_are_checked() {
    let certificates = Certificates::new();
    let image = Image::new("amd64", &[10]);
    let answer = move |request: &Request| image.answer(request);
    let server = start_tls(certificates.server(false), answer);
    let host = server.host();
    let run = |host_config: HostConfig| {
        let store = Store::new();
        let mut pull = Pull::into(&store);
        pull.config = with_host(pull.config, &host, host_config);
        pull.run(&format!("{host}/app:1")).map(drop)
    };
    let error = run(HostConfig::default()).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Denied);
    insta::assert_snapshot!(words(&error, &host), @r#"cannot pull HOST/app:1: the certificate of HOST was signed by an unknown authority (UnknownIssuer); put the authority's certificate into /etc/docker/certs.d/HOST/ca.crt, or set "ca" in the section [registry."HOST"] of config.toml"#);
    let ca = Some(certificates.path("ca.crt"));
    run(HostConfig {
        ca,
        ..HostConfig::default()
    })
    .unwrap();
    run(HostConfig {
        insecure: true,
        ..HostConfig::default()
    })
    .unwrap();
    let other = Certificates::new();
    let ca = Some(other.path("ca.crt"));
    run(HostConfig {
        ca,
        ..HostConfig::default()
    })
    .unwrap_err();
}

#[test]
fn client_certificates_are_shown() {
    let certificates = Certificates::new();
    let image = Image::new("amd64", &[10]);
    let answer = move |request: &Request| image.answer(request);
    let server = start_tls(certificates.server(true), answer);
    let host = server.host();
    let folder = tempfile::tempdir().unwrap();
    let run = || {
        let store = Store::new();
        let mut pull = Pull::into(&store);
        pull.config.certificate_folders = vec![folder.path().to_owned()];
        pull.run(&format!("{host}/app:1")).map(drop)
    };
    certificates.install(folder.path(), &host, &["ca.crt"]);
    let error = run().unwrap_err().to_string();
    assert!(
        error.contains("client.cert") || error.contains("broke"),
        "{error}"
    );
    certificates.install(folder.path(), &host, &["client.cert", "client.key"]);
    run().unwrap();
}

#[test]
fn plain_http_where_tls_was_meant() {
    let server = Server::start(|_| Response::new(200));
    // The place of a foreign layer is https or nothing, even on loopback.
    let mut image = foreign(&[format!("https://{}/x", server.host())]);
    image.blobs.truncate(1);
    let registry = Server::start(move |request: &Request| image.answer(request));
    let store = Store::new();
    let reference = format!("{}/app:1", registry.host());
    let text = Pull::into(&store).run(&reference).unwrap_err().to_string();
    assert!(
        text.contains("does not speak TLS") && text.contains("insecure = true"),
        "{text}"
    );
    assert_eq!(server.asked().len(), 0);
}
