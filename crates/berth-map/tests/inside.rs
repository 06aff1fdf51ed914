//! The world as a container sees it.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

mod support;

use berth_base::{NamespaceId, NamespaceKind};
use berth_map::svg::{self, BoxId, Folding, PictureOptions};
use berth_map::{World, draw};
use support::{Fake, assemble};

fn pid_namespace(inode: u64) -> NamespaceId {
    NamespaceId {
        kind: NamespaceKind::Pid,
        inode,
    }
}

/// A host, a container, and one in that.
fn nested() -> World {
    let all = [
        Fake::new(&[1], 0, "init"),
        Fake::new(&[50], 1, "sleep"),
        Fake::new(&[200, 1], 50, "sh").isolated(300),
        Fake::new(&[201, 7], 200, "worker").isolated(300),
        Fake::new(&[210, 8, 1], 201, "inner").isolated(500),
        Fake::new(&[211, 9, 2], 210, "job").isolated(500),
        // Entered from the host: its parent is out of sight.
        Fake::new(&[220, 12], 50, "visitor").isolated(300),
    ];
    assemble(&all, Vec::new())
}

#[test]
fn pids_count_from_one_and_parents_outside_are_none() {
    let world = nested();
    let inside = world.inside(pid_namespace(300)).unwrap();
    let all = inside.processes().iter();
    let shown: Vec<_> = all
        .map(|p| (p.pids.clone(), p.parent.map(|p| p.get()), p.comm.as_str()))
        .collect();
    assert_eq!(
        shown,
        [
            (vec![1], None, "sh"),
            (vec![7], Some(1), "worker"),
            (vec![8, 1], Some(7), "inner"),
            (vec![9, 2], Some(8), "job"),
            (vec![12], None, "visitor"),
        ]
    );
    assert_eq!(inside.host().pid_namespace, Some(pid_namespace(300)));
    let namespace = |inode| inside.namespace(pid_namespace(inode));
    assert_eq!(namespace(300).unwrap().level, Some(0));
    assert_eq!(namespace(500).unwrap().level, Some(1));
    // The host's are out of sight.
    assert!(namespace(support::HOST_PIDNS).is_none());
    let text = draw::map(&inside, &draw::MapOptions::default());
    for pid in ["200", "201", "210", "220", "sleep"] {
        assert!(!text.contains(pid), "{pid}: {text}");
    }
}

#[test]
fn one_can_stand_in_each_and_in_nothing_else() {
    let world = nested();
    let inner = world.inside(pid_namespace(500)).unwrap();
    let pids: Vec<u32> = inner.processes().iter().map(|p| p.pid.get()).collect();
    assert_eq!(pids, [1, 2]);
    // From within as from without.
    let outer = world.inside(pid_namespace(300)).unwrap();
    assert_eq!(
        outer.inside(pid_namespace(500)).unwrap().processes(),
        inner.processes()
    );
    assert!(world.inside(pid_namespace(999)).is_none());
    let network = NamespaceId {
        kind: NamespaceKind::Net,
        inode: 300,
    };
    assert!(world.inside(network).is_none());
}

#[test]
fn an_outline_names_what_it_shows() {
    let world = nested();
    let outline = svg::outline(&world, &PictureOptions::default(), Folding::Nothing);
    assert_eq!((outline.id, outline.rows.len()), (BoxId::Host, 2));
    let [container] = outline.inner.as_slice() else {
        panic!("{outline:?}")
    };
    assert_eq!(container.id, BoxId::Namespace(pid_namespace(300)));
    assert_eq!(container.head.unwrap().get(), 200);
    let pids: Vec<u32> = container
        .rows
        .iter()
        .map(|row| row.processes[0].get())
        .collect();
    assert_eq!(pids, [200, 201, 220]);
    assert_eq!(container.inner[0].id, BoxId::Namespace(pid_namespace(500)));
}

#[test]
fn nothing_is_folded_that_is_to_be_found() {
    let mut all = vec![Fake::new(&[1], 0, "init")];
    all.extend((2..40).map(|n| Fake::new(&[n], 1, "same")));
    let world = assemble(&all, Vec::new());
    let rows = |folding| svg::outline(&world, &PictureOptions::default(), folding).rows;
    assert_eq!(rows(Folding::Nothing).len(), 39);
    let folded = rows(Folding::Crowds);
    assert_eq!((folded.len(), folded[1].count), (2, 38));
}
