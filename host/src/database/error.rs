//! The errors of database calls, as `wit/sql.wit` names them, and the conversion of a driver's error to one of them.

use std::time::Duration;

/// Why a call failed. The texts are for a developer who reads the log, not for a client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// The app has no grant for it, or the statement would leave something behind in the pooled session.
    #[error("denied: {0}")]
    Denied(String),
    /// The config has no database of that name.
    #[error("the config has no database `{0}`")]
    UnknownDatabase(String),
    /// The statement took longer than `query_timeout`, or waited that long for a lock.
    #[error("the statement took longer than query_timeout, or waited that long for a lock")]
    Timeout,
    /// All connections of the app's part of `max_connections` were busy for `acquire_timeout`.
    #[error("all connections of the app (its part of max_connections) were busy for acquire_timeout")]
    PoolExhausted,
    /// A unique, foreign-key, not-null or check constraint refused the change.
    #[error("a constraint refused it: {0}")]
    Constraint(String),
    /// The statement is wrong: it has a syntax error, an unknown table or column, or the wrong number of parameters.
    #[error("the statement is wrong: {0}")]
    Syntax(String),
    /// More rows than `max_rows`, or more bytes than `max_result_bytes`.
    #[error("too large: {0}")]
    TooLarge(String),
    /// The database cannot be reached, or the connection was lost. A later call may succeed.
    #[error("the connection to the database is lost: {0}")]
    ConnectionLost(String),
    /// Anything else, such as a deadlock.
    #[error("{0}")]
    Other(String),
}

/// The kinds of a [`DatabaseError`], for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseErrorKind {
    /// [`DatabaseError::Denied`]
    Denied,
    /// [`DatabaseError::UnknownDatabase`]
    UnknownDatabase,
    /// [`DatabaseError::Timeout`]
    Timeout,
    /// [`DatabaseError::PoolExhausted`]
    PoolExhausted,
    /// [`DatabaseError::Constraint`]
    Constraint,
    /// [`DatabaseError::Syntax`]
    Syntax,
    /// [`DatabaseError::TooLarge`]
    TooLarge,
    /// [`DatabaseError::ConnectionLost`]
    ConnectionLost,
    /// [`DatabaseError::Other`]
    Other,
}

impl DatabaseErrorKind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Denied,
        Self::UnknownDatabase,
        Self::Timeout,
        Self::PoolExhausted,
        Self::Constraint,
        Self::Syntax,
        Self::TooLarge,
        Self::ConnectionLost,
        Self::Other,
    ];

    /// Its name in WIT.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::UnknownDatabase => "unknown-database",
            Self::Timeout => "timeout",
            Self::PoolExhausted => "pool-exhausted",
            Self::Constraint => "constraint",
            Self::Syntax => "syntax",
            Self::TooLarge => "too-large",
            Self::ConnectionLost => "connection-lost",
            Self::Other => "other",
        }
    }
}

impl DatabaseError {
    /// Its kind.
    pub fn kind(&self) -> DatabaseErrorKind {
        match self {
            Self::Denied(_) => DatabaseErrorKind::Denied,
            Self::UnknownDatabase(_) => DatabaseErrorKind::UnknownDatabase,
            Self::Timeout => DatabaseErrorKind::Timeout,
            Self::PoolExhausted => DatabaseErrorKind::PoolExhausted,
            Self::Constraint(_) => DatabaseErrorKind::Constraint,
            Self::Syntax(_) => DatabaseErrorKind::Syntax,
            Self::TooLarge(_) => DatabaseErrorKind::TooLarge,
            Self::ConnectionLost(_) => DatabaseErrorKind::ConnectionLost,
            Self::Other(_) => DatabaseErrorKind::Other,
        }
    }
}

/// Why a database cannot be opened or granted. The texts never contain the password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The `url` of the config cannot be used.
    #[error("database `{name}`: its url is not valid: {reason}")]
    Url {
        /// The database's name in the config.
        name: String,
        /// What is wrong, and what the URL should look like.
        reason: String,
    },
    /// No server responds at the address, or it uses another protocol.
    #[error(
        "database `{name}`: cannot connect to {address}: {reason}; check that the server runs and that the url has the right \
         host and port"
    )]
    Unreachable {
        /// The database's name in the config.
        name: String,
        /// Host and port, or the path of the file.
        address: String,
        /// The error of the system or the driver.
        reason: String,
    },
    /// The session cannot be encrypted, or the server is not the one that is meant.
    #[error("database `{name}`: no TLS with {address}: {reason}; check `ssl-mode` and `ssl-ca` in the url")]
    NotSecure {
        /// The database's name in the config.
        name: String,
        /// Host and port.
        address: String,
        /// The error of the driver.
        reason: String,
    },
    /// The server did not answer in time.
    #[error(
        "database `{name}`: {address} did not answer within {timeout:?} (connect_timeout); check the host, the port and the \
         firewall"
    )]
    NoAnswer {
        /// The database's name in the config.
        name: String,
        /// Host and port, or the path of the file.
        address: String,
        /// The `connect_timeout`.
        timeout: Duration,
    },
    /// The server responded and refused the session: a wrong user or password, or the database does not exist.
    #[error(
        "database `{name}`: {address} refused the session: {reason}; check the user, the password and the database name in \
         the url, and the user's rights"
    )]
    Refused {
        /// The database's name in the config.
        name: String,
        /// Host and port.
        address: String,
        /// The error of the server.
        reason: String,
    },
    /// The SQLite file cannot be opened or created.
    #[error(
        "database `{name}`: cannot open the file {path}: {reason}; its directory must exist and be writable for the host"
    )]
    File {
        /// The database's name in the config.
        name: String,
        /// The file's path.
        path: String,
        /// The error of SQLite.
        reason: String,
    },
    /// The first session with this access could not be created, although the database was reachable at the start.
    #[error("database `{name}`: cannot make the {access} pool: {reason}")]
    Grant {
        /// The database's name in the config.
        name: String,
        /// `read-only` or `read-write`.
        access: &'static str,
        /// The reason.
        reason: DatabaseError,
    },
    /// The table of the outbox is missing, or cannot be used.
    #[error(
        "database `{name}`: cannot use the table `hassock_outbox`: {reason}; `hassock outbox init` creates it, and the user of the \
         url must be allowed to insert, read and delete its rows"
    )]
    Outbox {
        /// The database's name in the config.
        name: String,
        /// The reason.
        reason: DatabaseError,
    },
}

/// A failure, and its effect on the session in which it happened.
#[derive(Debug)]
pub(super) struct Fault {
    /// The error that the module gets.
    pub(super) error: DatabaseError,
    /// The session is in an unknown state: close it, and treat its transaction as rolled back.
    pub(super) unusable: bool,
}

impl Fault {
    /// The statement failed without an effect on the session.
    pub(super) fn harmless(error: DatabaseError) -> Self {
        Fault { error, unusable: false }
    }

    /// The session must not be used again.
    pub(super) fn fatal(error: DatabaseError) -> Self {
        Fault { error, unusable: true }
    }
}
