//! Records what real clients say to the server, and cuts it into seeds for the fuzz targets.
//!
//! Invariant: a seed is a second of a session at most, of small pictures, and comes from a tool
//! run here: `scripts/fuzz.sh --record` starts this, no ordinary run does. The sessions pass a
//! relay that keeps the client's bytes; the library's own reader takes them apart.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test may fail by panic"
)]

use std::collections::HashSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::server::TestServer;
use corecast::limits::{AmfLimits, ReaderLimits};
use corecast::rtmp::amf0::{Value, decode};
use corecast::rtmp::chunk::ChunkReader;
use corecast::rtmp::message::{Control, Kind, Message};

mod common;

#[test]
#[ignore = "writes tests/fuzz/seeds; needs ffmpeg, GStreamer and rtmpdump"]
fn record_the_seeds_of_real_clients() {
    let server = TestServer::start(&["--play-wait", "5s"]);
    let dir = tempfile::tempdir().unwrap();
    let sink = dir.path().join("sink.flv");
    let mut seeds = Seeds::default();
    // Something to watch, for those that play.
    let direct = format!("rtmp://{}/live/cam", server.rtmp);
    let _camera = Tool::start(&ffmpeg_publisher(&direct, "30", "-c:v libx264"));
    for (name, command) in publishers() {
        seeds.add(name, &recorded(&server, &command));
    }
    for (name, command) in players(&sink) {
        seeds.add(name, &recorded(&server, &command));
    }
    // None of these tools speaks AMF3.
    for (name, value) in AMF3 {
        seeds.put("amf3", name, &[&[1], value].concat());
    }
    seeds.write();
}

/// Values as Flash writes them.
const AMF3: [(&str, &[u8]); 4] = [
    (
        "object",
        b"\x0a\x0b\x01\x07app\x06\x09live\x0btcUrl\x06\x02\x01",
    ),
    (
        "class",
        b"\x0a\x23\x07cls\x03a\x03b\x04\x81\x00\x05\x7f\xf0\x00\x00\x00\x00\x00\x00",
    ),
    (
        "array",
        b"\x09\x07\x03k\x06\x00\x01\x02\x03\x08\x01\x42\x70\x00\x00\x00\x00\x00\x00",
    ),
    (
        "vectors",
        b"\x10\x03\x00\x01\x0a\x0d\x03\x00\x00\x00\x00\x09\x11\x03\x00\x06\x03x\x0c\x05ab",
    ),
];

/// A command line; `URL` stands for where the relay listens, and `HOST` for that without a path.
type Line = Vec<String>;

fn line(text: &str) -> Line {
    text.split_whitespace().map(str::to_owned).collect()
}

fn ffmpeg_publisher(url: &str, seconds: &str, video: &str) -> Line {
    line(&format!(
        "ffmpeg -v error -nostdin -re -f lavfi -i color=size=64x64:rate=10 -f lavfi \
         -i sine=sample_rate=44100 -t {seconds} {video} -preset ultrafast -g 5 -pix_fmt yuv420p \
         -c:a aac -b:a 16k -f flv {url}"
    ))
}

fn publishers() -> Vec<(&'static str, Line)> {
    let gst = |sink: &str| {
        line(&format!(
            "gst-launch-1.0 -q -e videotestsrc is-live=true num-buffers=10 pattern=black \
             ! video/x-raw,width=64,height=64,framerate=10/1 ! x264enc key-int-max=5 \
             speed-preset=ultrafast bitrate=50 ! h264parse ! mux. audiotestsrc is-live=true \
             num-buffers=20 wave=silence ! avenc_aac ! mux. flvmux name=mux streamable=true \
             ! {sink} location=URL"
        ))
    };
    vec![
        (
            "ffmpeg-publish",
            ffmpeg_publisher("HOST/live/one", "1", "-c:v libx264"),
        ),
        (
            "ffmpeg-publish-name",
            ffmpeg_publisher("HOST/a/b/c.flv?k=v", "0.5", "-c:v libx264"),
        ),
        ("gst-publish-rtmp2", gst("rtmp2sink")),
        ("gst-publish-rtmp", gst("rtmpsink")),
    ]
}

