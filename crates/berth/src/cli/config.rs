//! The configuration file: settings for whoever gives neither flag nor variable.
//!
//! `$XDG_CONFIG_HOME/berth/config.toml` (else `~/.config/berth/config.toml`) wins over
//! `/etc/berth/config.toml`. Neither has to exist.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use berth_base::ErrorClass;
use berth_image::registry::HostConfig;
use serde::Deserialize;

use super::events::EventsSection;
use super::failure::Failure;
use super::global::DefaultNetworkName;
use super::image::ImageSection;
use super::logs::LogSection;
use super::network::NetworkSection;
use super::parse::keys::DetachKeys;
use super::parse::nearest::nearest;
use super::proxies::ProxySection;

/// For everybody on the machine.
pub(super) const SYSTEM: &str = "/etc/berth/config.toml";

/// What a configuration file may set; the names are those of the flags.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct ConfigFile {
    /// `--root`; in the system's file for root alone, since others cannot write there.
    pub(crate) root: Option<PathBuf>,
    /// `--state`; as above.
    pub(crate) state: Option<PathBuf>,
    /// `--runtime`.
    pub(crate) runtime: Option<PathBuf>,
    /// `--cgroup-parent`.
    pub(crate) cgroup_parent: Option<String>,
    /// `--default-network`.
    pub(crate) default_network: Option<DefaultNetworkName>,
    /// `--detach-keys`.
    pub(crate) detach_keys: Option<DetachKeys>,
    /// Where files of the Container Device Interface are.
    pub(crate) cdi_spec_dirs: Option<Vec<PathBuf>>,
    /// `[registry."HOST"]`: what is to be known of registries.
    pub(crate) registry: BTreeMap<String, HostConfig>,
    /// `[proxies]`: the way to registries.
    pub(crate) proxies: ProxySection,
    /// `[events]`.
    #[serde(default)]
    pub(crate) events: EventsSection,
    /// `[image]`.
    #[serde(default)]
    pub(crate) image: ImageSection,
    /// `[network]`.
    #[serde(default)]
    pub(crate) network: NetworkSection,
    /// `[log]`.
    #[serde(default)]
    pub(crate) log: LogSection,
}

impl ConfigFile {
    /// Reads the user's file, below `home` (XDG_CONFIG_HOME), and the system's.
    pub(crate) fn load(home: Option<&Path>, is_root: bool) -> Result<Self, Failure> {
        let user = match home {
            Some(home) => read(&home.join("berth/config.toml"))?,
            None => Self::default(),
        };
        let mut system = read(Path::new(SYSTEM))?;
        if !is_root {
            system.root = None;
            system.state = None;
        }
        Ok(user.over(system))
    }

    /// A path that would lead elsewhere from each folder, and its key.
    fn relative(&self) -> Option<(&'static str, &Path)> {
        let ones = [
            ("root", &self.root),
            ("state", &self.state),
            ("runtime", &self.runtime),
        ];
        let ones = ones
            .into_iter()
            .filter_map(|(key, path)| Some((key, path.as_deref()?)));
        let folders = self.cdi_spec_dirs.iter().flatten();
        ones.chain(folders.map(|folder| ("cdi-spec-dirs", folder.as_path())))
            .find(|(_, path)| !path.is_absolute())
    }

    /// These settings, completed by those of `other`.
    fn over(self, mut other: Self) -> Self {
        // A section is taken whole: half of one and half of another is nobody's wish.
        other.registry.extend(self.registry);
        Self {
            registry: other.registry,
            root: self.root.or(other.root),
            state: self.state.or(other.state),
            runtime: self.runtime.or(other.runtime),
            cgroup_parent: self.cgroup_parent.or(other.cgroup_parent),
            default_network: self.default_network.or(other.default_network),
            detach_keys: self.detach_keys.or(other.detach_keys),
            cdi_spec_dirs: self.cdi_spec_dirs.or(other.cdi_spec_dirs),
            proxies: self.proxies.over(other.proxies),
            events: self.events.over(other.events),
            image: self.image.over(other.image),
            network: self.network.over(other.network),
            log: self.log.over(other.log),
        }
    }
}

/// Longer than any configuration is.
const MAX_BYTES: u64 = 1 << 20;

/// A missing file sets nothing; a wrong one is an error, never ignored.
fn read(path: &Path) -> Result<ConfigFile, Failure> {
    let cannot = |class, why: &str| {
        let text = format!("cannot use {}: {why}", path.display());
        Failure::new(class, text).on(path.display().to_string())
    };
    let text = match read_text(path) {
        Ok(text) => text,
        Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => {
            return Ok(ConfigFile::default());
        }
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            return Err(cannot(ErrorClass::Invalid, &error.to_string()));
        }
        Err(error) => return Err(cannot(ErrorClass::Denied, &error.to_string())),
    };
    let file: ConfigFile = toml::from_str(&text).map_err(|error| {
        let line = error
            .span()
            .and_then(|span| text.get(..span.start))
            .map_or(1, |before| before.matches('\n').count() + 1);
        let why = error.message().replace('\n', " ");
        let meant = meant(&why);
        cannot(ErrorClass::Invalid, &format!("line {line}: {why}{meant}"))
    })?;
    if let Some((key, value)) = file.relative() {
        let why = format!(
            "{key} is {:?}; a path in a file begins with /, and ~ and variables stand for nothing",
            value.display().to_string()
        );
        return Err(cannot(ErrorClass::Invalid, &why));
    }
    Ok(file)
}

