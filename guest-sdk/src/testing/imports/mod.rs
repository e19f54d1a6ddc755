//! The imports of a module, one file for each larger interface of `wit/`, on the state of the host whose
//! call runs. The functions have the signatures of the generated ones.

pub(crate) mod connections;
pub(crate) mod sql;
pub(crate) mod timers;
pub(crate) mod topics;

/// `hassock:host/about`
pub(crate) mod about {
    pub(crate) fn host() -> String {
        crate::testing::HOST_VERSION.to_owned()
    }
}

/// `hassock:host/log`
pub(crate) mod log {
    use crate::log::Level;
    use crate::testing::current::state;

    pub(crate) fn write(level: Level, message: &str) {
        state("log", |state| state.log(level, message));
    }
}

/// `wasi:config/store`
pub(crate) mod store {
    use crate::bindings::wasi::config::store::Error;
    use crate::testing::current::state;

    pub(crate) fn get(key: &str) -> Result<Option<String>, Error> {
        state("settings", |state| Ok(state.settings.get(key).cloned()))
    }

    pub(crate) fn get_all() -> Result<Vec<(String, String)>, Error> {
        state("settings", |state| Ok(state.settings.clone().into_iter().collect()))
    }
}
