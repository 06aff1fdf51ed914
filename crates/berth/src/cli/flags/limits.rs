//! The flags of limits and devices.

use berth_engine::{
    DeviceAmount, DeviceRequest, DeviceRule, GpuRequest, Limits, Resources, Ulimit,
};
use clap::Args;

use crate::cli::parse::cpus::nano_cpus;
use crate::cli::parse::device::{
    byte_rate, device, device_rule, device_weight, gpus, operation_rate, weight,
};
use crate::cli::parse::label::label;
use crate::cli::parse::limit::{microseconds, oom_score, swap, swappiness, sysctl, whole};
use crate::cli::parse::number::process_limit;
use crate::cli::parse::size::{size, storage_option};
use crate::cli::parse::ulimit::ulimit;

/// What `update` may change as well.
#[derive(Args, Debug)]
#[command(next_help_heading = "Limits")]
pub(crate) struct ResourceFlags {
    /// Memory, such as 64m or 1.5g; no limit when absent
    #[arg(short, long, value_name = "SIZE", value_parser = size, allow_negative_numbers = true)]
    memory: Option<u64>,
    /// Memory and swap together, -1 for no limit of swap; twice --memory when absent
    #[arg(long, value_name = "SIZE", value_parser = swap, allow_negative_numbers = true)]
    memory_swap: Option<i64>,
    /// Memory that it keeps when the host runs short
    #[arg(long, value_name = "SIZE", value_parser = size, allow_negative_numbers = true)]
    memory_reservation: Option<u64>,
    /// CPUs, such as 1.5; no limit when absent
    #[arg(long, value_name = "NUMBER", value_parser = nano_cpus, allow_negative_numbers = true)]
    cpus: Option<u64>,
    /// Share of CPU time against others, 1024 is usual
    #[arg(short = 'c', long, value_name = "NUMBER", value_parser = whole, allow_negative_numbers = true)]
    cpu_shares: Option<u64>,
    /// Period of --cpu-quota in microseconds, 1000 to 1000000; 100000 when absent
    #[arg(long, value_name = "MICROSECONDS", value_parser = whole, allow_negative_numbers = true)]
    cpu_period: Option<u64>,
    /// CPU time in each period in microseconds, -1 for no limit
    #[arg(long, value_name = "MICROSECONDS", value_parser = microseconds, allow_negative_numbers = true)]
    cpu_quota: Option<i64>,
    /// Period of --cpu-rt-runtime in microseconds
    #[arg(long, value_name = "MICROSECONDS", value_parser = whole, allow_negative_numbers = true)]
    cpu_rt_period: Option<u64>,
    /// CPU time of realtime tasks in each period in microseconds
    #[arg(long, value_name = "MICROSECONDS", value_parser = microseconds, allow_negative_numbers = true)]
    cpu_rt_runtime: Option<i64>,
    /// CPUs that it runs on, such as 0-2,7
    #[arg(long, value_name = "LIST")]
    cpuset_cpus: Option<String>,
    /// Memory nodes that it uses, such as 0
    #[arg(long, value_name = "LIST")]
    cpuset_mems: Option<String>,
    /// Processes and threads; -1, or nothing, for no limit
    #[arg(long, value_name = "NUMBER", value_parser = process_limit, allow_negative_numbers = true)]
    pids_limit: Option<i64>,
    /// Share of block I/O against others, 10 to 1000
    #[arg(long, value_name = "WEIGHT", value_parser = weight, allow_negative_numbers = true)]
    blkio_weight: Option<u16>,
}

impl ResourceFlags {
    /// What they come to. As with Docker, 0 and an empty text stand for nothing.
    pub(crate) fn resources(&self) -> Resources {
        let text = |value: &Option<String>| value.clone().filter(|list| !list.is_empty());
        Resources {
            memory_bytes: self.memory.filter(|bytes| *bytes > 0),
            memory_swap_bytes: self.memory_swap.filter(|bytes| *bytes != 0),
            memory_reservation_bytes: self.memory_reservation.filter(|bytes| *bytes > 0),
            nano_cpus: self.cpus.filter(|nanos| *nanos > 0),
            cpu_shares: self.cpu_shares.filter(|shares| *shares > 0),
            cpu_period_us: self.cpu_period.filter(|us| *us > 0),
            cpu_quota_us: self.cpu_quota.filter(|us| *us != 0),
            cpu_rt_period_us: self.cpu_rt_period.filter(|us| *us > 0),
            cpu_rt_runtime_us: self.cpu_rt_runtime.filter(|us| *us != 0),
            cpuset_cpus: text(&self.cpuset_cpus),
            cpuset_mems: text(&self.cpuset_mems),
            pids_limit: self.pids_limit.filter(|limit| *limit != 0),
            blkio_weight: self.blkio_weight.filter(|weight| *weight > 0),
        }
    }
}

