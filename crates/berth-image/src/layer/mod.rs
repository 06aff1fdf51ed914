//! Layers: tar streams to folders that overlayfs stacks, and back.
