//! Roots that are made of the layers of an image: one overlay with the container's own layer on
//! disk.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};

use berth_base::ContainerId;
use berth_base::state::{ExitOutcome, MonitorConfig, RootSource};
use berth_engine::{
    CreateOptions, Engine, EngineConfig, ExecOptions, NamespaceMode, StartAttach, Started,
};
use berth_sys::quota;
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};

use crate::Outcome;
use crate::harness::{Test, World, read_all, read_until};
use crate::image::{Image, make_folders, set_mode};

/// This module's tests; those of the third part give up privilege first.
pub(crate) const TESTS: &[Test] = &[
    ("layers::one_to_five_hundred", one_to_five_hundred),
    ("layers::as_older_kernels_take_them", as_older_kernels),
    ("layers::what_is_left_on_disk_can_be_packed", left_on_disk),
    ("layers::the_end_leaves_nothing_busy", nothing_busy),
    ("layers::read_only_masked_and_joined", read_only_and_joined),
    ("layers::volatile_ones_are_used_once", volatile_once),
    (
        "layers::a_start_that_fails_leaves_none_volatile",
        volatile_after_failure,
    ),
    ("layers::ids_on_disk_are_the_containers_own", ids_on_disk),
    ("layers::missing_ones_are_named", missing_ones),
    ("layers::never_read_only_by_surprise", never_read_only),
    (
        "layers::a_file_system_that_cannot_says_so",
        a_file_system_that_cannot,
    ),
    ("layers::a_quota_holds_behind_the_overlay", quota_holds),
    ("rootless::layers_without_privilege", without_privilege),
    ("rootless::volatile_layers_are_used_once", volatile_once),
    (
        "rootless::layers_are_not_left_volatile_by_failure",
        volatile_after_failure,
    ),
];

fn start(world: &World, id: &ContainerId) -> Started {
    let attach = StartAttach {
        output: true,
        ..StartAttach::default()
    };
    let started = world.engine.start(id, &attach);
    started.unwrap_or_else(|error| panic!("start: {error}"))
}

fn start_error(world: &World, id: &ContainerId) -> String {
    match world.engine.start(id, &StartAttach::default()) {
        Ok(_) => panic!("it started"),
        Err(error) => error.message,
    }
}

fn mountinfo() -> String {
    fs::read_to_string("/proc/self/mountinfo").expect("mountinfo")
}

/// What a container of an image sees of it, in words.
const LOOK: &str = "cat /top; ls /l | wc -l; ls /cut; ls / | grep gone; stat -c %a:%u:%g /; \
                    echo new > /made; rm /keep/old; rm -r /cut; mkdir /cut; ls -A /cut /keep; \
                    echo ready; exec sleep 1000";

fn check(world: &World, count: usize) -> Outcome {
    let image = Image::new(world, count)?;
    let before = mountinfo();
    let id = image.create(world, LOOK, |_| {})?;
    let started = start(world, &id);
    let out = read_until(&started.session, "ready\n");
    let top = count - 1;
    let (cut, gone) = if count > 1 {
        ("new", "")
    } else {
        ("old", "gone\n")
    };
    let uid = rustix::process::geteuid().as_raw();
    assert_eq!(
        out,
        format!("{top}\n{count}\n{cut}\n{gone}751:0:0\n/cut:\n\n/keep:\nready\n"),
        "{count} layers"
    );
    assert_eq!(before, mountinfo(), "{count} layers");
    assert_eq!(fs::read_to_string(image.upper().join("made"))?, "new\n");
    assert_eq!(fs::metadata(image.upper().join("made"))?.uid(), uid);
    world.remove(&id);
    image.remove()?;
    assert_eq!(before, mountinfo(), "{count} layers");
    Ok(())
}

fn one_to_five_hundred(world: &mut World) -> Outcome {
    for count in [1, 2, 30, 127, 500] {
        check(world, count)?;
    }
    world.assert_nothing_left();
    Ok(())
}

/// UNAME26 of personality(2): a kernel that calls itself 2.6, as whatever reads its version knows
/// it.
const OLDER: u32 = 0x002_0000;

fn as_older_kernels(world: &mut World) -> Outcome {
    berth_sys::set_personality(OLDER)?;
    let release = rustix::system::uname().release().to_owned();
    assert!(release.to_bytes().starts_with(b"2.6"), "{release:?}");
    for count in [1, 2, 127, 500] {
        check(world, count)?;
    }
    world.assert_nothing_left();
    Ok(())
}

