//! Properties of translation and drawing, on random worlds.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

mod support;

use std::collections::HashMap;

use berth_base::{NamespaceId, NamespaceKind};
use berth_map::annotate::{Annotator, Labels, annotate};
use berth_map::attribute::KnownContainer;
use berth_map::dot;
use berth_map::draw::{self, KernelThreads, MapOptions, Style};
use berth_map::json::{Layout, MapDocument, to_text};
use berth_map::model::{Engine, World};
use berth_map::svg::{self, PictureOptions};
use berth_map::top;
use proptest::prelude::*;
use support::{Fake, HOST_PIDNS, pid};
use unicode_width::UnicodeWidthStr as _;

/// How one process comes about: which earlier one forks it, and what else happens.
#[derive(Clone, Debug)]
struct Birth {
    parent: usize,
    /// 0: it opens a PID namespace; 1: it joins that of the process `joins`; else neither.
    how: u8,
    joins: usize,
    state: char,
    comm: String,
}

fn births() -> impl Strategy<Value = Vec<Birth>> {
    let one = (
        any::<usize>(),
        0..6u8,
        any::<usize>(),
        prop_oneof![9 => Just('S'), 1 => Just('Z'), 1 => Just('T')],
        ".{0,15}",
    );
    let one = one.prop_map(|(parent, how, joins, state, comm)| Birth {
        parent,
        how,
        joins,
        state,
        comm,
    });
    prop::collection::vec(one, 0..60)
}

/// A PID namespace while the world is being made.
struct Space {
    inode: u64,
    /// From the host's to this one.
    chain: Vec<usize>,
}

/// Plays the births as the kernel would: each level counts on its own. Every PID namespace but
/// the host's belongs to a container.
fn play(births: &[Birth]) -> World {
    let mut spaces = vec![Space {
        inode: HOST_PIDNS,
        chain: vec![0],
    }];
    let mut counters: HashMap<usize, u32> = HashMap::new();
    let mut lives = vec![(0usize, 'S')];
    let mut all = vec![Fake::new(&[1], 0, "init")];
    let mut known = Vec::new();
    counters.insert(0, 1);
    for birth in births {
        let living: Vec<usize> = (0..all.len()).filter(|at| lives[*at].1 != 'Z').collect();
        let parent = living[birth.parent % living.len()];
        let mut space = lives[parent].0;
        if birth.how == 1 {
            // setns reaches namespaces below one's own only.
            let other = lives[birth.joins % lives.len()].0;
            if spaces[other].chain.contains(&space) {
                space = other;
            }
        }
        if birth.how == 0 && spaces[space].chain.len() < 6 {
            let mut chain = spaces[space].chain.clone();
            chain.push(spaces.len());
            spaces.push(Space {
                inode: 1000 + spaces.len() as u64,
                chain,
            });
            space = spaces.len() - 1;
        }
        let pids: Vec<u32> = spaces[space]
            .chain
            .iter()
            .map(|at| {
                let counter = counters.entry(*at).or_insert(0);
                *counter += 1;
                *counter
            })
            .collect();
        let fresh = pids.last() == Some(&1);
        let state = if fresh { 'S' } else { birth.state };
        let ppid = all[parent].process().pid.get();
        all.push(
            Fake::new(&pids, ppid, &birth.comm)
                .ns("pid", spaces[space].inode)
                .state(state),
        );
        lives.push((space, state));
        if fresh {
            known.push(container(known.len(), pids[0], spaces[space].inode));
        }
    }
    assemble_with_parents(&all, known, &spaces)
}

/// The hierarchy as the kernel's ioctl tells it: joined processes defeat inference.
fn assemble_with_parents(all: &[Fake], known: Vec<KnownContainer>, spaces: &[Space]) -> World {
    let mut parts = support::parts(all.iter().map(Fake::process).collect());
    parts.known = known;
    let id = |inode| NamespaceId {
        kind: NamespaceKind::Pid,
        inode,
    };
    for space in spaces.iter().skip(1) {
        let outer = space.chain[space.chain.len() - 2];
        let mut namespace = berth_map::model::Namespace::new(id(space.inode));
        namespace.parent = Some(id(spaces[outer].inode));
        parts.namespaces.push(namespace);
    }
    World::assemble(parts)
}

