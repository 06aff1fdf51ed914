//! What a container may do: capabilities, seccomp, no_new_privs, masked paths.

use std::collections::BTreeMap;

use super::Docker;

/// The fourteen capabilities that Docker leaves to a container.
const DEFAULT_CAPABILITIES: &str = "00000000a80425fb";

const NONE: &str = "0000000000000000";

#[test]
fn docker_confines() {
    let docker = Docker::start();
    let status = |flags: &[&str]| status(&docker.script(flags, "cat /proc/self/status"));
    let plain = status(&[]);
    for (set, value) in [
        ("CapEff", DEFAULT_CAPABILITIES),
        ("CapPrm", DEFAULT_CAPABILITIES),
        ("CapBnd", DEFAULT_CAPABILITIES),
        ("CapInh", NONE),
        ("CapAmb", NONE),
        ("Seccomp", "2"),
        ("NoNewPrivs", "0"),
    ] {
        assert_eq!(plain[set], value, "{set}");
    }
    let dropped = status(&["--cap-drop=ALL"]);
    assert!(
        ["CapEff", "CapPrm", "CapBnd"]
            .iter()
            .all(|set| dropped[*set] == NONE)
    );
    let one = status(&["--cap-drop=ALL", "--cap-add=NET_ADMIN"]);
    assert_eq!(one["CapEff"], "0000000000001000");
    let user = status(&["--user=1000:1000"]);
    assert_eq!(
        (&*user["CapEff"], &*user["CapAmb"], &*user["CapInh"]),
        (NONE, NONE, NONE)
    );
    let fixed = status(&["--security-opt=no-new-privileges"]);
    assert_eq!(fixed["NoNewPrivs"], "1");
    let open = status(&["--security-opt=seccomp=unconfined"]);
    assert_eq!(open["Seccomp"], "0");

    let script = "unshare -U true 2>/dev/null || echo refused";
    assert_eq!(
        docker.script(&[], script),
        "refused",
        "seccomp of a container"
    );
    docker.start_container("ship", &["--ulimit=nofile=512:600", "--oom-score-adj=500"]);
    assert_eq!(
        docker.exec("ship", script),
        "refused",
        "seccomp of a further process"
    );
    let further = docker.exec("ship", "cat /proc/self/status");
    assert_eq!(self::status(&further)["CapEff"], DEFAULT_CAPABILITIES);
    assert_eq!(docker.exec("ship", "ulimit -Sn; ulimit -Hn"), "512\n600");
    assert_eq!(docker.exec("ship", "cat /proc/1/oom_score_adj"), "500");

    let script = "cd /proc; (echo 1 >sys/vm/swappiness) 2>/dev/null || echo read-only; \
                  stat -c %F keys; wc -c <keys; ls /sys/firmware | wc -l";
    let said = docker.script(&[], script);
    assert_eq!(said, "read-only\ncharacter special file\n0\n0");
    let script = "stat -c %F /proc/keys";
    let said = docker.script(&["--security-opt=systempaths=unconfined"], script);
    assert_eq!(said, "regular empty file");
    docker.finish();
}

/// The lines of /proc/PID/status by name.
fn status(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| line.split_once(":\t"))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}
