//! One accepted WebSocket, as everything except its session sees it.

mod close;
#[expect(clippy::module_inception, reason = "the one type that the folder is named after")]
mod connection;
mod opened;
mod outbox;
mod protocol_client;
mod registry;
mod resumption;
mod token_in_use;
mod unconfirmed;
mod version_binding;

pub(crate) use close::side_name;
pub use close::{Close, MAX_REASON, is_allowed};
pub use connection::{Connection, DueTimer, Slot};
pub(crate) use connection::{Interruption, IsBack};
pub use opened::Opened;
pub(crate) use outbox::{MESSAGE_OVERHEAD, Next, Published, size};
pub use outbox::{Outbox, SendError};
pub use registry::Connections;
pub use resumption::Arrival;
pub(crate) use resumption::{Knows, Resumption};
pub(crate) use version_binding::PreviousVersion;
pub use version_binding::VersionBinding;
