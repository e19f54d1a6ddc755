//! The SQL of the outbox: its table, the trigger that keeps the order, and the statements of a relay.
//!
//! **Order.** MySQL gives ids when rows are inserted, not when they are committed, so a relay that goes by ids would publish
//! the messages of a topic in another order than that of the commits. Therefore a trigger locks one of some rows, which the
//! app and the topic select, until the transaction ends, and takes the next *turn* from it: transactions that publish to
//! the same topic go one after the other, and turns are in the order of their commits. An id would not do, because MySQL
//! reserves the ids of all rows of one `INSERT` before the trigger of the second row has its lock. A turn is about the
//! time in microseconds, so that topics are served in the order of time too. SQLite has one writer at a time, so its ids
//! are turns.

use std::fmt::Write;

use super::super::scanner::Dialect;

/// The table.
pub(super) const TABLE: &str = "hassock_outbox";

/// Both the table of locks and the trigger.
pub(super) const ORDER: &str = "hassock_outbox_order";

/// `format` of a text message.
pub(super) const TEXT: &str = "text";

/// `format` of a binary message.
pub(super) const BINARY: &str = "binary";

/// Rows of the table of locks. Topics that share one wait for each other without need, which is rare with so many, and the
/// table still fits into a few pages.
const SLOTS: usize = 1024;

/// What a module's `transaction.publish` runs.
pub(in crate::database) const INSERT: &str =
    "INSERT INTO hassock_outbox (app, topic, message, format) VALUES (?, ?, ?, ?)";

/// Finds out at the start whether rows can be removed.
pub(super) const REMOVE_NOTHING: &str = "DELETE FROM hassock_outbox WHERE 1 = 0";

/// A relay that has this lock is the only one of its database. It ends with the session. The name is one of all databases of a
/// server, and has at most 64 characters.
pub(super) const LEAD: &str = "SELECT GET_LOCK(CONCAT('hassock outbox ', SHA1(DATABASE())), 0)";

/// Prepares the session of a relay. If its host is gone without a word, the server ends the session after this many seconds, and
/// another host can take over: a relay is never silent for so long.
pub(super) const PREPARE: &str = "SET SESSION wait_timeout = 60, autocommit = 1";

/// Whether MySQL keeps the order of commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutboxOrder {
    /// Transactions that publish to the same topic wait for each other.
    Commits,
    /// They do not, and the messages of a topic are published in the order of `INSERT`, as far as they are committed.
    Loose,
}

/// The table of MySQL and MariaDB. A message is bytes, so that it is stored as the program sends it. An index leads to the rows
/// of an app in their order, however many rows of others wait.
pub(super) const MYSQL_TABLE: &str = "\
CREATE TABLE IF NOT EXISTS hassock_outbox (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  app VARCHAR(191) NOT NULL,
  topic VARCHAR(256) NOT NULL CHECK (OCTET_LENGTH(topic) BETWEEN 1 AND 256),
  message LONGBLOB NOT NULL,
  format ENUM('text', 'binary') NOT NULL DEFAULT 'text',
  created_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  turn BIGINT UNSIGNED NOT NULL DEFAULT 0,
  KEY hassock_outbox_app (app, turn)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin";

/// The table of locks.
pub(super) const MYSQL_SLOTS: &str = "\
CREATE TABLE IF NOT EXISTS hassock_outbox_order (
  slot SMALLINT UNSIGNED NOT NULL PRIMARY KEY,
  turn BIGINT UNSIGNED NOT NULL DEFAULT 0
) ENGINE = InnoDB";

/// The trigger. It runs with the rights of the user that has created it, so programs need no right but `INSERT` on the
/// outbox.
pub(super) const MYSQL_TRIGGER: &str = "\
CREATE TRIGGER hassock_outbox_order BEFORE INSERT ON hassock_outbox FOR EACH ROW
BEGIN
  DECLARE own SMALLINT UNSIGNED DEFAULT CRC32(CONCAT(NEW.app, '/', NEW.topic)) % 1024;
  DECLARE next_turn BIGINT UNSIGNED;
  SELECT turn + 1 INTO next_turn FROM hassock_outbox_order WHERE slot = own FOR UPDATE;
  SET next_turn = GREATEST(next_turn, CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS UNSIGNED));
  UPDATE hassock_outbox_order SET turn = next_turn WHERE slot = own;
  SET NEW.turn = next_turn;
