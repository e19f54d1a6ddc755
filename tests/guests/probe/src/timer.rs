//! Timers, of the connection or of the app.

use std::time::Duration;

use hassock_sdk::prelude::*;
use serde::Deserialize;
use serde_json::{Value as Any, json};

#[derive(Deserialize)]
pub struct Command {
    name: String,
    after_ms: u64,
    every_ms: Option<u64>,
    #[serde(default)]
    if_absent: bool,
    text: String,
}

impl Command {
    pub fn set_for(&self, connection: Connection) -> Result<Any> {
        Ok(match self.if_absent {
            true => json!(connection.set_timer_if_absent(&self.name, self.schedule(), &self.text)?),
            false => json!(connection.set_timer(&self.name, self.schedule(), &self.text)?),
        })
    }

    pub fn set(&self) -> Result<Any> {
        Ok(match self.if_absent {
            true => json!(timers::set_if_absent(&self.name, self.schedule(), &self.text)?),
            false => json!(timers::set(&self.name, self.schedule(), &self.text)?),
        })
    }

    fn schedule(&self) -> Schedule {
        let first = Schedule::after(Duration::from_millis(self.after_ms));
        self.every_ms.map_or(first, |every| first.then_every(Duration::from_millis(every)))
    }
}
