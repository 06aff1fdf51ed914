//! Unique names: one file `ROOT/names/NAME` per name, its content the id of the holder.

use std::io;
use std::path::{Path, PathBuf};

use berth_base::{ContainerId, ContainerName};
use berth_persist::{At, Op, perform};

use super::lock::FileLock;
use super::random::random_bytes;
use super::words::{ADJECTIVES, NOUNS};
use super::{Store, StoreError};

/// The right to give names. First in the order of locks: names, container, image, network.
#[derive(Debug)]
pub(crate) struct NamesLock {
    _lock: FileLock,
}

/// How often a generated name may be taken before the plain ones are given up.
const PLAIN_TRIES: u32 = 8;
/// How often in all.
const TRIES: u32 = 32;

impl Store {
    /// Waits for the names lock. Held only from the claim of a name to the rename that makes the
    /// container exist.
    pub(crate) fn lock_names(&self) -> Result<NamesLock, StoreError> {
        let lock = FileLock::acquire(&self.root().join("names.lock"))?;
        Ok(NamesLock { _lock: lock })
    }

    /// Claims a name. One whose container does not exist is left over from a crash between claim
    /// and rename, and is taken over: whoever makes containers holds the names lock meanwhile.
    pub(crate) fn claim_name(
        &self,
        _names: &NamesLock,
        name: &ContainerName,
        id: &ContainerId,
    ) -> Result<(), StoreError> {
        let path = self.name_path(name);
        // Complete before it is visible: readers look names up without a lock.
        let temporary = self.root().join("names").join(format!(".{}", id.as_str()));
        std::fs::write(&temporary, id.as_str())
            .map_err(|e| StoreError::io("write", &temporary, e))?;
        let claimed = match perform("container.name.claim", link(&temporary, &path)) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => match self.holder(name)? {
                Some(holder) => Err(StoreError::NameTaken {
                    name: name.as_str().to_owned(),
                    holder: holder.short().to_owned(),
                }),
                None => clear_folder(&path).and_then(|()| {
                    super::rename("container.name.take-over", &temporary, &path)
                        .map_err(|e| StoreError::io("write", &path, e))
                }),
            },
            other => other.map_err(|e| StoreError::io("write", &path, e)),
        };
        drop(perform(
            "container.name.claimed",
            Op::Unlink(At::path(&temporary)),
        ));
        claimed
    }

    /// Claims a generated name that is free.
    pub(crate) fn claim_generated_name(
        &self,
        names: &NamesLock,
        id: &ContainerId,
    ) -> Result<ContainerName, StoreError> {
        for attempt in 0..TRIES {
            let random = random_bytes::<8>()
                .map_err(|e| StoreError::io("draw a name for", self.root(), e))?;
            let Ok(name) = generate(random, attempt >= PLAIN_TRIES).parse() else {
                continue;
            };
            match self.claim_name(names, &name, id) {
                Ok(()) => return Ok(name),
                Err(StoreError::NameTaken { .. }) => {}
                Err(e) => return Err(e),
            }
        }
        Err(StoreError::NamesExhausted(TRIES))
    }

    /// Releases a name if it is still held by `id`.
    pub(crate) fn release_name(
        &self,
        name: &ContainerName,
        id: &ContainerId,
    ) -> Result<(), StoreError> {
        let path = self.name_path(name);
        let held = match berth_persist::read_to_string(&path) {
            Ok(holder) => holder == id.as_str(),
            // It leads to nobody else either.
            Err(e) => e.kind() == io::ErrorKind::InvalidData,
        };
        if !held {
            return Ok(());
        }
        clear_folder(&path)?;
        match perform("container.name.release", Op::Unlink(At::path(&path))) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(StoreError::io("remove", &path, e)),
        }
    }

    /// Gives containers their names back that a loss of power took: the name in a container's
    /// settings is synced, the file that leads from it to the container is not.
    pub(crate) fn reclaim_names(&self, names: &NamesLock) -> Vec<StoreError> {
        let mut errors = Vec::new();
        for id in self.ids().unwrap_or_default() {
            // One that cannot be read is reported by whoever needs it.
            let Ok(Some(settings)) = self.read_settings(&id) else {
                continue;
            };
            let held = self.holder(&settings.name).ok().flatten();
            if held.as_ref() != Some(&id) {
                errors.extend(self.claim_name(names, &settings.name, &id).err());
            }
        }
        errors
    }

    /// The container that has a name; `None` for a free or stale one. What a container is called
    /// say its settings: of two names between which somebody who renamed it died, one is stale.
    pub(super) fn holder(&self, name: &ContainerName) -> Result<Option<ContainerId>, StoreError> {
        let path = self.name_path(name);
        match berth_persist::read_to_string(&path) {
            Ok(text) => Ok(text
                .parse::<ContainerId>()
                .ok()
                .filter(|id| self.exists(id) && !self.is_called_otherwise(id, name))),
            // What stands in the place of a name leads nowhere.
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::InvalidData
                ) =>
            {
                Ok(None)
            }
            Err(e) => Err(StoreError::io("read", &path, e)),
        }
    }

    /// The container that is called so by its settings: where the file that leads to it was lost.
    pub(super) fn called(&self, name: &ContainerName) -> Option<ContainerId> {
        let mut ids = self.ids().unwrap_or_default().into_iter();
        ids.find(|id| {
            let settings = self.read_settings(id).ok().flatten();
            settings.is_some_and(|settings| settings.name == *name)
        })
    }

    /// One whose settings cannot be read is called what leads to it.
    fn is_called_otherwise(&self, id: &ContainerId, name: &ContainerName) -> bool {
        let settings = self.read_settings(id).ok().flatten();
        settings.is_some_and(|settings| settings.name != *name)
    }

    /// The name of a container whose `settings.json` cannot be read.
    pub(crate) fn name_of(&self, id: &ContainerId) -> Option<ContainerName> {
        let entries = std::fs::read_dir(self.root().join("names")).ok()?;
        entries.flatten().find_map(|entry| {
            let name: ContainerName = entry.file_name().to_str()?.parse().ok()?;
            let holder = berth_persist::read_to_string(&entry.path()).ok()?;
            (holder == id.as_str()).then_some(name)
        })
    }

    fn name_path(&self, name: &ContainerName) -> PathBuf {
        self.root().join("names").join(name.as_str())
    }
}

