//! The fields of all outputs beside Docker's, as they are stored in `docker-keys.txt`: what Docker has
//! is there, or stands in docs/docker-differences.md with a reason.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::world::World;

const STORED: &str = include_str!("docker-keys.txt");
/// The heading of the table of what is missing.
const HEADING: &str = "## Fields";
/// Objects whose keys are the user's.
const FREE: [&str; 15] = [
    "Annotations",
    "Containers",
    "DriverOpts",
    "ExposedPorts",
    "IndexConfigs",
    "Labels",
    "LogConfig.Config",
    "Networks",
    "Options",
    "PortBindings",
    "Ports",
    "Runtimes",
    "Sysctls",
    "Tmpfs",
    "Volumes",
];

type Fields = BTreeMap<String, BTreeSet<String>>;

/// Adds the paths of a value below one.
fn collect(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            let is_free = FREE
                .iter()
                .any(|name| path == *name || path.ends_with(&format!(".{name}")));
            for (key, value) in fields {
                let key = if is_free { "*" } else { key };
                let below = match path {
                    "" => key.to_owned(),
                    path => format!("{path}.{key}"),
                };
                collect(value, &below, found);
                found.insert(below);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, path, found)),
        _ => {}
    }
}

fn stored() -> Fields {
    let mut fields = Fields::new();
    let mut output = String::new();
    for line in STORED
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
    {
        match line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            Some(name) => output = name.to_owned(),
            None => {
                fields
                    .entry(output.clone())
                    .or_default()
                    .insert(line.to_owned());
            }
        }
    }
    fields
}

/// What the page says is missing: the output, and the field with all below it.
fn explained() -> Vec<(String, String)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/docker-differences.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, table) = page.split_once(HEADING).unwrap();
    let (table, _) = table.split_once("\n## ").unwrap_or((table, ""));
    let quoted = |cell: &str| -> Vec<String> {
        cell.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    };
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    rows.flat_map(|row| {
        let cells: Vec<&str> = row.split('|').collect();
        let (outputs, fields) = (quoted(cells[1]), quoted(cells[2]));
        assert!(!cells[3].trim().is_empty(), "{row}");
        outputs
            .into_iter()
            .flat_map(move |output| fields.clone().into_iter().map(move |f| (output.clone(), f)))
    })
    .collect()
}

fn is_below(field: &str, above: &str) -> bool {
    field == above || field.starts_with(&format!("{above}."))
}

/// The container of which Docker's fields were stored, and what is around it.
fn scene(world: &World) {
    let tar = world.berth.path("image.tar");
    let file = world.berth.path("file");
    std::fs::write(&file, "").unwrap();
    let mut pack = std::process::Command::new("tar");
    pack.arg("-cf")
        .arg(&tar)
        .arg("-C")
        .arg(world.berth.path(""));
    assert!(pack.arg("file").status().unwrap().success());
    world.ok(&["import", tar.to_str().unwrap(), "box"]);
    world.ok(&[
        "network",
        "create",
        "--subnet",
        "172.31.9.0/24",
        "--label",
        "a=b",
        "netz",
    ]);
    world.ok(&["volume", "create", "--label", "x=y", "volz"]);
    let bind = format!("{}:/host:ro", file.display());
    let flags = "run -d --name full --network netz -p 18080:80 -p 127.0.0.1:18081:81/udp --expose 90 \
        -v volz:/data -v /anon --tmpfs /t --health-cmd true --health-interval 100ms \
        --health-timeout 1s --health-start-period 1s --health-retries 2 --memory 64m --cpus 0.5 \
        --pids-limit 50 --ulimit nofile=100:200 --label a=b -e A=1 --hostname hh --dns 1.1.1.1 \
        --add-host h:1.2.3.4 --restart on-failure:3 --stop-timeout 3 --cap-add NET_ADMIN \
        --log-opt max-size=1m --sysctl net.ipv4.ip_forward=1 --device /dev/null:/dev/xnull --init -v";
    let mut run: Vec<&str> = flags.split_whitespace().collect();
    run.extend([bind.as_str(), "--entrypoint", "sleep", "host", "1000"]);
    world.ok(&run);
    world.ok(&["create", "--name", "layers", "box", "/file"]);
    world.ok(&["exec", "-d", "full", "sleep", "900"]);
    world.wait("a probe", || {
        world.ok(&["inspect", "-f", "{{len .State.Health.Log}}", "full"]) != "0"
    });
}

