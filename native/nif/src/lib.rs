//! Stub while the workspace grows.
