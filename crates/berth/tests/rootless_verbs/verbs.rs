//! All commands in one go.

use crate::host::{Host, host};
use crate::support::Root;

/// What a user has been given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cgroup {
    Delegated,
    None,
}

/// What is to come of a command line.
enum Outcome {
    /// It works and prints something with this in it.
    Prints(&'static str),
    /// It fails with this exit code and one line that has this in it.
    Lacks(i32, &'static str),
}
use Outcome::{Lacks, Prints};

struct User {
    host: Host,
    cgroup: Cgroup,
}

impl User {
    fn new(cgroup: Cgroup) -> Option<Self> {
        let mut host = host(&["pasta"])?;
        host.user.import(&Root::new(), "box:1", &[]);
        if cgroup == Cgroup::Delegated {
            host.user.gets_cgroup();
        }
        std::fs::write(host.user.path("home/note"), "noted\n").unwrap();
        Some(Self { host, cgroup })
    }

    fn tries(&self, line: &str, outcome: &Outcome) {
        let words: Vec<&str> = line.split(' ').collect();
        let done = self.host.run(&words);
        let which = self.cgroup;
        match outcome {
            Prints(text) => {
                assert_eq!(done.code, 0, "{which:?}: {line}: {done:?}");
                assert!(done.out.contains(text), "{which:?}: {line}: {done:?}");
            }
            Lacks(code, text) => {
                assert_eq!(done.code, *code, "{which:?}: {line}: {done:?}");
                let mut said = done.err.lines().filter(|l| !l.contains("warning"));
                let first = said.next().unwrap_or_default();
                assert!(first.contains(text), "{which:?}: {line}: {done:?}");
                assert_eq!(said.next(), None, "{which:?}: {line}: one line is enough");
            }
        }
    }

    fn all(&self, lines: &[(&str, Outcome)]) {
        for (line, outcome) in lines {
            self.tries(line, outcome);
        }
    }

    /// With a cgroup it works, without one it says what is missing.
    fn by_cgroup(&self, line: &str, prints: &'static str, lacks: &'static str) {
        match self.cgroup {
            Cgroup::Delegated => self.tries(line, &Prints(prints)),
            Cgroup::None => self.tries(line, &Lacks(1, lacks)),
        }
    }
}

#[test]
fn every_command_without_a_cgroup() {
    every_command(Cgroup::None);
}

#[test]
fn every_command_with_a_delegated_cgroup() {
    every_command(Cgroup::Delegated);
}

fn every_command(cgroup: Cgroup) {
    let Some(user) = User::new(cgroup) else {
        return;
    };
    engine(&user);
    images(&user);
    networks_and_volumes(&user);
    containers(&user);
    running(&user);
    ending(&user);
    user.all(&[
        ("ps -aq", Prints("")),
        ("system prune -f", Prints("Total reclaimed space")),
        ("prune -f", Prints("Total reclaimed space")),
        ("system restore", Prints("")),
    ]);
    assert_eq!(user.host.ok(&["ps", "-aq"]), "");
}

fn engine(user: &User) {
    user.all(&[
        ("version", Prints("Berth")),
        ("info -f {{.Rootless}}", Prints("true")),
        ("system info", Prints("Rootless: true")),
        ("system df", Prints("Images")),
        ("system config", Prints("root = ")),
        ("events --since 1h --until 0s", Prints("image import")),
        (
            "system events --since 1h --until 0s",
            Prints("image import"),
        ),
        ("completion zsh", Prints("_berth")),
        ("logout registry.example", Prints("Not logged in")),
    ]);
    // What is missing of a host is the doctor's exit code.
    let doctor = user.host.run(&["system", "doctor"]);
    assert!(doctor.out.contains("Kernel"), "{doctor:?}");
    assert!(doctor.err.is_empty(), "{doctor:?}");
}

fn images(user: &User) {
    user.all(&[
        ("images", Prints("box")),
        ("image ls -q", Prints("")),
        ("tag box:1 box:2", Prints("")),
        ("image tag box:1 box:3", Prints("")),
        ("image inspect -f {{.Os}} box:2", Prints("linux")),
        ("history box:2", Prints("Imported")),
        ("save -o box.tar box:3", Prints("")),
        ("rmi box:2", Prints("Untagged: box:2")),
        ("image rm box:3", Prints("Untagged: box:3")),
        ("load -i box.tar", Prints("Loaded image: box:3")),
        ("image prune -f", Prints("Total")),
        ("pull -q 127.0.0.1:9/none", Lacks(1, "cannot be reached")),
        ("push -q box:9", Lacks(1, "box:9")),
    ]);
}

fn networks_and_volumes(user: &User) {
    user.all(&[
        (
            "network create blue",
            Lacks(1, "cannot make network blue: networks need root"),
        ),
        ("network ls -q", Prints("")),
        (
            "network inspect blue",
            Lacks(1, "without root a container has one of its own"),
        ),
        ("network rm blue", Lacks(1, "there is no network blue")),
        ("network prune -f", Prints("")),
        ("volume create data", Prints("data")),
        ("volume ls", Prints("data")),
        ("volume inspect -f {{.Name}} data", Prints("data")),
        ("volume create gone", Prints("gone")),
        ("volume rm gone", Prints("gone")),
        ("volume prune -f", Prints("Total")),
    ]);
}

fn containers(user: &User) {
    user.all(&[
        (
            "create --name made -v data:/data box:1 sleep 1000",
            Prints(""),
        ),
        ("start made", Prints("made")),
        (
            "run -d --name web -p 8080:80 -v data:/data --restart always box:1 sleep 1000",
            Prints(""),
        ),
        ("run --rm box:1 cat /srv/www", Prints("www")),
        ("ps", Prints("0.0.0.0:8080->80/tcp")),
        ("container ls -q", Prints("")),
        ("port web", Prints("80/tcp -> 0.0.0.0:8080")),
        ("inspect -f {{.State.Status}} web", Prints("running")),
        ("network connect bridge made", Lacks(1, "without root")),
        ("network disconnect bridge made", Lacks(1, "without root")),
        ("exec web cat /etc/hostname", Prints("")),
        ("exec -d web sleep 900", Prints("")),
        ("exec ls web", Prints("sleep 900")),
        ("stats --no-stream --format {{.Name}} web", Prints("web")),
        ("rename made kept", Prints("")),
        ("cp note kept:/data/note", Prints("")),
        ("exec kept cat /data/note", Prints("noted")),
        ("cp kept:/data/note back", Prints("")),
        ("exec kept touch /new", Prints("")),
        ("diff kept", Prints("A /new")),
        ("export -o root.tar kept", Prints("")),
    ]);
    // One's own processes can be seen without root: nothing to warn of.
    let top = user.host.run(&["top", "web"]);
    assert!(top.out.contains("sleep 1000"), "{top:?}");
    assert_eq!(top.err, "");
    let made = user.host.run(&["commit", "kept", "made:1"]);
    assert_eq!(made.code, 0, "{made:?}");
    let warned = made.err.contains("files may be of different moments");
    assert_eq!(warned, user.cgroup == Cgroup::None, "{made:?}");
    user.tries("run --rm made:1 cat /new", &Prints(""));
}

fn running(user: &User) {
    let lacks = "no cgroup of its own, since none is delegated to this user";
    user.by_cgroup("pause web", "web", lacks);
    let shown = match user.cgroup {
        Cgroup::Delegated => "paused",
        Cgroup::None => "running",
    };
    user.tries("inspect -f {{.State.Status}} web", &Prints(shown));
    user.by_cgroup("unpause web", "web", "is not paused");
    user.all(&[
        ("update --restart no web", Prints("web")),
        ("logs web", Prints("")),
        ("pid web", Prints("")),
        ("map web", Prints("web")),
        ("restart -t 0 web", Prints("web")),
        ("inspect -f {{.State.Status}} web", Prints("running")),
        ("port web", Prints("8080")),
        ("kill -s KILL kept", Prints("kept")),
        ("wait kept", Prints("137")),
        (
            "attach kept",
            Lacks(1, "cannot attach to container kept: it is exited"),
        ),
    ]);
    if limits_can_be(user) {
        user.all(&[
            ("update -m 64m web", Prints("web")),
            ("run --rm --pids-limit 50 box:1 echo ran", Prints("ran")),
        ]);
    } else {
        let lacks = "memory controller is";
        user.tries("update -m 64m web", &Lacks(1, lacks));
        user.tries("run --rm -m 64m box:1 true", &Lacks(125, lacks));
    }
}

/// On hosts whose controllers are v1's there is nothing to delegate.
fn limits_can_be(user: &User) -> bool {
    let hierarchies = berth_testkit::hierarchies();
    let mut v2 = hierarchies.iter().filter(|h| h.is_v2());
    user.cgroup == Cgroup::Delegated && v2.any(|h| h.has("memory") && h.has("pids"))
}

fn ending(user: &User) {
    user.all(&[
        ("stop -t 0 web", Prints("web")),
        ("wait web", Prints("137")),
        ("start web", Prints("web")),
        ("rm web", Lacks(1, "it is running")),
        ("rm -f web", Prints("web")),
        ("container prune -f", Prints("Deleted Containers")),
        ("rmi made:1", Prints("Untagged: made:1")),
        ("volume rm data", Prints("data")),
    ]);
}
