//! From a TCP connection to an accepted WebSocket: hyper reads the request, the path names the app, the
//! origin and the module decide.

mod answer;
mod origin;
mod page;
mod routes;
mod upgrade;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::{OnUpgrade, Parts};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub use routes::{Directory, Routes};

use crate::app::Surroundings;
use crate::notices::Notices;
use crate::session::close::Close;
use crate::session::{Opened, Transport};

/// How long an address with too many connections gets to read that it has.
const TURNED_AWAY: Duration = Duration::from_secs(1);

/// How long requests that are under way get when the host stops.
const LAST_REQUESTS: Duration = Duration::from_secs(1);

/// What the listener and all handshakes share.
pub struct Doors {
    directory: ArcSwap<Directory>,
    /// The id of the next connection.
    pub next_id: AtomicU64,
    /// What the apps share; its tasks are those of all connections.
    pub surroundings: Surroundings,
    /// Cancelled when the host takes no more connections.
    pub draining: CancellationToken,
    /// Told when they lead elsewhere, for the listener.
    pub changed: Notify,
    /// What the test page is told.
    pub(crate) notices: Notices,
}

impl Doors {
    /// The doors to some apps, which open one by one as connections come.
    pub fn new(directory: Directory, surroundings: Surroundings) -> Self {
        Self {
            directory: ArcSwap::from_pointee(directory),
            next_id: AtomicU64::new(1),
            surroundings,
            draining: CancellationToken::new(),
            changed: Notify::new(),
            notices: Notices::default(),
        }
    }

    /// Where they lead now.
    pub fn directory(&self) -> Arc<Directory> {
        self.directory.load_full()
    }

    /// Have them lead elsewhere from the next request on.
    pub fn lead_to(&self, directory: Directory) {
        self.directory.store(Arc::new(directory));
        self.changed.notify_one();
    }
}

/// A connection that the module accepted, until hyper lets go of the socket.
struct Pending {
    opened: Opened,
    upgrade: OnUpgrade,
}

/// Serve HTTP until a request becomes a WebSocket. Returns the socket, what was read beyond the request,
/// and the opened connection; none if there was only plain HTTP.
pub async fn serve<S: Transport>(socket: S, peer: SocketAddr, doors: &Arc<Doors>) -> Option<(S, Bytes, Opened)> {
    let accepted: Arc<Mutex<Option<Pending>>> = Arc::default();
    drive_http(socket, peer, doors, &accepted).await;
    let Pending { opened, upgrade } = accepted.lock().take()?;
    match upgrade.await.map(|upgraded| upgraded.downcast::<TokioIo<S>>()) {
        Ok(Ok(Parts { io, read_buf, .. })) => Some((io.into_inner(), read_buf, opened)),
        _ => {
            opened.finish(Close::lost("the client went away during the handshake")).await;
            None
        }
    }
}

/// Boxed, so that an open connection does not keep the room that hyper needs.
async fn drive_http(
    socket: impl Transport,
    peer: SocketAddr,
    doors: &Arc<Doors>,
    accepted: &Arc<Mutex<Option<Pending>>>,
) {
    let service = service_fn(|request| {
        let (doors, accepted) = (Arc::clone(doors), Arc::clone(accepted));
        async move { Ok::<_, Infallible>(upgrade::answer(request, peer, &doors, &accepted).await) }
    });
    let directory = doors.directory();
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        // In a laboratory it is not the time that hyper would write.
        .auto_date_header(doors.surroundings.lab.is_none())
        .header_read_timeout(directory.limits.handshake_timeout.get())
        .max_buf_size(directory.limits.request_head_bytes.bytes())
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    drop(directory);
    let mut http = Box::pin(http);
    let result = tokio::select! {
        result = &mut http => result,
        () = doors.draining.cancelled() => {
            http.as_mut().graceful_shutdown();
            // A request that is half sent is not waited for; an `open` that runs goes on without us.
            timeout(LAST_REQUESTS, http).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = result {
        tracing::debug!(%peer, %error, "a request was cut off");
    }
}

/// Tell a client whose address has too many connections so, without reading what it wants.
pub async fn turn_away(mut socket: TcpStream) {
    let goodbye = async {
        socket.write_all(answer::TOO_MANY_CONNECTIONS.as_bytes()).await?;
        socket.shutdown().await?;
        let mut discarded = [0; 1024];
        while socket.read(&mut discarded).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _ = timeout(TURNED_AWAY, goodbye).await;
}
