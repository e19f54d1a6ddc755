//! Sockets that systemd has opened and passed on, see sd_listen_fds(3).

use std::env;
use std::sync::LazyLock;

use listenfd::ListenFd;
use parking_lot::Mutex;
use tokio::net::{TcpListener, UnixListener};

use super::Listener;

static INHERITED: LazyLock<Mutex<Inherited>> = LazyLock::new(|| Mutex::new(Inherited::from_environment()));

/// What this process was started with, as long as nobody has taken it.
struct Inherited {
    sockets: ListenFd,
    names: String,
}

impl Inherited {
    fn from_environment() -> Self {
        // Before `from_env`, which removes variables.
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        Self { sockets: ListenFd::from_env(), names }
    }
}

/// Take note of the sockets, before other threads exist: the variables that describe them are removed from the environment, so
/// that processes which this one starts do not take the sockets for theirs.
pub(crate) fn note_inherited() {
    LazyLock::force(&INHERITED);
}

/// Take the socket of a name.
pub(super) fn take(name: &str) -> Result<Listener, String> {
    let Inherited { sockets, names } = &mut *INHERITED.lock();
    if sockets.len() == 0 {
        return Err("systemd has passed no sockets; start the host through a `.socket` unit".to_owned());
    }
    let mut places = names.split(':').enumerate().filter(|(_, known)| *known == name).map(|(place, _)| place);
    let Some(place) = places.next() else {
        return Err(format!(
            "systemd has passed no socket of that name, but `{names}`; set `FileDescriptorName={name}` in the `.socket` unit"
        ));
    };
    if places.next().is_some() {
        return Err(format!(
            "systemd has passed several sockets of the name `{name}`, and clients of all but one would wait for ever; give each \
             `ListenStream=` a `.socket` unit with a `FileDescriptorName=` of its own"
        ));
    }
    let error = |error: std::io::Error| error.to_string();
    // What is not a socket of TCP stays where it is.
    if let Ok(Some(listener)) = sockets.take_tcp_listener(place) {
        listener.set_nonblocking(true).map_err(error)?;
        return TcpListener::from_std(listener).map(Listener::Tcp).map_err(error);
    }
    let listener = sockets.take_unix_listener(place).map_err(error)?;
    let listener = listener.ok_or("another listener uses the socket already")?;
    listener.set_nonblocking(true).map_err(error)?;
    UnixListener::from_std(listener).map(|listener| Listener::Unix(listener, None)).map_err(error)
}
