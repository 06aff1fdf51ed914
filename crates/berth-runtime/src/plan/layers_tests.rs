//! Plans of roots that are made of layers.

use super::super::Setup;
use super::super::tests::{facts, render, setup, spec, with_user_namespace};
use super::*;
use crate::facts::{HostFacts, LayerFacts};

fn layers(count: usize) -> RootSource {
    let lower = |n| format!("/b/layers/{n}/fs").into();
    RootSource::Layers {
        lowers: (0..count).map(lower).collect(),
        upper: "/b/containers/c/layer/upper".into(),
        work: "/b/containers/c/layer/work".into(),
        volatile: false,
    }
}

fn on(kernel: (u32, u32)) -> HostFacts {
    HostFacts { kernel, ..facts() }
}

fn whole_plan(root: RootSource, facts: &HostFacts, user_namespace: bool) -> String {
    let setup = Setup { root, ..setup() };
    let spec = if user_namespace {
        with_user_namespace(spec())
    } else {
        spec()
    };
    render(spec, &setup, facts)
}

/// The steps that make the root.
fn planned(root: RootSource, facts: &HostFacts, user_namespace: bool) -> String {
    let text = whole_plan(root, facts, user_namespace);
    let words = [
        " /b",
        "overlay",
        "map the ids of",
        "open the folder",
        "the root",
        "the old root",
    ];
    let about_roots = |line: &&str| words.iter().any(|word| line.contains(word));
    let lines: Vec<&str> = text.lines().filter(about_roots).collect();
    lines.join("\n")
}

