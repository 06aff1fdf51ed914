//! Namespaces of their own, of another container, of the host; networks and ports.

use super::Docker;
use crate::image::BUSYBOX;
use crate::support::eventually;

#[test]
fn docker_shares_namespaces() {
    let docker = Docker::start();
    let link = |kind: &str| format!("readlink /proc/self/ns/{kind}");
    docker.start_container("ship", &["--ipc=shareable", "--hostname=harbour"]);
    for kind in ["pid", "net", "ipc"] {
        let host = docker.world.namespace(kind);
        let ship = docker.exec("ship", &link(kind));
        assert_ne!(ship, host, "{kind} of its own");
        let flag = format!("--{kind}=host");
        assert_eq!(docker.script_in(&[&flag], &link(kind)), host, "{flag}");
        let flag = format!("--{kind}=container:ship");
        assert_eq!(docker.script_in(&[&flag], &link(kind)), ship, "{flag}");
    }
    let uts = docker.world.namespace("uts");
    assert_eq!(docker.script(&["--uts=host"], &link("uts")), uts);
    assert_ne!(docker.exec("ship", &link("uts")), uts);
    let cgroup = docker.script(&["--cgroupns=private"], "cat /proc/self/cgroup");
    assert!(cgroup.lines().all(|line| line.ends_with(":/")), "{cgroup}");
    let cgroup = docker.script(&["--cgroupns=host"], "cat /proc/self/cgroup");
    assert!(cgroup.contains(&docker.world.cgroup_parent()), "{cgroup}");

    // The first process of the world is PID 1 there too, and its cgroup shows who joined.
    let name = docker.script(&["--pid=host"], "cat /proc/1/comm; test $$ != 1; echo $?");
    assert_eq!(name, "sh\n0");
    let words = docker.script(&["--pid=container:ship"], "tr '\\0' ' ' </proc/1/cmdline");
    assert!(words.contains("sleep 3600"), "{words}");

    members_without_a_namespace(&docker);

    let flags = [
        "--sysctl=net.ipv4.ip_forward=1",
        "--sysctl=kernel.shm_rmid_forced=1",
    ];
    let script = "cd /proc/sys; cat net/ipv4/ip_forward kernel/shm_rmid_forced";
    assert_eq!(docker.script(&flags, script), "1\n1");
    docker.finish();
}

/// Without a PID namespace of its own, the cgroup alone says who belongs to a container.
fn members_without_a_namespace(docker: &Docker) {
    let sleepers = || {
        let processes = docker.world.processes();
        let named = |line: &&String| line.contains("sleep 123") && !line.contains("sh -c");
        processes.iter().filter(named).count()
    };
    let flags = ["--net=none", "--pid=host", "--name=boat", BUSYBOX];
    let script = "sleep 1234 & setsid sleep 1235 & wait";
    docker.ok(&[&["run", "-d"], &flags[..], &["sh", "-c", script]].concat());
    eventually("both to run", || sleepers() == 2);
    docker.ok(&["stop", "-t", "1", "boat"]);
    eventually("both to end with a stop", || sleepers() == 0);

    docker.ok(&["rm", "boat"]);
    let script = "sleep 1234 & setsid sleep 1235 & sleep 0.2; exit 5";
    let done = docker.run(&[&["run"], &flags[..], &["sh", "-c", script]].concat());
    assert_eq!(done.code, 5, "{done:?}");
    eventually("both to end with the first process", || sleepers() == 0);
}

impl Docker {
    /// As [`Docker::script`], for a flag that may name the network.
    fn script_in(&self, flags: &[&str], script: &str) -> String {
        self.ok(&[&["run", "--rm"], flags, &[BUSYBOX, "sh", "-c", script]].concat())
    }
}

/// Asks for a page in a shell: the wget of a static busybox crashes.
fn ask(host: &str, port: &str) -> String {
    format!("printf 'GET /page HTTP/1.0\\r\\n\\r\\n' | busybox nc -w 5 {host} {port}")
}

#[test]
fn docker_publishes_ports() {
    let docker = Docker::start();
    let serve = "echo harbour >/tmp/page; httpd -f -p 80 -h /tmp";
    let flags = [
        "run",
        "-d",
        "--name=web",
        "--publish=127.0.0.1:8080:80",
        BUSYBOX,
    ];
    docker.ok(&[&flags[..], &["sh", "-c", serve]].concat());
    let fetch = |host: &str, port: &str| docker.world.run(&["sh", "-c", &ask(host, port)]).out;
    eventually("the page", || {
        fetch("127.0.0.1", "8080").ends_with("\r\n\r\nharbour\n")
    });
    let address = docker.inspect("web", "{{.NetworkSettings.IPAddress}}");
    assert!(fetch(&address, "80").ends_with("harbour\n"), "at {address}");
    assert_eq!(docker.ok(&["port", "web", "80"]), "127.0.0.1:8080");

    // A neighbour reaches it by name on a network of the user's.
    docker.ok(&["network", "create", "quay"]);
    docker.ok(&["network", "connect", "quay", "web"]);
    let said = docker.script_in(&["--net=quay"], &ask("web", "80"));
    assert!(said.ends_with("harbour"), "{said}");
    docker.ok(&["rm", "-f", "web"]);
    docker.ok(&["network", "rm", "quay"]);
    docker.finish();
}
