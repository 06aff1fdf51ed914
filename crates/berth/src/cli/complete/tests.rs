//! Questions of a shell, answered from names that do not exist.

use super::*;
use crate::cli::usage::surface;

struct Made;

impl Names for Made {
    fn containers(&self, fit: Fit) -> Vec<(String, String)> {
        let all = [("web", Fit::Live), ("old", Fit::Ended)];
        let fits = all.iter().filter(|(_, is)| fit == Fit::All || fit == *is);
        fits.map(|(name, _)| ((*name).to_owned(), "box".to_owned()))
            .collect()
    }

    fn images(&self) -> Vec<String> {
        vec!["busybox:latest".into(), "evil\x1b]0;x\x07:1".into()]
    }

    fn networks(&self) -> Vec<String> {
        vec!["bridge".into(), "lan".into()]
    }

    fn volumes(&self) -> Vec<String> {
        vec!["data".into()]
    }
}

/// The words that are offered, and the line for the shell.
fn ask(line: &str) -> String {
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let text = complete(&surface(), &words, &Made).text();
    let words = text.lines().map(|l| l.split('\t').next().unwrap_or(l));
    words.collect::<Vec<_>>().join(" ")
}

/// Lines up to the cursor.
const LINES: [&str; 41] = [
    "ru",
    "container cr",
    "container ls --f",
    "run --net",
    "run --network ",
    "run --network=l",
    "run -it --name x ",
    "run -e ",
    "run --env-file ",
    "run -w",
    "run --pid ",
    "run -v ",
    "run --volumes-from ",
    "run busybox ",
    "run busybox --na",
    "run --pull ",
    "exec ",
    "exec web ",
    "start ",
    "stop -s ",
    "stop -- ",
    "rm web ",
    "cp ",
    "logs w",
    "rmi ",
    "tag ",
    "network connect ",
    "network connect lan ",
    "volume rm ",
    "inspect ",
    "--root ",
    "--error-format ",
    "frobnicate ",
    "help net",
    "help network c",
    "help run ",
    "run --restart ",
    "run --log-driver j",
    "run --cap-add SYS_P",
    "ps --filter st",
    "pid ",
];

#[test]
fn what_comes_next() {
    let answers: Vec<String> = LINES.iter().map(|l| format!("{l}| {}", ask(l))).collect();
    insta::assert_snapshot!(answers.join("\n"), @r"
    ru| run :none
    container cr| create :none
    container ls --f| --filter --format :none
    run --net| --network --network-alias :none
    run --network | bridge lan none host container:web :none
    run --network=l| --network=lan :none
    run -it --name x | busybox:latest host :none
    run -e | :none
    run --env-file | :files
    run -w| :none
    run --pid | private host container:web :none
    run -v | data: :files
    run --volumes-from | web old :none
    run busybox | :files
    run busybox --na| :files
    run --pull | missing always never :none
    exec | web :none
    exec web | :files
    start | old :none
    stop -s | HUP INT QUIT KILL USR1 USR2 TERM CONT STOP WINCH :none
    stop -- | web :none
    rm web | web old :none
    cp | web: old: :files
    logs w| web :none
    rmi | busybox:latest :none
    tag | busybox:latest :none
    network connect | bridge lan :none
    network connect lan | web old :none
    volume rm | data :none
    inspect | web old busybox:latest bridge lan data :none
    --root | :folders
    --error-format | text json :none
    frobnicate | :none
    help net| network :none
    help network c| connect create :none
    help run | :none
    run --restart | no on-failure always unless-stopped :none
    run --log-driver j| json-file journald :none
    run --cap-add SYS_P| SYS_PACCT SYS_PTRACE :none
    ps --filter st| status=created status=starting status=running status=paused status=restarting status=exited status=removing status=dead :none
    pid | web :none
    ");
}
