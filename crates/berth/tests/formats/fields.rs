//! Fields and filters: those that Docker documents are there, and a misspelt one is an error with the
//! nearest, also where the listing has no line.

use crate::cli::Berth;

/// Commands, and the fields that Docker's documentation names for each.
const LISTINGS: &[(&str, &str)] = &[
    (
        "ps -a",
        ".ID .Image .Command .CreatedAt .RunningFor .Ports .State .Status .Size .Names .Labels .Mounts .Networks .LocalVolumes",
    ),
    (
        "images",
        ".ID .Repository .Tag .Digest .CreatedSince .CreatedAt .Size .Containers .SharedSize .UniqueSize",
    ),
    (
        "stats --no-stream",
        ".Container .Name .ID .CPUPerc .MemUsage .NetIO .BlockIO .MemPerc .PIDs",
    ),
    (
        "network ls",
        ".ID .Name .Driver .Scope .IPv4 .IPv6 .Internal .Labels .CreatedAt",
    ),
    ("volume ls", ".Name .Driver .Scope .Mountpoint .Labels"),
    ("system df", ".Type .TotalCount .Active .Size .Reclaimable"),
    ("system df -v", ".Images .Containers .Volumes .BuildCache"),
    (
        "events --until 0s",
        ".Type .Action .Actor.ID .Actor.Attributes .Scope .Time .TimeNano .Status .ID .From",
    ),
    (
        "info",
        ".ServerVersion .Containers .ContainersRunning .ContainersPaused .ContainersStopped .Images .Driver .DriverStatus .LoggingDriver .CgroupDriver .CgroupVersion .KernelVersion .OperatingSystem .OSVersion .OSType .Architecture .NCPU .MemTotal .DockerRootDir .Name .Labels .DefaultRuntime .Runtimes .SecurityOptions .MemoryLimit .SwapLimit .CPUShares .CPUSet .PidsLimit .IPv4Forwarding .OomKillDisable .SystemTime .Swarm.LocalNodeState .LiveRestoreEnabled .DefaultAddressPools .Warnings",
    ),
    (
        "version",
        ".Client.Version .Client.Os .Client.Arch .Server.Version .Server.Os .Server.Arch .Server.KernelVersion .Server.Platform.Name .Server.Components .Server.Experimental",
    ),
];

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

/// In a store without anything, and in one with something.
#[test]
fn documented_fields_are_there_and_others_are_not() {
    for full in [false, true] {
        let berth = Berth::new();
        if full {
            berth.ok(&["run", "-d", "-v", "data:/x", "host", "sleep", "1000"]);
        }
        for (command, fields) in LISTINGS {
            for field in words(fields) {
                let template = format!("{{{{{field}}}}}");
                let arguments = [words(command), vec!["--format", &template]].concat();
                let done = berth.run(&arguments);
                assert_eq!(done.code, 0, "{command} {field}: {done:?}");
            }
            let last = words(fields).pop().unwrap();
            let template = format!("{{{{{last}x}}}}");
            let done = berth.run(&[words(command), vec!["--format", &template]].concat());
            assert_eq!(done.code, 125, "{command}: {done:?}");
            let near = last.rsplit('.').next().unwrap();
            let expected = format!("did you mean .{near}?");
            assert!(done.err.contains(&expected), "{command}: {}", done.err);
            assert!(done.out.is_empty(), "{command}: {}", done.out);
        }
    }
}

