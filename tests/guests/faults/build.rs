fn main() {
    // Rust's table of functions has a maximum, and could not be grown.
    println!("cargo::rustc-link-arg-cdylib=--growable-table");
    println!("cargo::rerun-if-changed=build.rs");
}
