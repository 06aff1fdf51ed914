//! The flags that `create` and `run` share, and the options they come to.
//!
//! One struct for each group of the help text; [`ContainerFlags::options`] joins them.

mod compat;
mod groups;
mod labels;
mod limits;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use berth_base::ErrorClass;
use berth_engine::{
    CreateOptions, DEFAULT_NETWORK, ImageRequest, Limits, MountRequest, NameOptions, NamespaceMode,
    NamespaceModes, NetworkRequest, SeccompChoice,
};
use berth_image::Platform;
use clap::Args;

use super::failure::Failure;
use super::parse::env::{EnvRequest, env_file};
use super::parse::mount::Unplaced;
use super::parse::namespace::NetworkArgument;
use super::parse::security::SecurityOption;
use super::parse::stream::StdStream;
use crate::terminal::Shown;
use compat::CompatFlags;
pub(crate) use groups::PullPolicy;
use groups::{
    FileFlags, HealthFlags, IdentityFlags, LifeFlags, LogFlags, NamespaceFlags, NetworkFlags,
    ProcessFlags, PullFlags, SecurityFlags,
};
use labels::labels;
pub(crate) use limits::ResourceFlags;
use limits::{DeviceFlags, LimitFlags};

/// Everything that describes a container on the command line.
#[derive(Args, Debug)]
pub(crate) struct ContainerFlags {
    #[command(flatten)]
    identity: IdentityFlags,
    #[command(flatten)]
    process: ProcessFlags,
    #[command(flatten)]
    life: LifeFlags,
    #[command(flatten)]
    health: HealthFlags,
    #[command(flatten)]
    files: FileFlags,
    #[command(flatten)]
    pulling: PullFlags,
    #[command(flatten)]
    network: NetworkFlags,
    #[command(flatten)]
    namespaces: NamespaceFlags,
    #[command(flatten)]
    limits: LimitFlags,
    #[command(flatten)]
    devices: DeviceFlags,
    #[command(flatten)]
    security: SecurityFlags,
    #[command(flatten)]
    log: LogFlags,
    #[command(flatten)]
    compat: CompatFlags,
    /// The image, then the command and its arguments; after the image nothing is a flag
    #[arg(value_name = "IMAGE", trailing_var_arg = true, hide = true)]
    image_and_command: Vec<String>,
}

impl ContainerFlags {
    /// `-t`.
    pub(crate) const fn terminal(&self) -> bool {
        self.process.tty
    }

    /// `-i`.
    pub(crate) const fn interactive(&self) -> bool {
        self.process.interactive
    }

    /// `-a`; `None` where it was not given.
    pub(crate) fn attached(&self) -> Option<&[StdStream]> {
        (!self.process.attach.is_empty()).then_some(self.process.attach.as_slice())
    }

    /// Which of its output the client of a foreground `run` shows.
    pub(crate) fn shown(&self) -> Shown {
        let has = |stream| self.attached().is_none_or(|list| list.contains(&stream));
        Shown {
            stdout: has(StdStream::Stdout),
            stderr: has(StdStream::Stderr),
        }
    }

