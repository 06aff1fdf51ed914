//! Proxies that are in the way, and what the user is told.

use berth_base::ErrorClass;
use berth_image::ImageError;
use berth_testkit::web::{Proxy, ProxyRule, free_address};

use crate::image::{Pull, config, with_host};
use crate::proxies::{both, plain};
use crate::store::Store;

/// Pulls `r.example/app:1` through a proxy, which must fail; what is said, with its address taken
/// out.
fn refused(url: &str, address: &str) -> (ErrorClass, String) {
    let error = attempt(url, false);
    (error.class(), error.to_string().replace(address, "PROXY"))
}

fn attempt(url: &str, is_plain: bool) -> ImageError {
    let store = Store::new();
    let mut pull = Pull::into(&store);
    pull.config.proxies = both(url);
    if is_plain {
        pull.config = with_host(pull.config, "r.example", plain());
    }
    pull.run("r.example/app:1").unwrap_err()
}

fn refused_by(rule: ProxyRule, user: &str) -> (ErrorClass, String, usize) {
    // Nothing gets that far.
    let proxy = Proxy::start(free_address(), rule);
    let address = proxy.address.to_string();
    let (class, words) = refused(&format!("http://{user}{address}"), &address);
    (class, words, proxy.lines().len())
}

#[test]
fn nobody_listens() {
    let address = free_address().to_string();
    let (class, words) = refused(&format!("http://{address}"), &address);
    assert_eq!(class, ErrorClass::Unavailable);
    insta::assert_snapshot!(words, @"cannot pull r.example/app:1: the proxy PROXY (HTTPS_PROXY) cannot be reached: connection refused; check HTTPS_PROXY, or put r.example into NO_PROXY if it can be reached without");
}

#[test]
fn a_name_that_is_none() {
    let (class, words) = refused("http://proxy.invalid:3128", "nothing");
    assert_eq!(class, ErrorClass::Unavailable);
    assert!(
        words.starts_with("cannot pull r.example/app:1: the proxy proxy.invalid:3128 (HTTPS_PROXY) has a name that cannot be resolved: "),
        "{words}"
    );
}

#[test]
fn a_login_is_missing_or_wrong() {
    let wants = ProxyRule::Wants("Basic bWU6c2VjcmV0");
    let (class, words, tries) = refused_by(wants, "");
    assert_eq!((class, tries), (ErrorClass::Denied, 1));
    insta::assert_snapshot!(words, @"cannot pull r.example/app:1: the proxy PROXY (HTTPS_PROXY) wants a name and password; write them into HTTPS_PROXY, as in http://NAME:PASSWORD@PROXY");
    let (class, words, tries) = refused_by(wants, "me:wrong@");
    assert_eq!((class, tries), (ErrorClass::Denied, 1));
    insta::assert_snapshot!(words, @"cannot pull r.example/app:1: the proxy PROXY (HTTPS_PROXY) does not take this name and password; correct them in HTTPS_PROXY");
}

#[test]
fn a_login_is_missing_for_plain_http() {
    let proxy = Proxy::start(free_address(), ProxyRule::Wants("Basic bWU6c2VjcmV0"));
    let mut config = with_host(config(), "r.example", plain());
    config.proxies = both(&proxy.url());
    // Its tunnel is not asked for: it is known to speak plain HTTP as a mirror.
    let mirrored = berth_image::registry::HostConfig {
        mirrors: vec!["http://r.example".to_owned()],
        ..Default::default()
    };
    config = with_host(config, "o.example", mirrored);
    config.tuning.attempts = 1;
    let store = Store::new();
    let mut pull = Pull::into(&store);
    pull.config = config;
    pull.run("o.example/app:1").unwrap_err();
    let notes = pull.notes.notes.lock().unwrap().join("\n");
    let words = notes.replace(&proxy.address.to_string(), "PROXY");
    insta::assert_snapshot!(words, @"the mirror r.example does not serve o.example/app:1: the proxy PROXY wants a login");
    assert_eq!(
        proxy.lines(),
        [
            "GET http://r.example/v2/app/manifests/1",
            "CONNECT o.example:443"
        ]
    );
}

#[test]
fn no_tunnel() {
    let (class, words, tries) = refused_by(ProxyRule::Refuses(403), "");
    assert_eq!((class, tries), (ErrorClass::Denied, 1));
    insta::assert_snapshot!(words, @"cannot pull r.example/app:1: the proxy PROXY (HTTPS_PROXY) makes no connection to r.example:443: it answered 403 Forbidden; check the name, ask whoever runs the proxy, or put r.example into NO_PROXY if it can be reached without");
    let (class, words, tries) = refused_by(ProxyRule::Refuses(503), "");
    assert_eq!((class, tries), (ErrorClass::Unavailable, 3));
    insta::assert_snapshot!(words, @"cannot pull r.example/app:1: the proxy PROXY (HTTPS_PROXY) makes no connection to r.example:443: it answered 503 Service Unavailable; check the name, ask whoever runs the proxy, or put r.example into NO_PROXY if it can be reached without");
}

#[test]
fn it_hangs_up() {
    let (class, words, tries) = refused_by(ProxyRule::HangsUp, "");
    assert_eq!((class, tries), (ErrorClass::Unavailable, 3));
    assert!(
        words.starts_with(
            "cannot pull r.example/app:1: the proxy PROXY (HTTPS_PROXY) broke the connection: "
        ) && words.ends_with(
            "; check HTTPS_PROXY, or put r.example into NO_PROXY if it can be reached without"
        ),
        "{words}"
    );
}

#[test]
fn no_proxy_at_all() {
    let error = attempt("socks5://127.0.0.1:1080", true);
    assert_eq!(error.class(), ErrorClass::Invalid);
    insta::assert_snapshot!(error, @r#"cannot use the proxy "socks5://127.0.0.1:1080" of HTTPS_PROXY: SOCKS is not spoken here, and the proxy may speak HTTP as well; write http://[NAME:PASSWORD@]HOST[:PORT], with other characters as %XX"#);
}
