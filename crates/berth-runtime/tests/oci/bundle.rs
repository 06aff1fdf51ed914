//! The bundle, its version and its root.

use berth_testkit::{Bundle, covers};

use crate::{output_of, refused, runtime};

#[test]
fn versions_from_1_0_to_1_3_are_accepted() {
    covers!("config/version-required", "config/version-semver");
    for version in ["1.0.0", "1.0.2", "1.0.2-dev", "1.1.0+dev", "1.2.1", "1.3.0"] {
        output_of(|b| b.set("/ociVersion", version));
    }
}

#[test]
fn a_version_that_is_none_or_of_another_major_is_refused() {
    covers!("config/version-required", "config/version-semver");
    refused("ociVersion", |b| b.without("/ociVersion"));
    for version in ["", "one", "1", "1.0", "1.0.0.0", "01.0.0", "2.0.0", "0.9.0"] {
        refused("ociVersion", |b| b.set("/ociVersion", version));
    }
}

#[test]
fn a_bundle_without_a_configuration_is_refused() {
    covers!("bundle/config-in-root", "runtime/errors-leave-nothing");
    let runtime = runtime();
    let bundle = Bundle::new();
    let path = bundle.path().to_str().unwrap();
    let message = runtime
        .invoke(&["create", "--bundle", path, "one"])
        .refused();
    assert!(message.contains("config.json"), "{message}");
    let message = runtime
        .invoke(&["create", "--bundle", "/no/such/bundle", "one"])
        .refused();
    assert!(message.contains("/no/such/bundle"), "{message}");
    // In a folder below it does not count.
    bundle.write();
    std::fs::rename(
        bundle.join("config.json"),
        bundle.rootfs().join("config.json"),
    )
    .unwrap();
    drop(
        runtime
            .invoke(&["create", "--bundle", path, "one"])
            .refused(),
    );
    runtime.assert_nothing_left();
}

#[test]
fn malformed_json_is_named_by_line_and_column() {
    covers!("glossary/json-utf8", "runtime/errors-leave-nothing");
    let runtime = runtime();
    let bundle = Bundle::new();
    let path = bundle.path().to_str().unwrap();
    let texts: [&[u8]; 4] = [
        b"{\n  \"ociVersion\": \"1.0.2\",\n  \"root\": }\n",
        b"",
        b"{\"ociVersion\": \"1.0.2\"} trailing",
        b"{\"ociVersion\": \"1.0.2\", \"hostname\": \"\xff\xfe\"}",
    ];
    for text in texts {
        std::fs::write(bundle.join("config.json"), text).unwrap();
        let message = runtime
            .invoke(&["create", "--bundle", path, "one"])
            .refused();
        let place = ["config.json", "line", "column"]
            .iter()
            .all(|word| message.contains(word));
        assert!(place || runtime.is_foreign(), "{message}");
    }
    std::fs::write(bundle.join("config.json"), texts[0]).unwrap();
    let message = runtime
        .invoke(&["create", "--bundle", path, "one"])
        .refused();
    assert!(
        message.contains("line 3") || runtime.is_foreign(),
        "{message}"
    );
    runtime.assert_nothing_left();
}

#[test]
fn a_value_of_another_type_is_named_by_its_path() {
    covers!("config/invalid-refused");
    for (pointer, field) in [
        ("/process/terminal", "process.terminal"),
        ("/process/user/uid", "process.user.uid"),
        ("/root/readonly", "root.readonly"),
        (
            "/linux/resources/memory/limit",
            "linux.resources.memory.limit",
        ),
    ] {
        refused(field, |b| b.set(pointer, "a string"));
    }
}

#[test]
fn a_root_that_is_missing_or_no_folder_is_refused() {
    covers!(
        "config/root-required",
        "config/root-path-required",
        "config/root-path-is-folder"
    );
    refused("root", |b| b.without("/root"));
    refused("root.path", |b| b.without("/root/path"));
    refused("root.path", |b| b.set("/root/path", "nonesuch"));
    refused("root.path", |b| b.set("/root/path", "config.json"));
    refused("root.path", |b| b.set("/root/path", ""));
}

#[test]
fn a_root_can_be_absolute_or_relative() {
    covers!("config/root-path-is-folder", "bundle/one-folder");
    output_of(|b| {
        let path = b.rootfs().to_str().unwrap().to_owned();
        b.set("/root/path", path)
    });
    output_of(|b| b.set("/root/path", "./rootfs/../rootfs"));
}

#[test]
fn a_read_only_root_cannot_be_written() {
    covers!("config/root-readonly");
    let runtime = runtime();
    let script = "touch /file && exit 9; touch /etc/file && exit 9; touch /dev/shm/file || exit 8";
    let bundle = runtime.bundle().set("/root/readonly", true).sh(script);
    drop(runtime.run("one", &bundle).ok());
    assert!(!bundle.rootfs().join("file").exists());
    let writable = runtime
        .bundle()
        .set("/root/readonly", false)
        .sh("echo x > /file");
    drop(runtime.run("two", &writable).ok());
    assert!(writable.rootfs().join("file").exists());
}

#[test]
fn what_the_runtime_does_not_know_is_ignored() {
    covers!("config/unknown-ignored", "config/annotations-unknown");
    let output = output_of(|b| {
        b.set("/nonesuch", serde_json::json!({"a": [1, null]}))
            .set("/process/nonesuch", true)
            .set("/linux/nonesuch", "text")
            .set("/linux/resources/nonesuch", 5)
            .set(
                "/annotations",
                serde_json::json!({"com.example.nonesuch": "x"}),
            )
            .sh("echo ran")
    });
    assert_eq!(output, "ran\n");
}

#[test]
fn null_is_absent() {
    covers!("features/null-is-absent");
    let output = output_of(|b| {
        b.set("/hooks", serde_json::Value::Null)
            .set("/process/rlimits", serde_json::Value::Null)
            .set("/linux/seccomp", serde_json::Value::Null)
            .set("/linux/sysctl", serde_json::Value::Null)
            .sh("echo ran")
    });
    assert_eq!(output, "ran\n");
}
