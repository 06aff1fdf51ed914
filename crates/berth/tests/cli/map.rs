//! The map: parts of it, lenses, documents and pictures.

use crate::support::{Berth, Terminal};

fn one() -> (Berth, String) {
    let berth = Berth::new();
    berth.ok(&["run", "-d", "--name", "a", "host", "sleep", "1000"]);
    let host = berth.ok(&["pid", "a:1"]);
    (berth, host)
}

#[test]
fn a_scope_holds_for_every_form() {
    let (berth, host) = one();
    let picture = berth.ok(&["map", "a", "--ascii", "--width", "90"]);
    assert!(picture.contains("+= a  berth  1 proc"), "{picture}");
    assert!(picture.contains("1 of "), "{picture}");
    let boxes = picture.lines().filter(|line| line.contains("+= "));
    assert_eq!(boxes.count(), 1, "{picture}");
    for scope in ["a", "berth/a", "a:1", host.as_str()] {
        let text = berth.ok(&["map", scope, "--json"]);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["scope"], scope);
        let processes = json["processes"].as_array().unwrap();
        let asked = processes.iter().filter(|p| p["context"] == false);
        let pids: Vec<String> = asked.map(|p| p["pid"].to_string()).collect();
        assert_eq!(pids, [host.as_str()], "{scope}");
    }
    // All of Berth's containers, also those that other tests run meanwhile.
    let all = berth.ok(&["map", "berth", "--ascii", "--width", "90"]);
    assert!(all.contains("+= a  berth  1 proc"), "{all}");
    let svg = berth.ok(&["map", "a", "--svg", "-"]);
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>"), "{svg}");
    assert!(svg.contains(&format!(">{host}</text>")), "{svg}");
    let dot = berth.ok(&["map", "a", "--dot"]);
    assert!(dot.contains(&format!("{host} | 1")), "{dot}");
}

#[test]
fn a_namespace_by_its_number() {
    let (berth, host) = one();
    let link = std::fs::read_link(format!("/proc/{host}/ns/mnt")).unwrap();
    let link = link.to_str().unwrap();
    let bare = link.replace(['[', ']'], "");
    for scope in [link, &bare] {
        let picture = berth.ok(&["map", scope, "--ns", "mnt", "--inodes", "--ascii"]);
        // The rest of the picture is what is around it, which other tests change.
        let mut lines = picture.lines();
        let title = format!("+= a  berth  {link}  1 proc");
        assert!(lines.any(|line| line.starts_with(&title)), "{picture}");
        let inside = lines.next().unwrap();
        assert!(inside.starts_with("|  sleep  (pid 1)"), "{picture}");
        assert!(inside.ends_with(&format!("{host}   1")), "{picture}");
        assert!(lines.next().unwrap().starts_with("+==="), "{picture}");
    }
}

#[test]
fn the_picture_in_a_file() {
    let (berth, _) = one();
    assert_eq!(berth.ok(&["map", "--svg", "map.svg"]), "");
    let text = std::fs::read_to_string(berth.path("map.svg")).unwrap();
    assert!(text.ends_with("</svg>\n"));
    let done = berth.run(&["map", "--svg", "no/such/folder.svg"]);
    assert_eq!((done.code, done.out.as_str()), (1, ""));
    let start = "berth: cannot write the picture to no/such/folder.svg: ";
    assert!(done.err.starts_with(start), "{}", done.err);
}

#[test]
fn what_cannot_be_shown_is_said_in_one_line() {
    let berth = Berth::new();
    berth.ok(&["create", "--name", "idle", "host", "true"]);
    for (arguments, code, part) in [
        (&["nosuch"][..], 1, "no running container is called"),
        (&["idle"], 1, "is not running; start it"),
        (&["idle:1"], 1, "is not running; start it"),
        (&["nspawn"], 1, "no container of nspawn is running"),
        (&["4194304"], 1, "no process has the host PID"),
        (&["net:[1]"], 1, "no namespace net:[1] is known"),
        (&["net:x"], 1, "not a namespace"),
        (&["--ns", "tty"], 125, "must be one of cgroup, ipc, mnt"),
        (&["--json", "--dot"], 125, "exclude each other"),
        (&["--mounts"], 125, "--json"),
    ] {
        let done = berth.run(&[&["map"], arguments].concat());
        assert_eq!(
            (done.code, done.out.as_str()),
            (code, ""),
            "{arguments:?}: {done:?}"
        );
        assert!(done.err.contains(part), "{arguments:?}: {}", done.err);
        assert_eq!(done.err.lines().count(), 1, "{}", done.err);
    }
}

#[test]
fn colours_are_for_terminals_that_have_them() {
    let (berth, _) = one();
    let draw = |term: &str, flag: &str| {
        let command = berth.command(&["map", "a", flag]);
        let mut arguments = vec![format!("TERM={term}"), "LC_ALL=C".to_owned()];
        arguments.push(command.get_program().to_str().unwrap().to_owned());
        arguments.extend(command.get_args().map(|a| a.to_str().unwrap().to_owned()));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Terminal::start_program("env", &arguments).rest()
    };
    let coloured = draw("xterm-256color", "--width=80");
    assert!(coloured.contains("\x1b[1;38;5;32ma\x1b[0m"), "{coloured:?}");
    for (term, flag) in [("dumb", "--width=80"), ("xterm", "--no-color")] {
        let plain = draw(term, flag);
        assert!(
            plain.contains("+= a  berth") && !plain.contains('\x1b'),
            "{plain:?}"
        );
    }
}
