//! The imports of a component: the generated ones, with the types of this crate. Those that others can notice, and those
//! that may wait, come after what was [collected](replies).

pub(crate) mod packed;
pub(crate) mod replies;

pub(crate) mod about {
    pub(crate) use crate::bindings::hassock::host::about::host;
}

pub(crate) mod log {
    use ::log::Level;

    use crate::bindings::hassock::host::log;

    pub(crate) fn write(level: Level, line: &str) {
        log::write(level.into(), line);
    }
}

pub(crate) mod settings {
    use crate::bindings::wasi::config::store::{self, Error};

    pub(crate) fn get(key: &str) -> Result<Option<String>, String> {
        store::get(key).map_err(text)
    }

    pub(crate) fn all() -> Result<Vec<(String, String)>, String> {
        store::get_all().map_err(text)
    }

    fn text(error: Error) -> String {
        let (Error::Upstream(text) | Error::Io(text)) = error;
        text
    }
}

pub(crate) mod connections {
    use super::replies::{self, flush};
    use crate::bindings::hassock::host::connections;
    use crate::{ConnectionError, MessageRef};

    pub(crate) fn send(id: u64, message: MessageRef<'_>) -> Result<(), ConnectionError> {
        replies::send(id, std::iter::once(message))
    }

    pub(crate) fn send_many<'a>(
        id: u64,
        messages: impl Iterator<Item = MessageRef<'a>> + Clone,
    ) -> Result<(), ConnectionError> {
        replies::send(id, messages)
    }

    pub(crate) fn outbox_fullness(id: u64) -> Result<u8, ConnectionError> {
        flush();
        Ok(connections::outbox_fullness(id)?)
    }

    pub(crate) fn close(id: u64, code: u16, reason: &str) -> Result<(), ConnectionError> {
        flush();
        Ok(connections::close(id, code, reason)?)
    }

    pub(crate) fn attachment(id: u64) -> Result<Vec<u8>, ConnectionError> {
        Ok(connections::attachment(id)?)
    }

    pub(crate) fn set_presence(id: u64, data: &str) -> Result<(), ConnectionError> {
        flush();
        Ok(connections::set_presence(id, data)?)
    }

    pub(crate) fn set_attachment(id: u64, attachment: &[u8]) -> Result<(), ConnectionError> {
        flush();
        Ok(connections::set_attachment(id, attachment)?)
    }
}

pub(crate) mod topics {
    use super::replies::flush;
    use crate::bindings::hassock::host::topics;
    use crate::history::{HistoryPage, Options, Position, Published, StartAt, Subscription};
    use crate::{Message, TopicError};

    pub(crate) use topics::{member_count, subscribers};

    pub(crate) fn members(topic: &str, after: Option<u64>, limit: u32) -> Vec<(u64, Option<String>)> {
        topics::members(topic, after, limit).into_iter().map(|member| (member.id, member.data)).collect()
    }

    pub(crate) fn subscribe_from(id: u64, topic: &str, start: StartAt) -> Result<Subscription, TopicError> {
        flush();
        Ok(topics::subscribe_from(id, topic, start.into())?.into())
    }

    pub(crate) fn publish_with(topic: &str, message: Message, options: Options) -> Result<Published, TopicError> {
        flush();
        Ok(topics::publish_with(topic, &message.into(), &options.into())?.into())
    }

    pub(crate) fn history(topic: &str, since: Option<Position>, limit: u32) -> Result<HistoryPage, TopicError> {
        Ok(topics::history(topic, since.map(Into::into), limit)?.into())
    }

    pub(crate) fn subscribe(id: u64, topic: &str) -> Result<(), TopicError> {
        flush();
        Ok(topics::subscribe(id, topic)?)
    }

    pub(crate) fn unsubscribe(id: u64, topic: &str) -> Result<(), TopicError> {
        flush();
        Ok(topics::unsubscribe(id, topic)?)
    }

    pub(crate) fn publish(topic: &str, message: Message) -> Result<u32, TopicError> {
        flush();
        Ok(topics::publish(topic, &message.into())?)
    }

    pub(crate) fn publish_except(topic: &str, message: Message, except: u64) -> Result<u32, TopicError> {
        flush();
        Ok(topics::publish_except(topic, &message.into(), except)?)
    }
}

pub(crate) mod timers {
    use super::replies::flush;
    use crate::TimerError;
    use crate::bindings::hassock::host::timers;
    use crate::timers::Schedule;

    pub(crate) fn set(owner: Option<u64>, name: &str, schedule: Schedule, payload: &[u8]) -> Result<(), TimerError> {
        flush();
        Ok(timers::set(owner, name, schedule.into(), payload)?)
    }

    pub(crate) fn set_if_absent(
        owner: Option<u64>,
        name: &str,
        schedule: Schedule,
        payload: &[u8],
    ) -> Result<bool, TimerError> {
        flush();
        Ok(timers::set_if_absent(owner, name, schedule.into(), payload)?)
    }

    pub(crate) fn cancel(owner: Option<u64>, name: &str) -> bool {
        flush();
        timers::cancel(owner, name)
    }
}

pub(crate) mod sql {
    use super::replies::flush;
    use crate::Message;
    use crate::bindings::hassock::host::sql::{self, Value as Generated};
    use crate::sql::{Outcome, RowSet, SqlError, Value};

    #[derive(Debug)]
    pub(crate) struct Database(sql::Database);

    #[derive(Debug)]
    pub(crate) struct Transaction(sql::Transaction);

    impl Database {
        pub(crate) fn open(name: &str) -> Result<Self, SqlError> {
            Ok(Self(sql::Database::open(name)?))
        }

        pub(crate) fn query(&self, statement: &str, parameters: Vec<Value>) -> Result<RowSet, SqlError> {
            flush();
            Ok(self.0.query(statement, &generated(parameters))?.into())
        }

        pub(crate) fn execute(&self, statement: &str, parameters: Vec<Value>) -> Result<Outcome, SqlError> {
            flush();
            Ok(self.0.execute(statement, &generated(parameters))?.into())
        }

        pub(crate) fn begin(&self) -> Result<Transaction, SqlError> {
            flush();
            Ok(Transaction(self.0.begin()?))
        }
    }

    impl Transaction {
        pub(crate) fn query(&self, statement: &str, parameters: Vec<Value>) -> Result<RowSet, SqlError> {
            flush();
            Ok(self.0.query(statement, &generated(parameters))?.into())
        }

        pub(crate) fn execute(&self, statement: &str, parameters: Vec<Value>) -> Result<Outcome, SqlError> {
            flush();
            Ok(self.0.execute(statement, &generated(parameters))?.into())
        }

        pub(crate) fn publish(&self, topic: &str, message: Message) -> Result<(), SqlError> {
            flush();
            Ok(self.0.publish(topic, &message.into())?)
        }

        pub(crate) fn commit(self) -> Result<(), SqlError> {
            flush();
            Ok(sql::Transaction::commit(self.0)?)
        }

        pub(crate) fn rollback(self) -> Result<(), SqlError> {
            flush();
            Ok(sql::Transaction::rollback(self.0)?)
        }
    }

    fn generated(values: Vec<Value>) -> Vec<Generated> {
        values.into_iter().map(Into::into).collect()
    }
}