fn container(number: usize, init: u32, inode: u64) -> KnownContainer {
    KnownContainer {
        engine: Engine::Berth,
        id: format!("{number:064x}"),
        name: format!("c{number}"),
        init: pid(init),
        pid_namespace: Some(NamespaceId {
            kind: NamespaceKind::Pid,
            inode,
        }),
        own_pid_namespace: true,
        cgroup_dirs: Vec::new(),
        image: None,
        pod: None,
        evidence: berth_map::model::Evidence {
            kind: berth_map::model::EvidenceKind::RunFile,
            detail: "run.json".to_owned(),
        },
    }
}

/// Bytes of the kind that programs print: numbers, words, escape sequences, what is no text.
fn output() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        "[0-9]{1,3}".prop_map(String::into_bytes),
        "[ .,:/=\\-a-z\n\r\t]{1,2}".prop_map(String::into_bytes),
        Just(b"\x1b[1m".to_vec()),
        Just("é├".as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 1..4),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn what_is_annotated_is_what_came_and_labels(text in output(), sizes in prop::collection::vec(1..20usize, 1..30)) {
        let labels = Labels::from_pairs((1..1000).map(|pid| (pid, " [\u{1f6a2}]".to_owned())));
        let mut whole = Vec::new();
        annotate(&text, &labels, &mut whole);
        let none = Labels::default();
        let mut same = Vec::new();
        annotate(&text, &none, &mut same);
        prop_assert_eq!(&same, &text);
        // Taking the labels out gives back every byte.
        let label = " [\u{1f6a2}]".as_bytes();
        let mut rest = whole.as_slice();
        let mut back = Vec::new();
        while let Some(byte) = rest.first() {
            match rest.strip_prefix(label) {
                Some(after) => rest = after,
                None => {
                    back.push(*byte);
                    rest = &rest[1..];
                }
            }
        }
        prop_assert_eq!(&back, &text);
        // However it arrives. Escape sequences that span lines are cut there.
        if !text.contains(&0x1b) {
            let mut annotator = Annotator::default();
            let mut out = Vec::new();
            let mut rest = text.as_slice();
            for size in sizes.iter().cycle().take(text.len()) {
                let (now, later) = rest.split_at((*size).min(rest.len()));
                annotator.feed(now, &labels, &mut out);
                rest = later;
            }
            annotator.finish(&labels, &mut out);
            prop_assert_eq!(out, whole);
        }
    }
}

