//! Mounts with mapped ids.

use berth_testkit::{Bundle, covers};
use serde_json::{Value, json};

use crate::{output_of, refused};

/// Binds a folder of the bundle with a file of user 0 and one of user 1000, and of a mount below.
fn with_folder(bundle: Bundle, options: &[&str], mappings: Option<(Value, Value)>) -> Bundle {
    let folder = bundle.join("folder");
    std::fs::create_dir(&folder).unwrap();
    for id in [0, 1000] {
        let file = folder.join(format!("of{id}"));
        std::fs::write(&file, "").unwrap();
        std::os::unix::fs::chown(&file, Some(id), Some(id)).unwrap();
    }
    let mut mount = json!({"type": "none", "source": folder.to_str().unwrap(),
        "destination": "/mnt", "options": options});
    if let Some((uids, gids)) = mappings {
        mount["uidMappings"] = uids;
        mount["gidMappings"] = gids;
    }
    bundle
        .push("/mounts", mount)
        .sh("stat -c %u:%g /mnt/of0 /mnt/of1000")
}

fn mapping(container: u32, host: u32, size: u32) -> Value {
    json!([{"containerID": container, "hostID": host, "size": size}])
}

#[test]
fn mappings_of_the_mount_are_applied() {
    covers!(
        "config/mount-idmap",
        "config/mount-idmap-own-mappings",
        "config/mount-ridmap",
        "config/mount-ridmap-own-mappings",
        "features-linux/idmap"
    );
    // An id on the disk is the mapping's "container" id, and shows as its "host" id.
    for options in [["bind", "idmap"], ["rbind", "ridmap"], ["rbind", "idmap"]] {
        let shown = output_of(|b| {
            let ids = mapping(0, 5000, 2000);
            with_folder(b, &options, Some((ids.clone(), ids)))
        });
        assert_eq!(shown, "5000:5000\n6000:6000\n", "{options:?}");
    }
}

#[test]
fn without_mappings_of_its_own_the_containers_are_taken() {
    covers!("config/mount-idmap", "config/mount-ridmap");
    for options in [["bind", "idmap"], ["rbind", "ridmap"]] {
        let shown = output_of(|b| with_folder(b.user_namespace(100_000), &options, None));
        // On the disk and in the container the same.
        assert_eq!(shown, "0:0\n1000:1000\n");
    }
}

#[test]
fn the_mounts_own_mappings_win_over_the_containers() {
    covers!(
        "config/mount-idmap-own-mappings",
        "config/mount-ridmap-own-mappings"
    );
    for options in [["bind", "idmap"], ["rbind", "ridmap"]] {
        let shown = output_of(|b| {
            let ids = mapping(0, 100_500, 2000);
            with_folder(
                b.user_namespace(100_000),
                &options,
                Some((ids.clone(), ids)),
            )
        });
        assert_eq!(shown, "500:500\n1500:1500\n");
    }
}

#[test]
fn without_any_mapping_it_is_refused() {
    covers!(
        "config/mount-idmap-without-mappings",
        "config/mount-ridmap-without-mappings"
    );
    for options in [["bind", "idmap"], ["rbind", "ridmap"]] {
        refused("mounts[6]", |b| with_folder(b, &options, None));
    }
}

#[test]
fn one_list_without_the_other_is_refused() {
    covers!("config/mount-mappings-together");
    for missing in ["uidMappings", "gidMappings"] {
        refused("mounts[6]", |b| {
            let ids = mapping(0, 5000, 2000);
            with_folder(b, &["bind", "idmap"], Some((ids.clone(), ids)))
                .without(&format!("/mounts/6/{missing}"))
        });
    }
}
