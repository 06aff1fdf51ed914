//! The tags of a repository, over pages, and lists that lie.

use berth_base::ErrorClass;
use berth_image::registry::{Anonymous, Client, HostConfig, RegistryConfig, tags};
use berth_image::{ImageError, ImageRef};

use crate::hostile::{Request, Response, Server};
use crate::image::{Notes, config, with_host, words};

fn list(config: RegistryConfig, name: &str, notes: &Notes) -> Result<Vec<String>, ImageError> {
    let client = Client::new(config, Box::new(Anonymous));
    let name: ImageRef = name.parse().unwrap();
    let listed = tags(&client, &name, notes)?;
    Ok(listed.iter().map(ToString::to_string).collect())
}

fn list_at(server: &Server) -> Result<Vec<String>, ImageError> {
    let name = format!("{}/team/app", server.host());
    list(config(), &name, &Notes::default())
}

fn page(tags: &[&str]) -> Response {
    let body = serde_json::json!({ "name": "team/app", "tags": tags });
    Response::new(200)
        .with("content-type", "application/json")
        .body(body.to_string())
}

fn refused(response: Response) -> (ErrorClass, String) {
    let server = Server::start(move |_| response.clone());
    let error = list_at(&server).unwrap_err();
    (error.class(), words(&error, &server.host()))
}

#[test]
fn over_pages() {
    let server = Server::start(|request: &Request| match request.path.as_str() {
        "/v2/team/app/tags/list?n=1000" => {
            page(&["1", "2"]).with("link", "</v2/team/app/tags/list?last=2&n=2>; rel=\"next\"")
        }
        // As behind a gate: another host, another scheme.
        "/v2/team/app/tags/list?last=2&n=2" => page(&["2", "latest"]).with(
            "link",
            "<http://inner:5000/v2/team/app/tags/list?last=latest>; rel=\"next\"",
        ),
        "/v2/team/app/tags/list?last=latest" => page(&["v1.0_a-b"]),
        _ => Response::new(500),
    });
    let name = |tag: &str| format!("{}/team/app:{tag}", server.host());
    let expected = ["1", "2", "latest", "v1.0_a-b"].map(name);
    assert_eq!(list_at(&server).unwrap(), expected);
}

#[test]
fn without_an_end() {
    let server = Server::start(|request: &Request| {
        page(&["1"]).with("link", format!("<{}>; rel=\"next\"", request.path))
    });
    let error = list_at(&server).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Invalid);
    insta::assert_snapshot!(words(&error, &server.host()), @"refused the list of all tags of HOST/team/app: it has more than 100000 tags or 1000 pages; pull single tags");
    assert_eq!(server.asked().len(), 1000);
}

#[test]
fn nothing_there() {
    for body in [r#"{"tags":[]}"#, r#"{"tags":null}"#, "{}"] {
        let (class, text) = refused(Response::new(200).body(body));
        assert_eq!(class, ErrorClass::NotFound);
        insta::allow_duplicates! {
            insta::assert_snapshot!(text, @"cannot pull all tags of HOST/team/app: HOST has none of it; check the name");
        }
    }
    let (class, text) = refused(Response::error(404, "NAME_UNKNOWN", "unknown"));
    assert_eq!(class, ErrorClass::NotFound);
    insta::assert_snapshot!(text, @"cannot pull all tags of HOST/team/app: there is no such repository on HOST (it says: unknown); check the name");
}

#[test]
fn no_list() {
    let (class, text) = refused(page(&["1", "../../etc"]));
    assert_eq!(class, ErrorClass::Invalid);
    insta::assert_snapshot!(text, @r#"cannot use the list of all tags of HOST/team/app: "../../etc" in it is no tag"#);
    let (class, _) = refused(Response::new(200).body("<html>"));
    assert_eq!(class, ErrorClass::Invalid);
    let (class, text) = refused(Response::new(200).body(vec![b' '; (4 << 20) + 1]));
    assert_eq!(class, ErrorClass::Invalid);
    insta::assert_snapshot!(text, @"refused the list of all tags of HOST/team/app: it is longer than the 4194304 bytes that are read of such");
    let web = Response::new(200)
        .with("content-type", "text/html")
        .body("<html>");
    assert!(refused(web).1.contains("a web page instead"));
}

#[test]
fn mirrors_are_asked_first() {
    let mirror = Server::start(|request: &Request| match request.path.as_str() {
        "/hub/v2/here/tags/list?n=1000" => page(&["1"]),
        _ => Response::new(404),
    });
    let origin = Server::start(|_| page(&["2"]));
    let host = HostConfig {
        mirrors: vec![format!("http://{}/hub", mirror.host())],
        ..HostConfig::default()
    };
    let config = with_host(config(), &origin.host(), host);
    let notes = Notes::default();
    let of = |name: &str| {
        let name = format!("{}/{name}", origin.host());
        let tags = list(config.clone(), &name, &notes).unwrap();
        tags.join(" ").replace(&name, "NAME")
    };
    assert_eq!(of("here"), "NAME:1");
    assert_eq!(origin.asked().len(), 0);
    assert_eq!(of("there"), "NAME:2");
    let notes = notes.notes.lock().unwrap().join("\n");
    let notes = notes
        .replace(&origin.host(), "HOST")
        .replace(&mirror.host(), "MIRROR");
    insta::assert_snapshot!(notes, @"the mirror MIRROR does not list all tags of HOST/there: MIRROR answered 404 Not Found");
}
