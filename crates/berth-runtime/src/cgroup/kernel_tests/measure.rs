//! What each step costs.

use super::*;

/// Docker's default resources, with a memory and a process limit.
const DEFAULTS: &str = r#"{
    "devices": [
        {"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "access": "m"},
        {"allow": true, "type": "b", "access": "m"},
        {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"},
        {"allow": true, "type": "c", "major": 1, "minor": 5, "access": "rwm"},
        {"allow": true, "type": "c", "major": 1, "minor": 7, "access": "rwm"},
        {"allow": true, "type": "c", "major": 1, "minor": 8, "access": "rwm"},
        {"allow": true, "type": "c", "major": 1, "minor": 9, "access": "rwm"},
        {"allow": true, "type": "c", "major": 5, "minor": 0, "access": "rwm"},
        {"allow": true, "type": "c", "major": 5, "minor": 1, "access": "rwm"},
        {"allow": true, "type": "c", "major": 5, "minor": 2, "access": "rwm"},
        {"allow": true, "type": "c", "major": 136, "access": "rwm"}
    ],
    "memory": {"limit": 67108864, "swap": 134217728},
    "cpu": {"shares": 1024},
    "pids": {"limit": 1000}
}"#;

/// Prints what each step costs: `cargo test --release -p berth-runtime medians -- --ignored
/// --nocapture`.
#[test]
#[ignore = "measures instead of testing"]
fn medians() {
    let Some(place) = Place::new("bench") else {
        return;
    };
    let resources: oci_spec::runtime::LinuxResources = serde_json::from_str(DEFAULTS).unwrap();
    let names = [
        "discover",
        "create",
        "apply",
        "descriptors",
        "drop",
        "remove",
        "BPF filter",
    ];
    let mut samples = vec![Vec::new(); names.len()];
    for round in 0..300 {
        let began = Instant::now();
        let mut laps = Vec::with_capacity(names.len());
        let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap();
        let hierarchies = Hierarchies::discover(&mountinfo, &own);
        laps.push(began.elapsed());
        let path = place.path(&format!("{round}"));
        let cgroup = Cgroup::create(&hierarchies, &path, Access::Required).unwrap();
        laps.push(began.elapsed());
        cgroup.apply(&resources).unwrap();
        laps.push(began.elapsed());
        let join = cgroup.join_descriptors().unwrap();
        laps.push(began.elapsed());
        let paths = cgroup.paths();
        drop((join, cgroup));
        laps.push(began.elapsed());
        Cgroup::from_paths(&paths).remove().unwrap();
        laps.push(began.elapsed());
        laps.push(began.elapsed() + time_filter(&place, &resources));
        let mut before = Duration::ZERO;
        for (sample, lap) in samples.iter_mut().zip(laps) {
            sample.push(lap - before);
            before = lap;
        }
    }
    for (name, sample) in names.iter().zip(&mut samples) {
        sample.sort_unstable();
        println!("{name:12} {:4} us", sample[sample.len() / 2].as_micros());
    }
}

/// What the device filter of v2 takes, on a hybrid host too.
fn time_filter(place: &Place, resources: &oci_spec::runtime::LinuxResources) -> Duration {
    let mut hierarchies = place.hierarchies.clone();
    hierarchies.v1.clear();
    if hierarchies.v2.is_none() {
        return Duration::ZERO;
    }
    let path = place.path("filter");
    let cgroup = Cgroup::create(&hierarchies, &path, Access::Required).unwrap();
    let began = Instant::now();
    cgroup
        .apply_devices(resources.devices().as_ref().unwrap())
        .unwrap();
    let took = began.elapsed();
    cgroup.remove().unwrap();
    took
}
