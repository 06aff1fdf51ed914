//! Proxies of the environment and of the configuration.

use berth_testkit::web::{Proxy, ProxyRule, Registry, free_address};

use crate::support::Berth;

const PLAIN: &str = "[registry.\"r.example\"]\ninsecure = true\n";

/// "me:secret".
const LOGIN: ProxyRule = ProxyRule::Wants("Basic bWU6c2VjcmV0");

#[test]
fn variables_and_files() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let proxy = Proxy::start(registry.address(), LOGIN);
    let url = format!("http://me:secret@{}", proxy.address);
    let berth = Berth::new();
    berth.configure(PLAIN);
    let name = "r.example/team/app:1";
    berth.make_image(name);
    let with = |variables: &[(&str, &str)], arguments: &[&str]| {
        let done = berth.run_under(variables, arguments, b"");
        assert_eq!(done.code, 0, "{variables:?} {arguments:?}: {done:?}");
    };
    with(&[("ALL_PROXY", &url)], &["push", name]);
    with(
        &[("http_proxy", &url), ("HTTPS_PROXY", &url)],
        &["pull", name],
    );
    with(
        &[("all_proxy", &url)],
        &["pull", "-a", "r.example/team/app"],
    );
    berth.configure(&format!(
        "[proxies]\nhttp-proxy = \"{url}\"\nhttps-proxy = \"{url}\"\n{PLAIN}"
    ));
    with(&[], &["pull", name]);
    // The registry's own address needs none.
    let nobody = free_address().to_string();
    let direct = registry.name("team/app:1");
    with(&[("ALL_PROXY", &nobody)], &["pull", &direct]);
    let lines = proxy.lines();
    assert!(
        lines.iter().any(|l| l.contains(" http://r.example/v2/")),
        "{lines:?}"
    );

    // A variable wins over the file.
    let done = berth.run_under(&[("HTTPS_PROXY", &nobody)], &["pull", name], b"");
    assert_eq!(done.code, 1, "{done:?}");
    let last = done.err.lines().last().unwrap().replace(&nobody, "PROXY");
    insta::assert_snapshot!(last, @"berth: cannot pull r.example/team/app:1: the proxy PROXY (HTTPS_PROXY) cannot be reached: connection refused; check HTTPS_PROXY, or put r.example into NO_PROXY if it can be reached without");
}

#[test]
fn a_password_is_not_told() {
    let proxy = Proxy::start(free_address(), LOGIN);
    let url = format!("http://me:hidden@{}", proxy.address);
    let berth = Berth::new();
    berth.configure(&format!("[proxies]\nhttps-proxy = \"{url}\"\n"));
    for arguments in [
        &["pull", "r.example/app:1"][..],
        &["pull", "-a", "r.example/app"],
        &["login", "-u", "me", "--password-stdin", "r.example"],
        &["import", "https://r.example/x.tar"],
    ] {
        let done = berth.run_with(arguments, b"word");
        assert_eq!(done.code, 1, "{arguments:?}: {done:?}");
        assert!(!done.err.contains("hidden"), "{done:?}");
        let words = "(https-proxy in config.toml) does not take this name and password";
        assert!(done.err.contains(words), "{done:?}");
    }
    let wrong = [("HTTPS_PROXY", "socks5://me:hidden@p.example")];
    let done = berth.run_under(&wrong, &["pull", "r.example/app:1"], b"");
    assert_eq!(done.code, 1, "{done:?}");
    assert!(!done.err.contains("hidden"), "{done:?}");
}
