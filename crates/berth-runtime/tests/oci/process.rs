//! What the program finds: its words, its folder, its user, its privileges.

use berth_testkit::{covers, soon};
use serde_json::json;

use crate::{output_of, refused, runtime};

#[test]
fn arguments_reach_the_program_as_they_are() {
    covers!("runtime/program-run");
    let words = ["printf", "%s|", "a b", "", "$HOME", "ü\n", "'\""];
    assert_eq!(output_of(|b| b.args(&words)), "a b||$HOME|ü\n|'\"|");
}

#[test]
fn the_program_is_looked_up_in_the_path_of_its_environment() {
    covers!("config/args-required");
    let runtime = runtime();
    let bundle = runtime.bundle();
    let folder = bundle.rootfs().join("opt/tools");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy("/bin/busybox", folder.join("echo-only-here")).unwrap();
    let link = |name: &str| std::os::unix::fs::symlink("/bin/busybox", folder.join(name)).unwrap();
    link("uname");
    let bundle = bundle
        .set("/process/env", json!(["PATH=/nowhere:/opt/tools"]))
        .args(&["uname", "-s"]);
    assert_eq!(runtime.run("one", &bundle).ok().out, "Linux\n");
    let relative = runtime
        .bundle()
        .set("/process/cwd", "/bin")
        .args(&["./uname", "-s"]);
    assert_eq!(runtime.run("two", &relative).ok().out, "Linux\n");
}

#[test]
fn a_program_that_is_missing_or_no_program_is_named() {
    covers!(
        "runtime/create-cannot-apply",
        "runtime/create-environment-error"
    );
    let runtime = runtime();
    for (at, word) in ["no-such-program", "/etc/passwd", "/etc", "/no/such"]
        .iter()
        .enumerate()
    {
        let id = format!("c{at}");
        let bundle = runtime.bundle().args(&[word]);
        let mut output = runtime.create(&id, &bundle);
        if output.code == 0 {
            output = runtime.start(&id);
        }
        assert!(output.code > 0, "{word}: {output:?}");
        assert!(output.err.contains(word), "{word}: {output:?}");
        runtime.delete_force(&id);
    }
    runtime.assert_nothing_left();
}

#[test]
fn the_environment_is_the_configured_one() {
    let runtime = runtime();
    let bundle = runtime
        .bundle()
        .env("WORD=a b=c")
        .env("EMPTY=")
        .args(&["env"]);
    let mut command = runtime.bundle_command("run", "one", &bundle, &[]);
    let output = runtime.finish(command.env("OF_THE_CALLER", "leaks")).ok();
    let lines: Vec<&str> = output.out.lines().collect();
    assert!(lines.contains(&"WORD=a b=c"), "{lines:?}");
    assert!(lines.contains(&"EMPTY="), "{lines:?}");
    assert!(!output.out.contains("OF_THE_CALLER"), "{lines:?}");
    // From /etc/passwd of the root, as every runtime does.
    assert!(lines.contains(&"HOME=/root"), "{lines:?}");
}

#[test]
fn a_home_that_is_configured_is_kept() {
    let env = output_of(|b| b.env("HOME=/elsewhere").args(&["env"]));
    assert!(env.lines().any(|line| line == "HOME=/elsewhere"), "{env}");
    assert_eq!(env.matches("HOME=").count(), 1, "{env}");
}

#[test]
fn the_working_folder_is_the_configured_one() {
    covers!("config/cwd-required");
    assert_eq!(
        output_of(|b| b.set("/process/cwd", "/tmp").args(&["pwd"])),
        "/tmp\n"
    );
    // One that is not there is made.
    let made = output_of(|b| b.set("/process/cwd", "/var/made/here").args(&["pwd"]));
    assert_eq!(made, "/var/made/here\n");
}

#[test]
fn a_relative_working_folder_is_refused() {
    covers!("config/cwd-absolute");
    refused("process.cwd", |b| b.set("/process/cwd", "tmp"));
}

