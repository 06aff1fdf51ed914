//! Escapes from container runtimes, and that they fail here. Named after the CVE where there is
//! one.

use crate::support::Berth;

/// Runs a script in a fresh container; its output.
fn inside(berth: &Berth, flags: &[&str], script: &str) -> String {
    let mut arguments = vec!["run", "--rm"];
    arguments.extend_from_slice(flags);
    arguments.extend_from_slice(&["host", "sh", "-c", script]);
    berth.run(&arguments).out.trim().to_owned()
}

#[test]
fn nothing_of_the_host_is_stacked_under_the_root() {
    let berth = Berth::new();
    for flags in [&[][..], &["--userns", "private"][..]] {
        let script = "stat -c %d:%i / /.. /proc/1/root/.. | sort -u | wc -l; \
                      awk '$5 == \"/\"' /proc/self/mountinfo | wc -l; \
                      test -e /boot && echo boot; test -e /../boot && echo boot; true";
        assert_eq!(inside(&berth, flags, script), "1\n1", "{flags:?}");
    }
}

#[test]
fn only_wanted_mounts_exist() {
    let berth = Berth::new();
    let kinds = inside(
        &berth,
        &[],
        "sed 's/.* - //' /proc/self/mountinfo | cut -d' ' -f1 | sort -u",
    );
    let known = [
        "overlay", "tmpfs", "proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2", "devtmpfs",
    ];
    for kind in kinds.lines() {
        // Files of the host's /etc that are mounts themselves keep their file system.
        assert!(
            known.contains(&kind) || kind == "ext4" || kind == "xfs" || kind == "btrfs",
            "{kind}"
        );
    }
}

#[test]
fn cve_2024_21626_no_descriptor_of_the_host() {
    let berth = Berth::new();
    // ls itself opens the folder, as the lowest free number.
    let open = "exec ls /proc/self/fd";
    assert_eq!(inside(&berth, &[], open), "0\n1\n2\n3");
    berth.ok(&["run", "-d", "--name", "a", "host", "sleep", "1000"]);
    assert_eq!(berth.ok(&["exec", "a", "sh", "-c", open]), "0\n1\n2\n3");
    for number in 3..24 {
        let directory = format!("/proc/self/fd/{number}");
        for command in [
            &["run", "--rm", "-w", &directory, "host", "pwd"][..],
            &["exec", "-w", &directory, "a", "pwd"][..],
        ] {
            let done = berth.run(command);
            assert_eq!(done.code, 125, "{command:?} {done:?}");
        }
    }
}

#[test]
fn cve_2019_5736_the_runtime_cannot_be_written_from_inside() {
    let berth = Berth::new();
    berth.ok(&[
        "run", "-d", "--init", "--name", "a", "host", "sleep", "1000",
    ]);
    // The session init of this very exec, and PID 1 of --init, run from the runtime's binary.
    let attack = "for p in /proc/[0-9]*; do (: > $p/exe) 2>/dev/null && echo wrote $p; \
                  (: >> $p/exe) 2>/dev/null && echo appended $p; done; true";
    assert_eq!(berth.ok(&["exec", "a", "sh", "-c", attack]), "");
    assert_eq!(
        berth.ok(&["exec", "--privileged", "a", "sh", "-c", attack]),
        ""
    );
    let shebang = berth.path("exe");
    std::fs::write(&shebang, "#!/proc/self/exe\n").unwrap();
    let mount = format!("{}:/mnt/exe", shebang.display());
    let done = berth.run(&["run", "--rm", "-v", &mount, "host", "/mnt/exe"]);
    assert_ne!(done.code, 0);
}

#[test]
fn cve_2022_24769_capabilities_are_not_inheritable() {
    let berth = Berth::new();
    let inheritable = "grep -E 'CapInh|CapAmb' /proc/self/status | tr -d '\\n\\t'";
    let none = "CapInh:0000000000000000CapAmb:0000000000000000";
    assert_eq!(inside(&berth, &[], inheritable), none);
    assert_eq!(inside(&berth, &["--privileged"], inheritable), none);
    berth.ok(&["run", "-d", "--name", "a", "host", "sleep", "1000"]);
    assert_eq!(berth.ok(&["exec", "a", "sh", "-c", inheritable]), none);
    assert_eq!(
        berth.ok(&["exec", "--privileged", "a", "sh", "-c", inheritable]),
        none
    );
}

#[test]
fn cve_2016_8867_a_user_has_no_capabilities() {
    let berth = Berth::new();
    let caps = "grep -E 'CapEff|CapPrm' /proc/self/status | tr -d '\\n\\t'";
    let none = "CapPrm:0000000000000000CapEff:0000000000000000";
    assert_eq!(
        inside(&berth, &["-u", "1000", "--cap-add", "SYS_ADMIN"], caps),
        none
    );
}

