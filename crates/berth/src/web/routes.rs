//! The paths of the page, all below the token.
//!
//! | Path | Answer |
//! |---|---|
//! | (empty) | the page |
//! | `page.css`, `page.js`, `icon.svg` | its parts |
//! | `events?lens=&inside=` | the view as server-sent events |
//! | `search?q=` | the processes that a text means |
//! | `process?pid=` | everything about one |
//! | `lives?from=&to=&q=&inside=` | who of that name started or ended in a stretch of time, milliseconds since boot |
//! | `play?pause=`, `speed=`, `to=` | moves a recording; by POST |
//!
//! `lens`, `inside` and `at` (milliseconds since boot) say which view is meant.

use std::sync::Arc;

use berth_base::{NamespaceId, NamespaceKind};
use berth_map::live::BootTime;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::{Semaphore, mpsc};

use super::body::Body;
use super::follow::Follower;
use super::guard::{Guard, HEADERS};
use super::hub::Hub;
use super::page::ViewKey;
use super::play::Control;
use super::{detail, lives, search};

/// What moves a recording.
pub(super) const CONTROL: &str = "play";
/// Pages that are open at once.
const MAX_CLIENTS: usize = 32;
const PAGE: &str = include_str!("assets/page.html");
const STYLE: &str = include_str!("assets/page.css");
const SCRIPT: &str = include_str!("assets/page.js");
const ICON: &str = include_str!("assets/icon.svg");

/// What is served.
pub(super) struct Site {
    hub: Arc<Hub>,
    guard: Guard,
    lens: &'static str,
    clients: Arc<Semaphore>,
    /// Tells this server's messages from those of one that had the same address before.
    run: u64,
}

impl Site {
    pub(super) fn new(hub: Arc<Hub>, guard: Guard, lens: &'static str) -> Self {
        let since = std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .unwrap_or_default();
        Self {
            hub,
            guard,
            lens,
            clients: Arc::new(Semaphore::new(MAX_CLIENTS)),
            run: since.as_secs(),
        }
    }

    /// Answers one request.
    pub(super) fn answer<B>(&self, request: &Request<B>) -> Response<Body> {
        let path = request.uri().path();
        let admitted = self.guard.admit(request.method(), path, request.headers());
        let mut response = match admitted {
            Ok(path) => self.route(path, request),
            Err(refusal) => {
                let mut response = text(refusal.status(), refusal.text());
                if let Some(allowed) = refusal.allowed() {
                    let allowed = HeaderValue::from_static(allowed);
                    response.headers_mut().insert(ALLOW, allowed);
                }
                response
            }
        };
        for (name, value) in HEADERS {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        if *request.method() == Method::HEAD {
            *response.body_mut() = Body::Whole(None);
        }
        response
    }

    fn route<B>(&self, path: &str, request: &Request<B>) -> Response<Body> {
        let query = Query(request.uri().query().unwrap_or(""));
        match path {
            "" => whole(
                "text/html; charset=utf-8",
                PAGE.replace("{lens}", self.lens),
            ),
            "page.css" => whole("text/css; charset=utf-8", STYLE),
            "page.js" => whole("text/javascript; charset=utf-8", SCRIPT),
            "icon.svg" => whole("image/svg+xml", ICON),
            "events" => self.events(&query, request),
            "search" | "process" => self.ask(path, &query),
            "lives" => self.lives(&query),
            CONTROL => self.play(query.0),
            _ => text(StatusCode::NOT_FOUND, "there is nothing here\n"),
        }
    }

    fn ask(&self, path: &str, query: &Query) -> Response<Body> {
        let Some(key) = query.view() else {
            return text(StatusCode::BAD_REQUEST, "no such view\n");
        };
        let host = self.hub.world(key);
        let world = match key.inside {
            None => Some(Arc::clone(&host)),
            Some(id) => host.inside(id).map(Arc::new),
        };
        let Some(world) = world else {
            return text(
                StatusCode::NOT_FOUND,
                "nobody lives in this container any more\n",
            );
        };
        let html = match path {
            "search" => Some(search::html(&world, &query.get("q").unwrap_or_default())),
            _ => query
                .get("pid")
                .and_then(|pid| pid.parse().ok())
                .and_then(berth_base::HostPid::new)
                .and_then(|pid| detail::html(&self.hub, &host, &world, key, pid)),
        };
        match html {
            Some(html) => whole("text/html; charset=utf-8", html),
            None => text(StatusCode::NOT_FOUND, "this process has ended\n"),
        }
    }

    fn play(&self, query: &str) -> Response<Body> {
        let Some(control) = Control::parse(query) else {
            return text(
                StatusCode::BAD_REQUEST,
                "one of pause=0, pause=1, speed=TIMES and to=MILLISECONDS since boot\n",
            );
        };
        match self.hub.control(control) {
            Some(state) => whole("application/json", state.to_string()),
            None => text(StatusCode::NOT_FOUND, "there is nothing here\n"),
        }
    }

    fn lives(&self, query: &Query) -> Response<Body> {
        let time = |name| query.get(name)?.parse().ok().map(millis);
        match (time("from"), time("to"), query.view()) {
            (Some(from), Some(to), Some(key)) => {
                let name = query.get("q").unwrap_or_default().trim().to_lowercase();
                let (lives, more) = self.hub.lives((from, to), key.inside, &name, lives::MOST);
                whole("text/html; charset=utf-8", lives::html(&lives, more))
            }
            _ => text(
                StatusCode::BAD_REQUEST,
                "from and to are milliseconds since boot\n",
            ),
        }
    }

    fn events<B>(&self, query: &Query, request: &Request<B>) -> Response<Body> {
        let Some(key) = query.view() else {
            return text(StatusCode::BAD_REQUEST, "no such view\n");
        };
        if *request.method() == Method::HEAD {
            return whole("text/event-stream", "");
        }
        let Ok(permit) = Arc::clone(&self.clients).try_acquire_owned() else {
            return text(StatusCode::SERVICE_UNAVAILABLE, "too many pages are open\n");
        };
        let last = request.headers().get("last-event-id");
        let last = last.and_then(|id| id.to_str().ok()).map(str::to_owned);
        // One message waits at most; the next is made when it has been taken.
        let (sender, messages) = mpsc::channel(1);
        let follower = Follower {
            hub: Arc::clone(&self.hub),
            pages: self.hub.follow(key),
            sender,
            key,
            run: self.run,
        };
        tokio::spawn(follower.run(last));
        let mut response = Response::new(Body::Stream(messages, permit));
        let kind = HeaderValue::from_static("text/event-stream");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }
}

/// The part of a URL behind the question mark.
pub(super) struct Query<'u>(&'u str);

