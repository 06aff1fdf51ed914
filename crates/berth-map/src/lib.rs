//! The namespace and PID map.

pub mod attribute;
pub mod discover;
pub mod model;
