//! What a container's root comes from: the host, a directory, or the layers of an image.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use berth_base::state::{ImageSource, RootSource};
use berth_base::{ContainerId, ErrorClass};
use berth_image::NoProgress;
use berth_image::layer::merged::Stack;
use berth_image::manifest::Platform;
use berth_image::store::{Access, Image, StoreLock};
use oci_spec::runtime::Mount;

use super::points::MountPoints;
use super::shared::{is_points, is_shared};
use crate::image::unpack::Notes;
use crate::options::ImageRequest;
use crate::storage::{self, DressUpper, ReadAccounts};
use crate::store::Durability;
use crate::user::{Accounts, ResolvedUser};
use crate::{CreateFile, CreateOptions, Engine, EngineError, image, quota};

/// The built-in image.
const HOST: &str = "host";

/// What overlayfs stacks at most (OVL_MAX_STACK).
const LOWERS_MAX: usize = 500;

/// A root, and what comes with it.
pub(crate) struct Rooted {
    pub(crate) source: RootSource,
    /// What listings call it.
    pub(crate) image: String,
    /// The image, if it is one.
    pub(crate) from: Option<ImageSource>,
    /// The user's options, completed by the image's.
    pub(crate) options: CreateOptions,
    /// Paths that the image wants to be volumes.
    pub(crate) volumes: Vec<String>,
    pub(crate) warnings: Vec<String>,
    /// The image itself, to be unpacked.
    pub(crate) unpacked: Option<Image>,
    /// Its layers, open.
    stack: Option<Stack>,
}

/// Decides what the root of a container is, and unpacks what is missing of it.
pub(crate) fn resolve_root(
    engine: &Engine,
    id: &ContainerId,
    options: &CreateOptions,
) -> Result<Rooted, EngineError> {
    let plain = |source, image| Rooted {
        source,
        image,
        from: None,
        options: options.clone(),
        volumes: Vec::new(),
        warnings: Vec::new(),
        unpacked: None,
        stack: None,
    };
    match &options.image {
        ImageRequest::Name { name } if name == HOST => Ok(plain(RootSource::Host, name.clone())),
        ImageRequest::Rootfs { path, writable } => {
            let path = checked_rootfs(path)?;
            let shown = path.display().to_string();
            let writable = *writable;
            Ok(plain(RootSource::Directory { path, writable }, shown))
        }
        ImageRequest::Name { name } => of_image(engine, id, options, name),
    }
}

fn of_image(
    engine: &Engine,
    id: &ContainerId,
    options: &CreateOptions,
    name: &str,
) -> Result<Rooted, EngineError> {
    let on_name = |error: EngineError| error.on(name);
    let image = engine
        .images()
        .resolve(name)
        .map_err(|e| on_name(e.into()))?;
    let completed = image::complete(options, &image.config.config).map_err(on_name)?;
    let mut warnings = Vec::new();
    let host = Platform::host();
    let offered = &image.config.platform;
    if host.match_of(offered).is_none() {
        warnings.push(format!(
            "the image {name} is for {offered}, this host is {host}; without an emulator its programs do not execute"
        ));
    }
    let notes = Notes::default();
    engine.unpack(&image, &notes)?;
    warnings.extend(notes.into_lines());
    let layer = engine.store().persistent_dir(id).join("layer");
    let store = engine.images();
    let mut lowers: Vec<PathBuf> = image
        .layers
        .iter()
        .rev()
        .map(|l| store.layer_fs(&l.chain_id))
        .collect();
    let stack = match storage::stack(&lowers, storage::is_rootless()) {
        // The root of an image may be another user's alone: then the worker looks, and what is
        // done without one is left to the runtime.
        Err(_) if storage::is_rootless() => None,
        opened => Some(opened?),
    };
    if lowers.is_empty() {
        // An image without layers still needs something to be stacked on.
        lowers.push(layer.join("init"));
    }
    Ok(Rooted {
        source: RootSource::Layers {
            lowers,
            upper: layer.join("upper"),
            work: layer.join("work"),
            volatile: options.auto_remove,
        },
        image: name.to_owned(),
        from: Some(ImageSource {
            id: image.id.clone(),
            manifest: image.manifest.digest.clone(),
            layers: image.layers.iter().map(|l| l.chain_id.clone()).collect(),
        }),
        options: completed,
        volumes: image.config.config.volumes.keys().cloned().collect(),
        warnings,
        unpacked: Some(image),
        stack,
    })
}

/// Finds the mount points that an image lacks, and gives the container the layer for them.
pub(crate) fn mount_points(engine: &Engine, rooted: &mut Rooted, mounts: &[Mount]) -> MountPoints {
    let RootSource::Layers { lowers, upper, .. } = &mut rooted.source else {
        return MountPoints::default();
    };
    let Some(stack) = &rooted.stack else {
        return MountPoints::default();
    };
    // One more would be one too many for overlayfs.
    if lowers.len() >= LOWERS_MAX {
        return MountPoints::default();
    }
    let points = MountPoints::missing(stack, mounts);
    let own = upper.with_file_name("init");
    if points.is_empty() {
        return points;
    }
    lowers.retain(|lower| *lower != own);
    match points.shared_name() {
        Some(name) => lowers.insert(0, engine.shared_points(&name)),
        None => lowers.insert(0, own),
    }
    points
}