fn players(sink: &Path) -> Vec<(&'static str, Line)> {
    let sink = sink.display();
    vec![
        (
            "ffmpeg-play",
            line("ffmpeg -v error -nostdin -t 1 -i HOST/live/cam -c copy -f null -"),
        ),
        (
            "rtmpdump-play",
            line(&format!(
                "rtmpdump -q --live -B 1 -r HOST/live/cam -o {sink}"
            )),
        ),
        (
            "rtmpdump-play-swf",
            line(&format!(
                "rtmpdump -q --live -B 1 -r HOST/live/cam -x 4711 -w {} -o {sink}",
                "ab".repeat(32)
            )),
        ),
        (
            "gst-play",
            line("gst-launch-1.0 -q rtmp2src location=HOST/live/cam num-buffers=40 ! fakesink"),
        ),
    ]
}

/// A tool that is ended with the test.
struct Tool(Child);

impl Tool {
    fn start(line: &[String]) -> Self {
        let mut command = Command::new(&line[0]);
        command
            .args(&line[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        Self(
            command
                .spawn()
                .unwrap_or_else(|error| panic!("{}: {error}", line[0])),
        )
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The bytes that the tool sent to the server.
fn recorded(server: &TestServer, command: &[String]) -> Vec<u8> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let host = format!("rtmp://{}", listener.local_addr().unwrap());
    let url = format!("{host}/live/gst");
    let command: Line = command
        .iter()
        .map(|word| word.replace("HOST", &host).replace("URL", &url))
        .collect();
    let mut tool = Tool::start(&command);
    let to = server.rtmp;
    let relay = thread::spawn(move || relay(&listener, to));
    let until = Instant::now() + Duration::from_secs(10);
    while tool.0.try_wait().unwrap().is_none() && Instant::now() < until {
        thread::sleep(Duration::from_millis(20));
    }
    drop(tool);
    relay.join().unwrap()
}

/// Serves one connection to its end, or for as long as a session may take.
fn relay(listener: &TcpListener, to: SocketAddr) -> Vec<u8> {
    let until = Instant::now() + Duration::from_secs(12);
    listener.set_nonblocking(true).unwrap();
    let mut client = loop {
        match listener.accept() {
            Ok((client, _)) => break client,
            Err(_) if Instant::now() < until => thread::sleep(Duration::from_millis(5)),
            Err(error) => panic!("the tool does not connect: {error}"),
        }
    };
    client.set_nonblocking(false).unwrap();
    client
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let mut server = TcpStream::connect(to).unwrap();
    let mut back = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let answers = thread::spawn(move || {
        let _ = std::io::copy(&mut back.0, &mut back.1);
        let _ = back.1.shutdown(Shutdown::Write);
    });
    let (mut all, mut buffer) = (Vec::new(), [0; 4_096]);
    while Instant::now() < until {
        match client.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                all.extend_from_slice(&buffer[..n]);
                if server.write_all(&buffer[..n]).is_err() {
                    break;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    let _ = server.shutdown(Shutdown::Both);
    answers.join().unwrap();
    all
}

/// What goes into which target's folder.
#[derive(Default)]
struct Seeds {
    files: Vec<(String, Vec<u8>)>,
    known: HashSet<(String, u64)>,
}

impl Seeds {
    fn add(&mut self, name: &str, bytes: &[u8]) {
        assert!(
            bytes.len() > HANDSHAKE,
            "{name}: {} bytes are no session",
            bytes.len()
        );
        let (hello, stream) = bytes.split_at(HANDSHAKE);
        self.put(
            "handshake",
            name,
            &[&[0, 2, 100, 250], hello, b"\x03"].concat(),
        );
        let (messages, used) = messages(stream);
        let stream = &stream[..used];
        // Mood 8: nothing precedes these bytes.
        self.put("session", name, &[&[8, 0, 2, 3, 0], hello, stream].concat());
        self.put(
            "session",
            &format!("{name}-cut"),
            &[&[32, 2, 90, 140, 0], stream].concat(),
        );
        self.put("chunk", name, &[&[1, 15, 255], stream].concat());
        self.put("split", name, &[&[1, 3, 1, 77, 130], stream].concat());
        let (mut said, mut seen) = (vec![0], vec![14, 128]);
        for message in &messages {
            self.message(name, message, &mut said, &mut seen);
        }
        self.put("command", name, &said);
        self.put("media", name, &seen);
    }

    fn message(&mut self, name: &str, message: &Message, said: &mut Vec<u8>, seen: &mut Vec<u8>) {
        let payload = message.payload();
        let payload = &payload[..payload.len().min(PAYLOAD_MAX)];
        let len = (payload.len() as u16).to_be_bytes();
        let lane = match message.kind {
            Kind::Video => Some(0),
            Kind::Audio => Some(1),
            Kind::DataAmf0 => Some(2),
            _ => None,
        };
        if message.kind.wire() >= 8 || message.kind == Kind::UserControl {
            let head = [message.kind.wire(), message.stream_id as u8, 3, 0];
            said.extend_from_slice(&[&head[..], &len, payload].concat());
        }
        if let Some(lane) = lane {
            let time = message.timestamp.to_be_bytes();
            seen.extend_from_slice(&[&[lane, 2][..], &time, &len, payload].concat());
        }
        if matches!(message.kind, Kind::CommandAmf0 | Kind::DataAmf0) {
            let values = decode(message.payload(), &AmfLimits::AUTHORISED)
                .unwrap()
                .values;
            let verb = match values.first() {
                Some(Value::String(verb)) => String::from_utf8_lossy(verb).replace('@', ""),
                _ => "data".to_owned(),
            };
            self.put(
                "amf0",
                &format!("{name}-{verb}"),
                &[&[1], message.payload()].concat(),
            );
            self.names(&format!("{name}-{verb}"), &values);
        }
    }

    /// App and tcUrl of a connect, the name of a publish or play.
    fn names(&mut self, name: &str, values: &[Value<'_>]) {
        let object = values.get(2).and_then(Value::as_object);
        let text = |key: &str| object.and_then(|object| object.get(key)?.as_bytes());
        if let (Some(app), Some(tc_url)) = (text("app"), text("tcUrl")) {
            let lens = [app.len() as u8, tc_url.len() as u8];
            self.put("url", name, &[&lens, app, tc_url, b"cam?k=v"].concat());
        }
        if let Some(Value::String(stream)) = values.get(3) {
            self.put("url", name, &[b"\x04\x00live", *stream].concat());
        }
    }

    fn put(&mut self, target: &str, name: &str, bytes: &[u8]) {
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        if self.known.insert((target.to_owned(), hasher.finish())) {
            let same = format!("{target}/{name}-");
            let before = self
                .files
                .iter()
                .filter(|(file, _)| file.starts_with(&same))
                .count();
            if before < OF_A_KIND_MAX {
                self.files.push((format!("{same}{before}"), bytes.to_vec()));
            }
        }
    }

    fn write(&self) {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds");
        for (file, bytes) in &self.files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
}

/// The messages at the front of a session, and the bytes they take.
fn messages(stream: &[u8]) -> (Vec<Message>, usize) {
    let mut reader = ChunkReader::new(ReaderLimits::PUBLISHER);
    let (mut rest, mut used, mut all) = (stream, 0, Vec::new());
    while let Some(message) = reader.read(&mut rest).unwrap() {
        if let Some(Control::SetChunkSize(size)) = Control::parse(message.kind, message.payload()) {
            reader.set_chunk_size(size).unwrap();
        }
        if stream.len() - rest.len() > STREAM_BYTES_MAX {
            break;
        }
        used = stream.len() - rest.len();
        all.push(message);
    }
    (all, used)
}

/// C0, C1 and C2.
const HANDSHAKE: usize = 1 + 2 * 1_536;
/// Bytes of a session behind the handshake that become seeds.
const STREAM_BYTES_MAX: usize = 4_000;
/// Bytes of one payload where only its front is looked at.
const PAYLOAD_MAX: usize = 300;
/// Seeds of one tool and verb.
const OF_A_KIND_MAX: usize = 2;
