//! The distribution's docker-registry on loopback, skopeo as the other client, and a line between
//! that breaks.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use berth_image::registry::{Anonymous, Client, Credential, push, tags};
use berth_image::{Hasher, NoProgress};
use berth_testkit::web::{Proxy, ProxyRule, Registry, password_line};

use crate::image::{Image, Pull, config, with_host};
use crate::proxies::{both, plain};
use crate::store::Store;
use crate::uploads::stored;

/// Runs skopeo; `None` where it is not installed.
fn skopeo(arguments: &[&str]) -> Option<String> {
    let home = tempfile::tempdir().unwrap();
    let spawned = Command::new("skopeo")
        .arg("--insecure-policy")
        .args(arguments)
        .env("HOME", home.path())
        .env("XDG_RUNTIME_DIR", home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = spawned else {
        berth_testkit::skip("skopeo is not installed");
        return None;
    };
    let code = berth_testkit::finish(&mut child);
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(code, 0, "skopeo {arguments:?}: {err}");
    Some(String::from_utf8(output.stdout).unwrap())
}

/// Pushes an image as `HOST/app:1`.
pub(crate) fn send(image: &Image, host: &str) {
    let (store, manifest) = stored(image);
    let client = Client::new(config(), Box::new(Anonymous));
    let reference = format!("{host}/team/app:1").parse().unwrap();
    let digest = push(&client, &reference, &manifest, &store, &[], &NoProgress).unwrap();
    assert_eq!(digest, image.digest());
}

fn check_pull(image: &Image, host: &str) {
    let store = Store::new();
    let mut pull = Pull::into(&store);
    let pulled = pull.run(&format!("{host}/team/app:1")).unwrap();
    assert_eq!(pulled.manifest.digest, image.digest());
    assert_eq!(pulled.repo_digest, image.digest());
    for (digest, bytes) in &image.blobs {
        assert_eq!(std::fs::read(store.path(digest)).unwrap(), *bytes);
    }
    // By digest, and what is not there.
    let by_digest = format!("{host}/team/app@{}", image.digest());
    assert!(!pull.run(&by_digest).unwrap().is_new);
    let error = pull.run(&format!("{host}/team/app:2")).unwrap_err();
    assert_eq!(error.class(), berth_base::ErrorClass::NotFound, "{error}");
    let error = pull.run(&format!("{host}/team/none:1")).unwrap_err();
    assert_eq!(error.class(), berth_base::ErrorClass::NotFound, "{error}");
}

#[test]
fn there_and_back() {
    let Some(real) = Registry::start() else {
        return;
    };
    // An empty layer too: a PATCH without a byte.
    let image = Image::new("amd64", &[1_000_000, 10, 0, 500_000, 70_000]);
    send(&image, &real.host);
    check_pull(&image, &real.host);
    send(&image, &real.host);

    // Another repository of it mounts what the first one has.
    let (store, manifest) = stored(&image);
    let client = Client::new(config(), Box::new(Anonymous));
    let relatives = [format!("{}/team/app:1", real.host).parse().unwrap()];
    let other = format!("{}/other:latest", real.host).parse().unwrap();
    let notes = crate::image::Notes::default();
    push(&client, &other, &manifest, &store, &relatives, &notes).unwrap();
    let ends = notes.ends.lock().unwrap();
    assert!(ends.iter().all(|word| word == "mounted"), "{ends:?}");

    // skopeo reads it as we do, and copies it out, verifying every digest.
    let source = format!("docker://{}/team/app:1", real.host);
    let Some(raw) = skopeo(&["inspect", "--raw", "--tls-verify=false", &source]) else {
        return;
    };
    assert_eq!(Hasher::sha256(raw.as_bytes()), image.digest());
    let target = format!("oci:{}:app", real.folder().join("layout").display());
    skopeo(&["copy", "--src-tls-verify=false", &source, &target]);
}

#[test]
fn what_skopeo_pushed() {
    let Some(real) = Registry::start() else {
        return;
    };
    let image = Image::new("amd64", &[40_000, 10]);
    let layout = real.folder().join("layout");
    let blobs = layout.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    for (digest, bytes) in &image.blobs {
        std::fs::write(blobs.join(digest.hex()), bytes).unwrap();
    }
    std::fs::write(blobs.join(image.digest().hex()), &image.manifest).unwrap();
    std::fs::write(
        layout.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .unwrap();
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [{
        "mediaType": berth_image::media::MANIFEST, "digest": image.digest(), "size": image.manifest.len(),
        "annotations": {"org.opencontainers.image.ref.name": "app"}}]});
    std::fs::write(layout.join("index.json"), index.to_string()).unwrap();
    // Once as OCI, once as Docker's schema 2.
    for (format, tag) in [("oci", "o"), ("v2s2", "d")] {
        let source = format!("oci:{}:app", layout.display());
        let target = format!("docker://{}/app:{tag}", real.host);
        let copied = skopeo(&[
            "copy",
            "--dest-tls-verify=false",
            "--format",
            format,
            &source,
            &target,
        ]);
        if copied.is_none() {
            return;
        }
        let store = Store::new();
        let mut pull = Pull::into(&store);
        let pulled = pull.run(&format!("{}/app:{tag}", real.host)).unwrap();
        let diff_ids: Vec<_> = image.blobs[1..]
            .iter()
            .map(|(digest, _)| digest.clone())
            .collect();
        assert_eq!(pulled.config.rootfs.diff_ids, diff_ids);
        assert_eq!(*pull.layers.lock().unwrap(), [0, 1]);
        let is_docker = pulled.manifest.media_type.0.contains("docker");
        assert_eq!(is_docker, format == "v2s2");
    }
}

