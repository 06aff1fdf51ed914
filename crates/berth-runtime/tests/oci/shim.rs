//! What shims rely on: phrases, log files, PID files, descriptors and sockets handed on.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use serde_json::Value;

use crate::runtime;

#[test]
fn phrases_that_shims_look_for() {
    let runtime = runtime();
    let message = runtime.kill("nobody", "KILL").refused();
    assert!(message.contains("container does not exist"), "{message}");
    let message = runtime.delete("nobody").refused();
    assert!(message.contains("does not exist"), "{message}");
    let container = runtime.started("one", &runtime.bundle());
    container.wait();
    let message = runtime.kill("one", "TERM").refused();
    let known = ["process already finished", "container not running"];
    assert!(
        known.iter().any(|phrase| message.contains(phrase)),
        "{message}"
    );
    container.delete();
}

#[test]
fn the_log_is_json_lines_as_runc_writes_them() {
    let runtime = runtime();
    let log = runtime.path("log.json");
    let words = [
        "--log",
        log.to_str().unwrap(),
        "--log-format",
        "json",
        "state",
        "nobody",
    ];
    let output = runtime.invoke(&words);
    assert!(output.code > 0);
    let text = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let line = lines.last().unwrap();
    assert_eq!(line["level"], "error");
    assert!(
        line["msg"]
            .as_str()
            .unwrap()
            .contains("container does not exist"),
        "{line}"
    );
    let time = line["time"].as_str().unwrap();
    assert!(time.len() >= 20 && time.as_bytes()[10] == b'T', "{time}");
    // Appended to, not begun anew: a shim reads it after several commands.
    drop(runtime.invoke(&words));
    assert!(std::fs::read_to_string(&log).unwrap().lines().count() > text.lines().count());
    // Who logs to a file still hears of the error.
    assert!(
        output.err.contains("container does not exist"),
        "{output:?}"
    );
}

#[test]
fn the_log_is_text_by_default() {
    let runtime = runtime();
    let log = runtime.path("log");
    let words = ["--log", log.to_str().unwrap(), "state", "nobody"];
    drop(runtime.invoke(&words).refused());
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(
        text.contains("level=error") && text.contains("container does not exist"),
        "{text}"
    );
    assert!(runtime.invoke(&["--log-format", "xml", "state", "x"]).code > 0);
}

#[test]
fn an_error_of_create_is_in_the_log() {
    let runtime = runtime();
    let log = runtime.path("log.json");
    let bundle = runtime.bundle().set("/process/cwd", "relative");
    bundle.write();
    let words = [
        "--log",
        log.to_str().unwrap(),
        "--log-format",
        "json",
        "create",
        "--bundle",
        bundle.path().to_str().unwrap(),
        "one",
    ];
    drop(runtime.invoke(&words).refused());
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains("\"level\":\"error\""), "{text}");
}

#[test]
fn the_pid_file_holds_the_host_pid_alone() {
    let runtime = runtime();
    let file = runtime.path("pid");
    let flags = ["--pid-file", file.to_str().unwrap()];
    let container = runtime.created_with("one", &runtime.bundle().sleeping(), &flags);
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        container.pid.to_string()
    );
    container.end();
    let file = runtime.path("pid2");
    let flags = ["--detach", "--pid-file", file.to_str().unwrap()];
    drop(
        runtime
            .run_with("two", &runtime.bundle().sleeping(), &flags)
            .ok(),
    );
    let pid: i32 = std::fs::read_to_string(&file).unwrap().parse().unwrap();
    drop(runtime.delete_force("two").ok());
    assert_eq!(berth_testkit::reap(pid), -9);
}

#[test]
fn a_pid_file_that_cannot_be_written_fails_the_create() {
    let runtime = runtime();
    let flags = ["--pid-file", "/no/such/folder/pid"];
    drop(
        runtime
            .create_with("one", &runtime.bundle(), &flags)
            .refused(),
    );
    runtime.assert_nothing_left();
}

