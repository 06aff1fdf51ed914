//! Commands and flags of Docker's that are not Berth's work, and where that work is done.

use super::failure::Failure;

/// What is out of scope: its names, what that is in a sentence, and what to do instead.
struct Elsewhere {
    names: &'static [&'static str],
    what: &'static str,
    hint: Option<&'static str>,
}

const ELSEWHERE: [Elsewhere; 9] = [
    Elsewhere {
        names: &["build", "buildx", "builder", "bake"],
        what: "berth builds no images",
        hint: Some(
            "use buildah, or \"docker build -t NAME .\" and then \"docker save NAME | berth load\"",
        ),
    },
    Elsewhere {
        names: &["compose"],
        what: "berth runs no compose files",
        hint: Some("start each service with \"berth run -d\" on a network of their own"),
    },
    Elsewhere {
        names: &["swarm", "service", "stack", "node", "secret"],
        what: "berth runs containers on one host and knows no swarm",
        hint: None,
    },
    Elsewhere {
        names: &["config"],
        what: "berth runs containers on one host and knows no swarm",
        hint: Some("berth's own configuration is shown by \"berth system config\""),
    },
    Elsewhere {
        names: &["context"],
        what: "berth has no daemon, so there is none to choose",
        hint: Some("run berth on the host that is meant, by ssh for one"),
    },
    Elsewhere {
        names: &["plugin", "checkpoint", "scout", "trust", "init", "sbom"],
        what: "this part of docker is out of scope",
        hint: None,
    },
    Elsewhere {
        names: &["manifest"],
        what: "berth makes no lists of manifests",
        hint: Some("use skopeo or \"buildah manifest\""),
    },
    Elsewhere {
        names: &["search"],
        what: "berth searches no registry",
        hint: Some("search on the registry's page, then \"berth pull NAME\""),
    },
    Elsewhere {
        names: &["api", "dockerd", "daemon"],
        what: "berth has no daemon and serves no Docker API",
        hint: None,
    },
];

/// What to say of a command that Docker has and Berth leaves to others.
pub(super) fn refusal(typed: &str) -> Option<Failure> {
    let known = |one: &&Elsewhere| one.names.contains(&typed);
    let one = ELSEWHERE.iter().find(known)?;
    let mut failure = Failure::usage(format!("{typed:?} is not for berth: {}", one.what));
    failure.hint = one.hint.map(str::to_owned);
    Some(failure.on(typed))
}

/// Flags of Docker's that are refused: the commands, none for the program itself, the flags without
/// dashes, and why.
type RefusedFlags = (
    &'static [&'static str],
    &'static [&'static str],
    &'static str,
);

const CREATING: &[&str] = &["run", "create"];
const ANY: &[&str] = &[];

const REFUSED_FLAGS: [RefusedFlags; 6] = [
    (
        &["run", "create", "connect", "rm"],
        &["link"],
        "links are gone: containers on one network of their own find each other by name, and \
         --network-alias gives further names",
    ),
    (
        CREATING,
        &["cpu-count", "cpu-percent", "io-maxbandwidth", "io-maxiops"],
        "that is for Windows alone; --cpus limits processors",
    ),
    (
        &["run", "create", "connect"],
        &["link-local-ip"],
        "interfaces have the addresses of their network alone",
    ),
    (
        CREATING,
        &["use-api-socket"],
        "berth has no daemon, so there is no socket to pass on",
    ),
    (
        &["start"],
        &["checkpoint", "checkpoint-dir"],
        "berth makes no checkpoints",
    ),
    (
        ANY,
        &[
            "host",
            "context",
            "tls",
            "tlscacert",
            "tlscert",
            "tlskey",
            "tlsverify",
        ],
        "berth has no daemon; run it on the host that is meant",
    ),
];

/// What to say of a flag that Docker has and Berth refuses. `command`: the last word of its path, or
/// nothing for the program itself.
pub(super) fn flag_refusal(command: Option<&str>, long: &str) -> Option<&'static str> {
    let meant = |(commands, flags, _): &&RefusedFlags| {
        let here = match command {
            Some(command) => commands.contains(&command),
            None => commands.is_empty(),
        };
        here && flags.contains(&long)
    };
    REFUSED_FLAGS.iter().find(meant).map(|(_, _, why)| *why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::usage::surface;

    #[test]
    fn nothing_is_refused_that_is_there() {
        let command = surface();
        for name in ELSEWHERE.iter().flat_map(|one| one.names) {
            assert!(command.find_subcommand(name).is_none(), "{name}");
            assert_eq!(refusal(name).unwrap().exit_code, Some(125));
        }
        assert!(refusal("run").is_none());
    }
}
