//! Flags that stand before the command, and the folders and programs they lead to.
//!
//! A flag wins over its `BERTH_*` variable, which wins over the configuration file, which wins over
//! the default.

use std::env;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use berth_base::ErrorClass;
use berth_engine::{CDI_FOLDERS, DefaultNetwork, EngineConfig};
use berth_image::Hasher;
use clap::{Args, ValueEnum};
use rustix::fs::{AtFlags, CWD, FileType, Mode};
use serde::Deserialize;

use super::config::ConfigFile;
use super::failure::{ErrorFormat, Failure};

/// The program that starts and watches containers.
const RUNTIME: &str = "berth-runtime";

/// Flags that stand before the command.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalFlags {
    /// Folder that outlives a reboot; /var/lib/berth, or a user's ~/.local/share/berth, when absent [env: BERTH_ROOT]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Folder that does not; /run/berth, or a user's $XDG_RUNTIME_DIR/berth, when absent [env: BERTH_STATE]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Cgroup below which containers' cgroups are made [env: BERTH_CGROUP_PARENT]
    #[arg(long, value_name = "PATH")]
    cgroup_parent: Option<String>,
    /// The program berth-runtime [env: BERTH_RUNTIME]
    #[arg(long, value_name = "FILE")]
    runtime: Option<PathBuf>,
    /// What containers get without --network: none, or bridge [env: BERTH_DEFAULT_NETWORK]
    #[arg(long, value_name = "NETWORK", hide_possible_values = true)]
    default_network: Option<DefaultNetworkName>,
    /// How errors are written: text or json [env: BERTH_ERROR_FORMAT]
    #[arg(long, value_name = "FORMAT", hide_possible_values = true)]
    pub(crate) error_format: Option<ErrorFormat>,
}

impl GlobalFlags {
    /// The names of those that were given, of which a file may speak as well.
    pub(super) fn given(&self) -> Vec<&'static str> {
        let all = [
            ("root", self.root.is_some()),
            ("state", self.state.is_some()),
            ("runtime", self.runtime.is_some()),
            ("cgroup-parent", self.cgroup_parent.is_some()),
            ("default-network", self.default_network.is_some()),
        ];
        let given = all.into_iter().filter(|(_, is_given)| *is_given);
        given.map(|(name, _)| name).collect()
    }

    /// Completes the flags from the environment and the defaults of the caller.
    pub(crate) fn engine_config(&self) -> Result<EngineConfig, Failure> {
        let file = config_file()?;
        let root = path_setting(self.root.as_ref(), "BERTH_ROOT").or(file.root);
        let state = path_setting(self.state.as_ref(), "BERTH_STATE").or(file.state);
        let runtime = path_setting(self.runtime.as_ref(), "BERTH_RUNTIME").or(file.runtime);
        let cgroup_parent = self
            .cgroup_parent
            .clone()
            .or_else(|| env::var("BERTH_CGROUP_PARENT").ok())
            .filter(|parent| !parent.is_empty())
            .or(file.cgroup_parent);
        let engine_binary = env::current_exe().map_err(|error| {
            Failure::new(
                ErrorClass::Internal,
                format!("cannot find the running program in /proc/self/exe: {error}"),
            )
        })?;
        let root = absolute(root.map_or_else(default_root, Ok)?)?;
        let state = state.map_or_else(|| default_state_of(&root), Ok)?;
        Ok(EngineConfig {
            root,
            state: absolute(state)?,
            runtime_binary: absolute(
                runtime.unwrap_or_else(|| find_runtime(&engine_binary, env::var_os("PATH"))),
            )?,
            engine_binary,
            cgroup_parent,
            default_network: default_network(self.default_network, file.default_network)?.into(),
            image_limits: file.image.limits(),
            events: file.events.limits(),
            cdi_folders: file.cdi_spec_dirs.unwrap_or_else(cdi_folders),
            network: file.network.settings(),
            log: file.log.choice(),
        })
    }
}

/// `--default-network`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DefaultNetworkName {
    /// The network `bridge`.
    Bridge,
    /// A loopback alone.
    None,
}

impl From<DefaultNetworkName> for DefaultNetwork {
    fn from(name: DefaultNetworkName) -> Self {
        match name {
            DefaultNetworkName::Bridge => Self::Bridge,
            DefaultNetworkName::None => Self::None,
        }
    }
}

