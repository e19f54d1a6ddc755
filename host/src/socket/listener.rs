//! Listening sockets: TCP, Unix, or one that systemd has opened.

use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, UnixListener, UnixSocket, UnixStream};

use super::{Socket, activation};
use crate::config::{ListenAddress, SocketMode};
use crate::request::ClientAddress;

/// Clients of a Unix socket that may wait in the kernel's queue; the kernel has a bound of its own (`net.core.somaxconn`).
const BACKLOG: u32 = 1024;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {reason}")]
pub struct ListenError {
    /// The address.
    pub address: ListenAddress,
    /// What is wrong, and what to do.
    pub reason: String,
}

/// A listening socket.
#[derive(Debug)]
pub enum Listener {
    /// An address and a port.
    Tcp(TcpListener),
    /// A Unix socket, with its file if the host has made it.
    Unix(UnixListener, Option<SocketFile>),
}

impl Listener {
    /// Listen on an address. The path of a Unix socket must be absolute, and its file gets these permissions.
    ///
    /// # Errors
    /// If something else listens there, or the system does not allow it.
    pub async fn bind(address: &ListenAddress, mode: SocketMode) -> Result<Self, ListenError> {
        let bound = match address {
            ListenAddress::Tcp(address) => bind_tcp(*address).await.map(Self::Tcp),
            ListenAddress::Unix(path) => bind_unix_where_free(path, mode).await,
            ListenAddress::Systemd(name) => activation::take(name),
        };
        bound.map_err(|reason| ListenError { address: address.clone(), reason })
    }

    /// The address that it listens on, with the port that the system gave for port 0.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn address(&self) -> io::Result<ListenAddress> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(ListenAddress::Tcp),
            Self::Unix(listener, _) => {
                let address = listener.local_addr()?;
                Ok(ListenAddress::Unix(address.as_pathname().unwrap_or(Path::new("")).to_owned()))
            }
        }
    }

    /// The next connection, and where it comes from.
    ///
    /// # Errors
    /// As accept(2).
    pub async fn accept(&self) -> io::Result<(Socket, ClientAddress)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // The host writes complete messages, so waiting for more data before sending would only add latency.
                stream.set_nodelay(true)?;
                Ok((Socket::Tcp(stream), ClientAddress::Socket(peer)))
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                let user = stream.peer_cred()?.uid();
                Ok((Socket::Unix(stream), ClientAddress::Local { user }))
            }
        }
    }
}

async fn bind_tcp(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => "another program listens there".to_owned(),
        io::ErrorKind::PermissionDenied => {
            format!("{error}; for a port below 1024, give the program CAP_NET_BIND_SERVICE, or use another port")
        }
        _ => error.to_string(),
    })
}

async fn bind_unix_where_free(path: &Path, mode: SocketMode) -> Result<Listener, String> {
    remove_stale(path).await?;
    let (listener, file) = bind_unix(path, mode).map_err(|error| error.to_string())?;
    Ok(Listener::Unix(listener, Some(file)))
}

/// Remove the socket that a killed host left behind. A socket in use is not removed, and neither is any other
/// file. (Two hosts that start at the same moment may both find a dead socket; the second one then replaces that of the
/// first.)
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
fn bind_unix(path: &Path, mode: SocketMode) -> io::Result<(UnixListener, SocketFile)> {
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    let metadata = fs::symlink_metadata(path)?;
    let file = SocketFile { path: path.to_owned(), identity: (metadata.dev(), metadata.ino()) };
    fs::set_permissions(path, Permissions::from_mode(mode.0))?;
    Ok((socket.listen(BACKLOG)?, file))
}

/// The file of a Unix socket. It is removed when this is dropped, unless another file has replaced it.
#[derive(Debug)]
pub struct SocketFile {
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
