//! Events of the kinds of objects, with the attributes that Docker gives them.

use std::collections::BTreeMap;

use berth_base::state::{EventKind, EventRecord, MonitorEvents, RunFile};

use super::journal;
use crate::options::MountRequest;
use crate::{Container, CreateFile, Engine, NetworkFile};

/// An object that a command outside of the engine did something with.
#[derive(Clone, Copy, Debug)]
pub enum EventObject<'a> {
    /// A container.
    Container(&'a Container),
    /// An image, by id, and by the name that was used.
    Image(&'a str, &'a str),
}

/// What was pruned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PruneKind {
    /// Containers.
    Containers,
    /// Images.
    Images,
    /// Networks.
    Networks,
    /// Volumes.
    Volumes,
}

impl PruneKind {
    pub(super) const fn kind(self) -> EventKind {
        match self {
            Self::Containers => EventKind::Container,
            Self::Images => EventKind::Image,
            Self::Networks => EventKind::Network,
            Self::Volumes => EventKind::Volume,
        }
    }
}

/// An event of a container: its labels, its image and its name go along.
pub(crate) fn container(create: &CreateFile, name: &str, action: &str) -> EventRecord {
    EventRecord {
        attributes: create.options.labels.clone(),
        ..EventRecord::new(EventKind::Container, action, create.id.as_str())
    }
    .with("image", create.image.as_str())
    .with("name", name)
}

/// An event of an image.
pub(crate) fn image(id: &str, name: &str, action: &str) -> EventRecord {
    EventRecord::new(EventKind::Image, action, id).with("name", name)
}

/// An event of a network.
pub(crate) fn network(file: &NetworkFile, action: &str) -> EventRecord {
    EventRecord::new(EventKind::Network, action, file.id.as_str())
        .with("name", file.name.as_str())
        .with("type", file.driver.as_str())
}

/// An event of a volume.
pub(crate) fn volume(name: &str, action: &str) -> EventRecord {
    EventRecord::new(EventKind::Volume, action, name).with("driver", crate::LOCAL_DRIVER)
}

impl Engine {
    /// What a monitor writes about a run.
    pub(crate) fn monitor_events(&self, of: &Container, run: u32) -> MonitorEvents {
        let create = &of.create;
        let event = EventRecord {
            run: Some(run),
            ..container(create, of.name.as_str(), "")
        };
        let networks: Vec<EventRecord> = create
            .options
            .networks
            .iter()
            .filter_map(|request| self.network_event(&request.name, create.id.as_str(), "connect"))
            .collect();
        let mounts: Vec<EventRecord> = create
            .options
            .mounts
            .iter()
            .filter_map(|mount| match mount {
                MountRequest::Volume(mount) => Some(mount),
                _ => None,
            })
            .filter_map(|mount| {
                let event = volume(mount.name.as_ref()?.as_str(), "mount")
                    .with("container", create.id.as_str());
                Some((event, mount))
            })
            .map(|(event, mount)| {
                event
                    .with("destination", mount.target.as_str())
                    .with("propagation", "")
                    .with("read/write", (!mount.read_only).to_string())
            })
            .collect();
        let ended = |event: &EventRecord, action| EventRecord {
            attributes: ended_attributes(event),
            ..event.acting(action)
        };
        MonitorEvents {
            journal: journal(self.store().root()),
            container: event,
            at_end: networks
                .iter()
                .map(|event| ended(event, "disconnect"))
                .chain(mounts.iter().map(|event| ended(event, "unmount")))
                .collect(),
            at_start: networks.into_iter().chain(mounts).collect(),
        }
    }

    /// A container joins or leaves a network that can be found.
    pub(crate) fn network_event(
        &self,
        name: &str,
        container: &str,
        action: &str,
    ) -> Option<EventRecord> {
        let file = self.find_network(name).ok()?;
        Some(network(&file, action).with("container", container))
    }
}

/// What Docker tells of a volume that is no longer mounted: not how it was.
fn ended_attributes(event: &EventRecord) -> BTreeMap<String, String> {
    let keys = ["destination", "propagation", "read/write"];
    let mut attributes = event.attributes.clone();
    attributes.retain(|key, _| !keys.contains(&key.as_str()));
    attributes
}

/// Whether a run was begun at all, by what was written down of it.
pub(super) fn was_begun(last_run: Option<&RunFile>) -> bool {
    last_run.is_some()
}
