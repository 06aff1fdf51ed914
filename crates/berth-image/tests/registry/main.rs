//! Registries: a hostile one in this process, and the real one (docker-registry) beside skopeo.
//! All traffic is on loopback; every server is this process's own thread or child and ends with
//! its test.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and its numbers are small"
)]

mod auth;
mod certificates;
mod downloads;
mod hostile;
mod image;
mod listing;
mod names;
mod proxies;
mod proxies_refuse;
mod reach;
mod real;
mod real_tls;
mod refusals;
mod resume;
mod store;
mod uploads;
