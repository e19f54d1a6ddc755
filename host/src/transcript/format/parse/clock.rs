//! Time and chance: `seed`, `clock`, `advance`.

use std::time::Duration;

use super::super::model::{Action, Transcript};
use super::ParseError;
use super::block::Block;
use super::cursor::Cursor;

/// A year that nobody waits for is a slip; a timer that is set further ahead cannot be tested otherwise, though.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// After `seed`.
pub(super) fn seed(block: &Block<'_>, mut cursor: Cursor<'_>, into: &mut Transcript) -> Result<(), ParseError> {
    expect_beginning(block, "seed", into.seed.is_some(), into)?;
    cursor.skip_blanks();
    let here = cursor;
    let word = cursor.word();
    let seed =
        digits(word).ok_or_else(|| here.error(format!("expected a number from 0 to {} after `seed`", u64::MAX)))?;
    cursor.expect_end("the seed")?;
    into.seed = Some(seed);
    Ok(())
}

/// After `clock`.
pub(super) fn clock(block: &Block<'_>, mut cursor: Cursor<'_>, into: &mut Transcript) -> Result<(), ParseError> {
    expect_beginning(block, "clock", into.clock.is_some(), into)?;
    cursor.skip_blanks();
    cursor.expect_no_comment()?;
    let time = humantime::parse_rfc3339(cursor.rest()).map_err(|error| {
        cursor.error(format!("expected a time such as `2026-01-31T12:00:00Z` after `clock`, from 1970 on: {error}"))
    })?;
    into.clock = Some(time);
    Ok(())
}

fn expect_beginning(block: &Block<'_>, word: &str, again: bool, so_far: &Transcript) -> Result<(), ParseError> {
    if again {
        return Err(block.head.error(format!("a second `{word}`; a transcript has at most one")));
    }
    if !so_far.steps.is_empty() {
        return Err(block
            .head
            .error(format!("`{word}` comes before the first step, because it holds for all of them")));
    }
    block.expect_one_line(&format!("`{word}`"))
}

/// After `advance`.
pub(super) fn advance(mut cursor: Cursor<'_>) -> Result<Action, ParseError> {
    cursor.skip_blanks();
    cursor.expect_no_comment()?;
    let time = humantime::parse_duration(cursor.rest()).map_err(|error| {
        cursor.error(format!("expected a time such as `30s`, `250ms` or `1h 30m` after `advance`: {error}"))
    })?;
    if time.is_zero() || time > LONGEST {
        return Err(cursor.error("expected more than no time, and at most `365days`, after `advance`"));
    }
    Ok(Action::Advance(time))
}

/// A number without sign.
pub(super) fn digits(word: &str) -> Option<u64> {
    let plain = word.bytes().all(|byte| byte.is_ascii_digit());
    word.parse().ok().filter(|_| plain)
}
