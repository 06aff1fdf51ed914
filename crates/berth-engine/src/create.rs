//! `create`: from options to a container on disk.
//!
//! Built in a hidden folder and renamed into its place as the last step, so that a crash leaves
//! nothing half visible.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use berth_base::state::{
    NamespaceSource, RestartPolicy, RestartRecord, RootSource, STATE_VERSION, SettingsFile,
    StatusFile,
};
use berth_base::{ContainerId, ContainerName, ErrorClass, NamespaceKind, Status, Timestamp};
use berth_image::Image;
use oci_spec::runtime::Spec;

use crate::capabilities::Capabilities;
use crate::image::MountPoints;
use crate::network::FilesOwner;
use crate::options::MountRequest;
use crate::process::boot_id;
use crate::spec::{self, LimitFacts, SpecFacts};
use crate::store::{Durability, StoreError, random_id, remove_tree};
use crate::{
    CreateFile, CreateOptions, Created, Engine, EngineError, cgroup, device, events, facts, image,
    life, namespaces, network, quota, seccomp,
};

/// The longest hostname the kernel takes (__NEW_UTS_LEN, sethostname(2)).
const HOSTNAME_MAX: usize = 64;

/// What is executed in the built-in image when no command is given.
const HOST_COMMAND: &str = "/bin/sh";

impl Engine {
    /// Makes a container, without starting it.
    ///
    /// Durable unless it is one for `--rm`: create.json, spec.json and settings.json survive
    /// power loss once this returns.
    pub fn create(&self, options: &CreateOptions) -> Result<Created, EngineError> {
        let prepared = self.prepare(options)?;
        let store = self.store();
        self.recover_after_boot()?;
        let id = prepared.create.id.clone();
        let hidden = store.hidden_dir(&id);
        let name = self.build(&prepared).inspect_err(|_| {
            // Nothing of it is visible yet; what cannot be removed now, the next recovery of the
            // whole root removes.
            quota::release(&hidden);
            drop(remove_tree("container.create.undo", &hidden));
        })?;
        self.emit(events::container(&prepared.create, name.as_str(), "create"));
        Ok(Created {
            id,
            name,
            warnings: prepared.warnings,
        })
    }

    /// Everything that can fail because of the request, before anything is written.
    fn prepare(&self, options: &CreateOptions) -> Result<Prepared, EngineError> {
        let rootless = facts::is_rootless();
        let id =
            random_id().map_err(|e| StoreError::io("draw an id for", self.store().root(), e))?;
        let mut rooted = image::resolve_root(self, &id, options)?;
        self.complete(&mut rooted)?;
        let (options, root) = (&rooted.options, &rooted.source);
        let sources = namespaces::decide(&options.namespaces, rootless, |reference| {
            let id = self.resolve(reference)?;
            let create = self.read_create(&id)?;
            Ok((id, create))
        })?;
        let user = image::resolve_user(self, &rooted)?;
        let folders = &self.config().cdi_folders;
        let spec_facts = SpecFacts {
            limit_facts: LimitFacts {
                block_devices: facts::block_devices(&options.limits)?,
                ..facts::limit_facts(options)
            },
            injected: device::resolve(&options.limits, folders, &user)?,
            argv: argv(options, root)?,
            hostname: hostname(options, &id, &sources)?,
            user,
            cgroups_path: Some(self.cgroups_path(options, &id, rootless)),
            network_files: network::mountable(
                self.network_files(&id, options, root, &sources),
                options,
                rootless && *root == RootSource::Host,
            )?,
            ..host_facts(options, rootless, sources)
        };
        let mut built = spec::build(options, &spec_facts)?;
        if let Some(linux) = built.spec.linux_mut() {
            let capabilities = built.granted;
            linux.set_seccomp(seccomp::choose(
                &options.seccomp,
                options.privileged,
                capabilities,
            )?);
        }
        if rootless && *root == RootSource::Host {
            built.warnings.push(
                "without root the host image is read-only; use --tmpfs for what must be written"
                    .into(),
            );
        }
        let mounts = built.spec.mounts().as_deref().unwrap_or_default();
        let points = image::mount_points(self, &mut rooted, mounts);
        let create = CreateFile {
            version: STATE_VERSION,
            id,
            created_at: Timestamp::from(SystemTime::now()),
            image: rooted.image,
            source: rooted.from,
            argv: spec_facts.argv,
            hostname: spec_facts.hostname,
            root: rooted.source,
            namespaces: spec_facts.namespaces,
            cgroups_path: spec_facts.cgroups_path,
            boot_id: boot_id(),
            options: rooted.options,
        };
        let mut warnings = rooted.warnings;
        warnings.append(&mut built.warnings);
        Ok(Prepared {
            create,
            spec: built.spec,
            warnings,
            image: rooted.unpacked,
            points,
        })
    }

