//! Layers through the public interface, against the real file system.

mod apply;
mod copy;
mod hostile;
mod merged;
mod pack;
mod peers;
mod random;
mod settle;
mod sparse;
mod tars;
mod world;
