//! Where namespaces are joined, offsets set or the root handed over: a stage makes init our child.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd};

use berth_base::ErrorClass;
use berth_base::protocol::Failure;
use berth_sys::{Forked, exit_now};
use rustix::process::{WaitId, WaitIdOptions, waitid};

use super::{Creation, become_init};
use crate::act::Context;
use crate::cgroup::JoinDescriptors;
use crate::init::Prepared as PreparedInit;
use crate::oci::{Outcome, cannot, fail, words};
use crate::stage::{self, Parent};
use crate::{birth, wire};

impl Creation<'_> {
    /// Has a stage enter the namespaces and clone init as our child.
    pub(super) fn clone_by_stage(
        &mut self,
        doors: &JoinDescriptors,
        ours: BorrowedFd<'_>,
        prepared: &PreparedInit<'_>,
        context: &mut Context<'_>,
    ) -> Outcome {
        let (upper, lower) = wire::pair().map_err(|e| cannot("make a socket pair", e))?;
        let stage = match berth_sys::Clone3::default()
            .run()
            .map_err(|e| cannot("clone the stage", e))?
        {
            Forked::Child => {
                drop(upper);
                let result = self.stage(doors, (ours, lower.as_fd()), prepared, context);
                exit_now(i32::from(tell(lower.as_fd(), result).is_err()))
            }
            Forked::Parent { pidfd, .. } => pidfd,
        };
        drop(lower);
        let heard = self.hear_stage(upper.as_fd(), ours);
        waitid(WaitId::PidFd(stage.as_fd()), WaitIdOptions::EXITED)
            .map_err(|e| cannot("wait for the stage", e))?;
        heard
    }

    /// The stage, in its own process. init never returns from here.
    fn stage(
        &self,
        doors: &JoinDescriptors,
        (ours, lower): (BorrowedFd<'_>, BorrowedFd<'_>),
        prepared: &PreparedInit<'_>,
        context: &mut Context<'_>,
    ) -> Outcome {
        let plan = &self.prepared.plan;
        stage::enter_namespaces(plan, &[], ours)?;
        let (pid, pidfd) = match stage::clone_init(plan, doors, Parent::Callers)? {
            Forked::Child => become_init(ours, prepared, context),
            Forked::Parent { pid, pidfd } => (pid, pidfd),
        };
        birth::introduce(lower, pidfd.as_fd())?;
        if plan.mappings.is_some() {
            self.map_ids(pid, ours)?;
            if !plan.host.is_empty() {
                // by path: procfs, of our own child
                let user = fs::File::open(format!("/proc/{}/ns/user", pid.as_raw_nonzero()))
                    .map_err(|e| cannot("open the user namespace", e))?;
                birth::hand_over_root(plan, user.as_fd(), ours)?;
            }
        }
        Ok(())
    }

    /// Hears the stage out, until it ends.
    fn hear_stage(&mut self, stage: BorrowedFd<'_>, init: BorrowedFd<'_>) -> Outcome {
        loop {
            let (packet, length, descriptor) =
                wire::receive(stage).map_err(|e| cannot("hear from the stage", e))?;
            match (
                packet.get(..length).and_then(|p| p.split_first()),
                descriptor,
            ) {
                (Some((&wire::DONE, _)), _) if self.init.is_some() => return Ok(()),
                (None, _) => return Err(fail(ErrorClass::Internal, "the stage ended too early")),
                (Some((&wire::INIT, _)), Some(pidfd)) => {
                    let pid = wire::pid_of(&pidfd)
                        .ok_or_else(|| fail(ErrorClass::Internal, "init ended at once"))?;
                    self.init = Some((pid, pidfd));
                    self.start_scope(init)?;
                    wire::send_byte(stage, wire::KNOWN)
                        .map_err(|e| cannot("answer the stage", e))?;
                }
                (Some((_, json)), _) => {
                    let failure: Failure = serde_json::from_slice(json)
                        .map_err(|e| cannot("understand the stage", e))?;
                    return Err(words::name_namespace(&self.prepared.spec, failure));
                }
            }
        }
    }
}

/// Tells a stage's creator how it went. Its end alone would not do: the process that it cloned
/// has inherited the socket.
pub(crate) fn tell(creator: BorrowedFd<'_>, result: Outcome) -> Result<(), ()> {
    let Err(failure) = result else {
        return wire::send_byte(creator, wire::DONE).map_err(drop);
    };
    wire::send_failure(creator, failure).map_err(drop)?;
    Err(())
}
