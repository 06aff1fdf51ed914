//! What images, containers and volumes take on disk (`system df`).

use std::collections::HashMap;
use std::path::Path;

use berth_base::Digest;
use berth_base::state::RootSource;
use berth_image::store::Image;

use crate::volume::size_of;
use crate::{Engine, EngineError};

/// The disk space of a kind of things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskUsage {
    /// How many there are.
    pub count: usize,
    /// How many of them something uses.
    pub active: usize,
    /// Bytes of all.
    pub bytes: u64,
    /// Bytes that a pruning would free.
    pub reclaimable: u64,
}

/// One image, for the long listing.
#[derive(Debug)]
pub struct ImageUsage {
    /// The image.
    pub image: Image,
    /// Bytes of its unpacked layers and its blobs.
    pub bytes: u64,
    /// Bytes of those that other images have too.
    pub shared: u64,
    /// Containers made from it.
    pub containers: usize,
}

impl Engine {
    /// Bytes of an image's layers, unpacked. Those that are not unpacked count as packed.
    pub fn image_bytes(&self, image: &Image) -> u64 {
        let store = self.images();
        let layers = image.layers.iter().map(|layer| {
            let meta = store.layer_meta(&layer.chain_id).ok().flatten();
            meta.map_or(layer.descriptor.size, |meta| meta.bytes)
        });
        layers.sum()
    }

    /// What each image takes, and shares with others.
    pub fn image_usage(&self) -> Result<Vec<ImageUsage>, EngineError> {
        let images: Vec<Image> = self
            .images()
            .images()?
            .into_iter()
            .filter_map(|listed| listed.image.ok())
            .collect();
        // A container that cannot be read hides nothing of the others.
        let mut users: HashMap<Digest, usize> = HashMap::new();
        for id in self.store().ids()? {
            let create = self.read_create(&id).ok();
            if let Some(source) = create.and_then(|create| create.source) {
                *users.entry(source.id).or_default() += 1;
            }
        }
        let mut usage = Vec::with_capacity(images.len());
        for (at, image) in images.iter().enumerate() {
            let others = images.iter().enumerate().filter(|(other, _)| *other != at);
            let others: std::collections::HashSet<_> = others
                .flat_map(|(_, image)| image.layers.iter().map(|l| &l.chain_id))
                .collect();
            let mut bytes = 0;
            let mut shared = 0;
            for layer in &image.layers {
                let unpacked = self.images().layer_meta(&layer.chain_id).ok().flatten();
                let size = unpacked.map_or(0, |meta| meta.bytes) + layer.descriptor.size;
                bytes += size;
                if others.contains(&layer.chain_id) {
                    shared += size;
                }
            }
            usage.push(ImageUsage {
                image: image.clone(),
                bytes: bytes + image.document.config.size + image.manifest.size,
                shared,
                containers: users.get(&image.id).copied().unwrap_or(0),
            });
        }
        Ok(usage)
    }

    /// The images as one line of `system df`.
    pub fn images_disk_usage(&self) -> Result<DiskUsage, EngineError> {
        let usage = self.image_usage()?;
        let unused = usage.iter().filter(|u| u.containers == 0);
        let bytes = tree_bytes(&self.images().layers_dir()) + tree_bytes(&self.images().layout());
        Ok(DiskUsage {
            count: usage.len(),
            active: usage.iter().filter(|u| u.containers > 0).count(),
            bytes,
            reclaimable: unused.map(|u| u.bytes - u.shared).sum::<u64>().min(bytes),
        })
    }

    /// The volumes as one line.
    pub fn volumes_disk_usage(&self) -> Result<DiskUsage, EngineError> {
        let users = self.volume_users()?;
        let mut usage = DiskUsage::default();
        for volume in self.volumes()? {
            let bytes = self.volume_size(&volume.file.name)?;
            usage.count += 1;
            usage.bytes += bytes;
            if users
                .get(&volume.file.name)
                .is_some_and(|users| !users.is_empty())
            {
                usage.active += 1;
            } else {
                usage.reclaimable += bytes;
            }
        }
        Ok(usage)
    }

    /// Bytes of a container's own layer, log and state.
    pub fn container_bytes(&self, container: &crate::Container) -> u64 {
        tree_bytes(&container.persistent_dir)
    }

    /// Bytes of the files that a container made or changed, and of those with all of its image.
    pub fn container_sizes(&self, container: &crate::Container) -> (u64, u64) {
        let RootSource::Layers { upper, .. } = &container.create.root else {
            return (0, 0);
        };
        let own = tree_bytes(upper);
        let layers = container.create.source.iter().flat_map(|s| &s.layers);
        let below = layers.filter_map(|chain| self.images().layer_meta(chain).ok().flatten());
        (own, own + below.map(|meta| meta.bytes).sum::<u64>())
    }

    /// The containers' own layers and logs.
    pub fn containers_disk_usage(&self) -> Result<DiskUsage, EngineError> {
        let mut usage = DiskUsage::default();
        for container in self.list()? {
            let bytes = self.container_bytes(&container);
            usage.count += 1;
            usage.bytes += bytes;
            if container.status.is_live() {
                usage.active += 1;
            } else {
                usage.reclaimable += bytes;
            }
        }
        Ok(usage)
    }
}

/// Bytes of all files in a folder and below it, each file once; a folder that is not there has none.
pub(crate) fn tree_bytes(root: &Path) -> u64 {
    // by path: a folder of ours; what lies in it goes by descriptor
    let folder = berth_persist::open_folder(root);
    folder
        .and_then(|folder| size_of(folder.into()))
        .unwrap_or_default()
}
