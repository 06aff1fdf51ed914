use super::*;
use crate::seccomp::machine::{Call, Verdict, X86, X86_64, run, value_of};

fn profile(json: &str) -> LinuxSeccomp {
    serde_json::from_str(json).unwrap()
}

fn compiled(json: &str) -> Vec<[u8; 8]> {
    compile(&profile(json)).unwrap().program
}

/// read, write, openat, ptrace on x86_64.
const READ: u32 = 0;
const WRITE: u32 = 1;

#[test]
fn rules_defaults_and_errnos() {
    let program = compiled(
        r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 13, "syscalls": [
            {"names": ["read", "no_such_call"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["write"], "action": "SCMP_ACT_ERRNO"},
            {"names": ["openat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13},
            {"names": ["close"], "action": "SCMP_ACT_KILL_PROCESS"}]}"#,
    );
    assert_eq!(run(&program, Call::new(READ)), Verdict::Allow);
    assert_eq!(run(&program, Call::new(WRITE)), Verdict::Errno(1));
    assert_eq!(run(&program, Call::new(257)), Verdict::Errno(13));
    assert_eq!(run(&program, Call::new(3)), Verdict::Kill);
    assert_eq!(run(&program, Call::new(39)), Verdict::Errno(13));
    // Another architecture, and x32, were not listed.
    assert_eq!(run(&program, Call::new(READ).on(X86)), Verdict::Kill);
    assert_eq!(run(&program, Call::new(0x4000_0000)), Verdict::Kill);
}

#[test]
fn arguments_are_compared_whole() {
    let program = compiled(
        r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
            {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [
                {"index": 0, "value": 7, "op": "SCMP_CMP_EQ"},
                {"index": 2, "value": 4294967296, "op": "SCMP_CMP_GE"}]},
            {"names": ["write"], "action": "SCMP_ACT_ALLOW", "args": [
                {"index": 1, "value": 240, "valueTwo": 16, "op": "SCMP_CMP_MASKED_EQ"}]},
            {"names": ["close"], "action": "SCMP_ACT_ALLOW", "args": [
                {"index": 0, "value": 3, "op": "SCMP_CMP_EQ"},
                {"index": 0, "value": 5, "op": "SCMP_CMP_EQ"}]}]}"#,
    );
    let read = |fd, len| run(&program, Call::new(READ).arg(0, fd).arg(2, len));
    assert_eq!(read(7, 1 << 32), Verdict::Allow);
    assert_eq!(read(7, 5), Verdict::Errno(1));
    assert_eq!(read(8, 1 << 32), Verdict::Errno(1));
    assert_eq!(read(7 | 1 << 32, 1 << 32), Verdict::Errno(1));
    let write = |value| run(&program, Call::new(WRITE).arg(1, value));
    assert_eq!(
        (write(0x1f), write(0x2f)),
        (Verdict::Allow, Verdict::Errno(1))
    );
    // One argument named twice: either will do.
    let close = |fd| run(&program, Call::new(3).arg(0, fd));
    assert_eq!(
        (close(3), close(4), close(5)),
        (Verdict::Allow, Verdict::Errno(1), Verdict::Allow)
    );
}

#[test]
fn unknown_calls_answer_enosys() {
    let all = r#"{"defaultAction": "SCMP_ACT_ERRNO",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]}"#;
    let program = compiled(all);
    for call in [
        Call::new(460),
        Call::new(460).on(X86),
        Call::new(460 | 0x4000_0000),
    ] {
        assert_eq!(run(&program, call), Verdict::Errno(38), "{call:?}");
    }
    for call in [
        Call::new(1000),
        Call::new(u32::MAX),
        Call::new(u32::MAX).on(X86),
    ] {
        assert_eq!(run(&program, call), Verdict::Errno(38), "{call:?}");
    }
    // Known, and not allowed: x32 has its own block from 512.
    for call in [
        Call::new(WRITE),
        Call::new(520 | 0x4000_0000),
        Call::new(4).on(X86),
    ] {
        assert_eq!(run(&program, call), Verdict::Errno(1), "{call:?}");
    }
    assert_eq!(run(&program, Call::new(READ)), Verdict::Allow);
    assert_eq!(run(&program, Call::new(3).on(X86)), Verdict::Allow);
    assert_eq!(run(&program, Call::new(0x4000_0000)), Verdict::Allow);

    let lenient = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}"#;
    assert_eq!(run(&compiled(lenient), Call::new(460)), Verdict::Allow);
    let log = r#"{"defaultAction": "SCMP_ACT_LOG"}"#;
    assert_eq!(
        run(&compiled(log), Call::new(460)),
        Verdict::Other(0x7ffc_0000)
    );
    let kill = r#"{"defaultAction": "SCMP_ACT_KILL_PROCESS"}"#;
    assert_eq!(run(&compiled(kill), Call::new(460)), Verdict::Errno(38));
    assert_eq!(
        run(&compiled(kill), Call::new(READ).on(X86_64)),
        Verdict::Kill
    );
}

#[test]
fn flags_left_out_are_spec_allow() {
    let flags = |json: &str| compile(&profile(json)).map(|filter| filter.flags);
    assert_eq!(flags(r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#).unwrap(), 4);
    assert_eq!(
        flags(r#"{"defaultAction": "SCMP_ACT_ALLOW", "flags": []}"#).unwrap(),
        0
    );
    let both = r#"{"defaultAction": "SCMP_ACT_ALLOW",
        "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"]}"#;
    assert_eq!(flags(both).unwrap(), 2);
}

/// A name that libseccomp does not know is passed over where the default is at least as strict.
#[test]
fn unknown_names_are_skipped_where_nothing_is_lost() {
    for json in [
        r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["no_such_call"], "action": "SCMP_ACT_ALLOW"}]}"#,
        r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "syscalls": [{"names": ["no_such_call"], "action": "SCMP_ACT_ERRNO"}]}"#,
        r#"{"defaultAction": "SCMP_ACT_LOG", "syscalls": [{"names": ["no_such_call"], "action": "SCMP_ACT_ALLOW"}]}"#,
    ] {
        compile(&profile(json)).unwrap();
    }
}

