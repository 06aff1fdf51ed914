//! `--format`, `--filter`, and listings of a store of which a part is damaged; `system doctor`,
//! `config` and `info`.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "../cli/support.rs"]
#[allow(dead_code)]
mod cli;
mod configuration;
mod damaged;
mod doctor;
mod fields;
mod limits;
