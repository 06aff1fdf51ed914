//! The live map as a web page: `berth map --serve`.
//!
//! | File | Room |
//! |---|---|
//! | `address` | where to listen, and whether that is beyond this machine |
//! | `token` | the secret in the URL |
//! | `guard` | who is answered: method, Host, token; the headers of every answer |
//! | `server` | connections and their limits; `wire` and `clock` below hyper |
//! | `routes` | the paths of the page |
//! | `hub` | what all clients look at: the newest frame, drawn once for each view |
//! | `page` | a world as fragments of HTML, each with a place; `fragments` many of them; `delta` what changed between two |
//! | `view` | a frame, and what happened since, as a page |
//! | `follow` | what one client gets |
//! | `meta`, `search`, `detail`, `lives` | what is said beside the picture |
//! | `play` | the controls of a recording |
//! | `html` | words as HTML |
//!
//! The feed's thread reads the host, a thread of the hub draws, the server's thread sends. What a
//! client has not taken yet is no queue: its next message is made, when it has room, from what it
//! has and what is now. So a slow client costs nobody anything, and one that never reads is dropped.
//!
//! Everything about a host is read only. Text that is not ours passes [`html`] or serde_json, nothing else.

mod address;
mod body;
mod clock;
mod delta;
mod detail;
mod follow;
mod fragments;
mod guard;
mod html;
mod hub;
mod lives;
mod meta;
mod page;
mod play;
mod routes;
mod search;
mod server;
mod token;
mod view;
mod wire;

pub(crate) use address::Address;
pub(crate) use hub::{Hub, Privacy};
pub(crate) use server::{Listening, ServeError};
