//! The root of an image: one overlay over the folders of its layers.
//!
//! All of them are named from one open folder that holds them all, so that an image of a hundred
//! layers costs one descriptor, and one mapped mount where ids are mapped.

use std::ffi::CString;
use std::path::{Path, PathBuf};

use berth_base::state::RootSource;

use super::build::{Builder, c_path, invalid};
use super::{LowerOption, Overlay, Place, PlanError, Slot, Step};
use crate::facts::common_folder;

/// What overlayfs stacks at most (OVL_MAX_STACK).
const LOWERS_MAX: usize = 500;

/// The longest path below a descriptor that still fits a string for fsconfig(2): 255 bytes, less
/// `/proc/self/fd/`, a number and a slash.
const PATH_MAX_BYTES: usize = 230;

/// The first kernel whose overlayfs takes lower layers one by one.
const APPENDS_SINCE: (u32, u32) = (6, 8);

/// The first kernel whose overlayfs takes layers with mapped ids.
const MAPS_SINCE: (u32, u32) = (5, 19);

/// The folders of a container's root.
struct Layers {
    lowers: Vec<PathBuf>,
    upper: PathBuf,
    work: PathBuf,
    volatile: bool,
}

/// A folder that is open, from which others are named.
struct Base {
    path: PathBuf,
    slot: Slot,
}

/// Plans the overlay and makes it the root.
pub(super) fn root(builder: &mut Builder<'_>) -> Result<(), PlanError> {
    let layers = wanted(builder)?;
    refuse(builder, &layers)?;
    let bases = open_bases(builder, &layers)?;
    let upper = place(builder, &bases, &layers.upper)?;
    let work = place(builder, &bases, &layers.work)?;
    let lower_option = match layers.lowers.len() {
        1 => LowerOption::Single,
        _ if builder.facts.kernel >= APPENDS_SINCE => LowerOption::Appended,
        _ => LowerOption::Page,
    };
    let mut lowers = Vec::with_capacity(layers.lowers.len());
    for path in &layers.lowers {
        lowers.push(if lower_option == LowerOption::Page {
            open(builder, &bases, path)?
        } else {
            place(builder, &bases, path)?
        });
    }
    let slot = builder.slot();
    builder.push(Step::Overlay(Box::new(Overlay {
        lowers,
        upper,
        work,
        lower_option,
        options: options(builder, layers.volatile),
        attributes: 0,
        owner: builder.owner,
        on_disk: true,
        slot,
    })));
    builder.push(Step::AttachScratch { slot });
    builder.push(Step::SetRoot { slot });
    Ok(())
}

fn wanted(builder: &Builder<'_>) -> Result<Layers, PlanError> {
    match builder.setup.root.clone() {
        RootSource::Layers {
            lowers,
            upper,
            work,
            volatile,
        } => Ok(Layers {
            lowers,
            upper,
            work,
            volatile,
        }),
        RootSource::Host | RootSource::Directory { .. } => {
            Err(invalid("root: it is not made of layers"))
        }
    }
}

/// What cannot work is said before anything is made.
fn refuse(builder: &Builder<'_>, layers: &Layers) -> Result<(), PlanError> {
    let facts = builder.facts;
    if let Some(path) = layers.all().find(|path| !path.is_absolute()) {
        return Err(invalid(&format!(
            "the layer {} is not an absolute path",
            path.display()
        )));
    }
    let count = layers.lowers.len();
    if count == 0 {
        return Err(invalid("the image has no layers"));
    }
    if count > LOWERS_MAX {
        return Err(PlanError::Unsupported(format!(
            "the image has {count} layers, overlayfs takes {LOWERS_MAX}; build it with fewer"
        )));
    }
    if let Some(path) = facts.layers.missing.first() {
        let path_text = path.display();
        return Err(invalid(&if layers.lowers.contains(path) {
            format!("the layer {path_text} of the image is missing; pull the image again")
        } else {
            format!("the container's own layer {path_text} is missing; make the container anew")
        }));
    }
    if facts.layers.is_volatile {
        return Err(PlanError::Unsupported(format!(
            "the container's own layer {} was written without care for a crash of the host (--rm) \
             and may be damaged; make the container anew",
            layers.upper.display()
        )));
    }
    if builder.owner.is_some() && facts.kernel < MAPS_SINCE {
        let (major, minor) = facts.kernel;
        return Err(PlanError::Unsupported(format!(
            "an image in a user namespace of its own needs Linux 5.19, this is {major}.{minor}; \
             use --userns host"
        )));
    }
    Ok(())
}

