//! What the kubelet does: pods by CRI.

use std::fs;

use super::Containerd;
use super::cri::{
    Capabilities, ContainerConfig, ContainerMetadata, ContainerSecurity, ContainerStatus,
    ContainerStatusReply, CreateContainer, Cri, Empty, ExecSync, Executed, Id, ImageStatus,
    ImageStatusRequest, Int64, LinuxContainer, LinuxPod, List, MountConfig, NamespaceOptions,
    PodConfig, PodMetadata, PodStatusReply, Resources, RunPod, SandboxSecurity, SecurityProfile,
    StatsReply, StopContainer, UpdateContainer, Version,
};
use crate::image::{BUSYBOX, PAUSE};
use crate::support::eventually;

/// Modes of a namespace, as CRI counts them.
const POD: i32 = 0;
const CONTAINER: i32 = 1;
pub(super) const NODE: i32 = 2;
const TARGET: i32 = 3;

const RUNNING: i32 = 1;
const EXITED: i32 = 2;

const WAIT: &str = "trap 'exit 6' TERM; echo ready; while :; do sleep 3600 & wait $!; done";

/// A kubelet with one pod.
pub(super) struct Kubelet {
    containerd: Containerd,
    cri: Cri,
}

impl Kubelet {
    pub(super) fn start() -> Self {
        let containerd = Containerd::start("k8s.io");
        let cri = Cri::connect(&containerd.socket());
        let kubelet = Self { containerd, cri };
        // The plugin hears of an imported image by an event.
        for name in [BUSYBOX, PAUSE] {
            let image = Some(Id { id: name.into() });
            eventually("the image to be known", || {
                let request = ImageStatusRequest {
                    image: image.clone(),
                };
                let reply = kubelet
                    .cri
                    .try_call("ImageService", "ImageStatus", &request);
                reply.is_ok_and(|reply: ImageStatus| reply.image.is_some())
            });
        }
        kubelet
    }

    pub(super) fn pod_config(&self, name: &str, namespaces: NamespaceOptions) -> PodConfig {
        let own = namespaces.network == POD;
        PodConfig {
            metadata: Some(PodMetadata {
                name: name.into(),
                uid: format!("uid-{name}"),
                namespace: "default".into(),
            }),
            hostname: if own { "harbour".into() } else { String::new() },
            log_directory: self.containerd.world.text("logs"),
            linux: Some(LinuxPod {
                cgroup_parent: format!("{}/pod", self.containerd.world.cgroup_parent()),
                security: Some(SandboxSecurity {
                    namespaces: Some(namespaces),
                }),
                sysctls: if own {
                    [("net.ipv4.ip_forward".into(), "1".into())].into()
                } else {
                    Default::default()
                },
            }),
        }
    }

    pub(super) fn run_pod(&self, config: &PodConfig) -> String {
        let request = RunPod {
            config: Some(config.clone()),
        };
        let reply: Id = self.cri.call("RunPodSandbox", &request);
        reply.id
    }

    pub(super) fn run_container(
        &self,
        pod: &str,
        pod_config: &PodConfig,
        config: ContainerConfig,
    ) -> String {
        let request = CreateContainer {
            pod: pod.into(),
            config: Some(config),
            pod_config: Some(pod_config.clone()),
        };
        let created: Id = self.cri.call("CreateContainer", &request);
        let _: Empty = self.cri.call("StartContainer", &created);
        assert_eq!(self.status(&created.id).state, RUNNING);
        created.id
    }

    fn status(&self, id: &str) -> ContainerStatus {
        let request = Id { id: id.into() };
        let reply: ContainerStatusReply = self.cri.call("ContainerStatus", &request);
        reply.status.unwrap()
    }

    fn exec(&self, id: &str, script: &str) -> Executed {
        let request = ExecSync {
            id: id.into(),
            command: ["sh", "-c", script].map(str::to_owned).to_vec(),
            timeout_s: 20,
        };
        self.cri.call("ExecSync", &request)
    }

    /// What a script prints in a running container.
    fn said(&self, id: &str, script: &str) -> String {
        let done = self.exec(id, script);
        assert_eq!(done.exit_code, 0, "{script}: {done:?}");
        String::from_utf8(done.out).unwrap().trim_end().to_owned()
    }

    pub(super) fn stop(&self, id: &str, timeout_s: i64) -> i32 {
        let id = id.to_owned();
        let request = StopContainer {
            id: id.clone(),
            timeout_s,
        };
        let _: Empty = self.cri.call("StopContainer", &request);
        let status = self.status(&id);
        assert_eq!(status.state, EXITED);
        let _: Empty = self.cri.call("RemoveContainer", &Id { id });
        status.exit_code
    }

    pub(super) fn end_pod(&self, id: &str) {
        let pod = Id { id: id.into() };
        let _: Empty = self.cri.call("StopPodSandbox", &pod);
        let _: Empty = self.cri.call("RemovePodSandbox", &pod);
    }

