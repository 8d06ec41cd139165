//! `ClientSession`: one RTMP connection seen from the client, without a socket.
//!
//! Invariant: after every `&mut` call the host sends what `out` holds and asks `next_timeout`
//! again. The same bytes in any split give the same events and, but for where acks stand, the same
//! output (I-03); after an error what comes is thrown away (I-04). PROTOCOL §7.1, §7.2.

use std::collections::VecDeque;

use super::command;
use super::flow::{Flow, PINGS_MAX};
use super::{ClientConfig, ClientError, ClientEvent, Ending, Role, Step};
use crate::limits::ReaderLimits;
use crate::rtmp::chunk::{ChunkReader, ChunkWriter, DEFAULT_CHUNK_SIZE, Head, csid, write_control};
use crate::rtmp::handshake::ClientHandshake;
use crate::rtmp::message::{Control, Kind, Message, UserControl, split_aggregate};
use crate::time::Millis;

/// One connection that publishes or plays one stream, or is idle.
pub struct ClientSession {
    pub(super) config: ClientConfig,
    pub(super) stage: Stage,
    pub(super) events: VecDeque<ClientEvent>,
    /// When the present step is given up.
    deadline: Millis,
    reader: ChunkReader,
    writer: ChunkWriter,
    flow: Flow,
    out: Vec<u8>,
}

impl ClientSession {
    /// Starts a session: `out` already holds C0 and C1, made from `seed`.
    #[must_use]
    pub fn new(config: ClientConfig, seed: [u8; 32], now: Millis) -> Self {
        let mut handshake = ClientHandshake::new(seed, config.digest);
        let mut out = Vec::new();
        handshake.start(&mut out);
        Self {
            stage: Stage::Handshake(Box::new(handshake)),
            events: VecDeque::new(),
            deadline: now + config.step_ms,
            reader: ChunkReader::new(ReaderLimits::STRANGER),
            writer: ChunkWriter::new(DEFAULT_CHUNK_SIZE),
            flow: Flow::new(now),
            out,
            config,
        }
    }

    /// Takes bytes of the server from the front of `input`, up to the next event.
    /// `Ok(None)`: all of `input` was taken and there is nothing to report.
    ///
    /// # Errors
    /// The server broke a rule; the session is dead and ignores whatever follows.
    pub fn recv(
        &mut self,
        input: &mut &[u8],
        now: Millis,
    ) -> Result<Option<ClientEvent>, ClientError> {
        let before = input.len();
        let outcome = self.advance(input, now);
        if outcome.is_err() {
            self.break_off();
        } else if let Some(bytes) = self.flow.receive(before.saturating_sub(input.len())) {
            // Acks begin with the chunk stream; the handshake alone never reaches half a window.
            self.control(Control::Ack(bytes));
        }
        outcome
    }

    /// Bytes for the server. The host takes them from here after every `&mut` call.
    pub fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// When `timeout` wants to be called, `Millis::NEVER` if it does not.
    #[must_use]
    pub fn next_timeout(&self) -> Millis {
        self.deadline
    }

    /// Tells the time. Calling it early or often does no harm.
    ///
    /// # Errors
    /// `ClientError::Timeout`: the server did not answer a step in time.
    pub fn timeout(&mut self, now: Millis) -> Result<(), ClientError> {
        if now < self.deadline {
            return Ok(());
        }
        let error = ClientError::Timeout {
            step: self.step(),
            waited_ms: self.config.step_ms,
        };
        self.break_off();
        Err(error)
    }

    /// Sends one audio, video or data message of a publisher, `timestamp` in milliseconds.
    ///
    /// # Errors
    /// `NotReady` before `ClientEvent::Ready` and after the end; `NotMedia` for other kinds and
    /// for payloads longer than 0xFF_FFFF bytes.
    pub fn send_media(
        &mut self,
        kind: Kind,
        timestamp: u32,
        payload: &[u8],
    ) -> Result<(), ClientError> {
        let csid = match kind {
            Kind::Audio => csid::AUDIO,
            Kind::Video => csid::VIDEO,
            Kind::DataAmf0 | Kind::DataAmf3 => csid::DATA,
            _ => {
                return Err(ClientError::NotMedia {
                    kind: kind.wire(),
                    bytes: payload.len(),
                });
            }
        };
        if payload.len() > MESSAGE_BYTES_MAX {
            return Err(ClientError::NotMedia {
                kind: kind.wire(),
                bytes: payload.len(),
            });
        }
        let (Stage::Ready { stream_id }, Role::Publish) = (&self.stage, self.config.role) else {
            return Err(ClientError::NotReady { step: self.step() });
        };
        let head = Head {
            csid,
            timestamp,
            kind,
            stream_id: *stream_id,
        };
        self.send(&head, payload);
        Ok(())
    }

