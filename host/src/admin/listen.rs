//! The socket of the admin listener, TCP or Unix, and the tasks that serve its connections.

use std::convert::Infallible;
use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixSocket, UnixStream};
use tokio::sync::{Notify, Semaphore};
use tokio::time::sleep;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::api::Api;
use super::response::Streaming;
use crate::config::{AdminAddress, AdminConfig};

/// Buffer for the head of a request, and for each part of a module that is read.
const BUFFER_BYTES: usize = 64 << 10;

/// How long requests that are in progress may continue when the host stops.
const LAST_REQUESTS: Duration = Duration::from_secs(1);

/// How long to wait when the process has no file descriptor left: others have to close first.
const OUT_OF_HANDLES: Duration = Duration::from_millis(100);

/// Clients that may wait in the kernel's queue.
const BACKLOG: u32 = 64;

/// Only the host's user may connect to the Unix socket, as only that user may read the token file.
const SOCKET_MODE: u32 = 0o600;

type Stream = Either<TcpStream, UnixStream>;

/// A listening socket.
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

impl Listener {
    /// Listen on an address.
    pub(super) async fn bind(address: &AdminAddress) -> Result<Self, String> {
        match address {
            AdminAddress::Tcp(address) => bind_tcp(*address).await.map(Self::Tcp),
            AdminAddress::Unix(path) => {
                remove_stale(path).await?;
                let (listener, file) = bind_unix(path).map_err(|error| error.to_string())?;
                Ok(Self::Unix(listener, file))
            }
        }
    }

    /// The address that it listens on.
    pub(super) fn address(&self) -> io::Result<AdminAddress> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(AdminAddress::Tcp),
            Self::Unix(_, file) => Ok(AdminAddress::Unix(file.path.clone())),
        }
    }

    async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(stream, _)| Either::Left(stream)),
            Self::Unix(listener, _) => listener.accept().await.map(|(stream, _)| Either::Right(stream)),
        }
    }
}

async fn bind_tcp(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => "another program listens there".to_owned(),
        _ => error.to_string(),
    })
}

/// Remove the socket that a killed host left behind. A socket in use is not removed, and neither is any other
/// file. (Two hosts that start with the same config at the same moment may both find a dead socket; their
/// client listeners then conflict too.)
async fn remove_stale(path: &Path) -> Result<(), String> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.to_string()),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err("there is a file that is not a socket; remove it".to_owned());
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err("another host listens there".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            tracing::debug!(path = %path.display(), "removed the socket of a host that no longer runs");
            fs::remove_file(path)
                .map_err(|error| format!("cannot remove the socket of a host that no longer runs: {error}"))
        }
        Err(error) => Err(format!("there is a socket that cannot be checked: {error}")),
    }
}

/// Nobody can connect before `listen`, and the permissions are set before that.
fn bind_unix(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    let metadata = fs::symlink_metadata(path)?;
    let file = SocketFile { path: path.to_owned(), identity: (metadata.dev(), metadata.ino()) };
    fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE))?;
    Ok((socket.listen(BACKLOG)?, file))
}

/// The file of a Unix socket. It is removed when this is dropped, unless another file has replaced it.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = |metadata: &fs::Metadata| (metadata.dev(), metadata.ino()) == self.identity;
        if fs::symlink_metadata(&self.path).is_ok_and(|metadata| is_ours(&metadata)) {
            // If this fails, the next host removes it as stale.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Accept connections until the listener stops. Each needs a permit and is served by its own task.
pub(super) async fn listen(
    listener: Listener,
    api: Arc<Api>,
    config: AdminConfig,
    stopping: CancellationToken,
    tasks: TaskTracker,
) {
    let permits = Arc::new(Semaphore::new(config.max_connections));
    loop {
        let accepted = tokio::select! {
            () = stopping.cancelled() => return,
            accepted = async {
                let permit = Arc::clone(&permits).acquire_owned().await.map_err(io::Error::other)?;
                Ok::<_, io::Error>((listener.accept().await?, permit))
            } => accepted,
        };
        match accepted {
            Ok((stream, permit)) => {
                let (api, stopping, limit) = (Arc::clone(&api), stopping.clone(), config.request_timeout.get());
                tasks.spawn(async move {
                    serve(stream, &api, limit, &stopping).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection to the admin listener");
                sleep(OUT_OF_HANDLES).await;
            }
        }
    }
}

/// One request per connection: the bounds of a connection are then those of its request.
async fn serve(stream: Stream, api: &Arc<Api>, limit: Duration, stopping: &CancellationToken) {
    let responded = Arc::new(Notify::new());
    let service = service_fn(|request| {
        let (api, responded) = (Arc::clone(api), Arc::clone(&responded));
        async move {
            let response = api.respond(request).await;
            match response.extensions().get::<Streaming>().cloned() {
                None => responded.notify_one(),
                // The time to read it counts from its end. The token is cancelled however it ends.
                Some(Streaming(ended)) => drop(tokio::spawn(async move {
                    ended.cancelled().await;
                    responded.notify_one();
                })),
            }
            Ok::<_, Infallible>(response)
        }
    });
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limit)
        .max_buf_size(BUFFER_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut http = Box::pin(http);
    let deadline = async {
        tokio::select! {
            // A client that does not read the response must not keep its permit.
            () = async { responded.notified().await; sleep(limit).await } => {}
            () = async { stopping.cancelled().await; sleep(LAST_REQUESTS).await } => {}
        }
    };
    let result = tokio::select! {
        result = &mut http => result,
        () = deadline => Ok(()),
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a request to the admin listener was cut off");
    }
}
