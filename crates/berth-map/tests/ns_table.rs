//! The table of namespaces, what keeps them alive, and their document, on fake worlds.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

mod support;

use berth_base::{NamespaceId, NamespaceKind};
use berth_map::annotate::{Labels, annotate};
use berth_map::json::{NsDocument, Residents};
use berth_map::model::{Holder, Namespace, Thread, World};
use berth_map::ns_table::{NsFilter, Relation, family, rows, tree, with_superiors};
use berth_map::who::{How, keepers};
use support::{Fake, parts, pid, three_levels};

const NET: NamespaceId = NamespaceId {
    kind: NamespaceKind::Net,
    inode: 777,
};
const OTHER: NamespaceId = NamespaceId {
    kind: NamespaceKind::Net,
    inode: 778,
};

/// A network namespace that nothing lives in, and one with a single thread.
fn held() -> World {
    let mut all = parts(vec![
        Fake::new(&[1], 0, "init").process(),
        Fake::new(&[9], 1, "ho\x1blder").process(),
    ]);
    all.namespaces = vec![Namespace::new(NET), Namespace::new(OTHER)];
    let mount = Holder::BindMount {
        mount_namespace: all.host.namespaces.of(NamespaceKind::Mnt),
        path: "/run/netns/b\x1blue".to_owned(),
    };
    let holders = vec![
        mount,
        Holder::Socket { pid: pid(9), fd: 4 },
        Holder::Descriptor { pid: pid(9), fd: 3 },
        Holder::ForChildren { pid: pid(1) },
        Holder::Child { namespace: OTHER },
    ];
    all.details.holders.insert(NET, holders);
    let mut namespaces = all.host.namespaces;
    namespaces.insert(OTHER);
    let thread = Thread {
        tid: pid(10),
        tids: vec![10],
        namespaces,
        comm: "t".to_owned(),
        state: 'S',
        start_ticks: 1,
    };
    all.details.threads.insert(pid(9), vec![thread]);
    World::assemble(all)
}

#[test]
fn rows_count_processes_threads_and_holders() {
    let world = held();
    let all = rows(&world, &NsFilter::default());
    assert_eq!(all.len(), 10);
    let of = |id: NamespaceId| all.iter().find(|row| row.namespace.id == id).unwrap();
    let empty = of(NET);
    assert_eq!(
        (empty.namespace.processes, empty.threads, empty.holders),
        (0, 0, 4)
    );
    assert_eq!(empty.path.as_deref(), Some("/run/netns/b\x1blue"));
    assert!(empty.is_persistent());
    let threaded = of(OTHER);
    assert_eq!((threaded.namespace.processes, threaded.threads), (0, 1));
    assert_eq!(threaded.path.as_deref(), Some("/proc/9/task/10/ns/net"));
    assert!(!threaded.is_persistent());
    let host = of(world.host().namespaces.of(NamespaceKind::Net).unwrap());
    assert_eq!(
        (host.lowest, host.path.as_deref()),
        (Some(pid(1)), Some("/proc/1/ns/net"))
    );
}

#[test]
fn filters_leave_what_is_asked_for() {
    let world = held();
    let count = |filter: NsFilter| rows(&world, &filter).len();
    let kinds = vec![NamespaceKind::Net];
    assert_eq!(
        count(NsFilter {
            kinds,
            ..NsFilter::default()
        }),
        3
    );
    assert_eq!(
        count(NsFilter {
            persistent: true,
            ..NsFilter::default()
        }),
        1
    );
    assert_eq!(
        count(NsFilter {
            inode: Some(777),
            ..NsFilter::default()
        }),
        1
    );
    // Its eight, and the one that its next child will be born in.
    assert_eq!(
        count(NsFilter {
            process: Some(pid(1)),
            ..NsFilter::default()
        }),
        9
    );
    assert_eq!(
        count(NsFilter {
            process: Some(pid(9)),
            ..NsFilter::default()
        }),
        8
    );
    assert_eq!(
        count(NsFilter {
            process: Some(pid(8)),
            ..NsFilter::default()
        }),
        0
    );
}

#[test]
fn everything_that_keeps_it_alive_is_told_and_escaped() {
    let world = held();
    let found = keepers(&world, NET).unwrap();
    let told: Vec<(&str, Option<u32>, String)> = found
        .iter()
        .map(|k| (k.how.as_str(), k.pid.map(|p| p.get()), k.how.detail()))
        .collect();
    let expected = [
        ("for-children", Some(1), String::new()),
        ("descriptor", Some(9), "fd 3".to_owned()),
        ("socket", Some(9), "fd 4".to_owned()),
        (
            "bind-mount",
            None,
            "/run/netns/b\\x1blue in mnt:[103]".to_owned(),
        ),
        ("child", None, "net:[778]".to_owned()),
    ];
    assert_eq!(told, expected);
    assert_eq!(found[1].name.as_deref(), Some("ho\\x1blder"));
    let threads = keepers(&world, OTHER).unwrap();
    assert_eq!(threads.len(), 1);
    assert_eq!(threads[0].how, How::Thread { tid: pid(10) });
    let gone = NamespaceId { inode: 1, ..NET };
    assert_eq!(keepers(&world, gone), None);
}

