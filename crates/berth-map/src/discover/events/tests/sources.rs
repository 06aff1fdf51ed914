//! Which source is taken, and how the reader waits.

use std::os::fd::AsFd as _;

use rustix::event::{EventfdFlags, eventfd};
use rustix::time::{ClockId, clock_gettime};

use super::*;

#[test]
fn a_copy_of_a_procfs_has_no_events_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let sources = Sources {
        proc: ProcRoot::open(folder.path()).unwrap(),
        state_dir: None,
        roots: EngineRoots::host(),
    };
    let (mut reader, notes) = EventReader::open(&sources);
    assert_eq!(reader.source(), EventSource::Snapshots);
    assert_eq!(notes.len(), SOURCES.len());
    for ((name, _), note) in SOURCES.iter().zip(&notes) {
        let why = "the procfs is not that of the reader's own PID namespace";
        assert_eq!(*note, format!("no events from {name}: {why}"));
    }
    let start = Instant::now();
    let nap = Duration::from_millis(30);
    assert_eq!(reader.wait(nap, None), Wake::Nothing);
    assert!(start.elapsed() >= nap);
    assert_eq!(reader.drain(&mut Vec::new()), 0);
}

#[test]
fn the_caller_can_end_the_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Sources {
        proc: ProcRoot::open(folder.path()).unwrap(),
        state_dir: None,
        roots: EngineRoots::host(),
    };
    for (mut reader, _) in [EventReader::open(&host()), EventReader::open(&fake)] {
        // In the pause after a drain as well.
        reader.drain(&mut Vec::new());
        let wake = eventfd(1, EventfdFlags::CLOEXEC).unwrap();
        let woken = reader.wait(PATIENCE, Some(wake.as_fd()));
        assert_eq!(woken, Wake::Asked);
    }
}

#[test]
fn a_birth_ends_the_waiting() {
    for watch in [Watch::bpf(), Watch::connector()].into_iter().flatten() {
        let start = Instant::now();
        let mut child = Command::new("true").spawn().unwrap();
        assert_eq!(watch.reader.wait(PATIENCE, None), Wake::Events);
        assert!(start.elapsed() < PATIENCE / 2);
        child.wait().unwrap();
    }
}

/// What both sources tell, in the same words.
fn common(watch: &Watch, pids: &[HostPid]) -> Vec<(HostPid, EventKind)> {
    let mut told = Vec::new();
    for pid in pids {
        for kind in watch.of_process(*pid) {
            let kind = match kind.clone() {
                EventKind::Forked { parent, pids, .. } => EventKind::Forked {
                    parent,
                    pids: pids.into_iter().take(1).collect(),
                    pid_namespace: None,
                    comm: String::new(),
                },
                // The process may be gone before its name is read.
                EventKind::Executed { .. } => EventKind::Executed {
                    comm: String::new(),
                },
                EventKind::Exited(exit) => EventKind::Exited(exit),
                EventKind::CgroupMoved { .. } | EventKind::NamespacesChanged { .. } => continue,
            };
            told.push((*pid, kind));
        }
    }
    told
}

#[test]
fn the_connector_and_bpf_agree() {
    let (Some(mut bpf), Some(mut connector)) = (Watch::bpf(), Watch::connector()) else {
        return;
    };
    let script = "true; (exit 3); sleep 0.05 & (kill -9 $(sh -c 'echo $PPID')); wait; exit 1";
    let mut tree = Command::new("sh").args(["-c", script]).spawn().unwrap();
    let pid = pid_of(&tree);
    assert_eq!(tree.wait().unwrap().code(), Some(1));
    bpf.until_end(pid);
    connector.until_end(pid);
    let mut pids = vec![pid];
    let mut at = 0;
    while let Some(pid) = pids.get(at) {
        pids.extend(bpf.children(*pid));
        at += 1;
    }
    assert!(pids.len() >= 5, "{pids:?}");
    let expected = common(&bpf, &pids);
    assert_eq!(common(&connector, &pids), expected);
    let signalled = |told: &&(HostPid, EventKind)| told.1 == EventKind::Exited(Exit::Signal(9));
    assert!(expected.iter().any(|told| signalled(&told)));
    // One clock: both are told within one system call.
    let time = |watch: &Watch| {
        let ended = |e: &&Event| e.pid == pid && matches!(e.kind, EventKind::Exited(_));
        watch.events.iter().find(ended).unwrap().at
    };
    let (one, other) = (time(&bpf), time(&connector));
    let apart = one.until(other).max(other.until(one));
    assert!(apart < Duration::from_millis(500), "{apart:?}");
}
/// What `docs/performance.md` says of reading events, for so many seconds; another program makes
/// what happens.
#[test]
#[ignore = "measures"]
fn what_reading_costs() {
    let seconds = std::env::var("BERTH_MEASURE_S").map_or(5, |text| text.parse().unwrap());
    let nanos = |clock| {
        let now = clock_gettime(clock);
        u64::try_from(now.tv_sec * 1_000_000_000 + now.tv_nsec).unwrap()
    };
    // One after the other: what is open but not read fills up.
    for open in [Watch::bpf, Watch::connector] {
        let opening = Instant::now();
        let Some(Watch { mut reader, .. }) = open() else {
            continue;
        };
        let opening = opening.elapsed();
        let (mut events, mut delays) = (Vec::new(), Vec::new());
        let (mut lost, mut wakes) = (0, 0);
        let (start, busy) = (Instant::now(), nanos(ClockId::ThreadCPUTime));
        while start.elapsed() < Duration::from_secs(seconds) {
            reader.wait(Duration::from_millis(500), None);
            events.clear();
            lost += reader.drain(&mut events);
            let now = nanos(ClockId::Boottime);
            delays.extend(events.iter().map(|event| now.saturating_sub(event.at.0)));
            wakes += 1;
        }
        let busy = nanos(ClockId::ThreadCPUTime) - busy;
        delays.sort_unstable();
        let count = delays.len();
        let at = |percent| delays.get(count * percent / 100).map_or(0, |d| d / 1000);
        println!(
            "{:?}: {opening:?} to open, {count} events, {lost} lost, {wakes} wake-ups, {} us busy of {seconds} s, delay median {} p99 {} max {} us",
            reader.source(),
            busy / 1000,
            at(50),
            at(99),
            delays.last().map_or(0, |d| d / 1000),
        );
    }
}
