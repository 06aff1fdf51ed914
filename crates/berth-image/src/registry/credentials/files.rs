//! Docker's `config.json` and containers' `auth.json`: the same `auths`, `credsStore` and
//! `credHelpers` in both.

use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use berth_persist::{At, Durability, Op, perform, replace};
use serde_json::{Map, Value, json};

use super::helper::Helper;
use super::{Credential, Credentials, keys, server_of};
use crate::ImageError;

/// The longest such file that is read.
const FILE_MAX: u64 = 4 << 20;
const POINT: &str = "registry.login";

/// Logins in files. What is read: the first file that has a login wins. What is written: the first
/// file, or the helper that it names.
#[derive(Clone, Debug)]
pub struct AuthFiles {
    main: PathBuf,
    others: Vec<PathBuf>,
}

/// Where a login was put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// In a file, readable by its owner alone, but not encrypted.
    File(PathBuf),
    /// With a helper.
    Helper(String),
}

impl AuthFiles {
    /// Uses `main` for reading and writing, `others` (such as containers' `auth.json`) for reading
    /// alone. None of them has to exist.
    pub fn new(main: PathBuf, others: Vec<PathBuf>) -> Self {
        Self { main, others }
    }

    /// Keeps a login for a registry.
    pub fn store(&self, registry: &str, credential: &Credential) -> Result<Stored, ImageError> {
        let file = AuthFile::read(&self.main)?;
        if let Some(helper) = file.helper(registry) {
            Helper(helper).store(server_of(registry), credential)?;
            return Ok(Stored::Helper(helper.to_owned()));
        }
        let entry = match credential {
            Credential::Password { name, secret } => {
                json!({ "auth": STANDARD.encode(format!("{name}:{secret}")) })
            }
            Credential::IdentityToken(token) => json!({ "identitytoken": token }),
            Credential::RegistryToken(token) => json!({ "registrytoken": token }),
        };
        self.change(file, |auths| {
            auths.insert(server_of(registry).to_owned(), entry);
        })?;
        Ok(Stored::File(self.main.clone()))
    }

    /// Forgets the login for a registry; answers whether there was one.
    pub fn erase(&self, registry: &str) -> Result<bool, ImageError> {
        let file = AuthFile::read(&self.main)?;
        let mut was_there = false;
        if let Some(helper) = file.helper(registry) {
            was_there = Helper(helper).get(server_of(registry))?.is_some();
            Helper(helper).erase(server_of(registry))?;
        }
        let keys = keys(registry, "");
        if keys
            .iter()
            .any(|key| file.auths().is_some_and(|a| a.contains_key(key)))
        {
            was_there = true;
            self.change(file, |auths| {
                for key in &keys {
                    auths.remove(key);
                }
            })?;
        }
        Ok(was_there)
    }

    /// Writes the main file anew, with everything else in it as it was.
    fn change(
        &self,
        mut file: AuthFile,
        change: impl FnOnce(&mut Map<String, Value>),
    ) -> Result<(), ImageError> {
        let auths = file.content.entry("auths").or_insert_with(|| json!({}));
        let Some(auths) = auths.as_object_mut() else {
            return Err(file.malformed("\"auths\" is no object"));
        };
        change(auths);
        let mut text = serde_json::to_vec_pretty(&file.content)
            .map_err(|error| file.malformed(&error.to_string()))?;
        text.push(b'\n');
        // Through a symbolic link (dotfiles kept elsewhere), not over it.
        // by path: the user's own file, which the caller names
        let path = std::fs::canonicalize(&self.main).unwrap_or_else(|_| self.main.clone());
        let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str()))
        else {
            return Err(file.malformed("it is no path of a file"));
        };
        match perform(POINT, Op::MakeDir(At::path(folder), 0o700)) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(ImageError::io("create", folder, error));
            }
            _ => {}
        }
        replace(POINT, folder, name, &text, Durability::Power)?;
        Ok(())
    }
}

