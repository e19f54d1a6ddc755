//! The host's log, kept to show why a test failed.

use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::{Dispatch, Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::prelude::*;

use super::{LogLine, TestError};

/// More lines than anyone reads: the oldest go.
const MOST: usize = 1000;

/// The lines of one host.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<VecDeque<LogLine>>>);

impl Log {
    /// What a thread logs while this is its dispatcher comes here.
    pub(super) fn dispatch(&self) -> Dispatch {
        Dispatch::new(tracing_subscriber::registry().with(self.clone()))
    }

    /// The lines since this was asked last.
    pub(super) fn take(&self) -> Vec<LogLine> {
        std::mem::take(&mut *self.0.lock()).into()
    }

    /// The error with what a module said before: nobody else tells why it panicked in its self-test.
    pub(super) fn explain(&self, error: TestError) -> TestError {
        let lines = self.take().into_iter().filter(|line| matches!(line.level, "ERROR" | "WARN"));
        TestError(lines.fold(error.0, |text, line| format!("{text}\n  {line}")))
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        if !metadata.target().starts_with("hassock") {
            return;
        }
        let mut words = Words::default();
        event.record(&mut words);
        let mut lines = self.0.lock();
        if lines.len() == MOST {
            lines.pop_front();
        }
        lines.push_back(LogLine { level: name(*metadata.level()), text: words.message + &words.fields });
    }
}

fn name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARN",
        Level::INFO => "INFO",
        Level::DEBUG => "DEBUG",
        Level::TRACE => "TRACE",
    }
}

#[derive(Default)]
struct Words {
    message: String,
    fields: String,
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
