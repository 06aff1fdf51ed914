//! `berth pull`, `push`, `login`, `logout` and what `import` downloads, with the distribution's
//! docker-registry on loopback, a child of each test.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod all_tags;
mod downloads;
mod logins;
mod proxies;
mod support;
mod transfers;