#[test]
fn a_line_that_breaks_both_ways() {
    let Some(real) = Registry::start() else {
        return;
    };
    let image = Image::new("amd64", &[2_000_000, 10]);
    let line = BreakingLine::to(real.host.parse().unwrap());
    line.up.store(700_000, Ordering::SeqCst);
    send(&image, &line.host());
    assert!(line.up.load(Ordering::SeqCst) < 0, "the line broke");
    check_pull(&image, &real.host);

    line.down.store(600_000, Ordering::SeqCst);
    check_pull(&image, &line.host());
    assert!(line.down.load(Ordering::SeqCst) < 0, "the line broke");
}

/// Passes connections on, and cuts one once so many bytes went up or down.
struct BreakingLine {
    address: SocketAddr,
    up: Arc<AtomicI64>,
    down: Arc<AtomicI64>,
}

impl BreakingLine {
    fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (up, down) = (
            Arc::new(AtomicI64::new(i64::MAX)),
            Arc::new(AtomicI64::new(i64::MAX)),
        );
        let (up_left, down_left) = (Arc::clone(&up), Arc::clone(&down));
        // The thread waits for connections until the test's process ends.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(target) else {
                    return;
                };
                for (from, to, left) in [
                    (
                        client.try_clone().unwrap(),
                        server.try_clone().unwrap(),
                        Arc::clone(&up_left),
                    ),
                    (server, client, Arc::clone(&down_left)),
                ] {
                    std::thread::spawn(move || pass(from, to, &left));
                }
            }
        });
        Self { address, up, down }
    }

    fn host(&self) -> String {
        self.address.to_string()
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, left: &AtomicI64) {
    let mut bytes = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        let before = left.fetch_sub(count as i64, Ordering::SeqCst);
        let breaks = before >= 0 && before < count as i64;
        if breaks || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    drop(from.shutdown(Shutdown::Both));
    drop(to.shutdown(Shutdown::Both));
}

#[test]
fn a_password_file() {
    let Some(line) = password_line("me", "pass:word") else {
        return;
    };
    let Some(real) = Registry::start_for(&line) else {
        return;
    };
    let login = |secret: &str| Credential::Password {
        name: "me".into(),
        secret: secret.into(),
    };
    let verify = |secret: &str| {
        berth_image::registry::verify_login(config(), &real.host, login(secret), &NoProgress)
    };
    verify("pass:word").unwrap();
    let error = verify("other").unwrap_err();
    assert_eq!(error.class(), berth_base::ErrorClass::Denied, "{error}");

    let image = Image::new("amd64", &[1000]);
    let (store, manifest) = stored(&image);
    let reference = format!("{}/team/app:1", real.host).parse().unwrap();
    let stranger = Client::new(config(), Box::new(Anonymous));
    let error = push(&stranger, &reference, &manifest, &store, &[], &NoProgress).unwrap_err();
    assert!(error.to_string().contains("berth login"), "{error}");
    let client = Client::new(config(), Box::new(login("pass:word")));
    push(&client, &reference, &manifest, &store, &[], &NoProgress).unwrap();
    let store = Store::new();
    let mut pull = Pull::into(&store);
    pull.credentials = Box::new(login("pass:word"));
    pull.run(&format!("{}/team/app:1", real.host)).unwrap();
}

#[test]
fn through_a_proxy() {
    let Some(real) = Registry::start() else {
        return;
    };
    // "me:secret".
    let proxy = Proxy::start(real.address(), ProxyRule::Wants("Basic bWU6c2VjcmV0"));
    let mut config = with_host(config(), "r.example", plain());
    config.proxies = both(&format!("http://me:secret@{}", proxy.address));
    let image = Image::new("amd64", &[300_000, 10]);
    let (store, manifest) = stored(&image);
    let client = Client::new(config.clone(), Box::new(Anonymous));
    let reference = "r.example/team/app:1".parse().unwrap();
    push(&client, &reference, &manifest, &store, &[], &NoProgress).unwrap();
    let store = Store::new();
    let mut pull = Pull::into(&store);
    pull.config = config.clone();
    pull.run("r.example/team/app:1").unwrap();
    let name = "r.example/team/app".parse().unwrap();
    let tags = tags(&client, &name, &NoProgress).unwrap();
    assert_eq!(tags, [reference]);
    let lines = proxy.lines();
    let plain = |line: &String| line.contains(" http://r.example/v2/");
    assert!(lines.iter().any(plain), "{lines:?}");
}

#[test]
fn all_tags() {
    let Some(real) = Registry::start() else {
        return;
    };
    let image = Image::new("amd64", &[10]);
    let (store, manifest) = stored(&image);
    let client = Client::new(config(), Box::new(Anonymous));
    // More than a page of what is asked for at once would be slow; the registry's own order counts.
    for tag in ["b", "a", "C"] {
        let reference = format!("{}/app:{tag}", real.host).parse().unwrap();
        push(&client, &reference, &manifest, &store, &[], &NoProgress).unwrap();
    }
    let name = format!("{}/app", real.host).parse().unwrap();
    let listed = tags(&client, &name, &NoProgress).unwrap();
    let mut listed: Vec<_> = listed.iter().filter_map(|name| name.tag()).collect();
    listed.sort_unstable();
    assert_eq!(listed, ["C", "a", "b"]);
    let none = format!("{}/none", real.host).parse().unwrap();
    let error = tags(&client, &none, &NoProgress).unwrap_err();
    assert_eq!(error.class(), berth_base::ErrorClass::NotFound, "{error}");
}
