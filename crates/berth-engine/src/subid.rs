//! Ranges of ids for user namespaces: which are free, and which one a container gets.
//!
//! A range is decided at start, not at create: what counts is that no other *running* container
//! has it. Taken is what any uid_map or gid_map in /proc shows, what the spec of a started
//! container says, and what /etc/subuid gives to somebody else (subuid(5)).

use std::collections::HashSet;
use std::path::Path;

use berth_base::{ErrorClass, HostPid};
use oci_spec::OciSpecError;
use oci_spec::runtime::{LinuxIdMapping, LinuxIdMappingBuilder};

use crate::EngineError;

/// Ids per container: as many as make every 16-bit id valid.
pub(crate) const SIZE: u32 = 65536;
/// Where root's ranges begin when /etc/subuid gives it none: above what adduser(8) hands out
/// first, 524288 being shadow's habit for the first login user in newer releases.
const FIRST: u32 = 524_288;
/// One past the last usable id: -1 and what 32-bit systems call nobody stay out.
const LIMIT: u32 = 0xffff_0000;

/// Consecutive ids, `start..start + count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IdRange {
    pub(crate) start: u32,
    pub(crate) count: u32,
}

impl IdRange {
    pub(crate) const fn new(start: u32, count: u32) -> Self {
        Self { start, count }
    }

    fn end(self) -> u64 {
        u64::from(self.start) + u64::from(self.count)
    }

    fn overlaps(self, other: Self) -> bool {
        u64::from(self.start) < other.end() && u64::from(other.start) < self.end()
    }
}

/// No range is free.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot give the container a user namespace: no {count} consecutive ids of {file} are free; stop a container that has one, or add a range for {owner:?} to {file}"
)]
pub(crate) struct NoFreeRange {
    file: &'static str,
    owner: String,
    count: u32,
}

impl From<NoFreeRange> for EngineError {
    fn from(error: NoFreeRange) -> Self {
        Self::new(ErrorClass::Unavailable, error.to_string())
    }
}

/// uid or gid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdKind {
    Uid,
    Gid,
}

impl IdKind {
    const fn sub_file(self) -> &'static str {
        match self {
            Self::Uid => "/etc/subuid",
            Self::Gid => "/etc/subgid",
        }
    }

    const fn map_file(self) -> &'static str {
        match self {
            Self::Uid => "uid_map",
            Self::Gid => "gid_map",
        }
    }
}

/// What /etc/subuid or /etc/subgid says: owner (name or uid) and range of each sound line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SubIds {
    entries: Vec<(String, IdRange)>,
}

impl SubIds {
    pub(crate) fn read(kind: IdKind) -> Self {
        Self::parse(&std::fs::read_to_string(kind.sub_file()).unwrap_or_default())
    }

    /// `owner:start:count` a line; one that makes no sense is skipped, as shadow does.
    fn parse(text: &str) -> Self {
        let entries = text
            .lines()
            .filter_map(|line| {
                let mut fields = line.split(':');
                let owner = fields.next().filter(|o| !o.is_empty())?;
                let start = fields.next()?.parse().ok()?;
                let count: u32 = fields.next()?.parse().ok()?;
                let range = IdRange::new(start, count);
                let sound = count > 0 && range.end() <= u64::from(u32::MAX);
                (sound && fields.next().is_none()).then(|| (owner.to_owned(), range))
            })
            .collect();
        Self { entries }
    }

    /// Whether any range is given to one of the owners.
    pub(crate) fn has(&self, owners: &[&str]) -> bool {
        self.entries
            .iter()
            .any(|(owner, _)| owners.contains(&owner.as_str()))
    }

    fn of(&self, owners: &[&str]) -> Vec<IdRange> {
        self.entries
            .iter()
            .filter(|(owner, _)| owners.contains(&owner.as_str()))
            .map(|(_, range)| *range)
            .collect()
    }

    fn of_others(&self, owners: &[&str]) -> Vec<IdRange> {
        self.entries
            .iter()
            .filter(|(owner, _)| !owners.contains(&owner.as_str()))
            .map(|(_, range)| *range)
            .collect()
    }
}

/// Chooses a range for root: from the ranges that /etc/subuid gives to `root` or `berth`, else
/// from 524288 upwards, where it must not touch what anybody else was given.
pub(crate) fn allocate_for_root(
    kind: IdKind,
    sub_ids: &SubIds,
    taken: &[IdRange],
) -> Result<IdRange, NoFreeRange> {
    let owners = ["root", "berth"];
    let own = sub_ids.of(&owners);
    let (candidates, others) = if own.is_empty() {
        let all = IdRange::new(FIRST, LIMIT - FIRST);
        (vec![all], sub_ids.of_others(&owners))
    } else {
        // Who gave root a range that overlaps another's meant it.
        (own, Vec::new())
    };
    candidates
        .iter()
        .flat_map(|range| slices(*range))
        .filter(|slice| slice.count == SIZE)
        .find(|slice| !others.iter().chain(taken).any(|t| t.overlaps(*slice)))
        .ok_or_else(|| NoFreeRange {
            file: kind.sub_file(),
            owner: "berth".into(),
            count: SIZE,
        })
}

