//! The socket of the admin listener, TCP or Unix, and what serves its connections.

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

use super::answer::Lasting;
use super::api::Api;
use crate::config::{AdminAddress, AdminConfig};

/// Room for the head of a request, and for each piece of a module that is read.
const BUFFER_BYTES: usize = 64 << 10;

/// How long requests that are under way get when the host stops.
const LAST_REQUESTS: Duration = Duration::from_secs(1);

/// How long to wait when the process has no file handle left: others have to close first.
const OUT_OF_HANDLES: Duration = Duration::from_millis(100);

/// Clients that may wait in the kernel's queue.
const BACKLOG: u32 = 64;

/// Who may connect to the Unix socket: the user of the host, as the token's file says too.
const SOCKET_MODE: u32 = 0o600;

type Stream = Either<TcpStream, UnixStream>;

/// A socket that is listened on.
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

    /// Where it listens.
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

/// A host that was killed leaves its socket behind. One that somebody listens on stays, and so does any
/// other file. (Of two hosts that start with one config at the very same moment, both may see a dead socket;
/// the sockets of their clients are in each other's way then too.)
async fn remove_stale(path: &Path) -> Result<(), String> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.to_string()),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err("there is a file that is no socket; remove it".to_owned());
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err("another host listens there".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            tracing::debug!(path = %path.display(), "removed the socket of a host that is gone");
            fs::remove_file(path).map_err(|error| format!("cannot remove the socket of a host that is gone: {error}"))
        }
        Err(error) => Err(format!("there is a socket that cannot be looked at: {error}")),
    }
}

/// Nobody can connect before `listen`, so that nobody can before the permissions are set.
fn bind_unix(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    let metadata = fs::symlink_metadata(path)?;
    let file = SocketFile { path: path.to_owned(), identity: (metadata.dev(), metadata.ino()) };
    fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE))?;
    Ok((socket.listen(BACKLOG)?, file))
}

/// The file of a Unix socket, removed in the end, unless somebody has put another in its place.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = |metadata: &fs::Metadata| (metadata.dev(), metadata.ino()) == self.identity;
        if fs::symlink_metadata(&self.path).is_ok_and(|metadata| is_ours(&metadata)) {
            // What is left behind is found stale by the next host.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Accept connections until the listener stops, each under a permit and served by a task of its own.
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

/// One request a connection: so that the bounds of a request are those of its connection.
async fn serve(stream: Stream, api: &Arc<Api>, limit: Duration, stopping: &CancellationToken) {
    let answered = Arc::new(Notify::new());
    let service = service_fn(|request| {
        let (api, answered) = (Arc::clone(api), Arc::clone(&answered));
        async move {
            let answer = api.answer(request).await;
            match answer.extensions().get::<Lasting>().cloned() {
                None => answered.notify_one(),
                // The time to take it counts from its end. However it ends, the token is cancelled.
                Some(Lasting(ended)) => drop(tokio::spawn(async move {
                    ended.cancelled().await;
                    answered.notify_one();
                })),
            }
            Ok::<_, Infallible>(answer)
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
            // Somebody who does not read the answer must not hold the place.
            () = async { answered.notified().await; sleep(limit).await } => {}
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
