//! What changed between two pages. Pure.

use serde::Serialize;
use std::collections::{HashMap, HashSet, VecDeque};

use super::fragments::Fragments;
use super::page::{Fragment, FragmentId, Page, places};

/// A message to a page.
#[derive(Debug, Serialize)]
pub(super) struct Delta<'p> {
    /// The number of the page that it leads to.
    n: u64,
    /// Whether it is the whole page: what it does not name is gone.
    full: bool,
    /// What is no longer there, and how it ended where that is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gone: Vec<(String, Option<String>)>,
    /// What is new, differs or moved, in the order of the document.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    put: Vec<Put<'p>>,
    /// What is said beside the picture, where it differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<&'p serde_json::Value>,
}

/// A fragment and its place: behind another of its kind in the same box, or first.
#[derive(Debug, Serialize)]
struct Put<'p> {
    id: String,
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    within: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    /// Absent where only its place is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    html: Option<&'p str>,
}

/// Fragments that stand in one row: the pills of a box, or the boxes in it.
type Lane = (Option<FragmentId>, bool);

impl<'p> Delta<'p> {
    /// From a page to a newer one; the whole page where there was none. `exit` tells how a process
    /// ended.
    pub(super) fn between(
        old: Option<&Page>,
        new: &'p Page,
        exit: impl Fn(FragmentId) -> Option<String>,
    ) -> Self {
        let meta = old.is_none_or(|old| old.meta != new.meta);
        let nothing = Fragments::default();
        let before = old.map_or(&nothing, |old| &old.fragments);
        // Mostly one pill is new; what is before and behind it needs no further look.
        let (head, tail) = before.common_ends(&new.fragments);
        let before: Vec<_> = before.range(head..before.len() - tail).collect();
        let after = &new.fragments;
        let after: Vec<_> = after.range(head..after.len() - tail).collect();
        let kept = places(&after);
        let gone = before.iter().filter(|f| !kept.contains_key(&f.id));
        let gone = gone.map(|f| (f.id.to_string(), exit(f.id)));
        Self {
            n: new.number,
            full: old.is_none(),
            gone: gone.collect(),
            put: changed(&before, &after, (&new.fragments, head), &kept),
            meta: meta.then_some(&new.meta),
        }
    }

    /// Whether a client that has it already misses nothing.
    pub(super) fn is_empty(&self) -> bool {
        !self.full && self.gone.is_empty() && self.put.is_empty() && self.meta.is_none()
    }
}

/// The last of the first fragments in a row.
fn last_in((all, count): (&Fragments, usize), row: Lane) -> Option<FragmentId> {
    if count == 0 {
        return None;
    }
    let mut ahead = all.iter().rev().skip(all.len() - count);
    ahead.find(|fragment| lane(fragment) == row).map(|f| f.id)
}

fn lane(fragment: &Fragment) -> Lane {
    let is_box = matches!(fragment.id, FragmentId::Box(_));
    (fragment.within, is_box)
}

fn changed<'p>(
    before: &[&Fragment],
    after: &[&'p Fragment],
    ahead: (&Fragments, usize),
    kept: &HashMap<FragmentId, usize>,
) -> Vec<Put<'p>> {
    let old = places(before);
    // Of each row, what stays in it, in its old order.
    let mut rows: HashMap<Lane, VecDeque<FragmentId>> = HashMap::new();
    for fragment in before {
        let stays = kept.get(&fragment.id).and_then(|at| after.get(*at));
        if stays.is_some_and(|new| lane(new) == lane(fragment)) {
            rows.entry(lane(fragment))
                .or_default()
                .push_back(fragment.id);
        }
    }
    let mut moved: HashSet<FragmentId> = HashSet::new();
    let mut last: HashMap<Lane, FragmentId> = HashMap::new();
    let mut put = Vec::new();
    for fragment in after {
        let lane = lane(fragment);
        let stays = rows.get_mut(&lane).is_some_and(|row| {
            while row.front().is_some_and(|id| moved.contains(id)) {
                row.pop_front();
            }
            let stays = row.front() == Some(&fragment.id);
            if stays {
                row.pop_front();
            }
            stays
        });
        if !stays {
            moved.insert(fragment.id);
        }
        let html = old.get(&fragment.id).and_then(|at| before.get(*at));
        let is_new = html.is_none_or(|old| old.html != fragment.html);
        if !stays || is_new {
            put.push(Put {
                id: fragment.id.to_string(),
                within: fragment.within.map(|id| id.to_string()),
                after: last
                    .get(&lane)
                    .copied()
                    .or_else(|| last_in(ahead, lane))
                    .map(|id| id.to_string()),
                html: is_new.then_some(&*fragment.html),
            });
        }
        last.insert(lane, fragment.id);
    }
    put
}

#[cfg(test)]
mod tests {
    use berth_base::{HostPid, NamespaceId, NamespaceKind};
    use berth_map::svg::BoxId;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    /// The rows of a page, as its script keeps them.
    type Rows = HashMap<(Option<String>, bool), Vec<(String, String)>>;

    fn fragment(id: FragmentId, within: Option<FragmentId>, html: &str) -> Fragment {
        Fragment {
            id,
            within,
            depth: 0,
            html: html.into(),
        }
    }

