//! `berth import URL`.

use berth_testkit::web::{Request, Response, Server};

use crate::support::Berth;

/// Serves one file as `/root.tar`, and half of it as `/half.tar`.
fn serve(tar: Vec<u8>) -> Server {
    Server::start(move |request: &Request| match request.path.as_str() {
        "/root.tar" | "/root.tar?token=secret" => Response::new(200).body(tar.clone()),
        "/away" => Response::new(301).with("location", "/root.tar"),
        "/half.tar" => Response {
            cut_at: Some(tar.len() / 2),
            ..Response::new(200).body(tar.clone())
        },
        "/text" => Response::new(200).body("no archive at all"),
        _ => Response::new(404),
    })
}

#[test]
fn from_the_web() {
    let berth = Berth::new();
    let tar = berth.make_tar();
    let server = serve(std::fs::read(&tar).unwrap());
    let url = |path: &str| format!("http://{}{path}", server.host());
    let id = berth.ok(&["import", &url("/root.tar?token=secret"), "web:1"]);
    let again = berth.ok(&["import", "-c", "CMD x", &url("/away"), "web:2"]);
    assert!(
        id.starts_with("sha256:") && again.starts_with("sha256:"),
        "{id}"
    );
    let layers = |name: &str| {
        let format = "{{json .RootFS}}";
        berth.ok(&["image", "inspect", "--format", format, name])
    };
    berth.ok(&["import", &tar.display().to_string(), "file:1"]);
    assert_eq!(layers("web:1"), layers("file:1"));
    assert_eq!(layers("web:2"), layers("file:1"));
    let history = berth.ok(&["history", "--no-trunc", "web:1"]);
    let came = format!("Imported from {}", url("/root.tar"));
    assert!(
        history.contains(&came) && !history.contains("secret"),
        "{history}"
    );
}

#[test]
fn what_does_not_come() {
    let berth = Berth::new();
    let tar = berth.make_tar();
    let server = serve(std::fs::read(tar).unwrap());
    let host = server.host();
    let refused = |path: &str| {
        let words = berth.refused(&["import", &format!("http://{host}{path}"), "web:1"], &host);
        assert_eq!(berth.ok(&["images", "-q"]), "", "{path}");
        words.trim_end().to_owned()
    };
    insta::assert_snapshot!(refused("/none"), @"berth: cannot import http://HOST/none: it is not on HOST; check the URL");
    insta::assert_snapshot!(refused("/text"), @"berth: cannot use http://HOST/text: it is no tar archive, nor one compressed by gzip or zstd");
    let half = refused("/half.tar");
    assert!(
        half.starts_with(
            "berth: cannot import http://HOST/half.tar: the connection to HOST broke: "
        ),
        "{half}"
    );
    berth.configure("[image]\narchive-blob-bytes = 1000\n");
    insta::assert_snapshot!(refused("/root.tar"), @"berth: refused http://HOST/root.tar: it goes beyond the limit archive-blob-bytes (1000); raise it in config.toml for archives that you trust");
    for bad in ["http://", "https://a b/", "http://me:%zz@x/"] {
        let done = berth.run(&["import", bad]);
        assert_eq!(done.code, 125, "{bad}: {done:?}");
        assert!(!done.err.contains("zz"), "{done:?}");
    }
}