#[test]
fn cve_2016_3697_and_2026_30892_numbers_are_uids() {
    let berth = Berth::new();
    let root = berth.path("etc");
    std::fs::create_dir(&root).unwrap();
    let passwd = root.join("passwd");
    std::fs::write(&passwd, "root:x:0:0::/:/bin/sh\n1000:x:0:0::/:/bin/sh\n").unwrap();
    let mount = format!("{}:/etc/passwd:ro", passwd.display());
    assert_eq!(
        inside(&berth, &["-v", &mount, "-u", "1000"], "id -u"),
        "1000"
    );
    berth.ok(&[
        "run", "-d", "--name", "a", "-v", &mount, "host", "sleep", "1000",
    ]);
    assert_eq!(berth.ok(&["exec", "-u", "1", "a", "id", "-u"]), "1");
    assert_eq!(berth.ok(&["exec", "-u", "1000", "a", "id", "-u"]), "1000");
}

#[test]
fn cve_2022_0492_no_new_mounts_and_namespaces() {
    let berth = Berth::new();
    let attack = "unshare -UrmC true 2>/dev/null && echo unshared; \
                  mount -t cgroup -o memory c /mnt 2>/dev/null && echo mounted; \
                  mount -o remount,rw /sys 2>/dev/null && echo remounted; \
                  umount /proc/kcore 2>/dev/null && echo unmasked; true";
    assert_eq!(inside(&berth, &[], attack), "");
}

#[test]
fn devices_of_the_host_stay_closed() {
    let berth = Berth::new();
    let attack = "mknod /dev/mem2 c 1 1 && head -c 1 /dev/mem2 2>/dev/null && echo read; \
                  mknod /dev/disk b 254 0 && head -c 1 /dev/disk 2>/dev/null && echo read; \
                  for ok in null zero full random urandom tty; do test -c /dev/$ok || echo no $ok; done; \
                  head -c 1 /dev/zero | wc -c";
    assert_eq!(inside(&berth, &[], attack), "1");
}

#[test]
fn kernel_knobs_and_secrets_are_hidden() {
    let berth = Berth::new();
    let attack = "(echo 1 > /proc/sys/kernel/panic) 2>/dev/null && echo sysctl; \
                  (echo c > /proc/sysrq-trigger) 2>/dev/null && echo sysrq; \
                  (echo x > /sys/kernel/mm/transparent_hugepage/enabled) 2>/dev/null && echo sys; \
                  head -c 1 /proc/kcore 2>/dev/null; head -c 1 /proc/keys; ls -A /sys/firmware; \
                  cat /etc/shadow /etc/gshadow /etc/ssh/ssh_host_*_key 2>/dev/null; \
                  find /etc/ssl/private /root /home -mindepth 1; rm /etc/shadow; cat /etc/shadow 2>/dev/null; true";
    assert_eq!(inside(&berth, &[], attack), "");
}

#[test]
fn io_uring_is_denied() {
    let berth = Berth::new();
    let python = "python3 -c 'import ctypes,os; l=ctypes.CDLL(None,use_errno=True); \
                  print(l.syscall(425,1,0), ctypes.get_errno())'";
    // Without an interpreter there is nothing to call it with.
    let has = inside(&berth, &[], "command -v python3 >/dev/null && echo yes");
    if has == "yes" {
        assert_eq!(inside(&berth, &[], python), "-1 1");
    }
}

#[test]
fn cve_2019_19921_a_linked_proc_is_refused() {
    let berth = Berth::new();
    for name in ["proc", "sys"] {
        let root = berth.path(&format!("root-{name}"));
        std::fs::create_dir_all(root.join("elsewhere")).unwrap();
        std::os::unix::fs::symlink("elsewhere", root.join(name)).unwrap();
        let path = root.to_str().unwrap();
        let done = berth.run(&["run", "--rm", "--rootfs", path, "/bin/true"]);
        assert_eq!(done.code, 125, "{done:?}");
        assert!(done.err.contains("symbolic link"), "{}", done.err);
        assert!(berth.ids().is_empty());
    }
}

#[test]
fn cve_2021_30465_mount_targets_stay_inside() {
    let berth = Berth::new();
    let root = berth.path("root");
    let outside = berth.path("outside");
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::create_dir_all(root.join("data")).unwrap();
    std::os::unix::fs::symlink(&outside, root.join("data/link")).unwrap();
    let tmpfs = "/data/link/new";
    let done = berth.run(&[
        "run",
        "--rm",
        "--rootfs",
        root.to_str().unwrap(),
        "--rw",
        "--tmpfs",
        tmpfs,
        "/bin/true",
    ]);
    // There is no /bin/true in that root; what counts is where the target was made.
    assert_ne!(done.code, 0);
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
}
