//! Turning OCI resources into writes of cgroup files, and writing them.
//!
//! `plan` is pure: each controller's file adds [`Setting`]s to a list, for v1 or v2. [`Cgroup::apply`]
//! writes the list in order and stops at the first refusal. A limit that the host cannot set is
//! an error; nothing that was asked is passed over.

mod block;
mod check;
mod cpu;
mod hugetlb;
mod memory;
mod network;
mod pids;
mod rdma;
mod undo;
mod unified;
mod update;

use std::borrow::Cow;

use oci_spec::runtime::LinuxResources;
use rustix::io::Errno;

use super::branch::Branch;
use super::controller::Controller;
use super::error::CgroupError;
use super::{Cgroup, delegate, files};

pub(super) use block::scaled;
pub use check::{check_resources, field_of};
pub(super) use cpu::weight_of_shares;

/// Where a controller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

/// One value to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Setting {
    controller: Controller,
    /// The limit in the user's words.
    limit: &'static str,
    /// File and value; the first file that exists is written.
    choices: Vec<(Cow<'static, str>, String)>,
    /// What it means when none exists: `None` for "not needed then", else why it is an error.
    if_missing: Option<&'static str>,
    /// When the kernel refuses this with EINVAL, the next setting goes first: one of the two
    /// bounds the other, and which must move first depends on the old values.
    or_after_next: bool,
}

const NO_FILE: &str = "this kernel was built without it";

impl Setting {
    fn new(
        controller: Controller,
        limit: &'static str,
        file: impl Into<Cow<'static, str>>,
        value: impl ToString,
    ) -> Self {
        Self {
            controller,
            limit,
            choices: vec![(file.into(), value.to_string())],
            if_missing: Some(NO_FILE),
            or_after_next: false,
        }
    }

    /// Another file to write where the ones before do not exist.
    fn or(mut self, file: impl Into<Cow<'static, str>>, value: impl ToString) -> Self {
        self.choices.push((file.into(), value.to_string()));
        self
    }

    fn if_missing(mut self, why: Option<&'static str>) -> Self {
        self.if_missing = why;
        self
    }

    fn or_after_next(mut self) -> Self {
        self.or_after_next = true;
        self
    }
}

/// The list of settings, and where controllers are.
struct Plan<'a> {
    locate: &'a dyn Fn(Controller) -> Option<Version>,
    settings: Vec<Setting>,
}

impl Plan<'_> {
    /// Where a controller is, or an error that names the limit which needs it.
    fn version(&self, controller: Controller, limit: &str) -> Result<Version, CgroupError> {
        (self.locate)(controller).ok_or_else(|| unsupported(limit, &no_controller(controller)))
    }

    fn push(&mut self, setting: Setting) {
        self.settings.push(setting);
    }
}

/// Why a limit cannot be had whose controller is nowhere. Nobody delegates one of v1.
pub(super) fn no_controller(controller: Controller) -> String {
    let why = format!(
        "the {controller} controller is missing on this host, or not delegated to this user"
    );
    match controller.v2_name() {
        None => why,
        Some(_) => format!(
            "{why}; \"systemd-run --user --scope -p Delegate=yes\" before the command delegates \
             it, and \"berth system doctor\" says what is missing"
        ),
    }
}

fn unsupported(limit: &str, why: &str) -> CgroupError {
    CgroupError::Unsupported {
        limit: limit.to_owned(),
        why: why.to_owned(),
    }
}

fn invalid(limit: &'static str, asked: impl ToString, why: impl Into<String>) -> CgroupError {
    CgroupError::Invalid {
        limit,
        asked: asked.to_string(),
        why: why.into(),
    }
}

/// Checks a number against what the kernel takes.
fn in_range<T: PartialOrd + ToString + Copy>(
    limit: &'static str,
    asked: T,
    least: T,
    most: T,
    unit: &str,
) -> Result<T, CgroupError> {
    if asked >= least && asked <= most {
        return Ok(asked);
    }
    let text = |value: T| format!("{}{unit}", value.to_string());
    Err(CgroupError::OutOfRange {
        limit,
        asked: text(asked),
        least: text(least),
        most: Some(text(most)),
    })
}