impl Layers {
    fn all(&self) -> impl Iterator<Item = &PathBuf> {
        self.lowers.iter().chain([&self.upper, &self.work])
    }
}

/// Opens the folder that holds all layers. Where ids are mapped it is a mount of ours with the
/// mapping, one for each of the host's mounts that the layers lie on.
fn open_bases(builder: &mut Builder<'_>, layers: &Layers) -> Result<Vec<Base>, PlanError> {
    let is_mapped = builder.owner.is_some();
    let facts = builder.facts;
    let mount_of = |path: &Path| {
        let holding = facts.layers.mount_points.iter();
        let holding = holding.filter(|point| is_mapped && path.starts_with(point));
        holding.max_by_key(|point| point.as_os_str().len())
    };
    let mut mounts: Vec<_> = layers.all().map(|path| mount_of(path)).collect();
    mounts.sort();
    mounts.dedup();
    let mut bases = Vec::with_capacity(mounts.len());
    for mount in mounts {
        let there = layers.all().filter(|path| mount_of(path) == mount);
        let path = common_folder(there.map(PathBuf::as_path));
        let slot = builder.slot();
        let host = c_path(&path)?;
        if is_mapped {
            // Mapped while detached, then attached: an overlay's layer must be somewhere.
            builder.push(Step::CloneHost {
                host: host.clone(),
                recursive: false,
                device: None,
                slot,
            });
            builder.push(Step::IdMap { host, slot });
            builder.push(Step::AttachScratch { slot });
        } else {
            builder.push(Step::OpenHost { host, slot });
        }
        bases.push(Base { path, slot });
    }
    // The deepest first: a mount may lie below another.
    bases.sort_by_key(|base| std::cmp::Reverse(base.path.as_os_str().len()));
    Ok(bases)
}

/// A layer as a path below an open folder, opened itself where its path is nothing for an option.
fn place(builder: &mut Builder<'_>, bases: &[Base], path: &Path) -> Result<Place, PlanError> {
    let place = below(bases, path)?;
    let bytes = place.path.as_bytes();
    let is_plain = bytes.len() <= PATH_MAX_BYTES && !bytes.iter().any(|b| b",:\\".contains(b));
    if is_plain {
        Ok(place)
    } else {
        open(builder, bases, path)
    }
}

/// Opens a layer.
fn open(builder: &mut Builder<'_>, bases: &[Base], path: &Path) -> Result<Place, PlanError> {
    let folder = below(bases, path)?;
    if folder.path.is_empty() {
        return Ok(folder);
    }
    let slot = builder.slot();
    builder.push(Step::OpenFolder { folder, slot });
    Ok(Place {
        at: slot,
        path: c"".into(),
    })
}

fn below(bases: &[Base], path: &Path) -> Result<Place, PlanError> {
    let found = bases.iter().find_map(|base| {
        let rest = path.strip_prefix(&base.path).ok()?;
        Some((base.slot, rest))
    });
    let (at, rest) = found.ok_or_else(|| invalid("a layer lies nowhere"))?;
    Ok(Place {
        at,
        path: c_path(rest)?,
    })
}

/// The options that a container's own layer is written by: whole files and folders with nothing
/// that only this stack of layers can read, whatever the kernel's defaults are, since it may
/// become a layer of an image (docs/storage.md says what each is for).
fn options(builder: &Builder<'_>, volatile: bool) -> Vec<(CString, Option<CString>)> {
    let mut options: Vec<(CString, Option<CString>)> = [
        (c"index", c"off"),
        (c"metacopy", c"off"),
        (c"redirect_dir", c"nofollow"),
        (c"xino", c"off"),
    ]
    .map(|(key, value)| (key.into(), Some(value.into())))
    .into();
    if builder.facts.kernel >= APPENDS_SINCE {
        options.push((c"uuid".into(), Some(c"null".into())));
    }
    if volatile {
        options.push((c"volatile".into(), None));
    }
    if !builder.facts.privileged {
        options.push((c"userxattr".into(), None));
    }
    options
}

#[cfg(test)]
#[path = "layers_tests.rs"]
mod tests;