    /// Puts what is known here into the options, and refuses what cannot be.
    fn complete(&self, rooted: &mut image::Rooted) -> Result<(), EngineError> {
        rooted.options = self.resolve_mounts(&rooted.options, &rooted.volumes)?;
        let made = crate::volume::make_sources(&rooted.options)?;
        rooted.warnings.extend(made);
        self.choose_log(&mut rooted.options)?;
        rooted.options.networks = network::resolve(self, &rooted.options)?;
        let asked = !rooted.options.publish.is_empty();
        rooted.options.publish = network::published(self, &rooted.options)?;
        if asked && rooted.options.publish.is_empty() {
            rooted.warnings.push(
                "published ports are left out: with --network host what listens is reached at the host's own ports"
                    .to_owned(),
            );
        }
        // Kept as a number: what a later update leaves alone stays what it is.
        rooted.options.resources = rooted.options.resources.clone().with_swap();
        life::check(&rooted.options)?;
        check_restart(&rooted.options)?;
        quota::check(&rooted.options, &rooted.source)?;
        rooted.options.mounts.iter().try_for_each(check_mount)
    }

    /// Writes the files into the hidden folder, claims the name and makes the container visible.
    fn build(&self, prepared: &Prepared) -> Result<ContainerName, EngineError> {
        let store = self.store();
        let options = &prepared.create.options;
        let id = &prepared.create.id;
        let hidden = store.hidden_dir(id);
        let durability = if options.auto_remove {
            Durability::Process
        } else {
            Durability::Power
        };
        // While this is locked, a recovery leaves the folder alone.
        let _building = {
            let names = store.lock_names()?;
            store.make_hidden(&names, id)?
        };
        self.write_record(prepared, &hidden, durability)?;
        let volumes = self.make_volumes(&prepared.create)?;
        volumes.fill_from(&prepared.create.root)?;
        let status = StatusFile {
            version: STATE_VERSION,
            status: Status::Created,
            run: 0,
            changed_at: prepared.create.created_at,
            error: None,
            restarts: RestartRecord::default(),
        };
        store.write_hidden(
            "container.create.status",
            &hidden,
            "status.json",
            &status,
            Durability::Process,
        )?;
        let names = store.lock_names()?;
        let name = match &options.name {
            Some(name) => {
                store.claim_name(&names, name, id)?;
                name.clone()
            }
            None => store.claim_generated_name(&names, id)?,
        };
        let settings = SettingsFile::new(name.clone(), options.restart);
        let published = store
            .write_hidden(
                "container.create.settings",
                &hidden,
                "settings.json",
                &settings,
                durability,
            )
            .and_then(|()| store.publish(&names, id, durability));
        if let Err(error) = published {
            store.release_name(&name, id)?;
            return Err(error.into());
        }
        volumes.keep();
        Ok(name)
    }

    /// Writes what was asked for, and makes the folders of the container's own layer.
    fn write_record(
        &self,
        prepared: &Prepared,
        hidden: &Path,
        durability: Durability,
    ) -> Result<(), EngineError> {
        let store = self.store();
        store.write_hidden(
            "container.create.spec",
            hidden,
            "spec.json",
            &prepared.spec,
            durability,
        )?;
        {
            // From the look at its layers to the file that names them no collection runs.
            let _pin = match &prepared.image {
                Some(image) => Some(image::pin(self, image)?),
                None => None,
            };
            store.write_hidden(
                "container.create.create",
                hidden,
                "create.json",
                &prepared.create,
                durability,
            )?;
        }
        image::make_layer(self, hidden, &prepared.create, &prepared.points, durability)
    }

    /// Where the files about networks will be, for a container that gets them, as seen from its
    /// volatile folder: that may lie elsewhere one day.
    fn network_files(
        &self,
        id: &ContainerId,
        options: &CreateOptions,
        root: &RootSource,
        sources: &BTreeMap<NamespaceKind, NamespaceSource>,
    ) -> Vec<(&'static str, PathBuf)> {
        let network = |sources: &BTreeMap<_, NamespaceSource>| {
            let network = sources.get(&NamespaceKind::Net).cloned();
            network.unwrap_or(NamespaceSource::Private)
        };
        let mut owner = FilesOwner::of(root, options, &network(sources));
        let mut whose = id.clone();
        while let FilesOwner::Other(other) = owner {
            // One that is gone has no network to share either, as the start will say.
            let Ok(create) = self.read_create(&other) else {
                return Vec::new();
            };
            owner = FilesOwner::of(&create.root, &create.options, &network(&create.namespaces));
            whose = other;
        }
        if owner == FilesOwner::Root {
            return Vec::new();
        }
        network::files_seen_from_a_neighbour(&whose)
    }

    /// `PARENT/berth/ID`. The parent is the option, else the engine's, else the hierarchy's root;
    /// without root it is the caller's own cgroup or one above, which may be delegated to it.
    pub(crate) fn cgroups_path(
        &self,
        options: &CreateOptions,
        id: &ContainerId,
        rootless: bool,
    ) -> String {
        let parent = options
            .cgroup_parent
            .clone()
            .or_else(|| self.config().cgroup_parent.clone())
            .or_else(|| rootless.then(cgroup::delegated_parent).flatten())
            .unwrap_or_default();
        let parent = parent.trim_matches('/');
        if parent.is_empty() {
            format!("/berth/{id}")
        } else {
            format!("/{parent}/berth/{id}")
        }
    }
}