/// Chooses a range for an unprivileged caller from those /etc/subuid gives it; `None` when it has
/// none that is free, and then its own id alone is mapped.
pub(crate) fn allocate_for_user(
    sub_ids: &SubIds,
    owners: &[&str],
    taken: &[IdRange],
) -> Option<IdRange> {
    sub_ids
        .of(owners)
        .into_iter()
        .flat_map(slices)
        .find(|slice| !taken.iter().any(|t| t.overlaps(*slice)))
}

/// The first range of a user, up to [`SIZE`] of it, whoever else runs with it.
pub(crate) fn whole_range(sub_ids: &SubIds, owners: &[&str]) -> Option<IdRange> {
    sub_ids.of(owners).into_iter().flat_map(slices).next()
}

/// Cuts a range into pieces of [`SIZE`], the last perhaps shorter.
fn slices(range: IdRange) -> impl Iterator<Item = IdRange> {
    (0..range.count)
        .step_by(usize::try_from(SIZE).unwrap_or(usize::MAX))
        .map(move |offset| {
            let count = SIZE.min(range.count - offset);
            IdRange::new(range.start + offset, count)
        })
}

/// One line of a uid_map or gid_map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IdMap {
    /// First id in the container.
    pub(crate) inside: u32,
    /// First id as the caller's user namespace counts.
    pub(crate) outside: u32,
    /// How many.
    pub(crate) size: u32,
}

impl IdMap {
    /// The spec's form.
    pub(crate) fn to_spec(self) -> Result<LinuxIdMapping, OciSpecError> {
        LinuxIdMappingBuilder::default()
            .container_id(self.inside)
            .host_id(self.outside)
            .size(self.size)
            .build()
    }
}

/// The mapping of a container started by root: its ids 0.. are a range of nobody's.
pub(crate) fn map_range(range: IdRange) -> Vec<IdMap> {
    vec![IdMap {
        inside: 0,
        outside: range.start,
        size: range.count,
    }]
}

/// The mapping of an unprivileged caller's container: its root is the caller, the rest is a range
/// of the caller's sub-ids where there is one.
pub(crate) fn map_caller(id: u32, range: Option<IdRange>) -> Vec<IdMap> {
    let own = IdMap {
        inside: 0,
        outside: id,
        size: 1,
    };
    let rest = range.map(|range| IdMap {
        inside: 1,
        outside: range.start,
        size: range.count,
    });
    std::iter::once(own).chain(rest).collect()
}

/// The host ranges of a spec's mappings.
pub(crate) fn ranges_of(mappings: Option<&Vec<LinuxIdMapping>>) -> Vec<IdRange> {
    mappings
        .into_iter()
        .flatten()
        .map(|m| IdRange::new(m.host_id(), m.size()))
        .collect()
}

/// Every range that the user namespaces of living processes map, as the caller's own user
/// namespace counts ids (user_namespaces(7)). The caller's own mapping is no range of anybody.
pub(crate) fn ranges_in_use(proc: &Path, kind: IdKind) -> Vec<IdRange> {
    let mut seen = HashSet::new();
    let mut ranges = Vec::new();
    let own = std::fs::read_link(proc.join("self/ns/user")).ok();
    seen.extend(own);
    for entry in std::fs::read_dir(proc).into_iter().flatten().flatten() {
        let is_process = entry
            .file_name()
            .to_str()
            .is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
        if !is_process {
            continue;
        }
        let dir = entry.path();
        // One look per namespace; a link that may not be read is looked through every time.
        let link = std::fs::read_link(dir.join("ns/user"));
        if link.as_ref().is_ok_and(|link| seen.contains(link)) || is_dead(&dir) {
            continue;
        }
        seen.extend(link);
        let map = std::fs::read_to_string(dir.join(kind.map_file())).unwrap_or_default();
        ranges.extend(parse_map(&map));
    }
    ranges
}

/// Whether a process is a zombie: it makes no files any more. A living one may have the same user
/// namespace, so the namespace counts as seen only by one of those.
fn is_dead(process: &Path) -> bool {
    let stat = std::fs::read(process.join("stat")).unwrap_or_default();
    let state = stat.iter().rposition(|&b| b == b')').map(|end| end + 2);
    matches!(state.and_then(|at| stat.get(at)), Some(b'Z' | b'X'))
}

/// Reads a uid_map; the identity over all ids belongs to the initial namespace and is left out.
fn parse_map(text: &str) -> Vec<IdRange> {
    map_lines(text)
        .filter(|map| map.size != u32::MAX)
        .map(|map| IdRange::new(map.outside, map.size))
        .collect()
}

/// The mapping of a process's user namespace.
pub(crate) fn map_of(pid: HostPid, kind: IdKind) -> Vec<IdMap> {
    let path = format!("/proc/{pid}/{}", kind.map_file());
    map_lines(&std::fs::read_to_string(path).unwrap_or_default()).collect()
}