fn left_on_disk(world: &mut World) -> Outcome {
    let image = Image::new(world, 2)?;
    // Renaming a folder of a lower layer is refused by the kernel and done by copying, chmod(2)
    // copies the file up whole: what is left needs no other layer to be read.
    let script = "mv /keep /kept; chmod 600 /top; rm -r /cut; mkdir /cut; rm /bin/head; echo $?";
    let id = image.create(world, script, |_| {})?;
    let (out, err, outcome) = read_all(&start(world, &id).session);
    assert_eq!(
        (out.as_str(), outcome),
        ("0\n", ExitOutcome::Code(0)),
        "{err}"
    );
    let upper = image.upper();
    assert_eq!(fs::read_to_string(upper.join("kept/old"))?, "old\n");
    assert_eq!(fs::read_to_string(upper.join("top"))?, "1\n");
    for whiteout in ["keep", "bin/head"] {
        let found = fs::symlink_metadata(upper.join(whiteout))?;
        assert_eq!((found.mode() & 0o170_000, found.rdev()), (0o020_000, 0));
    }
    let mut found = Vec::new();
    for name in ["", "kept", "kept/old", "top", "cut"] {
        let mut list = vec![0; 4096];
        let length = rustix::fs::llistxattr(upper.join(name), &mut list[..])?;
        let names = String::from_utf8_lossy(&list[..length]).into_owned();
        found.extend(names.split_terminator('\0').map(str::to_owned));
    }
    found.sort();
    found.dedup();
    // What copying up notes: not what can be packed would have to know.
    found.retain(|name| !["trusted.overlay.impure", "trusted.overlay.origin"].contains(&&**name));
    assert_eq!(found, ["trusted.overlay.opaque"]);
    world.remove(&id);
    image.remove()?;
    world.assert_nothing_left();
    Ok(())
}

fn nothing_busy(world: &mut World) -> Outcome {
    for round in 0..20 {
        let image = Image::new(world, 2)?;
        let root = image.root(round % 2 == 0);
        let id = image.create_from(world, "echo x > /made", &root, |_| {})?;
        let (out, err, outcome) = read_all(&start(world, &id).session);
        assert_eq!(outcome, ExitOutcome::Code(0), "{out}{err}");
        image.remove()?;
        world.remove(&id);
    }
    world.assert_nothing_left();
    Ok(())
}

fn read_only_and_joined(world: &mut World) -> Outcome {
    let image = Image::new(world, 3)?;
    let script = "(echo > /x) 2>/dev/null || echo refused; \
                  for f in kcore keys timer_list sched_debug; do \
                  [ ! -e /proc/$f ] || [ -c /proc/$f ] || echo $f; done; \
                  ls -A /sys/firmware 2>/dev/null; \
                  head -n 1 /proc/self/mountinfo; echo ready; exec sleep 1000";
    let first = image.create(world, script, |o| {
        o.read_only = true;
        o.name = "first".parse().ok();
    })?;
    let started = start(world, &first);
    let out = read_until(&started.session, "ready\n");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "refused", "{out}");
    assert!(lines[1].contains(" / / ro,"), "{out}");
    assert!(lines[1].contains("lowerdir"), "{out}");
    let root = world.config.root.to_str().ok_or("UTF-8")?;
    assert!(!out.contains(root), "the host's paths are its own: {out}");
    let options = ExecOptions {
        command: ["/bin/cat", "/top"].map(String::from).to_vec(),
        ..ExecOptions::default()
    };
    let (out, err, _) = read_all(&world.engine.exec(&first, &options)?);
    assert_eq!(out, "2\n", "{err}");
    let other = Image::new(world, 2)?;
    let second = other.create(world, "cat /top /proc/1/root/top; echo > /x", |o| {
        o.namespaces.pid = NamespaceMode::Container("first".into());
    })?;
    let (out, err, outcome) = read_all(&start(world, &second).session);
    assert!(out.starts_with("1\n"), "{out}{err}");
    assert_eq!(outcome, ExitOutcome::Code(0), "{err}");
    world.remove(&second);
    world.remove(&first);
    world.assert_nothing_left();
    Ok(())
}

fn volatile_once(world: &mut World) -> Outcome {
    let image = Image::new(world, 2)?;
    let root = image.root(true);
    // A start that fails leaves a layer that can be used.
    let id = image.create_from(world, "", &root, |o| o.command = vec!["/no/such".into()])?;
    for _ in 0..2 {
        let error = start_error(world, &id);
        assert!(error.contains("no such file"), "{error}");
        assert!(!error.contains("besides"), "{error}");
    }
    world.remove(&id);
    let script = "grep ' / / ' /proc/self/mountinfo";
    let id = image.create_from(world, script, &root, |_| {})?;
    let (out, err, _) = read_all(&start(world, &id).session);
    assert!(out.contains("volatile"), "{out}{err}");
    for _ in 0..2 {
        let error = start_error(world, &id);
        assert!(error.contains("may be damaged"), "{error}");
    }
    berth_runtime::facts::forget_volatile(&root)?;
    assert!(read_all(&start(world, &id).session).0.contains("volatile"));
    world.remove(&id);
    image.remove()?;
    world.assert_nothing_left();
    Ok(())
}

