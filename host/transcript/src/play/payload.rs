//! What a step does: `${NAME}` in it stands for what was captured.

use crate::backend::{BackendError, Connect};
use crate::compare::{Captures, fill, fill_message};

/// The text of a message.
///
/// # Errors
/// If nothing was captured under a name.
pub(super) fn message(text: &str, captures: &Captures) -> Result<String, String> {
    fill_message(text, captures)
}

/// A request with what was captured in its target and its header fields.
///
/// # Errors
/// If what was captured cannot stand there.
pub(super) fn request(connect: &Connect, captures: &Captures) -> Result<Connect, BackendError> {
    let filled = |text: &str| fill(text, captures).map_err(BackendError);
    let target = filled(&connect.target)?;
    if let Some(char) = target.chars().find(|char| !char.is_ascii_graphic() || *char == '#') {
        let char = char.escape_debug();
        return Err(BackendError(format!(
            "`{char}` cannot stand in the path of a request; what was captured has to be encoded as paths are"
        )));
    }
    let headers = connect.headers.iter().map(|(name, value)| Ok((name.clone(), filled(value)?)));
    let headers = headers.collect::<Result<_, BackendError>>()?;
    let speaks = connect.speaks.as_ref().map(|since| {
        since
            .iter()
            .map(|(topic, position)| Ok((filled(topic)?, filled(position)?)))
            .collect::<Result<_, BackendError>>()
    });
    Ok(Connect { target, headers, id: connect.id, speaks: speaks.transpose()?, resume: None })
}

/// A statement.
///
/// # Errors
/// If nothing was captured under a name.
pub(super) fn statement(statement: &str, captures: &Captures) -> Result<String, BackendError> {
    fill(statement, captures).map_err(BackendError)
}