/// The lines of a uid_map or gid_map (user_namespaces(7)).
fn map_lines(text: &str) -> impl Iterator<Item = IdMap> {
    text.lines().filter_map(|line| {
        let mut fields = line.split_ascii_whitespace().map(str::parse);
        Some(IdMap {
            inside: fields.next()?.ok()?,
            outside: fields.next()?.ok()?,
            size: fields.next()?.ok()?,
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn root_takes_its_own_entry_in_slices() {
        let sub = SubIds::parse("alice:100000:65536\nroot:1000000:131072\n");
        let first = allocate_for_root(IdKind::Uid, &sub, &[]).unwrap();
        assert_eq!(first, IdRange::new(1_000_000, SIZE));
        let second = allocate_for_root(IdKind::Uid, &sub, &[first]).unwrap();
        assert_eq!(second, IdRange::new(1_065_536, SIZE));
        let error = allocate_for_root(IdKind::Uid, &sub, &[first, second]).unwrap_err();
        insta::assert_snapshot!(error, @r#"cannot give the container a user namespace: no 65536 consecutive ids of /etc/subuid are free; stop a container that has one, or add a range for "berth" to /etc/subuid"#);
    }

    #[test]
    fn without_an_entry_root_avoids_everybodys_ranges() {
        let sub = SubIds::parse("alice:524288:65536\nbob:600000:10\n");
        let range = allocate_for_root(IdKind::Uid, &sub, &[]).unwrap();
        assert_eq!(range, IdRange::new(655_360, SIZE));
        // One id of a foreign map inside a slice is enough to leave it alone.
        let taken = [IdRange::new(655_360 + 7, 1)];
        let range = allocate_for_root(IdKind::Uid, &sub, &taken).unwrap();
        assert_eq!(range, IdRange::new(720_896, SIZE));
    }

    #[test]
    fn a_user_gets_a_free_slice_or_nothing() {
        let sub = SubIds::parse("1000:100000:65536\nalice:300000:5\n");
        let owners = ["alice", "1000"];
        let first = allocate_for_user(&sub, &owners, &[]).unwrap();
        assert_eq!(first, IdRange::new(100_000, SIZE));
        let second = allocate_for_user(&sub, &owners, &[first]).unwrap();
        assert_eq!(second, IdRange::new(300_000, 5));
        assert_eq!(allocate_for_user(&sub, &owners, &[first, second]), None);
        assert_eq!(allocate_for_user(&sub, &["bob"], &[]), None);
        let mappings = map_caller(1000, Some(second));
        assert_eq!(mappings.len(), 2);
        assert_eq!(mappings[1].inside, 1);
    }

    #[test]
    fn unsound_lines_are_skipped() {
        let text = "a\n:1:2\nb:x:1\nc:1:0\nd:4294967295:2\ne:5:6:7\nok:5:6\n";
        assert_eq!(
            SubIds::parse(text).entries,
            [("ok".to_owned(), IdRange::new(5, 6))]
        );
    }

    #[test]
    fn maps_in_a_proc_tree_are_taken_but_the_callers_own_is_not() {
        let dir = tempfile::tempdir().unwrap();
        for (name, ns, map) in [
            ("self", "user:[1]", "0 0 4294967295\n"),
            ("1", "user:[1]", "0 0 4294967295\n"),
            ("7", "user:[2]", "         0     524288      65536\n"),
            ("8", "user:[2]", "         0     524288      65536\n"),
            ("net", "user:[9]", "0 3 4\n"),
            ("10", "user:[10]", "0 7000 1\n"),
            ("9", "user:[3]", "0 1000 1\n1 100000 65536\n"),
        ] {
            let process = dir.path().join(name);
            std::fs::create_dir_all(process.join("ns")).unwrap();
            std::os::unix::fs::symlink(ns, process.join("ns/user")).unwrap();
            std::fs::write(process.join("uid_map"), map).unwrap();
            let state = if name == "10" { 'Z' } else { 'S' };
            let stat = format!("{name} (a) R) {state} 1 1");
            std::fs::write(process.join("stat"), stat).unwrap();
        }
        let mut ranges = ranges_in_use(dir.path(), IdKind::Uid);
        ranges.sort_by_key(|r| r.start);
        assert_eq!(
            ranges,
            [
                IdRange::new(1000, 1),
                IdRange::new(100_000, 65536),
                IdRange::new(524_288, 65536)
            ]
        );
    }

    proptest! {
        #[test]
        fn what_is_allocated_never_overlaps(taken in prop::collection::vec((0u32..4_000_000, 1u32..200_000), 0..20)) {
            let taken: Vec<IdRange> = taken.into_iter().map(|(s, c)| IdRange::new(s, c)).collect();
            let range = allocate_for_root(IdKind::Gid, &SubIds::default(), &taken).unwrap();
            prop_assert!(!taken.iter().any(|t| t.overlaps(range)));
            prop_assert_eq!(range.count, SIZE);
        }
    }
}
