//! What a step does: `${NAME}` in it stands for what was captured.

use super::super::compare::{Captures, fill, fill_message};
use super::super::format::Connect;
use super::super::stage::StageError;

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
pub(super) fn request(connect: &Connect, captures: &Captures) -> Result<Connect, StageError> {
    let filled = |text: &str| fill(text, captures).map_err(StageError);
    let target = filled(&connect.target)?;
    if let Some(char) = target.chars().find(|char| !char.is_ascii_graphic() || *char == '#') {
        let char = char.escape_debug();
        return Err(StageError(format!(
            "`{char}` cannot stand in the path of a request; what was captured has to be encoded as paths are"
        )));
    }
    let headers = connect.headers.iter().map(|(name, value)| Ok((name.clone(), filled(value)?)));
    let headers = headers.collect::<Result<_, StageError>>()?;
    Ok(Connect { target, headers, ..connect.clone() })
}

/// A statement.
///
/// # Errors
/// If nothing was captured under a name.
pub(super) fn statement(statement: &str, captures: &Captures) -> Result<String, StageError> {
    fill(statement, captures).map_err(StageError)
}
