//! What a registry can get wrong or refuse, and what the user is told.

use std::time::Duration;

use berth_base::ErrorClass;
use berth_image::registry::{HostConfig, PlatformChoice};
use berth_image::{ImageError, Platform, media};

use crate::hostile::{Request, Response, Server};
use crate::image::{Image, Pull, with_host, words};
use crate::store::Store;

/// Pulls `HOST/app:1` from a server, which must fail.
fn refused(server: &Server) -> (ErrorClass, String) {
    let store = Store::new();
    let mut pull = Pull::into(&store);
    let error = pull.run(&format!("{}/app:1", server.host())).unwrap_err();
    assert!(pull.layers.lock().unwrap().is_empty());
    (error.class(), words(&error, &server.host()))
}

fn always(response: Response) -> Server {
    Server::start(move |_| response.clone())
}

#[test]
fn nobody_listens() {
    let server = always(Response::new(200));
    let host = server.host();
    drop(server);
    let store = Store::new();
    let error = Pull::into(&store)
        .run(&format!("{host}/app:1"))
        .unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable);
    insta::assert_snapshot!(words(&error, &host), @"cannot pull HOST/app:1: the registry HOST cannot be reached: connection refused; check its name and port, or start it");
}

#[test]
fn a_name_that_is_none() {
    let store = Store::new();
    // RFC 6761: never exists. Whether a name server answers here at all is another matter.
    let error = Pull::into(&store)
        .run("registry.invalid/app:1")
        .unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable);
    let text = error.to_string();
    assert!(
        text.starts_with("cannot pull registry.invalid/app:1: the registry's name registry.invalid cannot be resolved: ")
            && text.ends_with("; check the name, /etc/hosts and /etc/resolv.conf"),
        "{text}"
    );
}

#[test]
fn not_there() {
    let server = always(Response::error(404, "MANIFEST_UNKNOWN", "manifest unknown"));
    let (class, text) = refused(&server);
    assert_eq!(class, ErrorClass::NotFound);
    insta::assert_snapshot!(text, @"cannot pull HOST/app:1: it is not on HOST (it says: manifest unknown); check name and tag");
    assert_eq!(server.asked().len(), 1, "a 404 is not tried again");

    let server = always(Response::error(404, "NAME_UNKNOWN", ""));
    let (class, text) = refused(&server);
    assert_eq!(class, ErrorClass::NotFound);
    insta::assert_snapshot!(text, @"cannot pull HOST/app:1: there is no such repository on HOST (it says: NAME_UNKNOWN); check the name");
}