    pub(super) fn finish(self) {
        for list in ["ListContainers", "ListPodSandbox"] {
            let left: List = self.cri.call(list, &Empty {});
            assert_eq!(left.items, [], "{list}");
        }
        drop(self.cri);
        self.containerd.finish();
    }
}

/// A container that waits for its end.
fn waiting(name: &str, pid: i32) -> ContainerConfig {
    ContainerConfig {
        metadata: Some(ContainerMetadata { name: name.into() }),
        image: Some(Id { id: BUSYBOX.into() }),
        command: ["sh", "-c", WAIT].map(str::to_owned).to_vec(),
        log_path: format!("{name}.log"),
        linux: Some(LinuxContainer {
            security: Some(ContainerSecurity {
                namespaces: Some(NamespaceOptions {
                    pid,
                    ..NamespaceOptions::default()
                }),
                ..ContainerSecurity::default()
            }),
            ..LinuxContainer::default()
        }),
        ..ContainerConfig::default()
    }
}

fn security(config: &mut ContainerConfig) -> &mut ContainerSecurity {
    config.linux.as_mut().unwrap().security.as_mut().unwrap()
}

#[test]
fn cri_pods_share_namespaces() {
    let kubelet = Kubelet::start();
    let version: Version = kubelet.cri.call("Version", &Empty {});
    assert_eq!(version.runtime, "containerd");
    let pod_config = kubelet.pod_config("sharing", NamespaceOptions::default());
    let pod = kubelet.run_pod(&pod_config);
    let request = Id { id: pod.clone() };
    let reply: PodStatusReply = kubelet.cri.call("PodSandboxStatus", &request);
    let status = reply.status.unwrap();
    assert_eq!(status.state, 0, "the pod is not ready");
    let address = status.network.unwrap().id;

    let one = kubelet.run_container(&pod, &pod_config, waiting("one", POD));
    let two = kubelet.run_container(&pod, &pod_config, waiting("two", POD));
    for kind in ["pid", "ipc", "net", "uts", "mnt", "cgroup"] {
        let script = format!("readlink /proc/self/ns/{kind}");
        let (first, second) = (kubelet.said(&one, &script), kubelet.said(&two, &script));
        if kind != "cgroup" {
            assert_eq!(
                first == second,
                kind != "mnt",
                "{kind}: {first} and {second}"
            );
            assert_ne!(first, kubelet.containerd.world.namespace(kind));
        }
    }
    let pause = kubelet.said(&one, "tr '\\0' ' ' </proc/1/cmdline");
    assert!(pause.contains("trap exit TERM INT"), "{pause}");
    kubelet.said(&two, "sleep 1234 >/dev/null 2>&1 &");
    let seen = kubelet.said(&one, "ps | grep -c '[s]leep 1234'");
    assert_eq!(seen, "1", "processes of the other container");
    let files = kubelet.said(&one, "hostname; cat /proc/sys/net/ipv4/ip_forward; ip addr");
    assert!(files.starts_with("harbour\n1\n"), "{files}");
    assert!(files.contains(&format!("inet {address}/")), "{files}");
    let serve = "(echo harbour | nc -l -p 80 >/dev/null 2>&1 &); sleep 0.1";
    kubelet.exec(&two, serve);
    assert_eq!(
        kubelet.said(&one, "nc -w 5 127.0.0.1 80 </dev/null"),
        "harbour"
    );

    // The end of one container is not the end of its neighbours.
    assert_eq!(kubelet.stop(&two, 10), 6);
    assert_eq!(
        kubelet.said(&one, "ps | grep -c '[s]leep 1234' || true"),
        "0"
    );
    assert_eq!(kubelet.said(&one, "echo here"), "here");

    // An own PID namespace, and that of a container to look into.
    let own = kubelet.run_container(&pod, &pod_config, waiting("own", CONTAINER));
    assert_eq!(
        kubelet.said(
            &own,
            "grep -c 'exit 6' /proc/1/cmdline; ps | grep -c '[t]rap exit' || true"
        ),
        "1\n0"
    );
    let mut debug = waiting("debug", TARGET);
    let namespaces = security(&mut debug).namespaces.as_mut().unwrap();
    namespaces.target.clone_from(&own);
    let debug = kubelet.run_container(&pod, &pod_config, debug);
    let link = "readlink /proc/self/ns/pid";
    assert_eq!(kubelet.said(&debug, link), kubelet.said(&own, link));
    assert_eq!(kubelet.stop(&debug, 10), 6);
    assert_eq!(kubelet.stop(&own, 10), 6);
    // With its pod, whoever still runs.
    kubelet.end_pod(&pod);
    let refused =
        kubelet
            .cri
            .try_call::<Empty>("RuntimeService", "StartContainer", &Id { id: one });
    assert!(refused.is_err());
    kubelet.finish();
}

