//! The trap that needs a socket: how a connection ends after a refusal.

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::bench::{Client, messages};
use crate::common::client::Publisher;
use crate::common::link::Dial;
use crate::common::media::Camera;
use crate::common::server::TestServer;

#[test]
fn t07_after_a_refusal_the_socket_closes_and_late_bytes_do_no_harm() {
    let server = TestServer::start(&["--on-duplicate", "reject"]);
    let first = Publisher::start(server.rtmp, "live/cam", &Camera::plain()).unwrap();
    let mut socket = Dial::new(server.rtmp).socket().unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(3)))
        .unwrap();
    let mut client = Client::new();
    client.connect(&[("app", "live".into())]);
    client.call(0, "createStream", 2.0, &[]);
    client.call(1, "publish", 3.0, &["cam".into()]);
    let started = Instant::now();
    socket.write_all(&client.bytes).unwrap();
    // rtmpdump and OBS wait for the close and send on until they see it.
    for _ in 0..20 {
        thread::sleep(Duration::from_millis(20));
        socket
            .write_all(&[0x55; 1_000])
            .expect("late bytes are taken and thrown away");
    }
    let mut heard = Vec::new();
    socket
        .read_to_end(&mut heard)
        .expect("the server closes with a FIN, not with a reset");
    assert!(started.elapsed() < Duration::from_secs(3), "it closed late");
    let said = messages(&heard[3_073..], 128);
    let text = String::from_utf8_lossy(said.last().unwrap().payload()).into_owned();
    assert!(text.contains("NetStream.Publish.Rejected"), "{text}");
    drop(first);
}
