//! The host's side of `wit/`, generated. No other part of the host repeats the interfaces.

#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, clippy::indexing_slicing, unused_qualifications)]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "complete-module",
    imports: {
        // These functions wait for a database. For the guest, they are ordinary functions.
        "hassock:host/sql.[method]database.query": async,
        "hassock:host/sql.[method]database.execute": async,
        "hassock:host/sql.[method]database.begin": async,
        "hassock:host/sql.[method]transaction.query": async,
        "hassock:host/sql.[method]transaction.execute": async,
        "hassock:host/sql.[method]transaction.publish": async,
        "hassock:host/sql.[static]transaction.commit": async,
        "hassock:host/sql.[static]transaction.rollback": async,
    },
    exports: { default: async },
    with: {
        "hassock:host/sql.database": super::resources::OpenDatabase,
        "hassock:host/sql.transaction": super::resources::OpenTransaction,
    },
});
