//! What a container of `berth run` finds of its host, beyond the CVEs.

use crate::cli::Berth;

/// Runs a script in a fresh container, which must succeed; its output.
fn inside(berth: &Berth, flags: &[&str], script: &str) -> String {
    let mut arguments = vec!["run", "--rm"];
    arguments.extend_from_slice(flags);
    arguments.extend_from_slice(&["host", "sh", "-c", script]);
    berth.ok(&arguments).trim().to_owned()
}

/// Seen to fail without its guard: `unstack` in `act/root.rs` does nothing. Then: a second mount lay on `/`.
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

/// Seen to fail without its guard: v1's default left at allow. Then: /dev/fuse was opened.
#[test]
fn devices_of_the_host_stay_closed() {
    let berth = Berth::new();
    let attack = "mknod /dev/mem2 c 1 1 && head -c 1 /dev/mem2 2>/dev/null && echo read; \
                  mknod /dev/fuse2 c 10 229 && (: < /dev/fuse2) 2>/dev/null && echo opened; \
                  for ok in null zero full random urandom tty; do test -c /dev/$ok || echo no $ok; done; \
                  head -c 1 /dev/zero | wc -c";
    assert_eq!(inside(&berth, &[], attack), "1");
}

/// Seen to fail without its guard: `hide::hide` not called. Then: /proc/sys was writable, /proc/kcore and /sys/firmware readable.
#[test]
fn kernel_knobs_and_secrets_are_hidden() {
    let berth = Berth::new();
    // What gets through by a defect does no harm: the value is the present one, and h only helps.
    let attack = "value=$(cat /proc/sys/kernel/panic); \
                  (echo $value > /proc/sys/kernel/panic) 2>/dev/null && echo sysctl; \
                  (echo h > /proc/sysrq-trigger) 2>/dev/null && echo sysrq; \
                  (echo x > /sys/kernel/mm/transparent_hugepage/enabled) 2>/dev/null && echo sys; \
                  head -c 1 /proc/kcore 2>/dev/null; head -c 1 /proc/keys; ls -A /sys/firmware; \
                  cat /etc/shadow /etc/gshadow /etc/ssh/ssh_host_*_key 2>/dev/null; \
                  find /etc/ssl/private /root /home -mindepth 1; rm /etc/shadow; cat /etc/shadow 2>/dev/null; true";
    assert_eq!(inside(&berth, &[], attack), "");
}

/// Seen to fail without its guard: `Step::Seccomp` does nothing. Then: the call was made (EFAULT).
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
