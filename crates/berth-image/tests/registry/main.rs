//! Registries: a hostile one in this process, and the real one (docker-registry) beside skopeo.
//! All traffic is on loopback; every server is this process's own thread or child and ends with
//! its test.

mod auth;
mod certificates;
mod hostile;
mod image;

mod reach;
mod real;
mod real_tls;
mod refusals;
mod resume;
mod store;
mod uploads;
