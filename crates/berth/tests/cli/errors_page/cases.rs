//! The mistakes of docs/errors.md, in its order.

/// One mistake.
pub(super) struct Case {
    pub(super) title: &'static str,
    /// Arguments, split at spaces.
    pub(super) line: &'static str,
    pub(super) code: i32,
}

const fn case(title: &'static str, line: &'static str, code: i32) -> Case {
    Case { title, line, code }
}

/// `web` runs, `idle` was never started, `done` has ended, `kept` was made from the image `box`.
pub(super) const CASES: [Case; 83] = [
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
