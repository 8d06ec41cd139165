//! The bytes a session says, from control messages to status objects.
//!
//! Invariant: everything here goes out as whole messages with format 0 and 3 headers, so it may
//! be put between any two messages of the host. PROTOCOL §3, C-03, C-16, C-43, C-62, C-83, K-20.

use crate::rtmp::amf0::{Object, Value, encode};
use crate::rtmp::caps::Caps;
use crate::rtmp::chunk::{DEFAULT_CHUNK_SIZE, Head, csid, write_control, write_message};
use crate::rtmp::message::{BandwidthLimit, Control, Kind, UserControl};

/// What waits to be sent.
pub(super) struct Replies {
    pub(super) bytes: Vec<u8>,
    chunk_size: u32,
    /// Last window we asked the peer to acknowledge by.
    window: u32,
}

impl Replies {
    pub(super) fn new() -> Self {
        Self {
            bytes: Vec::new(),
            chunk_size: DEFAULT_CHUNK_SIZE,
            window: 0,
        }
    }

    pub(super) fn control(&mut self, control: Control) {
        write_control(&mut self.bytes, &control);
    }

    pub(super) fn user(&mut self, event: UserControl) {
        self.control(Control::User(event));
    }

    /// Window and bandwidth before the success of connect (C-16).
    pub(super) fn windows(&mut self, window: u32) {
        self.window(window);
        let limit = BandwidthLimit::Dynamic;
        self.control(Control::SetPeerBandwidth { size: window, limit });
    }

    /// Names the window unless it is the one named last (K-34).
    pub(super) fn window(&mut self, window: u32) {
        if self.window != window {
            self.window = window;
            self.control(Control::WindowAckSize(window));
        }
    }

    /// Announces and uses `size` from here on, before the first long reply (K-26, INTEROP 20).
    pub(super) fn set_chunk_size(&mut self, size: u32) {
        self.control(Control::SetChunkSize(size));
        self.chunk_size = size;
    }

    /// Success of connect. `info.code` is what gst waits for (C-17). The E-RTMP keys go into both
    /// objects, because implementations read either (M-61).
    pub(super) fn connected(&mut self, transaction: f64, encoding: f64, trace: &str, caps: &Caps) {
        let properties = Object::new()
            .with("fmsVer", "FMS/3,0,1,123")
            .with("capabilities", 31u32)
            .with("mode", 1u32);
        let info = info("status", "NetConnection.Connect.Success", "Connection succeeded.")
            .with("objectEncoding", encoding)
            .with("clientid", trace);
        let (properties, info) = if caps.enhanced {
            (Caps::declare(properties), Caps::declare(info))
        } else {
            (properties, info)
        };
        self.result(transaction, properties.into(), info.into());
    }

    /// `_result`: to the connection, never to transaction 0 (C-01).
    pub(super) fn result(&mut self, transaction: f64, first: Value<'_>, second: Value<'_>) {
        self.reply("_result", transaction, first, second);
    }

    /// `_error` of a call other than connect.
    pub(super) fn call_failed(&mut self, transaction: f64, description: &str) {
        let info = info("error", "NetConnection.Call.Failed", description);
        self.reply("_error", transaction, Value::Null, info.into());
    }

    /// `_error` of connect, sent whatever the transaction is: nothing else ends the wait (C-19).
    pub(super) fn connect_failed(&mut self, transaction: f64, code: &str, description: &str) {
        let info = info("error", code, description);
        let values = ["_error".into(), transaction.into(), Value::Null, info.into()];
        self.command(csid::COMMAND, 0, &values);
    }

    /// A call of ours that wants no answer.
    pub(super) fn notify(&mut self, name: &str, code: &str, description: &str) {
        let info = info("status", code, description);
        self.command(csid::COMMAND, 0, &[name.into(), 0u32.into(), Value::Null, info.into()]);
    }

    /// `onStatus` on the message stream it is about: gst waits for it there (C-04).
    pub(super) fn status(&mut self, stream_id: u32, code: &str, description: &str) {
        self.on_status(stream_id, info("status", code, description));
    }

    /// `onStatus` of level error.
    pub(super) fn error(&mut self, stream_id: u32, code: &str, description: &str) {
        self.on_status(stream_id, info("error", code, description));
    }

    pub(super) fn on_status(&mut self, stream_id: u32, info: Object<'_>) {
        let values = ["onStatus".into(), 0u32.into(), Value::Null, info.into()];
        self.command(csid::DATA, stream_id, &values);
    }

