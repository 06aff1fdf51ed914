//! A cached filter equals a fresh one, and both do what the profile says: by bytes and against a
//! model for generated profiles, and in the kernel for a thread that loaded the filter.

use berth_sys::SeccompFlags;
use oci_spec::runtime::LinuxSeccomp;
use proptest::prelude::*;
use rustix::io::Errno;
use rustix::process::Pid;
use serde_json::{Value, json};

use super::machine::{Call, value_of};
use super::{CompiledFilter, compile, load_or_compile};

/// Calls of x86_64 with their numbers.
const CALLS: [(&str, u32); 40] = [
    ("read", 0),
    ("writev", 20),
    ("close", 3),
    ("lseek", 8),
    ("ioctl", 16),
    ("access", 21),
    ("dup", 32),
    ("socket", 41),
    ("clone", 56),
    ("kill", 62),
    ("fcntl", 72),
    ("mkdir", 83),
    ("chmod", 90),
    ("ptrace", 101),
    ("getpgid", 121),
    ("getsid", 124),
    ("personality", 135),
    ("getpriority", 140),
    ("prctl", 157),
    ("mount", 165),
    ("umount2", 166),
    ("init_module", 175),
    ("gettid", 186),
    ("keyctl", 250),
    ("openat", 257),
    ("unshare", 272),
    ("accept4", 288),
    ("dup3", 292),
    ("setns", 308),
    ("process_vm_readv", 310),
    ("kcmp", 312),
    ("bpf", 321),
    ("userfaultfd", 323),
    ("statx", 332),
    ("io_uring_setup", 425),
    ("clone3", 435),
    ("openat2", 437),
    ("pidfd_getfd", 438),
    ("faccessat2", 439),
    ("landlock_restrict_self", 446),
];

/// Values at the edges of the 32-bit halves in which a filter compares.
pub(super) const VALUES: [u64; 8] = [
    0,
    1,
    7,
    0xffff_ffff,
    0x1_0000_0000,
    0x1_0000_0007,
    0xffff_ffff_0000_0000,
    u64::MAX,
];

#[derive(Clone, Debug)]
struct Condition {
    index: usize,
    op: &'static str,
    value: u64,
    second: u64,
}

impl Condition {
    fn holds(&self, call: &Call) -> bool {
        let given = call.args[self.index];
        match self.op {
            "NE" => given != self.value,
            "LT" => given < self.value,
            "LE" => given <= self.value,
            "EQ" => given == self.value,
            "GE" => given >= self.value,
            "GT" => given > self.value,
            _ => given & self.value == self.second & self.value,
        }
    }

    fn json(&self) -> Value {
        json!({"index": self.index, "value": self.value, "valueTwo": self.second & self.value,
               "op": format!("SCMP_CMP_{}", self.op)})
    }
}

#[derive(Clone, Debug)]
struct Action {
    name: &'static str,
    errno: Option<u16>,
}

impl Action {
    /// The SECCOMP_RET_* value (linux/seccomp.h).
    fn value(&self) -> u32 {
        let errno = u32::from(self.errno.unwrap_or(1));
        match self.name {
            "KILL" | "KILL_THREAD" => 0,
            "KILL_PROCESS" => 0x8000_0000,
            "TRAP" => 0x0003_0000,
            "ERRNO" => 0x0005_0000 | errno,
            "NOTIFY" => 0x7fc0_0000,
            "TRACE" => 0x7ff0_0000 | errno,
            "LOG" => 0x7ffc_0000,
            _ => 0x7fff_0000,
        }
    }
}

#[derive(Clone, Debug)]
struct Rule {
    calls: Vec<usize>,
    action: Action,
    conditions: Vec<Condition>,
}

impl Rule {
    fn matches(&self, call: &Call) -> bool {
        self.conditions.iter().all(|c| c.holds(call))
    }
}

#[derive(Clone, Debug)]
pub(super) struct Profile {
    default: Action,
    rules: Vec<Rule>,
    flags: Option<Vec<&'static str>>,
    architectures: Vec<&'static str>,
}

