//! Updates of a fake live map.

use std::sync::Arc;
use std::time::SystemTime;

use berth_base::HostPid;
use berth_map::World;
use berth_map::live::{BootTime, Event, EventKind, Exit, Frame, Health, Update};

use super::pid;

/// A time of a fake host: `Fake` starts process N at tick 1000 + N, so after 10 s.
pub fn ms(count: u64) -> BootTime {
    BootTime(count * 1_000_000)
}

pub fn frame(at: BootTime, world: &Arc<World>) -> Update {
    frame_with(at, world, 0)
}

pub fn frame_with(at: BootTime, world: &Arc<World>, lost: u64) -> Update {
    Update::Frame(Arc::new(Frame {
        number: 1,
        at,
        wall: SystemTime::UNIX_EPOCH,
        world: Arc::clone(world),
        health: Health {
            lost,
            ..Health::default()
        },
    }))
}

pub fn events(events: impl IntoIterator<Item = Event>) -> Update {
    Update::Events(events.into_iter().collect())
}

pub fn forked(at: BootTime, pids: &[u32], parent: u32) -> Event {
    Event {
        at,
        pid: pid(pids[0]),
        kind: EventKind::Forked {
            parent: HostPid::new(parent),
            pids: pids.to_vec(),
            pid_namespace: None,
            comm: "sh".to_owned(),
        },
    }
}

pub fn executed(at: BootTime, number: u32, comm: &str) -> Event {
    Event {
        at,
        pid: pid(number),
        kind: EventKind::Executed {
            comm: comm.to_owned(),
        },
    }
}

pub fn exited(at: BootTime, number: u32, code: u8) -> Event {
    Event {
        at,
        pid: pid(number),
        kind: EventKind::Exited(Exit::Code(code)),
    }
}

pub fn numbers(world: &World) -> Vec<u32> {
    world.processes().iter().map(|p| p.pid.get()).collect()
}
