//! A TCP connection that drives a `ClientSession`: blocking, one thread, with a limit on each wait.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use corecast::rtmp::amf0::{Value, encode};
use corecast::rtmp::chunk::{Head, csid};
use corecast::rtmp::client::{ClientConfig, ClientError, ClientEvent, ClientSession, Ending};
use corecast::rtmp::message::Kind;
use corecast::time::Millis;
use socket2::{Domain, SockRef, Socket, Type};

/// How to open a connection.
#[derive(Clone, Copy, Debug)]
pub struct Dial {
    pub to: SocketAddr,
    /// Our own address: 127.0.0.2 is a stranger to a server that saw 127.0.0.1.
    pub from: Option<IpAddr>,
    /// Kernel receive buffer in bytes; a small one makes a slow player of one that does not read.
    pub receive_buffer: Option<usize>,
}

impl Dial {
    pub fn new(to: SocketAddr) -> Self {
        Self {
            to,
            from: None,
            receive_buffer: None,
        }
    }

    pub fn from(self, address: &str) -> Self {
        Self {
            from: Some(address.parse().expect("an IP address")),
            ..self
        }
    }

    pub fn receive_buffer(self, bytes: usize) -> Self {
        Self {
            receive_buffer: Some(bytes),
            ..self
        }
    }

    /// A bare TCP connection, for peers that do not speak RTMP.
    pub fn socket(&self) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(self.to), Type::STREAM, None)?;
        if let Some(bytes) = self.receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        if let Some(address) = self.from {
            socket.bind(&SocketAddr::new(address, 0).into())?;
        }
        socket.connect_timeout(&self.to.into(), PATIENCE)?;
        socket.set_tcp_nodelay(true)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(socket.into())
    }
}

/// Why a link is of no more use.
#[derive(Debug)]
pub enum Failure {
    /// The server ended the session.
    Ended(Ending),
    /// The server broke a rule or was silent.
    Session(ClientError),
    /// The server closed the connection without a word.
    Closed,
    /// The socket failed.
    Io(io::Error),
    /// The test waited long enough.
    Waited(Duration),
}

impl Failure {
    /// The status code the server refused with; empty for other failures.
    pub fn code(&self) -> &str {
        match self {
            Self::Ended(Ending::Refused { status, .. } | Ending::Closed(status)) => &status.code,
            _ => "",
        }
    }
}

/// What one wait brought.
#[derive(Debug)]
pub enum Heard {
    Event(ClientEvent),
    /// The server closed its side.
    Closed,
    /// Nothing within the time given.
    Silence,
}

/// A client session on a socket.
pub struct Link {
    pub session: ClientSession,
    /// The server's name for this connection (`w2c17.3`), once it accepted connect.
    pub trace: Option<String>,
    socket: TcpStream,
    started: Instant,
    /// Received and not yet handed to the session: `unread[at..]`.
    unread: Vec<u8>,
    at: usize,
    closed: bool,
}

impl Link {
    pub fn open(dial: &Dial, config: ClientConfig) -> io::Result<Self> {
        let mut link = Self {
            session: ClientSession::new(config, [7; 32], Millis(0)),
            trace: None,
            socket: dial.socket()?,
            started: Instant::now(),
            unread: Vec::new(),
            at: 0,
            closed: false,
        };
        link.flush()?;
        Ok(link)
    }

