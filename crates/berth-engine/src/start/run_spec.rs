//! What a run adds to the immutable spec: namespaces that are joined, ids of its own, changed limits.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

use berth_base::state::NamespaceSource;
use berth_base::{ErrorClass, NamespaceKind, ProcessIdentity, Status, Timestamp};
use oci_spec::runtime::LinuxResources;

use crate::spec::{self, IdMappings, RunFacts};
use crate::store::ContainerLock;
use crate::subid::{IdKind, IdMap, map_of};
use crate::{Container, Engine, EngineError, facts, ids, namespaces, words};

/// The spec of a run.
pub(super) struct RunSpec {
    pub(super) path: PathBuf,
    /// Whom the host knows the container's root as, uid and gid, where that is somebody else.
    pub(super) root_ids: Option<(u32, u32)>,
}

fn of_root(map: &[IdMap]) -> Option<u32> {
    map.iter()
        .find(|range| range.inside == 0)
        .map(|range| range.outside)
}

impl Engine {
    /// Finds the processes whose namespaces are joined; each container must be running.
    pub(super) fn find_joined(
        &self,
        sources: &BTreeMap<NamespaceKind, NamespaceSource>,
    ) -> Result<BTreeMap<NamespaceKind, ProcessIdentity>, EngineError> {
        let mut joined = BTreeMap::new();
        for (kind, source) in sources {
            let NamespaceSource::Container(id) = source else {
                continue;
            };
            let view = self.view(id).map_err(|e| {
                let text = format!(
                    "cannot join the {} namespace of container {}: {e}",
                    namespaces::word(*kind),
                    id.short()
                );
                EngineError::new(e.class, text).on(id.short())
            })?;
            match view.container.live {
                Some(live) => joined.insert(*kind, live.init),
                None => return Err(not_joinable(*kind, &view.container)),
            };
        }
        Ok(joined)
    }

    /// Writes the spec of this run where the immutable one leaves something open, and returns the
    /// path of the one that holds.
    pub(super) fn write_run_spec(
        &self,
        lock: &ContainerLock,
        container: &Container,
        joined: &BTreeMap<NamespaceKind, ProcessIdentity>,
        warnings: &mut Vec<String>,
    ) -> Result<RunSpec, EngineError> {
        let immutable = container.persistent_dir.join("spec.json");
        let sources = &container.create.namespaces;
        let resources = self.changed_limits(container)?;
        if !spec::needs_run_spec(sources) && resources.is_none() {
            return Ok(RunSpec {
                path: immutable,
                root_ids: None,
            });
        }
        let private_ids = sources.get(&NamespaceKind::User) == Some(&NamespaceSource::Private);
        // Held until the spec that takes the range is on disk.
        let (_ranges, mappings) = if private_ids {
            let (lock, mappings) = ids::allocate(self, &container.id, warnings)?;
            (Some(lock), Some(mappings))
        } else {
            (None, None)
        };
        let joined_mappings = joined.get(&NamespaceKind::User).map(|owner| IdMappings {
            uid: map_of(owner.pid, IdKind::Uid),
            gid: map_of(owner.pid, IdKind::Gid),
        });
        let facts = RunFacts {
            joined: joined
                .iter()
                .map(|(kind, identity)| (*kind, namespaces::path_of(identity.pid, *kind)))
                .collect(),
            mappings,
            joined_mappings,
            resources,
        };
        let mapped = facts.mappings.as_ref().or(facts.joined_mappings.as_ref());
        let root_ids = mapped.and_then(|ids| Some((of_root(&ids.uid)?, of_root(&ids.gid)?)));
        let spec = spec::for_run(self.store().read_spec(&immutable)?, &facts)?;
        self.store()
            .write_volatile("container.run.spec", lock, "spec.json", &spec)?;
        Ok(RunSpec {
            path: container.volatile_dir.join("spec.json"),
            root_ids,
        })
    }

    /// The limits of a container where they are not those of its spec any more.
    fn changed_limits(&self, container: &Container) -> Result<Option<LinuxResources>, EngineError> {
        let settings = self.store().read_settings(&container.id)?;
        if settings.is_none_or(|settings| settings.resources.is_empty()) {
            return Ok(None);
        }
        let options = &container.create.options;
        let facts = facts::limit_facts(options);
        // Who asked for it has been warned.
        let mut known = Vec::new();
        let changed = spec::changeable_resources(options, &facts, &mut known)?;
        Ok(Some(changed))
    }
}

fn not_joinable(kind: NamespaceKind, container: &Container) -> EngineError {
    let name = &container.name;
    let now = Timestamp::from(SystemTime::now());
    let why = match (&container.exit, container.status) {
        (_, Status::Created) => "it was never started".to_owned(),
        (Some(exit), _) => format!(
            "it stopped {} ago",
            words::span(now.since(exit.finished_at))
        ),
        (None, status) => format!("it is {status}"),
    };
    let text = format!(
        "cannot join the {} namespace of container {name}: {why}; start it with \"berth start {name}\"",
        namespaces::word(kind)
    );
    EngineError::new(ErrorClass::Conflict, text).on(name.as_str())
}
