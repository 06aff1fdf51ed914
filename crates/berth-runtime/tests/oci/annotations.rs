//! Annotations: strings to strings, handed through.

use berth_testkit::covers;
use serde_json::json;

use crate::{refused, runtime};

#[test]
fn annotations_are_in_the_state_and_in_the_list() {
    covers!("config/annotations-map");
    let runtime = runtime();
    let annotations =
        json!({"com.example.a": "1", "org.opencontainers.image.os": "linux", "b": ""});
    let bundle = runtime.bundle().set("/annotations", annotations.clone());
    let container = runtime.created("one", &bundle);
    assert_eq!(container.state()["annotations"], annotations);
    assert_eq!(runtime.list()[0]["annotations"], annotations);
}

#[test]
fn annotations_that_are_no_map_of_strings_are_refused() {
    covers!("config/annotations-map");
    for annotations in [
        json!(["a"]),
        json!("a"),
        json!({"a": 1}),
        json!({"a": {"b": "c"}}),
    ] {
        refused("annotations", |b| b.set("/annotations", annotations));
    }
}

#[test]
fn an_empty_key_is_refused() {
    covers!("config/annotations-key-not-empty");
    refused("annotations", |b| b.set("/annotations", json!({"": "x"})));
}
