//! Names: our resolver and dnsmasq, both asked from inside one container for the same name.

use std::path::Path;

use serde_json::Value;

use super::super::table::{grid, shown};
use super::{Scale, announce, median};
use crate::berth::Berth;
use crate::failure::{Failure, Outcome};
use crate::interrupt::Interrupt;

/// How many series each server gets.
const ROUNDS: usize = 5;

/// What a series tells, by its keys and as a heading.
const NUMBERS: [(&str, &str, usize); 4] = [
    ("median_us", "one by one, median us", 1),
    ("p99_us", "99 % us", 1),
    ("one_by_one", "questions/s", 0),
    ("at_once", "32 on the way, questions/s", 0),
];

/// Where dnsmasq listens.
const OTHER: &str = "127.0.0.1:5353";

/// Where ours does.
const OURS: &str = "127.0.0.11:53";

/// Asks both in turn. `folder` holds the program that asks.
pub(super) fn measure(
    berth: &Berth,
    folder: &Path,
    interrupt: &Interrupt,
    scale: &Scale,
) -> Outcome {
    announce("names, by our resolver and by dnsmasq");
    let bound = format!("{}:/bench:ro", folder.display());
    berth.read(&["network", "create", "named"])?;
    let sleeper = |name| ["--network", "named", "--name", name];
    let run = ["run", "-d"];
    let sleep = ["host", "sleep", "99999"];
    berth.read(&[&run[..], &sleeper("web"), &sleep].concat())?;
    berth.read(&[&run[..], &["-v", &bound], &sleeper("asker"), &sleep].concat())?;
    let address = "{{.NetworkSettings.Networks.named.IPAddress}}";
    let record = format!(
        "--host-record=web,{}",
        berth.read(&["inspect", "-f", address, "web"])?
    );
    let dnsmasq = [
        "--name",
        "dnsmasq",
        "--network",
        "container:asker",
        "host",
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--port=5353",
        "--listen-address=127.0.0.1",
        "--bind-interfaces",
        "--user=root",
        "--pid-file=",
        &record,
    ];
    berth.read(&[&run[..], &dnsmasq].concat())?;
    let mut lanes = [("berth", OURS), ("dnsmasq", OTHER)]
        .map(|(name, server)| (name, server, Vec::<Value>::new()));
    for (name, server, _) in &lanes {
        first(berth, name, server)?;
    }
    for _ in 0..scale.rounds.min(ROUNDS) {
        for (name, server, series) in &mut lanes {
            interrupt.check()?;
            series.push(ask(berth, name, server, scale.seconds)?);
        }
    }
    berth.read(&["rm", "-f", "dnsmasq", "asker", "web"])?;
    print!("{}", render(&lanes, scale));
    Ok(())
}

/// Asks until there is an answer: dnsmasq takes a moment to listen.
fn first(berth: &Berth, name: &str, server: &str) -> Outcome {
    let mut last = Ok(());
    for _ in 0..50 {
        last = ask(berth, name, server, 1).map(drop);
        if last.is_ok() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    last
}

fn ask(berth: &Berth, name: &str, server: &str, seconds: usize) -> Outcome<Value> {
    let seconds = seconds.to_string();
    let ask = [
        "exec",
        "asker",
        "/bench/asker",
        "--json",
        "--seconds",
        &seconds,
    ];
    let said = berth.read(&[&ask[..], &["--server", server, "web"]].concat());
    let said =
        said.map_err(|failure| Failure::new(format!("{name} does not answer: {failure}")))?;
    serde_json::from_str(&said)
        .map_err(|error| Failure::new(format!("dns_bench printed no JSON: {error}")))
}

fn render(lanes: &[(&str, &str, Vec<Value>)], scale: &Scale) -> String {
    let rows: Vec<Vec<String>> = lanes
        .iter()
        .map(|(name, _, series)| {
            let number = |key: &str| {
                let all: Vec<f64> = series.iter().filter_map(|s| s[key].as_f64()).collect();
                median(&all)
            };
            let numbers = NUMBERS.map(|(key, _, digits)| shown(number(key), digits));
            let mut row = vec![(*name).to_owned()];
            row.extend(numbers);
            row
        })
        .collect();
    let mut head = vec!["a container's name, asked in a container"];
    head.extend(NUMBERS.map(|(_, title, _)| title));
    format!("\n{}", grid(&head, &rows, scale.markdown))
}
