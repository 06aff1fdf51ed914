//! What a page says besides its flags: exit status, environment, files, examples, further pages.

use super::{examples, key};

/// A name and what it means.
type Line = (&'static str, &'static str);

const ANY: [Line; 2] = [
    ("0", "It is done."),
    ("125", "Bad usage: a flag or value that is not accepted."),
];
const FAILED: Line = ("1", "It failed, for one of several objects at least.");
const RUN: [Line; 5] = [
    ("125", "Berth could not do it, or the usage is bad."),
    ("126", "The command is there and cannot be executed."),
    ("127", "The command is not there."),
    ("128+n", "Signal n ended the process."),
    ("other", "The exit code of the process."),
];
const JOINED: [Line; 3] = [
    ("1", "It failed, or the process ended with 1."),
    ("128+n", "Signal n ended the process."),
    ("other", "The exit code of the process."),
];
const CHECK: [Line; 4] = [
    ("0", "Nothing is wrong."),
    ("1", "There are warnings."),
    ("2", "There are errors."),
    ("125", "Berth could not look, or the usage is bad."),
];

/// What every command reads.
const ENVIRONMENT: [Line; 6] = [
    (
        "BERTH_ROOT",
        "The folder that outlives a reboot, as \\-\\-root.",
    ),
    ("BERTH_STATE", "The folder that does not, as \\-\\-state."),
    (
        "BERTH_CGROUP_PARENT",
        "The cgroup above those of containers, as \\-\\-cgroup\\-parent.",
    ),
    (
        "BERTH_RUNTIME",
        "The program berth\\-runtime, as \\-\\-runtime.",
    ),
    (
        "BERTH_DEFAULT_NETWORK",
        "What containers get without \\-\\-network, as \\-\\-default\\-network.",
    ),
    (
        "BERTH_ERROR_FORMAT",
        "How errors are written, as \\-\\-error\\-format.",
    ),
];
const PROXIES: Line = (
    "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY",
    "The way to registries. In small letters, too.",
);
const LOGINS: Line = (
    "DOCKER_CONFIG",
    "The folder of config.json, where logins are kept; ~/.docker else.",
);
const COLOUR: Line = ("NO_COLOR", "No colour, whatever the terminal.");

const FILES: [Line; 4] = [
    ("/etc/berth/config.toml", "The host's settings."),
    ("~/.config/berth/config.toml", "The user's, which win."),
    (
        "/var/lib/berth",
        "Containers, images, volumes and networks; ~/.local/share/berth without root.",
    ),
    (
        "/run/berth",
        "What does not outlive a reboot; $XDG_RUNTIME_DIR/berth without root.",
    ),
];

/// Pages and documents that tell more, by what a key begins with.
const FURTHER: [(&[&str], &[&str], &str); 14] = [
    (
        &["run", "create"],
        &["exec", "start", "logs", "rm", "pull"],
        "limits.md",
    ),
    (
        &["start", "stop", "restart", "kill", "wait"],
        &["run", "update", "system-restore"],
        "restart.md",
    ),
    (&["exec", "attach"], &["run", "logs", "top"], "terminals.md"),
    (&["logs"], &["attach", "events"], "logs.md"),
    (
        &["update", "pause", "unpause", "stats"],
        &["run", "inspect"],
        "limits.md",
    ),
    (
        &["cp", "diff", "export"],
        &["commit", "volume-create"],
        "cp.md",
    ),
    (&["events"], &["logs", "ps"], "events.md"),
    (
        &["network", "port"],
        &["run", "network-create", "network-connect"],
        "networks.md",
    ),
    (&["volume"], &["run", "volume-create"], "volumes.md"),
    (
        &[
            "pull", "push", "login", "logout", "image", "images", "rmi", "tag", "history", "save",
            "load", "import", "commit",
        ],
        &["pull", "images", "run"],
        "images.md",
    ),
    (
        &["map", "ns", "who", "pid", "enter", "check", "top"],
        &["map", "pid", "ns", "check"],
        "map.md",
    ),
    (&["system doctor", "info"], &["system-config"], "doctor.md"),
    (&["system config"], &["info"], "configuration.md"),
    (
        &[
            "ps",
            "inspect",
            "rm",
            "rename",
            "system",
            "container",
            "version",
            "completion",
        ],
        &["run", "ps", "inspect"],
        "commands.md",
    ),
];

/// The sections of a page, in roff.
pub(super) fn of(page: &str) -> String {
    let key = key(page);
    let mut text = String::new();
    listed(&mut text, "EXIT STATUS", &exit_status(&key));
    let first = key.split(' ').next().unwrap_or_default();
    let mut variables = Vec::new();
    if matches!(
        first,
        "" | "pull" | "push" | "login" | "logout" | "run" | "create" | "import"
    ) {
        variables.extend([LOGINS, PROXIES]);
    }
    if matches!(first, "" | "map") {
        variables.push(COLOUR);
    }
    match key.is_empty() {
        true => drop(variables.splice(0..0, ENVIRONMENT)),
        false => variables.push((
            "BERTH_ROOT, BERTH_STATE and others",
            "As for every command, see berth(1).",
        )),
    }
    listed(&mut text, "ENVIRONMENT", &variables);
    listed(&mut text, "FILES", &FILES);
    examples_of(&mut text, &key);
    see_also(&mut text, page, &key);
    text
}

