//! One client's events, as server-sent events.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use hyper::body::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use super::delta::Delta;
use super::hub::{Hub, Second};
use super::page::{FragmentId, Page, ViewKey};
use super::view::{exit_words, host_pid};

/// How often the timeline moves. It is the heartbeat too: a page that hears nothing for long takes
/// the connection for dead.
const TICK: Duration = Duration::from_secs(1);
/// The least time between two messages: a storm is told in pieces.
const LEAST_PAUSE: Duration = Duration::from_millis(20);

/// Messages that are kept with a page.
const MAX_KNOWN: usize = 4;

/// Sends one client what is new for it.
pub(super) struct Follower {
    pub(super) hub: Arc<Hub>,
    pub(super) pages: watch::Receiver<Arc<Page>>,
    /// Holds one message at most; the next is made when it has been taken.
    pub(super) sender: mpsc::Sender<Bytes>,
    pub(super) key: ViewKey,
    /// Tells this server's messages from those of an earlier one.
    pub(super) run: u64,
}

impl Follower {
    /// Sends until the client is gone. `last` is the id of the last message that it has.
    pub(super) async fn run(mut self, last: Option<String>) {
        let mut sent: Option<Arc<Page>> = None;
        let mut second = None;
        let mut next_tick = Instant::now();
        loop {
            let Ok(slot) = self.sender.reserve().await else {
                return;
            };
            let page = Arc::clone(&self.pages.borrow_and_update());
            let knows = sent.is_none() && last == Some(format!("{}.{}", self.run, page.number));
            let mut message = String::new();
            if !knows {
                self.add_page(&mut message, sent.as_deref(), &page);
            }
            sent = Some(page);
            if Instant::now() >= next_tick {
                next_tick = Instant::now() + TICK;
                second = self.add_time(&mut message, second);
            }
            if message.is_empty() {
                drop(slot);
            } else {
                slot.send(message.into());
                sleep(LEAST_PAUSE).await;
            }
            let until_tick = next_tick.saturating_duration_since(Instant::now());
            // An end of the wait is as good a reason to go on as a new page.
            if let Ok(Err(_)) = timeout(until_tick, self.pages.changed()).await {
                return;
            }
        }
    }

    fn add_page(&self, message: &mut String, old: Option<&Page>, new: &Page) {
        let from = old.map(|old| old.number);
        let mut known = new.messages.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, text)) = known.iter().find(|(number, _)| *number == from) {
            message.push_str(text);
            return;
        }
        let text: Arc<str> = self.page_message(old, new).into();
        message.push_str(&text);
        if known.len() < MAX_KNOWN {
            known.push((from, text));
        }
    }

    /// An event that leads from one page to another; nothing where that is the same.
    fn page_message(&self, old: Option<&Page>, new: &Page) -> String {
        let exit = |id| {
            let FragmentId::Process(pid) = id else {
                return None;
            };
            let pid = host_pid(&old?.host, self.key, pid)?;
            self.hub.exit(pid).and_then(exit_words)
        };
        let delta = Delta::between(old, new, exit);
        if delta.is_empty() {
            return String::new();
        }
        // JSON has no line break of its own, so this is one line. Strings always serialize.
        let json = serde_json::to_string(&delta).unwrap_or_default();
        let id = format!("{}.{}", self.run, new.number);
        format!("id: {id}\nevent: page\ndata: {json}\n\n")
    }

    /// Adds the seconds since the last time, which was not over then; says which one is not now.
    fn add_time(&self, message: &mut String, since: Option<Second>) -> Option<Second> {
        let time = self.hub.time(self.key, since);
        message.push_str(&format!("event: time\ndata: {time}\n\n"));
        let number = |name| time.get(name).and_then(serde_json::Value::as_u64);
        Some(Second {
            stretch: number("stretch")?,
            // Events come a moment late.
            number: (number("now")? / 1000).saturating_sub(3),
        })
    }
}
