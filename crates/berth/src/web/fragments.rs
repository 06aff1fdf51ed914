//! The pieces of a page in chunks, which a page shares with the one before it. Pure.
//!
//! An event changes one piece of thousands, fifty times a second: what it does not touch costs
//! neither a copy nor a comparison.

use std::ops::Range;
use std::sync::Arc;

use super::page::{Fragment, FragmentId};

/// Pieces in a chunk: a copy of one costs as much as looking at all chunks of 5,000.
const CHUNK: usize = 64;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Fragments {
    chunks: Vec<Arc<Vec<Fragment>>>,
}

impl Fragments {
    pub(super) fn new(all: Vec<Fragment>) -> Self {
        let chunks = all.chunks(CHUNK).map(|chunk| Arc::new(chunk.to_vec()));
        Self {
            chunks: chunks.collect(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.len()).sum()
    }

    /// In the order of the document.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Fragment> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// A part of them.
    pub(super) fn range(&self, range: Range<usize>) -> impl Iterator<Item = &Fragment> {
        let mut chunks = self.chunks.as_slice();
        let mut skipped = 0;
        while let [first, rest @ ..] = chunks
            && skipped + first.len() <= range.start
        {
            skipped += first.len();
            chunks = rest;
        }
        let all = chunks.iter().flat_map(|chunk| chunk.iter());
        all.skip(range.start - skipped).take(range.len())
    }

    pub(super) fn place(&self, id: FragmentId) -> Option<usize> {
        self.iter().position(|fragment| fragment.id == id)
    }

    pub(super) fn get(&self, at: usize) -> Option<&Fragment> {
        self.range(at..at + 1).next()
    }

    /// Puts another piece in the place of one.
    pub(super) fn replace(&mut self, at: usize, fragment: Fragment) {
        let (chunk, at) = self.find(at);
        let chunk = self.chunks.get_mut(chunk).map(Arc::make_mut);
        if let Some(old) = chunk.and_then(|chunk| chunk.get_mut(at)) {
            *old = fragment;
        }
    }

    /// Puts a piece before the one at a place, or last.
    pub(super) fn insert(&mut self, at: usize, fragment: Fragment) {
        let (number, at) = self.find(at);
        let Some(chunk) = self.chunks.get_mut(number).map(Arc::make_mut) else {
            self.chunks.push(Arc::new(vec![fragment]));
            return;
        };
        chunk.insert(at.min(chunk.len()), fragment);
        if chunk.len() > 2 * CHUNK {
            let rest = chunk.split_off(CHUNK);
            self.chunks.insert(number + 1, Arc::new(rest));
        }
    }

    /// Takes a piece out; says whether it was there.
    pub(super) fn remove(&mut self, id: FragmentId) -> bool {
        let has = |chunk: &Arc<Vec<Fragment>>| chunk.iter().any(|f| f.id == id);
        let Some(number) = self.chunks.iter().position(has) else {
            return false;
        };
        if let Some(chunk) = self.chunks.get_mut(number).map(Arc::make_mut) {
            chunk.retain(|fragment| fragment.id != id);
            if chunk.is_empty() {
                self.chunks.remove(number);
            }
        }
        true
    }

    /// How many pieces are the same at both ends.
    pub(super) fn common_ends(&self, new: &Self) -> (usize, usize) {
        let shared = |(a, b): &(&Arc<Vec<Fragment>>, &Arc<Vec<Fragment>>)| Arc::ptr_eq(a, b);
        let length = |(a, _): (&Arc<Vec<Fragment>>, _)| a.len();
        let both = self.chunks.iter().zip(&new.chunks);
        let ahead: Vec<usize> = both.take_while(shared).map(length).collect();
        let rest = self.chunks.len().min(new.chunks.len()) - ahead.len();
        let both = self.chunks.iter().rev().zip(new.chunks.iter().rev());
        let behind: usize = both.take(rest).take_while(shared).map(length).sum();
        let ahead: usize = ahead.iter().sum();
        let between = |all: &Self| ahead..all.len() - behind;
        let old: Vec<&Fragment> = self.range(between(self)).collect();
        let new: Vec<&Fragment> = new.range(between(new)).collect();
        let same = |(a, b): &(&&Fragment, &&Fragment)| a.is_same(b);
        let head = old.iter().zip(&new).take_while(same).count();
        let rest = old.len().min(new.len()) - head;
        let both = old.iter().rev().zip(new.iter().rev());
        let tail = both.take(rest).take_while(same).count();
        (ahead + head, behind + tail)
    }

    /// The chunk of a place, and the place in it; behind the last one, that of the last chunk.
    fn find(&self, at: usize) -> (usize, usize) {
        let mut left = at;
        let last = self.chunks.len().saturating_sub(1);
        for (number, chunk) in self.chunks.iter().enumerate() {
            if left < chunk.len() || number == last {
                return (number, left);
            }
            left -= chunk.len();
        }
        (0, 0)
    }
}

#[cfg(test)]
mod tests {
    use berth_base::HostPid;
    use proptest::prelude::*;

    use super::*;

    fn fragment(number: u32) -> Fragment {
        Fragment {
            id: FragmentId::Process(HostPid::new(number + 1).unwrap()),
            within: None,
            depth: 0,
            html: number.to_string().into(),
        }
    }

    fn ids(all: &Fragments) -> Vec<FragmentId> {
        all.iter().map(|f| f.id).collect()
    }

    proptest! {
        #[test]
        fn they_are_a_list(
            count in 0u32..300,
            steps in prop::collection::vec((0usize..400, any::<bool>()), 0..200),
        ) {
            let first = Fragments::new((0..count).map(fragment).collect());
            let mut all = first.clone();
            let mut list = ids(&first);
            let mut next = count;
            for (at, is_new) in steps {
                if is_new {
                    let at = at.min(list.len());
                    all.insert(at, fragment(next));
                    list.insert(at, fragment(next).id);
                    next += 1;
                } else if at < list.len() {
                    prop_assert!(all.remove(list.remove(at)));
                }
                prop_assert_eq!(all.len(), list.len());
            }
            prop_assert_eq!(&ids(&all), &list);
            let third = list.len() / 3;
            let middle: Vec<_> = all.range(third..2 * third).map(|f| f.id).collect();
            prop_assert_eq!(&middle[..], &list[third..2 * third]);
            // Who shares them sees nothing of it, and what is common is common.
            prop_assert_eq!(ids(&first), (0..count).map(|n| fragment(n).id).collect::<Vec<_>>());
            let (head, tail) = first.common_ends(&all);
            prop_assert!(head + tail <= first.len().min(all.len()));
            let old = ids(&first);
            prop_assert_eq!(&old[..head], &list[..head]);
            prop_assert_eq!(&old[old.len() - tail..], &list[list.len() - tail..]);
            if head < old.len() && head < list.len() && head + tail < old.len().min(list.len()) {
                prop_assert_ne!(old[head], list[head]);
            }
        }
    }

    #[test]
    fn a_place_is_found_and_replaced() {
        let mut all = Fragments::new((0..200).map(fragment).collect());
        assert_eq!(all.place(fragment(150).id), Some(150));
        assert_eq!(all.get(150).unwrap().id, fragment(150).id);
        all.replace(150, fragment(999));
        assert_eq!(all.get(150).unwrap().id, fragment(999).id);
        assert!(!all.remove(fragment(150).id));
        assert!(all.get(200).is_none());
    }
}
