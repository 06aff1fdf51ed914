//! How much gets through: between containers, and to a published port, against pairs of interfaces
//! without an engine.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::super::table::{grid, shown, verdict};
use super::space::Space;
use super::{Scale, announce, median};
use crate::berth::Berth;
use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::interrupt::Interrupt;

/// At least so much of what a bare pair lets through.
const LIMIT: f64 = 0.95;

/// How many transfers each way gets.
const ROUNDS: usize = 7;

/// How long a server may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// One way from a client to a server.
struct Way {
    name: &'static str,
    /// The way without an engine that it is held to, by its place in the list.
    against: Option<usize>,
    /// The words of the client, up to its options.
    client: Vec<String>,
    gbits: Vec<f64>,
}

/// A server outside of containers.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.0.kill().and_then(|()| self.0.wait().map(drop)) {
            eprintln!("xtask: iperf3 cannot be ended: {error}");
        }
    }
}

impl Server {
    fn start(space: &Space) -> Outcome<Self> {
        let mut command = space.command("iperf3 -s");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn();
        child
            .map(Self)
            .map_err(|error| exec::cannot_start(&command, &error))
    }
}

/// Times transfers over all ways in turn.
pub(super) fn measure(
    berth: &Berth,
    host: &Space,
    interrupt: &Interrupt,
    scale: &Scale,
) -> Outcome {
    announce("how much gets through, by iperf3");
    let [left, right] = [Space::new()?, Space::new()?];
    left.join(&right, "pair", ["192.0.2.1/30", "192.0.2.2/30"])?;
    let _pair = Server::start(&right)?;

    let [from, router, to] = [Space::new()?, Space::new()?, Space::new()?];
    from.join(&router, "near", ["192.0.2.1/30", "192.0.2.2/30"])?;
    router.join(&to, "away", ["192.0.2.5/30", "192.0.2.6/30"])?;
    from.run("ip route add default via 192.0.2.2")?;
    to.run("ip route add default via 192.0.2.5")?;
    router.forward()?;
    let _routed = Server::start(&to)?;

    let neighbour = Space::new()?;
    neighbour.join(host, "lan", ["192.0.2.1/30", "192.0.2.2/30"])?;
    let run = ["run", "-d", "--network", "bridge"];
    let server = [
        "-p",
        "5201:5201",
        "--name",
        "server",
        "host",
        "iperf3",
        "-s",
    ];
    berth.read(&[&run[..], &server].concat())?;
    let client = ["--name", "client", "host", "sleep", "99999"];
    berth.read(&[&run[..], &client].concat())?;
    let address = "{{.NetworkSettings.Networks.bridge.IPAddress}}";
    let address = berth.read(&["inspect", "-f", address, "server"])?;

    let in_space = |space: &Space, to: &str| {
        let mut words = space.entrance();
        words.extend(format!("iperf3 -c {to}").split(' ').map(str::to_owned));
        words
    };
    let mut inside = host.entrance();
    inside.extend(berth.start().to_vec());
    let exec = format!("exec client iperf3 -c {address}");
    inside.extend(exec.split(' ').map(str::to_owned));
    let mut ways = [
        way("a bare pair", None, in_space(&left, "192.0.2.2")),
        way(
            "two bare pairs, forwarded",
            None,
            in_space(&from, "192.0.2.6"),
        ),
        way("container to container", Some(0), inside),
        way(
            "host to a published port",
            Some(0),
            in_space(host, "127.0.0.1"),
        ),
        way(
            "neighbour to a published port",
            Some(1),
            in_space(&neighbour, "192.0.2.2"),
        ),
    ];
    for way in &ways {
        wait(way)?;
    }
    let rounds = scale.rounds.min(ROUNDS);
    for _ in 0..rounds {
        for way in &mut ways {
            interrupt.check()?;
            let gbits = transfer(way, scale.seconds)?;
            way.gbits.push(gbits);
        }
    }
    berth.read(&["rm", "-f", "server", "client"])?;
    print!("{}", render(&ways, scale));
    Ok(())
}

fn way(name: &'static str, against: Option<usize>, client: Vec<String>) -> Way {
    Way {
        name,
        against,
        client,
        gbits: Vec::new(),
    }
}

/// Until the server of a way answers.
fn wait(way: &Way) -> Outcome {
    let end = Instant::now() + PATIENCE;
    loop {
        match transfer(way, 1) {
            Ok(_) => return Ok(()),
            Err(failure) if Instant::now() > end => return Err(failure),
            Err(_) => std::thread::sleep(Duration::from_millis(200)),
        }
    }
}

/// Gigabits a second that arrive, the first second of it left out.
fn transfer(way: &Way, seconds: usize) -> Outcome<f64> {
    let mut command = Command::new(&way.client[0]);
    command.args(&way.client[1..]);
    command.args(["-J", "-O", "1", "-t", &seconds.to_string()]);
    // It says in its document what went wrong, and ends with 1.
    let output = exec::capture(&mut command)?;
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let rate = &said["end"]["sum_received"]["bits_per_second"];
    match rate.as_f64().filter(|rate| *rate > 0.0) {
        Some(rate) => Ok(rate / 1e9),
        None => Err(Failure::new(format!(
            "{}: iperf3 says {}{}",
            way.name,
            said["error"],
            String::from_utf8_lossy(&output.stderr).trim_end()
        ))),
    }
}

fn render(ways: &[Way], scale: &Scale) -> String {
    let of = |way: &Way, at: usize| {
        let base = ways.get(at).and_then(|base| median(&base.gbits));
        median(&way.gbits).zip(base).map(|(own, base)| own / base)
    };
    let rows: Vec<Vec<String>> = ways
        .iter()
        .map(|way| {
            let ratio = way.against.and_then(|at| of(way, at));
            let against = way.against.and_then(|at| ways.get(at));
            // A ratio that must be large: the verdict is that of what is lacking.
            let judged = way
                .against
                .map(|_| verdict(ratio.map(|ratio| -ratio), -LIMIT));
            vec![
                way.name.to_owned(),
                shown(median(&way.gbits), 2),
                shown(of(way, 0), 3),
                against.map_or("-", |way| way.name).to_owned(),
                shown(ratio, 3),
                judged.map_or_else(|| "-".to_owned(), |_| LIMIT.to_string()),
                judged.unwrap_or("-").to_owned(),
            ]
        })
        .collect();
    let head = [
        "TCP, one stream",
        "median Gbit/s",
        "of a bare pair",
        "against",
        "measured",
        "at least",
        "verdict",
    ];
    format!("\n{}", grid(&head, &rows, scale.markdown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_is_held_to_its_own_kind() {
        let lane = |name, against, gbits: f64| Way {
            gbits: vec![gbits],
            ..way(name, against, Vec::new())
        };
        let ways = [
            lane("bare", None, 20.0),
            lane("two", None, 10.0),
            lane("near", Some(0), 19.0),
            lane("far", Some(1), 9.0),
        ];
        let scale = Scale {
            rounds: 1,
            containers: 1,
            seconds: 1,
            markdown: false,
        };
        let text = render(&ways, &scale);
        let words = |at: usize| -> Vec<&str> {
            let line = text.lines().nth(at).unwrap_or_default();
            line.split_whitespace().collect()
        };
        assert_eq!(
            words(5),
            ["near", "19.00", "0.950", "bare", "0.950", "0.95", "met"]
        );
        assert_eq!(
            words(6),
            ["far", "9.00", "0.450", "two", "0.900", "0.95", "missed"]
        );
    }
}
