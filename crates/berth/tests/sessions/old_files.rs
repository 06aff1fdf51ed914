//! State files of the first build are read: a container that was made then is listed, started, and
//! removed.
//!
//! The files are what that build wrote, word for word, with the ids and the boot of the day.

use std::fs;
use std::path::Path;

use crate::support::Berth;

const IDLE: &str = "628b5ab35dab351730eb6892443f543647e783ce469fdcbc38a540ad1308890b";
const DONE: &str = "0fdd5468cb19dd11b266d53a46ef24a4f4f1edda20d732dd50388ee519691713";

fn create_json(id: &str, name: &str, script: &str, env: &str, labels: &str) -> String {
    let short = &id[..12];
    format!(
        r#"{{"version":1,"id":"{id}","created_at":"2026-11-26T14:10:20.756564548Z","image":"host","argv":["sh","-c","{script}"],"hostname":"{short}","root":{{"kind":"host"}},"namespaces":{{"cgroup":{{"from":"private"}},"ipc":{{"from":"private"}},"mnt":{{"from":"private"}},"net":{{"from":"private"}},"pid":{{"from":"private"}},"time":{{"from":"private"}},"user":{{"from":"host"}},"uts":{{"from":"private"}}}},"cgroups_path":"/berth/{id}","boot_id":"2a7561ce-9503-41d4-b364-bf9dd01e19f8","options":{{"name":"{name}","image":{{"kind":"name","name":"host"}},"command":["sh","-c","{script}"],"entrypoint":null,"env":[{env}],"workdir":null,"user":null,"group_add":[],"hostname":null,"init":false,"terminal":false,"open_stdin":false,"stdin_once":false,"auto_remove":false,"labels":{{{labels}}},"stop_signal":null,"stop_timeout_s":null,"exposed_ports":[],"healthcheck":null,"mounts":[],"read_only":false,"namespaces":{{"pid":{{"mode":"default"}},"net":{{"mode":"default"}},"ipc":{{"mode":"default"}},"uts":{{"mode":"default"}},"user":{{"mode":"default"}},"cgroup":{{"mode":"default"}},"time":{{"mode":"default"}}}},"networks":[],"publish":[],"names":{{"domain":null,"dns":[],"search":[],"resolver_options":[],"add_hosts":[]}},"publish_all":false,"memory_bytes":null,"storage_bytes":null,"nano_cpus":null,"pids_limit":null,"ulimits":[],"cap_add":[],"cap_drop":[],"no_new_privileges":false,"seccomp":{{"kind":"default"}},"privileged":false,"cgroup_parent":null}}}}"#
    )
}

/// As that build wrote it, less the filter, which is another one with each host.
fn spec_json(id: &str, script: &str, env: &str) -> String {
    let short = &id[..12];
    format!(
        r#"{{"ociVersion":"1.2.1","root":{{"path":"rootfs","readonly":false}},"mounts":[{{"destination":"/proc","type":"proc","source":"proc","options":["nosuid","noexec","nodev"]}},{{"destination":"/dev","type":"tmpfs","source":"tmpfs","options":["nosuid","strictatime","mode=755","size=65536k"]}},{{"destination":"/dev/pts","type":"devpts","source":"devpts","options":["nosuid","noexec","newinstance","ptmxmode=0666","mode=0620","gid=5"]}},{{"destination":"/sys","type":"sysfs","source":"sysfs","options":["nosuid","noexec","nodev","ro"]}},{{"destination":"/dev/mqueue","type":"mqueue","source":"mqueue","options":["nosuid","noexec","nodev"]}},{{"destination":"/dev/shm","type":"tmpfs","source":"shm","options":["nosuid","noexec","nodev","mode=1777","size=65536k"]}}],"process":{{"terminal":false,"user":{{"uid":0,"gid":0}},"args":["sh","-c","{script}"],"env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin","HOSTNAME={short}",{env}"HOME=/root"],"cwd":"/","capabilities":{{"bounding":["CAP_KILL","CAP_CHOWN"],"effective":["CAP_KILL","CAP_CHOWN"],"inheritable":[],"permitted":["CAP_KILL","CAP_CHOWN"],"ambient":[]}},"noNewPrivileges":false}},"hostname":"{short}","linux":{{"resources":{{"devices":[{{"allow":false,"type":"a","access":"rwm"}},{{"allow":true,"type":"c","access":"m"}},{{"allow":true,"type":"b","access":"m"}},{{"allow":true,"type":"c","major":1,"minor":3,"access":"rwm"}},{{"allow":true,"type":"c","major":1,"minor":5,"access":"rwm"}},{{"allow":true,"type":"c","major":1,"minor":7,"access":"rwm"}},{{"allow":true,"type":"c","major":1,"minor":8,"access":"rwm"}},{{"allow":true,"type":"c","major":1,"minor":9,"access":"rwm"}},{{"allow":true,"type":"c","major":5,"minor":0,"access":"rwm"}},{{"allow":true,"type":"c","major":5,"minor":1,"access":"rwm"}},{{"allow":true,"type":"c","major":5,"minor":2,"access":"rwm"}},{{"allow":true,"type":"c","major":136,"access":"rwm"}}]}},"cgroupsPath":"/berth/{id}","namespaces":[{{"type":"cgroup"}},{{"type":"ipc"}},{{"type":"mount"}},{{"type":"network"}},{{"type":"pid"}},{{"type":"time"}},{{"type":"uts"}}]}}}}"#
    )
}

