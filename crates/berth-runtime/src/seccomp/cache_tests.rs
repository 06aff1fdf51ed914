use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::seccomp::default_profile;

fn files(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

#[test]
fn a_program_is_compiled_once_and_a_damaged_one_anew() {
    let dir = tempfile::tempdir().unwrap();
    let profile = default_profile(&["CAP_CHOWN"], "6.1.0");
    let (first, name) = load_or_compile(&profile, dir.path()).unwrap();
    let name = name.unwrap();
    let kept = || load(name.as_str(), dir.path());
    assert_eq!(kept().as_ref(), Some(&first));
    let [path] = files(dir.path()).try_into().unwrap();
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    // Another program under this name, whole but foreign: it must not be taken.
    let whole = std::fs::read(&path).unwrap();
    let again = || load_or_compile(&profile, dir.path()).unwrap().0;
    assert_eq!(again(), first);
    for damage in [
        Vec::new(),
        whole[..whole.len() - 8].to_vec(),
        whole[1..].to_vec(),
        whole.iter().map(|byte| byte ^ 1).collect(),
        vec![0; 40],
        vec![6; 80_000],
    ] {
        std::fs::write(&path, &damage).unwrap();
        assert_eq!(kept(), None);
        assert_eq!(again(), first);
        assert_eq!(std::fs::read(&path).unwrap(), whole);
    }
    // Taken from the file, not compiled: a marked one comes back marked.
    let key = key_of(&profile).unwrap();
    let marked = CompiledFilter {
        program: vec![[6, 0, 0, 0, 1, 2, 3, 4]],
        flags: 6,
    };
    write(&path, &key, &marked).unwrap();
    assert_eq!((again(), kept()), (marked.clone(), Some(marked)));
    assert_eq!(files(dir.path()).len(), 1);
}

#[test]
fn profiles_do_not_share_a_program() {
    let dir = tempfile::tempdir().unwrap();
    let of = |profile| load_or_compile(&profile, dir.path()).unwrap().0;
    let few = of(default_profile::<&str>(&[], "6.1.0"));
    let many = of(default_profile(&["CAP_SYS_ADMIN"], "6.1.0"));
    assert_ne!(few.program, many.program);
    assert_eq!(files(dir.path()).len(), 2);
}

#[test]
fn no_cache_is_no_error() {
    let profile = default_profile::<&str>(&[], "6.1.0");
    let expected = compile(&profile).unwrap();
    // Not there; not a folder; a file system that takes no files.
    for dir in ["/nonexistent", "/proc/self/status", "/proc/self"] {
        let (filter, name) = load_or_compile(&profile, Path::new(dir)).unwrap();
        assert_eq!((filter, name), (expected.clone(), None));
    }
}

#[test]
fn a_name_that_is_none_finds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let profile = default_profile::<&str>(&[], "6.1.0");
    let (_, name) = load_or_compile(&profile, dir.path()).unwrap();
    let name = name.unwrap();
    let name = name.as_str();
    for other in [
        "",
        "../x",
        &name[2..],
        &format!("{name}0"),
        &"0".repeat(64),
        "\u{e9}\u{e9}",
    ] {
        assert_eq!(load(other, dir.path()), None, "{other}");
    }
}

/// Prints what the cache saves: `cargo test --release -p berth-runtime seccomp_cost -- --ignored
/// --nocapture`.
#[test]
#[ignore = "measures instead of testing"]
fn seccomp_cost() {
    let dir = tempfile::tempdir().unwrap();
    let time = |work: &dyn Fn() -> usize| {
        let mut samples: Vec<_> = (0..50)
            .map(|_| {
                let began = std::time::Instant::now();
                assert!(work() > 0);
                began.elapsed().as_micros()
            })
            .collect();
        samples.sort_unstable();
        samples[samples.len() / 2]
    };
    let profile = default_profile::<&str>(&[], "6.1.0");
    let length = compile(&profile).unwrap().program.len();
    println!("instructions {length}");
    println!(
        "profile {} us",
        time(&|| default_profile::<&str>(&[], "6.1.0")
            .syscalls()
            .iter()
            .len())
    );
    println!(
        "compile {} us",
        time(&|| compile(&profile).unwrap().program.len())
    );
    let filter = compile(&profile).unwrap();
    let load = || {
        let loading = || {
            let began = std::time::Instant::now();
            berth_sys::load_filter(&filter.program, berth_sys::SeccompFlags(4)).unwrap();
            began.elapsed().as_micros()
        };
        // A filter stays on its thread.
        std::thread::scope(|scope| scope.spawn(loading).join().unwrap())
    };
    let mut loads: Vec<_> = (0..50).map(|_| load()).collect();
    loads.sort_unstable();
    println!("load    {} us", loads[25]);
    println!(
        "cached  {} us",
        time(&|| load_or_compile(&profile, dir.path())
            .unwrap()
            .0
            .program
            .len())
    );
}
