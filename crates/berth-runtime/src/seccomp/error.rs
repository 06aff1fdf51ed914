//! What can go wrong with a seccomp profile.

use berth_base::ErrorClass;

/// A seccomp profile cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum SeccompError {
    /// The profile asks for something that Berth does not do.
    #[error("unsupported seccomp profile: {what}; {remedy}")]
    Unsupported {
        /// What it asks for.
        what: String,
        /// What to do instead.
        remedy: &'static str,
    },
    /// The profile contradicts itself or names something that does not exist.
    #[error("invalid seccomp profile: {what}")]
    Invalid {
        /// What is wrong.
        what: String,
    },
    /// libseccomp refused.
    #[error("cannot compile the seccomp profile: {step}: {source}")]
    Library {
        /// What was being done.
        step: String,
        /// What libseccomp said.
        source: libseccomp::error::SeccompError,
    },
    /// The compiled program could not be fetched from libseccomp.
    #[error("cannot compile the seccomp profile: {step}: {source}")]
    Export {
        /// What was being done.
        step: &'static str,
        /// What the kernel said.
        source: rustix::io::Errno,
    },
    /// The program is longer than the kernel takes.
    #[error(
        "the seccomp profile compiles to {instructions} instructions, but the kernel takes at most {}; give fewer rules with arguments or fewer architectures",
        super::MAX_INSTRUCTIONS
    )]
    TooLong {
        /// How many it has.
        instructions: usize,
    },
}

impl SeccompError {
    /// The class of this error.
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Unsupported { .. } => ErrorClass::Unsupported,
            Self::Invalid { .. } | Self::TooLong { .. } => ErrorClass::Invalid,
            Self::Library { .. } | Self::Export { .. } => ErrorClass::Internal,
        }
    }
}
