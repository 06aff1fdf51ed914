//! Logging in for a request: name and password, or a token for its scope.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde::Deserialize;

use super::body::Payload;
use super::challenge::Challenge;
use super::client::{Token, expiry};
use super::credentials::Credential;
use super::failure::Failure;
use super::line::{Ask, Line, Target};
use super::reply::read_small;
use super::url::{Url, escape};
use crate::ImageError;

/// The longest answer of a token server; tokens of some are 10 KiB.
const ANSWER_MAX: u64 = 256 << 10;

/// What a token server says: one of two names for the same thing.
#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Line<'_> {
    /// Gets what a challenge wants and keeps it for the scope. Answers whether there is now
    /// something to show.
    pub(super) async fn authorise(
        &mut self,
        ask: &Ask<'_>,
        from: &Url,
        challenge: &Challenge,
    ) -> Result<bool, Failure> {
        let login = self.client.login(ask.endpoint, ask.repository)?;
        let token = match (challenge, login) {
            (Challenge::Basic, Some(Credential::Password { name, secret })) => Token {
                header: basic(&name, &secret)?,
                expires: None,
                logged_in: true,
            },
            (Challenge::Basic, _) => return Ok(false),
            (Challenge::Bearer { .. }, Some(Credential::RegistryToken(token))) => Token {
                header: bearer(&token)?,
                expires: None,
                logged_in: true,
            },
            (
                Challenge::Bearer {
                    realm,
                    service,
                    scope,
                    ..
                },
                login,
            ) => {
                let wanted = match ask.scope {
                    "" => scope.as_deref().unwrap_or_default(),
                    own => own,
                };
                let service = service.as_deref();
                self.fetch_token(ask, from, (realm, service, wanted), login.as_ref())
                    .await?
            }
        };
        self.client.keep_token(ask.endpoint, ask.scope, token);
        Ok(true)
    }

    async fn fetch_token(
        &mut self,
        ask: &Ask<'_>,
        from: &Url,
        (realm, service, scope): (&str, Option<&str>, &str),
        login: Option<&Credential>,
    ) -> Result<Token, Failure> {
        let url = Url::parse(realm).ok_or_else(|| Failure::Sent {
            authority: ask.endpoint.name.clone(),
            to: realm.chars().take(200).collect(),
            why: "which is no address of a token server".to_owned(),
        })?;
        let mut query: Vec<String> = Vec::new();
        query.extend(service.map(|s| format!("service={}", escape(s))));
        let mut request = Ask {
            method: Method::GET,
            target: Target::At(url.clone()),
            headers: Vec::new(),
            payload: Payload::Empty,
            ..ask.clone()
        };
        let mut header = None;
        let mut at = url.clone();
        match login {
            // OAuth2, for what `login` stored instead of a password.
            Some(Credential::IdentityToken(refresh)) => {
                query.push("grant_type=refresh_token&client_id=berth".to_owned());
                query.push(format!("refresh_token={}", escape(refresh)));
                query.push(format!("scope={}", escape(scope)));
                request.method = Method::POST;
                let form = "application/x-www-form-urlencoded".to_owned();
                request.headers.push((CONTENT_TYPE, form));
                request.payload = Payload::Bytes(Bytes::from(query.join("&")));
            }
            other => {
                let scopes = scope.split(' ').filter(|s| !s.is_empty());
                query.extend(scopes.map(|s| format!("scope={}", escape(s))));
                if let Some(Credential::Password { name, secret }) = other {
                    query.push(format!("account={}", escape(name)));
                    header = Some(basic(name, secret)?);
                }
                if !query.is_empty() {
                    at = url.with_query(&query.join("&"));
                }
            }
        }
        let home = from.origin.scheme;
        let response = self.send(&request, &at, &home, header.as_ref()).await?;
        let what = format!("the token server of {}", ask.endpoint.name);
        let authority = at.origin.authority();
        let idle = self.client.tuning().idle;
        let reply = super::line::Reply {
            response,
            url: at,
            logged_in: login.is_some(),
        };
        let reply = super::reply::expect(reply, &[200], &authority, idle).await?;
        let bytes = read_small(reply, ANSWER_MAX, &what, idle).await?;
        let answer: TokenAnswer = serde_json::from_slice(&bytes)
            .map_err(|_| ImageError::malformed(what.clone(), "its answer is not JSON"))?;
        let text = answer
            .token
            .filter(|t| !t.is_empty())
            .or(answer.access_token);
        let text = text.ok_or_else(|| ImageError::malformed(what, "its answer has no token"))?;
        Ok(Token {
            header: bearer(&text)?,
            expires: Some(expiry(answer.expires_in)),
            logged_in: login.is_some(),
        })
    }
}

/// The header for a name and password.
pub(super) fn basic(name: &str, secret: &str) -> Result<HeaderValue, Failure> {
    header(&format!(
        "Basic {}",
        STANDARD.encode(format!("{name}:{secret}"))
    ))
}

fn bearer(token: &str) -> Result<HeaderValue, Failure> {
    header(&format!("Bearer {token}"))
}

/// A header that debug output does not show.
fn header(text: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| ImageError::malformed("a login or token", "it holds what no header may"))?;
    value.set_sensitive(true);
    Ok(value)
}
