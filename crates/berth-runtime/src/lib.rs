//! x

pub mod cgroup;