/// Keeps collections away from the layers of an image until the lock is dropped; by then the
/// container's files must say that it needs them. Unpacks again what a collection took.
pub(crate) fn pin(engine: &Engine, image: &Image) -> Result<StoreLock, EngineError> {
    let store = engine.images();
    for _ in 0..3 {
        let pin = store.lock(Access::Pin)?;
        if image.layers.iter().all(|l| store.has_layer(&l.chain_id)) {
            return Ok(pin);
        }
        drop(pin);
        engine.unpack(image, &NoProgress)?;
    }
    let text = format!(
        "image {} was removed while a container was made from it; pull it again",
        image.display_name()
    );
    Err(EngineError::new(ErrorClass::Conflict, text))
}

/// Makes the folders of a container's own layer below its folder, `hidden` as yet. The kernel
/// takes the owner and mode of the container's `/` from the upper one.
pub(crate) fn make_layer(
    engine: &Engine,
    hidden: &Path,
    create: &CreateFile,
    points: &MountPoints,
    durability: Durability,
) -> Result<(), EngineError> {
    let RootSource::Layers { lowers, .. } = &create.root else {
        return Ok(());
    };
    let layer = hidden.join("layer");
    let init = layer.join("init");
    let mut folders = vec![layer.join("upper"), layer.join("work")];
    let (of_points, of_image): (Vec<&PathBuf>, Vec<&PathBuf>) =
        lowers.iter().partition(|lower| is_points(lower));
    let own = of_points.iter().any(|lower| !is_shared(lower));
    if own {
        folders.push(init.clone());
    }
    let failed = |path: &Path, e: std::io::Error| {
        let text = format!("cannot make {}: {e}", path.display());
        EngineError::new(ErrorClass::Unavailable, text)
    };
    let make = |folder: &Path| {
        let op = berth_persist::Op::MakeDir(berth_persist::At::path(folder), 0o755);
        berth_persist::perform("container.create.layer", op).map_err(|e| failed(folder, e))
    };
    make(&layer)?;
    if let Some(limit_bytes) = create.options.storage_bytes {
        // Before there is anything in it: what is made later inherits the project.
        quota::limit(engine, &layer, limit_bytes)?;
    }
    folders.iter().try_for_each(|folder| make(folder))?;
    if own {
        points.make(&init).map_err(|e| failed(&init, e))?;
    }
    for shared in of_points.iter().filter(|lower| is_shared(lower)) {
        engine.ensure_shared_points(shared)?;
    }
    if let Some(top) = of_image.first() {
        engine.storage_if_need_be(&DressUpper {
            from: PathBuf::from(top),
            upper: layer.join("upper"),
        })?;
    }
    if durability == Durability::Power {
        // by path: our own folder, just made
        let synced = berth_persist::open_folder(&layer).and_then(|folder| {
            let op = berth_persist::Op::SyncDir(folder.as_fd());
            berth_persist::perform("container.create.layer-sync", op)
        });
        synced.map_err(|e| failed(&layer, e))?;
    }
    Ok(())
}

/// Looks up `-u` and `--group-add` in the root that the container will have: the host's /etc for
/// the host image, the directory's or the layers' otherwise.
pub(crate) fn resolve_user(engine: &Engine, rooted: &Rooted) -> Result<ResolvedUser, EngineError> {
    let accounts = match (&rooted.stack, &rooted.source) {
        (Some(stack), _) if !storage::is_rootless() => {
            Accounts::read_from(|path| stack.open_file(path))?
        }
        (_, RootSource::Layers { lowers, .. }) => engine.storage_if_need_be(&ReadAccounts {
            folders: storage::real(lowers),
            rootless: storage::is_rootless(),
        })?,
        (_, RootSource::Directory { path, .. }) => accounts_below(path)?,
        (_, RootSource::Host) => accounts_below(Path::new("/"))?,
    };
    let options = &rooted.options;
    Ok(accounts.resolve(options.user.as_deref(), &options.group_add)?)
}

fn accounts_below(path: &Path) -> Result<Accounts, EngineError> {
    let dir = open_folder(path)?;
    Ok(Accounts::read(dir.as_fd())?)
}

fn open_folder(path: &Path) -> Result<OwnedFd, EngineError> {
    // by path: the root itself; the files in it are opened below the descriptor
    berth_persist::open_folder(path)
        .map(OwnedFd::from)
        .map_err(|e| {
            let text = format!("cannot open the root filesystem {}: {e}", path.display());
            EngineError::new(ErrorClass::Denied, text)
        })
}

fn checked_rootfs(path: &Path) -> Result<PathBuf, EngineError> {
    let shown = path.display();
    let error = |class, why: String| {
        let text = format!(
            "cannot use {shown} as root filesystem: {why}; give a directory that holds one"
        );
        EngineError::new(class, text).on(shown.to_string())
    };
    // by path: the root itself, which the caller names; what lies inside is not looked at
    let path = std::fs::canonicalize(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => error(ErrorClass::NotFound, "it does not exist".into()),
        std::io::ErrorKind::PermissionDenied => error(ErrorClass::Denied, e.to_string()),
        _ => error(ErrorClass::Invalid, e.to_string()),
    })?;
    // by path: the root itself
    if !path.is_dir() {
        return Err(error(ErrorClass::Invalid, "it is not a directory".into()));
    }
    if path.to_str().is_none() {
        return Err(error(ErrorClass::Invalid, "its path is not UTF-8".into()));
    }
    Ok(path)
}
