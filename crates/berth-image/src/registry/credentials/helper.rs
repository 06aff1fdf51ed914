//! Credential helpers: programs `docker-credential-NAME` of the user's own choice that keep logins
//! in a keychain. They run on the host, as the user, because the user's own file names them.

use std::io::Write as _;
use std::process::{Command, Stdio};

use berth_base::{ErrorClass, escape_untrusted};
use serde::{Deserialize, Serialize};

use super::Credential;
use crate::ImageError;

/// What helpers call a login that is an identity token.
const TOKEN_NAME: &str = "<token>";

/// The JSON of `get` and `store`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    #[serde(rename = "ServerURL", default)]
    server_url: String,
    username: String,
    secret: String,
}

/// One helper.
#[derive(Debug)]
pub(super) struct Helper<'a>(pub(super) &'a str);

impl Helper<'_> {
    /// Asks for the login of a server; `None` if the helper has none.
    pub(super) fn get(&self, server: &str) -> Result<Option<Credential>, ImageError> {
        let answer = match self.run("get", server.as_bytes())? {
            Ok(answer) => answer,
            Err(words) if words.contains("credentials not found") => return Ok(None),
            Err(words) => return Err(self.failed("get", &words)),
        };
        let entry: Entry = serde_json::from_slice(&answer)
            .map_err(|_| self.failed("get", "its answer is no JSON with Username and Secret"))?;
        Ok(Some(if entry.username == TOKEN_NAME {
            Credential::IdentityToken(entry.secret)
        } else {
            Credential::Password {
                name: entry.username,
                secret: entry.secret,
            }
        }))
    }

    /// Puts a login in.
    pub(super) fn store(&self, server: &str, credential: &Credential) -> Result<(), ImageError> {
        let (username, secret) = match credential {
            Credential::Password { name, secret } => (name.as_str(), secret),
            Credential::IdentityToken(token) | Credential::RegistryToken(token) => {
                (TOKEN_NAME, token)
            }
        };
        let entry = Entry {
            server_url: server.to_owned(),
            username: username.to_owned(),
            secret: secret.clone(),
        };
        let text = serde_json::to_vec(&entry).map_err(|e| self.failed("store", &e.to_string()))?;
        match self.run("store", &text)? {
            Ok(_) => Ok(()),
            Err(words) => Err(self.failed("store", &words)),
        }
    }

    /// Takes a login out; one that is not there is fine.
    pub(super) fn erase(&self, server: &str) -> Result<(), ImageError> {
        match self.run("erase", server.as_bytes())? {
            Err(words) if !words.contains("credentials not found") => {
                Err(self.failed("erase", &words))
            }
            _ => Ok(()),
        }
    }

    /// Runs the helper: its output, or its words where it fails.
    fn run(&self, verb: &str, input: &[u8]) -> Result<Result<Vec<u8>, String>, ImageError> {
        let name = self.0;
        // A name, never a path: the file may have been copied from somewhere.
        if name.is_empty() || name.contains(['/', '\0']) {
            return Err(self.failed(verb, "a helper's name holds no slash"));
        }
        // by path: a program of the user's own, which the user's file names
        let mut child = Command::new(format!("docker-credential-{name}"))
            .arg(verb)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| self.failed(verb, &format!("it cannot be started: {error}")))?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that does not read its input says why by its exit code.
            drop(stdin.write_all(input));
        }
        let output = child
            .wait_with_output()
            .map_err(|error| self.failed(verb, &error.to_string()))?;
        if output.status.success() {
            return Ok(Ok(output.stdout));
        }
        // Docker's helpers write their errors to standard output.
        let mut words = String::from_utf8_lossy(&output.stdout).into_owned();
        words.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok(Err(words))
    }

    fn failed(&self, verb: &str, why: &str) -> ImageError {
        let name = escape_untrusted(self.0);
        let why: String = why.trim().chars().take(300).collect();
        ImageError::Registry {
            class: ErrorClass::Unavailable,
            message: format!(
                "the credential helper docker-credential-{name} failed at \"{verb}\": {}; install or repair it, or take it out of credsStore and credHelpers in config.json",
                escape_untrusted(&why)
            ),
        }
    }
}
