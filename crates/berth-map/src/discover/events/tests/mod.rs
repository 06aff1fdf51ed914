//! Against the running kernel.

use std::process::Command;
use std::time::{Duration, Instant};

use super::*;
use crate::live::EventKind;

fn sources() -> Sources {
    Sources {
        proc: super::super::ProcRoot::open("/proc").unwrap(),
        state_dir: None,
        roots: crate::EngineRoots::host(),
    }
}

#[test]
fn first_try() {
    let t = Instant::now();
    let (mut reader, notes) = EventReader::open(&sources());
    println!("{:?} {:?} {notes:#?}", reader.source(), t.elapsed());
    let mut child = Command::new("unshare")
        .args([
            "--pid",
            "--fork",
            "--kill-child",
            "sh",
            "-c",
            "true; exit 7",
        ])
        .spawn()
        .unwrap();
    child.wait().unwrap();
    let mut events = Vec::new();
    for _ in 0..3 {
        println!("{:?}", reader.wait(Duration::from_millis(200), None));
        println!("lost {}", reader.drain(&mut events));
    }
    for event in &events {
        println!("{event:?}");
    }
    assert!(
        events
            .iter()
            .any(|e| matches!(e.kind, EventKind::Exited(_)))
    );
}