#[test]
fn every_action_has_its_return_value() {
    for (action, errno, value) in [
        ("KILL", "", 0),
        ("KILL_THREAD", "", 0),
        ("KILL_PROCESS", "", 0x8000_0000),
        ("TRAP", "", 0x0003_0000),
        ("ERRNO", "", 0x0005_0001),
        ("ERRNO", r#", "errnoRet": 0"#, 0x0005_0000),
        ("ERRNO", r#", "errnoRet": 4094"#, 0x0005_0ffe),
        ("TRACE", "", 0x7ff0_0001),
        ("TRACE", r#", "errnoRet": 65535"#, 0x7ff0_ffff),
        ("NOTIFY", "", 0x7fc0_0000),
        ("LOG", "", 0x7ffc_0000),
        ("ALLOW", "", 0x7fff_0000),
    ] {
        for default in ["SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"] {
            let program = compiled(&format!(
                r#"{{"defaultAction": "{default}", "listenerPath": "/agent", "syscalls":
                    [{{"names": ["read"], "action": "SCMP_ACT_{action}"{errno}}}]}}"#
            ));
            assert_eq!(
                value_of(&program, Call::new(READ)),
                value,
                "{action}{errno}"
            );
        }
    }
}

#[test]
fn a_listener_is_wanted_where_a_rule_notifies() {
    let filter = |rest: &str| {
        compile(&profile(&format!(
            r#"{{"defaultAction": "SCMP_ACT_ALLOW", {rest}}}"#
        )))
        .unwrap()
    };
    let notify = r#""listenerPath": "/agent", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_NOTIFY"}]"#;
    let plain = filter(notify);
    assert!(plain.wants_listener());
    assert_eq!(plain.flags, 8 | 4);
    let flags = r#""flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", "SECCOMP_FILTER_FLAG_LOG"]"#;
    assert_eq!(filter(&format!("{notify}, {flags}")).flags, 32 | 8 | 2);
    // A listener path alone is ignored (runtime-spec, config-linux, "Seccomp").
    let unused = filter(r#""listenerPath": "/agent", "listenerMetadata": "m""#);
    assert!(!unused.wants_listener());
}

#[test]
fn what_cannot_be_done_is_said() {
    let mut text = String::new();
    for json in [
        r#"{"defaultAction": "SCMP_ACT_NOTIFY"}"#,
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_NOTIFY"}]}"#,
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/agent", "syscalls": [
            {"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}, {"names": ["read", "write"], "action": "SCMP_ACT_NOTIFY"}]}"#,
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_NOTIFY"}]}"#,
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "m"}"#,
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/agent", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_NOTIFY", "errnoRet": 1}]}"#,
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]}"#,
        r#"{"defaultAction": "SCMP_ACT_KILL_PROCESS", "defaultErrnoRet": 1}"#,
        r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["read", "open at"], "action": "SCMP_ACT_ALLOW"}]}"#,
        r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": [""], "action": "SCMP_ACT_ALLOW"}]}"#,
        r#"{"defaultAction": "SCMP_ACT_LOG", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_KILL"},
            {"names": ["no_such_call"], "action": "SCMP_ACT_ERRNO"}]}"#,
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [], "action": "SCMP_ACT_KILL"}]}"#,
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_KILL", "errnoRet": 5}]}"#,
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 4095}]}"#,
        r#"{"defaultAction": "SCMP_ACT_TRACE", "defaultErrnoRet": 70000}"#,
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERRNO",
            "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]}]}"#,
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_M68K"]}"#,
    ] {
        let error = compile(&profile(json)).unwrap_err();
        text += &format!("{:?}: {error}\n", error.class());
    }
    insta::assert_snapshot!(text);
    for unknown in [
        r#"{"defaultAction": "SCMP_ACT_NO_SUCH"}"#,
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_NO_SUCH"]}"#,
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_NO_SUCH"]}"#,
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_NO_SUCH"}]}"#,
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_KILL",
            "args": [{"index": 0, "value": 0, "op": "SCMP_CMP_NO_SUCH"}]}]}"#,
    ] {
        assert!(serde_json::from_str::<LinuxSeccomp>(unknown).is_err());
    }
}

#[test]
fn a_program_too_long_is_refused() {
    let mut profile = profile(r#"{"defaultAction": "SCMP_ACT_ERRNO"}"#);
    let rule = |value: u64| -> LinuxSyscall {
        serde_json::from_str(&format!(
            r#"{{"names": ["read"], "action": "SCMP_ACT_ALLOW",
                "args": [{{"index": 0, "value": {value}, "op": "SCMP_CMP_EQ"}},
                         {{"index": 1, "value": {value}, "op": "SCMP_CMP_EQ"}}]}}"#
        ))
        .unwrap()
    };
    profile.set_syscalls(Some(
        (0..2000).map(|value| rule(value << 33 | value)).collect(),
    ));
    let error = compile(&profile).unwrap_err();
    assert!(matches!(error, SeccompError::TooLong { .. }), "{error}");
}