/// Reads a configuration file; what stands in its place neither holds us up, as a FIFO would, nor
/// fills the memory.
fn read_text(path: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    // by path: a file of the user's or the administrator's
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    let invalid = |why| Err(std::io::Error::new(ErrorKind::InvalidData, why));
    if !file.metadata()?.is_file() {
        return invalid("it is no regular file");
    }
    let mut text = String::new();
    let length = file.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    match u64::try_from(length).is_ok_and(|length| length <= MAX_BYTES) {
        true => Ok(text),
        false => invalid("it is longer than 1 MiB"),
    }
}

/// The nearest of the keys that there are, where serde names one that is unknown and those that it
/// knows, each in backticks.
fn meant(message: &str) -> String {
    if !message.starts_with("unknown field") {
        return String::new();
    }
    let mut quoted = message.split('`').skip(1).step_by(2);
    let near = quoted.next().and_then(|word| nearest(word, quoted));
    near.map_or_else(String::new, |near| format!("; did you mean {near}?"))
}

/// What a file says, as it stands there; `None` where it is missing. One that is wrong was refused
/// before.
pub(super) fn as_json(path: &Path) -> Result<Option<serde_json::Value>, Failure> {
    // by path: a file of the user's or the administrator's
    let Ok(text) = read_text(path) else {
        return Ok(None);
    };
    toml::from_str(&text).map(Some).map_err(|error| {
        let text = format!("cannot use {}: {}", path.display(), error.message());
        Failure::new(ErrorClass::Invalid, text).on(path.display().to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(text: &str) -> Result<ConfigFile, Failure> {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("berth")).unwrap();
        std::fs::write(home.path().join("berth/config.toml"), text).unwrap();
        read(&home.path().join("berth/config.toml"))
    }

    #[test]
    fn the_users_file_wins() {
        let user = user("root = \"/a\"\ncgroup-parent = \"x\"\n").unwrap();
        let system = ConfigFile {
            root: Some("/b".into()),
            state: Some("/c".into()),
            ..ConfigFile::default()
        };
        let both = user.over(system);
        assert_eq!(both.root, Some("/a".into()));
        assert_eq!(both.state, Some("/c".into()));
        assert_eq!(both.cgroup_parent.as_deref(), Some("x"));
    }

    #[test]
    fn a_relative_path_is_refused_by_its_key() {
        for (text, key) in [
            ("root = \"~/berth\"\n", "root"),
            ("state = \"run\"\n", "state"),
            ("runtime = \"./berth-runtime\"\n", "runtime"),
            ("cdi-spec-dirs = [\"/etc/cdi\", \"cdi\"]\n", "cdi-spec-dirs"),
        ] {
            let message = user(text).unwrap_err().message;
            assert!(message.contains(&format!("{key} is ")), "{message}");
            assert!(message.contains("begins with /"), "{message}");
        }
    }

    #[test]
    fn detach_keys_are_read_as_the_flag_is() {
        let keys = user("detach-keys = \"ctrl-a,d\"\n").unwrap().detach_keys;
        assert_eq!(keys, Some(DetachKeys(vec![1, b'd'])));
        let wrong = user("detach-keys = \"ctrl-9\"\n").unwrap_err().message;
        assert!(
            wrong.contains("line 1") && wrong.contains("ctrl-p"),
            "{wrong}"
        );
    }

    #[test]
    fn registries() {
        let user = user(
            "[registry.\"a.example:5000\"]\ninsecure = true\n[registry.\"docker.io\"]\nmirrors = [\"https://m.example\"]\nca = \"/x\"\n",
        )
        .unwrap();
        let system = ConfigFile {
            registry: [
                ("a.example:5000".to_owned(), HostConfig::default()),
                ("b.example".to_owned(), HostConfig::default()),
            ]
            .into(),
            ..ConfigFile::default()
        };
        let both = user.over(system).registry;
        assert!(both["a.example:5000"].insecure);
        assert_eq!(both["docker.io"].mirrors, ["https://m.example"]);
        assert_eq!(both.len(), 3);
        let unknown = self::user("[registry.\"x\"]\ninsecur = true\n").unwrap_err();
        assert!(unknown.message.contains("insecur"), "{}", unknown.message);
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        let unknown = user("root = \"/a\"\nrot = \"/b\"\n").unwrap_err().message;
        assert!(
            unknown.contains("line 2") && unknown.ends_with("; did you mean root?"),
            "{unknown}"
        );
        let deep = user("[image]\nlayer-byte = 3\n").unwrap_err().message;
        assert!(deep.ends_with("; did you mean layer-bytes?"), "{deep}");
        let wrong = user("root = 3\n").unwrap_err().message;
        assert!(wrong.contains("line 1"), "{wrong}");
        assert!(!wrong.contains('\n'));
    }

    #[test]
    fn limits_of_images_are_numbers_or_sizes() {
        let user = user("[image]\nlayer-bytes = \"2g\"\narchive-images = 3\n").unwrap();
        let system = ConfigFile {
            image: toml::from_str("layer-bytes = 1\npath-depth = 9").unwrap(),
            ..ConfigFile::default()
        };
        let limits = user.over(system).image.limits();
        assert_eq!(limits.layer.layer_bytes, 2 << 30);
        assert_eq!(limits.layer.path_depth, 9);
        assert_eq!(limits.archive.images, 3);
        assert_eq!(limits.archive.entries, 200_000);
    }

    #[test]
    fn senseless_limits_are_refused() {
        for text in [
            "layer-bytes = -1",
            "layer-bytes = \"x\"",
            "layr-bytes = 1",
            "layer-bytes = 1.5",
        ] {
            let error = user(&format!("[image]\n{text}\n")).unwrap_err().message;
            assert!(error.contains("line 2"), "{text}: {error}");
        }
    }

    #[test]
    fn no_file_is_fine() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(
            read(&home.path().join("none")).unwrap(),
            ConfigFile::default()
        );
    }
}
