//! What `inspect` tells of a container besides its own record.

use std::collections::BTreeMap;

use crate::{Container, Engine};

/// What others have on record about a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Particulars {
    /// Paths that it must not see.
    pub masked: Vec<String>,
    /// Paths that it must not write.
    pub read_only: Vec<String>,
    /// The id of each of its networks that is there, by name.
    pub network_ids: BTreeMap<String, String>,
}

impl Engine {
    /// Looks them up. What cannot be read is left out: the rest is to be seen all the same.
    pub fn particulars(&self, container: &Container) -> Particulars {
        let path = container.persistent_dir.join("spec.json");
        let spec = self.store().read_spec(&path).ok();
        let linux = spec.as_ref().and_then(|spec| spec.linux().as_ref());
        let networks = &container.create.options.networks;
        Particulars {
            masked: linux
                .and_then(|linux| linux.masked_paths().clone())
                .unwrap_or_default(),
            read_only: linux
                .and_then(|linux| linux.readonly_paths().clone())
                .unwrap_or_default(),
            network_ids: networks
                .iter()
                .filter_map(|request| {
                    let file = self.find_network(&request.name).ok()?;
                    Some((request.name.clone(), file.id))
                })
                .collect(),
        }
    }
}
