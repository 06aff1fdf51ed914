//! Kubernetes' Container Runtime Interface: as much of it as the tests speak.
//!
//! A call is one HTTP/2 request with one message each way; messages are protobuf behind five bytes
//! (a flag for compression and the length), and the outcome is in the trailers (gRPC over HTTP2).
//! Field numbers are those of `runtime.v1` (k8s.io/cri-api).

use std::collections::HashMap;
use std::path::Path;

use h2::client::{SendRequest, handshake};
use http::{HeaderMap, Request};
use prost::Message;
use prost::bytes::Bytes;
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};

/// A connection to a CRI socket.
pub struct Cri {
    runtime: Runtime,
    sender: SendRequest<Bytes>,
}

/// A call that was refused: gRPC's code and text.
#[derive(Debug)]
pub struct Refused {
    pub code: u32,
    #[allow(dead_code)] // shown by Debug
    pub text: String,
}

impl Cri {
    pub fn connect(socket: &Path) -> Self {
        let runtime = Builder::new_current_thread().enable_io().build().unwrap();
        let sender = runtime.block_on(async {
            let stream = UnixStream::connect(socket).await.unwrap();
            let (sender, connection) = handshake(stream).await.unwrap();
            tokio::spawn(connection);
            sender
        });
        Self { runtime, sender }
    }

    /// Calls a method of the runtime service that must succeed.
    pub fn call<A: Message + Default>(&self, method: &str, request: &impl Message) -> A {
        self.try_call("RuntimeService", method, request)
            .unwrap_or_else(|refused| panic!("{method}: {refused:?}"))
    }

    /// Calls a method of one of the two services.
    pub fn try_call<A: Message + Default>(
        &self,
        service: &str,
        method: &str,
        request: &impl Message,
    ) -> Result<A, Refused> {
        let uri = format!("http://localhost/runtime.v1.{service}/{method}");
        self.runtime.block_on(self.exchange(&uri, request))
    }

    async fn exchange<A: Message + Default>(
        &self,
        uri: &str,
        message: &impl Message,
    ) -> Result<A, Refused> {
        let request = Request::post(uri)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap();
        let mut sender = self.sender.clone().ready().await.unwrap();
        let (response, mut stream) = sender.send_request(request, false).unwrap();
        let mut frame = vec![0];
        frame.extend(u32::try_from(message.encoded_len()).unwrap().to_be_bytes());
        message.encode(&mut frame).unwrap();
        stream.send_data(Bytes::from(frame), true).unwrap();
        let response = response.await.unwrap();
        // A call that fails at once has headers alone.
        outcome(response.headers())?;
        let mut body = response.into_body();
        let mut bytes = Vec::new();
        while let Some(chunk) = body.data().await {
            let chunk = chunk.unwrap();
            body.flow_control().release_capacity(chunk.len()).unwrap();
            bytes.extend_from_slice(&chunk);
        }
        outcome(&body.trailers().await.unwrap().unwrap())?;
        Ok(A::decode(&bytes[5..]).unwrap())
    }
}

fn outcome(headers: &HeaderMap) -> Result<(), Refused> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match text("grpc-status") {
        None | Some("0") => Ok(()),
        Some(code) => Err(Refused {
            code: code.parse().unwrap(),
            text: text("grpc-message").unwrap_or_default().to_owned(),
        }),
    }
}

