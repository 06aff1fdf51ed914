//! Executing steps: one short loop that stops at the first failure.
//!
//! Runs in init after clone3 (and in the stage for host steps), with all the privilege the
//! container will lose. Nothing here allocates: paths are joined on the stack, descriptors live
//! in slots made beforehand. An error is a step's index and an errno; words come later, from
//! the plan, in the stage.

mod before;
mod confine;
mod copy;
mod files;
pub(crate) mod hooks;
mod mount;
mod overlay;
mod path;
mod process;
mod root;
pub(crate) mod start;
pub(crate) mod terminal;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use berth_sys::SeccompFlags;
use rustix::io::Errno;

use crate::plan::{Slot, Step};

/// What the steps of one process work on.
pub(crate) struct Context<'a> {
    slots: Vec<Option<OwnedFd>>,
    root: Option<Slot>,
    /// The terminal's own side, once opened.
    pub(crate) terminal: Option<OwnedFd>,
    /// The connection to the stage.
    pub(crate) stage: BorrowedFd<'a>,
    /// v1 `tasks` files of the container's cgroups.
    pub(crate) tasks: &'a [OwnedFd],
    /// The compiled seccomp filter.
    pub(crate) filter: Option<(&'a [[u8; 8]], SeccompFlags)>,
    /// The user namespace whose mapping [`Step::IdMap`] applies.
    pub(crate) user_namespace: Option<BorrowedFd<'a>>,
    /// Hooks and start of a container of the OCI command line.
    pub(crate) lifecycle: Option<&'a start::Lifecycle<'a>>,
    /// The connection of the start command.
    peer: Option<OwnedFd>,
}

/// A failed step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StepFailure {
    /// Index into the list that was run.
    pub(crate) index: usize,
    /// Why.
    pub(crate) errno: Errno,
}

impl<'a> Context<'a> {
    /// Makes a context with room for the slots of a plan.
    pub(crate) fn new(slots: usize, stage: BorrowedFd<'a>) -> Self {
        let mut room = Vec::with_capacity(slots);
        room.resize_with(slots, || None);
        Self {
            slots: room,
            root: None,
            terminal: None,
            stage,
            tasks: &[],
            filter: None,
            user_namespace: None,
            lifecycle: None,
            peer: None,
        }
    }

    /// Fills the first slots with descriptors that were opened before.
    pub(crate) fn fill(&mut self, descriptors: Vec<OwnedFd>) {
        for (slot, descriptor) in self.slots.iter_mut().zip(descriptors) {
            *slot = Some(descriptor);
        }
    }

    /// Who hears of a failure: the start command once there is one, else the stage.
    pub(crate) fn speaker(&self) -> BorrowedFd<'_> {
        self.peer.as_ref().map_or(self.stage, AsFd::as_fd)
    }

    /// The descriptor in a slot.
    fn get(&self, slot: Slot) -> Result<BorrowedFd<'_>, Errno> {
        self.slots
            .get(slot.0)
            .and_then(Option::as_ref)
            .map(AsFd::as_fd)
            .ok_or(Errno::BADF)
    }

    /// Fills a slot.
    fn put(&mut self, slot: Slot, fd: OwnedFd) -> Result<(), Errno> {
        *self.slots.get_mut(slot.0).ok_or(Errno::BADF)? = Some(fd);
        Ok(())
    }

    /// The root of the container.
    pub(crate) fn root(&self) -> Result<BorrowedFd<'_>, Errno> {
        self.get(self.root.ok_or(Errno::BADF)?)
    }
}

/// A detached copy of the whole tree of mounts at the root; the tree itself is let go of.
pub(crate) fn clone_root(context: &Context<'_>) -> Result<OwnedFd, Errno> {
    use rustix::mount::{OpenTreeFlags, open_tree};
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_EMPTY_PATH;
    let root = open_tree(context.root()?, c"", flags)?;
    // A process cloned from here must not find what was stacked to compose it.
    root::unstack()?;
    Ok(root)
}

/// Executes steps in order.
pub(crate) fn run(steps: &[Step], context: &mut Context<'_>) -> Result<(), StepFailure> {
    // Modes in a plan are exact; the program's own umask is a step near the end.
    rustix::process::umask(rustix::fs::Mode::empty());
    for (index, step) in steps.iter().enumerate() {
        perform(step, context).map_err(|errno| StepFailure { index, errno })?;
    }
    Ok(())
}

/// Executes the steps that come before the clone, in the caller itself: it may allocate, and its
/// umask stays.
pub(crate) fn prepare(steps: &[Step], context: &mut Context<'_>) -> Result<(), StepFailure> {
    for (index, step) in steps.iter().enumerate() {
        perform(step, context).map_err(|errno| StepFailure { index, errno })?;
    }
    Ok(())
}

/// Executes one step.
fn perform(step: &Step, cx: &mut Context<'_>) -> Result<(), Errno> {
    match step {
        Step::OpenHost { .. }
        | Step::CloneHost { .. }
        | Step::CloneBeneath { .. }
        | Step::IdMap { .. }
        | Step::NewFilesystem { .. }
        | Step::OpenFolder { .. }
        | Step::Overlay(_)
        | Step::SetAttributes { .. }
        | Step::AttachScratch { .. }
        | Step::ReceiveRoot { .. }
        | Step::ActAs { .. }
        | Step::AttachInPlace { .. }
        | Step::IdMapBy { .. }
        | Step::IsolateMount { .. }
        | Step::FollowMounts
        | Step::IsolateMounts => mount::perform(step, cx),
        Step::MakeUserNamespace { .. }
        | Step::OpenUserNamespace { .. }
        | Step::OpenInterfaces { .. } => before::perform(step, cx),
        Step::TakeInterface {
            socket,
            name,
            inside,
        } => berth_sys::netlink::take_interface(cx.get(*socket)?, name, inside),
        Step::CopyUp { path, slot } => copy::up(cx.root()?, path, cx.get(*slot)?),
        Step::MakeDirectory { .. }
        | Step::MakeFile { .. }
        | Step::MakeSymlink { .. }
        | Step::MakeOpaque { .. }
        | Step::MakeDevice { .. }
        | Step::PlaceDevice { .. }
        | Step::PlaceSymlink { .. }
        | Step::Sysctl { .. } => files::perform(step, cx),
        Step::SetRoot { slot } => {
            cx.root = Some(*slot);
            Ok(())
        }
        Step::Attach { .. }
        | Step::Mask { .. }
        | Step::MakeReadOnly { .. }
        | Step::Pivot
        | Step::PivotFromShared
        | Step::Remount { .. }
        | Step::MoveRoot
        | Step::ReadOnlyRoot
        | Step::RootPropagation { .. } => root::perform(step, cx),
        Step::OpenTerminal { .. }
        | Step::OpenDevpts { .. }
        | Step::PlaceConsole
        | Step::BindConsole { .. } => terminal::perform(step, cx),
        Step::Personality { .. }
        | Step::Scheduler(_)
        | Step::IoPriority { .. }
        | Step::Affinity { .. }
        | Step::MemoryPolicy { .. }
        | Step::ExecLabel { .. }
        | Step::OwnAllStreams { .. } => process::perform(step, cx),
        Step::AwaitCgroups
        | Step::AwaitMapping
        | Step::AwaitStart
        | Step::AwaitHooks
        | Step::CreateContainerHooks
        | Step::FindProgram
        | Step::AwaitStartCommand
        | Step::StartContainerHooks => start::perform(step, cx),
        _ => confine::perform(step, cx),
    }
}
