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

/// One of each kind of thing that has a name.
fn one_of_each() -> Berth {
    let berth = Berth::new();
    berth.ok(&["run", "-d", "--name", "web", "host", "sleep", "100"]);
    berth.ok(&["volume", "create", "data"]);
    berth.ok(&["network", "create", "blue"]);
    let empty = berth.path("root.tar");
    std::fs::write(&empty, [0; 1024]).unwrap();
    berth.ok(&["import", empty.to_str().unwrap(), "box:1"]);
    berth
}

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
fn bash_knows_the_names_of_all_there_is() {
    let berth = one_of_each();
    let script = format!(
        "{BASH}
        ask 'berth logs ' berth logs ''
        ask 'berth rmi ' berth rmi ''
        ask 'berth run b' berth run b
        ask 'berth network rm ' berth network rm ''
        ask 'berth run --network bl' berth run --network bl
        ask 'berth network connect blue w' berth network connect blue w
        ask 'berth volume inspect ' berth volume inspect ''
        ask 'berth image history b' berth image history b"
    );
    let Some(out) = shell(&berth, "bash", &real(&berth), &script) else {
        return;
    };
    insta::assert_snapshot!(out, @r"
    <web>
    <box:1>
    <box:1>
    <blue>
    <blue>
    <web>
    <data>
    <box:1>
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
fn zsh_knows_the_names_of_all_there_is() {
    let berth = one_of_each();
    let script = format!(
        "{ZSH}
        ask berth logs ''
        ask berth rmi ''
        ask berth network rm ''
        ask berth volume inspect ''
        ask berth run --network bl"
    );
    let Some(out) = shell(&berth, "zsh", &real(&berth), &script) else {
        return;
    };
    insta::assert_snapshot!(out.replace("\n\n", "\n"), @r"
    compdef _berth berth
    web
    box:1
    blue
    data
    blue
    ");
}

/// The completion system itself, at a terminal of zsh's own.
#[test]
fn zsh_completes_at_a_prompt() {
    let berth = one_of_each();
    let script = r#"
zmodload zsh/zpty
zpty prompt zsh -f -i
say() { zpty -w prompt "$1" }
say 'PS1= PROMPT= TERM=dumb; unsetopt zle_bracketed_paste prompt_sp; autoload -Uz compinit; compinit -u -d $HOME/dump'
say 'source $SCRIPT; compdef _berth berth; setopt no_beep; print rea''dy'
zpty -r prompt line '*ready*'
for line in 'logs w' 'network rm bl' 'volume rm da' 'rmi box'; do
    zpty -n -w prompt "berth $line"$'\t'
    zpty -n -w prompt $'\x01print -r -- "<\x05>"\r'
    zpty -r prompt line '*'$'\n''<*>*'
    print -r -- ${${line##*$'\n<'}%%>*}
done
zpty -d prompt
"#;
    let Some(out) = shell(&berth, "zsh", &real(&berth), script) else {
        return;
    };
    insta::assert_snapshot!(out, @r"
    berth logs web
    berth network rm blue
    berth volume rm data
    berth rmi box:1
    ");
}

#[test]
fn fish_knows_the_names_of_all_there_is() {
    let berth = one_of_each();
    let script = "source $SCRIPT
        for line in 'logs ' 'rmi ' 'network rm ' 'volume inspect ' 'run --network=bl' 'run --network bl'
            complete -C \"berth $line\"
        end";
    let Some(out) = shell(&berth, "fish", &real(&berth), script) else {
        return;
    };
    insta::assert_snapshot!(out, @r"
    web	host
    box:1
    blue
    data
    --network=blue
    blue
    ");
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