fn exit_status(key: &str) -> Vec<Line> {
    match key {
        "run" | "exec" | "enter" => [&ANY[..1], &RUN].concat(),
        "start" => {
            let joined = (
                "other",
                "With \\-a: the exit code of the container, 128+n where signal n ended it.",
            );
            [&ANY[..1], &[FAILED, ANY[1], joined]].concat()
        }
        "attach" => [&ANY[..1], &JOINED, &ANY[1..]].concat(),
        "create" => [&ANY[..1], &RUN[..1]].concat(),
        "wait" => {
            let done = (
                "0",
                "All have ended; their exit codes are on standard output.",
            );
            vec![done, FAILED, ANY[1]]
        }
        "check" => CHECK.to_vec(),
        _ => vec![ANY[0], FAILED, ANY[1]],
    }
}

fn listed(text: &mut String, title: &str, lines: &[Line]) {
    text.push_str(&format!(".SH \"{title}\"\n"));
    for (name, means) in lines {
        text.push_str(&format!(".TP\n\\fB{}\\fR\n{means}\n", escaped(name)));
    }
}

fn examples_of(text: &mut String, key: &str) {
    let examples = examples::of(key);
    if examples.is_empty() {
        return;
    }
    text.push_str(".SH EXAMPLES\n");
    for (line, what) in examples {
        text.push_str(&format!(
            ".TP\n{}:\n.EX\n{}\n.EE\n",
            escaped(what),
            escaped(line)
        ));
    }
}

fn see_also(text: &mut String, page: &str, key: &str) {
    let fits = |starts: &[&str]| {
        starts.iter().any(|start| {
            key == *start
                || key
                    .strip_prefix(start)
                    .is_some_and(|rest| rest.starts_with(' '))
        })
    };
    let further = FURTHER.iter().find(|(starts, ..)| fits(starts));
    let mut pages = vec!["berth".to_owned()];
    match further {
        Some((_, names, _)) => pages.extend(names.iter().map(|name| format!("berth-{name}"))),
        None => pages.extend(["run", "ps", "system-doctor"].map(|name| format!("berth-{name}"))),
    }
    if key.is_empty() {
        pages.push("berth-runtime".to_owned());
    }
    pages.retain(|name| name != page);
    let pages: Vec<String> = pages
        .iter()
        .map(|name| format!("\\fB{}\\fR(1)", escaped(name)))
        .collect();
    text.push_str(".SH \"SEE ALSO\"\n");
    text.push_str(&pages.join(", "));
    let document = further.map_or("commands.md", |(.., document)| document);
    let document = escaped(&format!("/usr/share/doc/berth/docs/{document}"));
    text.push_str(&format!("\n.PP\n{document}\n"));
}

/// Text in which roff sees nothing to do.
fn escaped(text: &str) -> String {
    let text = text
        .replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('\'', "\\(aq");
    match text.starts_with('.') {
        true => format!("\\&{text}"),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_how_it_ends_and_where_more_is() {
        insta::assert_snapshot!(of("berth-container-wait"), @r#"
        .SH "EXIT STATUS"
        .TP
        \fB0\fR
        All have ended; their exit codes are on standard output.
        .TP
        \fB1\fR
        It failed, for one of several objects at least.
        .TP
        \fB125\fR
        Bad usage: a flag or value that is not accepted.
        .SH "ENVIRONMENT"
        .TP
        \fBBERTH_ROOT, BERTH_STATE and others\fR
        As for every command, see berth(1).
        .SH "FILES"
        .TP
        \fB/etc/berth/config.toml\fR
        The host's settings.
        .TP
        \fB~/.config/berth/config.toml\fR
        The user's, which win.
        .TP
        \fB/var/lib/berth\fR
        Containers, images, volumes and networks; ~/.local/share/berth without root.
        .TP
        \fB/run/berth\fR
        What does not outlive a reboot; $XDG_RUNTIME_DIR/berth without root.
        .SH EXAMPLES
        .TP
        Prints the exit code once it has ended:
        .EX
        berth wait job
        .EE
        .SH "SEE ALSO"
        \fBberth\fR(1), \fBberth\-run\fR(1), \fBberth\-update\fR(1), \fBberth\-system\-restore\fR(1)
        .PP
        /usr/share/doc/berth/docs/restart.md
        "#);
    }

    #[test]
    fn text_is_no_request() {
        assert_eq!(escaped(".a 'b' -c \\t"), "\\&.a \\(aqb\\(aq \\-c \\et");
    }
}
