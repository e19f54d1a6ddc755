//! Standard output.

use std::io::{self, Write};

/// Print. The reader may have closed its end, as `head` does when it has seen enough: the command goes on.
pub(super) fn print(text: impl AsRef<str>) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_ref().as_bytes()).and_then(|()| stdout.flush());
}

/// Print a line.
pub(super) fn print_line(text: impl AsRef<str>) {
    print(format!("{}\n", text.as_ref()));
}