/// Defines messages by their fields' kinds and numbers.
macro_rules! messages {
    ($($(#[$about:meta])* $name:ident { $($(#[$kind:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$about])*
            #[derive(Clone, PartialEq, Message)]
            pub struct $name {
                $($(#[$kind])* pub $field: $type,)*
            }
        )*
    };
}

messages! {
    Empty {}

    Id {
        #[prost(string, tag = "1")]
        id: String,
    }

    Version {
        #[prost(string, tag = "2")]
        runtime: String,
    }

    ImageStatusRequest {
        #[prost(message, tag = "1")]
        image: Option<Id>,
    }

    ImageStatus {
        #[prost(message, tag = "1")]
        image: Option<Id>,
    }

    PodMetadata {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(string, tag = "2")]
        uid: String,
        #[prost(string, tag = "3")]
        namespace: String,
    }

    NamespaceOptions {
        #[prost(int32, tag = "1")]
        network: i32,
        #[prost(int32, tag = "2")]
        pid: i32,
        #[prost(int32, tag = "3")]
        ipc: i32,
        #[prost(string, tag = "4")]
        target: String,
    }

    Int64 {
        #[prost(int64, tag = "1")]
        value: i64,
    }

    UInt64 {
        #[prost(uint64, tag = "1")]
        value: u64,
    }

    /// The profile: 0 is the runtime's default, 1 none.
    SecurityProfile {
        #[prost(int32, tag = "1")]
        kind: i32,
    }

    SandboxSecurity {
        #[prost(message, tag = "1")]
        namespaces: Option<NamespaceOptions>,
    }

    LinuxPod {
        #[prost(string, tag = "1")]
        cgroup_parent: String,
        #[prost(message, tag = "2")]
        security: Option<SandboxSecurity>,
        #[prost(map = "string, string", tag = "3")]
        sysctls: HashMap<String, String>,
    }

    PodConfig {
        #[prost(message, tag = "1")]
        metadata: Option<PodMetadata>,
        #[prost(string, tag = "2")]
        hostname: String,
        #[prost(string, tag = "3")]
        log_directory: String,
        #[prost(message, tag = "8")]
        linux: Option<LinuxPod>,
    }

    RunPod {
        #[prost(message, tag = "1")]
        config: Option<PodConfig>,
    }

    PodStatusReply {
        #[prost(message, tag = "1")]
        status: Option<PodStatus>,
    }

    /// The state: 0 is ready, 1 not.
    PodStatus {
        #[prost(int32, tag = "3")]
        state: i32,
        #[prost(message, tag = "5")]
        network: Option<Id>,
    }

    ContainerMetadata {
        #[prost(string, tag = "1")]
        name: String,
    }

    KeyValue {
        #[prost(string, tag = "1")]
        key: String,
        #[prost(string, tag = "2")]
        value: String,
    }

    /// The propagation: 0 is none, 1 from the host, 2 both ways.
    MountConfig {
        #[prost(string, tag = "1")]
        inside: String,
        #[prost(string, tag = "2")]
        host: String,
        #[prost(bool, tag = "3")]
        read_only: bool,
        #[prost(int32, tag = "5")]
        propagation: i32,
    }

    Resources {
        #[prost(int64, tag = "1")]
        cpu_period: i64,
        #[prost(int64, tag = "2")]
        cpu_quota: i64,
        #[prost(int64, tag = "4")]
        memory_limit: i64,
    }

    Capabilities {
        #[prost(string, repeated, tag = "1")]
        add: Vec<String>,
        #[prost(string, repeated, tag = "2")]
        drop: Vec<String>,
    }

    ContainerSecurity {
        #[prost(message, tag = "1")]
        capabilities: Option<Capabilities>,
        #[prost(message, tag = "3")]
        namespaces: Option<NamespaceOptions>,
        #[prost(message, tag = "5")]
        user: Option<Int64>,
        #[prost(bool, tag = "7")]
        read_only_root: bool,
        #[prost(bool, tag = "11")]
        no_new_privileges: bool,
        #[prost(message, tag = "15")]
        seccomp: Option<SecurityProfile>,
    }

    LinuxContainer {
        #[prost(message, tag = "1")]
        resources: Option<Resources>,
        #[prost(message, tag = "2")]
        security: Option<ContainerSecurity>,
    }

    ContainerConfig {
        #[prost(message, tag = "1")]
        metadata: Option<ContainerMetadata>,
        #[prost(message, tag = "2")]
        image: Option<Id>,
        #[prost(string, repeated, tag = "3")]
        command: Vec<String>,
        #[prost(string, tag = "5")]
        directory: String,
        #[prost(message, repeated, tag = "6")]
        env: Vec<KeyValue>,
        #[prost(message, repeated, tag = "7")]
        mounts: Vec<MountConfig>,
        #[prost(string, tag = "11")]
        log_path: String,
        #[prost(message, tag = "15")]
        linux: Option<LinuxContainer>,
    }

    CreateContainer {
        #[prost(string, tag = "1")]
        pod: String,
        #[prost(message, tag = "2")]
        config: Option<ContainerConfig>,
        #[prost(message, tag = "3")]
        pod_config: Option<PodConfig>,
    }

    StopContainer {
        #[prost(string, tag = "1")]
        id: String,
        #[prost(int64, tag = "2")]
        timeout_s: i64,
    }

    ContainerStatusReply {
        #[prost(message, tag = "1")]
        status: Option<ContainerStatus>,
    }

    /// The state: 0 is created, 1 running, 2 exited.
    ContainerStatus {
        #[prost(int32, tag = "3")]
        state: i32,
        #[prost(int32, tag = "7")]
        exit_code: i32,
        #[prost(string, tag = "10")]
        reason: String,
    }

    ExecSync {
        #[prost(string, tag = "1")]
        id: String,
        #[prost(string, repeated, tag = "2")]
        command: Vec<String>,
        #[prost(int64, tag = "3")]
        timeout_s: i64,
    }

    Executed {
        #[prost(bytes = "vec", tag = "1")]
        out: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")]
        err: Vec<u8>,
        #[prost(int32, tag = "3")]
        exit_code: i32,
    }

    UpdateContainer {
        #[prost(string, tag = "1")]
        id: String,
        #[prost(message, tag = "2")]
        resources: Option<Resources>,
    }

    StatsReply {
        #[prost(message, tag = "1")]
        stats: Option<Stats>,
    }

    Stats {
        #[prost(message, tag = "2")]
        cpu: Option<Usage>,
        #[prost(message, tag = "3")]
        memory: Option<Usage>,
    }

    /// Nanoseconds of CPU time, or bytes of the working set.
    Usage {
        #[prost(message, tag = "2")]
        value: Option<UInt64>,
    }

    List {
        #[prost(message, repeated, tag = "1")]
        items: Vec<Id>,
    }
}
