//! Whether a registry takes a login.

use hyper::Method;

use super::body::Payload;
use super::client::Client;
use super::config::RegistryConfig;
use super::credentials::Credential;
use super::failure::Wish;
use super::line::{Ask, Target};
use super::manifest::page_instead;
use super::reply::{expect, is_page};
use super::session::{Session, Stop};
use crate::{ImageError, Progress};

/// Shows a login to a registry (distribution-spec, "Determining Support") and fails where it is
/// not taken. Stores nothing.
pub fn verify_login(
    config: RegistryConfig,
    registry: &str,
    login: Credential,
    progress: &dyn Progress,
) -> Result<(), ImageError> {
    let endpoint = config.origin(registry)?;
    let client = Client::new(config, Box::new(login));
    let stop = Stop::default();
    let mut session = Session::new(&client, progress, &stop)?;
    let wish = Wish {
        registry: registry.to_owned(),
        verb: "log in to",
        object: registry.to_owned(),
    };
    let ask = Ask {
        endpoint: &endpoint,
        method: Method::GET,
        target: Target::Path(String::new()),
        headers: Vec::new(),
        payload: Payload::Empty,
        scope: "",
        repository: "",
    };
    let done = session.retried(&wish, async |line| {
        let idle = line.client.tuning().idle;
        let reply = line.ask(&ask).await?;
        let reply = expect(reply, &[200], &endpoint.name, idle).await?;
        if is_page(reply.response.headers()) {
            return Err(page_instead(&endpoint, registry));
        }
        Ok(())
    });
    done.map_err(|failure| failure.into_error(&wish))
}
