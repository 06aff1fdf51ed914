//! A loss of power, played on metadata.
//!
//! From the store as it was before, all of it on disk, and the journal of what was done since, a
//! model keeps every folder twice: as processes saw it, and as the disk has it for certain. An fsync
//! of a folder makes the changes of its entries certain, in their order, with the other end of a
//! rename (journals are atomic); an fsync of a file its content; syncfs all. Then the store is
//! written anew in one of two forms: [`Loss::Dropped`], where nothing uncertain survived, and
//! [`Loss::Hollow`], where all entries did, but no content that was not synced: those files are
//! empty. Layers of this boot become layers of another.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::trace::{Entry, Kind};
use super::world::copy_tree;
use crate::failure::{Failure, Outcome};

/// What survives beside what was synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// Nothing.
    Dropped,
    /// Every entry of every folder, and no content.
    Hollow,
}

/// Its number in [`Model::nodes`].
type Id = usize;
type Names = BTreeMap<String, Id>;

/// A file or folder.
#[derive(Debug)]
enum Node {
    /// Where what it holds for certain can be read; else nothing is certain.
    File(Option<PathBuf>),
    Folder {
        seen: Names,
        certain: Names,
    },
}

/// A change of an entry: the folder, the name, what it leads to.
type Change = (Id, String, Option<Id>);

struct Model {
    nodes: Vec<Node>,
    root: Id,
    /// Where the store lies.
    place: PathBuf,
    /// Changes that are not certain yet, those of one operation together, the oldest first.
    pending: Vec<Vec<Change>>,
}

/// Writes to `to` what is left of the store at `after`, which was `before` when the journal began.
///
/// # Errors
/// A file cannot be read or written.
pub(super) fn lose(
    (before, after): (&Path, &Path),
    journal: &[Entry],
    loss: Loss,
    to: &Path,
) -> Outcome {
    let mut model = Model {
        nodes: Vec::new(),
        root: 0,
        place: after.to_owned(),
        pending: Vec::new(),
    };
    model.root = model.load(before)?;
    for entry in journal.iter().filter(|entry| entry.done) {
        model.play(entry)?;
    }
    match loss {
        Loss::Dropped => model.write_certain(model.root, to)?,
        Loss::Hollow => model.write_hollow(Some(model.root), after, to)?,
    }
    age_layers(&to.join("layers"))
}

