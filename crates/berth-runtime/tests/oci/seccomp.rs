//! Seccomp filters as a program meets them.

use berth_testkit::{Bundle, covers};
use serde_json::{Value, json};

use crate::{output_of, refused, runtime};

fn filtered(bundle: Bundle, syscalls: Value) -> Bundle {
    bundle.set(
        "/linux/seccomp",
        json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": syscalls}),
    )
}

#[test]
fn a_denied_syscall_gets_the_errno() {
    covers!("features-linux/seccomp-actions");
    for (errno, words) in [
        (None, "Operation not permitted"),
        (Some(13), "Permission denied"),
        (Some(38), "not implemented"),
    ] {
        let mut rule = json!({"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"});
        if let Some(errno) = errno {
            rule["errnoRet"] = json!(errno);
        }
        let said = output_of(|b| filtered(b, json!([rule])).sh("mkdir /tmp/x 2>&1; ls -d /tmp"));
        assert!(said.contains(words) && said.ends_with("/tmp\n"), "{said}");
    }
}

#[test]
fn actions_do_what_their_names_say() {
    for (action, code) in [
        ("SCMP_ACT_KILL_PROCESS", "159"),
        ("SCMP_ACT_KILL", "159"),
        ("SCMP_ACT_KILL_THREAD", "159"),
        ("SCMP_ACT_TRAP", "159"),
        ("SCMP_ACT_LOG", "0"),
        ("SCMP_ACT_ALLOW", "0"),
        ("SCMP_ACT_TRACE", "1"),
    ] {
        let rule = json!([{"names": ["mkdir", "mkdirat"], "action": action}]);
        let said = output_of(|b| {
            // ALLOW is what happens anyhow, and libseccomp wants no such rule.
            let b = if action == "SCMP_ACT_ALLOW" {
                b
            } else {
                filtered(b, rule)
            };
            b.sh("mkdir /tmp/x 2>/dev/null; echo $?")
        });
        assert_eq!(said.trim(), code, "{action}");
    }
}

#[test]
fn arguments_are_compared() {
    covers!("features-linux/seccomp-operators");
    // renice(1) calls setpriority(which, who, value), and says whether it worked.
    let own = std::fs::read_to_string("/proc/self/stat").unwrap();
    let own: i64 = own.split(' ').nth(18).unwrap().parse().unwrap();
    // A filter compares without sign.
    let own = u64::try_from(own).unwrap_or(0);
    let values = [own + 1, own + 2, own + 3];
    let middle = values[1];
    type Holds = fn(u64, u64) -> bool;
    let compare: [(&str, u64, Option<u64>, Holds); 7] = [
        ("SCMP_CMP_EQ", middle, None, |found, wanted| found == wanted),
        ("SCMP_CMP_NE", middle, None, |found, wanted| found != wanted),
        ("SCMP_CMP_GT", middle, None, |found, wanted| found > wanted),
        ("SCMP_CMP_GE", middle, None, |found, wanted| found >= wanted),
        ("SCMP_CMP_LT", middle, None, |found, wanted| found < wanted),
        ("SCMP_CMP_LE", middle, None, |found, wanted| found <= wanted),
        // The mask is the value, what is compared the second.
        (
            "SCMP_CMP_MASKED_EQ",
            3,
            Some(middle & 3),
            |found, middle| found & 3 == middle & 3,
        ),
    ];
    for (op, value, two, holds) in compare {
        let mut argument = json!({"index": 2, "value": value, "op": op});
        if let Some(two) = two {
            argument["valueTwo"] = json!(two);
        }
        let rule =
            json!([{"names": ["setpriority"], "action": "SCMP_ACT_ERRNO", "args": [argument]}]);
        let script =
            "for n in 1 2 3; do sh -c 'renice -n $0 -p $$' $n 2>/dev/null || echo $n; done";
        let said = output_of(|b| filtered(b, rule).sh(script));
        let denied: Vec<u64> = said
            .split_whitespace()
            .map(|n| own + n.parse::<u64>().unwrap())
            .collect();
        let expected: Vec<u64> = values.into_iter().filter(|v| holds(*v, middle)).collect();
        assert_eq!(denied, expected, "{op}");
    }
}

#[test]
fn the_filter_is_there_and_default_actions_apply() {
    let said = output_of(|b| {
        b.set(
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_LOG", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
                   "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]}),
        )
        .args(&["grep", "^Seccomp", "/proc/self/status"])
    });
    assert!(said.contains("Seccomp:\t2"), "{said}");
}

