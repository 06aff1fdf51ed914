//! The embedded resolver: one process for each state folder answers the containers of all user
//! networks.
//!
//! A container has `nameserver 127.0.0.11`. Who starts it opens a UDP and a TCP socket in its
//! network namespace ([`open_sockets`]), leads port 53 to them ([`redirect`]) and sends them here
//! ([`serve`]). All of that is data for whoever is in the right place: two sockets on port
//! [`BEHIND`], the bytes of [`redirect_behind`], and [`Registration::packet`] with three descriptors,
//! which is answered by [`DONE`]. The process ([`run`]) answers what it knows from the leases' files
//! and asks the host's servers for everything else, from the host's namespace. It lets go of the
//! sockets when the container's first process ends, so that they do not hold its namespace, and
//! ends itself some seconds after the last container.
//!
//! One thread and one epoll instance, no async runtime: everything waits in one place, and what
//! hostile containers can make it hold is bounded there; docs/networks-names.md lists the bounds.
//!
//! Where it is given an [`Upkeep`] it does that besides, and stays as long as somebody needs it.
//!
//! Nothing here starts a process, and nothing that a container sends is written to a log.

mod client;
mod error;
mod message;
mod process;
mod redirect;
mod registration;
mod server;
mod socket;
mod upkeep;
mod upstream;
mod zone;

pub use client::{Resolver, ensure_running, serve};
pub use error::DnsError;
pub use process::{detach, run};
pub use redirect::{ADDRESS, BEHIND, Sockets, open_sockets, redirect, redirect_behind};
pub use registration::{Attachment, DONE, Registration};
pub use server::{Config, Server};
pub use socket::NAME as SOCKET;
pub use upkeep::{Needs, Upkeep};
