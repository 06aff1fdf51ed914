//! docs/errors.md: each error with its real output, and nothing left behind by any.
//!
//! The page is written by this test: `BERTH_WRITE_DOCS=1` writes it, otherwise a difference
//! fails.

mod cases;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{Berth, Done, finish};
use cases::CASES;

#[test]
fn every_error_is_one_line_with_its_next_step() {
    let berth = Berth::with_cgroup_parent();
    std::fs::write(berth.path("cid"), "").unwrap();
    let web = berth.ok(&["run", "-d", "--name", "web", "host", "sleep", "1000"]);
    let idle = berth.ok(&[
        "create",
        "--name",
        "idle",
        "-v",
        "data:/data",
        "host",
        "true",
    ]);
    berth.ok(&["run", "-d", "--name", "done", "host", "true"]);
    berth.ok(&["wait", "done"]);
    make_image(&berth);
    berth.ok(&["create", "--name", "kept", "box", "true"]);
    berth_testkit::nobody_settles(&berth.path("root"));
    let before = remains(&berth);
    let mut page = String::from(FRAME);
    for case in &CASES {
        let arguments: Vec<&str> = case.line.split(' ').collect();
        let mut done = berth.run(&arguments);
        check(case.title, &done, case.code);
        // What differs from run to run: ids, and how long ago something was.
        done.err = done.err.replace(&web[..12], "3f6a1c09be42");
        done.err = done.err.replace(&idle[..12], "91c2e5d07a3b");
        done.err = same_age(&done.err);
        add(
            &mut page,
            case.title,
            &format!("berth {}", case.line),
            &done,
            &berth,
        );
        assert_eq!(remains(&berth), before, "{} left something", case.title);
    }
    above_the_hard_limit(&berth, &mut page);
    assert_eq!(remains(&berth), before);
    ambiguous_prefix(&mut page);
    crate::errors_registry::add_all(&berth, &mut page);
    compare(&page);
}

/// Makes the image `box` of `root.tar`, and of it `box.tar` and `cut.tar`.
fn make_image(berth: &Berth) {
    let folder = berth.path("rootfs");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("file"), "").unwrap();
    let words = [
        "--owner=0",
        "--group=0",
        "-cf",
        "root.tar",
        "-C",
        "rootfs",
        ".",
    ];
    let mut tar = Command::new("tar");
    assert!(
        tar.args(words)
            .current_dir(berth.path(""))
            .status()
            .unwrap()
            .success()
    );
    berth.ok(&["import", "root.tar", "box"]);
    berth.ok(&["save", "-o", "box.tar", "box"]);
    let whole = std::fs::read(berth.path("box.tar")).unwrap();
    std::fs::write(berth.path("cut.tar"), &whole[..whole.len() - 4000]).unwrap();
}

/// Makes `stopped 0s ago` the same every time.
fn same_age(text: &str) -> String {
    let Some((before, after)) = text.split_once("it stopped ") else {
        return text.to_owned();
    };
    let (_, rest) = after.split_once(" ago").unwrap();
    format!("{before}it stopped 3s ago{rest}")
}

pub(crate) fn check(title: &str, done: &Done, code: i32) {
    assert_eq!(done.code, code, "{title}: {done:?}");
    assert_eq!(done.out, "", "{title}");
    // A hint may have a line of its own.
    let said = done.err.lines().filter(|line| !line.starts_with("hint: "));
    assert_eq!(said.count(), 1, "{title}: {}", done.err);
    assert!(done.err.starts_with("berth: "), "{title}: {}", done.err);
}

pub(crate) fn add(page: &mut String, title: &str, line: &str, done: &Done, berth: &Berth) {
    let folder = berth.path("");
    let folder = folder.to_str().unwrap().trim_end_matches('/');
    let text = done.err.replace(folder, "/home/me");
    page.push_str(&format!(
        "\n### {title}\n\n```console\n$ {line}\n{text}$ echo $?\n{}\n```\n",
        done.code
    ));
}

/// Everything that a failed command could leave: folders, cgroups, mounts, processes.
pub(crate) fn remains(berth: &Berth) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for folder in [
        "root/containers",
        "state/containers",
        "root/names",
        "root/volumes",
        "root/layers",
        "root/image-work/leases",
        "",
    ] {
        let entries = std::fs::read_dir(berth.path(folder)).into_iter().flatten();
        found.extend(
            entries
                .flatten()
                .map(|entry| entry.path().display().to_string()),
        );
    }
    for cgroup in berth.cgroups() {
        let below = std::fs::read_dir(cgroup.join("berth"))
            .into_iter()
            .flatten();
        let below = below.flatten().filter(|entry| entry.path().is_dir());
        found.extend(below.map(|entry| entry.path().display().to_string()));
    }
    let folder = berth.path("");
    let folder = folder.to_str().unwrap();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    found.extend(
        mounts
            .lines()
            .filter(|line| line.contains(folder))
            .map(str::to_owned),
    );
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let command = std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        if command.contains(folder) {
            found.insert(format!("{}: {command}", entry.path().display()));
        }
    }
    found
}

