use berth_testkit::covers;
use proptest::prelude::*;

use super::rule::{ALL, Kind, MKNOD, READ, WRITE};
use super::*;
use crate::cgroup::kernel_tests::{Place, run_in};

/// Docker's default list with what runc adds to it.
const DOCKER: &str = r#"[
    {"allow": false, "access": "rwm"},
    {"allow": true, "type": "c", "access": "m"},
    {"allow": true, "type": "b", "access": "m"},
    {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"},
    {"allow": true, "type": "c", "major": 1, "minor": 5, "access": "rwm"},
    {"allow": true, "type": "c", "major": 1, "minor": 7, "access": "rwm"},
    {"allow": true, "type": "c", "major": 1, "minor": 8, "access": "rwm"},
    {"allow": true, "type": "c", "major": 1, "minor": 9, "access": "rwm"},
    {"allow": true, "type": "c", "major": 5, "minor": 0, "access": "rwm"},
    {"allow": true, "type": "c", "major": 5, "minor": 1, "access": "rwm"},
    {"allow": true, "type": "c", "major": 5, "minor": 2, "access": "rwm"},
    {"allow": true, "type": "c", "major": 136, "minor": -1, "access": "rwm"}
]"#;

fn parse(json: &str) -> Vec<Rule> {
    let rules: Vec<LinuxDeviceCgroup> = serde_json::from_str(json).unwrap();
    rules
        .iter()
        .map(|rule| Rule::parse(rule).unwrap())
        .collect()
}

/// A machine that runs what the filter is made of.
fn run(
    program: &[berth_sys::bpf::Instruction],
    kind: Kind,
    major: u32,
    minor: u32,
    access: u8,
) -> bool {
    let context = [u32::from(access) << 16 | kind as u32, major, minor];
    let mut registers = [0u64; 11];
    let mut at = 0usize;
    loop {
        let instruction = program[at];
        let (to, from) = (
            usize::from(instruction.registers & 15),
            usize::from(instruction.registers >> 4),
        );
        let constant = i64::from(instruction.constant).cast_unsigned();
        let low = |value: u64| value & 0xffff_ffff;
        let mut jump = false;
        match instruction.code {
            0x61 => {
                let index = usize::try_from(instruction.offset).unwrap() / 4;
                registers[to] = u64::from(context[index]);
            }
            0xbf => registers[to] = registers[from],
            0xb7 => registers[to] = constant,
            0x57 => registers[to] &= constant,
            0x77 => registers[to] >>= constant,
            0x16 => jump = low(registers[to]) == low(constant),
            0x56 => jump = low(registers[to]) != low(constant),
            0x95 => return registers[0] == 1,
            code => panic!("unexpected instruction {code:#x}"),
        }
        at += 1;
        if jump {
            at += usize::try_from(instruction.offset).unwrap();
        }
    }
}

/// What the rules mean: for each access, the last rule that matches decides.
fn meant(rules: &[Rule], kind: Kind, major: u32, minor: u32, access: u8) -> bool {
    [MKNOD, READ, WRITE]
        .into_iter()
        .filter(|bit| access & bit != 0)
        .all(|bit| {
            rules
                .iter()
                .rev()
                .find(|rule| {
                    rule.access & bit != 0
                        && rule.kind.is_none_or(|asked| asked == kind)
                        && rule.major.is_none_or(|asked| asked == major)
                        && rule.minor.is_none_or(|asked| asked == minor)
                })
                .is_some_and(|rule| rule.allow)
        })
}

/// What v1's list of exceptions means (security/device_cgroup.c).
fn listed(list: &v1::List, kind: Kind, major: u32, minor: u32, access: u8) -> bool {
    let here = |rule: &&Rule| {
        rule.kind == Some(kind)
            && rule.major.is_none_or(|asked| asked == major)
            && rule.minor.is_none_or(|asked| asked == minor)
    };
    let mut exceptions = list.exceptions.iter().filter(here);
    if list.default_allow {
        exceptions.all(|rule| rule.access & access == 0)
    } else {
        exceptions.any(|rule| rule.access & access == access)
    }
}

#[test]
fn docker_s_list_in_bpf() {
    let rules = parse(DOCKER);
    let program = filter::program(&rules);
    let allowed = |kind, major, minor, access| run(&program, kind, major, minor, access);
    assert!(allowed(Kind::Char, 1, 3, READ | WRITE));
    assert!(allowed(Kind::Char, 136, 4711, ALL));
    assert!(allowed(Kind::Block, 8, 0, MKNOD));
    assert!(!allowed(Kind::Block, 8, 0, READ));
    assert!(!allowed(Kind::Char, 1, 1, READ));
    assert!(!allowed(Kind::Char, 10, 200, READ | WRITE));
    assert!(allowed(Kind::Char, 10, 200, MKNOD));
    assert!(!allowed(Kind::Char, 10, 200, READ | MKNOD));
    assert_eq!(program.len(), 80);
}

