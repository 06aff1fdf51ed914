//! Failures of networks, as the engine's.

use berth_net::NetError;

use crate::EngineError;

impl From<NetError> for EngineError {
    fn from(error: NetError) -> Self {
        Self::new(error.class(), error.to_string())
    }
}
