//! Logging in and out.

use std::os::unix::fs::PermissionsExt;

use berth_testkit::web::{Registry, password_line};

use crate::support::Berth;

/// A registry that knows "me" with the password "pass word".
fn with_passwords() -> Option<Registry> {
    Registry::start_for(&password_line("me", "pass word")?)
}

fn login(berth: &Berth, host: &str, password: &str) -> crate::support::Done {
    let arguments = ["login", "-u", "me", "--password-stdin", host];
    berth.run_with(&arguments, password.as_bytes())
}

#[test]
fn in_and_out() {
    let Some(registry) = with_passwords() else {
        return;
    };
    let (berth, host) = (Berth::new(), &registry.host);
    let name = registry.name("app:1");
    berth.make_image(&name);
    let stranger = berth.refused(&["push", &name], host);
    assert!(
        stranger.contains("log in with \"berth login HOST\""),
        "{stranger}"
    );

    let wrong = login(&berth, host, "wrong\n");
    assert_eq!(wrong.code, 1);
    let words = wrong.err.replace(host.as_str(), "HOST");
    assert!(
        words.starts_with("berth: cannot log in to HOST: it does not take this name and password"),
        "{words}"
    );
    assert!(
        !berth.path(".docker").exists(),
        "nothing is kept of a login that failed"
    );

    let right = login(&berth, host, "pass word\n");
    assert_eq!(
        (right.code, right.out.as_str()),
        (0, "Login Succeeded\n"),
        "{right:?}"
    );
    let file = berth.path(".docker/config.json");
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(!right.err.contains("pass word"));
    berth.ok(&["push", "-q", &name]);
    berth.ok(&["pull", "-q", &name]);

    assert_eq!(
        berth.ok(&["logout", host]),
        format!("Removed the login for {host}")
    );
    assert_eq!(
        berth.ok(&["logout", host]),
        format!("Not logged in to {host}")
    );
    berth.refused(&["pull", &name], host);
}

#[test]
fn a_quota_that_is_used_up() {
    let Some(registry) = with_passwords() else {
        return;
    };
    let (berth, host) = (Berth::new(), &registry.host);
    // EDQUOT (122) for whoever writes the file.
    let fault = [("BERTH_FAULT", "fail=122 registry.login 1")];
    let words = ["login", "-u", "me", "-p", "pass word", host];
    let done = berth.run_under(&fault, &words, b"");
    let said = done.err;
    assert_eq!(done.code, 1, "{said}");
    assert!(said.contains("uota exceeded"), "{said}");
    let hint = said.lines().last().unwrap();
    assert!(hint.starts_with("hint: \"berth system df\""), "{said}");
    assert!(!berth.path(".docker/config.json").exists());
}

#[test]
fn without_a_terminal_or_a_home() {
    let berth = Berth::new();
    for arguments in [
        &["login", "127.0.0.1:1"][..],
        &["login", "-u", "me", "127.0.0.1:1"],
        &["login", "--password-stdin", "127.0.0.1:1"],
        &[
            "login",
            "-u",
            "me",
            "-p",
            "x",
            "--password-stdin",
            "127.0.0.1:1",
        ],
    ] {
        let done = berth.run(arguments);
        assert_eq!(done.code, 125, "{arguments:?}: {done:?}");
    }
}

#[test]
fn a_helper_keeps_the_login() {
    let Some(registry) = with_passwords() else {
        return;
    };
    let (berth, host) = (Berth::new(), &registry.host);
    std::fs::create_dir_all(berth.path("bin")).unwrap();
    std::fs::create_dir_all(berth.path(".docker")).unwrap();
    let kept = berth.path("kept");
    let script = format!(
        "#!/bin/sh\nk={}\ncase $1 in\nstore) cat > $k ;;\nget) if [ -e $k ]; then cat $k; else echo credentials not found in native keychain; exit 1; fi ;;\nerase) rm $k ;;\nesac\n",
        kept.display()
    );
    let helper = berth.path("bin/docker-credential-berthtest");
    std::fs::write(&helper, script).unwrap();
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let config = berth.path(".docker/config.json");
    std::fs::write(&config, r#"{"credsStore":"berthtest"}"#).unwrap();

    let name = registry.name("app:1");
    berth.make_image(&name);
    berth.refused(&["push", &name], host);
    let done = login(&berth, host, "pass word");
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(done.err, "");
    let secret: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&kept).unwrap()).unwrap();
    assert_eq!(secret["Secret"], "pass word");
    assert_eq!(secret["ServerURL"], host.as_str());
    assert_eq!(
        std::fs::read_to_string(&config).unwrap(),
        r#"{"credsStore":"berthtest"}"#
    );
    berth.ok(&["push", "-q", &name]);
    berth.ok(&["logout", host]);
    assert!(!kept.exists());
    berth.refused(&["push", &name], host);
}