#[test]
fn docker_s_list_on_v1() {
    let list = v1::normalise(&parse(DOCKER)).unwrap();
    assert!(!list.default_allow);
    assert_eq!(list.exceptions.len(), 11);
    assert!(listed(&list, Kind::Char, 5, 2, ALL));
    assert!(!listed(&list, Kind::Char, 10, 200, READ));
}

#[test]
fn a_hole_in_a_wildcard_is_refused_on_v1_and_made_on_v2() {
    covers!("config-linux/device-rules-in-order");
    let rules = parse(
        r#"[{"allow": true, "type": "c", "access": "m"},
            {"allow": false, "type": "c", "major": 10, "minor": 200, "access": "rwm"}]"#,
    );
    let refused = v1::normalise(&rules).unwrap_err();
    insta::assert_snapshot!(refused, @"cannot set the device rule c 10:200 rwm: it denies a part of what the earlier allow rule c *:* m covers, which cgroup v1 cannot express; list the devices one by one");
    let program = filter::program(&rules);
    assert!(!run(&program, Kind::Char, 10, 200, MKNOD));
    assert!(run(&program, Kind::Char, 10, 201, MKNOD));
}

#[test]
fn later_rules_win_on_v1_where_they_fit() {
    covers!("config-linux/device-rules-in-order");
    let list = v1::normalise(&parse(
        r#"[
        {"allow": true, "access": "rwm"},
        {"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "r"},
        {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "w"},
        {"allow": true, "type": "c", "major": 1, "minor": 5, "access": "rwm"},
        {"allow": false, "type": "c", "major": 1, "minor": 5, "access": "w"},
        {"allow": false, "type": "c", "major": 10, "minor": 200, "access": "rwm"},
        {"allow": true, "access": "m"}
    ]"#,
    ))
    .unwrap();
    let shown: Vec<String> = list.exceptions.iter().map(ToString::to_string).collect();
    assert!(!list.default_allow);
    assert_eq!(shown, ["c 1:3 rw", "c 1:5 rm", "b *:* m", "c *:* m"]);
}

