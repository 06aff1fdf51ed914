//! `commit`, `diff` and `export`: what a container has become.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, SystemTime};

use berth_base::state::RootSource;
use berth_base::{ContainerId, Digest, ErrorClass, Timestamp, signal_name};
use berth_image::archive::Changes;
use berth_image::layer::{Change, Packed};
use berth_image::manifest::{Manifest, media};
use berth_image::{
    ContainerConfig, Descriptor, HealthConfig, History, ImageConfig, ImageError, ImageRef,
    Platform, Progress, Stage,
};

use super::frozen::Frozen;
use crate::storage::{self, ListChanges, PackLayer, PackRoot};
use crate::{Container, CreateOptions, Engine, EngineError};

/// How often it is told how far a layer is.
const LOOK: Duration = Duration::from_millis(100);

/// What `commit` is to make.
#[derive(Debug, Default)]
pub struct CommitOptions {
    /// The image's name; none leaves it without.
    pub name: Option<ImageRef>,
    /// Who made it.
    pub author: Option<String>,
    /// A word about it.
    pub message: Option<String>,
    /// `--change`, instructions as in a Dockerfile.
    pub changes: Vec<String>,
    /// Let the container run meanwhile: files may then be from different moments.
    pub running: bool,
}

impl Engine {
    /// Makes an image of a container: the layers of its own, and its own layer on top. Answers the
    /// image's id.
    pub fn commit(
        &self,
        id: &ContainerId,
        options: &CommitOptions,
        progress: &dyn Progress,
    ) -> Result<Digest, EngineError> {
        let changes = Changes::parse(&options.changes)?;
        let container = self.inspect(id)?;
        let layers = own_layers(&container, "commit")?;
        let source = container
            .create
            .source
            .as_ref()
            .ok_or_else(|| no_image(&container))?;
        let store = self.images();
        let base = store.by_manifest(&source.manifest)?;
        let lease = store.lease()?;
        for layer in &base.layers {
            lease.protect(&layer.descriptor.digest)?;
        }
        let packed = {
            let _frozen = Frozen::begin(self, &container, options.running)?;
            let spool = store.spool()?;
            let work = PackLayer {
                upper: layers.upper.clone(),
                rootless: storage::is_rootless(),
                limits: self.image_limits().layer,
            };
            let out = spool.file()?;
            let packed = watched(&spool.file()?, container.name.as_str(), progress, || {
                self.storage_to(&work, out)
            })?;
            store.adopt(&lease, spool, &packed.digest, packed.size)?;
            packed
        };
        let mut config = base.config.clone();
        config.config = of_options(&container.create.options, &base.config.config);
        changes.apply(&mut config.config)?;
        describe(&mut config, options, &container, &packed);
        let bytes = serde_json::to_vec(&config)
            .map_err(|e| ImageError::malformed("the configuration", e.to_string()))?;
        let image = store.put(&lease, &bytes)?;
        let mut manifest = Manifest {
            schema_version: 2,
            media_type: Some(media::MANIFEST.into()),
            config: Descriptor::new(media::CONFIG, image.clone(), bytes.len() as u64),
            layers: base.document.layers.clone(),
            annotations: BTreeMap::new(),
        };
        let layer = Descriptor::new(media::LAYER_GZIP, packed.digest, packed.size);
        manifest.layers.push(layer);
        let bytes = serde_json::to_vec(&manifest)
            .map_err(|e| ImageError::malformed("the manifest", e.to_string()))?;
        let digest = store.put(&lease, &bytes)?;
        let manifest = Descriptor::new(media::MANIFEST, digest, bytes.len() as u64);
        store.tag(&lease, options.name.as_ref(), &manifest, None)?;
        let name = options.name.as_ref().map(ImageRef::familiar);
        let attributes = [
            ("comment", options.message.clone().unwrap_or_default()),
            ("imageID", image.to_string()),
            ("imageRef", name.unwrap_or_default()),
        ];
        self.emit_of(&container, "commit", &attributes);
        Ok(image)
    }

    /// What a container changed of its image, by path.
    pub fn diff(&self, id: &ContainerId) -> Result<Vec<Change>, EngineError> {
        let container = self.inspect(id)?;
        let layers = own_layers(&container, "compare")?;
        self.storage(&ListChanges {
            upper: layers.upper,
            lowers: layers.lowers,
            rootless: storage::is_rootless(),
        })
    }

