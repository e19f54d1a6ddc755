//! The host's side of `wit/`, generated. Nothing else in the host spells out the contract.

#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, clippy::indexing_slicing, unused_qualifications)]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "complete-module",
    imports: {
        // These wait for a database; the guest sees ordinary functions.
        "hassock:host/sql.[method]database.query": async,
        "hassock:host/sql.[method]database.execute": async,
        "hassock:host/sql.[method]database.begin": async,
        "hassock:host/sql.[method]transaction.query": async,
        "hassock:host/sql.[method]transaction.execute": async,
        "hassock:host/sql.[static]transaction.commit": async,
        "hassock:host/sql.[static]transaction.rollback": async,
    },
    exports: { default: async },
    with: {
        "hassock:host/sql.database": super::resources::OpenDatabase,
        "hassock:host/sql.transaction": super::resources::OpenTransaction,
    },
});
