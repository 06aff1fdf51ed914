//! What options do to a running container.

use berth_base::state::ExitOutcome;
use berth_engine::{ImageRequest, MountRequest, Ulimit};

use crate::Outcome;
use crate::harness::{Test, World, read_all};

/// This module's tests.
pub(crate) const TESTS: &[Test] = &[
    ("limits::too_much_memory_is_an_oom_kill", too_much_memory),
    ("limits::limits_are_seen_inside", limits_are_seen_inside),
    (
        "limits::mounts_are_where_they_belong",
        mounts_are_where_they_belong,
    ),
    ("limits::a_directory_is_a_root", a_directory_is_a_root),
    ("limits::privileged_has_all_that_the_caller_has", privileged),
    ("limits::a_tiny_init_reaps_orphans", a_tiny_init_reaps),
    ("limits::bad_requests_leave_nothing", bad_requests),
];

fn too_much_memory(world: &mut World) -> Outcome {
    // tail keeps what it reads until the end of the input: 100 MB of it.
    let script = "head -c 100000000 /dev/zero | tail";
    let (id, started) = world.run(script, |o| o.resources.memory_bytes = Some(64 << 20));
    let outcome = read_all(&started.session).2;
    assert_eq!(outcome.shell_code(), 137, "{outcome:?}");
    let exit = world.engine.wait(&id)?;
    assert!(exit.oom_killed);
    world.remove(&id);
    world.assert_nothing_left();
    Ok(())
}

fn limits_are_seen_inside(world: &mut World) -> Outcome {
    let (id, started) = world.run("ulimit -Sn; ulimit -Hn; echo $A$B; pwd; id; exit 0", |o| {
        o.ulimits = vec![Ulimit {
            name: "nofile".into(),
            soft: 100,
            hard: 200,
        }];
        o.env = vec!["A=x".into(), "B=y z".into()];
        o.workdir = Some("/usr/share".into());
        o.user = Some("1:2".into());
        o.group_add = vec!["7".into()];
        o.resources.pids_limit = Some(50);
    });
    let out = read_all(&started.session).0;
    assert!(
        out.starts_with("100\n200\nxy z\n/usr/share\nuid=1"),
        "{out}"
    );
    assert!(out.contains("gid=2"), "{out}");
    assert!(out.contains(",7(") || out.contains(",7\n"), "{out}");
    world.remove(&id);
    world.assert_nothing_left();
    Ok(())
}

fn mounts_are_where_they_belong(world: &mut World) -> Outcome {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("f"), "from the host\n")?;
    let bind = |target: &str, read_only| MountRequest::Bind {
        source: folder.path().to_owned(),
        target: target.into(),
        read_only,
        writable_below: false,
        options: vec![],
        create_source: false,
        origin: Default::default(),
    };
    let mounts = vec![
        bind("/srv/ro", true),
        bind("/srv/rw", false),
        MountRequest::Tmpfs {
            target: "/srv/scratch".into(),
            options: vec!["size=1m".into()],
        },
    ];
    let script = "cat /srv/ro/f; echo x 2>/dev/null > /srv/ro/g || echo refused; \
                  echo y > /srv/rw/g; echo z > /srv/scratch/z && cat /srv/scratch/z; \
                  (echo > /usr/x) 2>/dev/null || echo read-only";
    let (id, started) = world.run(script, |o| {
        o.mounts = mounts;
        o.read_only = true;
    });
    let (out, err, _) = read_all(&started.session);
    assert_eq!(out, "from the host\nrefused\nz\nread-only\n", "{err}");
    assert_eq!(std::fs::read_to_string(folder.path().join("g"))?, "y\n");
    world.remove(&id);
    world.assert_nothing_left();
    Ok(())
}