    /// Writes the root file system of a container as a tar: what its image and it made, nothing of
    /// what is mounted there.
    pub fn export(&self, id: &ContainerId, out: File) -> Result<Packed, EngineError> {
        let container = self.inspect(id)?;
        let layers = own_layers(&container, "export")?;
        let mut folders = vec![layers.upper];
        folders.extend(layers.lowers);
        let work = PackRoot {
            folders,
            rootless: storage::is_rootless(),
        };
        let packed = self.storage_to(&work, out)?;
        self.emit_of(&container, "export", &[]);
        Ok(packed)
    }
}

/// Tells how long a file is while `work` writes it, in this process or another.
fn watched<T, E>(
    file: &File,
    item: &str,
    progress: &dyn Progress,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    progress.begin(item, Stage::Packing, 0, None);
    let done = std::thread::scope(|scope| {
        let (working, over) = std::sync::mpsc::channel::<()>();
        scope.spawn(move || {
            let mut seen = 0;
            while over.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                let length = rustix::fs::fstat(file).map_or(0, |stat| stat.st_size);
                let length = u64::try_from(length).unwrap_or(seen);
                progress.advance(item, length.saturating_sub(seen));
                seen = length;
            }
        });
        let done = work();
        drop(working);
        done
    })?;
    progress.end(item, "done");
    Ok(done)
}

/// The folders of a container's root.
struct OwnLayers {
    upper: PathBuf,
    lowers: Vec<PathBuf>,
}

fn own_layers(container: &Container, verb: &str) -> Result<OwnLayers, EngineError> {
    match &container.create.root {
        RootSource::Layers { lowers, upper, .. } => Ok(OwnLayers {
            upper: upper.clone(),
            lowers: lowers.clone(),
        }),
        RootSource::Host | RootSource::Directory { .. } => {
            let name = &container.name;
            let text = format!(
                "cannot {verb} container {name}: it was made from {}, not from an image, and what it changes is kept in memory alone",
                match &container.create.root {
                    RootSource::Host => "the built-in image \"host\"",
                    _ => "a directory",
                }
            );
            Err(EngineError::new(ErrorClass::Unsupported, text).on(name.as_str()))
        }
    }
}

fn no_image(container: &Container) -> EngineError {
    let text = format!("container {} was not made from an image", container.name);
    EngineError::new(ErrorClass::Unsupported, text).on(container.name.as_str())
}

/// The configuration that makes containers like this one.
fn of_options(options: &CreateOptions, base: &ContainerConfig) -> ContainerConfig {
    let set = |keys: &[String]| {
        let keys = keys.iter().cloned();
        keys.map(|key| (key, serde_json::json!({}))).collect()
    };
    ContainerConfig {
        user: options.user.clone().unwrap_or_default(),
        exposed_ports: set(&options.exposed_ports),
        env: options.env.clone(),
        entrypoint: options.entrypoint.clone(),
        cmd: Some(options.command.clone()),
        volumes: base.volumes.clone(),
        working_dir: options.workdir.clone().unwrap_or_default(),
        labels: options.labels.clone(),
        stop_signal: options.stop_signal.map(signal_name),
        stop_timeout: options.stop_timeout_s,
        healthcheck: options.healthcheck.as_ref().map(|check| HealthConfig {
            test: check.test.clone(),
            interval: check.interval_ns,
            timeout: check.timeout_ns,
            start_period: check.start_period_ns,
            start_interval: check.start_interval_ns,
            retries: check.retries,
        }),
        shell: base.shell.clone(),
        on_build: base.on_build.clone(),
    }
}

/// Time, author, history and the new layer.
fn describe(
    config: &mut ImageConfig,
    options: &CommitOptions,
    container: &Container,
    packed: &Packed,
) {
    let now = Timestamp::from(SystemTime::now()).to_string();
    config.created = Some(now.clone());
    if options.author.is_some() {
        config.author.clone_from(&options.author);
    }
    if config.platform == Platform::default() {
        config.platform = Platform::host();
    }
    config.rootfs.diff_ids.push(packed.diff_id.clone());
    config.history.push(History {
        created: Some(now),
        created_by: Some(container.create.argv.join(" ")),
        author: options.author.clone(),
        comment: options.message.clone(),
        empty_layer: false,
    });
}
