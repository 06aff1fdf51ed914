//! The dances of a 401: tokens and passwords, who gets to see them, and when anew.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use berth_base::ErrorClass;
use berth_image::NoProgress;
use berth_image::registry::{Credential, verify_login};

use crate::hostile::{Request, Response, Server};
use crate::image::{Image, Pull, config, words};
use crate::store::Store;

fn password() -> Credential {
    Credential::Password {
        name: "me".into(),
        secret: "secret".into(),
    }
}

/// base64 of me:secret.
const BASIC: &str = "Basic bWU6c2VjcmV0";

fn challenge(address: SocketAddr) -> Response {
    Response::error(401, "UNAUTHORIZED", "authentication required").with(
        "www-authenticate",
        format!(r#"Bearer realm="http://{address}/token?x=y",service="the registry",scope="repository:app:pull""#),
    )
}

/// A registry with a token server of its own; tokens are T1, T2 and so on, and the one that is
/// good is chosen by the test.
fn with_tokens(
    image: &Image,
    is_good: impl Fn(&str, u32) -> bool + Send + Sync + 'static,
) -> Server {
    let image = image.clone();
    Server::start_with(move |address| {
        let issued = AtomicU32::new(0);
        Box::new(move |request: &Request| {
            if request.path.starts_with("/token") {
                let number = issued.fetch_add(1, Ordering::SeqCst) + 1;
                return Response::new(200)
                    .body(format!(r#"{{"token":"T{number}","expires_in":300}}"#));
            }
            match request.header("authorization") {
                Some(token) if is_good(token, issued.load(Ordering::SeqCst)) => {
                    image.answer(request)
                }
                _ => challenge(address),
            }
        })
    })
}

fn tokens_asked(server: &Server) -> Vec<Request> {
    let asked = server.asked();
    asked
        .into_iter()
        .filter(|r| r.path.starts_with("/token"))
        .collect()
}

#[test]
fn one_token_serves_a_whole_pull() {
    let image = Image::new("amd64", &[10, 20, 30]);
    let server = with_tokens(&image, |token, _| token == "Bearer T1");
    let store = Store::new();
    Pull::into(&store)
        .run(&format!("{}/app:1", server.host()))
        .unwrap();
    let tokens = tokens_asked(&server);
    assert_eq!(tokens.len(), 1);
    assert_eq!(
        tokens[0].path,
        "/token?x=y&service=the%20registry&scope=repository%3Aapp%3Apull"
    );
    assert_eq!(tokens[0].header("authorization"), None);
    // 401, token, and then five documents without a further 401.
    assert_eq!(server.asked().len(), 7);
}

#[test]
fn a_token_that_is_no_longer_good_is_renewed() {
    let image = Image::new("amd64", &[10, 20, 30]);
    let uses = AtomicU32::new(0);
    // The first token is good for one document, the others for ever.
    let server = with_tokens(&image, move |token, _| {
        token != "Bearer T1" || uses.fetch_add(1, Ordering::SeqCst) == 0
    });
    let store = Store::new();
    let mut pull = Pull::into(&store);
    pull.run(&format!("{}/app:1", server.host())).unwrap();
    // Each thread that meets the end of a token asks for another.
    let tokens = tokens_asked(&server).len();
    assert!((2..=5).contains(&tokens), "{tokens}");
    assert!(pull.notes.notes.lock().unwrap().is_empty());
}

#[test]
fn a_password_goes_to_the_token_server_alone() {
    let image = Image::new("amd64", &[10]);
    let server = with_tokens(&image, |token, _| token == "Bearer T1");
    let store = Store::new();
    let mut pull = Pull::into(&store);
    pull.credentials = Box::new(password());
    pull.run(&format!("{}/app:1", server.host())).unwrap();
    let tokens = tokens_asked(&server);
    assert_eq!(tokens.len(), 1);
    assert_eq!(tokens[0].header("authorization"), Some(BASIC));
    assert!(
        tokens[0].path.ends_with("&account=me"),
        "{}",
        tokens[0].path
    );
    let others = server
        .asked()
        .into_iter()
        .filter(|r| !r.path.starts_with("/token"));
    for request in others {
        assert_ne!(
            request.header("authorization"),
            Some(BASIC),
            "{}",
            request.path
        );
    }
}

#[test]
fn an_identity_token_buys_a_token_by_post() {
    let image = Image::new("amd64", &[10]);
    let server = with_tokens(&image, |token, _| token == "Bearer T1");
    let store = Store::new();
    let mut pull = Pull::into(&store);
    pull.credentials = Box::new(Credential::IdentityToken("re/fresh".into()));
    pull.run(&format!("{}/app:1", server.host())).unwrap();
    let tokens = tokens_asked(&server);
    assert_eq!((tokens.len(), tokens[0].method.as_str()), (1, "POST"));
    let body = String::from_utf8(tokens[0].body.clone()).unwrap();
    assert_eq!(
        body,
        "service=the%20registry&grant_type=refresh_token&client_id=berth&refresh_token=re%2Ffresh&scope=repository%3Aapp%3Apull"
    );
}

#[test]
fn a_registry_token_is_shown_as_it_is() {
    let image = Image::new("amd64", &[10]);
    let server = with_tokens(&image, |token, _| token == "Bearer mine");
    let store = Store::new();
    let mut pull = Pull::into(&store);
    pull.credentials = Box::new(Credential::RegistryToken("mine".into()));
    pull.run(&format!("{}/app:1", server.host())).unwrap();
    assert!(tokens_asked(&server).is_empty());
}

#[test]
fn a_token_that_does_not_help_ends_in_words() {
    let image = Image::new("amd64", &[10]);
    let server = with_tokens(&image, |_, _| false);
    let store = Store::new();
    let reference = format!("{}/app:1", server.host());
    let error = Pull::into(&store).run(&reference).unwrap_err();
    insta::assert_snapshot!(words(&error, &server.host()), @r#"cannot pull HOST/app:1: it does not exist on HOST, or it wants a login (it says: authentication required); check the name, or log in with "berth login HOST""#);
    let mut pull = Pull::into(&store);
    pull.credentials = Box::new(password());
    let error = pull.run(&reference).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Denied);
    insta::assert_snapshot!(words(&error, &server.host()), @r#"cannot pull HOST/app:1: HOST does not accept the stored login for it (it says: authentication required); check the name, or log in again with "berth login HOST""#);
}

#[test]
fn a_password_by_basic_authentication() {
    let image = Image::new("amd64", &[10]);
    let server = Server::start(
        move |request: &Request| match request.header("authorization") {
            Some(BASIC) => image.answer(request),
            _ => Response::new(401).with("www-authenticate", "Basic realm=\"r\""),
        },
    );
    let store = Store::new();
    let mut pull = Pull::into(&store);
    pull.credentials = Box::new(password());
    pull.run(&format!("{}/app:1", server.host())).unwrap();
    let unanswered = server
        .asked()
        .into_iter()
        .filter(|r| r.header("authorization").is_none());
    assert_eq!(unanswered.count(), 1);
}

#[test]
fn token_servers_that_make_no_sense() {
    let cases = [
        (
            r#"Bearer realm="file:///etc/passwd""#,
            "sent us to file:///etc/passwd, which is no address of a token server",
        ),
        (
            r#"Bearer realm="HERE/html""#,
            "the token server of HOST: its answer is not JSON",
        ),
        (
            r#"Bearer realm="HERE/none""#,
            "the token server of HOST: its answer has no token",
        ),
        (
            r#"Bearer realm="HERE/no""#,
            "HOST forbids it (it says: incorrect username or password)",
        ),
    ];
    for (line, said) in cases {
        let server = Server::start_with(move |address| {
            let line = line.replace("HERE", &format!("http://{address}"));
            Box::new(
                move |request: &Request| match request.path.split('?').next().unwrap() {
                    "/html" => Response::new(200).body("<html>"),
                    "/none" => Response::new(200).body("{}"),
                    "/no" => {
                        Response::new(403).body(r#"{"details":"incorrect username or password"}"#)
                    }
                    _ => Response::new(401).with("www-authenticate", line.clone()),
                },
            )
        });
        let store = Store::new();
        let error = Pull::into(&store)
            .run(&format!("{}/app:1", server.host()))
            .unwrap_err();
        let text = words(&error, &server.host());
        assert!(text.contains(said), "{line}: {text}");
    }
}

#[test]
fn logins_are_verified() {
    let server = Server::start(|request: &Request| match request.header("authorization") {
        Some(BASIC) => Response::new(200).body("{}"),
        _ => Response::new(401).with("www-authenticate", "Basic realm=\"r\""),
    });
    let host = server.host();
    verify_login(config(), &host, password(), &NoProgress).unwrap();
    let wrong = Credential::Password {
        name: "me".into(),
        secret: "wrong".into(),
    };
    let error = verify_login(config(), &host, wrong, &NoProgress).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Denied);
    insta::assert_snapshot!(words(&error, &host), @"cannot log in to HOST: it does not take this name and password");
    assert!(server.lines().iter().all(|line| line == "GET /v2/"));
}
