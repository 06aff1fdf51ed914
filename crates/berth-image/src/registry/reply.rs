//! Answers: their status checked, small ones read, refusals understood.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use hyper::HeaderMap;
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, RETRY_AFTER};
use serde::Deserialize;
use tokio::time::timeout;

use super::connection::broken;
use super::failure::{Answer, Failure};
use super::line::Reply;
use super::url::Origin;
use crate::ImageError;

/// How much of a refusal is read.
const REFUSAL_MAX: usize = 64 << 10;

/// Lets an answer pass that has one of the wanted statuses; makes a failure of others.
pub(super) async fn expect(
    reply: Reply,
    wanted: &[u16],
    authority: &str,
    idle: Duration,
) -> Result<Reply, Failure> {
    let status = reply.response.status();
    if wanted.contains(&status.as_u16()) {
        return Ok(reply);
    }
    let is_page = is_page(reply.response.headers());
    let retry_after = retry_after(reply.response.headers(), SystemTime::now());
    let logged_in = reply.logged_in;
    let (code, message) = refusal(reply, idle).await;
    Err(Failure::Answer(Box::new(Answer {
        authority: authority.to_owned(),
        status,
        code,
        message,
        retry_after,
        is_page,
        logged_in,
    })))
}

/// Whether a web page came.
pub(super) fn is_page(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    kind.is_some_and(|kind| {
        kind.trim_start()
            .to_ascii_lowercase()
            .starts_with("text/html")
    })
}

/// `Retry-After`: seconds or a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// The first error of a refusal, as distribution-spec has it, or a token server's words.
async fn refusal(reply: Reply, idle: Duration) -> (Option<String>, Option<String>) {
    #[derive(Deserialize)]
    struct Errors {
        #[serde(default)]
        errors: Vec<One>,
        details: Option<String>,
    }
    #[derive(Deserialize)]
    struct One {
        code: Option<String>,
        message: Option<String>,
    }
    let origin = reply.url.origin.clone();
    let mut body = reply.response.into_body();
    let mut bytes = Vec::new();
    while let Ok(Some(piece)) = next_piece(&mut body, &origin, idle).await {
        bytes.extend_from_slice(&piece);
        if bytes.len() > REFUSAL_MAX {
            break;
        }
    }
    let Ok(errors) = serde_json::from_slice::<Errors>(&bytes) else {
        return (None, None);
    };
    match errors.errors.into_iter().next() {
        Some(one) => (one.code, one.message.filter(|m| !m.is_empty())),
        None => (None, errors.details),
    }
}

/// The next piece of a body; `None` at its end.
pub(super) async fn next_piece(
    body: &mut Incoming,
    origin: &Origin,
    idle: Duration,
) -> Result<Option<Bytes>, Failure> {
    loop {
        let frame = match timeout(
            idle,
            poll_fn(|context| Pin::new(&mut *body).poll_frame(context)),
        )
        .await
        {
            Err(_) => {
                return Err(Failure::Silent {
                    authority: origin.authority(),
                    seconds: idle.as_secs(),
                });
            }
            Ok(None) => return Ok(None),
            Ok(Some(Err(error))) => return Err(broken(origin, &error)),
            Ok(Some(Ok(frame))) => frame,
        };
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
}

/// A whole body of at most so many bytes.
pub(super) async fn read_small(
    reply: Reply,
    limit: u64,
    what: &str,
    idle: Duration,
) -> Result<Vec<u8>, Failure> {
    let origin = reply.url.origin.clone();
    let mut body = reply.response.into_body();
    let too_long = || ImageError::Limit {
        what: what.to_owned(),
        why: format!("it is longer than the {limit} bytes that are read of such"),
    };
    if body.size_hint().lower() > limit {
        return Err(too_long().into());
    }
    let mut bytes = Vec::new();
    while let Some(piece) = next_piece(&mut body, &origin, idle).await? {
        bytes.extend_from_slice(&piece);
        if bytes.len() as u64 > limit {
            return Err(too_long().into());
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_that_servers_ask_for() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let asked = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers, now)
        };
        assert_eq!(asked("7"), Some(Duration::from_secs(7)));
        assert_eq!(
            asked("Sun, 06 Nov 1994 08:50:37 GMT"),
            Some(Duration::from_secs(60))
        );
        assert_eq!(asked("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("soon"), None);
    }
}
