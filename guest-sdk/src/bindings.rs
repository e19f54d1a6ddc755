//! What `wit-bindgen` makes of the contract in `wit/`. Nothing in here is handwritten, and nothing beside
//! it repeats it: the other modules of this crate only give it a more convenient shape.
#![allow(missing_docs, unsafe_code, unreachable_pub, unused_qualifications, clippy::all)]

wit_bindgen::generate!({
    path: "../wit",
    world: "complete-module",
    generate_all,
    additional_derives: [PartialEq],
    export_macro_name: "export_module",
    pub_export_macro: true,
    default_bindings_module: "hassock_guest::bindings",
});
