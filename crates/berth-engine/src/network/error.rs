//! Failures of networks, as the engine's.

use berth_base::ErrorClass;
use berth_net::NetError;

use crate::EngineError;

/// The way on where no network can be had.
pub(super) const WITHOUT: &str = "--network none and --network host do without";

impl From<NetError> for EngineError {
    fn from(error: NetError) -> Self {
        let class = error.class();
        let refused = matches!(error, NetError::Kernel { .. });
        let told = Self::new(class, error.to_string());
        match class {
            ErrorClass::Denied if refused => told.hint(format!(
                "networks need root, or CAP_NET_ADMIN over this network namespace; {WITHOUT}"
            )),
            ErrorClass::Unsupported if refused => {
                told.hint(format!("this kernel lacks it; {WITHOUT}"))
            }
            _ => match &error {
                NetError::File { source, .. } => told.caused_by(source),
                _ => told,
            },
        }
    }
}
