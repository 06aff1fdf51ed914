//! Draws this host: its processes, PID namespaces and containers.
//!
//! `cargo run -p berth-map --example map [STATE_DIR]`

use berth_map::discover::Sources;
use berth_map::draw::{self, MapOptions};
use berth_map::model::World;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let state_dir = std::env::args().nth(1).unwrap_or("/run/berth".to_owned());
    let world = World::discover(&Sources::host(state_dir)?)?;
    print!("{}", draw::map(&world, &MapOptions::default()));
    for warning in world.warnings() {
        eprintln!("warning: {warning}");
    }
    Ok(())
}