END";

/// The table of SQLite. Ids are never used twice. The functions are those of old versions too, because each program checks
/// rows with its own.
pub(super) const SQLITE_TABLE: &str = "\
CREATE TABLE IF NOT EXISTS hassock_outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  app TEXT NOT NULL,
  topic TEXT NOT NULL CHECK (length(CAST(topic AS BLOB)) BETWEEN 1 AND 256),
  message BLOB NOT NULL,
  format TEXT NOT NULL DEFAULT 'text' CHECK (format IN ('text', 'binary')),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
CREATE INDEX IF NOT EXISTS hassock_outbox_app ON hassock_outbox (app)";

/// Fills the table of locks.
pub(super) fn mysql_fill_slots() -> String {
    let rows: Vec<String> = (0..SLOTS).map(|slot| format!("({slot})")).collect();
    format!("INSERT IGNORE INTO {ORDER} (slot) VALUES {}", rows.join(", "))
}

/// All that makes an outbox, for the command-line client of the database.
pub fn script(is_sqlite: bool, order: OutboxOrder) -> String {
    if is_sqlite {
        return format!("{SQLITE_TABLE};\n");
    }
    let mut script = format!("{MYSQL_TABLE};\n");
    if order == OutboxOrder::Commits {
        let fill = mysql_fill_slots();
        // A drop needs no more rights than to create it, and makes the script one that can be run again.
        let _ = write!(
            script,
            "\n{MYSQL_SLOTS};\n\n{fill};\n\nDROP TRIGGER IF EXISTS {ORDER};\n\nDELIMITER //\n{MYSQL_TRIGGER} //\n\
             DELIMITER ;\n"
        );
    }
    script
}

/// What is known of the next rows of so many apps. Each app has two parameters: its name, and how many rows at most.
///
/// Messages are not read: results of a `UNION` are written to the disk if they have large values.
pub(super) fn heads(dialect: Dialect, apps: usize) -> String {
    let (columns, order) = match dialect {
        Dialect::MySql => (
            "id, turn, app, OCTET_LENGTH(topic) AS topic_bytes, OCTET_LENGTH(message) AS message_bytes, \
             TIMESTAMPDIFF(MICROSECOND, created_at, NOW(6)) DIV 1000 AS age",
            "turn, id",
        ),
        Dialect::Sqlite => (
            "id, 0 AS turn, app, octet_length(topic) AS topic_bytes, octet_length(message) AS message_bytes, \
             CAST((julianday('now') - julianday(created_at)) * 86400000 AS INTEGER) AS age",
            "id",
        ),
    };
    let each = |app: usize| {
        format!("SELECT * FROM (SELECT {columns} FROM {TABLE} WHERE app = ? ORDER BY {order} LIMIT ?) AS app{app}")
    };
    (0..apps).map(each).collect::<Vec<_>>().join(" UNION ALL ")
}

/// The rows with so many ids.
pub(super) fn rows(ids: usize) -> String {
    format!("SELECT id, created_at, topic, message, format FROM {TABLE} WHERE id IN ({})", placeholders(ids))
}

/// Remove the rows with so many ids.
pub(super) fn remove(ids: usize) -> String {
    format!("DELETE FROM {TABLE} WHERE id IN ({})", placeholders(ids))
}

/// How many rows wait of apps that are not among so many, of some such apps.
pub(super) fn strangers(apps: usize) -> String {
    let all = if apps == 0 { "1 = 1".to_owned() } else { format!("app NOT IN ({})", placeholders(apps)) };
    format!("SELECT app, COUNT(*) FROM {TABLE} WHERE {all} GROUP BY app ORDER BY app LIMIT 10")
}

fn placeholders(count: usize) -> String {
    vec!["?"; count].join(", ")
}
