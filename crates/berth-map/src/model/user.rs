//! The id mappings of a user namespace (user_namespaces(7)).

use serde::{Deserialize, Serialize};

/// Both mappings. Empty lists: nothing is mapped yet, or it could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMaps {
    /// `/proc/PID/uid_map`.
    pub uids: Vec<IdRange>,
    /// `/proc/PID/gid_map`.
    pub gids: Vec<IdRange>,
}

/// One line of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdRange {
    /// The first id inside.
    pub inside: u32,
    /// The id that stands for it in the user namespace of the reader.
    pub outside: u32,
    /// How many ids.
    pub count: u32,
}
