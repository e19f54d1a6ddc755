//! The types that represent the resources of `wit/`. An instance stores what a handle refers to, see
//! `app::imports::sql`.

/// The type of the guest's `database` handles.
pub struct OpenDatabase;

/// The type of the guest's `transaction` handles.
pub struct OpenTransaction;