/// A runtime that dies with the overlay mounted: this program, as the engine executes it.
pub(crate) fn die_after_the_mount() {
    // by path: the descriptor at which a keeper finds its configuration
    let config = fs::read("/proc/self/fd/4").expect("the configuration");
    let config: MonitorConfig = serde_json::from_slice(&config).expect("JSON");
    if let RootSource::Layers { work, .. } = config.root {
        fs::create_dir_all(work.join("work/incompat/volatile")).expect("the mark");
    }
}

fn volatile_after_failure(world: &mut World) -> Outcome {
    let image = Image::new(world, 2)?;
    let root = image.root(true);
    let id = image.create_from(world, "cat /top", &root, |_| {})?;
    let dying = Engine::open(EngineConfig {
        runtime_binary: std::env::current_exe()?,
        ..world.config.clone()
    })?;
    let error = dying.start(&id, &StartAttach::default()).err();
    let error = error.ok_or("it started")?;
    assert!(error.message.contains("without an answer"), "{error}");
    assert!(!image.own.join("work/work/incompat").exists());
    let (out, err, _) = read_all(&start(world, &id).session);
    assert_eq!(out, "1\n", "{err}");
    // The mark of a run that was is another matter.
    assert!(dying.start(&id, &StartAttach::default()).is_err());
    let error = start_error(world, &id);
    assert!(error.contains("may be damaged"), "{error}");
    world.remove(&id);
    image.remove()?;
    world.assert_nothing_left();
    Ok(())
}

fn ids_on_disk(world: &mut World) -> Outcome {
    let private = |o: &mut CreateOptions| o.namespaces.user = NamespaceMode::Private;
    let image = Image::new(world, 30)?;
    let bottom = image.lowers.last().ok_or("no layers")?;
    fs::write(bottom.join("theirs"), "theirs\n")?;
    chown(bottom.join("theirs"), Some(33), Some(34))?;
    set_mode(&bottom.join("theirs"), 0o600)?;
    let script = "head -n 1 /proc/self/uid_map; stat -c %u:%g /theirs / /bin/sh; cat /theirs; \
                  [ -e /mine ] && stat -c %u:%g /mine /theirs; [ -e /mine ] || echo none; \
                  echo x >> /theirs; echo mine > /mine; chown 5:6 /mine; mkdir -p /d/e; \
                  rm -f /gone /bin/head; echo ready; exec sleep 1000";
    let script = script.replace("head -n 1", "cat");
    let (id, other) = (
        image.create(world, &script, private)?,
        Image::new(world, 2)?.create(world, "echo ready; exec sleep 1000", private)?,
    );
    let before = mountinfo();
    let first = read_until(&start(world, &id).session, "ready\n");
    assert_eq!(before, mountinfo());
    let lines: Vec<&str> = first.lines().collect();
    assert_eq!(
        lines[1..],
        ["33:34", "0:0", "0:0", "theirs", "none", "ready"],
        "{first}"
    );
    let owner =
        |name: &str| fs::symlink_metadata(image.upper().join(name)).map(|m| (m.uid(), m.gid()));
    assert_eq!(owner("mine")?, (5, 6));
    assert_eq!(owner("d/e")?, (0, 0));
    assert_eq!(owner("theirs")?, (33, 34));
    assert_eq!(owner("bin/head")?, (0, 0));
    world.engine.kill(&id, 9)?;
    // Its range is free now, and somebody else's soon.
    read_until(&start(world, &other).session, "ready\n");
    let second = read_until(&start(world, &id).session, "ready\n");
    let lines: Vec<&str> = second.lines().collect();
    assert_eq!(
        lines[1..],
        [
            "33:34", "0:0", "0:0", "theirs", "x", "5:6", "33:34", "ready"
        ],
        "{second}"
    );
    assert_ne!(first.lines().next(), second.lines().next());
    let options = ExecOptions {
        command: ["/bin/touch", "/by-exec"].map(String::from).to_vec(),
        ..ExecOptions::default()
    };
    let (_, err, outcome) = read_all(&world.engine.exec(&id, &options)?);
    assert_eq!(outcome, ExitOutcome::Code(0), "{err}");
    assert_eq!(owner("by-exec")?, (0, 0));
    world.remove(&id);
    world.remove(&other);
    image.remove()?;
    world.assert_nothing_left();
    Ok(())
}

fn missing_ones(world: &mut World) -> Outcome {
    let image = Image::new(world, 3)?;
    let id = image.create(world, "true", |_| {})?;
    let gone = &image.lowers[1];
    fs::remove_dir_all(gone)?;
    let error = start_error(world, &id);
    let words = format!("the layer {} of the image is missing", gone.display());
    assert!(error.contains(&words), "{error}");
    world.remove(&id);
    world.assert_nothing_left();
    Ok(())
}

