//! TCP connections that can be cut from outside without an answer or a close frame, as a dying process or a
//! broken network cuts them. axum needs this because its handlers have no access to their connection.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// The switch that cuts one connection.
#[derive(Debug, Clone)]
pub(super) struct Switch(Arc<State>);

#[derive(Debug, Default)]
struct State {
    cut: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
    /// Notifies a task that neither reads nor writes.
    idle: Notify,
}

impl Switch {
    /// Cuts the connection: nothing more is read or written.
    pub(super) fn cut(&self) {
        self.0.cut.store(true, Ordering::SeqCst);
        self.0.reader.wake();
        self.0.writer.wake();
        self.0.idle.notify_one();
    }

    /// Waits until the connection is cut.
    pub(super) async fn is_cut(&self) {
        self.0.idle.notified().await;
    }

    fn check(&self) -> io::Result<()> {
        if self.0.cut.load(Ordering::SeqCst) { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

impl Connected<IncomingStream<'_, Door>> for Switch {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        stream.io().switch.clone()
    }
}

/// All connections of a server, which can be cut together.
#[derive(Debug, Clone, Default)]
pub(super) struct Connections(Arc<Mutex<Vec<Weak<State>>>>);

impl Connections {
    /// Cuts every connection that is open now.
    pub(super) fn cut_all(&self) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for state in all.drain(..).filter_map(|state| state.upgrade()) {
            Switch(state).cut();
        }
    }

    fn add(&self, switch: &Switch) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() == all.capacity() {
            all.retain(|state| state.strong_count() > 0);
        }
        all.push(Arc::downgrade(&switch.0));
    }
}

/// A listening socket on loopback.
#[derive(Debug)]
pub(super) struct Door {
    listener: TcpListener,
    connections: Connections,
}

impl Door {
    /// Listens on a free port of 127.0.0.1. `receive_buffer` is the size of the kernel's receive buffer in
    /// bytes.
    pub(super) fn open(receive_buffer: Option<usize>) -> io::Result<(Self, SocketAddr, Connections)> {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        if let Some(bytes) = receive_buffer {
            // The connections inherit the size. Setting it after `listen` would be too late for the TCP
            // window.
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
        socket.listen(1_024)?;
        socket.set_nonblocking(true)?;
        let listener = TcpListener::from_std(socket.into())?;
        let (address, connections) = (listener.local_addr()?, Connections::default());
        Ok((Self { listener, connections: connections.clone() }, address, connections))
    }
}

impl Listener for Door {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Without this setting the connection works, but with more delay.
        drop(stream.set_nodelay(true));
        let switch = Switch(Arc::default());
        self.connections.add(&switch);
        (Connection { stream, switch }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection with its switch.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    switch: Switch,
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.switch.0.reader.register(cx.waker());
        self.switch.check()?;
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        self.switch.0.writer.register(cx.waker());
        self.switch.check()?;
        Pin::new(&mut self.stream).poll_write(cx, from)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.switch.0.writer.register(cx.waker());
        self.switch.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, from)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
