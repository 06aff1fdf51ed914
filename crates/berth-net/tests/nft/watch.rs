//! Somebody else takes our table away.

use std::os::fd::AsFd as _;

use berth_base::Transport;
use berth_net::nft::{self, Loss, Rules, Tag, Watch};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::lab::{networks, port};
use crate::space::Space;

/// The losses among what was announced so far: the kernel announces before it answers.
fn losses(watch: &mut Watch) -> Vec<Loss> {
    let mut losses = Vec::new();
    loop {
        let now = Timespec::default();
        let ready = poll(
            &mut [PollFd::new(&watch.as_fd(), PollFlags::IN)],
            Some(&now),
        )
        .unwrap();
        if ready == 0 {
            return losses;
        }
        losses.extend(watch.wait().unwrap());
    }
}

#[test]
fn what_others_take_is_noticed_and_what_we_do_is_not() {
    let Some(space) = Space::new() else { return };
    let (socket, tag) = (space.netfilter(), Tag::default());
    let rules = Rules {
        networks: networks(),
        published: vec![port(Transport::Tcp, "8080", "10.99.1.2:80")],
        ..Rules::default()
    };
    let mut watch = space.run(|| Watch::open(&tag).unwrap());
    let install = || nft::install(&rules).unwrap().perform(&socket).unwrap();
    install();
    install();
    nft::unpublish(&socket, &tag, &rules.published).unwrap();
    nft::publish(&socket, &tag, &rules.published).unwrap();
    nft::remove_network(&tag, &rules.networks[0])
        .unwrap()
        .perform(&socket)
        .unwrap();
    install();
    assert_eq!(losses(&mut watch), []);
    for (damage, count) in [
        ("flush ruleset", 1),
        ("flush table inet berth", 1),
        ("delete table inet berth", 1),
        ("flush chain inet berth between", 1),
        (
            "add table inet other; add chain inet other c; delete table inet other",
            0,
        ),
        ("add table ip berth; delete table ip berth", 0),
    ] {
        space.input("nft", &["-f", "-"], damage);
        let found = losses(&mut watch);
        assert_eq!(found.len(), count, "{damage}: {found:?}");
        for loss in found {
            let Loss::Removed {
                by: Some((program, _)),
            } = loss
            else {
                panic!("{damage}: {loss:?}");
            };
            assert_eq!(program, "nft");
        }
        install();
        assert_eq!(losses(&mut watch), []);
    }
}

#[test]
fn dockers_chain_is_heard_of() {
    let Some(space) = Space::new() else { return };
    let mut watch = space.run(|| Watch::open(&Tag::default()).unwrap());
    for (change, expected) in [
        ("add table ip filter; add chain ip filter FORWARD", 0),
        ("add chain ip filter DOCKER-USER", 1),
        ("add rule ip filter DOCKER-USER counter accept", 0),
        ("flush chain ip filter DOCKER-USER", 1),
        ("add table ip6 filter; add chain ip6 filter DOCKER-USER", 1),
        ("add table ip nat; add chain ip nat DOCKER-USER", 0),
        ("delete chain ip filter DOCKER-USER", 0),
    ] {
        space.input("nft", &["-f", "-"], change);
        let found = losses(&mut watch);
        assert!(found.iter().all(|loss| *loss == Loss::Docker), "{found:?}");
        assert_eq!(found.len(), expected, "{change}");
    }
}

#[test]
fn too_much_to_tell_is_said() {
    let Some(space) = Space::new() else { return };
    let tag = Tag::default();
    let mut watch = space.run(|| Watch::open(&tag).unwrap());
    let socket = space.netfilter();
    // More than the socket holds.
    for _ in 0..400 {
        nft::install(&Rules::default())
            .unwrap()
            .perform(&socket)
            .unwrap();
    }
    assert!(losses(&mut watch).contains(&Loss::Unknown));
}