/// What it may use up.
#[derive(Args, Debug)]
#[command(next_help_heading = "Limits")]
pub(super) struct LimitFlags {
    #[command(flatten)]
    pub(super) resources: ResourceFlags,
    /// How eagerly it is swapped out, 0 to 100; cgroup v1 alone has it
    #[arg(long, value_name = "NUMBER", value_parser = swappiness, allow_negative_numbers = true)]
    memory_swappiness: Option<i8>,
    /// Ignored: kernels have no such limit any more
    #[arg(long, value_name = "SIZE", value_parser = size, allow_negative_numbers = true)]
    kernel_memory: Option<u64>,
    /// Let it wait when its memory is used up, instead of killing in it; cgroup v1 alone has it
    #[arg(long)]
    oom_kill_disable: bool,
    /// How gladly the host kills it when short of memory, -1000 to 1000
    #[arg(long, value_name = "NUMBER", value_parser = oom_score, allow_negative_numbers = true)]
    oom_score_adj: Option<i32>,
    /// Size of /dev/shm; 64m when absent
    #[arg(long, value_name = "SIZE", value_parser = size, allow_negative_numbers = true)]
    shm_size: Option<u64>,
    /// Disk space for what it changes, size=SIZE
    #[arg(long, value_name = "KEY=VALUE", value_parser = storage_option)]
    pub(super) storage_opt: Vec<u64>,
    /// Share of one block device's I/O, such as /dev/sda:200
    #[arg(long, value_name = "DEVICE:WEIGHT", value_parser = device_weight)]
    blkio_weight_device: Vec<DeviceAmount>,
    /// Bytes per second read from a block device, such as /dev/sda:1m
    #[arg(long, value_name = "DEVICE:RATE", value_parser = byte_rate)]
    device_read_bps: Vec<DeviceAmount>,
    /// Bytes per second written to a block device, such as /dev/sda:1m
    #[arg(long, value_name = "DEVICE:RATE", value_parser = byte_rate)]
    device_write_bps: Vec<DeviceAmount>,
    /// Reads per second from a block device, such as /dev/sda:100
    #[arg(long, value_name = "DEVICE:RATE", value_parser = operation_rate)]
    device_read_iops: Vec<DeviceAmount>,
    /// Writes per second to a block device, such as /dev/sda:100
    #[arg(long, value_name = "DEVICE:RATE", value_parser = operation_rate)]
    device_write_iops: Vec<DeviceAmount>,
    /// Resource limit of each process, such as nofile=1024:2048
    #[arg(long, value_name = "NAME=SOFT[:HARD]", value_parser = ulimit)]
    pub(super) ulimit: Vec<Ulimit>,
    /// Cgroup below which the container's own is made
    #[arg(long, value_name = "PATH")]
    pub(super) cgroup_parent: Option<String>,
}

/// What of the host it reaches, and kernel settings of its own.
#[derive(Args, Debug)]
#[command(next_help_heading = "Devices and kernel settings")]
pub(super) struct DeviceFlags {
    /// Device of the host, a directory of them, or a CDI name such as vendor.com/class=name
    #[arg(long, value_name = "HOST[:CONTAINER][:rwm]", value_parser = device)]
    device: Vec<DeviceRequest>,
    /// What it may open besides, such as "c 42:* rwm"
    #[arg(long, value_name = "RULE", value_parser = device_rule)]
    device_cgroup_rule: Vec<DeviceRule>,
    /// GPUs by their vendor's CDI files: all, a number, or device=ID
    #[arg(long, value_name = "GPUS", value_parser = gpus)]
    gpus: Option<GpuRequest>,
    /// Kernel setting of one of its namespaces, such as net.core.somaxconn=1024
    #[arg(long, value_name = "NAME=VALUE", value_parser = sysctl)]
    sysctl: Vec<(String, String)>,
    /// Annotation of its OCI spec
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    annotation: Vec<(String, String)>,
}

impl LimitFlags {
    /// What stays as it is created.
    pub(super) fn limits(&self, devices: &DeviceFlags) -> Limits {
        Limits {
            memory_swappiness: self.memory_swappiness.and_then(|n| u8::try_from(n).ok()),
            kernel_memory_bytes: self.kernel_memory.filter(|bytes| *bytes > 0),
            oom_kill_disable: self.oom_kill_disable,
            oom_score_adj: self.oom_score_adj.filter(|score| *score != 0),
            shm_bytes: self.shm_size.filter(|bytes| *bytes > 0),
            without_shm: false,
            weight_devices: last_of_each(&self.blkio_weight_device),
            read_bps: last_of_each(&self.device_read_bps),
            write_bps: last_of_each(&self.device_write_bps),
            read_iops: last_of_each(&self.device_read_iops),
            write_iops: last_of_each(&self.device_write_iops),
            devices: devices.device.clone(),
            device_rules: devices.device_cgroup_rule.clone(),
            gpus: devices.gpus.clone(),
            sysctls: devices.sysctl.iter().cloned().collect(),
            annotations: devices.annotation.iter().cloned().collect(),
        }
    }
}

/// Of several amounts for one device the last counts.
fn last_of_each(amounts: &[DeviceAmount]) -> Vec<DeviceAmount> {
    let mut list: Vec<DeviceAmount> = Vec::with_capacity(amounts.len());
    for amount in amounts {
        list.retain(|other| other.path != amount.path);
        list.push(amount.clone());
    }
    list
}
