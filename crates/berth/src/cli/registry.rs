//! What commands that talk to registries share: settings from the configuration files, proxies from
//! the environment, logins from Docker's and containers' files.

use std::env;
use std::path::PathBuf;

use berth_base::ErrorClass;
use berth_image::ImageRef;
use berth_image::registry::{Anonymous, AuthFiles, Client, Credentials, RegistryConfig};

use super::failure::Failure;
use super::global;

/// Where everybody keeps certificates of registries.
const CERTIFICATES: [&str; 2] = ["/etc/docker/certs.d", "/etc/containers/certs.d"];
/// The registry that is meant where none is named.
const DEFAULT: &str = "docker.io";

/// Settings for registries.
pub(super) fn settings() -> Result<RegistryConfig, Failure> {
    let mut folders: Vec<PathBuf> = CERTIFICATES.map(PathBuf::from).into();
    // Rootless Docker and podman look here too.
    if let Some(home) = global::config_home() {
        folders.push(home.join("docker/certs.d"));
        folders.push(home.join("containers/certs.d"));
    }
    let file = global::config_file()?;
    Ok(RegistryConfig {
        hosts: file.registry,
        certificate_folders: folders,
        proxies: file.proxies.under(&|name| env::var(name).ok()),
        ..RegistryConfig::default()
    })
}

/// A client with the user's logins.
pub(super) fn client() -> Result<Client, Failure> {
    let credentials: Box<dyn Credentials> = match auth_files() {
        Some(files) => Box::new(files),
        None => Box::new(Anonymous),
    };
    Ok(Client::new(settings()?, credentials))
}

/// The files with logins: `$DOCKER_CONFIG` or `~/.docker` for reading and writing, those of
/// containers-auth.json(5) for reading. `None` where nothing says where they are.
pub(super) fn auth_files() -> Option<AuthFiles> {
    let folder = |variable: &str| {
        let value = env::var_os(variable).filter(|value| !value.is_empty());
        value.map(PathBuf::from)
    };
    let docker = || Some(folder("HOME")?.join(".docker"));
    let main = folder("DOCKER_CONFIG").or_else(docker)?;
    let others = match folder("REGISTRY_AUTH_FILE") {
        Some(file) => vec![file],
        None => [folder("XDG_RUNTIME_DIR"), global::config_home()]
            .into_iter()
            .flatten()
            .map(|folder| folder.join("containers/auth.json"))
            .collect(),
    };
    Some(AuthFiles::new(main.join("config.json"), others))
}

/// The same, for those who cannot do without.
pub(super) fn own_auth_files() -> Result<AuthFiles, Failure> {
    auth_files().ok_or_else(|| {
        Failure::new(
            ErrorClass::Invalid,
            "cannot tell where logins are kept: neither DOCKER_CONFIG nor HOME is set",
        )
    })
}

/// The registry that a user means: `HOST[:PORT]`, a URL as old clients have it, or none.
pub(super) fn server(text: Option<&str>) -> Result<String, Failure> {
    let text = text.unwrap_or(DEFAULT);
    let bare = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .unwrap_or(text);
    let host = bare.split('/').next().unwrap_or_default();
    if matches!(host, "index.docker.io" | "registry-1.docker.io" | DEFAULT) {
        return Ok(DEFAULT.to_owned());
    }
    // What references take as a registry is one, save that here a bare word is one as well.
    let probe = match host.contains(['.', ':']) || host == "localhost" {
        true => format!("{host}/x"),
        false => format!("{host}:1/x"),
    };
    match probe.parse::<ImageRef>() {
        Ok(_) => Ok(host.to_owned()),
        Err(_) => Err(
            Failure::usage(format!("{text:?} is no registry; write HOST or HOST:PORT")).on(text),
        ),
    }
}

/// Reads the name of a repository, without tag and digest.
pub(super) fn repository(text: &str) -> Result<ImageRef, Failure> {
    let parsed = reference(text)?;
    // A port stands before a slash.
    match text.rsplit('/').next() {
        Some(last) if last.contains([':', '@']) => Err(Failure::usage(format!(
            "cannot pull all tags of {text:?}: tag can't be used with --all-tags/-a; write {}",
            parsed.familiar_name()
        ))
        .on(text)),
        _ => Ok(parsed),
    }
}

/// Reads the name of an image.
pub(super) fn reference(text: &str) -> Result<ImageRef, Failure> {
    text.parse()
        .map_err(|e: berth_image::InvalidReference| Failure::usage(e.to_string()).on(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers() {
        let server = |text: &str| server(Some(text)).map_err(|f| f.message);
        for (text, meant) in [
            ("r.example:5000", "r.example:5000"),
            ("https://r.example/v2/", "r.example"),
            ("https://index.docker.io/v1/", "docker.io"),
            ("localhost", "localhost"),
            ("registry", "registry"),
            ("[::1]:5000", "[::1]:5000"),
        ] {
            assert_eq!(server(text).as_deref(), Ok(meant), "{text}");
        }
        for bad in ["", "a b", "https://", "me@r.example", "r.example:x"] {
            assert!(server(bad).is_err(), "{bad}");
        }
        assert_eq!(super::server(None).unwrap(), "docker.io");
    }

    #[test]
    fn repositories() {
        let name = |text: &str| repository(text).map(|name| name.name());
        assert_eq!(name("app").unwrap(), "docker.io/library/app");
        assert_eq!(name("r.example:5000/a/b").unwrap(), "r.example:5000/a/b");
        assert_eq!(name("[::1]:5000/b").unwrap(), "[::1]:5000/b");
        let digest = format!("app@sha256:{}", "0".repeat(64));
        for bad in [
            "app:1",
            "r.example:5000/a:1",
            "localhost:5000",
            &digest,
            "App",
        ] {
            let failure = repository(bad).unwrap_err();
            assert_eq!(failure.exit_code, Some(125), "{bad}");
        }
        insta::assert_snapshot!(repository("r.example:5000/a:1").unwrap_err(), @r#"cannot pull all tags of "r.example:5000/a:1": tag can't be used with --all-tags/-a; write r.example:5000/a"#);
    }
}
