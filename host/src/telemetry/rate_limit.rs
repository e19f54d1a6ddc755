//! How many lines of one app and one cause are written in a second: a client or a module must not fill the disk, or push
//! the lines of others out of the queue.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata};
use tracing_subscriber::layer::{Context, Filter};

/// For how long lines are counted together.
const WINDOW: Duration = Duration::from_secs(1);

/// Lines that were left out since the process began.
static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

/// How many lines were left out since the process began.
pub(super) fn left_out() -> u64 {
    LEFT_OUT.load(Ordering::Relaxed)
}

/// Lets so many lines pass. Clones share the counts.
#[derive(Clone)]
pub(super) struct RateLimit {
    lines_per_second: usize,
    sources: Arc<Mutex<HashMap<Source, Counts>>>,
}

/// Where lines come from: the app, if they are about one, and the place in the code of the host. There are not more of
/// them than apps times such places.
#[derive(PartialEq, Eq, Hash, Clone)]
struct Source {
    app: String,
    cause: Identifier,
}

struct Counts {
    since: Instant,
    lines: usize,
    left_out: usize,
    /// The place in the code.
    place: &'static str,
}

/// Lines of one source that were left out.
pub(super) struct LeftOut {
    pub(super) app: String,
    pub(super) place: &'static str,
    pub(super) lines: usize,
}

impl RateLimit {
    pub(super) fn new(lines_per_second: usize) -> Self {
        Self { lines_per_second, sources: Arc::default() }
    }

    /// What was left out since the last time.
    pub(super) fn take_left_out(&self) -> Vec<LeftOut> {
        let mut sources = self.sources.lock();
        let left_out = sources.iter_mut().filter(|(_, counts)| counts.left_out > 0).map(|(source, counts)| LeftOut {
            app: source.app.clone(),
            place: counts.place,
            lines: std::mem::take(&mut counts.left_out),
        });
        left_out.collect()
    }

    /// Count a line. False if it is one too many.
    fn count(&self, source: Source, place: &'static str, now: Instant) -> bool {
        let mut sources = self.sources.lock();
        let counts = sources.entry(source).or_insert(Counts { since: now, lines: 0, left_out: 0, place });
        if now.duration_since(counts.since) >= WINDOW {
            (counts.since, counts.lines) = (now, 0);
        }
        counts.lines += 1;
        let passes = counts.lines <= self.lines_per_second;
        counts.left_out += usize::from(!passes);
        LEFT_OUT.fetch_add(u64::from(!passes), Ordering::Relaxed);
        passes
    }
}

impl<S> Filter<S> for RateLimit {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let mut app = App::default();
        event.record(&mut app);
        let metadata = event.metadata();
        self.count(Source { app: app.0, cause: metadata.callsite() }, metadata.name(), Instant::now())
    }
}

/// The app that a line is about.
#[derive(Default)]
struct App(String);

impl Visit for App {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "app" {
            value.clone_into(&mut self.0);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "app" {
            self.0 = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(app: &str) -> Source {
        Source { app: app.to_owned(), cause: Identifier(&NoCallsite) }
    }

    struct NoCallsite;

    impl tracing::Callsite for NoCallsite {
        fn set_interest(&self, _: tracing::subscriber::Interest) {}

        fn metadata(&self) -> &Metadata<'_> {
            panic!("nobody asks for it")
        }
    }

    #[test]
    fn an_app_that_says_much_does_not_silence_another_one() {
        let limit = RateLimit::new(3);
        let now = Instant::now();
        let passed = |app: &str, now| (0..10).filter(|_| limit.count(source(app), "place", now)).count();
        assert_eq!((passed("loud", now), passed("other", now)), (3, 3));
        assert_eq!(passed("loud", now + WINDOW), 3);
        let mut left_out: Vec<_> = limit.take_left_out().into_iter().map(|out| (out.app, out.lines)).collect();
        left_out.sort();
        assert_eq!(left_out, [("loud".to_owned(), 14), ("other".to_owned(), 7)]);
        assert!(limit.take_left_out().is_empty());
    }
}
