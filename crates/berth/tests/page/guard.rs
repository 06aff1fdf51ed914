//! Who is answered, and what an answer may do in a browser.

use crate::support::{Server, Tree};

const PATHS: [&str; 9] = [
    "",
    "page.css",
    "page.js",
    "icon.svg",
    "events",
    "search?q=1",
    "process?pid=1",
    "lives?from=0&to=1",
    "play?pause=1",
];

#[test]
fn nothing_is_told_without_the_token() {
    let server = Server::start(&[]);
    assert_eq!(server.token.len(), 48);
    let host = format!("Host: 127.0.0.1:{}", server.port);
    let wrong = "0".repeat(48);
    for path in PATHS {
        for token in ["", "x", wrong.as_str(), &server.token[..47]] {
            let prefix = if token.is_empty() {
                String::new()
            } else {
                format!("{token}/")
            };
            let request =
                format!("GET /{prefix}{path} HTTP/1.1\r\n{host}\r\nConnection: close\r\n\r\n");
            let answer = server.raw(&request);
            assert_eq!(answer.status, 403, "{token}/{path}");
            assert!(answer.body.contains("URL that berth printed"), "{answer:?}");
            assert!(!answer.body.contains(&server.token));
        }
    }
    // The token in another place is none.
    let request = format!(
        "GET /?{0} HTTP/1.1\r\n{host}\r\nCookie: token={0}\r\nConnection: close\r\n\r\n",
        server.token
    );
    assert_eq!(server.raw(&request).status, 403);
}

#[test]
fn a_name_that_points_here_is_not_ours() {
    let server = Server::start(&[]);
    let ask = |host: &str| {
        let request = format!(
            "GET /{}/ HTTP/1.1\r\n{host}Connection: close\r\n\r\n",
            server.token
        );
        server.raw(&request).status
    };
    let port = server.port;
    assert_eq!(ask(&format!("Host: localhost:{port}\r\n")), 200);
    assert_eq!(ask(&format!("Host: [::1]:{port}\r\n")), 200);
    assert_eq!(ask(&format!("Host: rebound.example:{port}\r\n")), 421);
    assert_eq!(ask(&format!("Host: 127.0.0.1.example:{port}\r\n")), 421);
    assert_eq!(ask("Host: 127.0.0.1:1\r\n"), 421);
    assert_eq!(ask(""), 421);
    assert_eq!(
        ask(&format!(
            "Host: localhost:{port}\r\nHost: rebound.example\r\n"
        )),
        421
    );
}

#[test]
fn it_can_only_be_read() {
    let server = Server::start(&[]);
    for method in [
        "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BERTH",
    ] {
        let answer = server.request(method, "");
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("GET, HEAD"));
    }
    let head = server.request("HEAD", "page.js");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(server.get("nothing").status, 404);
    assert_eq!(server.get("../../etc/passwd").status, 404);
}

#[test]
fn every_answer_forbids_what_a_browser_could_do_with_it() {
    let server = Server::start(&[]);
    let mut answers: Vec<_> = PATHS
        .iter()
        .filter(|p| **p != "events")
        .map(|p| server.get(p))
        .collect();
    answers.push(server.request("HEAD", "events"));
    answers.push(server.request("POST", ""));
    answers.push(server.raw("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    for answer in &answers {
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';"),
            "{policy}"
        );
        assert!(
            !policy.contains("unsafe") && !policy.contains('*') && !policy.contains("http"),
            "{policy}"
        );
        assert!(policy.contains("frame-ancestors 'none'"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(answer.header("access-control-allow-origin").is_none());
        assert!(answer.header("set-cookie").is_none());
    }
    // Nothing inline, nothing from elsewhere.
    let page = &answers[0].body;
    assert!(
        !page.contains("style=") && !page.contains("onclick") && !page.contains("//"),
        "{page}"
    );
    assert_eq!(page.matches("<script").count(), 1);
    let parts = server.get("page.css").body
        + &server
            .get("page.js")
            .body
            .replace("http://www.w3.org/2000/svg", "");
    assert!(
        !parts.contains("http://") && !parts.contains("https://") && !parts.contains("@import")
    );
}

#[test]
fn names_are_text_wherever_they_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    // 15 bytes, as many as the kernel keeps.
    let name = "\"><b id=x>'&\u{1b}[";
    let program = folder.path().join(name);
    std::fs::copy("/bin/sh", &program).unwrap();
    let link = folder.path().join("go");
    std::os::unix::fs::symlink(&program, &link).unwrap();
    let server = Server::start(&[]);
    let mut events = server.events("");
    let script = format!(
        "cd {}; exec ./*id=x* -c 'sleep 600; true'",
        folder.path().display()
    );
    let tree = Tree::new(&script);
    let shown = "&quot;&gt;&lt;b id=x&gt;&#39;&amp;\\x1b[";
    let html = events.fragment_with(shown);
    assert!(!html.contains("<b id"), "{html}");
    let pid = tree.settled(2)[0][0];
    for path in [
        "search?q=id%3Dx".to_owned(),
        format!("process?pid={pid}"),
        "lives?from=0&to=99999999999&q=id%3Dx".to_owned(),
    ] {
        let body = server.get(&path).body;
        assert!(body.contains(shown), "{path}: {body}");
        assert!(
            !body.contains("<b id") && !body.contains('\u{1b}'),
            "{body}"
        );
    }
    // What is asked for comes back as text as well.
    let body = server.get("search?q=%3Cscript%3E%27%22").body;
    assert!(
        body.contains("&lt;script&gt;&#39;&quot; is 0 processes"),
        "{body}"
    );
}

#[test]
fn command_lines_and_environments_stay_where_they_are() {
    let secret = format!("secret-{}", std::process::id());
    let tree = Tree::new(&format!(
        "TOKEN=env-{secret} sleep 600 & exec sh -c 'sleep 601; true' {secret}"
    ));
    let hidden = Server::start(&[]);
    let shown = Server::start(&["--show-args"]);
    let processes = tree.settled(3);
    let first = processes[0][0];
    let answers = |server: &Server| {
        let mut all = server.events("").next("page").to_string();
        for pids in &processes {
            all += &server.get(&format!("process?pid={}", pids[0])).body;
        }
        all + &server.get("search?q=sleep").body + &server.get("lives?from=0&to=99999999999").body
    };
    let told = answers(&hidden);
    assert!(told.contains(&format!("p{first}")) && !told.contains(&secret));
    let told = answers(&shown);
    assert!(told.contains(&secret) && !told.contains("env-secret"));
}
