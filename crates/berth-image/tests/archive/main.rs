//! Archives of images: read, refused, written, and exchanged with umoci and skopeo.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod content;
mod early;
mod folder;
mod hostile;
mod import;
mod load;
mod make;
mod peers;
mod save;