fn a_directory_is_a_root(world: &mut World) -> Outcome {
    let folder = tempfile::tempdir()?;
    let root = folder.path();
    for dir in ["bin", "etc", "dev", "proc", "sys", "tmp"] {
        std::fs::create_dir(root.join(dir))?;
    }
    // A static program that can do a few things: this one cannot be counted on elsewhere.
    let busybox = ["/bin/busybox", "/usr/bin/busybox"]
        .into_iter()
        .find(|path| std::path::Path::new(path).exists());
    let Some(busybox) = busybox else {
        eprintln!("skipped: no busybox on this machine");
        return Ok(());
    };
    std::fs::copy(busybox, root.join("bin/busybox"))?;
    std::fs::write(
        root.join("etc/passwd"),
        "web:x:33:44::/srv:/bin/sh\n1000:x:0:0::/:\n",
    )?;
    for writable in [false, true] {
        let (id, started) = world.run("", |o| {
            o.image = ImageRequest::Rootfs {
                path: root.to_owned(),
                writable,
            };
            o.command = [
                "/bin/busybox",
                "sh",
                "-c",
                "busybox id -u; echo $HOME; busybox touch /tmp/t",
            ]
            .map(String::from)
            .to_vec();
            o.user = Some(if writable { "0" } else { "web" }.into());
        });
        let (out, err, _) = read_all(&started.session);
        let expected = if writable { "0\n/\n" } else { "33\n/srv\n" };
        assert_eq!(out, expected, "{err}");
        assert_eq!(root.join("tmp/t").exists(), writable);
        world.remove(&id);
    }
    // CVE-2016-3697: a number is a number.
    let (id, started) = world.run("", |o| {
        o.image = ImageRequest::Rootfs {
            path: root.to_owned(),
            writable: false,
        };
        o.command = ["/bin/busybox", "id", "-u"].map(String::from).to_vec();
        o.user = Some("1000".into());
    });
    assert_eq!(read_all(&started.session).0, "1000\n");
    world.remove(&id);
    world.assert_nothing_left();
    Ok(())
}

fn privileged(world: &mut World) -> Outcome {
    let script = "grep -E 'CapEff|Seccomp:' /proc/self/status; test -c /dev/kmsg && echo kmsg";
    let (id, started) = world.run(script, |o| o.privileged = true);
    let out = read_all(&started.session).0;
    let own = std::fs::read_to_string("/proc/self/status")?;
    let bounding = own.lines().find_map(|l| l.strip_prefix("CapBnd:"));
    let expected = format!("CapEff:{}", bounding.ok_or("CapBnd")?);
    assert!(out.contains(&expected), "{out} {expected}");
    assert!(out.contains("Seccomp:\t0"), "{out}");
    world.remove(&id);
    world.assert_nothing_left();
    Ok(())
}

fn a_tiny_init_reaps(world: &mut World) -> Outcome {
    let script = "echo $$; (sh -c 'sleep 0.05 & exit' &); sleep 0.3; \
                  grep -c zombie /proc/[0-9]*/status | grep -c ':1'; exit 6";
    let (id, started) = world.run(script, |o| o.init = true);
    let (out, _, outcome) = read_all(&started.session);
    assert_eq!(outcome, ExitOutcome::Code(6));
    let lines: Vec<&str> = out.lines().collect();
    assert_ne!(lines[0], "1");
    assert_eq!(lines[1], "0", "{out}");
    world.remove(&id);
    world.assert_nothing_left();
    Ok(())
}

fn bad_requests(world: &mut World) -> Outcome {
    let create = |world: &World, change: fn(&mut berth_engine::CreateOptions)| {
        let mut options = berth_engine::CreateOptions {
            command: vec!["true".into()],
            ..berth_engine::CreateOptions::default()
        };
        change(&mut options);
        match world.engine.create(&options) {
            Ok(created) => panic!("created {:?}", created.name),
            Err(error) => error.message,
        }
    };
    let messages = [
        create(world, |o| {
            o.image = ImageRequest::Name {
                name: "nginx".into(),
            }
        }),
        create(world, |o| {
            o.image = ImageRequest::Rootfs {
                path: "/no/such/rootfs".into(),
                writable: false,
            };
        }),
        create(world, |o| {
            o.mounts = vec![MountRequest::Bind {
                source: "/no/such/source".into(),
                target: "/data".into(),
                read_only: false,
                writable_below: false,
                options: vec![],
                create_source: false,
                origin: Default::default(),
            }];
        }),
        create(world, |o| o.resources.memory_bytes = Some(4096)),
        create(world, |o| o.user = Some("nobody-of-that-name".into())),
        create(world, |o| o.hostname = Some("a b".into())),
    ];
    insta::assert_snapshot!(messages.join("\n"));
    world.assert_nothing_left();
    Ok(())
}