fn ours(world: &World) -> Fields {
    const JSON: &str = "{{json .}}";
    let mut fields = Fields::new();
    for (output, words) in [
        ("inspect container", "container inspect -s full layers"),
        ("inspect image", "image inspect box"),
        ("inspect network", "network inspect netz"),
        ("inspect volume", "volume inspect volz"),
        ("ps", "ps -a --format"),
        ("images", "images --format"),
        ("history", "history box --format"),
        ("network ls", "network ls --format"),
        ("volume ls", "volume ls --format"),
        ("stats", "stats --no-stream --format"),
        ("system df", "system df --format"),
        ("info", "info --format"),
        ("version", "version --format"),
    ] {
        let mut words: Vec<&str> = words.split(' ').collect();
        let is_listing = words.last() == Some(&"--format");
        words.extend(is_listing.then_some(JSON));
        let said = world.ok(&words);
        let values = serde_json::Deserializer::from_str(&said).into_iter::<Value>();
        let found = fields.entry(output.to_owned()).or_default();
        for value in values {
            collect(&value.unwrap(), "", found);
        }
    }
    fields
}

#[test]
fn every_field_of_docker_is_there_or_is_explained() {
    let Some(world) = World::new() else { return };
    scene(&world);
    let ours = ours(&world);
    let explained = explained();
    let mut used = BTreeSet::new();
    let mut missing = Vec::new();
    for (output, fields) in stored() {
        for field in fields {
            let reason = explained
                .iter()
                .position(|(of, above)| *of == output && is_below(&field, above));
            match (ours[&output].contains(&field), reason) {
                (true, _) => {}
                (false, Some(reason)) => {
                    used.insert(reason);
                }
                (false, None) => missing.push(format!("{output}: {field}")),
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    let stale: Vec<_> = (0..explained.len())
        .filter(|at| !used.contains(at))
        .map(|at| &explained[at])
        .collect();
    assert!(stale.is_empty(), "explained, and there: {stale:#?}");
}

/// What is there is true.
#[test]
fn what_the_fields_say() {
    let Some(world) = World::new() else { return };
    scene(&world);
    let say = |template: &str| world.ok(&["inspect", "-f", template, "full"]);
    let network = world.ok(&["network", "inspect", "-f", "{{.Id}}", "netz"]);
    assert_eq!(say("{{.NetworkSettings.Networks.netz.NetworkID}}"), network);
    assert_eq!(
        say(
            "{{with .HostConfig}}{{.Dns}} {{.ExtraHosts}} {{.PublishAllPorts}} {{json .DnsSearch}}{{end}}"
        ),
        "[1.1.1.1] [h:1.2.3.4] false []"
    );
    let hidden = say("{{.HostConfig.MaskedPaths}} {{.HostConfig.ReadonlyPaths}}");
    assert!(
        hidden.contains("/proc/kcore") && hidden.contains("/proc/sys"),
        "{hidden}"
    );
    let id_file = world.berth.path("id");
    let words = [
        "create",
        "--name",
        "c",
        "--domainname",
        "d.example",
        "--cidfile",
    ];
    world.ok(&[&words[..], &[id_file.to_str().unwrap(), "box", "/file"]].concat());
    assert_eq!(
        world.ok(&[
            "inspect",
            "-f",
            "{{.HostConfig.ContainerIDFile}} {{.Config.Domainname}}",
            "c"
        ]),
        format!("{} d.example", id_file.display())
    );
    let machine = String::from_utf8(
        std::process::Command::new("uname")
            .arg("-m")
            .output()
            .unwrap()
            .stdout,
    );
    assert_eq!(
        world.ok(&["info", "-f", "{{.Architecture}}"]),
        machine.unwrap().trim()
    );
}
