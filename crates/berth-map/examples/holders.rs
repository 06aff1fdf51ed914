//! Prints the namespaces that no process lives in, and what keeps each of them alive.

use berth_map::model::Wanted;
use berth_map::{Sources, World};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sources = Sources::host("/run/berth")?;
    let world = World::discover_with(&sources, &Wanted::everything())?;
    for namespace in world.namespaces().filter(|n| n.processes == 0) {
        println!("{}", namespace.id);
        for holder in world.holders(namespace.id) {
            println!("  {holder:?}");
        }
    }
    for warning in world.warnings() {
        eprintln!("{warning}");
    }
    Ok(())
}