/// A folder in the place of a name goes: no name can take its place, nor be unlinked there.
pub(super) fn clear_folder(path: &Path) -> Result<(), StoreError> {
    match std::fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()) {
        true => super::remove_tree("container.name.clear", path),
        false => Ok(()),
    }
}

fn link<'a>(from: &'a Path, to: &'a Path) -> Op<'a> {
    Op::Link {
        from: At::path(from),
        to: At::path(to),
    }
}

/// Makes `adjective_noun`, with a number when the plain ones seem used up.
fn generate(random: [u8; 8], numbered: bool) -> String {
    let [a, b, c, d, e, f, ..] = random.map(usize::from);
    let adjective = ADJECTIVES[(a << 8 | b) % ADJECTIVES.len()];
    let noun = NOUNS[(c << 8 | d) % NOUNS.len()];
    if numbered {
        format!("{adjective}_{noun}_{}", e << 8 | f)
    } else {
        format!("{adjective}_{noun}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().join("root"), dir.path().join("state"));
        store.ensure().unwrap();
        (dir, store)
    }

    fn id(byte: u8) -> ContainerId {
        ContainerId::from_bytes([byte; 32])
    }

    #[test]
    fn a_name_is_held_once_and_free_after_release() {
        let (_dir, store) = store();
        let name: ContainerName = "web".parse().unwrap();
        std::fs::create_dir(store.persistent_dir(&id(1))).unwrap();
        let names = store.lock_names().unwrap();
        store.claim_name(&names, &name, &id(1)).unwrap();
        let error = store.claim_name(&names, &name, &id(2)).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("taken by container 010101010101")
        );
        store.release_name(&name, &id(2)).unwrap();
        assert_eq!(store.holder(&name).unwrap(), Some(id(1)));
        store.release_name(&name, &id(1)).unwrap();
        store.claim_name(&names, &name, &id(2)).unwrap();
    }

    #[test]
    fn a_name_left_by_a_crash_is_taken_over() {
        let (_dir, store) = store();
        let name: ContainerName = "web".parse().unwrap();
        let names = store.lock_names().unwrap();
        store.claim_name(&names, &name, &id(1)).unwrap();
        assert_eq!(store.holder(&name).unwrap(), None);
        store.claim_name(&names, &name, &id(2)).unwrap();
        std::fs::create_dir(store.persistent_dir(&id(2))).unwrap();
        assert_eq!(store.holder(&name).unwrap(), Some(id(2)));
        // Nothing but the name itself is left in the folder.
        let entries = std::fs::read_dir(store.root().join("names")).unwrap();
        assert_eq!(entries.count(), 1);
    }

    #[test]
    fn a_name_that_was_lost_with_the_power_comes_back() {
        let (_dir, store) = store();
        let name: ContainerName = "web".parse().unwrap();
        std::fs::create_dir(store.persistent_dir(&id(1))).unwrap();
        let settings = berth_base::state::SettingsFile::new(
            name.clone(),
            berth_base::state::RestartPolicy::No,
        );
        let dir = store.persistent_dir(&id(1));
        let durability = super::super::Durability::Process;
        store
            .write_hidden("test", &dir, "settings.json", &settings, durability)
            .unwrap();
        let names = store.lock_names().unwrap();
        assert!(store.reclaim_names(&names).is_empty());
        assert_eq!(store.holder(&name).unwrap(), Some(id(1)));
        // A folder stands in its place.
        std::fs::remove_file(store.root().join("names/web")).unwrap();
        std::fs::create_dir_all(store.root().join("names/web/x")).unwrap();
        assert_eq!(store.resolve("web").unwrap(), id(1), "by its settings");
        assert!(store.reclaim_names(&names).is_empty());
        assert_eq!(store.holder(&name).unwrap(), Some(id(1)));
        // The file is there, and what was in it is not.
        std::fs::write(store.root().join("names/web"), "").unwrap();
        assert!(store.reclaim_names(&names).is_empty());
        assert_eq!(store.holder(&name).unwrap(), Some(id(1)));
    }

    #[test]
    fn generated_names_are_valid_and_avoid_taken_ones() {
        let (_dir, store) = store();
        let names = store.lock_names().unwrap();
        for byte in 0..50 {
            std::fs::create_dir(store.persistent_dir(&id(byte))).unwrap();
            store.claim_generated_name(&names, &id(byte)).unwrap();
        }
        let entries = std::fs::read_dir(store.root().join("names")).unwrap();
        assert_eq!(entries.count(), 50);
    }

    #[test]
    fn every_word_makes_a_valid_name() {
        for adjective in ADJECTIVES {
            for noun in NOUNS {
                let name = format!("{adjective}_{noun}");
                assert!(name.parse::<ContainerName>().is_ok(), "{name}");
            }
        }
    }
}
