//! Who a process is, and what it may do: users and capabilities.

use std::fs;

use berth_testkit::Bundle;
use serde_json::json;

use crate::cli::{Berth, eventually};
use crate::support::oci;

const SETS: &str = "grep -E '^Cap(Inh|Amb)' /proc/self/status | tr -d '\\n\\t'";
const NO_SETS: &str = "CapInh:0000000000000000CapAmb:0000000000000000";
const RIGHTS: &str = "grep -E '^Cap(Prm|Eff|Amb)' /proc/self/status | tr -d '\\n\\t'";
const NO_RIGHTS: &str = "CapPrm:0000000000000000CapEff:0000000000000000CapAmb:0000000000000000";

/// A passwd(5) in which the numbers are names of root.
const PASSWD: &str = "root:x:0:0::/:/bin/sh\n1000:x:0:0::/:/bin/sh\n1:x:0:0::/:/bin/sh\n";

fn with_passwd(bundle: Bundle) -> Bundle {
    fs::write(bundle.rootfs().join("etc/passwd"), PASSWD).unwrap();
    bundle
}

/// Seen to fail without its guard: names before numbers in `berth-engine/user.rs`. Then: `id -u`
/// said 0.
#[test]
fn cve_2016_3697_a_number_is_a_uid_even_where_it_is_a_name() {
    let runtime = oci();
    let bundle = with_passwd(runtime.bundle()).set("/process/user/uid", 1000);
    assert_eq!(runtime.run("a", &bundle.sh("id -u")).ok().text(), "1000");
    let bundle = with_passwd(runtime.bundle()).sleeping();
    runtime.started("b", &bundle);
    let exec = runtime.exec_with("b", &["--user", "1000"], &["id", "-u"]);
    assert_eq!(exec.ok().text(), "1000");

    let berth = Berth::new();
    let passwd = berth.path("passwd");
    fs::write(&passwd, PASSWD).unwrap();
    let mount = format!("{}:/etc/passwd:ro", passwd.display());
    let run = [
        "run", "--rm", "-v", &mount, "-u", "1000", "host", "id", "-u",
    ];
    assert_eq!(berth.ok(&run), "1000");
    let keep = [
        "run", "-d", "--name", "a", "-v", &mount, "host", "sleep", "1000",
    ];
    berth.ok(&keep);
    assert_eq!(berth.ok(&["exec", "-u", "1000", "a", "id", "-u"]), "1000");
}

/// Seen to fail without its guard: a uid that cannot be parsed is 0 in `oci/cli/exec.rs`. Then:
/// `exec --user -1` was root.
#[test]
fn cve_2026_30892_exec_as_a_number_is_never_root() {
    let runtime = oci();
    runtime.started("a", &with_passwd(runtime.bundle()).sleeping());
    let ids = |user: &str| runtime.exec_with("a", &["--user", user], &["sh", "-c", "id -u; id -g"]);
    assert_eq!(ids("1").ok().text(), "1\n0");
    assert_eq!(ids("1:2").ok().text(), "1\n2");
    assert_eq!(ids("4294967294:1").ok().text(), "4294967294\n1");
    let berth = Berth::new();
    berth.ok(&["run", "-d", "--name", "a", "host", "sleep", "1000"]);
    assert_eq!(berth.ok(&["exec", "-u", "1", "a", "id", "-u"]), "1");
    // Whatever a parser makes of these, it is not root.
    for user in [
        "",
        ":",
        ":0",
        "1:",
        "1:2:3",
        "-1",
        "-0",
        "+1",
        "0x0",
        "00x",
        " 0",
        "0 ",
        "1 ",
        "4294967295",
        "4294967296",
        "18446744073709551616",
        "1.0",
        "1e0",
        "١",
        "0\u{200b}",
        "root\n",
    ] {
        let done = ids(user);
        let first = done.out.lines().next();
        assert!(done.code != 0 || first != Some("0"), "{user:?}: {done:?}");
        let done = berth.run(&["exec", "-u", user, "a", "id", "-u"]);
        assert!(done.code != 0 || done.out != "0\n", "{user:?}: {done:?}");
    }
    // And of anything that looks like a number: that number, or nothing.
    let mut seed = 30892u32;
    for _ in 0..60 {
        let mut user = String::new();
        for _ in 0..=seed % 7 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let alphabet = "0011223456789:::+-x .";
            let at = usize::try_from(seed >> 16).unwrap() % alphabet.len();
            user.push_str(&alphabet[at..=at]);
        }
        let done = ids(&user);
        let asked = user
            .split(':')
            .next()
            .and_then(|uid| uid.parse::<u32>().ok());
        let got = done.out.lines().next().map(str::to_owned);
        let meant = got == asked.map(|uid| uid.to_string());
        assert!(done.code != 0 || meant, "{user:?}: {done:?}");
    }
}

