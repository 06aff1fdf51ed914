//! Every suite in every profile.

use super::{Row, Share, Suite};

/// The scripts that run as root, wherever that is.
const ROOT_SCRIPTS: [&str; 5] = ["boot_", "start_", "lifecycle_", "limit_", "net_"];

/// The OCI command line against the real kernel.
const OCI: Suite = Suite::Programs("berth-runtime", "oci");

pub(super) const ROWS: &[Row] = &[
    Row {
        profile: "plain",
        suite: Suite::Scripts,
        names: &ROOT_SCRIPTS,
        share: Share::All,
        limit_s: 180,
    },
    Row {
        profile: "plain",
        // The packet filter of an older kernel, links of an interface, SCTP.
        suite: Suite::Programs("berth", "network"),
        names: &["flush::", "lan::", "ports::", "sctp::"],
        share: Share::Only(&["flush::rules_", "lan::", "sctp::"]),
        limit_s: 300,
    },
    Row {
        profile: "plain",
        suite: Suite::Programs("berth-net", "nft"),
        names: &["changes::", "packets::", "watch::"],
        share: Share::Only(&["watch::what_"]),
        limit_s: 300,
    },
    Row {
        profile: "plain",
        suite: Suite::Units("berth-runtime"),
        // The kernel's side of the cgroup room; the left out need files of the source tree.
        names: &[
            "cgroup::kernel_tests::",
            "cgroup::devices::tests::the_",
            "cgroup::limits::tests::",
            "cgroup::oom::",
            "cgroup::owner::",
            "cgroup::stats::tests::statistics_",
            "cgroup::usage::",
            "!::medians",
            "!::refusals_name_",
        ],
        share: Share::All,
        limit_s: 90,
    },
    Row {
        profile: "plain",
        suite: OCI,
        names: &["!systemd::"],
        share: Share::Only(&["cgroups::", "devices::", "unified::"]),
        limit_s: 480,
    },
    Row {
        profile: "plain",
        // Overlays of an older kernel, and on a disk with project quotas.
        suite: Suite::Programs("berth-engine", "lifecycle"),
        names: &["layers::", "rootless::layers"],
        share: Share::Only(&["layers::one_to", "layers::ids_on", "rootless::layers"]),
        limit_s: 240,
    },
    Row {
        profile: "plain",
        suite: Suite::Units("berth-sys"),
        names: &["quota::"],
        share: Share::All,
        limit_s: 60,
    },
    Row {
        profile: "plain",
        // Layers and the store; the left out need files of the source tree.
        suite: Suite::Units("berth-image"),
        names: &["layer::", "store::"],
        share: Share::Only(&["store::"]),
        limit_s: 180,
    },
    Row {
        profile: "plain",
        // A user with sub-ids, boots, and limits that hold; without what packs a lot.
        suite: Suite::Programs("berth", "rootless_images"),
        names: &["_", "!goes_round"],
        share: Share::Only(&["files_of_many", "no_more_than"]),
        limit_s: 240,
    },
    Row {
        profile: "plain",
        // pasta and slirp4netns on an older kernel, for a user on a host with a link and routes.
        suite: Suite::Programs("berth", "rootless_network"),
        names: &["_"],
        share: Share::Only(&["pasta_connects", "slirp4netns_connects"]),
        limit_s: 300,
    },
    Row {
        profile: "plain",
        // cgroup v2 with all controllers.
        suite: Suite::Programs("berth", "limits"),
        // Without what kills at every point.
        names: &["_", "!an_update_happens"],
        share: Share::Only(&["limits_are_in", "a_running_one_has", "below_what_is"]),
        limit_s: 360,
    },
    Row {
        profile: "plain",
        // Without listmount of other mount namespaces and the ioctls of newer kernels.
        suite: Suite::Programs("berth-map", "holders"),
        names: &["_"],
        share: Share::Only(&["sockets_alone", "descriptor_", "bind_mount"]),
        limit_s: 120,
    },
    Row {
        profile: "plain",
        suite: Suite::Programs("berth-map", "networks"),
        names: &["_"],
        share: Share::Only(&["veth_ends", "listeners_", "without_privilege"]),
        limit_s: 120,
    },
    Row {
        profile: "rootless",
        suite: OCI,
        // The others know their user by number, or share a container's name while side by side.
        names: &["rootless::the_whole", "rootless::a_bundle"],
        share: Share::All,
        limit_s: 60,
    },
    Row {
        profile: "rootless",
        suite: Suite::Scripts,
        names: &["test_rootless_"],
        share: Share::All,
        limit_s: 240,
    },
    Row {
        profile: "undelegated",
        suite: Suite::Scripts,
        names: &["test_undelegated_"],
        share: Share::All,
        limit_s: 60,
    },
    Row {
        profile: "systemd",
        suite: Suite::Scripts,
        names: &["test_systemd_", "boot_", "start_", "lifecycle_", "limit_"],
        share: Share::Only(&["test_systemd_", "start_prints", "limit_pids"]),
        limit_s: 120,
    },
    Row {
        profile: "systemd",
        suite: OCI,
        names: &["systemd::"],
        share: Share::All,
        limit_s: 120,
    },
    Row {
        profile: "systemd",
        // The map by BPF on an older kernel, with its own truth for comparison.
        suite: Suite::Programs("berth-map", "bpf"),
        names: &["_"],
        share: Share::All,
        limit_s: 180,
    },
    Row {
        profile: "systemd",
        suite: Suite::Programs("berth-map", "bpf_reach"),
        names: &["_"],
        share: Share::All,
        limit_s: 90,
    },
    Row {
        profile: "systemd",
        suite: Suite::Units("berth-map"),
        names: &[
            "discover::bpf::tasks::",
            "discover::bpf::file_walk::",
            "discover::events::",
            "!::plays_a_part",
            "!::there_is_no_connector",
            "!::what_reading_costs",
        ],
        share: Share::Only(&["tasks::", "lives::a_process_", "places::", "_agree"]),
        limit_s: 240,
    },
    Row {
        profile: "systemd",
        // What views are fed with, by BPF and without.
        suite: Suite::Programs("berth-map", "live_feed"),
        names: &["_"],
        share: Share::Only(&["a_short_life_"]),
        limit_s: 120,
    },
    Row {
        profile: "systemd",
        suite: Suite::Programs("berth-map", "live_record"),
        names: &["_"],
        share: Share::Only(&["a_recording_shows_"]),
        limit_s: 90,
    },
    Row {
        profile: "systemd",
        // The terminal UI, with the kernel's own pseudo terminals.
        suite: Suite::Programs("berth", "watch"),
        names: &["_"],
        share: Share::Only(&["leaving::keys_", "looking::tab_"]),
        limit_s: 300,
    },
    Row {
        profile: "systemd",
        // The page without a browser.
        suite: Suite::Programs("berth", "page"),
        names: &["clients::", "flags::", "guard::", "stream::"],
        share: Share::Only(&["guard::nothing_", "stream::only_"]),
        limit_s: 240,
    },
    Row {
        profile: "systemd_rootless",
        suite: OCI,
        names: &["systemd::"],
        share: Share::All,
        limit_s: 120,
    },
    Row {
        profile: "systemd_rootless",
        suite: Suite::Scripts,
        names: &["test_rootless_", "test_manager_"],
        share: Share::Only(&[
            "test_manager_",
            "rootless_may",
            "rootless_lives",
            "verbs_limits",
            "verbs_oom",
        ]),
        limit_s: 120,
    },
];
