//! `berth map --serve`, from outside: by hand-written HTTP, and in a browser.
//!
//! Each test has a server and processes of its own, and ends them.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod browser;
mod changes;
mod clients;
mod devtools;
mod flags;
mod guard;
mod inside;
mod replay;
mod stream;
mod support;
