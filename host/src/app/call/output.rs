//! Lines that a module prints (`println!`, panics) become lines in the host's log.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use super::LogBudget;
use super::panic::{Panic, PanicLines};
use crate::text::log_line;

/// A longer line is split, because a module could print without ever ending a line.
const MAX_LINE: usize = 8 << 10;

/// Which of the two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

/// Standard output or standard error of an instance.
#[derive(Clone)]
pub(super) struct Output {
    pub(super) app: Arc<str>,
    pub(super) version: Arc<str>,
    pub(super) stream: Stream,
    pub(super) budget: Arc<LogBudget>,
    pub(super) pending: Arc<Mutex<Pending>>,
}

/// What was printed and is not in the log yet.
#[derive(Default)]
pub(super) struct Pending {
    line: Vec<u8>,
    panic: PanicLines,
}

impl Output {
    fn push(&self, bytes: &[u8]) {
        let mut pending = self.pending.lock();
        for byte in bytes {
            if *byte != b'\n' {
                pending.line.push(*byte);
            }
            if *byte == b'\n' || pending.line.len() >= MAX_LINE {
                let line = std::mem::take(&mut pending.line);
                self.line(&line, &mut pending.panic);
            }
        }
    }

    /// A whole line. Those of a panic wait for the trap that follows.
    fn line(&self, line: &[u8], panic: &mut PanicLines) {
        let text = String::from_utf8_lossy(line);
        if self.stream == Stream::Stdout {
            return self.log(&text);
        }
        if PanicLines::begins(&text) {
            // What came before it was none, or the module would have trapped.
            panic.take_lines().iter().for_each(|line| self.log(line));
        }
        match panic.keep(&text) {
            true => self.budget.defer(),
            false => self.log(&text),
        }
    }

    fn log(&self, text: &str) {
        if !text.is_empty() && self.budget.spend() {
            let (app, version) = (&*self.app, &*self.version);
            match self.stream {
                Stream::Stdout => tracing::info!(app, version, "{}", log_line(text)),
                Stream::Stderr => tracing::warn!(app, version, "{}", log_line(text)),
            }
        }
    }

    /// The panic that was printed, after which the module has trapped.
    pub(super) fn take_panic(&self) -> Option<Panic> {
        self.pending.lock().panic.take()
    }

    /// Forget what was printed before a trap: the error of the call says it.
    pub(super) fn forget_deferred(&self) {
        self.pending.lock().panic.take_lines();
    }

    /// Log what looked like a panic: the module has not trapped.
    pub(super) fn log_deferred(&self) {
        let lines = self.pending.lock().panic.take_lines();
        lines.iter().for_each(|line| self.log(line));
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_LINE)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

impl AsyncWrite for Output {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.push(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
