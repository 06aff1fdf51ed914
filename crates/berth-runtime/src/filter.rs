//! The seccomp filter of a container: compiled once, loaded by every process that enters it.

use std::path::Path;

use berth_base::ErrorClass;
use berth_base::protocol::Failure;
use berth_sys::SeccompFlags;
use oci_spec::runtime::LinuxSeccomp;

use crate::seccomp::{CompiledFilter, FilterName};
use crate::{failure, seccomp};

/// A compiled filter, ready to be loaded.
pub(crate) struct Filter {
    compiled: CompiledFilter,
    /// Under which the cache has it.
    name: Option<FilterName>,
}

impl Filter {
    /// Of a profile, from the cache where it is.
    pub(crate) fn of(profile: &LinuxSeccomp, cache: &Path) -> Result<Self, Failure> {
        seccomp::load_or_compile(profile, cache)
            .map(|(compiled, name)| Self { compiled, name })
            .map_err(|e| failure::engine(e.class(), e.to_string()))
    }

    /// Like [`Filter::of`], for a container that nobody answers seccomp notifications of: the
    /// first notified call would wait for ever.
    pub(crate) fn without_agent(profile: &LinuxSeccomp, cache: &Path) -> Result<Self, Failure> {
        let filter = Self::of(profile, cache)?;
        if filter.compiled.wants_listener() {
            let message =
                "the seccomp profile asks for SCMP_ACT_NOTIFY, which no agent could answer";
            return Err(failure::engine(ErrorClass::Unsupported, message.into()));
        }
        Ok(filter)
    }

    /// One that the cache has under the name which `run.json` keeps.
    pub(crate) fn kept(name: &str, cache: &Path) -> Option<Self> {
        let compiled = seccomp::load(name, cache)?;
        Some(Self {
            compiled,
            name: None,
        })
    }

    /// Under which the cache has it; `None` where it could not be kept.
    pub(crate) fn name(&self) -> Option<String> {
        self.name.as_ref().map(|name| name.as_str().to_owned())
    }

    /// Whether loading it answers with a listener, for an agent.
    pub(crate) const fn wants_listener(&self) -> bool {
        self.compiled.wants_listener()
    }

    /// Instructions and flags for seccomp(2).
    pub(crate) fn loadable(&self) -> (&[[u8; 8]], SeccompFlags) {
        (&self.compiled.program, SeccompFlags(self.compiled.flags))
    }
}
