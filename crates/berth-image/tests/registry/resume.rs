//! Broken connections, and processes that died: what was fetched is not fetched again.

use std::sync::atomic::{AtomicU32, Ordering};

use berth_image::ImageError;

use crate::hostile::{Request, Response, Server};
use crate::image::{Image, Pull};
use crate::store::Store;

/// A server that cuts the first answers for a layer after so many bytes of each.
fn cutting(image: &Image, layer: usize, cuts: u32, at: usize) -> Server {
    let image = image.clone();
    let count = AtomicU32::new(0);
    Server::start(move |request: &Request| {
        let mut response = image.answer(request);
        if request.path.ends_with(image.layer(layer).0.as_str())
            && count.fetch_add(1, Ordering::SeqCst) < cuts
        {
            response.cut_at = Some(at);
        }
        response
    })
}

fn ranges(server: &Server) -> Vec<String> {
    let asked = server.asked();
    let ranges = asked.iter().filter_map(|r| r.header("range"));
    ranges.map(str::to_owned).collect()
}

#[test]
fn a_cut_body_goes_on_where_it_was_cut() {
    let image = Image::new("amd64", &[100_000, 50]);
    // More cuts than tries: each brings something, so none is the last.
    let server = cutting(&image, 0, 5, 10_000);
    let store = Store::new();
    let mut pull = Pull::into(&store);
    let pulled = pull.run(&format!("{}/app:1", server.host())).unwrap();
    assert!(pulled.is_new);
    assert_eq!(
        ranges(&server),
        [
            "bytes=10000-99999",
            "bytes=20000-99999",
            "bytes=30000-99999",
            "bytes=40000-99999",
            "bytes=50000-99999"
        ]
    );
    assert_eq!(
        std::fs::read(store.path(&image.layer(0).0)).unwrap(),
        image.layer(0).1
    );
    assert_eq!(*pull.layers.lock().unwrap(), [0, 1]);
    let total: usize = image.blobs.iter().map(|(_, bytes)| bytes.len()).sum();
    assert_eq!(*pull.notes.bytes.lock().unwrap(), total as u64);
}

#[test]
fn a_body_that_is_always_cut_at_once_ends() {
    let image = Image::new("amd64", &[1000]);
    let server = cutting(&image, 0, u32::MAX, 0);
    let store = Store::new();
    let error = Pull::into(&store)
        .run(&format!("{}/app:1", server.host()))
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("broke again and again") && text.ends_with("what was transferred is kept"),
        "{text}"
    );
}

#[test]
fn what_an_earlier_process_left_is_used() {
    let image = Image::new("amd64", &[1000]);
    let (digest, bytes) = image.layer(0).clone();
    let server = cutting(&image, 0, 0, 0);
    let store = Store::new();
    store.leave_part(&digest, &bytes[..600]);
    let mut pull = Pull::into(&store);
    pull.run(&format!("{}/app:1", server.host())).unwrap();
    assert_eq!(ranges(&server), ["bytes=600-999"]);
    assert_eq!(*pull.notes.begun_at.lock().unwrap(), 600);
    assert_eq!(std::fs::read(store.path(&digest)).unwrap(), bytes);

    // Whole but not committed: nothing is asked for.
    let store = Store::new();
    store.leave_part(&digest, &bytes);
    let before = server.asked().len();
    Pull::into(&store)
        .run(&format!("{}/app:1", server.host()))
        .unwrap();
    assert_eq!(server.asked().len() - before, 2);
}

#[test]
fn a_bad_part_is_fetched_anew() {
    let image = Image::new("amd64", &[1000]);
    let (digest, bytes) = image.layer(0).clone();
    let server = cutting(&image, 0, 0, 0);
    let store = Store::new();
    store.leave_part(&digest, &[9; 600]);
    Pull::into(&store)
        .run(&format!("{}/app:1", server.host()))
        .unwrap();
    assert_eq!(std::fs::read(store.path(&digest)).unwrap(), bytes);
    store.leave_part(&image.blobs[0].0, &[9; 60_000]);
    let longer = Store::new();
    longer.leave_part(&digest, &[9; 60_000]);
    Pull::into(&longer)
        .run(&format!("{}/app:1", server.host()))
        .unwrap();
}

#[test]
fn a_server_without_ranges_sends_the_whole_again() {
    let image = Image::new("amd64", &[1000]);
    let (digest, bytes) = image.layer(0).clone();
    let store = Store::new();
    store.leave_part(&digest, &bytes[..600]);
    let server = Server::start(move |request: &Request| {
        let mut request = request.clone();
        request.headers.retain(|(name, _)| name != "range");
        image.answer(&request)
    });
    Pull::into(&store)
        .run(&format!("{}/app:1", server.host()))
        .unwrap();
    assert_eq!(std::fs::read(store.path(&digest)).unwrap(), bytes);
}

#[test]
fn a_server_that_sends_another_part_is_refused() {
    let image = Image::new("amd64", &[1000]);
    let (digest, bytes) = image.layer(0).clone();
    let store = Store::new();
    store.leave_part(&digest, &bytes[..600]);
    let server = Server::start(move |request: &Request| {
        let response = image.answer(request);
        match response.status {
            206 => Response::new(206)
                .with("content-range", "bytes 700-999/1000")
                .body(vec![0; 300]),
            _ => response,
        }
    });
    let error = Pull::into(&store)
        .run(&format!("{}/app:1", server.host()))
        .unwrap_err();
    assert!(matches!(error, ImageError::Malformed { .. }), "{error}");
    assert_eq!(store.part(&digest), Some(600));
}

#[test]
fn the_same_layer_twice_is_fetched_once_and_handed_on_twice() {
    let mut image = Image::new("amd64", &[10, 20]);
    let text = String::from_utf8(image.manifest.clone()).unwrap();
    let second = serde_json::from_str::<serde_json::Value>(&text).unwrap()["layers"][1].clone();
    let mut manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    manifest["layers"][0] = second;
    image.manifest = serde_json::to_vec(&manifest).unwrap();
    let server = cutting(&image, 0, 0, 0);
    let store = Store::new();
    let mut pull = Pull::into(&store);
    pull.run(&format!("{}/app:1", server.host())).unwrap();
    assert_eq!(*pull.layers.lock().unwrap(), [0, 1]);
    assert_eq!(server.asked().len(), 3);
    // Again: nothing is fetched but the manifest, and both are handed on again.
    let mut pull = Pull::into(&store);
    assert!(
        !pull
            .run(&format!("{}/app:1", server.host()))
            .unwrap()
            .is_new
    );
    assert_eq!(*pull.layers.lock().unwrap(), [0, 1]);
    assert_eq!(server.asked().len(), 4);
}

#[test]
fn a_failure_of_whoever_unpacks_is_the_pulls() {
    use berth_image::registry::{Anonymous, Client, PlatformChoice, pull};
    let image = Image::new("amd64", &[10, 20, 30, 40, 50, 60]);
    let server = cutting(&image, 0, 0, 0);
    let store = Store::new();
    let client = Client::new(crate::image::config(), Box::new(Anonymous));
    let reference = format!("{}/app:1", server.host()).parse().unwrap();
    let error = pull(
        &client,
        &reference,
        &PlatformChoice::Host,
        &store,
        &berth_image::NoProgress,
        &|_, layers| {
            layers.next();
            layers.stop();
            Err(ImageError::malformed("layer 1", "it is bad"))
        },
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "cannot use layer 1: it is bad"
    );
}