#[test]
fn one_layer_takes_a_descriptor_and_an_overlay() {
    insta::assert_snapshot!(planned(layers(1), &on((6, 18)), false), @r#"
    stage  make the cgroup /berth/box
    init   attach a mount over the old root
    init   open /b
    init   make the overlay of one layer under containers/c/layer/upper with index=off,metacopy=off,redirect_dir=nofollow,xino=off,uuid=null
    init   attach a mount over the old root
    init   open the root
    init   pivot into the root
    "#);
}

#[test]
fn many_layers_take_no_more() {
    insta::assert_snapshot!(planned(layers(127), &on((6, 8)), false), @r#"
    stage  make the cgroup /berth/box
    init   attach a mount over the old root
    init   open /b
    init   make the overlay of 127 layers under containers/c/layer/upper with index=off,metacopy=off,redirect_dir=nofollow,xino=off,uuid=null
    init   attach a mount over the old root
    init   open the root
    init   pivot into the root
    "#);
}

#[test]
fn an_older_kernel_is_given_open_folders() {
    insta::assert_snapshot!(planned(layers(3), &on((6, 1)), false), @r#"
    stage  make the cgroup /berth/box
    init   attach a mount over the old root
    init   open /b
    init   open the folder layers/0/fs
    init   open the folder layers/1/fs
    init   open the folder layers/2/fs
    init   make the overlay of 3 layers under containers/c/layer/upper by mount(2) with index=off,metacopy=off,redirect_dir=nofollow,xino=off
    init   attach a mount over the old root
    init   open the root
    init   pivot into the root
    "#);
    insta::assert_snapshot!(planned(layers(1), &on((6, 1)), false), @r#"
    stage  make the cgroup /berth/box
    init   attach a mount over the old root
    init   open /b
    init   make the overlay of one layer under containers/c/layer/upper with index=off,metacopy=off,redirect_dir=nofollow,xino=off
    init   attach a mount over the old root
    init   open the root
    init   pivot into the root
    "#);
}

#[test]
fn a_user_namespace_takes_one_mapped_mount() {
    insta::assert_snapshot!(planned(layers(30), &on((6, 18)), true), @r#"
    stage  make the cgroup /berth/box
    stage  attach a mount over the old root
    stage  clone the mount at /b
    stage  map the ids of the mount at /b
    stage  attach a mount over the old root
    stage  make the overlay of 30 layers under containers/c/layer/upper with index=off,metacopy=off,redirect_dir=nofollow,xino=off,uuid=null, as uid 700000, gid 700000
    stage  attach a mount over the old root
    stage  open the root
    init   attach a mount over the old root
    init   receive the root from the stage
    init   open the root
    init   pivot into the root
    "#);
}

#[test]
fn a_mapped_mount_for_each_mount_that_layers_lie_on() {
    let facts = HostFacts {
        layers: LayerFacts {
            mount_points: vec!["/b/layers".into(), "/b/layers/2/fs".into()],
            ..LayerFacts::default()
        },
        ..on((6, 18))
    };
    insta::assert_snapshot!(planned(layers(4), &facts, true), @r#"
    stage  make the cgroup /berth/box
    stage  attach a mount over the old root
    stage  clone the mount at /b/containers/c/layer
    stage  map the ids of the mount at /b/containers/c/layer
    stage  attach a mount over the old root
    stage  clone the mount at /b/layers
    stage  map the ids of the mount at /b/layers
    stage  attach a mount over the old root
    stage  clone the mount at /b/layers/2/fs
    stage  map the ids of the mount at /b/layers/2/fs
    stage  attach a mount over the old root
    stage  make the overlay of 4 layers under upper with index=off,metacopy=off,redirect_dir=nofollow,xino=off,uuid=null, as uid 700000, gid 700000
    stage  attach a mount over the old root
    stage  open the root
    init   attach a mount over the old root
    init   receive the root from the stage
    init   open the root
    init   pivot into the root
    "#);
}

#[test]
fn without_privilege_init_makes_the_overlay() {
    let facts = HostFacts {
        privileged: false,
        overlay_in_memory: false,
        secrets: Vec::new(),
        ..on((6, 18))
    };
    insta::assert_snapshot!(planned(layers(2), &facts, true), @r#"
    stage  make the cgroup /berth/box
    init   attach a mount over the old root
    init   open /b
    init   make the overlay of 2 layers under containers/c/layer/upper with index=off,metacopy=off,redirect_dir=nofollow,xino=off,uuid=null,userxattr
    init   attach a mount over the old root
    init   open the root
    init   pivot into the root
    "#);
}

#[test]
fn paths_that_are_no_options_are_opened() {
    let mut root = layers(3);
    if let RootSource::Layers {
        lowers, volatile, ..
    } = &mut root
    {
        lowers[0] = "/b/layers/a:b/fs".into();
        lowers[1] = format!("/b/layers/{}", "x".repeat(231)).into();
        *volatile = true;
    }
    let text = planned(root, &on((6, 18)), false).replace(&"x".repeat(231), "x...");
    insta::assert_snapshot!(text, @r#"
    stage  make the cgroup /berth/box
    init   attach a mount over the old root
    init   open /b
    init   open the folder layers/a:b/fs
    init   open the folder layers/x...
    init   make the overlay of 3 layers under containers/c/layer/upper with index=off,metacopy=off,redirect_dir=nofollow,xino=off,uuid=null,volatile
    init   attach a mount over the old root
    init   open the root
    init   pivot into the root
    "#);
}

#[test]
fn what_cannot_work_is_refused_by_name() {
    let missing = |path: &str| HostFacts {
        layers: LayerFacts {
            missing: vec![path.into()],
            ..LayerFacts::default()
        },
        ..on((6, 18))
    };
    let volatile = HostFacts {
        layers: LayerFacts {
            is_volatile: true,
            ..LayerFacts::default()
        },
        ..on((6, 18))
    };
    let refusals = [
        (
            whole_plan(layers(0), &on((6, 18)), false),
            "the image has no layers",
        ),
        (
            whole_plan(layers(501), &on((6, 18)), false),
            "overlayfs takes 500",
        ),
        (
            whole_plan(layers(2), &missing("/b/layers/1/fs"), false),
            "the layer /b/layers/1/fs of the image is missing",
        ),
        (
            whole_plan(layers(2), &missing("/b/containers/c/layer/work"), false),
            "the container's own layer /b/containers/c/layer/work is missing",
        ),
        (whole_plan(layers(1), &volatile, false), "may be damaged"),
        (
            whole_plan(layers(1), &on((5, 14)), true),
            "needs Linux 5.19, this is 5.14",
        ),
    ];
    for (refused, words) in refusals {
        assert!(
            refused.contains(words),
            "{refused:?} does not say {words:?}"
        );
    }
}
