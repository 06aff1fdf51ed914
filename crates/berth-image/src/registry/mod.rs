//! Registries: pull, push, login. Async inside, blocking outside.
