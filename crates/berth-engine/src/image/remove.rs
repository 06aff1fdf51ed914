//! `rmi` and the pruning of images.

use berth_base::{ContainerId, Digest, ErrorClass};
use berth_image::store::{Collected, Image, Listed};
use berth_image::{ImageError, ImageRef};

use crate::{Engine, EngineError, events};

/// One line of what a removal did, as Docker tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// A name was taken away.
    Untagged(String),
    /// An image or a layer is gone.
    Deleted(String),
}

/// What a pruning did.
#[derive(Debug, Default)]
pub struct Pruned {
    /// What went.
    pub removed: Vec<Removal>,
    /// Bytes that were freed: blobs, layers, parts of downloads.
    pub bytes: u64,
    /// What could not be removed.
    pub errors: Vec<EngineError>,
}

/// Who holds an image.
struct Holders {
    running: Vec<ContainerId>,
    stopped: Vec<ContainerId>,
}

impl Engine {
    /// Removes a name of an image, and the image with its last name; by id the image with all its
    /// names. What containers use stays for them, without a name, and only by force.
    pub fn remove_image(&self, text: &str, force: bool) -> Result<Vec<Removal>, EngineError> {
        let image = match self.images().resolve(text) {
            Ok(image) => image,
            Err(error) => return self.remove_damaged(text, error),
        };
        let named = name_meant(text, &image);
        if let Some(name) = named
            && image.references.len() > 1
        {
            return self.untag_all(&image, &[name]);
        }
        if named.is_none() && image.references.len() > 1 && !force {
            let names: Vec<String> = image.references.iter().map(ImageRef::familiar).collect();
            let why = format!(
                "it has several names ({}); remove it with \"berth rmi -f {}\", or its names one by one",
                names.join(", "),
                image.id.short()
            );
            return Err(in_use(text, why));
        }
        let holders = self.holders(&image.id)?;
        self.check_holders(text, &holders, named.is_some(), force)?;
        let names: Vec<&ImageRef> = image.references.iter().collect();
        let mut removals = self.untag_all(&image, &names)?;
        if !holders.running.is_empty() || !holders.stopped.is_empty() {
            // Its containers keep it.
            return Ok(removals);
        }
        self.images().forget(&image.manifest.digest)?;
        let id = image.id.to_string();
        self.emit(events::image(&id, &id, "delete"));
        removals.push(Removal::Deleted(id));
        let collected = self.collect_images()?;
        removals.extend(layers_gone(&collected));
        match collected.errors.into_iter().next() {
            Some(error) => Err(error.into()),
            None => Ok(removals),
        }
    }

    fn untag_all(&self, image: &Image, names: &[&ImageRef]) -> Result<Vec<Removal>, EngineError> {
        let mut removals = Vec::new();
        for name in names {
            if self.images().untag(name)? {
                let id = image.id.to_string();
                self.emit(events::image(&id, &name.familiar(), "untag"));
                removals.push(Removal::Untagged(name.familiar()));
            }
        }
        // A digest was a name of the repository: it goes with the last of its tags.
        for digest in &image.repo_digests {
            let left = image
                .references
                .iter()
                .any(|reference| reference.name() == digest.name() && !names.contains(&reference));
            if !left {
                removals.push(Removal::Untagged(digest.familiar()));
            }
        }
        Ok(removals)
    }

    /// An image whose metadata cannot be read is removed by its name, or by its manifest's digest.
    fn remove_damaged(&self, text: &str, error: ImageError) -> Result<Vec<Removal>, EngineError> {
        let wanted = text.parse::<ImageRef>().ok();
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        let is_meant = |listed: &Listed| {
            let by_name = wanted
                .as_ref()
                .is_some_and(|w| listed.references.contains(w));
            let by_digest = digits.len() >= 12 && listed.manifest.digest.hex().starts_with(digits);
            listed.image.is_err() && (by_name || by_digest)
        };
        let listed = self.images().images()?;
        let Some(damaged) = listed.iter().find(|listed| is_meant(listed)) else {
            return Err(EngineError::from(error).on(text));
        };
        self.images().forget(&damaged.manifest.digest)?;
        let names = damaged.references.iter();
        let mut removals: Vec<Removal> = names
            .map(|name| Removal::Untagged(name.familiar()))
            .collect();
        removals.push(Removal::Deleted(damaged.manifest.digest.to_string()));
        removals.extend(layers_gone(&self.collect_images()?));
        Ok(removals)
    }

