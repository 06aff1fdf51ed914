//! Compiling seccomp profiles; the compiler itself comes with the next merge.
use oci_spec::runtime::LinuxSeccomp;
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct SeccompError;
impl SeccompError {
    pub fn class(&self) -> berth_base::ErrorClass {
        berth_base::ErrorClass::Internal
    }
}
pub struct CompiledFilter {
    pub program: Vec<[u8; 8]>,
    pub flags: u64,
}
pub fn load_or_compile(
    _: &LinuxSeccomp,
    _: &std::path::Path,
) -> Result<CompiledFilter, SeccompError> {
    Err(SeccompError)
}
