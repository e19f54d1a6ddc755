//! The types that stand for the resources of `wit/`: an instance keeps what a handle means, see `app::imports::sql`.

/// The type of the guest's `database` handles.
pub struct OpenDatabase;

/// The type of the guest's `transaction` handles.
pub struct OpenTransaction;