#[test]
fn cri_containers() {
    let kubelet = Kubelet::start();
    let host = NamespaceOptions {
        network: NODE,
        pid: NODE,
        ipc: NODE,
        ..NamespaceOptions::default()
    };
    let pod_config = kubelet.pod_config("host", host.clone());
    let pod = kubelet.run_pod(&pod_config);
    let mut plain = waiting("plain", NODE);
    security(&mut plain).namespaces = Some(host.clone());
    let plain = kubelet.run_container(&pod, &pod_config, plain);
    for kind in ["net", "pid", "ipc"] {
        let said = kubelet.said(&plain, &format!("readlink /proc/self/ns/{kind}"));
        assert_eq!(said, kubelet.containerd.world.namespace(kind), "{kind}");
    }
    exec(&kubelet, &plain);
    logs(&kubelet);
    resources(&kubelet, &pod, &plain);

    // SIGKILL past the grace, without a PID namespace that would end the others.
    kubelet.said(&plain, "trap '' TERM; setsid sleep 1234 >/dev/null 2>&1 &");
    assert_eq!(kubelet.stop(&plain, 10), 6);
    let sleeps = |line: &String| line.contains("sleep 1234");
    eventually("the end of its other processes", || {
        !kubelet.containerd.world.processes().iter().any(sleeps)
    });
    confinement(&kubelet, &pod, &pod_config, &host);
    kubelet.end_pod(&pod);
    kubelet.finish();
}

fn exec(kubelet: &Kubelet, id: &str) {
    let done = kubelet.exec(id, "echo out; echo err >&2; exit 7");
    assert_eq!(
        (&done.out[..], &done.err[..], done.exit_code),
        (&b"out\n"[..], &b"err\n"[..], 7)
    );
    let request = ExecSync {
        id: id.into(),
        command: vec!["sleep".into(), "1000".into()],
        timeout_s: 1,
    };
    let refused = kubelet
        .cri
        .try_call::<Executed>("RuntimeService", "ExecSync", &request)
        .unwrap_err();
    // DEADLINE_EXCEEDED
    assert_eq!(refused.code, 4, "{refused:?}");
}

fn logs(kubelet: &Kubelet) {
    let log = kubelet.containerd.world.path("logs/plain.log");
    let text = fs::read_to_string(log).unwrap();
    assert!(text.ends_with(" stdout F ready\n"), "{text}");
}

fn resources(kubelet: &Kubelet, pod: &str, id: &str) {
    assert_ne!(pod, id);
    let control = |files: &[&str]| {
        let path = format!("pod/{id}");
        kubelet.containerd.world.control(&path, files)
    };
    let request = UpdateContainer {
        id: id.into(),
        resources: Some(Resources {
            cpu_period: 100_000,
            cpu_quota: 50_000,
            memory_limit: 64 << 20,
        }),
    };
    let _: Empty = kubelet.cri.call("UpdateContainerResources", &request);
    assert_eq!(
        control(&["memory.limit_in_bytes", "memory.max"]),
        "67108864"
    );
    let quota = control(&["cpu.cfs_quota_us", "cpu.max"]);
    assert_eq!(quota.split(' ').next(), Some("50000"));
    let reply: StatsReply = kubelet.cri.call("ContainerStats", &Id { id: id.into() });
    let stats = reply.stats.unwrap();
    for usage in [stats.cpu, stats.memory] {
        assert!(usage.unwrap().value.unwrap().value > 0);
    }
}

fn confinement(kubelet: &Kubelet, pod: &str, pod_config: &PodConfig, host: &NamespaceOptions) {
    let folder = kubelet.containerd.world.path("bound");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("file"), "outside").unwrap();
    let mut config = waiting("confined", POD);
    config.mounts = vec![MountConfig {
        inside: "/b".into(),
        host: folder.to_str().unwrap().into(),
        read_only: true,
        propagation: 0,
    }];
    *security(&mut config) = ContainerSecurity {
        capabilities: Some(Capabilities {
            add: vec!["NET_ADMIN".into()],
            drop: vec!["ALL".into()],
        }),
        namespaces: Some(NamespaceOptions {
            pid: CONTAINER,
            ..host.clone()
        }),
        user: Some(Int64 { value: 1000 }),
        read_only_root: true,
        no_new_privileges: true,
        seccomp: Some(SecurityProfile { kind: 0 }),
    };
    let id = kubelet.run_container(pod, pod_config, config);
    let script = "id -u; grep -E '^(CapBnd|CapEff|NoNewPrivs|Seccomp):' /proc/self/status; \
                  cat /b/file; touch /b/new /new 2>&1 | grep -c Read-only";
    let expected = "1000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000001000\n\
                    NoNewPrivs:\t1\nSeccomp:\t2\noutside2";
    assert_eq!(kubelet.said(&id, script), expected);
    assert_eq!(kubelet.stop(&id, 10), 6);
}
