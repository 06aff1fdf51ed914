//! The scripts of `berth completion` in the shells that are installed, without a terminal.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::cli::Berth;

/// A shell that has our completion: the folder with `berth` comes first in its PATH.
fn shell(berth: &Berth, name: &str, program: &str, script: &str) -> Option<String> {
    let completion = berth.path("completion");
    std::fs::write(&completion, berth.ok(&["completion", name]) + "\n").unwrap();
    let bin = berth.path("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let file = bin.join("berth");
    std::fs::write(&file, program).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    let plain: &[&str] = match name {
        "bash" => &["--norc", "--noprofile", "-c"],
        "zsh" => &["-f", "-c"],
        _ => &["--no-config", "-c"],
    };
    let mut command = Command::new(name);
    command.args(plain).arg(script);
    command.env("PATH", format!("{}:{path}", bin.display()));
    command
        .env("HOME", berth.path(""))
        .env("SCRIPT", &completion);
    command.current_dir(berth.path("")).stdin(Stdio::null());
    let Ok(output) = command.output() else {
        berth_testkit::skip(&format!("{name} is not installed"));
        return None;
    };
    assert!(output.status.success(), "{output:?}");
    Some(String::from_utf8(output.stdout).unwrap())
}

/// The real program, with the store of the test.
fn real(berth: &Berth) -> String {
    let (root, state) = (berth.path("root"), berth.path("state"));
    format!(
        "#!/bin/sh\nexport BERTH_ROOT='{}' BERTH_STATE='{}'\nexec '{}' \"$@\"\n",
        root.display(),
        state.display(),
        env!("CARGO_BIN_EXE_berth")
    )
}

/// A program whose offers would do harm to who is careless with them.
const HOSTILE: &str = "#!/bin/sh\nprintf '%s\\t%s\\n' '$(touch pwned)' 'about' '`touch pwned`;x' '' \"a b'c\" 'x'\necho :none\n";

/// Asks bash for the words at the end of a line, given as bash splits it.
const BASH: &str = r#"
source "$SCRIPT"
ask() {
    COMP_LINE=$1 COMP_POINT=${#1}
    shift
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    _berth
    printf '<%s>' "${COMPREPLY[@]}"
    echo
}
"#;

#[test]
fn bash_completes() {
    let berth = Berth::new();
    berth.ok(&["run", "-d", "--name", "web", "host", "sleep", "100"]);
    berth.ok(&["volume", "create", "data"]);
    let script = format!(
        "{BASH}
        : >data-file
        ask 'berth contai' berth contai
        ask 'berth exec ' berth exec ''
        ask 'berth run --network=container:w' berth run --network = container : w
        ask 'berth run --pull=' berth run --pull =
        ask 'berth run -v da' berth run -v da
        ask 'berth cp web:' berth cp web :
        ask 'berth run -e \"A=B C\" --na' berth run -e '\"A=B C\"' --na
        complete -p berth"
    );
    let Some(out) = shell(&berth, "bash", &real(&berth), &script) else {
        return;
    };
    insta::assert_snapshot!(out, @r"
    <container>
    <web>
    <web>
    <missing><always><never>
    <data:><data-file>
    <>
    <--name>
    complete -F _berth berth
    ");
}

#[test]
fn bash_quotes_what_is_hostile() {
    let berth = Berth::new();
    let script = format!("{BASH}\nask 'berth rm ' berth rm ''");
    let Some(out) = shell(&berth, "bash", HOSTILE, &script) else {
        return;
    };
    assert!(!berth.path("pwned").exists());
    insta::assert_snapshot!(out, @r"<\$\(touch\ pwned\)><\`touch\ pwned\`\;x><a\ b\'c>");
}

/// Asks zsh's function with the words of a line; what the completion system would be given is shown.
const ZSH: &str = r#"
compdef() { print -r -- "compdef $*" }
compadd() { print -rl -- "${(@P)argv[-1]}" }
_files() { print -r -- files $* }
source "$SCRIPT"
ask() { words=("$@") CURRENT=$#; _berth }
"#;

#[test]
fn zsh_completes() {
    let berth = Berth::new();
    berth.ok(&["run", "-d", "--name", "web", "host", "sleep", "100"]);
    let script =
        format!("{ZSH}\nask berth contai\nask berth exec ''\nask berth cp w\nask berth --root ''");
    let Some(out) = shell(&berth, "zsh", &real(&berth), &script) else {
        return;
    };
    insta::assert_snapshot!(out.replace("\n\n", "\n"), @r"
    compdef _berth berth
    container
    web
    files
    web:
    files -/
    ");
    let script = format!("{ZSH}\nask berth rm ''");
    let hostile = shell(&berth, "zsh", HOSTILE, &script).unwrap();
    assert!(hostile.contains("$(touch pwned)"), "{hostile}");
    assert!(!berth.path("pwned").exists());
}

#[test]
fn fish_completes() {
    let berth = Berth::new();
    berth.ok(&["run", "-d", "--name", "web", "host", "sleep", "100"]);
    let script = "source $SCRIPT; complete -C 'berth contai'; complete -C 'berth exec '; complete -C 'berth run --pull='";
    let Some(out) = shell(&berth, "fish", &real(&berth), script) else {
        return;
    };
    insta::assert_snapshot!(out, @r"
    container	Manage containers
    web	host
    --pull=always
    --pull=missing
    --pull=never
    ");
    let script = "source $SCRIPT; complete -C 'berth rm '";
    let hostile = shell(&berth, "fish", HOSTILE, script).unwrap();
    assert!(hostile.contains("$(touch pwned)"), "{hostile}");
    assert!(!berth.path("pwned").exists());
}
