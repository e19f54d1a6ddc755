//! The sources that this program carries, so that an app needs nothing else of Hassock. `build.rs` lists them.

/// A path within its folder, and the contents.
pub(super) type File = (&'static str, &'static [u8]);

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The versions of dependencies that the examples were tested with.
pub(super) const LOCK: &str = include_str!("../../../../examples-wasm/Cargo.lock");

/// Under which terms the SDK may be used.
pub(super) const LICENSES: [File; 2] = [
    ("LICENSE-APACHE", include_bytes!("../../../../LICENSE-APACHE")),
    ("LICENSE-MIT", include_bytes!("../../../../LICENSE-MIT")),
];