proptest! {
    #[test]
    fn down_and_up_are_inverse(births in births()) {
        let world = play(&births);
        for (container, _) in world.indexed_containers() {
            for process in world.processes() {
                if let Some(inside) = world.seen_from(process.pid, container) {
                    prop_assert_eq!(world.host_pid(container, inside), Some(process.pid));
                }
            }
            for inside in 0..80 {
                if let Some(host) = world.host_pid(container, inside) {
                    prop_assert_eq!(world.seen_from(host, container), Some(inside));
                }
            }
        }
    }

    #[test]
    fn every_level_of_every_process_is_known_and_answered(births in births()) {
        let world = play(&births);
        for process in world.processes() {
            let resolution = world.resolve(process.pid).unwrap();
            prop_assert_eq!(resolution.levels.len(), process.pids.len());
            for level in &resolution.levels {
                let namespace = level.namespace.unwrap();
                prop_assert_eq!(world.namespace(namespace).unwrap().level, Some(level.level));
                prop_assert_eq!(world.pid_in(process, namespace), Some(level.pid));
                prop_assert_eq!(level.container.is_some(), level.level > 0);
            }
            // The answer is the innermost container's, and leads back.
            let innermost = resolution.levels.last().unwrap();
            prop_assert_eq!(resolution.answer.container, innermost.container);
            prop_assert_eq!(resolution.answer.pid, innermost.pid);
            let outer: Vec<_> = resolution.levels.iter().filter_map(|l| l.container).collect();
            let enclosing: Vec<_> = world.enclosing(resolution.owner).collect();
            prop_assert!(outer.iter().rev().eq(enclosing.iter()));
        }
    }

    #[test]
    fn every_process_is_drawn_once_on_clean_aligned_lines(
        births in births(),
        width in 40..140usize,
        ascii in any::<bool>(),
    ) {
        let world = play(&births);
        let style = if ascii { Style::Ascii } else { Style::Unicode };
        let options = MapOptions { width, style, kernel_threads: KernelThreads::Listed, ..MapOptions::default() };
        let text = draw::map(&world, &options);
        prop_assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
        let mut shown = 0;
        for line in text.lines().skip(1) {
            prop_assert!(line.width() <= width.max(60), "{}", line);
            let folded = line.split(" Z zombie x").nth(1);
            let count = folded.and_then(|rest| rest.split(' ').next()?.parse().ok());
            shown += count.unwrap_or(usize::from(line.ends_with(|c: char| c.is_ascii_digit())));
        }
        if width > 100 {
            prop_assert_eq!(shown, world.processes().len());
        }
    }

    #[test]
    fn every_lens_and_the_picture_hold_every_process(births in births(), lens in 0..8usize) {
        let world = play(&births);
        let lens = NamespaceKind::ALL[lens];
        let options = MapOptions { width: 200, lens, kernel_threads: KernelThreads::Listed, ..MapOptions::default() };
        let text = draw::map(&world, &options);
        prop_assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
        let options = PictureOptions { lens, kernel_threads: KernelThreads::Listed, ..PictureOptions::default() };
        let picture = svg::layout(&world, &options);
        let bottom = picture.size.height;
        for pill in &picture.pills {
            prop_assert!(pill.rect.y + pill.rect.height < bottom);
        }
        for text in [svg::write(&world, &options), dot::write(&world, &options)] {
            prop_assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
        }
        for process in world.processes() {
            let scope = format!("{}", process.pid).parse().unwrap();
            let selection = world.select(&scope).unwrap();
            prop_assert!(selection.has(process.pid));
        }
    }

    #[test]
    fn top_of_all_outermost_containers_is_everything_below_the_host(births in births()) {
        let world = play(&births);
        let mut listed = 0;
        for (index, container) in world.indexed_containers() {
            let rows = top::rows(&world, index);
            for row in &rows {
                let process = world.process(row.host_pid).unwrap();
                let mut pids = process.pids[..container.pid_level.unwrap()].to_vec();
                pids.extend(row.pid);
                pids.extend(&row.deeper);
                prop_assert_eq!(&pids, &process.pids);
            }
            if container.parent.is_none() {
                listed += rows.len();
            }
        }
        let below = world.processes().iter().filter(|p| p.level() > 0).count();
        prop_assert_eq!(listed, below);
    }

    #[test]
    fn the_document_refers_to_what_it_holds(births in births()) {
        let world = play(&births);
        let text = to_text(&MapDocument::from(&world), Layout::Compact).unwrap();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        let keys: Vec<_> = document["containers"].as_array().unwrap().iter().map(|c| &c["key"]).collect();
        let namespaces: Vec<_> = document["namespaces"].as_array().unwrap().iter().map(|n| &n["id"]).collect();
        for (shown, process) in document["processes"].as_array().unwrap().iter().zip(world.processes()) {
            prop_assert_eq!(shown["comm"].as_str().unwrap(), &process.comm);
            prop_assert!(shown["container"].is_null() || keys.contains(&&shown["container"]));
            for namespace in shown["pid_namespaces"].as_array().unwrap() {
                prop_assert!(namespaces.contains(&namespace));
            }
            let place = usize::try_from(shown["cgroups"].as_u64().unwrap()).unwrap();
            prop_assert!(document["cgroups"].as_array().unwrap().len() > place);
        }
    }
}
