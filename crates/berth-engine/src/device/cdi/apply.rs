//! What a file asks for, as part of a container's spec.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use berth_base::ErrorClass;
use oci_spec::runtime::{Hook as SpecHook, LinuxIntelRdt, Mount as SpecMount};

use super::file::{Edits, Hook, HookName, IntelRdt, Mount, Node};
use crate::EngineError;
use crate::device::node;
use crate::spec::{DeviceKind, Grant, HostDevice, Injected};
use crate::user::ResolvedUser;

/// Which device of which file, and for whom.
pub(super) struct Asked<'a> {
    pub(super) file: &'a Path,
    pub(super) name: &'a str,
    pub(super) user: &'a ResolvedUser,
}

impl Asked<'_> {
    fn refuse(&self, class: ErrorClass, what: &str) -> EngineError {
        let text = format!(
            "cannot use the device {}: {} asks for {what}",
            self.name,
            self.file.display()
        );
        EngineError::new(class, text).on(self.name)
    }
}

pub(super) fn apply(
    asked: &Asked<'_>,
    edits: &Edits,
    injected: &mut Injected,
) -> Result<(), EngineError> {
    if !edits.net_devices.is_empty() {
        let what = "network interfaces of the host, which berth does not move into containers";
        return Err(asked.refuse(ErrorClass::Unsupported, what));
    }
    for wanted in &edits.device_nodes {
        injected.devices.extend(nodes(asked, wanted)?);
    }
    for wanted in &edits.mounts {
        injected.mounts.push(mount(asked, wanted)?);
    }
    for wanted in &edits.hooks {
        add_hook(asked, wanted, injected)?;
    }
    if let Some(wanted) = &edits.intel_rdt {
        injected.intel_rdt = Some(intel_rdt(wanted));
    }
    injected.env.extend(edits.env.iter().cloned());
    // "Values of 0 are ignored."
    let groups = edits.additional_gids.iter().copied().filter(|id| *id != 0);
    injected.groups.extend(groups);
    Ok(())
}

fn nodes(asked: &Asked<'_>, wanted: &Node) -> Result<Vec<Grant>, EngineError> {
    if wanted.kind.as_deref() == Some("p") {
        let what = format!("the FIFO {}, which is no device", wanted.path.display());
        return Err(asked.refuse(ErrorClass::Unsupported, &what));
    }
    let access = match wanted.permissions.as_deref() {
        None | Some("") => "rwm",
        Some("none") => "",
        Some(access) => access,
    };
    let host = wanted.host_path.as_ref().unwrap_or(&wanted.path);
    // A file that says everything describes a node which need not be there yet.
    // by path: a device of the host, which the file names
    let is_there = fs::metadata(host).is_ok();
    let mut grants = match described(wanted) {
        Some(device) if !is_there => vec![Grant {
            device,
            host: host.clone(),
            access: access.to_owned(),
        }],
        _ => node::find(host, &wanted.path, access).map_err(|e| {
            let text = format!("{}, as {} asks for it", e.message, asked.file.display());
            EngineError::new(e.class, text).on(asked.name)
        })?,
    };
    for grant in &mut grants {
        let device = &mut grant.device;
        let is_block = matches!(device.kind, DeviceKind::Block);
        if wanted
            .kind
            .as_deref()
            .is_some_and(|kind| (kind == "b") != is_block)
        {
            let what = format!(
                "{} as a {} device, and the host has another",
                host.display(),
                if is_block { "character" } else { "block" }
            );
            return Err(asked.refuse(ErrorClass::Conflict, &what));
        }
        device.major = wanted.major.unwrap_or(device.major);
        device.minor = wanted.minor.unwrap_or(device.minor);
        device.mode = wanted.file_mode.map_or(device.mode, |mode| mode & 0o7777);
        device.uid = wanted.uid.unwrap_or(asked.user.uid);
        device.gid = wanted.gid.unwrap_or(asked.user.gid);
    }
    Ok(grants)
}

/// The node of a file that gives type and numbers.
fn described(wanted: &Node) -> Option<HostDevice> {
    let kind = match wanted.kind.as_deref()? {
        "b" => DeviceKind::Block,
        "c" | "u" => DeviceKind::Character,
        _ => return None,
    };
    Some(HostDevice {
        path: wanted.path.to_str()?.to_owned(),
        kind,
        major: wanted.major?,
        minor: wanted.minor?,
        mode: 0o666,
        uid: 0,
        gid: 0,
    })
}

fn mount(asked: &Asked<'_>, wanted: &Mount) -> Result<SpecMount, EngineError> {
    let mut options = wanted.options.clone();
    let says_bind = options.iter().any(|o| o == "bind" || o == "rbind");
    let kind = wanted.kind.as_deref().unwrap_or("bind");
    let is_bind = says_bind || matches!(kind, "bind" | "none" | "");
    if is_bind && !says_bind {
        options.insert(0, "rbind".to_owned());
    }
    // by path: a source of the host, which the file names
    if is_bind && fs::metadata(&wanted.host_path).is_err() {
        let what = format!(
            "{}, which this host does not have; have the file written anew",
            wanted.host_path.display()
        );
        return Err(asked.refuse(ErrorClass::NotFound, &what));
    }
    let mut mount = SpecMount::default();
    mount
        .set_destination(wanted.container_path.clone())
        .set_typ(Some(if is_bind { "bind" } else { kind }.to_owned()))
        .set_source(Some(wanted.host_path.clone()))
        .set_options(Some(options));
    Ok(mount)
}

fn add_hook(asked: &Asked<'_>, wanted: &Hook, injected: &mut Injected) -> Result<(), EngineError> {
    // by path: a program of the host, which the file names
    let is_there =
        fs::metadata(&wanted.path).is_ok_and(|m| m.is_file() && !m.file_type().is_fifo());
    // A startContainer hook is a program of the image.
    if !is_there && wanted.hook_name != HookName::StartContainer {
        let what = format!(
            "the hook {}, which this host does not have; install it, or have the file written anew",
            wanted.path.display()
        );
        return Err(asked.refuse(ErrorClass::NotFound, &what));
    }
    let mut hook = SpecHook::default();
    hook.set_path(wanted.path.clone())
        .set_args((!wanted.args.is_empty()).then(|| wanted.args.clone()))
        .set_env((!wanted.env.is_empty()).then(|| wanted.env.clone()))
        .set_timeout(wanted.timeout);
    let hooks = injected.hooks.get_or_insert_default();
    let list = match wanted.hook_name {
        HookName::Prestart => hooks.prestart_mut(),
        HookName::CreateRuntime => hooks.create_runtime_mut(),
        HookName::CreateContainer => hooks.create_container_mut(),
        HookName::StartContainer => hooks.start_container_mut(),
        HookName::Poststart => hooks.poststart_mut(),
        HookName::Poststop => hooks.poststop_mut(),
    };
    list.get_or_insert_default().push(hook);
    Ok(())
}

fn intel_rdt(wanted: &IntelRdt) -> LinuxIntelRdt {
    let mut rdt = LinuxIntelRdt::default();
    rdt.set_clos_id(wanted.clos_id.clone())
        .set_l3_cache_schema(wanted.l3_cache_schema.clone())
        .set_mem_bw_schema(wanted.mem_bw_schema.clone())
        .set_schemata((!wanted.schemata.is_empty()).then(|| wanted.schemata.clone()))
        // enableCMT and enableMBM of older files ask for nothing: the kernel counts every group.
        .set_enable_monitoring(wanted.enable_monitoring.then_some(true));
    rdt
}
