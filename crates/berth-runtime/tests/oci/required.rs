//! Fields that must be there: without each, a bundle is refused with the field's path.

use berth_testkit::covers;
use serde_json::json;

use crate::refused;

#[test]
fn what_the_process_needs_is_asked_for() {
    covers!(
        "config/cwd-required",
        "config/args-required",
        "config/user-uid-required",
        "config/user-gid-required",
    );
    refused("process.cwd", |b| b.without("/process/cwd"));
    refused("process.cwd", |b| b.set("/process/cwd", ""));
    refused("process.args", |b| b.without("/process/args"));
    refused("process.args", |b| b.set("/process/args", json!([])));
    refused("process.args", |b| b.set("/process/args", json!([""])));
    refused("process.user", |b| b.without("/process/user/uid"));
    refused("process.user", |b| b.without("/process/user/gid"));
}

#[test]
fn what_a_limit_needs_is_asked_for() {
    covers!(
        "config/rlimit-type-required",
        "config/rlimit-soft",
        "config/rlimit-hard"
    );
    for limit in [
        json!({"soft": 0, "hard": 0}),
        json!({"type": "RLIMIT_CORE", "hard": 0}),
        json!({"type": "RLIMIT_CORE", "soft": 0}),
    ] {
        refused("process.rlimits", |b| b.push("/process/rlimits", limit));
    }
}

#[test]
fn what_a_console_size_needs_is_asked_for() {
    covers!("config/console-size-required");
    for size in [json!({"height": 25}), json!({"width": 80})] {
        refused("process.consoleSize", |b| {
            b.set("/process/consoleSize", size)
        });
    }
}
