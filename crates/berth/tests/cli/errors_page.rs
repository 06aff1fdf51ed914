//! docs/errors.md: each error with its real output, and nothing left behind by any.
//!
//! The page is written by this test: `BERTH_WRITE_DOCS=1` writes it, otherwise a difference
//! fails.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{Berth, Done, finish};

/// One mistake.
struct Case {
    title: &'static str,
    /// Arguments, split at spaces.
    line: &'static str,
    code: i32,
}

const fn case(title: &'static str, line: &'static str, code: i32) -> Case {
    Case { title, line, code }
}

/// `web` runs, `idle` was never started, `done` has ended, `kept` was made from the image `box`.
const CASES: [Case; 83] = [
    case("Unknown image", "run --pull never nginx", 125),
    case("No image", "run", 125),
    case("Command not found", "run host frobnicate", 127),
    case("Command not executable", "run host /etc/passwd", 126),
    case("Unknown command", "rnu host true", 125),
    case("Unknown flag", "run --nmae web host true", 125),
    case("A global flag after the command", "ps --root /srv", 125),
    case("A value that does not parse", "run -m 64x host true", 125),
    case(
        "A value outside of its choices",
        "run --net hots:x host true",
        125,
    ),
    case("Name taken", "run --name web host true", 125),
    case("Not a name", "run --name a/b host true", 125),
    case("No such container", "stop nosuch", 1),
    case("Container not running", "exec idle true", 125),
    case("Removing a running container", "rm web", 1),
    case("PID 0", "pid 0", 1),
    case("Text for a PID", "pid frobnicate", 1),
    case("A PID that no process has", "pid 4194304", 1),
    case("A PID that a container lacks", "pid web:4000000", 1),
    case("A PID in a container that does not run", "pid idle:1", 1),
    case("A PID among others for a stream", "pid - 1", 125),
    case("A namespace that does not exist", "ns 1", 1),
    case("Text for a namespace", "ns frobnicate", 125),
    case("Unknown column", "ns -o NSS", 125),
    case("A path that is no namespace", "who /etc/passwd", 1),
    case("Entering a process that ended", "enter 4194304 true", 125),
    case(
        "Entering an unknown kind of namespace",
        "enter --ns foo web true",
        125,
    ),
    case(
        "Entering for a command that is not there",
        "enter web frobnicate",
        127,
    ),
    case(
        "Sharing with a container that ended",
        "run --pid container:done host true",
        125,
    ),
    case(
        "Sharing with no container",
        "run --net container:nosuch host true",
        125,
    ),
    case(
        "Root filesystem missing",
        "run --rootfs /nonexistent sh",
        125,
    ),
    case(
        "Mount source missing",
        "run -v /nonexistent:/data host true",
        125,
    ),
    case("Not a volume's name", "run -v a/b:/data host true", 125),
    case(
        "Two mounts on one target",
        "run -v data:/data -v /data host true",
        125,
    ),
    case(
        "A mount that says too little",
        "run --mount type=bind,target=/data host true",
        125,
    ),
    case(
        "Part of a volume that is not there",
        "run --mount source=data,target=/data,volume-subpath=logs host true",
        125,
    ),
    case("A volume in use", "volume rm data", 1),
    case("No such volume", "volume rm nosuch", 1),
    case("Not an image's name", "run Nginx:latest true", 125),
    case("A name that no image can have", "tag box Box", 125),
    case("Removing an image that is not there", "rmi nginx", 1),
    case("Removing an image in use", "rmi box", 1),
    case("Loading what is no archive", "load -i /etc/passwd", 1),
    case("Loading an archive that is cut off", "load -i cut.tar", 1),
    case(
        "Loading an archive that is not there",
        "load -i nosuch.tar",
        1,
    ),
    case("Loading the tar of a root", "load -i root.tar", 1),
    case(
        "Loading for a platform that an archive lacks",
        "load --platform linux/s390x -i box.tar",
        1,
    ),
    case(
        "Saving an image that is not there",
        "save -o nginx.tar nginx",
        1,
    ),
    case(
        "Saving into a folder that is not there",
        "save -o nosuch/box.tar box",
        1,
    ),
    case(
        "A change that no image can have",
        "import -c RUN:x cid",
        125,
    ),
    case("Importing what is no tar", "import cid mine", 1),
    case("Committing what has no image", "commit idle mine", 1),
    case(
        "Committing with a wrong change",
        "commit -c RUN:x kept mine",
        125,
    ),
    case("Committing under no name", "commit kept Mine", 125),
    case("Exporting what has no image", "export -o idle.tar idle", 1),
    case("Copying what a container lacks", "cp web:/nosuch here", 1),
    case("Copying what is not there", "cp nosuch web:/tmp", 1),
    case(
        "Copying into a folder that a container lacks",
        "cp cid web:/nosuch/",
        1,
    ),
    case(
        "Copying a folder over a file",
        "cp rootfs web:/etc/passwd",
        1,
    ),
    case(
        "Copying from container to container",
        "cp web:/etc/passwd kept:/",
        125,
    ),
    case("Copying without a container", "cp cid copy", 125),
    case("Nothing of that name", "inspect -f {{.Id}} nosuch", 1),
    case(
        "A type of volume that is not mounted",
        "volume create --opt type=nfs --opt device=:/srv web",
        1,
    ),
    case(
        "A volume that is there with other options",
        "volume create --opt type=tmpfs --opt device=tmpfs data",
        1,
    ),
    case("No such network", "run --network nosuch host true", 125),
    case(
        "Two kinds of network at once",
        "run --network none --network host host true",
        125,
    ),
    case("Not a port", "run -p 80:http host true", 125),
    case(
        "Publishing without a network",
        "run --network none -p 8080:80 host true",
        125,
    ),
    case("Not a network's name", "network create a/b", 125),
    case("No such network driver", "network create -d weave lan", 1),
    case(
        "A network that begins in the middle of another",
        "network create --subnet 10.60.0.1/24 lan",
        1,
    ),
    case(
        "Removing a network that is not there",
        "network rm nosuch",
        1,
    ),
    case("Removing the default network", "network rm bridge", 1),
    case(
        "A memory limit below what works",
        "run -m 1m host true",
        125,
    ),
    case("Unknown ulimit", "run --ulimit nofiles=10 host true", 125),
    case("Unknown user", "run -u nobody-knows host true", 125),
    case(
        "A file of --cidfile that exists",
        "run --cidfile cid host true",
        125,
    ),
    case("No terminal", "run -it host sh", 125),
    case("No terminal to watch on", "map --watch", 125),
    case("An address for all to reach", "map --serve 0.0.0.0", 1),
    case("No address", "map --serve frobnicate", 125),
    case("No recording", "map --serve --replay /etc/passwd", 1),
    case("A recording that exists", "map --record cid", 1),
    case("A template that does not fit", "ps --format {{.Nam}}", 125),
];

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
cgroup, no mount, no process.

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
