//! The server's side of one RTMP connection: bytes and verdicts in, events and bytes out.
//!
//! Invariant: at most one question to the host (`Event::Connect`) blocks the input; after an
//! error or once `is_closing`, input is discarded and no event comes (I-04). PROTOCOL §5, §13.
//!
//! - [`event`]: what the host is told and what it may answer with
//! - `verdicts`: the host's answers
//! - `commands`: what each command does; `calls` takes one apart
//! - `media`: audio, video and data on their way to the host
//! - `streams`: the message streams and what each is doing
//! - `replies`: the bytes we say
//! - `deadlines`, `flow`: patience, acknowledgements and the budget of messages

pub mod event;

mod calls;
mod commands;
mod deadlines;
mod flow;
mod media;
mod replies;
mod streams;
#[cfg(test)]
mod tests;
mod verdicts;

use std::collections::VecDeque;

pub use deadlines::Stage;
pub use event::{Connect, Event, Peer, PublishMode, Refusal, Target, code};

use self::deadlines::{Clock, Due, Progress};
use self::flow::{Acks, Budget, MediaBudget};
use self::replies::Replies;
use self::streams::{Streams, Use};
use crate::ids::ConnId;
use crate::limits::{AmfLimits, SessionLimits};
use crate::rtmp::Error;
use crate::rtmp::chunk::ChunkReader;
use crate::rtmp::handshake::ServerHandshake;
use crate::rtmp::message::{Control, Kind, Message, UserControl};
use crate::rtmp::url::Address;
use crate::time::Millis;

/// One connection's protocol state. See the module's head.
pub struct ServerSession {
    config: SessionConfig,
    trace: ConnId,
    state: State,
    reader: ChunkReader,
    replies: Replies,
    streams: Streams,
    /// Told one by one; several only from an aggregate or a replaced play.
    events: VecDeque<Event>,
    peer: Peer,
    address: Address,
    /// A publish or play was accepted once: wider limits hold.
    authorised: bool,
    clock: Clock,
    acks: Acks,
    budget: Budget,
    media_budget: MediaBudget,
    /// Aggregates in a row with damage, see [`media`].
    damaged_aggregates: u8,
    dropped: u64,
    refusal: Option<Refusal>,
}

/// Settings of a session, the same for every connection of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// Chunk size we send with, 128..=65_536 bytes. ffmpeg mirrors it when publishing (K-25).
    pub chunk_size: u32,
    /// Window we ask the peer to acknowledge by, in bytes.
    pub window_ack_size: u32,
    /// Bounds.
    pub limits: SessionLimits,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            chunk_size: 60_000,
            window_ack_size: 2_500_000,
            limits: SessionLimits::DEFAULT,
        }
    }
}

enum State {
    /// C0, C1 or C2 is missing.
    Handshake(ServerHandshake),
    /// Nothing but connect is wanted.
    WaitConnect,
    /// The host owes the answer to connect; input waits.
    AskingConnect { transaction: f64, encoding: f64 },
    /// Commands and media.
    Connected,
    /// The last reply is queued or an error was returned.
    Closing,
}

impl ServerSession {
    /// A session for a connection accepted at `now`. `seed` fills the handshake's random part;
    /// `trace` is told to the client as `clientid`.
    #[must_use]
    pub fn new(config: SessionConfig, seed: [u8; 32], trace: ConnId, now: Millis) -> Self {
        let limits = config.limits;
        Self {
            config,
            trace,
            state: State::Handshake(ServerHandshake::new(seed)),
            reader: ChunkReader::new(limits.stranger),
            replies: Replies::new(),
            streams: Streams::new(limits.message_streams_max),
            events: VecDeque::new(),
            peer: Peer::default(),
            address: Address::default(),
            authorised: false,
            clock: Clock::new(limits, now),
            acks: Acks::new(),
            budget: Budget::new(limits.control_per_second, now),
            media_budget: MediaBudget::new(&limits, now),
            damaged_aggregates: 0,
            dropped: 0,
            refusal: None,
        }
    }

    /// Consumes from the front of `input` up to and including the next event. `Ok(None)`: all of
    /// `input` was consumed and nothing is to be reported. The one exception: while a `Connect`
    /// is unanswered nothing is consumed. Drain `out` afterwards and look at `is_closing`.
    ///
    /// # Errors
    /// The peer broke the protocol or a limit: flush what `out` holds and close.
    pub fn recv(&mut self, input: &mut &[u8], now: Millis) -> Result<Option<Event>, Error> {
        if !input.is_empty() {
            self.clock.heard(now);
        }
        let outcome = self.advance(input, now);
        if let Err(error) = &outcome {
            self.explain(error);
            self.close();
            *input = &[];
        }
        outcome
    }

    /// Bytes to send, in order. The host drains it after every call that takes `&mut self`.
    pub fn out(&mut self) -> &mut Vec<u8> {
        &mut self.replies.bytes
    }

    /// Tells that the socket took bytes for this peer: a player that takes media is alive though
    /// it says nothing (INTEROP 45). It does not replace the answer to a ping.
    pub fn sent(&mut self, now: Millis) {
        self.clock.sent(now);
    }

    /// When `timeout` wants to be called, `Millis::NEVER` if never. Cheap.
    #[must_use]
    pub fn next_timeout(&self) -> Millis {
        self.clock.next(&self.progress()).0
    }