/// With `-v` a template is about the whole, and the tables are Docker's.
#[test]
fn the_long_disk_usage_has_a_format() {
    let berth = Berth::new();
    berth.ok(&[
        "create", "--name", "a", "-v", "data:/x", "host", "sleep", "1000",
    ]);
    let id = berth.ids().pop().unwrap();
    let said = |format: &str| berth.ok(&["system", "df", "-v", "--format", format]);
    let each = "{{len .Images}}{{range .Containers}} {{.ID}} {{.Names}} {{.LocalVolumes}}{{end}}{{range .Volumes}} {{.Name}} {{.Links}} {{.Size}}{{end}} {{.BuildCache}}";
    assert_eq!(said(each), format!("0 {id} a 1 data 1 0B []"));
    assert_eq!(said("table {{len .Volumes}}"), "1");
    let whole: serde_json::Value = serde_json::from_str(&said("json")).unwrap();
    assert_eq!(whole["Containers"][0]["Names"], "a");
    assert_eq!(said("{{json .}}"), said("json"));
    let tables = berth.ok(&["system", "df", "-v"]);
    assert_eq!(said("table"), tables);
    for heading in [
        "IMAGE ID CREATED SIZE SHARED SIZE UNIQUE SIZE CONTAINERS",
        "CONTAINER ID IMAGE COMMAND LOCAL VOLUMES SIZE CREATED STATUS NAMES",
        "VOLUME NAME LINKS SIZE",
    ] {
        let mut lines = tables
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        assert!(lines.any(|line| line.ends_with(heading)), "{tables}");
    }
}

#[test]
fn misspelt_filters_are_errors_without_a_line_too() {
    let berth = Berth::new();
    for (command, filter, near) in [
        ("ps", "stats=exited", "status"),
        ("ps", "publsh=80", "publish"),
        ("images", "danglig=true", "dangling"),
        ("network ls", "drver=bridge", "driver"),
        ("volume ls", "nme=x", "name"),
        ("events --until 0s", "tpe=container", "type"),
    ] {
        let done = berth.run(&[words(command), vec!["--filter", filter]].concat());
        assert_eq!(done.code, 125, "{command} {filter}: {done:?}");
        let expected = format!("did you mean {near}?");
        assert!(done.err.contains(&expected), "{command}: {}", done.err);
    }
    for (command, filter, near) in [
        ("ps", "status=exitd", "exited"),
        ("ps", "health=unhealty", "unhealthy"),
        ("images", "dangling=ture", "true"),
        ("network ls", "dangling=ture", "true"),
        ("network ls", "type=custm", "custom"),
        ("volume ls", "dangling=fals", "false"),
        ("events --until 0s", "type=contaner", "container"),
    ] {
        let done = berth.run(&[words(command), vec!["--filter", filter]].concat());
        assert_eq!(done.code, 125, "{command} {filter}: {done:?}");
        let expected = format!("did you mean {near}?");
        assert!(done.err.contains(&expected), "{command}: {}", done.err);
    }
    let done = berth.run(&["ps", "--filter", "is-task=true"]);
    assert_eq!(done.code, 125, "{done:?}");
    assert!(done.err.contains("no tasks without a swarm"), "{done:?}");
}

