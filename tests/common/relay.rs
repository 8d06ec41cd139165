//! `Relay`: stands between clients and a server and does one wrong thing to one connection.
//!
//! What clients say passes unchanged. What the server says is taken apart into messages and put
//! together again, so that a fault is one of messages and the chunk stream stays valid. A relay
//! without a fault is the control: all passes.

use std::io::{self, Read, Write};
use std::mem;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use corecast::codec::{self, Part};
use corecast::limits::ReaderLimits;
use corecast::rtmp::chunk::{ChunkReader, ChunkWriter, DEFAULT_CHUNK_SIZE, Head, csid};
use corecast::rtmp::message::{Body, Control, Kind, Message, UserControl};

/// What is done wrong, once. Unless said otherwise it is done to a picture that is no key frame,
/// when the connection has got some pictures already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// A picture or a sound is left out.
    Drop(Kind),
    /// A picture is sent twice.
    Repeat,
    /// One bit in the middle of a picture changes.
    Flip,
    /// The sequence header is left out.
    DropHeader(Kind),
    /// All is left out from the first frame to the first key frame.
    LateStart,
    /// No fault: pictures are left out up to the second key frame, and sounds are not, as a server
    /// without a cache does it.
    AwaitKey,
    /// The timestamp is 300 ms too low.
    TimeBack,
    /// A picture changes places with whatever comes next.
    SwapNeighbours,
    /// A picture comes behind the next picture.
    SwapPictures,
    /// Nothing comes for so long.
    Stall(Duration),
    /// The connection ends in the middle of a picture.
    Cut,
    /// Another connection, by number, ends.
    CutOther(usize),
    /// The client is pinged once connect was answered.
    Ping,
    /// The connection ends once connect was answered.
    CutConnected,
}

/// A running relay, ended on drop.
pub struct Relay {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    server: SocketAddr,
    /// The connection that suffers, counted from 0 as they come.
    victim: usize,
    fault: Fault,
    over: AtomicBool,
    struck: AtomicU32,
    pongs: AtomicU32,
    /// Client's and server's side of each connection.
    sockets: Mutex<Vec<[TcpStream; 2]>>,
}