fn never_read_only(world: &mut World) -> Outcome {
    let image = Image::new(world, 2)?;
    let work = fs::File::open(image.own.join("work"))?;
    let flags = ioctl_getflags(&work)?;
    // As on a full disk: nothing can be made in there.
    ioctl_setflags(&work, flags | IFlags::IMMUTABLE)?;
    let id = image.create(world, "true", |_| {})?;
    let error = start_error(world, &id);
    ioctl_setflags(&work, flags)?;
    assert!(
        error.contains("cannot write to the container's own layer"),
        "{error}"
    );
    let (_, err, outcome) = read_all(&start(world, &id).session);
    assert_eq!(outcome, ExitOutcome::Code(0), "{err}");
    world.remove(&id);
    image.remove()?;
    world.assert_nothing_left();
    Ok(())
}

/// As in a container of another engine: the store itself lies on an overlay.
fn a_file_system_that_cannot(world: &mut World) -> Outcome {
    let at = |name: &str| world.config.root.join(name);
    for name in ["below", "above", "work", "overlay"] {
        fs::create_dir_all(at(name))?;
    }
    let (below, above, work) = (at("below"), at("above"), at("work"));
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        below.display(),
        above.display(),
        work.display()
    );
    let options = std::ffi::CString::new(options)?;
    let flags = rustix::mount::MountFlags::empty();
    rustix::mount::mount("overlay", at("overlay"), "overlay", flags, &*options)?;
    // No whiteout can be made on an overlay, so one layer.
    let image = Image::below(&at("overlay"), 1)?;
    let id = image.create(world, "true", |_| {})?;
    let error = start_error(world, &id);
    assert!(error.contains("such as ext4"), "{error}");
    world.remove(&id);
    let id = image.create(world, "true", |o| {
        o.namespaces.user = NamespaceMode::Private
    })?;
    let error = start_error(world, &id);
    let mount = format!("the ids of the mount at {}", at("overlay").display());
    assert!(error.contains(&mount), "{error}");
    assert!(error.contains("use --userns host"), "{error}");
    world.remove(&id);
    rustix::mount::unmount(at("overlay"), rustix::mount::UnmountFlags::DETACH)?;
    world.assert_nothing_left();
    Ok(())
}

/// The container may write no more than its project's limit, and its files are whose they are.
fn quota_holds(world: &mut World) -> Outcome {
    let image = Image::new(world, 2)?;
    let id = 0x4265_0000 | (std::process::id() & 0xffff) | 0x1_0000;
    for name in ["upper", "work"] {
        fs::remove_dir(image.own.join(name))?;
    }
    let own = fs::File::open(&image.own)?;
    if let Err(refused) = quota::limit_project(&own, id, 0) {
        assert!(refused.to_string().contains("prjquota"), "{refused}");
        berth_testkit::skip("no project quotas below the temporary folder");
        return Ok(());
    }
    quota::set_project(&own, id)?;
    make_folders(&image.own, &["upper", "work"])?;
    let limit_bytes = 4 * 1024 * 1024;
    for user in [NamespaceMode::Host, NamespaceMode::Private] {
        for limit_bytes in [0, limit_bytes] {
            quota::limit_project(&own, id, limit_bytes)?;
            let script = "exec 2>&1; cat /bin/sh > /small && rm /small || echo small; \
                          cat /bin/sh /bin/sh /bin/sh > /big || echo big; echo done; \
                          exec sleep 1000";
            let container = image.create(world, script, |o| {
                o.namespaces.user = user.clone();
            })?;
            let words = read_until(&start(world, &container).session, "done\n");
            let used_bytes = quota::project_usage(&own, id)?.used_bytes;
            world.remove(&container);
            fs::remove_file(image.upper().join("big"))?;
            assert!(!words.contains("small"), "{words}");
            if limit_bytes == 0 {
                assert!(!words.contains("big"), "{words}");
                assert!(used_bytes > 4 * 1024 * 1024, "{used_bytes}");
            } else {
                assert!(words.contains("quota exceeded"), "{words}");
                assert!(used_bytes <= limit_bytes, "{used_bytes}");
            }
        }
    }
    image.remove()?;
    quota::limit_project(&fs::File::open(&world.config.root)?, id, 0)?;
    world.assert_nothing_left();
    Ok(())
}

fn without_privilege(world: &mut World) -> Outcome {
    for count in [1, 2, 127] {
        check(world, count)?;
    }
    berth_sys::set_personality(OLDER)?;
    check(world, 30)?;
    world.assert_nothing_left();
    Ok(())
}
