//! BM040: namespaces that outlived everything that lived in them.

use berth_base::{HostPid, escape_untrusted};

use super::{Finding, Object, Severity, rules};
use crate::model::{Holder, World};
use crate::ns_table::{NsFilter, rows};

/// Looks for namespaces without processes and threads that something other than a namespace
/// holds.
pub(super) fn find(world: &World, findings: &mut Vec<Finding>) {
    let persistent = NsFilter {
        persistent: true,
        ..NsFilter::default()
    };
    for row in rows(world, &persistent) {
        let id = row.namespace.id;
        let holders = world.holders(id);
        let first = holders.iter().min_by_key(|holder| weight(holder));
        let Some((severity, reason, remedy)) = first.and_then(|h| explain(world, h)) else {
            continue;
        };
        let others = row.holders.saturating_sub(1);
        let more = match others {
            0 => String::new(),
            1 => ", and 1 other".to_owned(),
            _ => format!(", and {others} others"),
        };
        findings.push(Finding {
            rule: &rules::LEAKED,
            severity,
            object: Object::Namespace(id),
            reason: format!("nothing lives in it, and it is kept alive by {reason}{more}"),
            remedy,
        });
    }
}

/// The worst holder is named: one that nobody put there on purpose.
const fn weight(holder: &Holder) -> u8 {
    match holder {
        Holder::Socket { .. } => 0,
        Holder::Descriptor { .. } => 1,
        Holder::BindMount { .. } => 2,
        Holder::ForChildren { .. } => 3,
        Holder::Child { .. } => 4,
    }
}

fn explain(world: &World, holder: &Holder) -> Option<(Severity, String, String)> {
    let who = |pid: HostPid| {
        let comm = world.process(pid).map_or("?", |p| p.comm.as_str());
        format!("process {pid} \"{}\"", escape_untrusted(comm))
    };
    Some(match holder {
        Holder::Socket { pid, fd } => (
            Severity::Warning,
            format!("a socket: fd {fd} of {}", who(*pid)),
            format!("make process {pid} close it, or end it"),
        ),
        Holder::Descriptor { pid, fd } => (
            Severity::Warning,
            format!("a descriptor: fd {fd} of {}", who(*pid)),
            format!("make process {pid} close it, or end it"),
        ),
        Holder::BindMount {
            mount_namespace,
            path,
        } => {
            let path = escape_untrusted(path);
            let place = match mount_namespace {
                Some(id) if world.host().namespaces.of(id.kind) != Some(*id) => format!(" in {id}"),
                _ => String::new(),
            };
            // Often on purpose: "ip netns add" makes such.
            (
                Severity::Info,
                format!("a mount at {path}{place}"),
                format!("where nobody needs it, \"umount {path}\"{place}"),
            )
        }
        Holder::ForChildren { pid } => (
            Severity::Info,
            format!("{}, whose next child will be born in it", who(*pid)),
            "nothing, if that process is about to fork; otherwise end it".to_owned(),
        ),
        // Its children live; it goes with the last.
        Holder::Child { .. } => return None,
    })
}
