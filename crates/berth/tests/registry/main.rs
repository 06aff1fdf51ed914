//! `berth pull`, `push`, `login` and `logout` with the distribution's docker-registry on loopback,
//! a child of each test.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod logins;
mod support;
mod transfers;
