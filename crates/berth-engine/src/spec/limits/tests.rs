//! What limits come to, and that no options come to a spec that the runtime refuses.

use proptest::prelude::*;

use super::*;

fn facts() -> LimitFacts {
    LimitFacts {
        cpus: 4,
        cpu_list: "0-3".into(),
        node_list: "0".into(),
        hints: HintSupport::default(),
        block_devices: vec![("/dev/sda".into(), (8, 0))],
    }
}

fn part(resources: Resources) -> Result<LinuxResources, SpecError> {
    let options = CreateOptions {
        resources,
        ..CreateOptions::default()
    };
    changeable_resources(&options, &facts(), &mut Vec::new())
}

#[test]
fn swap_is_what_was_asked_or_none() {
    let swap = |memory, swap| {
        let part = part(Resources {
            memory_bytes: memory,
            memory_swap_bytes: swap,
            ..Resources::default()
        });
        part.map(|part| part.memory().and_then(|memory| memory.swap()))
    };
    let size = 64 << 20;
    assert_eq!(swap(Some(size), None).unwrap(), Some(64 << 20));
    assert_eq!(swap(Some(size), Some(-1)).unwrap(), Some(-1));
    assert_eq!(swap(Some(size), Some(128 << 20)).unwrap(), Some(128 << 20));
    assert_eq!(swap(None, Some(-1)).unwrap(), Some(-1));
    assert_eq!(swap(None, None).unwrap(), None);
    assert!(swap(Some(size), Some(1)).is_err() && swap(None, Some(1)).is_err());
}

#[test]
fn what_a_host_lacks_is_left_out_aloud() {
    let mut options = CreateOptions::default();
    options.resources.blkio_weight = Some(100);
    options.limits.memory_swappiness = Some(5);
    options.limits.oom_kill_disable = true;
    options.limits.kernel_memory_bytes = Some(1);
    let mut warnings = Vec::new();
    let part = changeable_resources(&options, &facts(), &mut warnings).unwrap();
    assert_eq!(part, LinuxResources::default());
    assert_eq!(warnings.len(), 4, "{warnings:?}");
    assert!(
        warnings.iter().all(|line| line.contains("ignored")),
        "{warnings:?}"
    );
    let able = LimitFacts {
        hints: HintSupport {
            swappiness: true,
            oom_kill_disable: true,
            block_weight: true,
        },
        ..facts()
    };
    warnings.clear();
    let part = changeable_resources(&options, &able, &mut warnings).unwrap();
    let memory = part.memory().unwrap();
    assert_eq!(
        (memory.swappiness(), memory.disable_oom_killer()),
        (Some(5), Some(true))
    );
    assert_eq!(
        part.block_io().as_ref().and_then(LinuxBlockIo::weight),
        Some(100)
    );
    // Without a limit of memory that is dangerous.
    assert_eq!(warnings.len(), 2, "{warnings:?}");
}

#[test]
fn few_shares_are_as_many_as_the_kernel_takes() {
    let shares = |shares| {
        let part = part(Resources {
            cpu_shares: Some(shares),
            ..Resources::default()
        });
        part.map(|part| part.cpu().as_ref().and_then(LinuxCpu::shares))
    };
    assert_eq!(shares(1).unwrap(), Some(2));
    assert_eq!(shares(300).unwrap(), Some(300));
    assert!(shares(1 << 40).is_err());
}

proptest! {
    #[test]
    fn the_runtime_takes_what_comes_out(
        memory in proptest::option::of(any::<u64>()),
        swap in proptest::option::of(any::<i64>()),
        nanos in proptest::option::of(0u64..9_000_000_000),
        quota in proptest::option::of(any::<i64>()),
        period in proptest::option::of(any::<u64>()),
        pids in proptest::option::of(any::<i64>()),
        cpus in proptest::option::of("[0-9,\\-]{0,6}"),
        weight in proptest::option::of(any::<u16>()),
    ) {
        let resources = Resources {
            memory_bytes: memory,
            memory_swap_bytes: swap,
            nano_cpus: nanos,
            cpu_quota_us: quota,
            cpu_period_us: period,
            pids_limit: pids,
            cpuset_cpus: cpus,
            blkio_weight: weight,
            ..Resources::default()
        };
        if let Ok(part) = part(resources) {
            prop_assert!(check_resources(&part).is_ok());
        }
    }
}