impl Model {
    fn add(&mut self, node: Node) -> Id {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// Takes in what is on disk as it is; a missing folder is an empty one.
    fn load(&mut self, path: &Path) -> Outcome<Id> {
        if path.is_symlink() || path.is_file() {
            return Ok(self.add(Node::File(Some(path.to_owned()))));
        }
        let mut entries = Names::new();
        for entry in fs::read_dir(path).into_iter().flatten() {
            let entry = entry.map_err(|error| Failure::file("list", path, &error))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            entries.insert(name, self.load(&entry.path())?);
        }
        Ok(self.add(Node::Folder {
            seen: entries.clone(),
            certain: entries,
        }))
    }

    fn entries(&self, id: Id) -> Option<&Names> {
        match self.nodes.get(id)? {
            Node::Folder { seen, .. } => Some(seen),
            Node::File(_) => None,
        }
    }

    /// The node at a path; `None` outside of the store, and for what the journal does not know.
    fn find(&self, path: &Path) -> Option<Id> {
        let below = path.strip_prefix(&self.place).ok()?;
        below.iter().try_fold(self.root, |at, name| {
            self.entries(at)?.get(&*name.to_string_lossy()).copied()
        })
    }

    /// The folder of a path, and its name there.
    fn place_of(&self, path: &Path) -> Option<(Id, String)> {
        let name = path.file_name()?.to_string_lossy().into_owned();
        let folder = self.find(path.parent()?)?;
        self.entries(folder)?;
        Some((folder, name))
    }

    /// The node at a path. A file that the journal does not know was made just before.
    fn file(&mut self, path: &Path) -> Option<Id> {
        if let Some(id) = self.find(path) {
            return Some(id);
        }
        let (folder, name) = self.place_of(path)?;
        let id = self.add(Node::File(None));
        self.change(vec![(folder, name, Some(id))]);
        Some(id)
    }

    fn change(&mut self, changes: Vec<Change>) {
        for (folder, name, to) in &changes {
            if let Some(Node::Folder { seen, .. }) = self.nodes.get_mut(*folder) {
                set(seen, name, *to);
            }
        }
        self.pending.push(changes);
    }

    fn play(&mut self, entry: &Entry) -> Outcome {
        match entry.kind {
            Kind::MakeDir => {
                if let Some((folder, name)) = self.place_of(&entry.path) {
                    let (seen, certain) = (Names::new(), Names::new());
                    let made = self.add(Node::Folder { seen, certain });
                    self.change(vec![(folder, name, Some(made))]);
                }
            }
            Kind::Unlink | Kind::RemoveDir => {
                if let Some((folder, name)) = self.place_of(&entry.path) {
                    self.change(vec![(folder, name, None)]);
                }
            }
            Kind::Rename | Kind::Exchange | Kind::Link => self.play_move(entry),
            Kind::SyncFile => {
                if let Some(id) = self.file(&entry.path)
                    && let Some(Node::File(content)) = self.nodes.get_mut(id)
                {
                    *content = Some(entry.to.clone());
                }
            }
            Kind::SyncDir => {
                if let Some(id) = self.find(&entry.path) {
                    self.settle(|changes| changes.iter().any(|(folder, ..)| *folder == id));
                }
            }
            Kind::SyncFilesystem => {
                self.take_content(self.root, &self.place.clone())?;
                self.settle(|_| true);
            }
        }
        Ok(())
    }

    fn play_move(&mut self, entry: &Entry) {
        let source = self.file(&entry.path);
        let (from, to) = (self.place_of(&entry.path), self.place_of(&entry.to));
        let (Some(source), Some(from), Some(to)) = (source, from, to) else {
            return;
        };
        let was_there = self.find(&entry.to);
        let mut changes = vec![(to.0, to.1, Some(source))];
        match entry.kind {
            Kind::Exchange => changes.push((from.0, from.1, was_there)),
            Kind::Rename => changes.push((from.0, from.1, None)),
            _ => {}
        }
        self.change(changes);
    }

    /// Makes changes certain.
    fn settle(&mut self, which: impl Fn(&[Change]) -> bool) {
        let pending = std::mem::take(&mut self.pending);
        for changes in pending {
            if !which(&changes) {
                self.pending.push(changes);
                continue;
            }
            for (folder, name, to) in changes {
                if let Some(Node::Folder { certain, .. }) = self.nodes.get_mut(folder) {
                    set(certain, &name, to);
                }
            }
        }
    }

    /// What is in the files is certain, also in those that the journal does not know.
    fn take_content(&mut self, id: Id, path: &Path) -> Outcome {
        if !path.is_dir() {
            if let Some(Node::File(content)) = self.nodes.get_mut(id)
                && path.exists()
            {
                *content = Some(path.to_owned());
            }
            return Ok(());
        }
        for entry in fs::read_dir(path).into_iter().flatten() {
            let entry = entry.map_err(|error| Failure::file("list", path, &error))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            match self.entries(id).and_then(|seen| seen.get(&name).copied()) {
                Some(known) => self.take_content(known, &entry.path())?,
                None => {
                    let found = self.load(&entry.path())?;
                    self.change(vec![(id, name, Some(found))]);
                }
            }
        }
        Ok(())
    }

    fn write_certain(&self, id: Id, to: &Path) -> Outcome {
        match self.nodes.get(id) {
            Some(Node::File(Some(content))) => copy_tree(content, to),
            Some(Node::File(None)) | None => empty(to),
            Some(Node::Folder { certain, .. }) => {
                fs::create_dir(to).map_err(|error| Failure::file("create", to, &error))?;
                certain
                    .iter()
                    .try_for_each(|(name, id)| self.write_certain(*id, &to.join(name)))
            }
        }
    }

    fn write_hollow(&self, id: Option<Id>, from: &Path, to: &Path) -> Outcome {
        if !from.is_dir() || from.is_symlink() {
            return match id.and_then(|id| self.nodes.get(id)) {
                Some(Node::File(Some(content))) => copy_tree(content, to),
                _ => empty(to),
            };
        }
        fs::create_dir(to).map_err(|error| Failure::file("create", to, &error))?;
        for entry in fs::read_dir(from).into_iter().flatten() {
            let entry = entry.map_err(|error| Failure::file("list", from, &error))?;
            let name = entry.file_name();
            let known = id.and_then(|id| self.entries(id)?.get(&*name.to_string_lossy()).copied());
            self.write_hollow(known, &entry.path(), &to.join(name))?;
        }
        Ok(())
    }
}

fn set(names: &mut Names, name: &str, to: Option<Id>) {
    match to {
        Some(id) => names.insert(name.to_owned(), id),
        None => names.remove(name),
    };
}

fn empty(to: &Path) -> Outcome {
    fs::write(to, "").map_err(|error| Failure::file("write", to, &error))
}

/// Layers that were not synced say the boot in which they were unpacked: it is over.
fn age_layers(layers: &Path) -> Outcome {
    for entry in fs::read_dir(layers).into_iter().flatten().flatten() {
        let path = entry.path().join("layer.json");
        let Some(Value::Object(mut meta)) = fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        else {
            continue;
        };
        if meta.contains_key("unsynced_in_boot") {
            meta.insert("unsynced_in_boot".to_owned(), "another".into());
            let text = Value::Object(meta).to_string();
            fs::write(&path, text).map_err(|error| Failure::file("write", &path, &error))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::trace;
    use super::*;
    use crate::scratch::Scratch;

    /// The worlds left by a journal of `OP PATH [TO]`, as `NAME=CONTENT` each.
    fn left(purpose: &str, journal: &[&str], loss: Loss) -> Vec<String> {
        let scratch = Scratch::make(purpose).unwrap();
        let place = |name: &str| scratch.path().join(name);
        for (name, content) in [
            ("before/old", "old"),
            ("before/d/x", "x"),
            ("after/old", "new"),
            ("after/d/x", "x"),
            ("after/d/y", "y"),
            ("copy", "new"),
        ] {
            let path = place(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let lines: Vec<String> = journal
            .iter()
            .map(|line| {
                let mut words = line.split(' ');
                let op = words.next().unwrap();
                let path = place("after").join(words.next().unwrap());
                let to = match op {
                    "fsync-file" => place("copy"),
                    _ => place("after").join(words.next().unwrap_or_default()),
                };
                format!(
                    r#"{{"pid":1,"point":"p","op":"{op}","path":"{}","to":"{}","done":true}}"#,
                    path.display(),
                    to.display()
                )
            })
            .collect();
        fs::write(place("trace"), lines.join("\n")).unwrap();
        let journal = trace::read(&place("trace")).unwrap();
        let to = place("to");
        lose((&place("before"), &place("after")), &journal, loss, &to).unwrap();
        let mut found = Vec::new();
        list(&to, &to, &mut found);
        found.sort();
        found
    }

    fn list(root: &Path, folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            if path.is_dir() {
                list(root, &path, found);
            } else {
                found.push(format!("{name}={}", fs::read_to_string(path).unwrap()));
            }
        }
    }

    #[test]
    fn what_was_not_synced_is_as_before() {
        let replaced = ["fsync-file .tmp", "rename .tmp old"];
        let lost = left("power-a", &replaced, Loss::Dropped);
        assert_eq!(lost, ["d/x=x", "old=old"]);
        let synced = ["fsync-file .tmp", "rename .tmp old", "fsync-dir "];
        let kept = left("power-b", &synced, Loss::Dropped);
        assert_eq!(kept, ["d/x=x", "old=new"]);
        // Without its content.
        let kept = left("power-c", &["rename .tmp old", "fsync-dir "], Loss::Dropped);
        assert_eq!(kept, ["d/x=x", "old="]);
    }

    #[test]
    fn a_folder_in_a_folder_that_was_not_synced_is_gone() {
        let made = ["mkdir n", "mkdir n/m", "fsync-dir n"];
        assert_eq!(left("power-d", &made, Loss::Dropped), ["d/x=x", "old=old"]);
        let moved = ["mkdir n", "rename d n/d", "fsync-dir n"];
        // The rename is whole or not at all, and the folder it led to is not there.
        assert_eq!(left("power-e", &moved, Loss::Dropped), ["old=old"]);
    }

    #[test]
    fn hollow_files_keep_their_names_alone() {
        let journal = ["rename .tmp old", "link old d/y"];
        let hollow = left("power-f", &journal, Loss::Hollow);
        assert_eq!(hollow, ["d/x=x", "d/y=", "old="]);
        let synced = ["syncfs "];
        let kept = left("power-g", &synced, Loss::Dropped);
        assert_eq!(kept, ["d/x=x", "d/y=y", "old=new"]);
    }
}