    /// Sends a data message that begins with its own name (`onMetaData`, value) so that the server
    /// keeps it for late joiners (C-90).
    ///
    /// # Errors
    /// As `send_media`.
    pub fn send_metadata(&mut self, timestamp: u32, data: &[u8]) -> Result<(), ClientError> {
        self.send_media(Kind::DataAmf0, timestamp, &command::set_data_frame(data))
    }

    /// Asks the server for a sign of life; the answer is `ClientEvent::Pong` with the same number.
    pub fn ping(&mut self, time: u32) {
        self.control(Control::User(UserControl::PingRequest(time)));
    }

    /// Sends any message as it is: for hosts that need a command the session does not know.
    /// Right only after `ClientEvent::Connected`.
    pub fn send(&mut self, head: &Head, payload: &[u8]) {
        self.writer.write_message(&mut self.out, head, payload);
    }

    /// Sends any control message as it is.
    pub fn control(&mut self, control: Control) {
        write_control(&mut self.out, &control);
    }

    /// Says goodbye. The host sends what is in `out` and closes; it waits for no answer.
    pub fn stop(&mut self) {
        if let Some(stream_id) = self.stage.stream_id() {
            if self.config.role == Role::Publish {
                let unpublish = command::unpublish(&self.config.stream);
                self.command(csid::COMMAND, 0, &unpublish);
            }
            let delete = command::delete_stream(self.config.role, stream_id);
            self.command(csid::COMMAND, 0, &delete);
        }
        self.enter(Stage::Closed, Millis::NEVER);
    }

    /// What the session waits for.
    #[must_use]
    pub fn step(&self) -> Step {
        self.stage.step()
    }

    fn advance(
        &mut self,
        input: &mut &[u8],
        now: Millis,
    ) -> Result<Option<ClientEvent>, ClientError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            match &mut self.stage {
                Stage::Broken => *input = &[],
                Stage::Handshake(handshake) => {
                    if handshake.recv(input, &mut self.out)? {
                        self.connect(now);
                        continue;
                    }
                }
                _ => {
                    if let Some(message) = self.reader.read(input)? {
                        self.take(message, now)?;
                        continue;
                    }
                }
            }
            return Ok(None);
        }
    }

    fn take(&mut self, message: Message, now: Millis) -> Result<(), ClientError> {
        match message.kind {
            Kind::CommandAmf0 | Kind::CommandAmf3 => self.answered(&message, now),
            Kind::Audio | Kind::Video | Kind::DataAmf0 | Kind::DataAmf3 => {
                self.media(message);
                Ok(())
            }
            Kind::Aggregate => {
                for part in split_aggregate(&message, AGGREGATE_ITEMS_MAX).messages {
                    self.media(part);
                }
                Ok(())
            }
            kind => match Control::parse(kind, message.payload()) {
                Some(control) => self.controlled(control, now),
                None => Ok(()),
            },
        }
    }

    fn controlled(&mut self, control: Control, now: Millis) -> Result<(), ClientError> {
        match control {
            Control::SetChunkSize(size) => self.reader.set_chunk_size(size)?,
            Control::Abort(csid) => self.reader.abort(csid),
            Control::WindowAckSize(bytes) => self.flow.set_window(bytes),
            Control::SetPeerBandwidth { size, .. } => {
                if let Some(size) = self.flow.limit_peer(size) {
                    self.control(Control::WindowAckSize(size));
                }
            }
            Control::User(UserControl::PingRequest(time)) => {
                if let Some(found) = self.flow.ping(now) {
                    return Err(ClientError::PingFlood {
                        found,
                        allowed: PINGS_MAX,
                    });
                }
                self.control(Control::User(UserControl::PingResponse(time)));
            }
            Control::User(UserControl::PingResponse(time)) => {
                self.events.push_back(ClientEvent::Pong { time });
            }
            Control::User(UserControl::StreamEof(stream_id)) => {
                self.events.push_back(ClientEvent::StreamEof { stream_id });
                // Before the start it means nothing; after UnpublishNotify it is the second half.
                if matches!(self.stage, Stage::Ready { .. }) {
                    self.end(Ending::StreamEof);
                }
            }
            Control::Ack(_) | Control::User(_) => {}
        }
        Ok(())
    }

    fn media(&mut self, message: Message) {
        if self.config.role == Role::Publish || self.stage.stream_id().is_none() {
            return;
        }
        // ffmpeg and other servers may let the media speak for itself.
        if let Stage::Starting { stream_id } = self.stage
            && matches!(message.kind, Kind::Audio | Kind::Video)
        {
            self.ready(stream_id);
        }
        let complete = self.completes(&message);
        self.events.push_back(ClientEvent::Media(message));
        if complete {
            self.end(Ending::Complete);
        }
    }

    fn connect(&mut self, now: Millis) {
        if self.config.chunk_size != DEFAULT_CHUNK_SIZE {
            self.control(Control::SetChunkSize(self.config.chunk_size));
            self.writer.set_chunk_size(self.config.chunk_size);
        }
        let connect = command::connect(&self.config);
        self.command(csid::COMMAND, 0, &connect);
        self.enter(Stage::Connecting, now + self.config.step_ms);
    }

    /// connect was accepted.
    pub(super) fn create(&mut self, now: Millis) {
        match self.config.role {
            Role::Publish => {
                for payload in command::before_publish(&self.config.stream) {
                    self.command(csid::COMMAND, 0, &payload);
                }
            }
            Role::Play => {
                let create = command::before_play();
                self.command(csid::COMMAND, 0, &create);
            }
            Role::Idle => return self.enter(Stage::Connected, Millis::NEVER),
        }
        self.enter(Stage::Creating, now + self.config.step_ms);
    }

    /// createStream was answered.
    pub(super) fn start(&mut self, stream_id: u32, now: Millis) {
        match self.config.role {
            Role::Publish => {
                let publish = command::publish(&self.config.stream);
                self.command(STREAM_COMMAND, stream_id, &publish);
            }
            Role::Idle => return,
            Role::Play => {
                self.reader.set_limits(self.config.reader);
                let play = command::play(&self.config.stream);
                self.command(STREAM_COMMAND, stream_id, &play);
                let ms = self.config.set_buffer_ms;
                self.control(Control::User(UserControl::SetBufferLength {
                    stream_id,
                    ms,
                }));
            }
        }
        self.enter(Stage::Starting { stream_id }, now + self.config.step_ms);
    }

    /// publish or play was accepted, or the stream began again.
    pub(super) fn ready(&mut self, stream_id: u32) {
        self.enter(Stage::Ready { stream_id }, Millis::NEVER);
        self.events.push_back(ClientEvent::Ready { stream_id });
    }

    /// The server ended it. Said once: a session that has ended already stays as it is.
    pub(super) fn end(&mut self, why: Ending) {
        let again = match (&why, self.stage.stream_id()) {
            (
                Ending::Unpublished | Ending::Stopped | Ending::Complete | Ending::StreamEof,
                Some(stream_id),
            ) if self.config.role == Role::Play => Stage::Idle { stream_id },
            _ => Stage::Closed,
        };
        if matches!(self.stage, Stage::Closed | Stage::Broken) {
            return;
        }
        let was_idle = matches!(self.stage, Stage::Idle { .. });
        self.enter(again, Millis::NEVER);
        if !was_idle {
            self.events.push_back(ClientEvent::Ended { why });
        }
    }

    fn enter(&mut self, stage: Stage, deadline: Millis) {
        self.stage = stage;
        self.deadline = deadline;
    }

    fn break_off(&mut self) {
        self.events.clear();
        self.enter(Stage::Broken, Millis::NEVER);
    }

    fn command(&mut self, csid: u32, stream_id: u32, payload: &[u8]) {
        let head = Head {
            csid,
            timestamp: 0,
            kind: Kind::CommandAmf0,
            stream_id,
        };
        self.send(&head, payload);
    }
}

