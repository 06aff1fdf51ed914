//! From command lines to options.

use super::*;
use crate::cli::{CliCommand, usage};
use berth_engine::NamespaceMode;

fn options(line: &str) -> Result<CreateOptions, String> {
    let words = std::iter::once("berth").chain(line.split(' '));
    let arguments: Vec<_> = words.map(std::ffi::OsString::from).collect();
    let cli = match usage::parse(&arguments) {
        Ok(cli) => cli,
        Err(usage::Early::Fail(failure)) => return Err(failure.message),
        Err(usage::Early::Show(text)) => return Err(text),
    };
    match cli.command {
        CliCommand::Run(run) => run.container.options(run.detach),
        CliCommand::Create(create) => create.container.options(false),
        CliCommand::Exec(exec) => {
            return match exec.subject() {
                Ok(_) => Err("parsed".to_owned()),
                Err(failure) => Err(failure.message),
            };
        }
        _ => return Err("parsed".to_owned()),
    }
    .map_err(|failure| failure.message)
}

#[test]
fn everything_after_the_image_is_the_command() {
    let got = options("run -it host sh -c -- --rm -e").unwrap();
    assert_eq!(got.command, ["sh", "-c", "--", "--rm", "-e"]);
    assert!(got.terminal && got.open_stdin && got.stdin_once && !got.auto_remove);
    let got = options("run -dit host").unwrap();
    assert!(!got.stdin_once);
}

#[test]
fn booleans_take_values_and_the_last_flag_wins() {
    let got = options("run --rm=false -t=true --init --name a --name b host").unwrap();
    assert!(!got.auto_remove && got.terminal && got.init);
    assert_eq!(got.name.unwrap().as_str(), "b");
    let got = options("run --rm --rm=false host").unwrap();
    assert!(!got.auto_remove);
}

#[test]
fn values_arrive() {
    let got = options(
        "run -m 64m --cpus 1.5 --pids-limit -1 --ulimit nofile=10:20 -e A=1 -e A=2 -l x=y -h box \
         -u 1:2 -w /srv --net none --pid container:web --tmpfs /t:size=1m -v /a:/b:ro --cap-drop all \
         --cap-add net_raw --security-opt no-new-privileges --security-opt seccomp=unconfined \
         --stop-signal INT --stop-timeout 3 --entrypoint env host x",
    )
    .unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&got).unwrap());
}

#[test]
fn a_directory_instead_of_an_image() {
    let got = options("run --rootfs /srv/root --rw sh -i").unwrap();
    assert_eq!(
        got.image,
        ImageRequest::Rootfs {
            path: "/srv/root".into(),
            writable: true
        }
    );
    assert_eq!(got.command, ["sh", "-i"]);
}

#[test]
fn network_is_net() {
    let got = options("create --network host host true").unwrap();
    assert_eq!(got.namespaces.net, NamespaceMode::Host);
}

#[test]
fn bad_usage_in_one_line() {
    let lines = [
        "run",
        "run --rw host",
        "run --nmae x host",
        "run --interactve host",
        "run -Q host",
        "run --memory",
        "run -m 64x host",
        "run --cpus -1 host",
        "run --ulimit nofiles=1 host",
        "run --net hots:x host",
        "run --name -x host",
        "run --pids-limit many host",
        "run --tty=maybe host",
        "run --rm= host",
        "run --env-file /nonexistent host",
        "run --root /x host",
        "run -v da/ta:/data host",
        "run --mount type=bind,dst=/data host",
        "run --volumes-from web:rx host",
        "volume crate",
        "volume rm",
        "volume create a/b",
        "volume ls --filtre x",
        "run --cap-add net_admn host",
        "run --stop-timeout -1 host",
        "run -w srv host",
        "run --user : host",
        "rnu host",
        "frobnicate",
        "restore",
        "doctor",
        "connect blue web",
        "config",
        "ps --al",
        "ps extra",
        "stop",
        "--rot x ps",
        "exec",
        "exec web",
        "pid",
        "logs --since yesterday web",
        "kill -s TREM web",
    ];
    let answers: Vec<String> = lines
        .iter()
        .map(|line| match options(line) {
            Ok(_) => format!("{line}\n    accepted"),
            Err(message) => format!("{line}\n    {message}"),
        })
        .collect();
    insta::assert_snapshot!(answers.join("\n"));
}

/// As many as a command line takes; it took a minute.
#[test]
fn many_variables_take_no_time() {
    let began = std::time::Instant::now();
    let request = |n: u32| EnvRequest::Set(format!("V{}=x{n}", n % 30_000));
    let requests: Vec<EnvRequest> = (0..60_000).map(request).collect();
    let pairs = environment(&[], &requests).unwrap();
    assert_eq!(pairs.len(), 30_000);
    assert_eq!(
        pairs.first().unwrap(),
        "V0=x30000",
        "the last of a name, in its place"
    );
    assert!(began.elapsed() < std::time::Duration::from_secs(20));
}

#[test]
fn a_later_variable_stands_for_an_earlier_one() {
    let requests = ["A=1", "B=2", "A=3", "C=4"].map(|pair| EnvRequest::Set(pair.into()));
    let pairs = environment(&[], &requests).unwrap();
    assert_eq!(pairs, ["B=2", "A=3", "C=4"]);
}