#[test]
fn preserved_descriptors_reach_the_program() {
    let runtime = runtime();
    std::fs::write(runtime.path("three"), "3rd").unwrap();
    std::fs::write(runtime.path("four"), "4th").unwrap();
    let bundle = runtime
        .bundle()
        .sh("cat <&3; cat <&4; ls /proc/self/fd | wc -l");
    bundle.write();
    let path = bundle.path().to_str().unwrap();
    let script = "exec 3<three 4<four 5</dev/null; exec \"$@\"";
    let words = ["run", "--preserve-fds", "2", "--bundle", path, "one"];
    let output = runtime
        .finish(&mut runtime.through_shell(script, &words))
        .ok();
    // 0 to 4, and the folder that ls reads.
    assert_eq!(
        output.out.split_whitespace().collect::<Vec<_>>(),
        ["3rd4th6"]
    );
    // What is not open is refused.
    let words = ["run", "--preserve-fds", "3", "--bundle", path, "two"];
    let output = runtime.finish(&mut runtime.through_shell("exec 3<three; exec \"$@\"", &words));
    assert!(output.code > 0, "{output:?}");
    runtime.assert_nothing_left();
}

#[test]
fn exec_preserves_descriptors_too() {
    let runtime = runtime();
    let container = runtime.started("one", &runtime.bundle().sleeping());
    std::fs::write(runtime.path("three"), "3rd").unwrap();
    let words = ["exec", "--preserve-fds", "1", "one", "sh", "-c", "cat <&3"];
    let mut command = runtime.through_shell("exec 3<three; exec \"$@\"", &words);
    assert_eq!(runtime.finish(&mut command).ok().out, "3rd");
    container.end();
}

#[test]
fn listening_sockets_are_handed_on() {
    let runtime = runtime();
    std::fs::write(runtime.path("socket"), "of systemd").unwrap();
    let bundle = runtime.bundle().sh("echo $LISTEN_FDS $LISTEN_PID; cat <&3");
    bundle.write();
    let path = bundle.path().to_str().unwrap();
    let script = "export LISTEN_FDS=1 LISTEN_PID=$$; exec 3<socket; exec \"$@\"";
    let mut command = runtime.through_shell(script, &["run", "--bundle", path, "one"]);
    let output = runtime.finish(&mut command).ok();
    assert_eq!(output.out, "1 1\nof systemd");
}

/// Set for the copy of this program that runs inside a container.
const CLIENT: &str = "BERTH_TEST_NOTIFY_CLIENT";

#[test]
fn notify_client() {
    // Nothing, unless it is the copy inside: then it says that it is ready.
    if std::env::var_os(CLIENT).is_some() {
        let socket = UnixDatagram::unbound().unwrap();
        let path = std::env::var("NOTIFY_SOCKET").unwrap();
        socket
            .send_to(b"READY=1\nSTATUS=of the container", path)
            .unwrap();
    }
}

#[test]
fn readiness_is_handed_on_to_the_notify_socket() {
    let runtime = runtime();
    let socket_path = runtime.path("notify.sock");
    let socket = UnixDatagram::bind(&socket_path).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let own = std::env::current_exe().unwrap();
    let bundle = runtime
        .bundle()
        .bind(&own, "/client", &["ro"])
        .env(&format!("{CLIENT}=1"))
        .sh("/client --exact shim::notify_client > /tmp/out 2>&1; sleep 0.3; cat /tmp/out >&2");
    let mut command = runtime.bundle_command("run", "one", &bundle, &[]);
    command.env("NOTIFY_SOCKET", &socket_path);
    let output = runtime.finish(&mut command).ok();
    let mut buffer = [0; 4096];
    let count = socket
        .recv(&mut buffer)
        .unwrap_or_else(|e| panic!("{e}: {output:?}"));
    let said = String::from_utf8_lossy(&buffer[..count]).into_owned();
    assert!(said.lines().any(|line| line == "READY=1"), "{said}");
    runtime.assert_nothing_left();
}

#[test]
fn a_pidfd_comes_over_its_socket() {
    let runtime = runtime();
    if runtime.is_foreign() {
        return;
    }
    let console = berth_testkit::Console::listen();
    let path = console.path();
    let flags = ["--pidfd-socket", path.to_str().unwrap()];
    let container = runtime.created_with("one", &runtime.bundle().sleeping(), &flags);
    let pidfd = console.receive();
    let info = std::fs::read_to_string(format!(
        "/proc/self/fdinfo/{}",
        std::os::fd::AsRawFd::as_raw_fd(&pidfd)
    ))
    .unwrap();
    let line = info.lines().find(|line| line.starts_with("Pid:")).unwrap();
    assert_eq!(
        line.split_whitespace().last().unwrap(),
        container.pid.to_string()
    );
    container.end();
}
