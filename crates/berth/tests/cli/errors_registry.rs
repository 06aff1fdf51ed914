//! What registries, proxies and servers of files refuse, for docs/errors.md.

use std::process::Stdio;

use berth_testkit::web::{Proxy, ProxyRule, Request, Response, Server, free_address};

use crate::errors_page::{add, check, remains};
use crate::support::{Berth, Done, finish};

/// Variables that would change what is shown.
const CLEARED: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "DOCKER_CONFIG",
    "REGISTRY_AUTH_FILE",
];

/// One mistake. In its line, `HOST` is the registry that refuses, `NOBODY` where nobody listens.
struct Case {
    title: &'static str,
    line: &'static str,
    code: i32,
}

const fn case(title: &'static str, line: &'static str, code: i32) -> Case {
    Case { title, line, code }
}

const CASES: [Case; 21] = [
    case("No registry there", "pull NOBODY/app:1", 1),
    case("Not on the registry", "pull HOST/none:1", 1),
    case("No such repository", "pull HOST/nothing:1", 1),
    case("A registry that wants a login", "pull HOST/mine:1", 1),
    case("A registry that forbids it", "pull HOST/theirs:1", 1),
    case("Too many requests", "pull HOST/busy:1", 1),
    case("A web page instead of an image", "pull HOST/page:1", 1),
    case(
        "Content that its digest does not fit",
        "pull HOST/app@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        1,
    ),
    case("What is no image", "pull HOST/chart:1", 1),
    case(
        "No image for a platform",
        "pull --platform linux/s390x HOST/arm:1",
        1,
    ),
    case("Pulling what is no name", "pull HOST/App:1", 125),
    case("All tags of one tag", "pull --all-tags HOST/app:1", 125),
    case("All tags of nothing", "pull --all-tags HOST/empty", 1),
    case("Pushing what is not here", "push HOST/none:1", 1),
    case("Pushing without a login", "push HOST/mine:1", 1),
    case("Pushing to nobody", "push NOBODY/app:1", 1),
    case("Logging in without a terminal", "login -u me HOST", 125),
    case(
        "Importing what is not there",
        "import http://HOST/none.tar",
        1,
    ),
    case(
        "Importing what is cut off",
        "import http://HOST/half.tar",
        1,
    ),
    case("Importing what is no archive", "import http://HOST/text", 1),
    case("Importing from nobody", "import http://NOBODY/root.tar", 1),
];

/// Adds all of it to the page.
pub(crate) fn add_all(berth: &Berth, page: &mut String) {
    let world = World::new(berth);
    berth_testkit::nobody_settles(&berth.path("root"));
    let before = remains(berth);
    for case in &CASES {
        let line = case.line.replace("HOST", &world.server.host());
        let line = line.replace("NOBODY", &world.nobody);
        let arguments: Vec<&str> = line.split(' ').collect();
        let shown = format!("berth {}", world.shown(&line));
        let done = world.run(&[], &arguments, "");
        world.add(page, case.title, &shown, done, case.code);
        assert_eq!(remains(berth), before, "{} left something", case.title);
    }
    let host = world.server.host();
    let login = ["login", "-u", "me", "--password-stdin", &host];
    let shown = "echo wrong | berth login -u me --password-stdin 127.0.0.1:5000";
    let done = world.run(&[], &login, "wrong\n");
    world.add(page, "A login that is not taken", shown, done, 1);
    add_proxies(&world, page);
    assert_eq!(remains(berth), before);
}

fn add_proxies(world: &World<'_>, page: &mut String) {
    let wants = Proxy::start(free_address(), ProxyRule::Wants("Basic bWU6c2VjcmV0"));
    let refuses = Proxy::start(free_address(), ProxyRule::Refuses(403));
    let nobody = format!("http://{}", world.nobody);
    let shown = "http://proxy.example:3128";
    for (title, url, shown) in [
        ("A proxy that is not there", nobody, "http://127.0.0.1:5001"),
        ("A proxy that wants a login", wants.url(), shown),
        ("A proxy that makes no connection", refuses.url(), shown),
        (
            "A proxy that is none",
            "socks5://proxy.example:1080".to_owned(),
            "socks5://proxy.example:1080",
        ),
    ] {
        let line = format!("HTTPS_PROXY={shown} berth pull r.example/app:1");
        let arguments = ["pull", "r.example/app:1"];
        let mut done = world.run(&[("HTTPS_PROXY", &url)], &arguments, "");
        for proxy in [&wants, &refuses] {
            let address = proxy.address.to_string();
            done.err = done.err.replace(&address, "proxy.example:3128");
        }
        world.add(page, title, &line, done, 1);
    }
}

/// A registry that refuses, and nobody.
struct World<'a> {
    berth: &'a Berth,
    server: Server,
    nobody: String,
}

