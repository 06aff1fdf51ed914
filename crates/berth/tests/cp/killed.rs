//! What a command that is killed leaves of the file that it writes.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Stdio;
use std::time::Duration;

use crate::support::{State, World};

const SIZE: usize = 24 << 20;
/// Moments at which it is killed, in microseconds: from before it begins to after it has ended.
const MOMENTS: u64 = 24;

/// Kills a command at so many moments; `check` looks after each.
fn killed(world: &World, words: &[&str], mut check: impl FnMut()) {
    let began = std::time::Instant::now();
    assert_eq!(world.berth.run(words).code, 0);
    let whole = u64::try_from(began.elapsed().as_micros()).unwrap();
    for moment in 0..MOMENTS {
        let mut command = world.berth.command(words);
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(whole * (moment + 1) / MOMENTS));
        child.kill().unwrap();
        child.wait().unwrap();
        check();
    }
}

/// The names in a folder, but for those that say whose they are.
fn names(folder: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().into_string().unwrap())
        .filter(|name| !(name.starts_with('.') && name.contains("berth-")))
        .collect();
    names.sort();
    names
}

/// F is what it was, or whole.
#[test]
fn a_copy_is_whole_or_not_there() {
    let world = World::new();
    world.container(State::Stopped, &[]);
    let source = world.path("source");
    fs::write(&source, vec![b'n'; SIZE]).unwrap();
    world.cp(&source, "c:/data/big");
    let folder = world.host.join("to");
    fs::create_dir(&folder).unwrap();
    let file = folder.join("F");
    let words = ["cp", "c:/data/big", file.to_str().unwrap()];
    let (mut old, mut new) = (0, 0);
    let mut is_there = false;
    fs::write(&file, "old").unwrap();
    killed(&world, &words, || {
        match fs::read(&file) {
            Ok(content) if content == b"old" => old += 1,
            Ok(content) => {
                assert!(content.len() == SIZE && content.iter().all(|b| *b == b'n'));
                new += 1;
            }
            Err(_) => assert!(
                !is_there,
                "the old one is gone and the new one is not there"
            ),
        }
        assert!(names(&folder).iter().all(|name| name == "F"));
        // Once where there was one before, once where there was none.
        is_there = !is_there;
        match is_there {
            true => fs::write(&file, "old").unwrap(),
            false => drop(fs::remove_file(&file)),
        }
    });
    assert!(old > 0 && new > 0, "{old} {new}");
}

#[test]
fn an_archive_is_whole_or_not_there() {
    let world = World::new();
    world.container(State::Stopped, &[]);
    let source = world.path("source");
    fs::write(&source, vec![b'n'; SIZE]).unwrap();
    world.cp(&source, "c:/data/big");
    for (verb, object) in [("export", "c"), ("save", "bb")] {
        let folder = world.host.join(verb);
        fs::create_dir(&folder).unwrap();
        let file = folder.join("F");
        let words = [verb, "-o", file.to_str().unwrap(), object];
        assert_eq!(world.berth.run(&words).code, 0);
        let whole = fs::metadata(&file).unwrap().size();
        fs::write(&file, "old").unwrap();
        killed(&world, &words, || {
            let size = fs::metadata(&file).unwrap().size();
            assert!(size == 3 || size == whole, "{verb}: {size} of {whole}");
            assert_eq!(names(&folder), ["F"]);
            fs::write(&file, "old").unwrap();
        });
    }
}