impl Credentials for AuthFiles {
    fn find(&self, registry: &str, repository: &str) -> Result<Option<Credential>, ImageError> {
        for path in std::iter::once(&self.main).chain(&self.others) {
            let file = AuthFile::read(path)?;
            if let Some(found) = file.find(registry, repository)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// One file as it was read.
struct AuthFile {
    path: PathBuf,
    content: Map<String, Value>,
}

impl AuthFile {
    fn read(path: &Path) -> Result<Self, ImageError> {
        use std::io::Read as _;
        let mut file = Self {
            path: path.to_owned(),
            content: Map::new(),
        };
        // A FIFO or a terminal in its place must not hang us.
        // by path: the user's own file, which the caller names
        let opened = std::fs::OpenOptions::new()
            .read(true)
            .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
            .open(path);
        let mut text = String::new();
        let read = opened.and_then(|f| f.take(FILE_MAX).read_to_string(&mut text));
        match read {
            Ok(_) => {}
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(file);
            }
            Err(error) => return Err(ImageError::io("read", path, error)),
        }
        if text.trim().is_empty() {
            return Ok(file);
        }
        match serde_json::from_str(&text) {
            Ok(Value::Object(content)) => file.content = content,
            // serde's words can hold a piece of the text: a secret.
            Ok(_) => return Err(file.malformed("it is no JSON object")),
            Err(error) => {
                let place = format!("line {} column {}", error.line(), error.column());
                return Err(file.malformed(&format!("it is no JSON ({place})")));
            }
        }
        Ok(file)
    }

    fn malformed(&self, why: &str) -> ImageError {
        ImageError::malformed(self.path.display().to_string(), why)
    }

    fn auths(&self) -> Option<&Map<String, Value>> {
        self.content.get("auths")?.as_object()
    }

    /// The helper in charge of a registry.
    fn helper(&self, registry: &str) -> Option<&str> {
        let helpers = self.content.get("credHelpers").and_then(Value::as_object);
        let keys = keys(registry, "");
        let own = helpers.and_then(|h| keys.iter().find_map(|key| h.get(key)));
        let any = || self.content.get("credsStore");
        let name = own.or_else(any).and_then(Value::as_str);
        name.filter(|name| !name.is_empty())
    }

    fn find(&self, registry: &str, repository: &str) -> Result<Option<Credential>, ImageError> {
        if let Some(helper) = self.helper(registry)
            && let Some(found) = Helper(helper).get(server_of(registry))?
        {
            return Ok(Some(found));
        }
        let Some(auths) = self.auths() else {
            return Ok(None);
        };
        for key in keys(registry, repository) {
            if let Some(entry) = auths.get(&key)
                && let Some(found) = self.credential(&key, entry)?
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Reads an entry; an empty one says that a helper has it.
    fn credential(&self, key: &str, entry: &Value) -> Result<Option<Credential>, ImageError> {
        let field = |name: &str| {
            let text = entry.get(name).and_then(Value::as_str);
            text.filter(|text| !text.is_empty())
        };
        if let Some(token) = field("identitytoken") {
            return Ok(Some(Credential::IdentityToken(token.to_owned())));
        }
        if let Some(token) = field("registrytoken") {
            return Ok(Some(Credential::RegistryToken(token.to_owned())));
        }
        if let (Some(name), Some(secret)) = (field("username"), field("password")) {
            let (name, secret) = (name.to_owned(), secret.to_owned());
            return Ok(Some(Credential::Password { name, secret }));
        }
        let Some(auth) = field("auth") else {
            return Ok(None);
        };
        let decoded = STANDARD.decode(auth).ok();
        let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = text.as_deref().and_then(|text| text.split_once(':'));
        let Some((name, secret)) = pair else {
            return Err(self.malformed(&format!(
                "\"auth\" of {key:?} is not NAME:PASSWORD in base64; log in again"
            )));
        };
        Ok(Some(Credential::Password {
            name: name.to_owned(),
            secret: secret.trim_end_matches('\0').to_owned(),
        }))
    }
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
