//! Lists the namespaces of this host, and what keeps each alive besides its processes.
//!
//! `cargo run -p berth-map --example namespaces [KIND]`

use berth_map::discover::Sources;
use berth_map::model::World;
use berth_map::ns_table::{NsFilter, rows};
use berth_map::who::beyond_processes;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let wanted = std::env::args().nth(1);
    let world = World::discover(&Sources::host("/run/berth")?)?;
    for row in rows(&world, &NsFilter::default()) {
        let id = row.namespace.id;
        if wanted.as_ref().is_some_and(|kind| kind != id.kind.as_str()) {
            continue;
        }
        println!("{id}: {} processes", row.namespace.processes);
        for keeper in beyond_processes(&world, id) {
            let pid = keeper.pid.map(|pid| format!(" of process {pid}"));
            let (how, detail) = (keeper.how.as_str(), keeper.how.detail());
            println!("  {how}{} {detail}", pid.unwrap_or_default());
        }
    }
    for warning in world.warnings() {
        eprintln!("warning: {warning}");
    }
    Ok(())
}