    /// Checks the deadlines; may queue a ping.
    ///
    /// # Errors
    /// `Error::Timeout`: close the connection.
    pub fn timeout(&mut self, now: Millis) -> Result<(), Error> {
        match self.clock.next(&self.progress()) {
            (at, _) if at > now || at == Millis::NEVER => Ok(()),
            (_, Due::Ping) => {
                let time = u32::try_from(now.0 & u64::from(u32::MAX)).unwrap_or(0);
                self.replies.user(UserControl::PingRequest(time));
                self.clock.pinged(now);
                Ok(())
            }
            (_, Due::Close(stage)) => {
                self.close();
                Err(Error::Timeout(stage))
            }
        }
    }

    /// A last reply is queued: flush, half-close, linger (L-13). What the connection published or
    /// played is over; no event says so.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        matches!(self.state, State::Closing)
    }

    /// Why the peer was refused, by the host or by the session itself (a name that cannot be, a
    /// second connect): for the log line once `is_closing`.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    /// Who it is, for logs and routing.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Messages ignored so far: of no meaning here, too short, or media without a publish (I-10).
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Bytes of half-received messages it holds (L-08).
    #[must_use]
    pub fn partial_bytes(&self) -> usize {
        self.reader.partial_bytes()
    }

    fn advance(&mut self, input: &mut &[u8], now: Millis) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            match &mut self.state {
                State::Closing => {
                    *input = &[];
                    return Ok(None);
                }
                State::AskingConnect { .. } => return Ok(None),
                State::Handshake(handshake) => {
                    let before = input.len();
                    let done = handshake.recv(input, &mut self.replies.bytes)?;
                    self.acks.count(before.saturating_sub(input.len()));
                    if !done {
                        return Ok(None);
                    }
                    self.peer.digest = handshake.is_digest();
                    self.clock.shaken();
                    self.state = State::WaitConnect;
                }
                State::WaitConnect | State::Connected => match self.read(input)? {
                    Some(message) => self.handle(message, now)?,
                    None => return Ok(None),
                },
            }
        }
    }

    /// One message, and the acknowledgements its bytes made due.
    fn read(&mut self, input: &mut &[u8]) -> Result<Option<Message>, Error> {
        let before = input.len();
        let message = self.reader.read(input)?;
        self.acks.count(before.saturating_sub(input.len()));
        while let Some(received) = self.acks.due() {
            self.replies.control(Control::Ack(received));
        }
        Ok(message)
    }

    fn handle(&mut self, message: Message, now: Millis) -> Result<(), Error> {
        self.spend(&message, now)?;
        match message.kind {
            Kind::Audio | Kind::Video => self.media(message, now),
            Kind::DataAmf0 | Kind::DataAmf3 => self.data(message),
            Kind::Aggregate => self.aggregate(&message, now)?,
            Kind::CommandAmf0 | Kind::CommandAmf3 => self.command(&message)?,
            Kind::SharedObjectAmf0 | Kind::SharedObjectAmf3 | Kind::Other(_) => self.dropped += 1,
            kind => match Control::parse(kind, message.payload()) {
                Some(control) => self.control(control)?,
                None => self.dropped += 1,
            },
        }
        Ok(())
    }

    fn control(&mut self, control: Control) -> Result<(), Error> {
        match control {
            Control::SetChunkSize(size) => self.reader.set_chunk_size(size)?,
            Control::Abort(csid) => self.reader.abort(csid),
            Control::WindowAckSize(window) => self.acks.set_window(window),
            Control::SetPeerBandwidth { size: 0, .. } => self.dropped += 1,
            Control::SetPeerBandwidth { size, .. } => self.replies.window(size),
            Control::User(UserControl::PingRequest(time)) => {
                self.replies.user(UserControl::PingResponse(time));
            }
            // For statistics at most; any value is legal (K-33, U-04, U-10).
            Control::Ack(_) | Control::User(_) => {}
        }
        Ok(())
    }

    /// Media is bounded by its rate; everything else by its number (U-11) and by the answers
    /// that wait (I-05). rtmpdump acknowledges each tenth of a window: ten of those count one.
    fn spend(&mut self, message: &Message, now: Millis) -> Result<(), Error> {
        let cost = match message.kind {
            Kind::Audio | Kind::Video | Kind::Aggregate | Kind::DataAmf0 | Kind::DataAmf3 => {
                self.media_budget.spend(1, message.payload().len(), now)?;
                0
            }
            Kind::Ack => 100,
            _ => 1_000,
        };
        let per_second = self.config.limits.control_per_second;
        if !self.budget.spend(cost, now) {
            return Err(Error::ControlFlood { per_second });
        }
        let (found, max) = (
            self.replies.bytes.len(),
            self.config.limits.output_bytes_max,
        );
        if found > max {
            return Err(Error::Unread { found, max });
        }
        Ok(())
    }

    fn amf_limits(&self) -> &AmfLimits {
        if self.authorised {
            &self.config.limits.amf_authorised
        } else {
            &self.config.limits.amf_stranger
        }
    }

    fn progress(&self) -> Progress<'_> {
        match self.state {
            State::Handshake(_) => Progress::Handshake,
            State::WaitConnect => Progress::WaitConnect,
            State::AskingConnect { .. } | State::Connected => Progress::Connected(&self.streams),
            State::Closing => Progress::Closing,
        }
    }

    fn tell(&mut self, event: Event) {
        self.events.push_back(event);
    }

    fn set(&mut self, id: u32, usage: Use) {
        if let Some(found) = self.streams.find_mut(id) {
            *found = usage;
        }
    }

    fn role_ended(&mut self) {
        if !self.streams.has_role() {
            self.clock.role_ended();
        }
    }

    fn refuse(&mut self, refusal: &Refusal) {
        self.refusal = Some(refusal.clone());
        self.close();
    }

    /// Nothing is asked, published or played any more: a verdict that comes later finds nothing.
    fn close(&mut self) {
        self.state = State::Closing;
        self.events.clear();
        self.streams.clear();
    }
}