impl Profile {
    pub(super) fn spec(&self) -> LinuxSeccomp {
        let action = |action: &Action| format!("SCMP_ACT_{}", action.name);
        let rules: Vec<Value> = self
            .rules
            .iter()
            .map(|rule| {
                let names: Vec<_> = rule.calls.iter().map(|call| CALLS[*call].0).collect();
                let args: Vec<_> = rule.conditions.iter().map(Condition::json).collect();
                let mut json = json!({"names": names, "action": action(&rule.action)});
                if let Some(errno) = rule.action.errno {
                    json["errnoRet"] = errno.into();
                }
                if !args.is_empty() {
                    json["args"] = args.into();
                }
                json
            })
            .collect();
        let mut json = json!({"defaultAction": action(&self.default), "syscalls": rules,
                              "architectures": self.architectures, "listenerPath": "/agent"});
        if let Some(errno) = self.default.errno {
            json["defaultErrnoRet"] = errno.into();
        }
        if let Some(flags) = &self.flags {
            json["flags"] = json!(flags);
        }
        serde_json::from_value(json).unwrap()
    }

    /// What the profile says about a call that at most one rule names.
    fn value(&self, which: usize, call: &Call) -> u32 {
        let rule = self.rules.iter().find(|rule| rule.calls.contains(&which));
        rule.filter(|rule| rule.matches(call))
            .map_or(&self.default, |rule| &rule.action)
            .value()
    }
}

fn action(names: &'static [&'static str]) -> impl Strategy<Value = Action> {
    (proptest::sample::select(names), 0u16..=4094).prop_map(|(name, errno)| Action {
        name,
        errno: matches!(name, "ERRNO" | "TRACE").then_some(errno),
    })
}

fn condition() -> impl Strategy<Value = Condition> {
    (
        0usize..6,
        proptest::sample::select(&["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"][..]),
        proptest::sample::select(&VALUES[..]),
        proptest::sample::select(&VALUES[..]),
    )
        .prop_map(|(index, op, value, second)| Condition {
            index,
            op,
            value,
            second,
        })
}

