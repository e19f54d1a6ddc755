//! The imports of a module, one file for each larger interface of `wit/`, on the state of the host that runs the
//! current call. The functions have the signatures of those in `host/component.rs`.

pub(crate) mod connections;
pub(crate) mod sql;
pub(crate) mod timers;
pub(crate) mod topics;

/// `packed-handler`, which no test calls: a [`MockHost`](crate::testing::MockHost) passes each message on at once.
pub(crate) mod packed {
    use crate::MessageRef;

    pub(crate) fn messages(_: &[u8]) -> impl Iterator<Item = MessageRef<'_>> {
        std::iter::empty()
    }
}

/// As [`packed`].
pub(crate) mod replies {
    pub(crate) fn collect(
        _: u64,
        _: usize,
        _: u32,
        call: impl FnOnce() -> Result<(), String>,
    ) -> Result<Vec<u8>, String> {
        call().map(|()| Vec::new())
    }

    pub(crate) fn flush_on_panic() {}
}

/// `hassock:host/about`
pub(crate) mod about {
    pub(crate) fn host() -> String {
        crate::testing::HOST_VERSION.to_owned()
    }
}

/// `hassock:host/log`
pub(crate) mod log {
    pub(crate) use crate::testing::current::log as write;
}

/// `wasi:config/store`
pub(crate) mod settings {
    use crate::testing::current::state;

    pub(crate) fn get(key: &str) -> Result<Option<String>, String> {
        state("settings", |state| Ok(state.settings.get(key).cloned()))
    }

    pub(crate) fn all() -> Result<Vec<(String, String)>, String> {
        state("settings", |state| Ok(state.settings.clone().into_iter().collect()))
    }
}