/// Everything that `resources` asks for, device rules aside.
fn plan(
    resources: &LinuxResources,
    locate: &dyn Fn(Controller) -> Option<Version>,
) -> Result<Vec<Setting>, CgroupError> {
    let mut plan = Plan {
        locate,
        settings: Vec::new(),
    };
    if let Some(memory) = resources.memory() {
        memory::plan(memory, &mut plan)?;
    }
    if let Some(cpu) = resources.cpu() {
        cpu::plan(cpu, &mut plan)?;
    }
    if let Some(pids) = resources.pids() {
        pids::plan(pids, &mut plan)?;
    }
    if let Some(block) = resources.block_io() {
        block::plan(block, &mut plan)?;
    }
    for limit in resources.hugepage_limits().iter().flatten() {
        hugetlb::plan(limit, &mut plan)?;
    }
    if let Some(rdma) = resources.rdma() {
        rdma::plan(rdma, &mut plan)?;
    }
    if let Some(network) = resources.network() {
        network::plan(network, &mut plan)?;
    }
    Ok(plan.settings)
}

impl Cgroup {
    /// Writes every limit and device rule of `resources`, before any process enters; later,
    /// [`Cgroup::update`] changes limits. Values that are absent, or 0 where OCI means "unset",
    /// stay as they are.
    ///
    /// A limit that this host cannot set is [`CgroupError::Unsupported`], one out of range
    /// [`CgroupError::OutOfRange`]: both before anything is written, except where only the kernel
    /// can tell.
    pub fn apply(&self, resources: &LinuxResources) -> Result<(), CgroupError> {
        self.apply_limits(resources)?;
        if let Some(rules) = resources.devices() {
            self.apply_devices(rules)?;
        }
        Ok(())
    }

    fn apply_limits(&self, resources: &LinuxResources) -> Result<(), CgroupError> {
        let settings = plan(resources, &|controller| self.locate(controller))?;
        if let Some(memory) = resources.memory() {
            self.check_memory_in_use(memory)?;
        }
        self.write_all(&settings)?;
        match resources.unified() {
            Some(unified) => unified::apply(self, unified),
            None => Ok(()),
        }
    }

    fn locate(&self, controller: Controller) -> Option<Version> {
        if self.v1_branch(controller.v1_name()).is_some() {
            Some(Version::V1)
        } else if self.v2.is_some() && controller.v2_name().is_some() {
            Some(Version::V2)
        } else {
            None
        }
    }

    fn write_all(&self, settings: &[Setting]) -> Result<(), CgroupError> {
        let mut rest = settings;
        while let Some((first, tail)) = rest.split_first() {
            rest = tail;
            match (self.write_setting(first), tail.split_first()) {
                (Ok(()), _) => {}
                (
                    Err(CgroupError::Limit {
                        source: Errno::INVAL,
                        ..
                    }),
                    Some((second, after)),
                ) if first.or_after_next => {
                    self.write_setting(second)?;
                    self.write_setting(first)?;
                    rest = after;
                }
                (Err(error), _) => return Err(error),
            }
        }
        Ok(())
    }

    fn write_setting(&self, setting: &Setting) -> Result<(), CgroupError> {
        let branch = self.branch_for(setting.controller, setting.limit)?;
        let dir = branch.open()?;
        for (file, value) in &setting.choices {
            match files::write_at(dir, file, value) {
                Ok(()) => return Ok(()),
                Err(Errno::NOENT) => {}
                Err(source) => {
                    return Err(CgroupError::Limit {
                        limit: setting.limit.to_owned(),
                        value: value.clone(),
                        path: branch.file(file),
                        source,
                    });
                }
            }
        }
        match setting.if_missing {
            None => Ok(()),
            Some(why) => {
                let file = setting.choices.first().map_or("", |(file, _)| file);
                Err(unsupported(
                    setting.limit,
                    &format!("{why}; {} does not exist", branch.file(file).display()),
                ))
            }
        }
    }

    /// The directory in which a controller acts, enabling it on v2.
    fn branch_for(&self, controller: Controller, limit: &str) -> Result<&Branch, CgroupError> {
        if let Some(branch) = self.v1_branch(controller.v1_name()) {
            return Ok(branch);
        }
        match (&self.v2, controller.v2_name()) {
            (Some(branch), Some(name)) => {
                delegate::enable(branch, limit, name)?;
                Ok(branch)
            }
            _ => Err(unsupported(
                limit,
                &format!("the {controller} controller is missing"),
            )),
        }
    }
}

/// What `resources` asks for and no kernel has any more: for a warning, not an error, since
/// runtime-spec advises against them and callers set them all the same.
pub fn ignored_limits(resources: &LinuxResources) -> Vec<&'static str> {
    let mut ignored = Vec::new();
    let Some(memory) = resources.memory() else {
        return ignored;
    };
    if memory.kernel().is_some_and(|bytes| bytes != 0) {
        ignored.push("memory.kernel is ignored: the kernel dropped this limit in 5.16");
    }
    if memory.use_hierarchy() == Some(false) {
        ignored.push("memory.useHierarchy is ignored: the kernel always accounts hierarchically");
    }
    ignored
}

#[cfg(test)]
mod tests;