    /// Removes images without a name that no container was made from; with `all` those with a name
    /// too. `keep` says which of them stay all the same (filters).
    pub fn prune_images(
        &self,
        all: bool,
        keep: impl Fn(&Image) -> bool,
    ) -> Result<Pruned, EngineError> {
        let mut pruned = Pruned::default();
        for listed in self.images().images()? {
            let Ok(image) = listed.image else { continue };
            let wanted = all || image.references.is_empty();
            if !wanted || keep(&image) || !self.users_of_image(&image.id)?.is_empty() {
                continue;
            }
            let names = image.references.iter();
            pruned
                .removed
                .extend(names.map(|name| Removal::Untagged(name.familiar())));
            self.images().forget(&image.manifest.digest)?;
            let id = image.id.to_string();
            self.emit(events::image(&id, &id, "delete"));
            pruned.removed.push(Removal::Deleted(id));
        }
        let collected = self.collect_images()?;
        pruned.removed.extend(layers_gone(&collected));
        pruned.bytes = collected.blobs.iter().map(|(_, bytes)| bytes).sum::<u64>()
            + collected.layers.iter().map(|(_, bytes)| bytes).sum::<u64>()
            + self.images().drop_parts()?;
        pruned
            .errors
            .extend(collected.errors.into_iter().map(EngineError::from));
        Ok(pruned)
    }

    /// Removes what no image, container or living command needs, shared mount points among it.
    pub(crate) fn collect_images(&self) -> Result<Collected, EngineError> {
        let pins = || {
            self.pins()
                .map_err(|e| ImageError::malformed("the containers", e.to_string()))
        };
        let collected = self.images().collect(pins)?;
        self.collect_shared_points()?;
        Ok(collected)
    }

    fn holders(&self, image: &Digest) -> Result<Holders, EngineError> {
        let mut holders = Holders {
            running: Vec::new(),
            stopped: Vec::new(),
        };
        for id in self.users_of_image(image)? {
            let live = self.inspect(&id).is_ok_and(|c| c.status.is_live());
            if live {
                holders.running.push(id);
            } else {
                holders.stopped.push(id);
            }
        }
        Ok(holders)
    }

    /// A running container holds its image against removal by id, whatever the force.
    fn check_holders(
        &self,
        text: &str,
        holders: &Holders,
        by_name: bool,
        force: bool,
    ) -> Result<(), EngineError> {
        let name_of = |id: &ContainerId| {
            self.inspect(id)
                .map_or_else(|_| id.short().to_owned(), |c| c.name.as_str().to_owned())
        };
        match (holders.running.first(), holders.stopped.first()) {
            (Some(running), _) if !force || !by_name => {
                let name = name_of(running);
                Err(in_use(
                    text,
                    format!("the running container {name} uses it; stop and remove it first"),
                ))
            }
            (None, Some(stopped)) if !force => {
                let name = name_of(stopped);
                Err(in_use(
                    text,
                    format!(
                        "the container {name} was made from it; remove that with \"berth rm {name}\", or take the name away with \"berth rmi -f {text}\""
                    ),
                ))
            }
            _ => Ok(()),
        }
    }
}

/// The name of the image that a text is, if it is one and not an id.
fn name_meant<'a>(text: &str, image: &'a Image) -> Option<&'a ImageRef> {
    let parsed = text.parse::<ImageRef>().ok()?;
    image.references.iter().find(|name| **name == parsed)
}

fn layers_gone(collected: &Collected) -> impl Iterator<Item = Removal> + '_ {
    let layers = collected.layers.iter();
    layers.map(|(chain, _)| Removal::Deleted(format!("sha256:{chain}")))
}

fn in_use(image: &str, why: String) -> EngineError {
    let image = image.to_owned();
    let error = ImageError::InUse {
        image: image.clone(),
        why,
    };
    EngineError::new(ErrorClass::Conflict, error.to_string()).on(image)
}
