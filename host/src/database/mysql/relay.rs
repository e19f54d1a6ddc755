//! Carries the bytes of one session between the driver and the server, and counts those of each answer.
//!
//! The driver reads a row as a whole before the host learns its size, and offers no hook for its socket. So it connects to
//! a socket of the host, and a task carries the bytes on. The task does not read the protocol, which may be encrypted:
//! whatever the server sends until the driver sends something again is one answer.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sqlx::ConnectOptions;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio_util::task::AbortOnDropHandle;

/// Bytes that are carried at once.
const PIECE: usize = 16 * 1024;

/// The task of one session. It ends with the session.
pub(super) struct Relay {
    task: AbortOnDropHandle<()>,
    answer: Arc<Answer>,
}

/// What the server has sent since the driver has sent something.
struct Answer {
    bytes: AtomicU64,
    most: u64,
    is_too_large: AtomicBool,
}

impl Relay {
    /// Connect the driver to the server. The session is cut off when an answer has more than `most` bytes.
    ///
    /// # Errors
    /// What the system or the driver says.
    pub(super) async fn connect(
        options: &MySqlConnectOptions,
        most: u64,
    ) -> Result<(MySqlConnection, Self), sqlx::Error> {
        // Only the host's user may look into this folder.
        let folder = tempfile::Builder::new().prefix("hassock-").tempdir()?;
        let path = folder.path().join("mysql");
        let listener = UnixListener::bind(&path)?;
        let server = Server::connect(options).await?;
        let answer = Arc::new(Answer::new(most));
        let counted = Arc::clone(&answer);
        let task = tokio::spawn(async move {
            let accepted = listener.accept().await;
            drop((listener, folder));
            if let Ok((driver, _)) = accepted {
                server.carry(driver, &counted).await;
            }
        });
        let relay = Self { task: AbortOnDropHandle::new(task), answer };
        // The name of the host stays in the options: TLS compares it with the certificate.
        let connection = options.clone().socket(path).connect().await?;
        Ok((connection, relay))
    }

    /// Whether the session was cut off because of an answer.
    pub(super) fn is_cut_off(&self) -> bool {
        self.answer.is_too_large.load(Ordering::Relaxed)
    }

    /// Wait until the server has closed its side too, after the driver has closed the session.
    pub(super) async fn end(self) {
        // It is only aborted when it is dropped.
        let _ = self.task.await;
    }
}

impl Answer {
    fn new(most: u64) -> Self {
        Self { bytes: AtomicU64::new(0), most, is_too_large: AtomicBool::new(false) }
    }

    fn begin(&self) {
        self.bytes.store(0, Ordering::Relaxed);
    }

    /// False if the answer is too large with these bytes.
    fn count(&self, bytes: usize) -> bool {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let is_too_large = self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > self.most;
        self.is_too_large.store(is_too_large, Ordering::Relaxed);
        !is_too_large
    }
}

enum Server {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Server {
    async fn connect(options: &MySqlConnectOptions) -> std::io::Result<Self> {
        if let Some(path) = options.get_socket() {
            return UnixStream::connect(AsRef::<Path>::as_ref(path)).await.map(Self::Unix);
        }
        let stream = TcpStream::connect((options.get_host(), options.get_port())).await?;
        // What the driver sends is sent on at once.
        stream.set_nodelay(true)?;
        Ok(Self::Tcp(stream))
    }

    async fn carry(self, driver: UnixStream, answer: &Answer) {
        match self {
            Self::Tcp(mut stream) => {
                let (read, write) = stream.split();
                carry(driver, read, write, answer).await;
            }
            Self::Unix(mut stream) => {
                let (read, write) = stream.split();
                carry(driver, read, write, answer).await;
            }
        }
    }
}

/// Carry bytes in both directions until the server closes or an answer is too large. Each direction waits for its receiver,
/// so no more than a piece is ever kept here. When the driver closes, the session goes on until the server has noticed.
async fn carry(
    mut driver: UnixStream,
    mut from_server: impl AsyncRead + Unpin,
    mut to_server: impl AsyncWrite + Unpin,
    answer: &Answer,
) {
    let (mut from_driver, mut to_driver) = driver.split();
    let statements = async {
        let mut piece = Vec::with_capacity(PIECE);
        while from_driver.read_buf(&mut piece).await.is_ok_and(|read| read > 0) {
            answer.begin();
            if to_server.write_all(&piece).await.is_err() {
                return;
            }
            piece.clear();
        }
    };
    let answers = async {
        let mut piece = Vec::with_capacity(PIECE);
        while from_server.read_buf(&mut piece).await.is_ok_and(|read| read > 0) {
            if !answer.count(piece.len()) || to_driver.write_all(&piece).await.is_err() {
                return;
            }
            piece.clear();
        }
    };
    tokio::select! {
        () = statements => {}
        () = answers => return,
    }
    // Nothing depends on the result: a server that cannot be told has closed already.
    let _ = to_server.shutdown().await;
    drain(from_server).await;
}

/// Read to the end, and keep nothing.
async fn drain(mut from_server: impl AsyncRead + Unpin) {
    let mut piece = Vec::with_capacity(PIECE);
    while from_server.read_buf(&mut piece).await.is_ok_and(|read| read > 0) {
        piece.clear();
    }
}
