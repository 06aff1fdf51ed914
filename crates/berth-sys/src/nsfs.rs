//! ioctl_nsfs(2): what a namespace descriptor tells.
