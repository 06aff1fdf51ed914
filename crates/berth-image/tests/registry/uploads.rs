//! Pushing to a registry that is hostile, or merely forgetful.

use std::collections::BTreeMap;
use std::sync::Mutex;

use berth_base::Digest;
use berth_image::registry::{Anonymous, Client, Credential, Credentials, push};
use berth_image::{Descriptor, Hasher, ImageError, ImageRef, media};

use crate::hostile::{Request, Response, Server};
use crate::image::{Image, Notes, config, words};
use crate::store::Store;

/// What a registry keeps: uploads under way by their number, blobs, manifests.
#[derive(Default)]
struct Kept {
    uploads: BTreeMap<usize, Vec<u8>>,
    blobs: BTreeMap<String, Vec<u8>>,
    manifests: BTreeMap<String, Vec<u8>>,
    patches: usize,
}

/// How it behaves.
#[derive(Clone, Copy, Default)]
struct Manner {
    /// The first PATCH keeps only so many bytes and answers 500.
    keeps: Option<usize>,
    /// An upload that failed is forgotten.
    forgets: bool,
    /// Blobs of the repository "base" can be mounted.
    lends: bool,
}

fn registry(manner: Manner) -> Server {
    let kept = Mutex::new(Kept::default());
    Server::start(move |request: &Request| answer(request, &mut kept.lock().unwrap(), manner))
}

fn answer(request: &Request, kept: &mut Kept, manner: Manner) -> Response {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let last = path.rsplit('/').next().unwrap();
    let number = || last.parse::<usize>().unwrap();
    let at = |number: usize| format!("/v2/app/blobs/uploads/{number}?state=x%2Fy");
    match (request.method.as_str(), path) {
        ("HEAD", _) if kept.blobs.contains_key(last) => Response::new(200),
        ("POST", _) if manner.lends && query.contains("from=base") => Response::new(201),
        ("POST", _) => {
            let number = kept.uploads.len() + 1;
            kept.uploads.insert(number, Vec::new());
            Response::new(202).with("location", at(number))
        }
        ("PATCH", _) => {
            kept.patches += 1;
            let first = kept.patches == 1;
            let upload = kept.uploads.get_mut(&number()).unwrap();
            if let Some(range) = request.header("content-range") {
                assert_eq!(range.split('-').next().unwrap(), upload.len().to_string());
            }
            match manner.keeps {
                Some(count) if first => {
                    upload.extend_from_slice(&request.body[..count]);
                    if manner.forgets {
                        kept.uploads.insert(number(), Vec::new());
                    }
                    Response::new(500)
                }
                _ => {
                    upload.extend_from_slice(&request.body);
                    Response::new(202).with("location", at(number()))
                }
            }
        }
        ("GET", _) if path.contains("/uploads/") => match kept.uploads.get(&number()) {
            Some(upload) if !manner.forgets => Response::new(204)
                .with("location", at(number()))
                .with("range", format!("0-{}", upload.len().saturating_sub(1))),
            _ => Response::error(404, "BLOB_UPLOAD_UNKNOWN", "gone"),
        },
        ("PUT", _) if path.contains("/uploads/") => {
            let bytes = kept.uploads[&number()].clone();
            let digest = Hasher::sha256(&bytes);
            if !query.ends_with(&format!("digest=sha256%3A{}", digest.hex())) {
                return Response::error(400, "DIGEST_INVALID", "provided digest did not match");
            }
            kept.blobs.insert(digest.to_string(), bytes);
            Response::new(201)
        }
        ("PUT", _) => {
            let digest = Hasher::sha256(&request.body);
            kept.manifests.insert(last.to_owned(), request.body.clone());
            Response::new(201).with("docker-content-digest", digest.as_str())
        }
        _ => Response::error(404, "UNKNOWN", ""),
    }
}

/// A store that has the image, and the descriptor of its manifest.
pub(crate) fn stored(image: &Image) -> (Store, Descriptor) {
    let store = Store::new();
    for (_, bytes) in &image.blobs {
        store.add(bytes);
    }
    let digest = store.add(&image.manifest);
    let size = image.manifest.len() as u64;
    (store, Descriptor::new(media::MANIFEST, digest, size))
}

fn send(server: &Server, image: &Image, relatives: &[&str]) -> (Result<Digest, ImageError>, Notes) {
    send_as(server, image, relatives, Box::new(Anonymous))
}

fn send_as(
    server: &Server,
    image: &Image,
    relatives: &[&str],
    credentials: Box<dyn Credentials>,
) -> (Result<Digest, ImageError>, Notes) {
    let (store, manifest) = stored(image);
    let client = Client::new(config(), credentials);
    let parse = |text: &str| -> ImageRef { format!("{}/{text}", server.host()).parse().unwrap() };
    let relatives: Vec<ImageRef> = relatives.iter().map(|text| parse(text)).collect();
    let notes = Notes::default();
    let pushed = push(
        &client,
        &parse("app:1"),
        &manifest,
        &store,
        &relatives,
        &notes,
    );
    (pushed, notes)
}

#[test]
fn blobs_first_and_the_manifest_last() {
    let image = Image::new("amd64", &[300_000, 10]);
    let server = registry(Manner::default());
    let (pushed, notes) = send(&server, &image, &[]);
    assert_eq!(pushed.unwrap(), image.digest());
    let asked = server.asked();
    let last = asked.last().unwrap();
    assert_eq!(
        (last.method.as_str(), last.path.as_str()),
        ("PUT", "/v2/app/manifests/1")
    );
    assert_eq!(last.header("content-type"), Some(media::MANIFEST));
    assert_eq!(last.body, image.manifest);
    let total: usize = image.blobs.iter().map(|(_, bytes)| bytes.len()).sum();
    assert_eq!(*notes.bytes.lock().unwrap(), total as u64);
    // Again: everything is there but the tag.
    let before = asked.len();
    let (pushed, notes) = send(&server, &image, &[]);
    pushed.unwrap();
    assert_eq!(server.asked().len() - before, 4);
    assert_eq!(
        *notes.ends.lock().unwrap(),
        ["already there", "already there", "already there"]
    );
}