#[test]
fn user_groups_and_umask_are_the_configured_ones() {
    let id = output_of(|b| {
        b.set(
            "/process/user",
            json!({"uid": 1000, "gid": 1000, "additionalGids": [2000, 5], "umask": 0o27}),
        )
        .sh("id -u; id -g; grep ^Groups: /proc/self/status; umask")
    });
    let words: Vec<&str> = id.split_whitespace().collect();
    assert_eq!(words[..2], ["1000", "1000"], "{id}");
    let mut groups: Vec<&str> = words[3..words.len() - 1].to_vec();
    groups.retain(|group| *group != "1000");
    groups.sort_unstable();
    assert_eq!(groups, ["2000", "5"], "{id}");
    assert_eq!(words.last(), Some(&"0027"), "{id}");
}

#[test]
fn without_additional_groups_there_are_none_of_the_caller() {
    let groups = output_of(|b| {
        b.set("/process/user", json!({"uid": 1000, "gid": 1000}))
            .args(&["grep", "^Groups:", "/proc/self/status"])
    });
    let groups: Vec<&str> = groups.split_whitespace().skip(1).collect();
    assert!(groups.is_empty() || groups == ["1000"], "{groups:?}");
}

/// The capability sets of the program, in the order of /proc/PID/status.
fn sets(change: impl FnOnce(berth_testkit::Bundle) -> berth_testkit::Bundle) -> Vec<u64> {
    output_of(|b| change(b).args(&["grep", "^Cap", "/proc/self/status"]))
        .lines()
        .map(|line| u64::from_str_radix(line.split_whitespace().last().unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn capabilities_are_the_configured_ones() {
    const KILL: u64 = 1 << 5;
    const NET_RAW: u64 = 1 << 13;
    let sets = sets(|b| {
        b.set(
            "/process/capabilities",
            json!({
                "bounding": ["CAP_KILL", "CAP_NET_RAW"],
                "permitted": ["CAP_KILL", "CAP_NET_RAW"],
                "effective": ["CAP_KILL"],
            }),
        )
        // Root would regain what the bounding set allows.
        .set("/process/user", json!({"uid": 0, "gid": 0}))
    });
    let [inheritable, permitted, effective, bounding, ambient] = sets[..] else {
        panic!("{sets:?}")
    };
    assert_eq!(inheritable, 0);
    assert_eq!(permitted, KILL | NET_RAW);
    // execve gives root the whole permitted set (capabilities(7)).
    assert_eq!(effective, KILL | NET_RAW);
    assert_eq!(bounding, KILL | NET_RAW);
    assert_eq!(ambient, 0);
}

#[test]
fn another_user_has_no_capability() {
    let sets = sets(|b| b.set("/process/user", json!({"uid": 1000, "gid": 1000})));
    assert_eq!(sets[1], 0, "permitted");
    assert_eq!(sets[2], 0, "effective");
    assert_ne!(sets[3], 0, "bounding");
}

#[test]
fn without_capabilities_there_are_none() {
    let sets = sets(|b| b.without("/process/capabilities"));
    assert_eq!(sets[1..4], [0, 0, 0]);
}

#[test]
fn a_capability_that_cannot_be_granted_is_a_warning() {
    covers!("config/capability-warning", "runtime/warnings-continue");
    let runtime = runtime();
    // The highest capability that the caller lacks; bit 40 is the last one there is.
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let bounding = own
        .lines()
        .find_map(|line| line.strip_prefix("CapBnd:"))
        .unwrap();
    let bounding = u64::from_str_radix(bounding.trim(), 16).unwrap();
    let drops = if bounding >> 24 & 1 == 1 {
        "setpriv --bounding-set -sys_resource -- "
    } else {
        ""
    };
    let bundle = runtime
        .bundle()
        .push("/process/capabilities/bounding", "CAP_SYS_RESOURCE")
        .push("/process/capabilities/permitted", "CAP_SYS_RESOURCE")
        .push("/process/capabilities/effective", "CAP_SYS_RESOURCE")
        .sh("grep ^CapBnd: /proc/self/status");
    bundle.write();
    let path = bundle.path().to_str().unwrap();
    let script = format!("exec {drops} \"$@\"");
    let mut command = runtime.through_shell(&script, &["run", "--bundle", path, "one"]);
    let output = runtime.finish(&mut command).ok();
    let granted = u64::from_str_radix(output.text().split_whitespace().last().unwrap(), 16);
    assert_eq!(granted.unwrap() >> 24 & 1, 0, "{output:?}");
    assert!(output.err.contains("CAP_SYS_RESOURCE"), "{output:?}");
}

#[test]
fn no_new_privileges_is_set_where_asked_for() {
    for (wanted, bit) in [(true, "1"), (false, "0")] {
        let line = output_of(|b| {
            b.set("/process/noNewPrivileges", wanted).args(&[
                "grep",
                "^NoNewPrivs:",
                "/proc/self/status",
            ])
        });
        assert_eq!(line.split_whitespace().last(), Some(bit));
    }
}

#[test]
fn oom_score_adj_is_set_only_where_asked_for() {
    covers!("config/oom-score-adj-set", "config/oom-score-adj-unset");
    let own = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    let unset = output_of(|b| b.args(&["cat", "/proc/self/oom_score_adj"]));
    assert_eq!(unset, own);
    let higher = own.trim().parse::<i32>().unwrap() + 77;
    let set = output_of(|b| {
        b.set("/process/oomScoreAdj", higher)
            .args(&["cat", "/proc/self/oom_score_adj"])
    });
    assert_eq!(set.trim(), higher.to_string());
}

#[test]
fn oom_score_adj_out_of_range_is_refused() {
    refused("process.oomScoreAdj", |b| {
        b.set("/process/oomScoreAdj", 1001)
    });
}

/// A hook would be told of a process that has not been identified, and fail over that.
#[test]
fn an_oom_score_adj_below_the_callers_is_refused_before_hooks() {
    const SYS_RESOURCE: u64 = 1 << 24;
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let effective = status.lines().find_map(|l| l.strip_prefix("CapEff:\t"));
    let effective = u64::from_str_radix(effective.unwrap(), 16).unwrap();
    let runtime = runtime();
    let witness = runtime.path("hooked");
    let script = format!("touch {}", witness.display());
    let bundle = runtime
        .bundle()
        .set("/process/oomScoreAdj", -1000)
        .set(
            "/hooks/prestart",
            json!([{"path": "/bin/sh", "args": ["sh", "-c", script]}]),
        )
        .args(&["cat", "/proc/self/oom_score_adj"]);
    let output = runtime.run("one", &bundle);
    if effective & SYS_RESOURCE == 0 {
        let message = output.refused();
        assert!(message.contains("oom_score_adj"), "{message}");
        assert!(!witness.exists(), "the hook ran");
    } else {
        assert_eq!(output.ok().out, "-1000\n");
    }
    runtime.assert_nothing_left();
}

#[test]
fn only_the_three_standard_descriptors_are_open() {
    let runtime = runtime();
    let bundle = runtime.bundle().sh("ls /proc/self/fd");
    bundle.write();
    let path = bundle.path().to_str().unwrap();
    let script = "exec 7</dev/null 9>/dev/null; exec \"$@\"";
    let mut command = runtime.through_shell(script, &["run", "--bundle", path, "one"]);
    let output = runtime.finish(&mut command).ok();
    // The fourth is the folder that ls reads.
    assert_eq!(output.out.split_whitespace().count(), 4, "{output:?}");
    assert!(
        !output.out.contains('7') && !output.out.contains('9'),
        "{output:?}"
    );
}

#[test]
fn the_program_is_pid_1_and_a_session_leader() {
    let stat = output_of(|b| b.args(&["cut", "-d ", "-f", "1,4,5,6", "/proc/self/stat"]));
    assert_eq!(stat, "1 0 1 1\n");
}

#[test]
fn signals_are_as_a_fresh_program_expects_them() {
    let runtime = runtime();
    let bundle = runtime
        .bundle()
        .args(&["grep", "-E", "^Sig(Blk|Ign):", "/proc/self/status"]);
    bundle.write();
    let path = bundle.path().to_str().unwrap();
    // What the caller ignores is its own matter.
    let script = "trap '' PIPE USR1; exec \"$@\"";
    let mut command = runtime.through_shell(script, &["run", "--bundle", path, "one"]);
    let output = runtime.finish(&mut command).ok();
    let blocked = output.out.lines().next().unwrap();
    assert!(blocked.ends_with("0000000000000000"), "{output:?}");
}

#[test]
fn orphans_of_the_container_come_to_pid_1() {
    let runtime = runtime();
    let bundle = runtime.bundle().sh(
        "(sh -c 'sleep 30 & echo $! > /tmp/orphan'); p=$(cat /tmp/orphan); \
             cut -d ' ' -f 4 /proc/$p/stat; kill $p",
    );
    assert_eq!(runtime.run("one", &bundle).ok().out, "1\n");
}

#[test]
fn the_whole_pid_namespace_ends_with_pid_1() {
    let runtime = runtime();
    let bundle = runtime
        .bundle()
        .sh("sleep 100 & sleep 100 & echo up; read x < /tmp/never");
    let bundle =
        bundle.sh("mkfifo /tmp/never; sleep 100 & sleep 101 & echo up; read x < /tmp/never");
    let container = runtime.started("one", &bundle);
    container.says("up");
    let listed = runtime
        .invoke(&["ps", "--format", "json", "one"])
        .ok()
        .json();
    let pids: Vec<i64> = listed
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|p| p.as_i64())
        .collect();
    assert_eq!(pids.len(), 3, "{pids:?}");
    container.kill("KILL");
    assert_eq!(container.wait(), -9);
    for pid in pids {
        let pid = i32::try_from(pid).unwrap();
        soon("the end of the namespace", || {
            (!berth_testkit::is_running(pid)).then_some(())
        });
    }
    container.delete();
    runtime.assert_nothing_left();
}

#[test]
fn the_personality_is_the_configured_one() {
    covers!("config-linux/personality-domain-required");
    let machine = output_of(|b| {
        b.set("/linux/personality", json!({"domain": "LINUX32"}))
            .args(&["uname", "-m"])
    });
    assert_eq!(machine, "i686\n");
    refused("linux.personality", |b| {
        b.set("/linux/personality", json!({"flags": []}))
    });
}

#[test]
fn host_and_domain_name_are_the_configured_ones() {
    let names = output_of(|b| {
        b.set("/hostname", "slart")
            .set("/domainname", "fjords.test")
            .sh("hostname; cat /proc/sys/kernel/domainname")
    });
    assert_eq!(names, "slart\nfjords.test\n");
}

#[test]
fn a_sysctl_of_the_container_is_set() {
    let value = output_of(|b| {
        b.set(
            "/linux/sysctl",
            json!({"net.ipv4.ip_forward": "1", "kernel.shm_rmid_forced": "1"}),
        )
        .sh("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shm_rmid_forced")
    });
    assert_eq!(value, "1\n1\n");
}

#[test]
fn a_sysctl_of_the_host_is_refused() {
    covers!("config/invalid-refused");
    let before = std::fs::read_to_string("/proc/sys/kernel/printk").unwrap();
    refused("linux.sysctl", |b| {
        b.set("/linux/sysctl", json!({"kernel.printk": "1 1 1 1"}))
    });
    refused("linux.sysctl", |b| {
        b.without_namespace("network")
            .set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"}))
    });
    assert_eq!(
        std::fs::read_to_string("/proc/sys/kernel/printk").unwrap(),
        before
    );
}
