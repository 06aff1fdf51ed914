//! Values that many lives have in common, kept once. Pure.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

/// So many different values are looked through for unused ones at the earliest.
const FIRST_SWEEP: usize = 1024;

/// A set of values in use, and of some that no longer are.
///
/// Hashed with a secret: containers choose names so that a known hash would be slow.
pub(super) struct Shared<T: ?Sized> {
    values: HashSet<Arc<T>>,
    sweep_at: usize,
}

impl<T: ?Sized + Eq + Hash> Default for Shared<T> {
    fn default() -> Self {
        Self {
            values: HashSet::new(),
            sweep_at: FIRST_SWEEP,
        }
    }
}

impl<T: ?Sized + Eq + Hash> Shared<T> {
    /// The value that is kept for this one.
    pub(super) fn keep<V>(&mut self, value: V) -> Arc<T>
    where
        V: Borrow<T> + Into<Arc<T>>,
    {
        if let Some(kept) = self.values.get(value.borrow()) {
            return Arc::clone(kept);
        }
        if self.values.len() >= self.sweep_at {
            self.sweep();
        }
        let kept: Arc<T> = value.into();
        self.values.insert(Arc::clone(&kept));
        kept
    }

    /// Forgets what nobody uses.
    pub(super) fn sweep(&mut self) {
        self.values.retain(|value| Arc::strong_count(value) > 1);
        self.sweep_at = (self.values.len() * 2).max(FIRST_SWEEP);
    }

    /// How many there are, unused ones included.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one_and_unused_ones_go() {
        let mut names: Shared<str> = Shared::default();
        let first = names.keep("sh");
        assert!(Arc::ptr_eq(&first, &names.keep("sh".to_owned())));
        for at in 0..10 * FIRST_SWEEP {
            names.keep(at.to_string());
            assert!(names.len() <= FIRST_SWEEP);
        }
        names.sweep();
        assert_eq!(names.len(), 1);
    }
}