/// Templates see what Docker's see: fields that JSON leaves out, Go's names of them, and of events the
/// names that their JSON has.
#[test]
fn templates_see_gos_fields() {
    let berth = Berth::new();
    let id = berth.ok(&[
        "create", "--name", "a", "-l", "k=v", "--cpus", "0.5", "host", "true",
    ]);
    for (template, shown) in [
        ("{{.ID}}", id.as_str()),
        ("{{.Id}}", id.as_str()),
        (
            "{{.HostConfig.NanoCPUs}} {{.HostConfig.NanoCpus}}",
            "500000000 500000000",
        ),
        (
            "{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}",
            "none",
        ),
        (
            "{{.State.Health}} {{.Config.Healthcheck}} {{.HostConfig.PidsLimit}}",
            "<nil> <nil> <nil>",
        ),
        (
            "{{.HostConfig.Links}} {{.HostConfig.Sysctls}} {{.Config.Entrypoint}}",
            "[] map[] []",
        ),
        (
            "{{.Config.MacAddress}}|{{.Config.NetworkDisabled}}|{{.Config.Shell}}",
            "|false|[]",
        ),
        (
            "{{json .Config.Entrypoint}} {{json .HostConfig.Mounts}}",
            "null null",
        ),
        (
            "{{.Config.Labels.k}} {{.Config.Labels.other}} {{len .Mounts}}",
            "v <no value> 0",
        ),
    ] {
        assert_eq!(
            berth.ok(&["inspect", "-f", template, "a"]),
            shown,
            "{template}"
        );
    }
    let json = |text: String| -> serde_json::Value { serde_json::from_str(&text).unwrap() };
    let whole = json(berth.ok(&["inspect", "-f", "{{json .}}", "a"]));
    assert!(whole["State"].get("Health").is_none(), "{}", whole["State"]);
    berth.ok(&["volume", "create", "data"]);
    let volume = [
        "volume",
        "inspect",
        "-f",
        "{{.Status}} {{.UsageData}}",
        "data",
    ];
    assert_eq!(berth.ok(&volume), "map[] <nil>");
    let events = |format: &str| {
        let filter = ["--filter", "event=create", "--filter", "type=container"];
        let past = [
            "events", "--since", "1h", "--until", "0s", "--format", format,
        ];
        json(berth.ok(&[&past[..], &filter].concat()))
    };
    let event = events("{{json .}}");
    assert_eq!(event, events("json"));
    assert_eq!(
        (&event["status"], &event["id"]),
        (&"create".into(), &id.as_str().into())
    );
}

#[test]
fn containers_by_port_network_and_health() {
    let berth = Berth::new();
    berth.ok(&[
        "create",
        "--name",
        "a",
        "--expose",
        "80",
        "--expose",
        "5000-5002/udp",
        "host",
        "true",
    ]);
    berth.ok(&["create", "--name", "p", "-p", "8080:90", "host", "true"]);
    berth.ok(&["create", "--name", "b", "--network", "host", "host", "true"]);
    let names = |filter: &str| {
        let format = ["ps", "-a", "--format", "{{.Names}}", "--filter", filter];
        berth.ok(&format).replace('\n', " ")
    };
    assert_eq!(names("expose=80"), "a");
    assert_eq!(names("expose=80/udp"), "");
    assert_eq!(names("expose=4999-5000/udp"), "a");
    assert_eq!(names("publish=80"), "");
    // The host's port is published, the container's exposed.
    assert_eq!(names("publish=8080"), "p");
    assert_eq!(names("publish=90"), "");
    assert_eq!(names("expose=90"), "p");
    assert_eq!(names("network=host"), "b");
    assert_eq!(names("network=none"), "a");
    assert_eq!(names("health=none"), "b p a");
    assert_eq!(names("health=healthy"), "");
    assert_eq!(berth.run(&["ps", "--filter", "expose=x"]).code, 125);
    assert_eq!(berth.run(&["ps", "--filter", "health=good"]).code, 125);
}

/// One screen is written over the last, so that nothing flickers; a pipe gets no control characters.
#[test]
fn stats_of_a_running_container() {
    let berth = Berth::new();
    berth.ok(&["run", "-d", "--name", "web", "host", "sleep", "1000"]);
    let line = berth.ok(&[
        "stats",
        "--no-stream",
        "--format",
        r#"{{.Name}} {{.NetIO}} {{.PIDs}} {{.Raw "pids"}} {{.Raw "network_sent_bytes"}}"#,
    ]);
    assert_eq!(line, "web 0B / 0B 1 1 0");
    let mut terminal = crate::cli::Terminal::start(&berth, &["stats"]);
    terminal.expect("\u{1b}[HCONTAINER ID");
    terminal.expect("web");
    let rest = terminal.expect("\u{1b}[HCONTAINER ID");
    assert!(
        rest.contains("\u{1b}[J") && !rest.contains("\u{1b}[2J"),
        "{rest:?}"
    );
    crate::cli::signal(&terminal.child, rustix::process::Signal::KILL);
    terminal.child.wait().unwrap();
}