    /// What `--pull` and `--platform` come to, and the image that is wanted; `None` for what is not
    /// pulled.
    pub(crate) fn wanted_image(&self) -> Option<WantedImage<'_>> {
        if self.files.rootfs.is_some() {
            return None;
        }
        let name = self.image_and_command.first()?;
        Some(WantedImage {
            name,
            policy: self.pulling.pull,
            platform: self.pulling.platform.as_ref(),
            quiet: self.pulling.quiet,
        })
    }

    /// `--rm`.
    pub(crate) const fn auto_remove(&self) -> bool {
        self.life.rm
    }

    /// `--cidfile`.
    pub(crate) fn cidfile(&self) -> Option<&Path> {
        self.identity.cidfile.as_deref()
    }

    /// The options for the engine. `detached`: no client follows the start.
    ///
    /// Reads environment files and the caller's environment and working directory.
    pub(crate) fn options(&self, detached: bool) -> Result<CreateOptions, Failure> {
        let (image, command) = self.image()?;
        let (no_new_privileges, seccomp) = self.security_options();
        let (net, networks) = self.networks()?;
        Ok(CreateOptions {
            name: self.identity.name.clone(),
            image,
            command,
            entrypoint: self
                .process
                .entrypoint
                .as_ref()
                .map(|e| Vec::from_iter((!e.is_empty()).then(|| e.clone()))),
            env: environment(&self.process.env_file, &self.process.env)?,
            workdir: self.process.workdir.clone(),
            user: self.process.user.clone(),
            group_add: self.process.group_add.clone(),
            hostname: self.identity.hostname.clone(),
            init: self.process.init,
            terminal: self.process.tty,
            open_stdin: self.process.interactive,
            stdin_once: self.process.interactive && !detached,
            attach_stdout: self.shown().stdout && !detached,
            attach_stderr: self.shown().stderr && !detached,
            auto_remove: self.life.rm,
            restart: self.life.restart.unwrap_or_default(),
            labels: labels(&self.identity.label_file, &self.identity.label)?,
            stop_signal: self.life.stop_signal,
            stop_timeout_s: self.life.stop_timeout,
            exposed_ports: self.network.expose.clone(),
            healthcheck: self.health.healthcheck()?,
            mounts: self.mounts()?,
            read_only: self.files.read_only,
            namespaces: self.namespace_modes(net),
            networks,
            publish: self
                .network
                .publish
                .iter()
                .flat_map(|p| p.0.clone())
                .collect(),
            publish_all: self.network.publish_all,
            names: NameOptions {
                domain: self.network.domainname.clone(),
                dns: self.network.dns.clone(),
                search: self.network.dns_search.clone(),
                resolver_options: self.network.dns_option.clone(),
                add_hosts: self.network.add_host.clone(),
            },
            resources: self.limits.resources.resources(),
            limits: Limits {
                without_shm: self.namespaces.ipc.as_ref().is_some_and(|i| i.without_shm),
                ..self.limits.limits(&self.devices)
            },
            storage_bytes: self
                .limits
                .storage_opt
                .last()
                .copied()
                .filter(|bytes| *bytes > 0),
            ulimits: self.limits.ulimit.clone(),
            cap_add: self.security.cap_add.clone(),
            cap_drop: self.security.cap_drop.clone(),
            no_new_privileges,
            seccomp,
            privileged: self.security.privileged,
            log: self.log.choice(),
            cgroup_parent: self.limits.cgroup_parent.clone(),
            cid_file: self.identity.cidfile.clone(),
        })
    }

    fn image(&self) -> Result<(ImageRequest, Vec<String>), Failure> {
        if let Some(rootfs) = &self.files.rootfs {
            let image = ImageRequest::Rootfs {
                path: current_dir()?.join(rootfs),
                writable: self.files.rw,
            };
            return Ok((image, self.image_and_command.clone()));
        }
        if self.files.rw {
            return Err(Failure::usage(
                "--rw writes through to the directory of --rootfs; give both or neither",
            )
            .on("--rw"));
        }
        match self.image_and_command.split_first() {
            Some((name, command)) if !name.is_empty() => {
                Ok((ImageRequest::Name { name: name.clone() }, command.to_vec()))
            }
            _ => Err(Failure::usage(
                "an image is missing; give one, as in \"berth run host sh\", or --rootfs DIR",
            )),
        }
    }

    fn mounts(&self) -> Result<Vec<MountRequest>, Failure> {
        let directory = current_dir()?;
        let files = &self.files;
        let mut mounts = files.volumes_from.clone();
        // A -v that is given twice is one, as with Docker.
        let mut volumes: Vec<&Unplaced> = Vec::new();
        for volume in &files.volume {
            if !volumes.contains(&volume) {
                volumes.push(volume);
            }
        }
        let placed = volumes.into_iter().chain(&files.mount).cloned();
        mounts.extend(placed.map(|mount| mount.at(&directory)));
        mounts.extend(self.files.tmpfs.iter().cloned());
        Ok(mounts)
    }

    /// The source of the network namespace, and the networks to be on. What is asked for the first
    /// network without naming it is the default one's.
    fn networks(&self) -> Result<(NamespaceMode, Vec<NetworkRequest>), Failure> {
        let flags = &self.network;
        let mut networks = Vec::new();
        let mut mode = NamespaceMode::Default;
        for argument in &flags.network {
            match argument {
                NetworkArgument::Network(request) => networks.push(request.clone()),
                NetworkArgument::Namespace(wanted) if flags.network.len() == 1 => {
                    mode = wanted.clone();
                }
                NetworkArgument::Namespace(_) => {
                    let text = "none, host, container:NAME and ns:PATH stand alone; \
                                leave out the other --network";
                    return Err(Failure::usage(text).on("--network"));
                }
            }
        }
        let has_names = !flags.dns.is_empty()
            || !flags.dns_search.is_empty()
            || !flags.dns_option.is_empty()
            || !flags.add_host.is_empty();
        if has_names && matches!(mode, NamespaceMode::Container(_)) {
            let text = "--dns, --dns-search, --dns-option and --add-host go with the network: with \
                        --network container:NAME its files are shared; give them to that container";
            return Err(Failure::usage(text).on("--network"));
        }
        let has_wishes = flags.ip.is_some()
            || flags.ip6.is_some()
            || flags.mac_address.is_some()
            || !flags.network_alias.is_empty();
        if has_wishes && mode == NamespaceMode::Default {
            if networks.is_empty() {
                networks.push(NetworkRequest::named(DEFAULT_NETWORK));
            }
            if let Some(first) = networks.first_mut() {
                first.ipv4 = flags.ip.or(first.ipv4);
                first.ipv6 = flags.ip6.or(first.ipv6);
                first.mac = flags.mac_address.or(first.mac);
                first.aliases.extend(flags.network_alias.iter().cloned());
            }
        } else if has_wishes {
            let text = "--ip, --ip6, --mac-address and --network-alias need a network of the \
                        container's own; leave them out, or give --network NAME";
            return Err(Failure::usage(text).on("--network"));
        }
        Ok((mode, networks))
    }

    fn namespace_modes(&self, net: NamespaceMode) -> NamespaceModes {
        let flags = &self.namespaces;
        NamespaceModes {
            pid: flags.pid.clone().unwrap_or_default(),
            net,
            ipc: flags.ipc.clone().map(|ipc| ipc.mode).unwrap_or_default(),
            uts: flags.uts.clone().unwrap_or_default(),
            user: flags.userns.clone().unwrap_or_default(),
            cgroup: flags.cgroupns.clone().unwrap_or_default(),
            time: flags.timens.clone().unwrap_or_default(),
        }
    }

    /// The last of each kind of `--security-opt` wins.
    fn security_options(&self) -> (bool, SeccompChoice) {
        let mut no_new_privileges = false;
        let mut seccomp = SeccompChoice::default();
        for option in &self.security.security_opt {
            match option {
                SecurityOption::NoNewPrivileges(on) => no_new_privileges = *on,
                SecurityOption::Seccomp(choice) => seccomp = choice.clone(),
                SecurityOption::NoLabel => {}
            }
        }
        (no_new_privileges, seccomp)
    }
}