impl Query<'_> {
    /// The first value of a name, decoded.
    fn get(&self, name: &str) -> Option<String> {
        let mut pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(key, _)| *key == name)?;
        Some(decode(value))
    }

    /// The view that it names; `None` where there is no such.
    fn view(&self) -> Option<ViewKey> {
        let lens = self.get("lens").unwrap_or_else(|| "pid".to_owned());
        let lens = NamespaceKind::ALL
            .into_iter()
            .find(|k| k.as_str() == lens)?;
        let inside = match self.get("inside").filter(|text| !text.is_empty()) {
            None => None,
            Some(text) => Some(NamespaceId {
                kind: NamespaceKind::Pid,
                inode: text.parse().ok()?,
            }),
        };
        let at = match self.get("at").filter(|text| !text.is_empty()) {
            None => None,
            Some(text) => Some(millis(text.parse().ok()?)),
        };
        Some(ViewKey { lens, inside, at })
    }
}

fn millis(millis: u64) -> BootTime {
    BootTime(millis.saturating_mul(1_000_000))
}

/// Undoes the percent-encoding of a query; what is no UTF-8 becomes U+FFFD.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        rest = others;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = others.get(..2).and_then(|d| std::str::from_utf8(d).ok());
                match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                    Some(byte) => {
                        bytes.push(byte);
                        rest = others.get(2..).unwrap_or_default();
                    }
                    None => bytes.push(b'%'),
                }
            }
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn whole(kind: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::whole(body));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn text(status: StatusCode, line: &'static str) -> Response<Body> {
    let mut response = whole("text/plain; charset=utf-8", line);
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded() {
        let query = Query("q=a%20b%2B+%zz%&lens=net&inside=4026532300&q=2");
        assert_eq!(query.get("q").unwrap(), "a b+ %zz%");
        assert_eq!(query.get("none"), None);
        let view = query.view().unwrap();
        assert_eq!(view.lens, NamespaceKind::Net);
        assert_eq!(view.inside.unwrap().inode, 4_026_532_300);
        assert_eq!(decode("%ff%41%"), "\u{fffd}A%");
    }

    #[test]
    fn no_such_view() {
        for text in ["lens=x", "inside=web", "inside=-1"] {
            assert!(Query(text).view().is_none(), "{text}");
        }
        assert!(Query("").view().unwrap().inside.is_none());
    }
}