#[test]
fn filters_without_no_new_privileges_work_too() {
    let said = output_of(|b| {
        filtered(b, json!([{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]))
            .set("/process/noNewPrivileges", false)
            .set("/process/user", json!({"uid": 1000, "gid": 1000}))
            .sh("grep ^Seccomp: /proc/self/status; grep ^NoNewPrivs /proc/self/status")
    });
    assert_eq!(said, "Seccomp:\t2\nNoNewPrivs:\t0\n");
}

#[test]
fn flags_are_accepted() {
    covers!(
        "features-linux/seccomp-known-flags",
        "features-linux/seccomp-supported-flags"
    );
    let runtime = runtime();
    let features = runtime.invoke(&["features"]).ok().json();
    let seccomp = &features["linux"]["seccomp"];
    let known: Vec<&str> = seccomp["knownFlags"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let supported = seccomp["supportedFlags"].as_array().unwrap();
    assert!(known.contains(&"SECCOMP_FILTER_FLAG_LOG"), "{known:?}");
    for flag in supported.iter().filter_map(Value::as_str) {
        assert!(known.contains(&flag), "{flag}");
        // Without a listener the kernel has no use for this one.
        if flag == "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" {
            continue;
        }
        let bundle = filtered(
            runtime.bundle(),
            json!([{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]),
        )
        .set("/linux/seccomp/flags", json!([flag]))
        .sh("grep ^Seccomp: /proc/self/status");
        assert_eq!(
            runtime.run("one", &bundle).ok().out,
            "Seccomp:\t2\n",
            "{flag}"
        );
    }
    refused("linux.seccomp", |b| {
        filtered(b, json!([])).set(
            "/linux/seccomp/flags",
            json!(["SECCOMP_FILTER_FLAG_NONESUCH"]),
        )
    });
}

#[test]
fn listed_architectures_and_operators_are_recognised() {
    covers!(
        "features-linux/seccomp-archs",
        "features-linux/seccomp-operators",
        "features-linux/seccomp-actions"
    );
    let runtime = runtime();
    let features = runtime.invoke(&["features"]).ok().json();
    let seccomp = &features["linux"]["seccomp"];
    let list = |name: &str| seccomp[name].as_array().unwrap().clone();
    assert!(list("archs").contains(&json!("SCMP_ARCH_X86_64")));
    for (at, arch) in list("archs").iter().enumerate() {
        let rule = json!([{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]);
        let bundle =
            filtered(runtime.bundle(), rule).set("/linux/seccomp/architectures", json!([arch]));
        let output = runtime.run(&format!("arch{at}"), &bundle);
        // One of another byte order cannot be in one filter with the native one.
        let native = arch.as_str().unwrap().contains("X86");
        assert!(output.code == 0 || !native, "{output:?}");
        assert!(
            output.code == 0 || output.err.contains("architecture"),
            "{output:?}"
        );
    }
    for (at, operator) in list("operators").iter().enumerate() {
        let rule = json!([{"names": ["umask"], "action": "SCMP_ACT_ERRNO",
            "args": [{"index": 0, "value": 83, "valueTwo": 83, "op": operator}]}]);
        drop(
            runtime
                .run(&format!("op{at}"), &filtered(runtime.bundle(), rule))
                .ok(),
        );
    }
    for (at, action) in list("actions").iter().enumerate() {
        if action == "SCMP_ACT_NOTIFY" || action == "SCMP_ACT_ALLOW" {
            continue;
        }
        let rule = json!([{"names": ["swapoff"], "action": action}]);
        drop(
            runtime
                .run(&format!("act{at}"), &filtered(runtime.bundle(), rule))
                .ok(),
        );
    }
}

#[test]
fn a_filter_that_is_none_is_refused() {
    covers!(
        "config-linux/seccomp-default-action-required",
        "config-linux/seccomp-names-required",
        "config-linux/seccomp-action-required",
        "config-linux/seccomp-arg-required",
        "config/invalid-refused",
    );
    let rule = |rule: Value| json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]});
    for seccomp in [
        json!({"syscalls": []}),
        json!({"defaultAction": "SCMP_ACT_NONESUCH"}),
        json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_NONESUCH"]}),
        rule(json!({"action": "SCMP_ACT_ERRNO"})),
        rule(json!({"names": [], "action": "SCMP_ACT_ERRNO"})),
        rule(json!({"names": ["mkdir"]})),
        rule(json!({"names": ["mkdir"], "action": "SCMP_ACT_NONESUCH"})),
        rule(
            json!({"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "args": [{"value": 1, "op": "SCMP_CMP_EQ"}]}),
        ),
        rule(
            json!({"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 1, "op": "SCMP_CMP_EQ"}]}),
        ),
        rule(
            json!({"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 1, "value": 1}]}),
        ),
        rule(
            json!({"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}]}),
        ),
    ] {
        refused("linux.seccomp", |b| b.set("/linux/seccomp", seccomp));
    }
}

#[test]
fn an_errno_for_an_action_that_has_none_is_refused() {
    covers!(
        "config-linux/seccomp-errno",
        "config-linux/seccomp-default-errno"
    );
    refused("linux.seccomp", |b| {
        filtered(
            b,
            json!([{"names": ["mkdir"], "action": "SCMP_ACT_KILL_PROCESS", "errnoRet": 5}]),
        )
    });
    refused("linux.seccomp", |b| {
        b.set(
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 5}),
        )
    });
}