fn default_network(
    flag: Option<DefaultNetworkName>,
    file: Option<DefaultNetworkName>,
) -> Result<DefaultNetworkName, Failure> {
    let variable = env::var("BERTH_DEFAULT_NETWORK").ok();
    let named = match variable.as_deref().filter(|name| !name.is_empty()) {
        None => None,
        Some("bridge") => Some(DefaultNetworkName::Bridge),
        Some("none") => Some(DefaultNetworkName::None),
        Some(other) => {
            let text = format!("BERTH_DEFAULT_NETWORK is {other:?}; set it to bridge or none");
            return Err(Failure::new(ErrorClass::Invalid, text).on("BERTH_DEFAULT_NETWORK"));
        }
    };
    Ok(flag
        .or(named)
        .or(file)
        .unwrap_or(DefaultNetworkName::Bridge))
}

/// What the configuration files say.
pub(super) fn config_file() -> Result<ConfigFile, Failure> {
    ConfigFile::load(config_home().as_deref(), is_root())
}

/// The folder of the user's configuration files.
pub(super) fn config_home() -> Option<PathBuf> {
    let home = || xdg("HOME").or_else(home_on_record);
    xdg("XDG_CONFIG_HOME").or_else(|| Some(home()?.join(".config")))
}

/// The caller's home by /etc/passwd: what a monitor executes has no environment.
fn home_on_record() -> Option<PathBuf> {
    let uid = rustix::process::geteuid().as_raw().to_string();
    // by path: the host's /etc
    let text = std::fs::read_to_string("/etc/passwd").ok()?;
    let fields = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let mut own = fields.filter(|fields| fields.get(2) == Some(&&*uid));
    let home = own.next()?.get(5).map(PathBuf::from)?;
    home.is_absolute().then_some(home)
}

/// How errors are written, also where the command line itself is at fault.
pub(crate) fn error_format(arguments: &[OsString]) -> ErrorFormat {
    let variable = env::var("BERTH_ERROR_FORMAT").ok();
    let mut wanted = variable.as_deref() == Some("json");
    let mut previous: &[u8] = b"";
    for argument in arguments {
        let bytes = argument.as_bytes();
        match (previous, bytes) {
            (b"--error-format", value) => wanted = value == b"json",
            (_, b"--error-format=json") => wanted = true,
            (_, b"--error-format=text") => wanted = false,
            _ => {}
        }
        previous = bytes;
    }
    if wanted {
        ErrorFormat::Json
    } else {
        ErrorFormat::Text
    }
}

fn path_setting(flag: Option<&PathBuf>, variable: &str) -> Option<PathBuf> {
    let from_environment = || env::var_os(variable).map(PathBuf::from);
    flag.cloned()
        .or_else(from_environment)
        .filter(|path| !path.as_os_str().is_empty())
}

fn absolute(path: PathBuf) -> Result<PathBuf, Failure> {
    std::path::absolute(&path).map_err(|error| {
        Failure::new(
            ErrorClass::Invalid,
            format!("cannot make {} an absolute path: {error}", path.display()),
        )
    })
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Docker's folders, and the user's own for who is not root.
pub(super) fn cdi_folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = CDI_FOLDERS.iter().map(PathBuf::from).collect();
    if !is_root() {
        let own = [config_home(), xdg("XDG_RUNTIME_DIR")];
        folders.extend(own.into_iter().flatten().map(|folder| folder.join("cdi")));
    }
    folders
}

fn default_root() -> Result<PathBuf, Failure> {
    if is_root() {
        return Ok(PathBuf::from("/var/lib/berth"));
    }
    let data = xdg("XDG_DATA_HOME").or_else(|| Some(xdg("HOME")?.join(".local/share")));
    let data = data.ok_or_else(|| {
        Failure::new(
            ErrorClass::Invalid,
            "cannot tell where to keep containers: neither XDG_DATA_HOME nor HOME is set; give --root DIR",
        )
    })?;
    Ok(data.join("berth"))
}

/// Where volatile state is kept unless somebody says. A root that is not the caller's usual one has a
/// folder of its own there, since engines of two roots would take each other's containers for remains:
/// `roots/N`, N the first 16 digits of the SHA-256 of the root's path.
fn default_state_of(root: &Path) -> Result<PathBuf, Failure> {
    let state = default_state()?;
    let usual = default_root().and_then(absolute).ok();
    if usual.as_deref() == Some(root) {
        return Ok(state);
    }
    let root = real(root);
    if usual.is_some_and(|usual| real(&usual) == root) {
        return Ok(state);
    }
    let digest = Hasher::sha256(root.as_os_str().as_bytes());
    let number: String = digest.hex().chars().take(16).collect();
    Ok(state.join("roots").join(number))
}