    /// Waits for the next event, at most `patience`.
    pub fn poll(&mut self, patience: Duration) -> Result<Heard, Failure> {
        let until = Instant::now() + patience;
        loop {
            if let Some(event) = self.digest()? {
                return Ok(Heard::Event(event));
            }
            if self.closed {
                return Ok(Heard::Closed);
            }
            let now = self.now();
            self.session.timeout(now).map_err(Failure::Session)?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Heard::Silence);
            }
            let step = self.session.next_timeout().since(now).clamp(1, 60_000);
            self.read(left.min(Duration::from_millis(step)))
                .map_err(Failure::Io)?;
        }
    }

    /// Waits until `Ready`; the events before it are dropped.
    pub fn until_ready(&mut self, patience: Duration) -> Result<u32, Failure> {
        let until = Instant::now() + patience;
        loop {
            match self.poll(until.saturating_duration_since(Instant::now()))? {
                Heard::Event(ClientEvent::Ready { stream_id }) => return Ok(stream_id),
                Heard::Event(ClientEvent::Ended { why }) => return Err(Failure::Ended(why)),
                Heard::Event(_) => {}
                Heard::Closed => return Err(Failure::Closed),
                Heard::Silence => return Err(Failure::Waited(patience)),
            }
        }
    }

    /// Takes what has arrived without waiting, so that pings are answered while we only send.
    pub fn pump(&mut self) -> Result<Vec<ClientEvent>, Failure> {
        let mut events = Vec::new();
        loop {
            while let Some(event) = self.digest()? {
                events.push(event);
            }
            if self.closed || !self.read_now().map_err(Failure::Io)? {
                return Ok(events);
            }
        }
    }

    /// Waits until connect is accepted. Nothing of the stream has been asked for by then.
    pub fn until_connected(&mut self, patience: Duration) -> Result<(), Failure> {
        let until = Instant::now() + patience;
        while self.trace.is_none() {
            match self.poll(until.saturating_duration_since(Instant::now()))? {
                Heard::Event(ClientEvent::Ended { why }) => return Err(Failure::Ended(why)),
                Heard::Event(_) => {}
                Heard::Closed => return Err(Failure::Closed),
                Heard::Silence => return Err(Failure::Waited(patience)),
            }
        }
        Ok(())
    }

    /// The worker that serves this connection, read from its trace id.
    pub fn worker(&self) -> u8 {
        let digits = self.trace.as_deref().and_then(|trace| {
            let (worker, _) = trace.strip_prefix('w')?.split_once('c')?;
            worker.parse().ok()
        });
        digits.unwrap_or_else(|| panic!("no worker in the trace id {:?}", self.trace))
    }

    /// Sends a command the session does not know, on a message stream.
    pub fn call(&mut self, stream_id: u32, name: &str, arguments: &[Value<'_>]) -> io::Result<()> {
        let mut payload = Vec::new();
        let fixed = [name.into(), TRANSACTION.into(), Value::Null];
        for value in fixed.iter().chain(arguments) {
            encode(value, &mut payload);
        }
        self.send(Kind::CommandAmf0, stream_id, 0, &payload)
    }

    /// Sends any message on a message stream.
    pub fn send(
        &mut self,
        kind: Kind,
        stream_id: u32,
        timestamp: u32,
        payload: &[u8],
    ) -> io::Result<()> {
        let csid = match kind {
            Kind::Audio => csid::AUDIO,
            Kind::Video => csid::VIDEO,
            _ => csid::COMMAND,
        };
        let head = Head {
            csid,
            timestamp,
            kind,
            stream_id,
        };
        self.session.send(&head, payload);
        self.flush()
    }

    /// Sends what the session has to say.
    pub fn flush(&mut self) -> io::Result<()> {
        let out = self.session.out();
        if out.is_empty() {
            return Ok(());
        }
        let sent = self.socket.write_all(out);
        out.clear();
        sent
    }

    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Closes with a reset instead of a FIN, like a peer whose machine went away.
    pub fn reset(self) {
        let _ = SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
    }

    fn now(&self) -> Millis {
        Millis(self.started.elapsed().as_millis() as u64)
    }

    fn digest(&mut self) -> Result<Option<ClientEvent>, Failure> {
        let now = self.now();
        let mut input = &self.unread[self.at..];
        let outcome = self.session.recv(&mut input, now);
        self.at = self.unread.len() - input.len();
        if self.at == self.unread.len() {
            self.unread.clear();
            self.at = 0;
        }
        if let Ok(Some(ClientEvent::Connected { trace, .. })) = &outcome {
            self.trace.clone_from(trace);
        }
        // The server may be gone already; then the next read says so.
        let _ = self.flush();
        outcome.map_err(Failure::Session)
    }

    fn read(&mut self, patience: Duration) -> io::Result<()> {
        self.socket
            .set_read_timeout(Some(patience.max(Duration::from_millis(1))))?;
        self.read_once().map(drop)
    }

    fn read_now(&mut self) -> io::Result<bool> {
        self.socket.set_nonblocking(true)?;
        let outcome = self.read_once();
        self.socket.set_nonblocking(false)?;
        outcome
    }

    /// Whether bytes came.
    fn read_once(&mut self) -> io::Result<bool> {
        let start = self.unread.len();
        self.unread.resize(start + READ_BYTES, 0);
        let outcome = self.socket.read(&mut self.unread[start..]);
        self.unread
            .truncate(start + outcome.as_ref().copied().unwrap_or(0));
        match outcome {
            Ok(0) => self.closed = true,
            Ok(_) => return Ok(true),
            Err(e) if is_wait(e.kind()) => {}
            Err(e) if matches!(e.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                self.closed = true;
            }
            Err(e) => return Err(e),
        }
        Ok(false)
    }
}

fn is_wait(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

/// Longest wait for a thing that must happen.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Transaction of calls made beside the session: no other has it.
const TRANSACTION: f64 = 77.0;

const READ_BYTES: usize = 64 << 10;