#[test]
fn not_allowed() {
    let basic = Response::error(401, "UNAUTHORIZED", "authentication required");
    let server = always(basic.with("www-authenticate", "Basic realm=\"x\""));
    let (class, text) = refused(&server);
    assert_eq!(class, ErrorClass::Denied);
    insta::assert_snapshot!(text, @r#"cannot pull HOST/app:1: it does not exist on HOST, or it wants a login (it says: authentication required); check the name, or log in with "berth login HOST""#);
    let server = always(Response::error(403, "DENIED", "no \u{1b}[31m access"));
    let (class, text) = refused(&server);
    assert_eq!(class, ErrorClass::Denied);
    insta::assert_snapshot!(text, @r#"cannot pull HOST/app:1: HOST forbids it; ask its owner for the right, or log in as somebody else with "berth login HOST""#);
    assert_eq!(server.asked().len(), 1, "a 403 is not tried again");
}

#[test]
fn too_often() {
    let server = always(
        Response::error(
            429,
            "TOOMANYREQUESTS",
            "You have reached your pull rate limit",
        )
        .with("retry-after", "3600"),
    );
    let (class, text) = refused(&server);
    assert_eq!(class, ErrorClass::Unavailable);
    insta::assert_snapshot!(text, @r#"cannot pull HOST/app:1: HOST allows no more requests for now (its rate limit) (it says: You have reached your pull rate limit); try again in 60 minutes, log in with "berth login HOST" for a higher limit, or configure a mirror"#);
    assert_eq!(server.asked().len(), 1, "an hour is not waited for");
}

#[test]
fn too_often_for_a_moment() {
    let image = Image::new("amd64", &[10]);
    let first = std::sync::atomic::AtomicBool::new(true);
    let server = Server::start(move |request| {
        if first.swap(false, std::sync::atomic::Ordering::SeqCst) {
            return Response::new(429).with("retry-after", "1");
        }
        image.answer(request)
    });
    let store = Store::new();
    let mut pull = Pull::into(&store);
    pull.run(&format!("{}/app:1", server.host())).unwrap();
    let notes = pull
        .notes
        .notes
        .lock()
        .unwrap()
        .join("\n")
        .replace(&server.host(), "HOST");
    insta::assert_snapshot!(notes, @"HOST/app:1: HOST limits requests; trying again in 1.0s");
}

#[test]
fn broken_for_good_and_for_a_moment() {
    let server = always(Response::new(503));
    let (class, text) = refused(&server);
    assert_eq!(class, ErrorClass::Unavailable);
    insta::assert_snapshot!(text, @"cannot pull HOST/app:1: HOST answered 503 Service Unavailable; try again later");
    assert_eq!(server.asked().len(), 3);

    let image = Image::new("amd64", &[10]);
    let count = std::sync::atomic::AtomicU32::new(0);
    let server = Server::start(move |request| {
        if count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 2 {
            return Response::new(502);
        }
        image.answer(request)
    });
    let store = Store::new();
    Pull::into(&store)
        .run(&format!("{}/app:1", server.host()))
        .unwrap();
}

#[test]
fn says_nothing() {
    let server = always(Response {
        delay: Duration::from_secs(2),
        ..Response::new(200)
    });
    let store = Store::new();
    let mut pull = Pull::into(&store);
    // Plain HTTP is known of a mirror that says so; else the greeting of TLS would be refused.
    pull.config.tuning.idle = Duration::from_millis(300);
    pull.config.tuning.attempts = 1;
    let error = pull.run(&format!("{}/app:1", server.host())).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable);
    insta::assert_snapshot!(words(&error, &server.host()), @"cannot pull HOST/app:1: the registry HOST said nothing for 0s; try again later");
}

#[test]
fn a_web_page() {
    let page = |status| {
        Response::new(status)
            .with("content-type", "text/html; charset=utf-8")
            .body("<html>")
    };
    let (class, text) = refused(&always(page(200)));
    assert_eq!(class, ErrorClass::Unavailable);
    insta::assert_snapshot!(text, @"cannot use the manifest 1 of HOST/app:1: HOST answered with a web page instead; a proxy or a login page of the network may be in between, or it is no registry");
    let (_, text) = refused(&always(page(407)));
    insta::assert_snapshot!(text, @"cannot pull HOST/app:1: HOST answered 407 Proxy Authentication Required with a web page instead of what a registry says; a proxy or a login page of the network may be in between, or it is no registry");
}

#[test]
fn wrong_media_types() {
    let image = Image::new("amd64", &[10]);
    let manifest = image.manifest.clone();
    let wrong = |kind: &str| {
        Response::new(200)
            .with("content-type", kind)
            .body(manifest.clone())
    };
    let (class, text) = refused(&always(wrong(media::INDEX)));
    assert_eq!(class, ErrorClass::Invalid);
    insta::assert_snapshot!(text, @"cannot use HOST/app:1: its media type application/vnd.oci.image.index.v1+json does not fit its content");
    let (class, text) = refused(&always(wrong("application/vnd.cncf.helm.chart+json")));
    assert_eq!(class, ErrorClass::Unsupported);
    insta::assert_snapshot!(text, @"cannot use HOST/app:1: its media type is application/vnd.cncf.helm.chart+json, which is no image");
    let schema1 = Response::new(200)
        .with(
            "content-type",
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
        )
        .body(r#"{"schemaVersion":1,"fsLayers":[],"history":[]}"#);
    let (class, text) = refused(&always(schema1));
    assert_eq!(class, ErrorClass::Unsupported);
    insta::assert_snapshot!(text, @"cannot use HOST/app:1: it has Docker's manifest schema 1, which no digest protects; push it again with a current client");
    let chart = String::from_utf8(manifest.clone()).unwrap();
    let chart = chart.replace(media::CONFIG, "application/vnd.cncf.helm.config.v1+json");
    let (class, text) = refused(&always(wrong(media::MANIFEST).body(chart)));
    assert_eq!(class, ErrorClass::Unsupported);
    insta::assert_snapshot!(text, @"cannot use HOST/app:1: its configuration has the media type application/vnd.cncf.helm.config.v1+json, so it is no container image");
}

#[test]
fn wrong_digests() {
    let image = Image::new("amd64", &[10]);
    let lie = |header: &str| {
        let digest = berth_image::Hasher::sha256(header.as_bytes());
        Response::new(200)
            .with("content-type", media::MANIFEST)
            .with("docker-content-digest", digest.as_str())
            .body(image.manifest.clone())
    };
    let (class, text) = refused(&always(lie("other")));
    assert_eq!(class, ErrorClass::Invalid);
    assert!(
        text.starts_with("the manifest 1 of HOST/app:1 has the digest sha256:"),
        "{text}"
    );

    // Asked for by digest, another document comes.
    let server = always(
        Response::new(200)
            .with("content-type", media::MANIFEST)
            .body(image.manifest.clone()),
    );
    let store = Store::new();
    let digest = berth_image::Hasher::sha256(b"other");
    let error = Pull::into(&store)
        .run(&format!("{}/app@{digest}", server.host()))
        .unwrap_err();
    assert!(
        matches!(error, ImageError::Digest { ref expected, .. } if *expected == digest),
        "{error}"
    );

    // A layer's bytes are not the promised ones.
    let lying = image.clone();
    let (layer, _) = image.layer(0).clone();
    let server = Server::start(move |request: &Request| {
        let mut response = lying.answer(request);
        if request.path.ends_with(lying.layer(0).0.as_str()) {
            response.body.reverse();
        }
        response
    });
    let store = Store::new();
    let error = Pull::into(&store)
        .run(&format!("{}/app:1", server.host()))
        .unwrap_err();
    assert!(
        matches!(error, ImageError::Digest { ref expected, .. } if *expected == layer),
        "{error}"
    );
    assert!(!store.has(&layer) && store.part(&layer).is_none());
}

#[test]
fn longer_than_promised() {
    let image = Image::new("amd64", &[10]);
    let layer = image.layer(0).0.clone();
    let server = Server::start(move |request: &Request| {
        let mut response = image.answer(request);
        if request.path.ends_with(image.layer(0).0.as_str()) {
            response.body.extend_from_slice(&[0; 100_000]);
        }
        response
    });
    let store = Store::new();
    let error = Pull::into(&store)
        .run(&format!("{}/app:1", server.host()))
        .unwrap_err();
    assert!(
        matches!(error, ImageError::Size { expected: 10, .. }),
        "{error}"
    );
    assert!(!store.has(&layer) && store.part(&layer).is_none());
}

#[test]
fn platforms() {
    let image = Image::new("riscv64", &[10]);
    let digest = image.digest();
    let index = serde_json::json!({"schemaVersion": 2, "mediaType": media::INDEX, "manifests": [
        {"mediaType": media::MANIFEST, "digest": digest, "size": image.manifest.len(), "platform": {"os": "linux", "architecture": "riscv64"}},
        {"mediaType": media::MANIFEST, "digest": digest, "size": image.manifest.len(), "platform": {"os": "linux", "architecture": "arm", "variant": "v7"}}]});
    let index = serde_json::to_vec(&index).unwrap();
    let index_digest = berth_image::Hasher::sha256(&index);
    let only = image.clone();
    let server = Server::start(move |request: &Request| match request.path.as_str() {
        "/v2/app/manifests/many" => Response::new(200)
            .with("content-type", media::INDEX)
            .body(index.clone()),
        _ => only.answer(request),
    });
    let store = Store::new();
    let mut pull = Pull::into(&store);
    let mut run = |reference: &str, choice: PlatformChoice| {
        pull.choice = choice;
        let pulled = pull.run(&format!("{}/app:{reference}", server.host()));
        let notes = std::mem::take(&mut *pull.notes.notes.lock().unwrap());
        (
            pulled.map_err(|e| words(&e, &server.host())),
            notes.join("\n"),
        )
    };
    let asked = |text: &str| PlatformChoice::Only(Platform::parse(text).unwrap());
    let (refused, _) = run("many", PlatformChoice::Host);
    insta::assert_snapshot!(refused.unwrap_err(), @"cannot use HOST/app:many: it does not come for linux/amd64: it comes for linux/riscv64, linux/arm/v7; choose with --platform");
    let (pulled, _) = run("many", asked("riscv64"));
    let pulled = pulled.unwrap();
    assert_eq!(
        (pulled.manifest.digest, pulled.repo_digest),
        (digest, index_digest)
    );
    // Without an index: taken for this machine with a warning, refused where another was wanted.
    let (pulled, notes) = run("one", PlatformChoice::Host);
    assert!(!pulled.unwrap().is_new);
    let notes = notes.replace(&server.host(), "HOST");
    insta::assert_snapshot!(notes, @"HOST/app:one is for linux/riscv64, this machine is linux/amd64: its programs may not run");
    let (refused, _) = run("one", asked("linux/s390x"));
    insta::assert_snapshot!(refused.unwrap_err(), @"cannot use HOST/app:one: it does not come for linux/s390x: it comes for linux/riscv64; choose with --platform");
}

#[test]
fn a_mirror_that_fails_gives_way_to_the_registry() {
    let image = Image::new("amd64", &[10]);
    let broken = always(Response::error(404, "MANIFEST_UNKNOWN", "no"));
    let server = Server::start(move |request: &Request| image.answer(request));
    let store = Store::new();
    let mut pull = Pull::into(&store);
    let mirrors = vec![format!("http://{}/hub", broken.host())];
    let host = HostConfig {
        mirrors,
        ..HostConfig::default()
    };
    pull.config = with_host(pull.config, &server.host(), host);
    pull.run(&format!("{}/app:1", server.host())).unwrap();
    // The manifest, then each blob from the registry that had it.
    assert_eq!(broken.lines(), ["GET /hub/v2/app/manifests/1"]);
    assert_eq!(pull.notes.notes.lock().unwrap().len(), 1);
}

#[test]
fn a_mirror_serves_instead_of_the_registry() {
    let image = Image::new("amd64", &[10]);
    let mirror = Server::start(move |request: &Request| image.answer(request));
    let store = Store::new();
    let mut pull = Pull::into(&store);
    let mirrors = vec![format!("http://{}", mirror.host())];
    let host = HostConfig {
        mirrors,
        ..HostConfig::default()
    };
    // Nothing listens at the registry itself.
    pull.config = with_host(pull.config, "127.0.0.1:1", host);
    pull.run("127.0.0.1:1/app:1").unwrap();
    assert_eq!(mirror.asked().len(), 3);
}
