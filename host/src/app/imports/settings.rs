//! `wasi:config/store`: the app's own settings.

use crate::app::call::InstanceState;
use crate::module::bindings::wasi::config::store::{Error, Host};

impl Host for InstanceState {
    fn get(&mut self, key: String) -> Result<Option<String>, Error> {
        Ok(self.call.as_ref().and_then(|call| call.setup.config.settings.get(&key).map(|value| value.0.clone())))
    }

    fn get_all(&mut self) -> Result<Vec<(String, String)>, Error> {
        let settings = self.call.as_ref().map(|call| &call.setup.config.settings).into_iter().flatten();
        Ok(settings.map(|(key, value)| (key.clone(), value.0.clone())).collect())
    }
}