/// What a spec needs to know of host and caller, as far as these options ask for it.
fn host_facts(
    options: &CreateOptions,
    rootless: bool,
    namespaces: BTreeMap<NamespaceKind, NamespaceSource>,
) -> SpecFacts {
    let has_user_namespace = namespaces.get(&NamespaceKind::User) != Some(&NamespaceSource::Host);
    let mut facts = SpecFacts {
        rootless,
        available: if has_user_namespace {
            Capabilities::all()
        } else {
            Capabilities::bounding_of_caller()
        },
        limits: facts::limits(has_user_namespace),
        namespaces,
        ..SpecFacts::default()
    };
    if facts.namespaces.get(&NamespaceKind::Ipc) == Some(&NamespaceSource::Host) {
        // by path: the host's /dev
        facts.host_has_mqueue = Path::new("/dev/mqueue").is_dir();
        // by path: the host's /dev
        facts.host_has_shm = Path::new("/dev/shm").is_dir();
    }
    if options.privileged {
        facts.devices = facts::host_devices();
    } else {
        facts.masked = facts::thermal_throttles();
    }
    facts
}

/// A container that is sound but nowhere written.
struct Prepared {
    create: CreateFile,
    spec: Spec,
    warnings: Vec<String>,
    /// The image it is made from.
    image: Option<Image>,
    /// Mount points that the image lacks.
    points: MountPoints,
}

/// Entrypoint and command, as Docker joins them.
fn argv(options: &CreateOptions, root: &RootSource) -> Result<Vec<String>, EngineError> {
    let mut argv = options.entrypoint.clone().unwrap_or_default();
    argv.extend(options.command.iter().cloned());
    if argv.is_empty() && *root == RootSource::Host {
        argv.push(HOST_COMMAND.into());
    }
    match argv.first() {
        None => Err(EngineError::new(
            ErrorClass::Invalid,
            "no command given, and the image names none; write one after the image",
        )),
        Some(first) if first.is_empty() => Err(EngineError::new(
            ErrorClass::Invalid,
            "the command is an empty text; write the program to execute after the image",
        )),
        Some(_) if argv.iter().any(|word| word.contains('\0')) => Err(EngineError::new(
            ErrorClass::Invalid,
            "an argument of the command holds a NUL byte; no program can be given one",
        )),
        Some(_) => Ok(argv),
    }
}

/// What is removed at its end cannot be started again.
fn check_restart(options: &CreateOptions) -> Result<(), EngineError> {
    if options.auto_remove && options.restart != RestartPolicy::No {
        let text = format!(
            "--rm removes the container at its end, --restart {} starts it again; leave one of them out",
            options.restart
        );
        return Err(EngineError::new(ErrorClass::Invalid, text).on("--restart"));
    }
    Ok(())
}

/// A bind mount needs a source that exists: unlike Docker, nothing is made on the host by a typo.
fn check_mount(mount: &MountRequest) -> Result<(), EngineError> {
    let MountRequest::Bind { source, target, .. } = mount else {
        return Ok(());
    };
    // by path: the source of a bind mount, which the caller names
    match std::fs::metadata(source) {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(EngineError::new(
            ErrorClass::NotFound,
            format!(
                "the source {0} of the mount on {target} does not exist; create it with \"mkdir -p {0}\"",
                source.display()
            ),
        )
        .on(source.display().to_string())),
        Err(e) => Err(EngineError::new(
            ErrorClass::Denied,
            format!(
                "cannot use {} as source of the mount on {target}: {e}; choose another source",
                source.display()
            ),
        )
        .on(source.display().to_string())),
    }
}

/// The short id, `--hostname`, or the host's where the UTS or, as with Docker, the network namespace
/// is the host's. That of a
/// namespace joined by path or container is not known here and stays the short id in HOSTNAME.
fn hostname(
    options: &CreateOptions,
    id: &ContainerId,
    sources: &BTreeMap<NamespaceKind, NamespaceSource>,
) -> Result<String, EngineError> {
    if let Some(hostname) = &options.hostname {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        let sound = (1..=HOSTNAME_MAX).contains(&hostname.len()) && hostname.bytes().all(plain);
        if !sound {
            return Err(EngineError::new(
                ErrorClass::Invalid,
                format!(
                    "invalid hostname {hostname:?}; use 1 to {HOSTNAME_MAX} letters, digits, dots, hyphens and underscores"
                ),
            ));
        }
        return Ok(hostname.clone());
    }
    let is_host = |kind| sources.get(&kind) == Some(&NamespaceSource::Host);
    if is_host(NamespaceKind::Uts) || is_host(NamespaceKind::Net) {
        let uname = rustix::system::uname();
        return Ok(uname.nodename().to_string_lossy().into_owned());
    }
    Ok(id.short().to_owned())
}
