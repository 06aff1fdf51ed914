//! The work that the process does besides, and for whose sake it stays.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use berth_net::dns::{Config, DnsError, Needs, Resolver, Server, Upkeep};
use rustix::event::{EventfdFlags, eventfd};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::world::PATIENCE;

/// Says what it is asked for.
struct Work {
    source: OwnedFd,
    due: Option<Instant>,
    told: Sender<&'static str>,
    needs: VecDeque<Needs>,
}

impl Upkeep for Work {
    fn source(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }

    fn hear(&mut self, now: Instant) {
        rustix::io::read(&self.source, &mut [0; 8]).unwrap();
        self.due = Some(now + Duration::from_millis(5));
        self.told.send("heard").unwrap();
    }

    fn due(&self) -> Option<Instant> {
        self.due
    }

    fn act(&mut self, _now: Instant) {
        self.due = None;
        self.told.send("done").unwrap();
    }

    fn needs(&mut self) -> Needs {
        self.told.send("asked").ok();
        self.needs.pop_front().unwrap_or_default()
    }
}

struct Served {
    state: tempfile::TempDir,
    source: OwnedFd,
    told: Receiver<&'static str>,
    ended: Receiver<Result<(), DnsError>>,
}

fn serve(needs: Vec<Needs>) -> Served {
    let state = tempfile::tempdir().unwrap();
    let source = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
    let (told, tells) = channel();
    let (ends, ended) = channel();
    let config = Config {
        grace: Duration::from_millis(20),
        ..Config::new(state.path().to_owned())
    };
    let work = Work {
        source: source.try_clone().unwrap(),
        due: None,
        told,
        needs: needs.into(),
    };
    std::thread::spawn(move || {
        let server = Server::new(config, None).unwrap();
        ends.send(server.with_upkeep(Box::new(work)).unwrap().run())
            .ok();
    });
    Served {
        state,
        source,
        told: tells,
        ended,
    }
}

impl Served {
    fn told(&self) -> &'static str {
        self.told.recv_timeout(PATIENCE).unwrap()
    }
}

fn sleeper() -> (Child, OwnedFd) {
    let mut command = Command::new("sleep");
    let child = command.arg("1000").stdin(Stdio::null()).spawn().unwrap();
    let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
    (child, pidfd)
}

#[test]
fn it_stays_for_who_needs_it_and_ends_with_the_last() {
    let (mut first, one) = sleeper();
    let (mut second, two) = sleeper();
    let served = serve(vec![
        Needs {
            running: Vec::new(),
            starting: true,
        },
        Needs {
            running: vec![one, two],
            starting: false,
        },
    ]);
    assert_eq!([served.told(), served.told()], ["asked", "asked"]);
    first.kill().unwrap();
    first.wait().unwrap();
    // Still somebody, and still there.
    let resolver = Resolver::connect(served.state.path()).unwrap();
    assert_eq!(resolver.registered().unwrap(), []);
    drop(resolver);
    assert!(served.told.try_recv().is_err());
    second.kill().unwrap();
    second.wait().unwrap();
    assert_eq!(served.told(), "asked");
    served.ended.recv_timeout(PATIENCE).unwrap().unwrap();
    assert!(Resolver::connect(served.state.path()).is_err());
}

#[test]
fn it_hears_and_does_what_is_due() {
    let (mut process, pidfd) = sleeper();
    let needs = Needs {
        running: vec![pidfd],
        starting: false,
    };
    let served = serve(vec![needs]);
    assert_eq!(served.told(), "asked");
    for _ in 0..2 {
        rustix::io::write(&served.source, &1_u64.to_ne_bytes()).unwrap();
        assert_eq!([served.told(), served.told()], ["heard", "done"]);
    }
    process.kill().unwrap();
    process.wait().unwrap();
    assert_eq!(served.told(), "asked");
    served.ended.recv_timeout(PATIENCE).unwrap().unwrap();
}
