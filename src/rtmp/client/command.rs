//! The commands a client sends, as AMF0 bytes.
//!
//! Invariant: transaction numbers are fixed by role, so an answer belongs to one request without
//! a table. PROTOCOL; shapes X-01 (publish) and X-05 (play).

use crate::rtmp::amf0::{self, Object, Value};
use crate::rtmp::client::{Advert, ClientConfig, Role};

/// Transaction of connect.
pub(super) const CONNECT: f64 = 1.0;

/// Transaction of createStream.
pub(super) fn create_transaction(role: Role) -> f64 {
    match role {
        Role::Publish => 4.0,
        // An idle connection never asks.
        Role::Play | Role::Idle => 2.0,
    }
}

/// Transaction of publish or play.
pub(super) fn start_transaction(role: Role) -> f64 {
    match role {
        Role::Publish => 5.0,
        Role::Play | Role::Idle => 3.0,
    }
}

pub(super) fn connect(config: &ClientConfig) -> Vec<u8> {
    let mut object = Object::new().with("app", config.app.as_str());
    if config.role == Role::Publish {
        object = object.with("type", "nonprivate");
    }
    object = object.with("flashVer", config.flash_ver.as_str());
    object = object.with("tcUrl", config.tc_url.as_str());
    if config.role != Role::Publish {
        object = object
            .with("fpad", false)
            .with("capabilities", 15.0)
            .with("audioCodecs", 4_071.0)
            .with("videoCodecs", 252.0)
            .with("videoFunction", 1.0);
    }
    if let Some(advert) = &config.advert {
        object = advertise(object, advert);
    }
    command("connect", CONNECT, &[Value::Object(object)])
}

/// releaseStream, FCPublish and createStream: a publisher sends them in one go (C-05).
pub(super) fn before_publish(stream: &str) -> [Vec<u8>; 3] {
    let name = || [Value::Null, Value::String(stream.as_bytes())];
    [
        command("releaseStream", 2.0, &name()),
        command("FCPublish", 3.0, &name()),
        command(
            "createStream",
            create_transaction(Role::Publish),
            &[Value::Null],
        ),
    ]
}

/// createStream of a player.
pub(super) fn before_play() -> Vec<u8> {
    command(
        "createStream",
        create_transaction(Role::Play),
        &[Value::Null],
    )
}

pub(super) fn publish(stream: &str) -> Vec<u8> {
    let arguments = [
        Value::Null,
        Value::String(stream.as_bytes()),
        Value::String(b"live"),
    ];
    command("publish", start_transaction(Role::Publish), &arguments)
}

/// A start of -1000 means "live" to every server seen (C-60).
pub(super) fn play(stream: &str) -> Vec<u8> {
    let arguments = [
        Value::Null,
        Value::String(stream.as_bytes()),
        Value::Number(-1_000.0),
    ];
    command("play", start_transaction(Role::Play), &arguments)
}

/// FCUnpublish, of a publisher that stops.
pub(super) fn unpublish(stream: &str) -> Vec<u8> {
    command(
        "FCUnpublish",
        6.0,
        &[Value::Null, Value::String(stream.as_bytes())],
    )
}

pub(super) fn delete_stream(role: Role, stream_id: u32) -> Vec<u8> {
    let transaction = match role {
        Role::Publish => 7.0,
        Role::Play | Role::Idle => 4.0,
    };
    command(
        "deleteStream",
        transaction,
        &[Value::Null, Value::Number(f64::from(stream_id))],
    )
}

/// `@setDataFrame` in front of a data message that begins with its own name (C-90).
pub(super) fn set_data_frame(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len().saturating_add(16));
    amf0::encode(&Value::String(b"@setDataFrame"), &mut out);
    out.extend_from_slice(data);
    out
}

/// Any command: name, transaction, arguments.
pub(super) fn command(name: &str, transaction: f64, arguments: &[Value<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    amf0::encode(&Value::String(name.as_bytes()), &mut out);
    amf0::encode(&Value::Number(transaction), &mut out);
    for argument in arguments {
        amf0::encode(argument, &mut out);
    }
    out
}

fn advertise<'a>(mut object: Object<'a>, advert: &'a Advert) -> Object<'a> {
    if !advert.four_cc_list.is_empty() {
        let list = advert
            .four_cc_list
            .iter()
            .map(|codec| Value::String(codec.as_bytes()));
        object = object.with("fourCcList", Value::StrictArray(list.collect()));
    }
    for (key, map) in [
        ("videoFourCcInfoMap", &advert.video),
        ("audioFourCcInfoMap", &advert.audio),
    ] {
        if !map.is_empty() {
            let flags = map.iter().fold(Object::new(), |flags, (codec, bits)| {
                flags.with(codec.as_str(), f64::from(*bits))
            });
            object = object.with(key, Value::Object(flags));
        }
    }
    match advert.caps_ex {
        Some(bits) => object.with("capsEx", f64::from(bits)),
        None => object,
    }
}
