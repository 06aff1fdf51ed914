//! Archives of whole images (`docker-archive`, `oci-archive`) and of root filesystems.