fn write(root: &Path, id: &str, name: &str, files: &[(&str, String)]) {
    let folder = root.join("containers").join(id);
    fs::create_dir_all(folder.join("exits")).unwrap();
    fs::create_dir_all(root.join("names")).unwrap();
    fs::write(root.join("names").join(name), id).unwrap();
    let settings = format!(r#"{{"version":1,"name":"{name}"}}"#);
    fs::write(folder.join("settings.json"), settings).unwrap();
    for (file, text) in files {
        fs::write(folder.join(file), text).unwrap();
    }
}

fn store(berth: &Berth) {
    let root = berth.path("root");
    let (idle, done) = ("echo $X; exit 3", "echo bye; exit 4");
    let status =
        r#"{"version":1,"status":"created","run":0,"changed_at":"2026-11-26T14:10:20.756564548Z"}"#;
    let files = [
        (
            "create.json",
            create_json(IDLE, "idle", idle, r#""X=y""#, r#""a":"b""#),
        ),
        ("spec.json", spec_json(IDLE, idle, r#""X=y","#)),
        ("status.json", status.to_owned()),
    ];
    write(&root, IDLE, "idle", &files);
    // It had ended, and nobody had written that into its status.
    let status =
        r#"{"version":1,"status":"running","run":1,"changed_at":"2026-11-26T14:10:20.980339499Z"}"#;
    let exit = r#"{"version":1,"run":1,"outcome":{"how":"code","value":4},"oom_killed":false,"started_at":"2026-11-26T14:10:20.978215419Z","finished_at":"2026-11-26T14:10:20.993146263Z"}"#;
    let log =
        "{\"log\":\"bye\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-26T14:10:20.981036262Z\"}\n";
    let files = [
        ("create.json", create_json(DONE, "done", done, "", "")),
        ("spec.json", spec_json(DONE, done, "")),
        ("status.json", status.to_owned()),
        ("exits/1.json", exit.to_owned()),
        ("log.json", log.to_owned()),
    ];
    write(&root, DONE, "done", &files);
}

#[test]
fn containers_of_the_first_build_go_on() {
    let berth = Berth::new();
    store(&berth);
    let mut listed: Vec<String> = berth
        .ok(&["ps", "-a", "--format", "{{.Names}} {{.State}} {{.Labels}}"])
        .lines()
        .map(str::to_owned)
        .collect();
    listed.sort();
    assert_eq!(listed, ["done exited ", "idle created a=b"]);
    assert_eq!(
        berth.ok(&["inspect", "-f", "{{.State.ExitCode}}", "done"]),
        "4"
    );
    assert_eq!(berth.ok(&["logs", "done"]), "bye");
    assert_eq!(berth.ok(&["wait", "done"]), "4");
    let started = berth.run(&["start", "-a", "idle"]);
    assert_eq!(
        (started.code, started.out.as_str()),
        (3, "y\n"),
        "{started:?}"
    );
    assert_eq!(berth.run(&["start", "-a", "done"]).code, 4);
    berth.ok(&["rename", "done", "over"]);
    berth.ok(&["rm", "idle", "over"]);
    assert!(berth.ids().is_empty());
}

/// What a later build writes is not guessed at, and hides nobody else.
#[test]
fn a_file_of_a_later_build_is_refused_and_the_others_are_listed() {
    let berth = Berth::new();
    store(&berth);
    let settings = berth
        .path("root/containers")
        .join(IDLE)
        .join("settings.json");
    fs::write(settings, r#"{"version":2,"name":"idle","future":true}"#).unwrap();
    assert_eq!(berth.ok(&["ps", "-a", "--format", "{{.Names}}"]), "done");
    let done = berth.run(&["start", "idle"]);
    assert_eq!(done.code, 1);
    assert!(done.err.contains("it has version 2"), "{}", done.err);
}