#[test]
fn privileged_is_a_default_of_allow() {
    let list = v1::normalise(&parse(r#"[{"allow": true, "access": "rwm"}]"#)).unwrap();
    assert_eq!(
        list,
        v1::List {
            default_allow: true,
            exceptions: Vec::new()
        }
    );
    let program = filter::program(&parse(r#"[{"allow": true, "access": "rwm"}]"#));
    assert!(run(&program, Kind::Block, 8, 0, ALL));
}

#[test]
fn odd_rules_are_refused() {
    for bad in [
        r#"{"allow": true, "type": "c", "major": 1, "minor": 3}"#,
        r#"{"allow": true, "type": "p", "access": "r"}"#,
        r#"{"allow": true, "type": "c", "access": "rx"}"#,
        r#"{"allow": true, "type": "c", "major": -2, "access": "r"}"#,
        r#"{"allow": true, "type": "c", "major": 4294967296, "access": "r"}"#,
    ] {
        let rule: LinuxDeviceCgroup = serde_json::from_str(bad).unwrap();
        assert!(Rule::parse(&rule).is_err(), "{bad}");
    }
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let kind = prop_oneof![Just(None), Just(Some(Kind::Block)), Just(Some(Kind::Char))];
    let number = || prop_oneof![Just(None), (0u32..3).prop_map(Some), Just(Some(u32::MAX))];
    (any::<bool>(), kind, number(), number(), 1u8..8).prop_map(
        |(allow, kind, major, minor, access)| Rule {
            allow,
            kind,
            major,
            minor,
            access,
        },
    )
}

proptest! {
    #[test]
    fn the_filter_and_the_list_mean_what_the_rules_mean(
        rules in proptest::collection::vec(any_rule(), 0..8),
    ) {
        let program = filter::program(&rules);
        let list = v1::normalise(&rules).ok();
        for kind in [Kind::Block, Kind::Char] {
            for (major, minor) in [(0, 0), (0, 1), (1, 0), (2, 2), (3, 1), (u32::MAX, 1)] {
                for access in 1..=ALL {
                    let meant = meant(&rules, kind, major, minor, access);
                    prop_assert_eq!(run(&program, kind, major, minor, access), meant);
                    // v1 looks for one exception that covers all accesses, so it may allow
                    // less than the rules, never more.
                    if let Some(list) = &list
                        && listed(list, kind, major, minor, access)
                    {
                        prop_assert!(meant);
                    }
                    if let Some(list) = &list
                        && access.count_ones() == 1
                    {
                        prop_assert_eq!(listed(list, kind, major, minor, access), meant);
                    }
                }
            }
        }
    }
}

#[test]
fn the_verifier_takes_every_shape() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: needs root");
    }
    for json in [
        DOCKER,
        "[]",
        r#"[{"allow": true, "access": "rwm"}]"#,
        r#"[{"allow": true, "access": "rwm"}, {"allow": false, "type": "b", "access": "rw"}]"#,
        r#"[{"allow": true, "access": "r"}, {"allow": false, "access": "w"}]"#,
        r#"[{"allow": true, "type": "c", "major": 4294967295, "minor": 0, "access": "r"}]"#,
    ] {
        let program = filter::program(&parse(json));
        berth_sys::bpf::load_cgroup_device(&program)
            .unwrap_or_else(|error| panic!("{json}: {error} {}", error.log));
    }
    let nonsense = [berth_sys::bpf::Instruction::exit()];
    let refused = berth_sys::bpf::load_cgroup_device(&nonsense).unwrap_err();
    assert!(refused.to_string().contains("verifier"), "{refused}");
}

fn try_devices(cgroup: &Cgroup) -> String {
    let child = run_in(
        cgroup,
        "exec 2>&-; t() { if (eval \"$2\"); then echo $1+; else echo $1-; fi; }; \
         t null ': </dev/null'; t full ': </dev/full'; t nullw ': >/dev/null'; t zerow ': >/dev/zero'",
    );
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().replace('\n', " ")
}

const FEW: &str = r#"[
    {"allow": false, "access": "rwm"},
    {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "r"},
    {"allow": true, "type": "c", "major": 1, "minor": 5, "access": "rw"}
]"#;

#[test]
fn the_kernel_enforces_the_rules() {
    let Some(place) = Place::new("devices") else {
        return;
    };
    let cgroup = place.create("a");
    let rules: Vec<LinuxDeviceCgroup> = serde_json::from_str(FEW).unwrap();
    cgroup.apply_devices(&rules).unwrap();
    assert_eq!(try_devices(&cgroup), "null+ full- nullw- zerow+ ");
    cgroup.remove().unwrap();
}

#[test]
fn the_kernel_enforces_the_filter_of_v2_and_its_replacement() {
    let Some(place) = Place::new("filter") else {
        return;
    };
    let mut cgroup = place.create("a");
    if cgroup.v2.is_none() {
        eprintln!("skipped: no cgroup v2");
        return cgroup.remove().unwrap();
    }
    // Without v1's controller, as on a pure v2 host.
    let v1 = std::mem::take(&mut cgroup.v1);
    let rules: Vec<LinuxDeviceCgroup> = serde_json::from_str(FEW).unwrap();
    cgroup.apply_devices(&rules).unwrap();
    assert_eq!(try_devices(&cgroup), "null+ full- nullw- zerow+ ");
    let rules: Vec<LinuxDeviceCgroup> = serde_json::from_str(DOCKER).unwrap();
    cgroup.apply_devices(&rules).unwrap();
    assert_eq!(try_devices(&cgroup), "null+ full+ nullw+ zerow+ ");
    let dir = cgroup.v2.as_ref().unwrap().open().unwrap();
    assert_eq!(
        berth_sys::bpf::cgroup_device_programs(dir).unwrap().len(),
        1
    );
    cgroup.v1 = v1;
    cgroup.remove().unwrap();
}

#[test]
fn supplied_devices_are_nine_and_nodes_of_any() {
    let rules: Vec<Rule> = supplied_device_rules()
        .iter()
        .map(|rule| Rule::parse(rule).unwrap())
        .collect();
    assert_eq!(rules.len(), 11);
    assert!(meant(&rules, Kind::Char, 136, 9, READ | WRITE));
    assert!(meant(&rules, Kind::Block, 8, 0, MKNOD));
    assert!(!meant(&rules, Kind::Block, 8, 0, MKNOD | READ));
    assert!(!meant(&rules, Kind::Char, 10, 200, READ));
}

#[test]
fn systemd_is_told_no_less_than_the_rules_allow() {
    let unit = |json: &str| unit::of(&parse(json));
    let strict = unit(
        r#"[{"allow": false, "access": "rwm"},
            {"allow": true, "type": "c", "access": "m"},
            {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rw"},
            {"allow": true, "type": "b", "minor": 7, "access": "r"},
            {"allow": true, "type": "c", "major": 136, "access": "rwm"}]"#,
    );
    assert_eq!(strict.policy, "strict");
    let shown: Vec<String> = strict
        .allow
        .iter()
        .map(|(device, access)| format!("{device} {access}"))
        .collect();
    assert_eq!(
        shown,
        ["char-* m", "/dev/char/1:3 rw", "block-* r", "char-136 rwm"]
    );
    for all in [
        r#"[{"allow": true, "access": "rwm"}]"#,
        // A hole, which systemd cannot have.
        r#"[{"allow": true, "type": "c", "access": "r"},
            {"allow": false, "type": "c", "major": 1, "minor": 3, "access": "r"}]"#,
    ] {
        let unit = unit(all);
        assert_eq!((unit.policy, unit.allow.len()), ("auto", 0));
    }
}
