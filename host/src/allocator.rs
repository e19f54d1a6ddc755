//! The settings of the memory allocator.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The environment variable that glibc reads when a program starts.
const TUNABLES: &str = "GLIBC_TUNABLES";

/// Says that the program was started again. A program with more rights than its user may not see what glibc reads.
const SETTLED: &str = "HASSOCK_ALLOCATOR_SETTLED";

/// Bytes from which memory is mapped on its own and returned to the system when it is freed, and bytes of free memory that
/// stay with the program. By default glibc raises both up to 64 MiB when large memory is freed, so that a host in which
/// many large messages waited at the same time would keep their memory for good.
const SETTINGS: &str = "glibc.malloc.mmap_threshold=262144:glibc.malloc.trim_threshold=1048576";

/// Start this program again with settings for a server, unless the environment has settings of the allocator. glibc reads
/// them only when a program starts. The process stays the same; another libc ignores them.
pub(crate) fn settle() {
    let own = env::var(TUNABLES).unwrap_or_default();
    if env::var_os(SETTLED).is_some() || own.contains("glibc.malloc.") {
        return;
    }
    let Ok(program) = env::current_exe() else { return };
    let both = if own.is_empty() { SETTINGS.to_owned() } else { format!("{own}:{SETTINGS}") };
    let mut arguments = env::args_os();
    let mut again = Command::new(program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    // This returns only if it fails, and the program can do without.
    let error = again.args(arguments).env(TUNABLES, both).env(SETTLED, "1").exec();
    eprintln!("the settings of the memory allocator stay as they are: {error}");
}
