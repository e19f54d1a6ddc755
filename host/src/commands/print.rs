//! Standard output.

use std::io::{self, Write};

/// Print. Whoever reads it may have seen enough, as `head` has: that is no reason not to go on.
pub(super) fn print(text: impl AsRef<str>) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_ref().as_bytes()).and_then(|()| stdout.flush());
}

/// Print a line.
pub(super) fn print_line(text: impl AsRef<str>) {
    print(format!("{}\n", text.as_ref()));
}
