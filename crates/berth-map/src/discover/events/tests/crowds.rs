//! Many processes, and more than there is room for.

use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};

use super::*;

/// A shell that has so many children, one after the other.
fn forker(children: u32) -> Command {
    let script = format!("i=0; while [ $i -lt {children} ]; do (:); i=$((i+1)); done");
    let mut command = Command::new("sh");
    command.args(["-c", &script]);
    command
}

#[test]
fn a_storm_loses_nothing() {
    const CHILDREN: u32 = 2_000;
    let Some(mut watch) = Watch::bpf() else {
        return;
    };
    let mut shell = forker(CHILDREN).spawn().unwrap();
    let start = Instant::now();
    let pid = pid_of(&shell);
    watch.until_end(pid);
    assert!(shell.wait().unwrap().success());
    println!("{CHILDREN} children in {:?}", start.elapsed());
    assert_eq!(watch.lost, 0);
    let children = watch.children(pid);
    assert_eq!(children.len(), usize::try_from(CHILDREN).unwrap());
    for child in children {
        let [EventKind::Forked { .. }, EventKind::Exited(exit)] = watch.of_process(child)[..]
        else {
            panic!("{:?}", watch.of_process(child));
        };
        assert_eq!(*exit, Exit::Code(0));
    }
}

#[test]
fn what_the_ring_has_no_room_for_is_counted() {
    const CHILDREN: u32 = 800;
    // A page on every architecture.
    let Some(mut watch) = Watch::bpf_with(64 * 1024, LastThread::Told, |same| same) else {
        return;
    };
    let mut shell = forker(CHILDREN).spawn().unwrap();
    shell.wait().unwrap();
    let lost = watch.reader.drain(&mut watch.events);
    let kept = u64::try_from(watch.events.len()).unwrap();
    // Born and ended, and the shell's own.
    let told = u64::from(2 * CHILDREN + 3);
    assert!(kept > 0 && lost > 0 && kept + lost >= told, "{kept} {lost}");
    // There is room again, and what was told is not told again.
    let mut next = Command::new("true").spawn().unwrap();
    next.wait().unwrap();
    watch.until_end(pid_of(&next));
    assert!(watch.lost < lost, "{} {lost}", watch.lost);
}

#[test]
fn the_connector_counts_what_it_could_not_say() {
    const CHILDREN: u32 = 300;
    let Some(mut watch) = Watch::connector() else {
        return;
    };
    // A processor that was never heard of has no number from which on messages could be missing.
    let mut here = CpuSet::new();
    here.set(sched_getcpu());
    sched_setaffinity(None, &here).unwrap();
    let mut one = Command::new("true").spawn().unwrap();
    one.wait().unwrap();
    watch.until_end(pid_of(&one));
    // From here on: what others do on the host would crowd out that end too.
    let Opened::Connector(connector) = &watch.reader.source else {
        panic!("another source");
    };
    connector.limit_room(4096);
    let mut shell = forker(CHILDREN).spawn().unwrap();
    shell.wait().unwrap();
    watch.lost += watch.reader.drain(&mut watch.events);
    // What comes next tells how much is missing.
    for _ in 0..3 {
        let mut next = Command::new("true").spawn().unwrap();
        next.wait().unwrap();
        watch.reader.wait(Duration::from_millis(100), None);
        watch.lost += watch.reader.drain(&mut watch.events);
    }
    let kept = u64::try_from(watch.events.len()).unwrap();
    let (lost, told) = (watch.lost, u64::from(2 * CHILDREN));
    assert!(lost > 0 && kept + lost >= told, "{kept} {lost}");
}