impl<'a> World<'a> {
    fn new(berth: &'a Berth) -> Self {
        let world = Self {
            berth,
            server: Server::start(answer),
            nobody: free_address().to_string(),
        };
        std::fs::create_dir(berth.path("home")).unwrap();
        std::fs::write(berth.path("input"), "").unwrap();
        std::fs::write(berth.path("root.tar"), root_tar()).unwrap();
        for name in ["HOST/mine:1", "NOBODY/app:1"] {
            let name = name.replace("HOST", &world.server.host());
            let name = name.replace("NOBODY", &world.nobody);
            berth.ok(&["import", "root.tar", &name]);
        }
        world
    }

    fn run(&self, variables: &[(&str, &str)], arguments: &[&str], input: &str) -> Done {
        let mut command = self.berth.command(arguments);
        for variable in CLEARED {
            command.env_remove(variable);
        }
        command.env("HOME", self.berth.path("home"));
        command.envs(variables.iter().copied());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        if !input.is_empty() {
            let path = self.berth.path("input");
            std::fs::write(&path, input).unwrap();
            command.stdin(std::fs::File::open(path).unwrap());
        }
        finish(command.spawn().unwrap())
    }

    /// Ports that are others each time become those that the page tells of.
    fn shown(&self, text: &str) -> String {
        let text = text.replace(&self.server.host(), "127.0.0.1:5000");
        text.replace(&self.nobody, "127.0.0.1:5001")
    }

    fn add(&self, page: &mut String, title: &str, line: &str, mut done: Done, code: i32) {
        let lines = done.err.lines();
        let kept = lines.filter(|line| !line.contains("; trying again in "));
        let kept: String = kept.map(|line| format!("{line}\n")).collect();
        done.err = self.shown(&same_blob(&kept));
        check(title, &done, code);
        add(page, title, line, &done, self.berth);
    }
}

/// A root filesystem of one file.
fn root_tar() -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_size(2000);
    header.set_mode(0o644);
    let mut builder = tar::Builder::new(Vec::new());
    builder
        .append_data(&mut header, "file", [7; 2000].as_slice())
        .unwrap();
    builder.into_inner().unwrap()
}

/// Which blob of an image is sent first is a matter of threads, and its digest of the time.
fn same_blob(text: &str) -> String {
    match text.split_once("cannot push ") {
        Some((before, after)) => {
            let (blob, rest) = after.split_once(" of ").unwrap_or(("", after));
            let blob = if blob.is_empty() {
                ""
            } else {
                "6b3f0a91c2d4 of "
            };
            format!("{before}cannot push {blob}{rest}")
        }
        None => text.to_owned(),
    }
}

/// What registries keep as well.
fn chart() -> serde_json::Value {
    serde_json::json!({
        "schemaVersion": 2,
        "config": {
            "mediaType": "application/vnd.cncf.helm.config.v1+json",
            "digest": format!("sha256:{}", "0".repeat(64)),
            "size": 1,
        },
        "layers": [],
    })
}

fn answer(request: &Request) -> Response {
    let path = request.path.as_str();
    let index = |document: serde_json::Value| {
        Response::new(200)
            .with("content-type", "application/vnd.oci.image.index.v1+json")
            .body(document.to_string())
    };
    let wants_login = Response::error(401, "UNAUTHORIZED", "authentication required")
        .with("www-authenticate", "Basic realm=\"registry\"");
    match path.split('/').nth(2).unwrap_or(path) {
        "none" => Response::error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
        "nothing" => Response::error(404, "NAME_UNKNOWN", "repository name not known to registry"),
        "mine" | "" => wants_login,
        "theirs" => Response::error(403, "DENIED", "requested access to the resource is denied"),
        "busy" => {
            Response::error(429, "TOOMANYREQUESTS", "too many requests").with("retry-after", "3600")
        }
        "page" => Response::new(200)
            .with("content-type", "text/html")
            .body("<html>"),
        "app" => index(serde_json::json!({"schemaVersion": 2, "manifests": []})),
        "chart" => Response::new(200)
            .with("content-type", "application/vnd.oci.image.manifest.v1+json")
            .body(chart().to_string()),
        "arm" => index(serde_json::json!({"schemaVersion": 2, "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": format!("sha256:{}", "0".repeat(64)),
            "size": 1,
            "platform": {"os": "linux", "architecture": "arm64"},
        }]})),
        "empty" => Response::new(200).body(r#"{"name":"empty","tags":null}"#),
        "/half.tar" => Response {
            cut_at: Some(1000),
            ..Response::new(200).body(root_tar())
        },
        "/text" => Response::new(200).body("no archive at all"),
        _ => Response::new(404),
    }
}
