//! A set of keys at an address: fetched when a token needs it, once for all that wait, and kept.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use jsonwebtoken::{Algorithm, DecodingKey};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::error::AuthError;
use super::jwk;
use super::keys::{Key, is_same};
use crate::http_client::{Authorities, HttpError, exchange};

/// The least time between two fetches, except at the end of `jwks_keep`: anybody can make tokens with key ids that do not exist.
const PAUSE: Duration = Duration::from_secs(30);

/// The same, as long as no keys are known: nobody gets in until they are.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// A set of keys at an address.
pub(super) struct Jwks {
    pub(super) app: String,
    pub(super) url: Uri,
    pub(super) authorities: Authorities,
    /// How long a set counts.
    pub(super) keep: Duration,
    /// How long a fetch may take.
    pub(super) timeout: Duration,
    /// Bytes that a set may have.
    pub(super) most: usize,
    /// Shared with the one that comes after a change of the config.
    pub(super) state: Arc<Mutex<State>>,
}

#[derive(Default)]
pub(super) struct State {
    /// The set that was fetched last.
    keys: Vec<Key>,
    /// When that was; none if it was never.
    fetched: Option<Instant>,
    /// Keys of sets before it, and until when they count.
    retired: Vec<(Key, Instant)>,
    /// When the last fetch began.
    attempted: Option<Instant>,
    /// The last fetch has failed, which is in the log.
    is_down: bool,
    /// The fetch that runs: its other end is dropped when it is done.
    running: Option<watch::Receiver<()>>,
}

impl Jwks {
    /// The keys that may have signed a token, never none.
    ///
    /// # Errors
    /// If there is none, or if no keys could be fetched so far.
    pub(super) async fn keys(
        self: &Arc<Self>,
        algorithm: Algorithm,
        id: Option<&str>,
    ) -> Result<Vec<DecodingKey>, AuthError> {
        let (is_due, is_usable) = {
            let (state, now) = (self.state.lock(), Instant::now());
            (state.is_due(now, self.keep), state.is_recent(now, self.keep) && !state.known(algorithm, id).is_empty())
        };
        if is_due {
            let running = self.fetch_once();
            // A server that hangs keeps nobody waiting whose key is known.
            if !is_usable {
                ended(running).await;
            }
        }
        let mut found = self.state.lock().known(algorithm, id);
        if found.is_empty() && self.state.lock().may_fetch(Instant::now()) {
            ended(self.fetch_once()).await;
            found = self.state.lock().known(algorithm, id);
        }
        match (found.is_empty(), self.state.lock().fetched) {
            (false, _) => Ok(found),
            (true, Some(_)) => Err(AuthError::UnknownKey),
            (true, None) => Err(AuthError::NoKeys),
        }
    }

    /// Fetch the set, unless that is happening. All who come at the same time get the same fetch, which is a task of its own: a
    /// client that goes away does not end it.
    fn fetch_once(self: &Arc<Self>) -> watch::Receiver<()> {
        let mut state = self.state.lock();
        // One whose other end is gone has ended without a result.
        if let Some(running) = state.running.as_ref().filter(|running| running.has_changed().is_ok()) {
            return running.clone();
        }
        let (done, running) = watch::channel(());
        (state.running, state.attempted) = (Some(running.clone()), Some(Instant::now()));
        let jwks = Arc::clone(self);
        tokio::spawn(async move {
            let fetched = jwks.fetch().await;
            jwks.note(fetched);
            drop(done);
        });
        running
    }

    async fn fetch(&self) -> Result<Vec<Key>, HttpError> {
        let request = Request::get(&self.url).header(header::ACCEPT, "application/jwk-set+json, application/json");
        let exchanged = timeout(self.timeout, exchange(request.body(Bytes::new())?, &self.authorities, self.most));
        let answer = exchanged.await.map_err(|_| "no answer came within `jwks_timeout`")??;
        if answer.status() != StatusCode::OK {
            return Err(format!("the answer is {}", answer.status()).into());
        }
        Ok(jwk::read(answer.body())?)
    }

    fn note(&self, fetched: Result<Vec<Key>, HttpError>) {
        let mut state = self.state.lock();
        state.running = None;
        let (app, url) = (&self.app, &self.url);
        match fetched {
            Ok(keys) => {
                let known = keys.len();
                state.replace(keys, Instant::now(), self.keep);
                if std::mem::take(&mut state.is_down) {
                    tracing::info!(app, %url, keys = known, "the keys of tokens can be fetched again");
                }
            }
            // One line for each time that the server is away.
            Err(error) if !std::mem::replace(&mut state.is_down, true) => {
                let keys = state.keys.len();
                tracing::warn!(app, %url, keys, %error, "the keys of tokens cannot be fetched; those that are known go on counting");
            }
            Err(_) => {}
        }
    }
}

/// Wait until a fetch has ended, whatever came of it.
async fn ended(mut running: watch::Receiver<()>) {
    // An error: the task has ended.
    let _ = running.changed().await;
}

impl State {
    /// Whether the set may be used while it is fetched again. After a longer time, a key may have been taken out long ago.
    fn is_recent(&self, now: Instant, keep: Duration) -> bool {
        self.fetched.is_some_and(|fetched| now - fetched < 2 * keep)
    }

