//! A client of `hassock.v1` sends another token, so that its connection outlives the one that it has.

use super::run::Session;
use super::spoken::Refused;
use crate::app::connection::{Close, Opened};
use crate::auth::{AuthError, Verified};
use crate::client_protocol::{ClientToken, ToClient};
use crate::socket::Transport;

impl<S: Transport> Session<'_, S> {
    pub(super) async fn refresh(&mut self, request: u64, token: &ClientToken) -> Result<(), Close> {
        let Opened { app, connection, .. } = self.opened;
        let Some(authenticator) = app.setup().auth.clone() else {
            self.refuse(request, Refused::NotSupported("the application demands no tokens"));
            return Ok(());
        };
        let mut verified = None;
        let asked = self.ask(async {
            // The keys may have to be fetched.
            verified = Some(authenticator.verify(token.expose(), || app.context.now()).await);
            Ok(())
        });
        let ended = asked.await;
        let in_use = connection.token.as_deref();
        let replaced = verified.unwrap_or(Err(AuthError::Missing)).and_then(|verified: Verified| {
            let in_use = in_use.ok_or(AuthError::Subject)?;
            in_use.replace(&verified)?;
            Ok(in_use.expires())
        });
        // It may expire before the alarm.
        self.set_alarm(self.alarm.deadline());
        match replaced {
            Ok(expires) => {
                let outbox = &connection.outbox;
                let told = outbox.push_spoken(ToClient::Token { request, expires }.encoded());
                told.unwrap_or_else(|error| outbox.fail(error));
            }
            Err(error) => self.refuse(request, Refused::Token(error)),
        }
        ended
    }
}