/// A hard limit of our own making, so that the page does not depend on the machine's. A caller
/// with CAP_SYS_RESOURCE may exceed it: there is no error to show then.
fn above_the_hard_limit(berth: &Berth, page: &mut String) {
    const SYS_RESOURCE: u64 = 1 << 24;
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:\t"))
        .unwrap();
    let may_exceed = u64::from_str_radix(effective, 16).unwrap() & SYS_RESOURCE != 0;
    let line = "run --ulimit nofile=9000 host true";
    let inner = berth.command(&line.split(' ').collect::<Vec<_>>());
    let mut command = Command::new("prlimit");
    command.arg("--nofile=4096:4096").arg(inner.get_program());
    command.args(inner.get_args()).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut done = finish(command.spawn().unwrap());
    if may_exceed {
        eprintln!("with CAP_SYS_RESOURCE a ulimit above the hard one is no error: not tested");
        done.code = 125;
        done.err = HARD_LIMIT.to_owned();
    }
    check("ulimit", &done, 125);
    add(
        page,
        "A ulimit above the caller's hard limit",
        &format!("berth {line}"),
        &done,
        berth,
    );
}

const HARD_LIMIT: &str = "berth: ulimit nofile=9000 is above the caller's hard limit 4096; ask for at most 4096, or raise the caller's with CAP_SYS_RESOURCE\n";

/// Of 17 ids two begin with the same digit.
fn ambiguous_prefix(page: &mut String) {
    let berth = Berth::new();
    let mut made: Vec<(String, String)> = Vec::new();
    let (digit, first, second) = loop {
        let name = format!("c{}", made.len());
        let id = berth.ok(&["create", "--name", &name, "host", "true"]);
        if let Some(other) = made.iter().find(|(other, _)| other[..1] == id[..1]) {
            break (id[..1].to_owned(), other.clone(), (id, name));
        }
        made.push((id, name));
    };
    let mut done = berth.run(&["stop", &digit]);
    check("ambiguous", &done, 1);
    for (_, name) in [&first, &second] {
        assert!(done.err.contains(name.as_str()), "{}", done.err);
    }
    // Random ids are replaced by two that stay, in the order in which they are listed.
    let mut two = [first, second];
    two.sort_by_key(|(id, _)| done.err.find(&id[..12]));
    for ((id, name), (new_id, new_name)) in two
        .iter()
        .zip([("3b90d7e4a511", "api"), ("3f6a1c09be42", "web")])
    {
        done.err = done.err.replace(&id[..12], new_id);
        done.err = done
            .err
            .replace(&format!("({name})"), &format!("({new_name})"));
    }
    done.err = done.err.replace(&format!("\"{digit}\""), "\"3\"");
    add(
        page,
        "An id that fits several containers",
        "berth stop 3",
        &done,
        &berth,
    );
}

fn compare(page: &str) {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors.md");
    if std::env::var_os("BERTH_WRITE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, page).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    for (line, (is, was)) in page.lines().zip(kept.lines()).enumerate() {
        assert_eq!(
            is,
            was,
            "docs/errors.md line {}; BERTH_WRITE_DOCS=1 writes it anew",
            line + 1
        );
    }
    assert_eq!(
        page.lines().count(),
        kept.lines().count(),
        "docs/errors.md; BERTH_WRITE_DOCS=1 writes it anew"
    );
}

const FRAME: &str = "\
# Errors

An error is one line on standard error: what failed, on which object, why, and what to do next.
Standard output stays for data. A command that fails leaves nothing behind: no container, no
cgroup, no mount, no process. The one exception is Docker's: of a `run` without `--rm` whose start
fails the container stays, as `create` would have made it, so that `start` can be tried again.

| Exit code | Of | Means |
|---|---|---|
| 125 | any command | bad usage: a flag or value that is not accepted |
| 125 | run, create, exec, enter, check | Berth could not do it |
| 126 | run, exec, enter | the command is there and cannot be executed |
| 127 | run, exec, enter | the command is not there |
| 128+n | run, exec, enter, start -a | signal n ended the process |
| 1, 2 | check | there are warnings, errors |
| 1 | all others | Berth could not do it |

`--error-format json`, before the command, makes an error one JSON object a line:

```json
{\"class\":\"not-found\",\"object\":\"nosuch\",\"message\":\"...\",\"hint\":null}
```

| Class | Means |
|---|---|
| invalid | the request is malformed or asks for something impossible |
| not-found | the object does not exist |
| conflict | the object is in a state that excludes the request |
| denied | the caller may not do this |
| unsupported | this kernel or build lacks the feature |
| unavailable | a resource is exhausted or a peer does not answer; a later try may work |
| internal | a defect of Berth, or an unexpected answer of the kernel |

## Each with its real output

A test of the project runs these and compares them with this page. In them, `web` is a running
container, `idle` one that was never started and has the volume `data`, `done` one that has ended.
`box` is an image, from which the container `kept` was made, and `cut.tar` a part of its archive.

At `127.0.0.1:5000` is a registry that refuses what it is asked for, at `127.0.0.1:5001` is nobody,
and `proxy.example:3128` is a proxy. What is tried again is said in warnings before the error, which
are left out here.
";
