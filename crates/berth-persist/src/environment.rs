//! What a process that starts another with an environment of its own passes on.

/// The variables of faults that are set, as `NAME=value`, so that a fault can come about in
/// processes that inherit no environment; none in release builds.
pub fn fault_environment() -> Vec<String> {
    #[cfg(debug_assertions)]
    let names = ["BERTH_FAULT", "BERTH_FAULT_NOTE", "BERTH_FAULT_TRACE"];
    #[cfg(not(debug_assertions))]
    let names: [&str; 0] = [];
    let set = names.into_iter().filter_map(|name| {
        let value = std::env::var(name).ok()?;
        Some(format!("{name}={value}"))
    });
    set.collect()
}