/// An image that a container is to be made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WantedImage<'a> {
    /// As typed.
    pub(crate) name: &'a str,
    /// When to ask the registry.
    pub(crate) policy: PullPolicy,
    /// For which platform.
    pub(crate) platform: Option<&'a Platform>,
    /// Without progress.
    pub(crate) quiet: bool,
}

/// Joins environment files and `-e`, later ones over earlier ones of the same name.
pub(crate) fn environment(
    files: &[PathBuf],
    requests: &[EnvRequest],
) -> Result<Vec<String>, Failure> {
    let mut all = Vec::new();
    for path in files {
        all.extend(read_env_file(path)?);
    }
    all.extend(requests.iter().cloned());
    let pairs: Vec<String> = all
        .into_iter()
        .filter_map(|request| request.resolve(|key| std::env::var(key).ok()))
        .collect();
    let mut names = HashSet::new();
    let name = |pair: &String| pair.split('=').next().map(str::to_owned);
    let mut last: Vec<String> = pairs
        .into_iter()
        .rev()
        .filter(|pair| names.insert(name(pair)))
        .collect();
    last.reverse();
    Ok(last)
}

fn read_env_file(path: &Path) -> Result<Vec<EnvRequest>, Failure> {
    let fail = |why: String| {
        Failure::usage(format!("cannot use --env-file {}: {why}", path.display()))
            .on(path.display().to_string())
    };
    let content = std::fs::read(path).map_err(|error| fail(error.to_string()))?;
    env_file(&content).map_err(|rejected| fail(rejected.0))
}

fn current_dir() -> Result<PathBuf, Failure> {
    std::env::current_dir().map_err(|error| {
        Failure::new(
            ErrorClass::Unavailable,
            format!("cannot tell the working directory: {error}; change to one that exists"),
        )
    })
}

#[cfg(test)]
mod tests;
