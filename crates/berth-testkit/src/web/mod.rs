//! Servers on loopback that end with their test: one that answers as it is told, a proxy, and the
//! distribution's registry.

mod proxy;
mod registry;
mod server;

pub use proxy::{Proxy, ProxyRule};
pub use registry::{Registry, free_address, password_line};
pub use server::{Conversation, Request, Response, Server};