/// How far a session has come.
pub(super) enum Stage {
    Handshake(Box<ClientHandshake>),
    Connecting,
    /// All that an idle connection wants.
    Connected,
    Creating,
    Starting {
        stream_id: u32,
    },
    Ready {
        stream_id: u32,
    },
    /// The stream we play ended; the server may start it again on the same message stream.
    Idle {
        stream_id: u32,
    },
    /// Refused, ended or stopped: what comes is still read and reported, nothing is done.
    Closed,
    /// After an error: what comes is thrown away.
    Broken,
}

impl Stage {
    /// The message stream, once the server issued one and until the end.
    pub(super) fn stream_id(&self) -> Option<u32> {
        match self {
            Self::Starting { stream_id } | Self::Ready { stream_id } | Self::Idle { stream_id } => {
                Some(*stream_id)
            }
            _ => None,
        }
    }

    pub(super) fn step(&self) -> Step {
        match self {
            Self::Handshake(_) => Step::Handshake,
            Self::Connecting => Step::Connect,
            Self::Creating => Step::CreateStream,
            Self::Starting { .. } => Step::Start,
            Self::Connected | Self::Ready { .. } => Step::Ready,
            Self::Idle { .. } | Self::Closed | Self::Broken => Step::Over,
        }
    }
}

/// Chunk stream of publish and play: a fresh one, so the header is whole.
const STREAM_COMMAND: u32 = 8;
/// Longest message the 24-bit length field can say.
const MESSAGE_BYTES_MAX: usize = 0xFF_FFFF;
/// Most parts taken from one aggregate (Z-30).
const AGGREGATE_ITEMS_MAX: usize = 8_192;
