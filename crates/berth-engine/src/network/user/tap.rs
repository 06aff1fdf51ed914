//! The device by which a carrier brings packets into a container.

use std::fs::File;
use std::io;

use berth_base::ErrorClass;

use crate::EngineError;

/// The device of tun(4) and tap.
const TAP: &str = "/dev/net/tun";

/// Whether a user may make a tap, which every carrier has inside the container; else why not, and what
/// root can do about it. udev makes the device everybody's, the kernel root's.
pub fn tap_device() -> Result<(), (io::Error, &'static str)> {
    // by path: a device of the host
    let opened = File::options().read(true).write(true).open(TAP);
    opened.map(drop).map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::PermissionDenied => "chmod 666 /dev/net/tun",
            _ => "modprobe tun",
        };
        (error, remedy)
    })
}

/// The same as an error of a start.
pub(super) fn check() -> Result<(), EngineError> {
    tap_device().map_err(|(why, remedy)| {
        let text = format!(
            "cannot connect the container: {TAP} cannot be opened: {why}; have the administrator run \
             \"{remedy}\", or give --network none"
        );
        EngineError::new(ErrorClass::Unavailable, text).on(TAP)
    })
}