#[test]
fn every_row_is_in_the_tree_once() {
    let world = three_levels().world();
    let all = rows(&world, &NsFilter::default());
    for relation in [Relation::Process, Relation::Parent, Relation::Owner] {
        let branches = tree(&world, &all, relation);
        let mut places: Vec<usize> = branches.iter().map(|branch| branch.row).collect();
        places.sort_unstable();
        assert_eq!(places, (0..all.len()).collect::<Vec<_>>(), "{relation:?}");
    }
    let deepest = NsFilter {
        inode: Some(300),
        ..NsFilter::default()
    };
    let deepest = rows(&world, &deepest);
    assert_eq!(deepest.len(), 1);
    let above = |relation| {
        let all = with_superiors(&world, deepest.clone(), relation);
        all.into_iter()
            .map(|row| row.namespace.id.inode)
            .collect::<Vec<_>>()
    };
    assert_eq!(above(Relation::Parent), [100, 200, 300]);
    assert_eq!(above(Relation::Process), [300]);
    let pids = rows(
        &world,
        &NsFilter {
            kinds: vec![NamespaceKind::Pid],
            ..NsFilter::default()
        },
    );
    let branches = tree(&world, &pids, Relation::Parent);
    let drawn: Vec<(u64, usize)> = branches
        .iter()
        .map(|b| (pids[b.row].namespace.id.inode, b.depth))
        .collect();
    assert_eq!(drawn, [(100, 0), (200, 1), (300, 2)]);
    assert_eq!(tree(&world, &pids, Relation::Process), branches);
}

#[test]
fn processes_hang_below_their_parents() {
    let world = three_levels().world();
    let all: Vec<_> = world.processes().iter().collect();
    for branch in family(&all) {
        let process = all[branch.row];
        let above = |p: &berth_map::Process| world.parent(p);
        let depth = std::iter::successors(above(process), |p| above(p)).count();
        assert_eq!(branch.depth, depth, "{}", process.pid);
    }
    assert_eq!(family(&all).len(), all.len());
}

#[test]
fn a_path_leads_through_a_process_that_may_be_looked_at() {
    let mut hidden = Fake::new(&[1], 0, "init").process();
    hidden.links = berth_map::model::Links::Denied;
    let world = World::assemble(parts(vec![hidden, Fake::new(&[9], 1, "sh").process()]));
    let pid_namespace = world.host().namespaces.of(NamespaceKind::Pid).unwrap();
    let all = rows(&world, &NsFilter::default());
    let row = all.iter().find(|r| r.namespace.id == pid_namespace);
    let row = row.unwrap();
    assert_eq!(row.lowest, Some(pid(1)));
    assert_eq!(row.path.as_deref(), Some("/proc/9/ns/pid"));
}

#[test]
fn containers_own_what_is_not_the_hosts() {
    let world = three_levels().world();
    let filter = NsFilter {
        kinds: vec![NamespaceKind::Net, NamespaceKind::Pid],
        ..NsFilter::default()
    };
    let owned: Vec<(u64, Option<String>)> = rows(&world, &filter)
        .iter()
        .map(|row| {
            (
                row.namespace.id.inode,
                row.container.map(|c| world.container_label(c)),
            )
        })
        .collect();
    let web = || Some("web".to_owned());
    assert_eq!(
        owned,
        [
            (100, None),
            (104, None),
            (200, web()),
            (204, web()),
            (300, web())
        ]
    );
}

#[test]
fn the_document_is_flat_and_its_numbers_are_strings() {
    let world = held();
    let all = rows(
        &world,
        &NsFilter {
            inode: Some(777),
            ..NsFilter::default()
        },
    );
    let document = NsDocument::new(&world, &all, Residents::Counted);
    let json = serde_json::to_value(&document).unwrap();
    assert_eq!(json["namespaces"][0]["id"], "777");
    assert_eq!(json["namespaces"][0]["holders"], 4);
    let keepers = json["keepers"].as_array().unwrap();
    assert_eq!(keepers.len(), 5);
    assert!(keepers.iter().all(|keeper| keeper["id"] == "777"));
    assert_eq!(keepers[3]["mount_namespace"], "103");
    let host = rows(
        &world,
        &NsFilter {
            inode: Some(104),
            ..NsFilter::default()
        },
    );
    let listed = NsDocument::new(&world, &host, Residents::Listed);
    let counted = NsDocument::new(&world, &host, Residents::Counted);
    assert_eq!((listed.keepers.len(), counted.keepers.len()), (2, 0));
}

#[test]
fn labels_name_the_container_and_the_pid_inside() {
    let world = three_levels().world();
    let mut out = Vec::new();
    annotate(b"1 500 501 522 700 9999", &Labels::of(&world), &mut out);
    let text = String::from_utf8(out).unwrap();
    assert_eq!(
        text,
        "1 500 [web:1] 501 [web:7] 522 [web:22] 700 [agent:700] 9999"
    );
}

#[test]
fn every_field_is_documented() {
    let page = include_str!("../../../docs/map-commands.md");
    let world = held();
    let all = rows(&world, &NsFilter::default());
    let findings = berth_map::check::check(&world);
    let documents = [
        serde_json::to_value(NsDocument::new(&world, &all, Residents::Listed)).unwrap(),
        serde_json::to_value(berth_map::json::CheckDocument::new(&world, &findings)).unwrap(),
    ];
    let mut fields = Vec::new();
    documents
        .iter()
        .for_each(|document| collect_fields(document, &mut fields));
    assert!(fields.len() > 30, "{fields:?}");
    let words: Vec<&str> = page
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .collect();
    for field in fields {
        assert!(
            words.contains(&field.as_str()),
            "docs/map-commands.md does not name {field}"
        );
    }
    for rule in berth_map::check::RULES {
        assert!(
            words.contains(&rule.id),
            "docs/map-commands.md does not name {}",
            rule.id
        );
    }
}

fn collect_fields(value: &serde_json::Value, fields: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(map) => {
            for (field, value) in map {
                fields.push(field.clone());
                collect_fields(value, fields);
            }
        }
        serde_json::Value::Array(values) => values.iter().for_each(|v| collect_fields(v, fields)),
        _ => {}
    }
}
