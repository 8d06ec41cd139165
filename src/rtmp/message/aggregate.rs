//! Aggregate messages (kind 22) taken apart into the messages they hold.
//!
//! Invariant: what was whole before the damage is kept, nothing behind it is guessed at, and the
//! number of items is bounded by the caller. Protocol K-46. We never send one.

use thiserror::Error;

use super::{Body, Kind, Message};
use crate::wire::{Reader, Short};

/// Takes an aggregate apart into at most `max_items` messages of kinds 8, 9, 15 and 18.
///
/// The first item has the aggregate's timestamp, the others keep their distance to it; the
/// aggregate's message stream id replaces theirs.
#[must_use]
pub fn split_aggregate(message: &Message, max_items: usize) -> Split {
    let mut split = Split {
        messages: Vec::new(),
        damage: None,
    };
    let mut items = Reader::new(message.payload());
    let mut first = None;
    while !items.is_empty() {
        if split.messages.len() >= max_items {
            split.damage = Some(AggregateDamage::TooMany { max: max_items });
            break;
        }
        match item(&mut items) {
            Ok(item) => {
                let start = *first.get_or_insert(item.timestamp);
                split.messages.push(Message {
                    kind: item.kind,
                    timestamp: message
                        .timestamp
                        .wrapping_add(item.timestamp.wrapping_sub(start)),
                    stream_id: message.stream_id,
                    body: Body::with_payload(item.payload),
                });
            }
            Err(damage) => {
                split.damage = Some(damage);
                break;
            }
        }
    }
    split
}

/// What an aggregate held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The messages before the damage, in order.
    pub messages: Vec<Message>,
    /// Why the rest was dropped; three aggregates in a row with damage close the connection.
    pub damage: Option<AggregateDamage>,
}

/// Why the rest of an aggregate was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AggregateDamage {
    /// An item's header or announced size goes past the end.
    #[error("item cut off: {0}")]
    Cut(#[from] Short),
    /// A kind that may not be inside, such as control or another aggregate.
    #[error("{0:?} inside an aggregate")]
    Kind(Kind),
    /// More items than allowed.
    #[error("more than {max} items")]
    TooMany {
        /// Most items.
        max: usize,
    },
}

/// One item: kind 1, size 3, time 3 + 1 high, stream id 3, data, back pointer 4.
struct Item<'a> {
    kind: Kind,
    timestamp: u32,
    payload: &'a [u8],
}

fn item<'a>(items: &mut Reader<'a>) -> Result<Item<'a>, AggregateDamage> {
    let kind = Kind::from_wire(items.u8()?);
    if !matches!(
        kind,
        Kind::Audio | Kind::Video | Kind::DataAmf3 | Kind::DataAmf0
    ) {
        return Err(AggregateDamage::Kind(kind));
    }
    let size = items.u24()?;
    let low = items.u24()?;
    let timestamp = u32::from(items.u8()?) << 24 | low;
    items.u24()?;
    let payload = items.bytes(usize::try_from(size).unwrap_or(usize::MAX))?;
    // The back pointer says nothing new and the last one is sometimes missing.
    if !items.is_empty() {
        items.u32()?;
    }
    Ok(Item {
        kind,
        timestamp,
        payload,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aggregate(payload: &[u8]) -> Message {
        Message {
            kind: Kind::Aggregate,
            timestamp: 1_000,
            stream_id: 1,
            body: Body::with_payload(payload),
        }
    }

    const AUDIO: [u8; 16] = [
        8, // kind
        0, 0, 1, // size
        0, 0, 50, 0, // time 50
        0, 0, 9,    // stream id, ignored
        0xAF, // data
        0, 0, 0, 12, // back pointer
    ];
    const VIDEO: [u8; 17] = [
        9, // kind
        0, 0, 2, // size
        0, 0, 40, 0, // time 40, before the audio's
        0, 0, 0, // stream id
        0x27, 0x01, // data
        0xDE, 0xAD, 0xBE, 0xEF, // back pointer, nonsense
    ];

    #[test]
    fn items_keep_their_distance_and_take_the_aggregates_stream() {
        let split = split_aggregate(&aggregate(&[&AUDIO[..], &VIDEO].concat()), 8_192);
        assert_eq!(split.damage, None);
        let seen: Vec<_> = split
            .messages
            .iter()
            .map(|m| (m.kind, m.timestamp, m.stream_id, m.payload()))
            .collect();
        assert_eq!(
            seen,
            [
                (Kind::Audio, 1_000, 1, &[0xAF][..]),
                (Kind::Video, 990, 1, &[0x27, 0x01])
            ]
        );
    }

    #[test]
    fn the_last_back_pointer_may_be_missing() {
        let split = split_aggregate(&aggregate(&AUDIO[..12]), 8_192);
        assert_eq!((split.messages.len(), split.damage), (1, None));
    }

    #[test]
    fn a_size_past_the_end_drops_the_rest() {
        let bytes = [&AUDIO[..], &[9, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 1]].concat();
        let split = split_aggregate(&aggregate(&bytes), 8_192);
        assert_eq!(split.messages.len(), 1);
        let cut = Short {
            wanted: 0xFF_FFFF,
            left: 1,
        };
        assert_eq!(split.damage, Some(AggregateDamage::Cut(cut)));
    }

    #[test]
    fn a_nested_aggregate_drops_the_rest() {
        let split = split_aggregate(
            &aggregate(&[&AUDIO[..], &[22, 0, 0, 0], &VIDEO].concat()),
            9,
        );
        assert_eq!(split.messages.len(), 1);
        assert_eq!(split.damage, Some(AggregateDamage::Kind(Kind::Aggregate)));
    }

    #[test]
    fn the_number_of_items_is_bounded() {
        let split = split_aggregate(&aggregate(&AUDIO.repeat(5)), 3);
        assert_eq!(split.messages.len(), 3);
        assert_eq!(split.damage, Some(AggregateDamage::TooMany { max: 3 }));
        assert_eq!(
            split_aggregate(&aggregate(&AUDIO.repeat(3)), 3).damage,
            None
        );
    }

    #[test]
    fn an_empty_aggregate_holds_nothing() {
        let split = split_aggregate(&aggregate(&[]), 8_192);
        assert_eq!((split.messages.len(), split.damage), (0, None));
    }
}