    /// Flash shows no picture without it (INTEROP 35).
    pub(super) fn sample_access(&mut self, stream_id: u32) {
        let values = ["|RtmpSampleAccess".into(), true.into(), true.into()];
        self.message(csid::DATA, Kind::DataAmf0, stream_id, &values);
    }

    fn reply(&mut self, name: &str, transaction: f64, first: Value<'_>, second: Value<'_>) {
        if transaction != 0.0 {
            let values = [name.into(), transaction.into(), first, second];
            self.command(csid::COMMAND, 0, &values);
        }
    }

    fn command(&mut self, csid: u32, stream_id: u32, values: &[Value<'_>]) {
        self.message(csid, Kind::CommandAmf0, stream_id, values);
    }

    fn message(&mut self, csid: u32, kind: Kind, stream_id: u32, values: &[Value<'_>]) {
        let mut payload = Vec::with_capacity(256);
        for value in values {
            encode(value, &mut payload);
        }
        let head = Head {
            csid,
            timestamp: 0,
            kind,
            stream_id,
        };
        write_message(&mut self.bytes, &head, &payload, self.chunk_size);
    }
}

/// The information object of a status (C-83).
pub(super) fn info<'a>(level: &'a str, code: &'a str, description: &'a str) -> Object<'a> {
    Object::new()
        .with("level", level)
        .with("code", code)
        .with("description", description)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(write: impl FnOnce(&mut Replies)) -> Vec<u8> {
        let mut replies = Replies::new();
        replies.chunk_size = 60_000;
        write(&mut replies);
        replies.bytes
    }

    #[test]
    fn the_result_of_create_stream_has_its_golden_bytes() {
        let golden = [
            &[0x03, 0, 0, 0, 0, 0, 0x1d, 0x14, 0, 0, 0, 0][..], // csid 3, 29 bytes, command
            b"\x02\x00\x07_result",
            &[0x00, 0x40, 0x10, 0, 0, 0, 0, 0, 0], // transaction 4
            &[0x05],                               // null
            &[0x00, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0], // stream 1
        ];
        assert_eq!(bytes(|r| r.result(4.0, Value::Null, 1u32.into())), golden.concat());
    }

    #[test]
    fn publish_start_has_its_golden_bytes_on_its_message_stream() {
        let golden = [
            &[0x05, 0, 0, 0, 0, 0, 0x69, 0x14, 1, 0, 0, 0][..], // csid 5, 105 bytes, stream 1
            b"\x02\x00\x08onStatus",
            &[0x00, 0, 0, 0, 0, 0, 0, 0, 0], // transaction 0
            &[0x05, 0x03],                   // null, object
            b"\x00\x05level\x02\x00\x06status",
            b"\x00\x04code\x02\x00\x17NetStream.Publish.Start",
            b"\x00\x0bdescription\x02\x00\x10Start publishing",
            &[0, 0, 9],
        ];
        let start = bytes(|r| r.status(1, "NetStream.Publish.Start", "Start publishing"));
        assert_eq!(start, golden.concat());
    }

    #[test]
    fn sample_access_and_windows_have_their_golden_bytes() {
        let access = [
            &[0x05, 0, 0, 0, 0, 0, 0x18, 0x12, 1, 0, 0, 0][..], // csid 5, 24 bytes, data
            b"\x02\x00\x11|RtmpSampleAccess",
            &[1, 1, 1, 1],
        ];
        assert_eq!(bytes(|r| r.sample_access(1)), access.concat());
        let windows = [
            &[0x02, 0, 0, 0, 0, 0, 4, 5, 0, 0, 0, 0, 0, 0x4c, 0x4b, 0x40][..],
            &[0x02, 0, 0, 0, 0, 0, 5, 6, 0, 0, 0, 0, 0, 0x4c, 0x4b, 0x40, 2],
        ];
        assert_eq!(bytes(|r| r.windows(5_000_000)), windows.concat());
    }

    #[test]
    fn transaction_0_is_never_answered_and_any_other_bit_exactly() {
        assert!(bytes(|r| r.result(0.0, Value::Null, Value::Null)).is_empty());
        assert!(bytes(|r| r.call_failed(-0.0, "no")).is_empty());
        for number in [f64::NAN, -1.0, 1e308, 9_007_199_254_740_993.0] {
            let reply = bytes(|r| r.result(number, Value::Null, Value::Null));
            let echoed = reply.get(12 + 11..12 + 19).unwrap();
            assert_eq!(echoed, number.to_be_bytes(), "{number}");
        }
    }
}
