//! Translates PIDs: `31995` or `host:31995` to container and PID inside, `web:7` to the host's,
//! and both to every level.
//!
//! `cargo run -p berth-map --example pid PID...`

use berth_map::discover::Sources;
use berth_map::lookup;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sources = Sources::host("/run/berth")?;
    for text in std::env::args().skip(1) {
        // One question costs one process and its surroundings, not the host.
        let found = lookup::find(&sources, &text.parse()?)?;
        let resolution = found.resolution()?;
        println!("{text}: {}", resolution.answer);
        for level in resolution.levels {
            let namespace = level.namespace.map_or("?".to_owned(), |id| id.to_string());
            println!("  level {}: PID {} in {namespace}", level.level, level.pid);
        }
    }
    Ok(())
}