/// Seen to fail without its guard: permitted raised into the inheritable and ambient sets in
/// `act/confine.rs`. Then: CapEff was full.
#[test]
fn cve_2016_8867_a_user_has_no_capabilities() {
    let runtime = oci();
    // Bounding, effective and permitted sets are full; what execve(2) leaves to a user is what is
    // ambient, and nobody asked for that.
    let bundle = runtime
        .bundle()
        .all_capabilities()
        .set("/process/user/uid", 1000);
    assert_eq!(runtime.run("a", &bundle.sh(RIGHTS)).ok().text(), NO_RIGHTS);
    runtime.started("b", &runtime.bundle().all_capabilities().sleeping());
    let flags = ["--user", "1000", "--cap", "CAP_SYS_ADMIN"];
    let exec = runtime.exec_with("b", &flags, &["sh", "-c", RIGHTS]);
    assert_eq!(exec.ok().text(), NO_RIGHTS);

    let berth = Berth::new();
    let run = [
        "run",
        "--rm",
        "-u",
        "1000",
        "--cap-add",
        "SYS_ADMIN",
        "host",
        "sh",
        "-c",
        RIGHTS,
    ];
    assert_eq!(berth.ok(&run), NO_RIGHTS);
}

/// Seen to fail without its guard: the main group is not among the further ones in
/// `berth-engine/user.rs`. Then: the program of another group printed the file.
#[test]
fn cve_2022_36109_a_file_that_denies_a_group_denies_it_to_programs_of_another_group() {
    let berth = Berth::new();
    let groups = "sed -n 's/^Groups:[[:space:]]*//p' /proc/self/status | sed 's/ *$//'";
    let groups_of = |flags: &[&str]| {
        let run = [&["run", "--rm"], flags, &["host", "sh", "-c", groups]].concat();
        berth.ok(&run)
    };
    assert_eq!(groups_of(&["-u", "1000:1000"]), "1000");
    assert_eq!(
        groups_of(&["-u", "1000:1000", "--group-add", "7"]),
        "7 1000"
    );
    // Unless the passwd of the host image knows better, the group of a number is 0.
    assert_eq!(groups_of(&["-u", "4217"]), "0");

    let files = "cp \"$(command -v cat)\" /cat && chgrp 5 /cat && chmod 2755 /cat &&
        echo secret > /file && chgrp 1000 /file && chmod 604 /file && exec sleep 1000";
    let run = [
        "run",
        "-d",
        "--name",
        "a",
        "--group-add",
        "7",
        "host",
        "sh",
        "-c",
        files,
    ];
    berth.ok(&run);
    let ready = "test \"$(stat -c %a /file)\" = 604";
    eventually("the files", || {
        berth.run(&["exec", "a", "sh", "-c", ready]).code == 0
    });
    assert_eq!(
        berth.ok(&["exec", "-u", "1001:1001", "a", "/cat", "/file"]),
        "secret"
    );
    let denied = berth.run(&["exec", "-u", "1000:1000", "a", "/cat", "/file"]);
    assert_eq!((denied.code, denied.out.as_str()), (1, ""), "{denied:?}");
    let exec = ["exec", "-u", "1000:1000", "a", "sh", "-c", groups];
    assert_eq!(berth.ok(&exec), "7 1000");
}

/// Seen to fail without its guard: inheritable gets permitted in `act/confine.rs`. Then: CapInh was
/// a80425fb.
#[test]
fn cve_2022_24769_2022_29162_2022_27650_2025_27612_nothing_is_inheritable_unasked() {
    let runtime = oci();
    assert_eq!(
        runtime.run("a", &runtime.bundle().sh(SETS)).ok().text(),
        NO_SETS
    );
    // A spec that lists some has these (runtime-spec, config, "Linux Process"), and not one more.
    let asked = runtime
        .bundle()
        .set("/process/capabilities/inheritable", json!(["CAP_CHOWN"]));
    let one = "CapInh:0000000000000001CapAmb:0000000000000000";
    assert_eq!(runtime.run("b", &asked.sh(SETS)).ok().text(), one);
    runtime.started("c", &runtime.bundle().sleeping());
    for flags in [
        &[][..],
        &["--cap", "CAP_SYS_ADMIN"],
        &["--user", "1000", "--cap", "CAP_CHOWN"],
    ] {
        let exec = runtime.exec_with("c", flags, &["sh", "-c", SETS]);
        assert_eq!(exec.ok().text(), NO_SETS, "{flags:?}");
    }

    let berth = Berth::new();
    for flags in [
        &[][..],
        &["--privileged"],
        &["--cap-add", "SYS_ADMIN"],
        &["-u", "1000"],
    ] {
        let mut run = vec!["run", "--rm"];
        run.extend(flags);
        run.extend(["host", "sh", "-c", SETS]);
        assert_eq!(berth.ok(&run), NO_SETS, "{flags:?}");
    }
    berth.ok(&["run", "-d", "--name", "a", "host", "sleep", "1000"]);
    for flags in [&[][..], &["--privileged"]] {
        let mut exec = vec!["exec"];
        exec.extend(flags);
        exec.extend(["a", "sh", "-c", SETS]);
        assert_eq!(berth.ok(&exec), NO_SETS, "{flags:?}");
    }
}