impl Relay {
    /// A relay in front of a server that does `fault` to connection number `victim`.
    pub fn start(server: SocketAddr, victim: usize, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let shared = Arc::new(Shared {
            server,
            victim,
            fault,
            over: AtomicBool::new(false),
            struck: AtomicU32::new(0),
            pongs: AtomicU32::new(0),
            sockets: Mutex::default(),
        });
        let accepting = Some(thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        }));
        Self {
            address,
            shared,
            accepting,
        }
    }

    /// How often the fault was done.
    pub fn struck(&self) -> u32 {
        self.shared.struck.load(Ordering::Relaxed)
    }

    /// How many of its own pings were answered.
    pub fn pongs(&self) -> u32 {
        self.shared.pongs.load(Ordering::Relaxed)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        // Wakes the accepting thread.
        drop(TcpStream::connect(self.address));
        let pairs = self.shared.sockets.lock().map(|pairs| pairs.len());
        (0..pairs.unwrap_or(0)).for_each(|number| self.shared.cut(number));
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

impl Shared {
    /// Ends both sides of a connection.
    fn cut(&self, number: usize) {
        if let Some(pair) = self.sockets.lock().expect("no panic inside").get(number) {
            for socket in pair {
                // It may be over already.
                let _ = socket.shutdown(Shutdown::Both);
            }
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut threads = Vec::new();
    for number in 0.. {
        let Ok((client, _)) = listener.accept() else {
            break;
        };
        if shared.over.load(Ordering::Relaxed) {
            break;
        }
        let server = TcpStream::connect(shared.server).expect("the server listens");
        let pair = [&client, &server].map(|socket| {
            socket.set_nodelay(true).expect("TCP_NODELAY");
            socket.try_clone().expect("a descriptor")
        });
        shared.sockets.lock().expect("no panic inside").push(pair);
        let [client, server] = [client, server].map(Arc::new);
        let (from, to, own) = (Arc::clone(&client), Arc::clone(&server), Arc::clone(shared));
        threads.push(thread::spawn(move || {
            let _ = up(&from, &to, &own);
            let _ = to.shutdown(Shutdown::Write);
        }));
        let own = Arc::clone(shared);
        threads.push(thread::spawn(move || {
            let _ = down(&server, &client, number, &own);
            let _ = client.shutdown(Shutdown::Write);
        }));
    }
    for thread in threads {
        let _ = thread.join();
    }
}

/// Client to server, as it is. Answers to our own ping are counted.
fn up(mut from: &TcpStream, mut to: &TcpStream, shared: &Shared) -> io::Result<()> {
    let mut buffer = [0; BUFFER_BYTES];
    let mut tail = Vec::new();
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        tail.extend_from_slice(&buffer[..count]);
        let pongs = tail.windows(PONG.len()).filter(|at| *at == PONG).count();
        shared.pongs.fetch_add(pongs as u32, Ordering::Relaxed);
        tail.drain(..tail.len().saturating_sub(PONG.len() - 1));
        to.write_all(&buffer[..count])?;
    }
}

/// Server to client, message by message behind the handshake.
fn down(
    mut from: &TcpStream,
    mut to: &TcpStream,
    number: usize,
    shared: &Shared,
) -> io::Result<()> {
    let mut handshake = vec![0; HANDSHAKE_BYTES];
    from.read_exact(&mut handshake)?;
    to.write_all(&handshake)?;
    let is_victim = number == shared.victim;
    let mut editor = Editor::new(if is_victim { shared.fault } else { Fault::None });
    let mut reader = ChunkReader::new(ReaderLimits::PUBLISHER);
    let mut writer = Writer::default();
    let mut buffer = [0; BUFFER_BYTES];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        let mut input = &buffer[..count];
        while let Some(message) = reader.read(&mut input).map_err(io::Error::other)? {
            if let Some(size) = chunk_size(&message) {
                reader.set_chunk_size(size).map_err(io::Error::other)?;
            }
            let steps = editor.edit(message);
            shared
                .struck
                .fetch_add(u32::from(mem::take(&mut editor.struck)), Ordering::Relaxed);
            for step in steps {
                match step {
                    Step::Send(message) => writer.write(&message),
                    Step::Wait(time) => {
                        to.write_all(&mem::take(&mut writer.out))?;
                        thread::sleep(time);
                    }
                    Step::CutIn(message) => {
                        writer.write(&message);
                        writer
                            .out
                            .truncate(writer.out.len() - message.payload().len() / 2);
                        to.write_all(&writer.out)?;
                        shared.cut(number);
                        return Ok(());
                    }
                    Step::Cut(other) => shared.cut(other),
                }
            }
        }
        to.write_all(&mem::take(&mut writer.out))?;
    }
}

/// What to do in place of passing a message.
enum Step {
    Send(Message),
    Wait(Duration),
    /// The connection ends in the middle of this one.
    CutIn(Message),
    /// That connection ends.
    Cut(usize),
}

/// Does the fault to one connection's messages.
struct Editor {
    /// What is yet to be done.
    fault: Fault,
    /// It was done just now.
    struck: bool,
    pictures: u32,
    /// Key frames among them, as far as anybody counts.
    keys: u32,
    /// A picture that must wait for the next message, or for the next picture.
    held: Option<Message>,
}

impl Editor {
    fn new(fault: Fault) -> Self {
        Self {
            fault,
            struck: false,
            pictures: 0,
            keys: 0,
            held: None,
        }
    }

    fn edit(&mut self, message: Message) -> Vec<Step> {
        let part = part(&message);
        let frame = match part {
            Some(Part::Frame { key }) => Some(key),
            _ => None,
        };
        let is_picture = message.kind == Kind::Video && frame.is_some();
        self.pictures += u32::from(is_picture);
        if frame.is_some()
            && let Some(held) = self.held.take()
        {
            if self.fault == Fault::SwapPictures && !is_picture {
                self.held = Some(held);
                return vec![Step::Send(message)];
            }
            self.done();
            return vec![Step::Send(message), Step::Send(held)];
        }
        let is_ripe = is_picture && frame == Some(false) && self.pictures >= RIPE_PICTURES;
        match self.fault {
            Fault::DropHeader(kind) if message.kind == kind && part == Some(Part::Config) => {
                self.done();
                Vec::new()
            }
            Fault::LateStart if frame.is_some() => {
                if is_picture && frame == Some(true) {
                    self.done();
                }
                Vec::new()
            }
            Fault::AwaitKey if is_picture => {
                self.keys += u32::from(frame == Some(true));
                if self.keys < 2 {
                    return Vec::new();
                }
                self.done();
                vec![Step::Send(message)]
            }
            Fault::Drop(Kind::Audio)
                if message.kind == Kind::Audio && self.pictures >= RIPE_PICTURES =>
            {
                self.done();
                Vec::new()
            }
            Fault::Ping if message.kind == Kind::CommandAmf0 => {
                self.done();
                vec![Step::Send(message), Step::Send(ping())]
            }
            Fault::CutConnected if message.kind == Kind::CommandAmf0 => {
                self.done();
                vec![Step::Send(message), Step::CutIn(ping())]
            }
            _ if is_ripe => self.strike(message),
            _ => vec![Step::Send(message)],
        }
    }

    /// Does what is done to a picture.
    fn strike(&mut self, mut message: Message) -> Vec<Step> {
        let steps = match self.fault {
            Fault::Drop(Kind::Video) => Vec::new(),
            Fault::Repeat => vec![Step::Send(message.clone()), Step::Send(message)],
            Fault::Flip => {
                let mut payload = message.payload().to_vec();
                let middle = payload.len() / 2;
                payload[middle] ^= 0x10;
                message.body = Body::with_payload(&payload);
                vec![Step::Send(message)]
            }
            Fault::TimeBack => {
                message.timestamp = message.timestamp.wrapping_sub(300);
                vec![Step::Send(message)]
            }
            Fault::SwapNeighbours | Fault::SwapPictures => {
                self.held = Some(message);
                return Vec::new();
            }
            Fault::Stall(time) => vec![Step::Wait(time), Step::Send(message)],
            Fault::Cut => vec![Step::CutIn(message)],
            Fault::CutOther(other) => vec![Step::Cut(other), Step::Send(message)],
            _ => return vec![Step::Send(message)],
        };
        self.done();
        steps
    }

    fn done(&mut self) {
        (self.fault, self.struck) = (Fault::None, true);
    }
}

/// Puts messages together again, with headers as short as can be.
struct Writer {
    chunks: ChunkWriter,
    out: Vec<u8>,
}

impl Default for Writer {
    fn default() -> Self {
        Self {
            chunks: ChunkWriter::new(DEFAULT_CHUNK_SIZE),
            out: Vec::new(),
        }
    }
}

impl Writer {
    fn write(&mut self, message: &Message) {
        let head = Head {
            csid: match message.kind {
                Kind::Audio => csid::AUDIO,
                Kind::Video => csid::VIDEO,
                Kind::DataAmf0 | Kind::DataAmf3 => csid::DATA,
                kind if kind.is_control() => csid::CONTROL,
                _ => csid::COMMAND,
            },
            timestamp: message.timestamp,
            kind: message.kind,
            stream_id: message.stream_id,
        };
        self.chunks
            .write_message(&mut self.out, &head, message.payload());
        if let Some(size) = chunk_size(message) {
            self.chunks.set_chunk_size(size);
        }
    }
}

fn part(message: &Message) -> Option<Part> {
    let tag = match message.kind {
        Kind::Video => codec::video(message.payload()),
        Kind::Audio => codec::audio(message.payload()),
        _ => return None,
    };
    tag.ok().map(|tag| tag.part)
}

fn chunk_size(message: &Message) -> Option<u32> {
    match Control::parse(message.kind, message.payload()) {
        Some(Control::SetChunkSize(size)) => Some(size),
        _ => None,
    }
}

fn ping() -> Message {
    let time = u32::from_be_bytes([PONG[2], PONG[3], PONG[4], PONG[5]]);
    let mut bytes = Vec::new();
    corecast::rtmp::chunk::write_control(
        &mut bytes,
        &Control::User(UserControl::PingRequest(time)),
    );
    let mut reader = ChunkReader::new(ReaderLimits::PUBLISHER);
    let ping = reader.read(&mut &bytes[..]);
    ping.expect("our own bytes").expect("a whole message")
}

/// S0, S1 and S2.
const HANDSHAKE_BYTES: usize = 1 + 2 * 1_536;
const BUFFER_BYTES: usize = 64 << 10;
/// Pictures that pass before a picture is struck.
const RIPE_PICTURES: u32 = 6;
/// The body of the answer to our ping: event 7, and a number that is found nowhere else.
const PONG: [u8; 6] = [0, 7, 0x9D, 0xC3, 0xE1, 0xB5];