#[test]
fn an_upload_that_breaks_goes_on_where_it_broke() {
    let image = Image::new("amd64", &[]);
    let config_length = image.blobs[0].1.len();
    let server = registry(Manner {
        keeps: Some(20),
        ..Manner::default()
    });
    let (pushed, _) = send(&server, &image, &[]);
    pushed.unwrap();
    let asked = server.asked();
    let patches: Vec<&Request> = asked.iter().filter(|r| r.method == "PATCH").collect();
    assert_eq!(patches.len(), 2);
    assert_eq!(patches[0].header("content-range"), None);
    let rest = format!("20-{}", config_length - 1);
    assert_eq!(patches[1].header("content-range"), Some(rest.as_str()));
    assert_eq!(patches[1].body.len(), config_length - 20);
}

#[test]
fn an_upload_that_is_forgotten_begins_anew() {
    let image = Image::new("amd64", &[]);
    let server = registry(Manner {
        keeps: Some(20),
        forgets: true,
        ..Manner::default()
    });
    let (pushed, _) = send(&server, &image, &[]);
    pushed.unwrap();
    let posts = server
        .lines()
        .into_iter()
        .filter(|line| line.starts_with("POST"));
    assert_eq!(posts.count(), 2);
}

#[test]
fn what_a_neighbour_has_is_not_sent() {
    let image = Image::new("amd64", &[1000]);
    let server = registry(Manner {
        lends: true,
        ..Manner::default()
    });
    let (pushed, notes) = send(&server, &image, &["app:0", "base:7"]);
    pushed.unwrap();
    assert_eq!(*notes.ends.lock().unwrap(), ["mounted", "mounted"]);
    let lines = server.lines();
    assert!(
        lines.iter().all(|line| !line.starts_with("PATCH")),
        "{lines:?}"
    );
}

#[test]
fn tokens_allow_to_push_and_to_mount() {
    let image = Image::new("amd64", &[]);
    let server = Server::start_with(|address| {
        Box::new(move |request: &Request| {
            if request.path.starts_with("/token") {
                return Response::new(200).body(r#"{"access_token":"T"}"#);
            }
            match (request.header("authorization"), request.method.as_str()) {
                (Some("Bearer T"), "PUT") => Response::new(201),
                (Some("Bearer T"), _) => Response::new(200),
                _ => Response::new(401).with(
                    "www-authenticate",
                    format!("Bearer realm=\"http://{address}/token\""),
                ),
            }
        })
    });
    let login = Credential::Password {
        name: "a".into(),
        secret: "b".into(),
    };
    let (pushed, _) = send_as(&server, &image, &["base:1"], Box::new(login));
    pushed.unwrap();
    let tokens: Vec<String> = server
        .lines()
        .into_iter()
        .filter(|l| l.contains("/token"))
        .collect();
    // Two threads may need it at once: the blob's and the manifest's come one after the other here.
    assert_eq!(
        tokens,
        [
            "GET /token?scope=repository%3Aapp%3Apull%2Cpush&scope=repository%3Abase%3Apull&account=a"
        ]
    );
}

#[test]
fn refusals_in_words() {
    let image = Image::new("amd64", &[]);
    let denied = Server::start(|_| Response::error(403, "DENIED", "no write access"));
    let (pushed, _) = send(&denied, &image, &[]);
    let text = words(&pushed.unwrap_err(), &denied.host());
    let short = image.blobs[0].0.short();
    let text = text.replace(short, "SHORT");
    // A HEAD has no body to explain itself with.
    insta::assert_snapshot!(text, @r#"cannot push SHORT of HOST/app:1: HOST forbids it; ask its owner for the right, or log in as somebody else with "berth login HOST""#);

    let lying = Server::start(|request: &Request| match request.method.as_str() {
        "PUT" => Response::new(201).with("docker-content-digest", Hasher::sha256(b"x").as_str()),
        _ => Response::new(200),
    });
    let (pushed, _) = send(&lying, &image, &[]);
    let text = pushed.unwrap_err().to_string();
    assert!(text.contains("at the registry has the digest"), "{text}");

    let nowhere = Server::start(|request: &Request| match request.method.as_str() {
        "HEAD" => Response::new(404),
        _ => Response::new(202),
    });
    let (pushed, _) = send(&nowhere, &image, &[]);
    let text = pushed.unwrap_err().to_string();
    assert!(text.contains("did not say where"), "{text}");
}

#[test]
fn a_store_that_lost_a_blob_says_so() {
    let image = Image::new("amd64", &[100]);
    let server = registry(Manner::default());
    let (store, manifest) = stored(&image);
    std::fs::remove_file(store.path(&image.layer(0).0)).unwrap();
    let client = Client::new(config(), Box::new(Anonymous));
    let reference = format!("{}/app:1", server.host()).parse().unwrap();
    let error = push(
        &client,
        &reference,
        &manifest,
        &store,
        &[],
        &Notes::default(),
    )
    .unwrap_err();
    assert!(matches!(error, ImageError::MissingBlob { .. }), "{error}");
    assert!(!server.lines().iter().any(|line| line.contains("manifests")));
}