    /// Whether the set is to be fetched, or its fetch waited for, before it is used.
    fn is_due(&self, now: Instant, keep: Duration) -> bool {
        match self.fetched {
            Some(fetched) => now - fetched >= keep && (!self.is_down || self.may_begin(now, PAUSE)),
            None => self.may_begin(now, FIRST_PAUSE),
        }
    }

    /// Whether a token with an unknown key may have the set fetched.
    fn may_fetch(&self, now: Instant) -> bool {
        self.fetched.is_some() && self.may_begin(now, PAUSE)
    }

    fn may_begin(&self, now: Instant, pause: Duration) -> bool {
        self.running.is_some() || self.attempted.is_none_or(|attempted| now - attempted >= pause)
    }

    fn known(&self, algorithm: Algorithm, id: Option<&str>) -> Vec<DecodingKey> {
        let now = Instant::now();
        let retired = self.retired.iter().filter(|(_, until)| *until > now).map(|(key, _)| key);
        let fitting = self.keys.iter().chain(retired).filter(|key| key.fits(algorithm, id));
        fitting.map(|key| key.key.clone()).collect()
    }

    /// Use another set. Keys that are not in it any more count for as long once more as they would have anyway.
    fn replace(&mut self, keys: Vec<Key>, now: Instant, keep: Duration) {
        let old = std::mem::replace(&mut self.keys, keys);
        let until = self.fetched.map_or(now, |fetched| fetched + 2 * keep);
        let gone = old.into_iter().map(|key| (key, until));
        let all: Vec<_> = self.retired.drain(..).chain(gone).collect();
        let is_current = |key: &Key| self.keys.iter().any(|current| is_same(current, key));
        self.retired = all.into_iter().filter(|(key, until)| *until > now && !is_current(key)).collect();
        self.fetched = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::KeyKind;
    use super::*;

    const KEEP: Duration = Duration::from_secs(600);

    fn key(id: &str) -> Key {
        let key = DecodingKey::from_ed_der(id.as_bytes());
        Key { id: Some(id.to_owned()), kind: KeyKind::Ed25519, only: None, key }
    }

    impl State {
        fn knows(&self, id: &str) -> bool {
            !self.known(Algorithm::EdDSA, Some(id)).is_empty()
        }

        /// A fetch begins and ends now.
        fn fetch(&mut self, ids: &[&str]) {
            self.attempted = Some(Instant::now());
            self.is_down = false;
            self.replace(ids.iter().map(|id| key(id)).collect(), Instant::now(), KEEP);
        }

        fn fail(&mut self) {
            (self.attempted, self.is_down) = (Some(Instant::now()), true);
        }

        fn is_due_now(&self) -> bool {
            self.is_due(Instant::now(), KEEP)
        }
    }

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn keys_that_are_gone_count_once_more() {
        let mut state = State::default();
        state.fetch(&["a", "b"]);
        pass(600).await;
        state.fetch(&["b", "c"]);
        assert!(state.knows("a") && state.knows("b") && state.knows("c"));
        assert_eq!(state.retired.len(), 1, "only the one that is gone");
        pass(599).await;
        assert!(state.knows("a"));
        pass(1).await;
        assert!(!state.knows("a") && state.knows("b"));
        // Back again, and gone again.
        state.fetch(&["a"]);
        assert_eq!(state.retired.iter().filter(|(key, _)| key.id.as_deref() == Some("b")).count(), 1);
        state.fetch(&["b", "c"]);
        for _ in 0..100 {
            state.fetch(&["b", "c"]);
        }
        assert!(state.retired.len() <= 2, "{}", state.retired.len());
    }

    /// Nobody came for a long time, in which a key was taken out because it was stolen.
    #[tokio::test(start_paused = true)]
    async fn a_key_that_was_taken_out_long_ago_counts_no_more() {
        let mut state = State::default();
        state.fetch(&["stolen"]);
        assert!(state.is_recent(Instant::now(), KEEP));
        pass(1199).await;
        assert!(state.is_due_now() && state.is_recent(Instant::now(), KEEP));
        pass(1).await;
        assert!(!state.is_recent(Instant::now(), KEEP), "the set is waited for");
        state.fetch(&["new"]);
        assert!(!state.knows("stolen") && state.knows("new"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_unknown_key_has_the_set_fetched_at_most_every_thirty_seconds() {
        let mut state = State::default();
        assert!(!state.may_fetch(Instant::now()), "it is due anyway");
        state.fetch(&["a"]);
        let mut fetches = 0;
        for _ in 0..300 {
            pass(1).await;
            if state.may_fetch(Instant::now()) {
                state.fetch(&["a"]);
                fetches += 1;
            }
        }
        assert_eq!(fetches, 10);
        // Whoever comes meanwhile waits for the fetch that runs.
        state.running = Some(watch::channel(()).1);
        assert!(state.may_fetch(Instant::now()) && !state.is_due_now());
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_down_is_not_asked_by_each_client() {
        let mut state = State::default();
        assert!(state.is_due_now());
        state.fail();
        assert!(!state.is_due_now());
        pass(2).await;
        assert!(state.is_due_now(), "nobody gets in without keys");
        state.fetch(&["a"]);
        pass(599).await;
        assert!(!state.is_due_now());
        pass(1).await;
        assert!(state.is_due_now());
        state.fail();
        assert!(state.knows("a"));
        pass(29).await;
        assert!(!state.is_due_now());
        pass(1).await;
        assert!(state.is_due_now());
    }
}
