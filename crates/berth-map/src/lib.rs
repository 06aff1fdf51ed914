//! The namespace and PID map.

pub mod attribute;
pub mod discover;
pub mod draw;
pub mod json;
pub mod lookup;
pub mod model;
pub mod top;
pub mod translate;
mod zombie;

pub use zombie::Culprit;