    fn pill(pid: u32) -> FragmentId {
        FragmentId::Process(HostPid::new(pid).unwrap())
    }

    fn page(number: u64, fragments: Vec<Fragment>) -> Page {
        let empty = berth_map::World::assemble(berth_map::model::Parts {
            source: berth_map::model::Source::Procfs,
            extent: berth_map::model::Extent::Host,
            host: berth_map::model::Host::default(),
            processes: Vec::new(),
            namespaces: Vec::new(),
            known: Vec::new(),
            stale: Vec::new(),
            details: berth_map::model::Details::default(),
            warnings: Vec::new(),
        });
        Page {
            number,
            host: Arc::new(empty),
            fragments: Fragments::new(fragments),
            meta: serde_json::Value::Null,
            messages: std::sync::Mutex::default(),
        }
    }

    fn rows(page: &Page) -> Rows {
        let mut rows = Rows::new();
        for fragment in page.fragments.iter() {
            let (within, is_box) = lane(fragment);
            let key = (within.map(|id| id.to_string()), is_box);
            let entry = (fragment.id.to_string(), fragment.html.to_string());
            rows.entry(key).or_default().push(entry);
        }
        rows
    }

    /// What page.js does.
    fn apply(rows: &mut Rows, delta: &Delta) {
        for (gone, _) in &delta.gone {
            rows.values_mut()
                .for_each(|row| row.retain(|(id, _)| id != gone));
        }
        for put in &delta.put {
            let mut old = None;
            for row in rows.values_mut() {
                if let Some(at) = row.iter().position(|(id, _)| *id == put.id) {
                    old = Some(row.remove(at).1);
                }
            }
            let html = put.html.map(str::to_owned).or(old).unwrap();
            let is_box = !put.id.starts_with('p');
            let row = rows.entry((put.within.clone(), is_box)).or_default();
            let at = match &put.after {
                Some(after) => row.iter().position(|(id, _)| id == after).unwrap() + 1,
                None => 0,
            };
            row.insert(at, (put.id.clone(), html));
        }
        rows.retain(|_, row| !row.is_empty());
    }

    /// A host with two boxes, each pill in one of the three places.
    fn pages() -> impl Strategy<Value = Vec<Fragment>> {
        let pills = prop::collection::vec((1u32..12, 0usize..3, 0u8..2), 0..16);
        (pills, any::<bool>()).prop_map(|(pills, is_swapped)| {
            let host = FragmentId::Box(BoxId::Host);
            let inner = |inode| {
                let kind = NamespaceKind::Pid;
                FragmentId::Box(BoxId::Namespace(NamespaceId { kind, inode }))
            };
            let mut boxes = [host, inner(1), inner(2)];
            if is_swapped {
                boxes.swap(1, 2);
            }
            let mut seen = HashSet::new();
            let pills: Vec<_> = pills
                .into_iter()
                .filter(|(pid, ..)| seen.insert(*pid))
                .collect();
            let mut all = Vec::new();
            for (place, id) in boxes.iter().enumerate() {
                let around = (place > 0).then_some(host);
                all.push(fragment(*id, around, "box"));
                let own = pills.iter().filter(|(_, at, _)| *at == place);
                all.extend(own.map(|(pid, _, html)| {
                    fragment(pill(*pid), Some(*id), &format!("{pid} {html}"))
                }));
            }
            all
        })
    }

    proptest! {
        #[test]
        fn a_page_that_follows_is_the_page_that_is(all in prop::collection::vec(pages(), 2..6)) {
            let mut shown = Rows::new();
            let mut old: Option<Page> = None;
            for (number, fragments) in (1u64..).zip(all) {
                let new = page(number, fragments);
                apply(&mut shown, &Delta::between(old.as_ref(), &new, |_| None));
                prop_assert_eq!(&shown, &rows(&new));
                old = Some(new);
            }
        }
    }

    #[test]
    fn one_new_pill_is_all_that_is_sent() {
        let host = FragmentId::Box(BoxId::Host);
        let pills = |pids: &[u32]| {
            let mut all = vec![fragment(host, None, "box")];
            all.extend(
                pids.iter()
                    .map(|pid| fragment(pill(*pid), Some(host), "pill")),
            );
            all
        };
        let (old, new) = (
            page(1, pills(&[1, 2, 4, 5])),
            page(2, pills(&[1, 2, 3, 4, 5])),
        );
        let delta = Delta::between(Some(&old), &new, |_| None);
        let text = serde_json::to_string(&delta).unwrap();
        let put = r#"{"id":"p3","in":"host","after":"p2","html":"pill"}"#;
        assert_eq!(text, format!(r#"{{"n":2,"full":false,"put":[{put}]}}"#));
        assert!(Delta::between(Some(&new), &new, |_| None).is_empty());
        let back = Delta::between(Some(&new), &old, |_| Some("exit 3".to_owned()));
        let text = serde_json::to_string(&back).unwrap();
        assert_eq!(text, r#"{"n":1,"full":false,"gone":[["p3","exit 3"]]}"#);
    }
}