/// Profiles in which no call is named twice, and no argument twice in a rule, which makes
/// alternatives of it: what several rules for one call mean is libseccomp's to say. (2.5.4 merges
/// ordered comparisons of one argument wrongly: of `< 2^32` and `< 0` it keeps the second.)
pub(super) fn profile() -> impl Strategy<Value = Profile> {
    const ANY: &[&str] = &[
        "KILL",
        "KILL_PROCESS",
        "TRAP",
        "ERRNO",
        "NOTIFY",
        "TRACE",
        "LOG",
        "ALLOW",
    ];
    const DEFAULTS: &[&str] = &[
        "KILL_THREAD",
        "KILL_PROCESS",
        "TRAP",
        "ERRNO",
        "TRACE",
        "LOG",
        "ALLOW",
    ];
    let order = Just((0..CALLS.len()).collect::<Vec<_>>()).prop_shuffle();
    let rule = (
        1usize..12,
        action(ANY),
        proptest::collection::vec(condition(), 0..4).prop_map(|mut conditions| {
            conditions.sort_by_key(|c| c.index);
            conditions.dedup_by_key(|c| c.index);
            conditions
        }),
    );
    let flags = proptest::option::of(proptest::sample::subsequence(
        vec![
            "SECCOMP_FILTER_FLAG_LOG",
            "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
            "SECCOMP_FILTER_FLAG_TSYNC",
        ],
        0..=3,
    ));
    let architectures = proptest::sample::subsequence(
        vec!["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        0..=3,
    );
    (
        action(DEFAULTS),
        order,
        proptest::collection::vec(rule, 0..8),
        flags,
        architectures,
    )
        .prop_map(|(default, mut order, rules, flags, architectures)| {
            let rules = rules
                .into_iter()
                .map_while(|(count, action, conditions)| {
                    let calls = order.split_off(order.len().saturating_sub(count));
                    (!calls.is_empty()).then_some(Rule {
                        calls,
                        action,
                        conditions,
                    })
                })
                .collect();
            Profile {
                default,
                rules,
                flags,
                architectures,
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_cached_filter_is_the_fresh_one_and_does_what_the_profile_says(
        profile in profile(),
        probes in proptest::collection::vec(
            (0..CALLS.len(), proptest::array::uniform6(proptest::sample::select(&VALUES[..]))),
            64,
        ),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let spec = profile.spec();
        let fresh = compile(&spec).unwrap();
        prop_assert_eq!(&compile(&spec).unwrap(), &fresh, "compiling is not deterministic");
        prop_assert_eq!(&load_or_compile(&spec, dir.path()).unwrap().0, &fresh);
        prop_assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        let (cached, _) = load_or_compile(&spec, dir.path()).unwrap();
        prop_assert_eq!(&cached, &fresh);
        for (which, args) in probes {
            let mut call = Call::new(CALLS[which].1);
            call.args = args;
            let says = profile.value(which, &call);
            let answer = value_of(&cached.program, call);
            prop_assert_eq!(answer, says, "{:?} {:?}", CALLS[which].0, call);
        }
    }
}

/// What some calls answer under a filter: `Err` with the errno, or `Ok`.
type Answers = Vec<Result<(), i32>>;

/// getpgid and lseek with several arguments, in a thread that has loaded the filter: it stays on
/// that thread and ends with it.
fn answers(filter: &CompiledFilter) -> Answers {
    // Ourselves, and numbers that no process has.
    let pids = [0, i32::MAX - 8, i32::MAX].map(Pid::from_raw);
    let file = tempfile::tempfile().unwrap();
    let probe = || {
        rustix::thread::set_no_new_privs(true).unwrap();
        berth_sys::load_filter(&filter.program, SeccompFlags(filter.flags)).unwrap();
        let mut all = Vec::new();
        for pid in pids {
            all.push(rustix::process::getpgid(pid).map(drop));
        }
        for position in [0, 7, 1 << 33] {
            let position = rustix::fs::SeekFrom::Start(position);
            all.push(rustix::fs::seek(&file, position).map(drop));
        }
        let raw = |answer: Result<(), Errno>| answer.map_err(Errno::raw_os_error);
        all.into_iter().map(raw).collect()
    };
    std::thread::scope(|scope| scope.spawn(probe).join().unwrap())
}

#[test]
fn the_kernel_sees_no_difference_between_a_cached_filter_and_a_fresh_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut seen = std::collections::BTreeSet::new();
    let most = u64::from(i32::MAX.unsigned_abs());
    for (call, errno, op, value) in [
        ("getpgid", 1001, "EQ", 0),
        ("getpgid", 1002, "GT", most - 8),
        ("getpgid", 1003, "MASKED_EQ", 8),
        ("lseek", 1004, "NE", 7),
        ("lseek", 1005, "LT", 8),
        ("lseek", 1006, "GE", 1 << 32),
        ("dup3", 1007, "EQ", 0),
    ] {
        let spec: LinuxSeccomp = serde_json::from_value(json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [
                {"names": [call], "action": "SCMP_ACT_ERRNO", "errnoRet": errno,
                 "args": [{"index": usize::from(call == "lseek"), "value": value,
                           "valueTwo": value, "op": format!("SCMP_CMP_{op}")}]},
                {"names": ["mount"], "action": "SCMP_ACT_ERRNO"}]}))
        .unwrap();
        let fresh = answers(&compile(&spec).unwrap());
        load_or_compile(&spec, dir.path()).unwrap();
        let cached = answers(&load_or_compile(&spec, dir.path()).unwrap().0);
        assert_eq!(cached, fresh, "{call} {op} {value}");
        let refused = fresh.iter().filter(|a| **a == Err(errno)).count();
        assert_eq!(
            refused > 0,
            call != "dup3",
            "{call} {op} {value}: {fresh:?}"
        );
        seen.insert(format!("{fresh:?}"));
    }
    assert_eq!(seen.len(), 7, "some filters do the same: {seen:?}");
}
