//! The nearest of several words, for suggestions.

pub(crate) use berth_base::nearest;
