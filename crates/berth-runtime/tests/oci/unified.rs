//! `linux.resources.unified`, on the v2 hierarchy that this machine has.

use berth_testkit::{covers, hierarchies, skip};
use serde_json::json;

use crate::{refused, runtime};

#[test]
fn files_of_the_v2_hierarchy_are_written_and_controllers_enabled() {
    covers!(
        "config-linux/unified-controllers-enabled",
        "config-linux/unified-unknown-written"
    );
    let Some(v2) = hierarchies().into_iter().find(|h| h.is_v2()) else {
        return skip("there is no v2 hierarchy");
    };
    let runtime = runtime();
    let mut wanted = vec![("cgroup.max.descendants", "17")];
    if v2.has("hugetlb") {
        wanted.push(("hugetlb.2MB.max", "4194304"));
    }
    if v2.has("pids") {
        wanted.push(("pids.max", "99"));
    }
    let mut bundle = runtime.bundle();
    for (file, value) in &wanted {
        bundle.config["linux"]["resources"]["unified"][file] = json!(value);
    }
    let path = bundle.config["linux"]["cgroupsPath"]
        .as_str()
        .unwrap()
        .to_owned();
    let container = runtime.created("one", &bundle);
    let folder = v2.mount_point.join(path.trim_start_matches('/'));
    for (file, value) in wanted {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        assert_eq!(text.trim(), value, "{file}");
    }
    container.end();
    runtime.assert_nothing_left();
}

#[test]
fn a_controller_that_is_not_there_is_refused() {
    covers!("config-linux/unified-controller-missing");
    let unified = |key: &str| {
        refused("linux.resources", |b| {
            b.set("/linux/resources/unified", json!({key: "1"}))
        })
    };
    unified("nonesuch.max");
    unified("../escape");
    unified("hugetlb/../../x");
    if hierarchies().iter().any(|h| h.is_v2() && !h.has("memory")) {
        unified("memory.high");
    }
}