/// A path without links, as far as it exists: the same before and after its last folders are made.
fn real(path: &Path) -> PathBuf {
    let mut missing = Vec::new();
    for folder in path.ancestors() {
        // by path: folders of the engine's, as the user named them
        if let Ok(found) = std::fs::canonicalize(folder) {
            return missing
                .iter()
                .rev()
                .fold(found, |path, name| path.join(name));
        }
        missing.extend(folder.file_name());
    }
    path.to_owned()
}

fn default_state() -> Result<PathBuf, Failure> {
    if is_root() {
        return Ok(PathBuf::from("/run/berth"));
    }
    if let Some(runtime) = xdg("XDG_RUNTIME_DIR") {
        return Ok(runtime.join("berth"));
    }
    let uid = rustix::process::geteuid().as_raw();
    let fallback = PathBuf::from(format!("/tmp/berth-{uid}"));
    claim_folder(&fallback, uid)?;
    Ok(fallback)
}

/// A variable that holds an absolute path; the XDG base directory specification has relative ones
/// ignored.
fn xdg(variable: &str) -> Option<PathBuf> {
    env::var_os(variable)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
}

/// Makes a folder below the shared /tmp, or checks that the one there is ours alone.
fn claim_folder(folder: &Path, uid: u32) -> Result<(), Failure> {
    let refuse = |why: String| {
        Failure::new(
            ErrorClass::Denied,
            format!(
                "cannot keep volatile state in {}: {why}; set XDG_RUNTIME_DIR or give --state DIR",
                folder.display()
            ),
        )
        .on(folder.display().to_string())
    };
    match rustix::fs::mkdir(folder, Mode::RWXU) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(error) => return Err(refuse(std::io::Error::from(error).to_string())),
    }
    let stat = rustix::fs::statat(CWD, folder, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|error| refuse(std::io::Error::from(error).to_string()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(refuse("it is not a directory".to_owned()));
    }
    if stat.st_uid != uid {
        return Err(refuse(format!("it belongs to uid {}", stat.st_uid)));
    }
    if stat.st_mode & 0o077 != 0 {
        return Err(refuse("others may enter it".to_owned()));
    }
    Ok(())
}

/// The program beside this one, else in PATH, else the place beside this one where it is missing.
fn find_runtime(engine: &Path, path: Option<OsString>) -> PathBuf {
    let beside = engine.with_file_name(RUNTIME);
    if beside.exists() {
        return beside;
    }
    path.iter()
        .flat_map(env::split_paths)
        .map(|folder| folder.join(RUNTIME))
        .find(|candidate| candidate.is_absolute() && candidate.exists())
        .unwrap_or(beside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_shared_folder_must_be_ours_alone() {
        let dir = tempfile::tempdir().unwrap();
        let uid = rustix::process::geteuid().as_raw();
        let ours = dir.path().join("ours");
        assert!(claim_folder(&ours, uid).is_ok());
        assert!(claim_folder(&ours, uid).is_ok());
        assert!(
            claim_folder(&ours, uid + 1)
                .unwrap_err()
                .message
                .contains("belongs to uid")
        );
        let open = std::fs::Permissions::from_mode(0o750);
        std::fs::set_permissions(&ours, open).unwrap();
        assert!(
            claim_folder(&ours, uid)
                .unwrap_err()
                .message
                .contains("others may enter")
        );
        let link = dir.path().join("link");
        symlink(&ours, &link).unwrap();
        assert!(
            claim_folder(&link, uid)
                .unwrap_err()
                .message
                .contains("not a directory")
        );
    }

    #[test]
    fn the_runtime_is_beside_us_or_in_path() {
        let dir = tempfile::tempdir().unwrap();
        let bin = dir.path().join("bin");
        let other = dir.path().join("other");
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::create_dir_all(&other).unwrap();
        let engine = bin.join("berth");
        let path = Some(other.clone().into_os_string());
        assert_eq!(find_runtime(&engine, path.clone()), bin.join(RUNTIME));
        std::fs::write(other.join(RUNTIME), "").unwrap();
        assert_eq!(find_runtime(&engine, path.clone()), other.join(RUNTIME));
        std::fs::write(bin.join(RUNTIME), "").unwrap();
        assert_eq!(find_runtime(&engine, path), bin.join(RUNTIME));
    }

    #[test]
    fn the_error_format_is_found_in_a_broken_command_line() {
        let of = |text: &str| {
            let arguments: Vec<OsString> = text.split(' ').map(OsString::from).collect();
            error_format(&arguments)
        };
        assert_eq!(of("berth --error-format json rnu"), ErrorFormat::Json);
        assert_eq!(of("berth --error-format=json rnu"), ErrorFormat::Json);
        assert_eq!(of("berth rnu"), ErrorFormat::Text);
    }
}
