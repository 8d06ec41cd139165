//! What a tool received, as the ordered hashes of each elementary stream, and how two such
//! recordings compare.
//!
//! Invariant: a comparison never forgives a missing, doubled, reordered or altered packet inside
//! the part that both have; what may be missing at either end is said by `Coverage`.

use std::path::Path;
use std::process::Stdio;

use crate::tools::Tool;

/// One packet of an elementary stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Packet {
    /// Decoding time in milliseconds, from an origin of the tool's own.
    pub(crate) dts_ms: i64,
    /// MD5 of the payload.
    pub(crate) hash: String,
}

/// One elementary stream.
#[derive(Clone, Default, Debug)]
pub(crate) struct Track {
    /// "video", "audio"; script data comes as "subtitle" or "data".
    pub(crate) kind: String,
    /// Size and hash of the codec configuration, where the tool tells it.
    pub(crate) configuration: Option<String>,
    pub(crate) packets: Vec<Packet>,
}

/// Audio and video of one recording, in the order of the tool's own numbering.
#[derive(Clone, Default, Debug)]
pub(crate) struct Recording {
    pub(crate) tracks: Vec<Track>,
}

/// How much of the source a player must have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Coverage {
    /// From the first packet to the last.
    Whole,
    /// Video from a key frame, audio from anywhere, both to the last packet.
    FromKey,
}

/// What one player is allowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) coverage: Coverage,
    /// Frames from one key frame of the source to the next.
    pub(crate) gop: usize,
    /// Packets of a track that the tool itself loses at the end.
    pub(crate) tail_lost: usize,
    /// How far a packet's time may stand from where the source has it, relative to the others.
    pub(crate) jitter_ms: i64,
}

impl Recording {
    /// Reads a file with `tool`, without leaving out frames in front of the first key frame.
    pub(crate) fn of_file(tool: Tool, path: &Path) -> Result<Self, String> {
        let mut command = tool.command();
        command
            .args(["-v", "error", "-i"])
            .arg(path)
            .args(FRAMEHASH)
            .arg("-");
        let output = command.stdin(Stdio::null()).output().expect("run ffmpeg");
        if output.status.success() {
            return Ok(Self::from_framehash(&String::from_utf8_lossy(
                &output.stdout,
            )));
        }
        Err(format!(
            "not readable: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ))
    }

    /// Parses the output of ffmpeg's `framehash` muxer.
    pub(crate) fn from_framehash(text: &str) -> Self {
        let mut all: Vec<Track> = Vec::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("#media_type ") {
                let (index, kind) = rest.split_once(": ").expect("media type line");
                track(&mut all, index).kind = kind.to_owned();
            } else if let Some(rest) = line.strip_prefix("#extradata ") {
                let (index, configuration) = rest.split_once(',').expect("extradata line");
                let words: Vec<&str> = configuration.split_whitespace().collect();
                track(&mut all, index).configuration = Some(words.join(" "));
            } else if !line.starts_with('#') {
                let fields: Vec<&str> = line.split(',').map(str::trim).collect();
                // stream, dts, pts, duration, size, hash; side data may follow
                let [index, dts, _, _, size, hash, ..] = fields[..] else {
                    continue;
                };
                // ffmpeg's way to hand on the setup of an enhanced track that comes first in a
                // file; nobody sent it.
                if size == "0" {
                    continue;
                }
                let dts_ms = dts.parse().expect("dts in milliseconds");
                track(&mut all, index).packets.push(Packet {
                    dts_ms,
                    hash: hash.to_owned(),
                });
            }
        }
        Self::of_tracks(all)
    }

    /// Parses `ffprobe -show_packets -show_data_hash md5 -of compact=p=0`.
    pub(crate) fn from_ffprobe(text: &str) -> Self {
        let mut all: Vec<Track> = Vec::new();
        for line in text.lines() {
            let field = |name: &str| {
                line.split('|')
                    .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
            };
            let (Some(index), Some(hash)) = (field("stream_index"), field("data_hash")) else {
                continue;
            };
            let one = track(&mut all, index);
            field("codec_type")
                .unwrap_or_default()
                .clone_into(&mut one.kind);
            let dts_ms = field("dts").and_then(|dts| dts.parse().ok()).expect("dts");
            let hash = hash.trim_start_matches("MD5:").to_owned();
            one.packets.push(Packet { dts_ms, hash });
        }
        Self::of_tracks(all)
    }

    /// The same without the tracks that `keep` refuses; `keep` gets kind and number in kind.
    pub(crate) fn filtered(&self, keep: impl Fn(&str, usize) -> bool) -> Self {
        let mut seen = std::collections::HashMap::new();
        let mut kept = |track: &&Track| {
            let number = seen.entry(track.kind.clone()).or_insert(0_usize);
            *number += 1;
            keep(&track.kind, *number - 1)
        };
        Self {
            tracks: self.tracks.iter().filter(|t| kept(t)).cloned().collect(),
        }
    }

    /// Compares what a player has with what was sent. `Ok` says how much, `Err` what is wrong.
    pub(crate) fn compare(&self, source: &Self, terms: Terms) -> Result<String, String> {
        let mut heard = Vec::new();
        let mut offsets = Vec::new();
        for kind in ["video", "audio"] {
            let of_kind = |all: &Self| -> Vec<Track> {
                all.tracks
                    .iter()
                    .filter(|t| t.kind == kind)
                    .cloned()
                    .collect()
            };
            let (sent, got) = (of_kind(source), of_kind(self));
            if sent.len() != got.len() {
                return Err(format!("{} {kind} tracks of {}", got.len(), sent.len()));
            }
            for (number, (sent, got)) in sent.iter().zip(&got).enumerate() {
                let label = format!("{kind} {number}");
                let start = place(sent, got, terms).map_err(|fault| format!("{label}: {fault}"))?;
                let pairs = got.packets.iter().zip(&sent.packets[start..]);
                offsets.extend(pairs.map(|(got, sent)| got.dts_ms - sent.dts_ms));
                heard.push(format!(
                    "{label} {}/{}",
                    got.packets.len(),
                    sent.packets.len()
                ));
            }
        }
        let spread = offsets.iter().max().unwrap_or(&0) - offsets.iter().min().unwrap_or(&0);
        if spread > terms.jitter_ms {
            return Err(format!(
                "times drift by {spread} ms, {} allowed",
                terms.jitter_ms
            ));
        }
        Ok(format!("{}, times within {spread} ms", heard.join(", ")))
    }

    fn of_tracks(mut all: Vec<Track>) -> Self {
        all.retain(|track| ["video", "audio"].contains(&&*track.kind));
        Self { tracks: all }
    }
}

/// Finds where `got` lies in `sent` and checks both ends.
fn place(sent: &Track, got: &Track, terms: Terms) -> Result<usize, String> {
    if got.packets.is_empty() {
        return Err("nothing received".to_owned());
    }
    if let (Some(sent), Some(got)) = (&sent.configuration, &got.configuration)
        && sent != got
    {
        return Err(format!("codec configuration is {got}, sent was {sent}"));
    }
    let hashes = |track: &Track| -> Vec<String> {
        track
            .packets
            .iter()
            .map(|packet| packet.hash.clone())
            .collect()
    };
    let (all, part) = (hashes(sent), hashes(got));
    // A clip may repeat a payload, so the last place that fits is the one to judge: the end of
    // the recording is what both terms pin down.
    let Some(start) = all.windows(part.len()).rposition(|window| window == part) else {
        return Err(first_difference(&all, &part));
    };
    if terms.coverage == Coverage::Whole && start > 0 {
        return Err(format!("starts at packet {start}, should have everything"));
    }
    if sent.kind == "video" && !start.is_multiple_of(terms.gop) {
        return Err(format!("starts at packet {start}, which is no key frame"));
    }
    let lost = all.len() - start - part.len();
    if lost > terms.tail_lost {
        return Err(format!(
            "{lost} packets missing at the end, got {}",
            part.len()
        ));
    }
    Ok(start)
}

/// Says where a recording leaves the source.
fn first_difference(all: &[String], part: &[String]) -> String {
    let Some(start) = all.iter().position(|hash| *hash == part[0]) else {
        return format!("its first packet was never sent ({} packets)", part.len());
    };
    let same = all[start..]
        .iter()
        .zip(part)
        .take_while(|(sent, got)| sent == got)
        .count();
    let next = part
        .get(same)
        .and_then(|got| all.iter().position(|sent| sent == got));
    format!(
        "packets {start}..{} of {} arrived, then comes packet {next:?}; {} received in all",
        start + same,
        all.len(),
        part.len()
    )
}

fn track<'a>(all: &'a mut Vec<Track>, index: &str) -> &'a mut Track {
    let index: usize = index.trim().parse().expect("stream index");
    if all.len() <= index {
        all.resize_with(index + 1, Track::default);
    }
    &mut all[index]
}

/// Output options: every packet as it came, hashed.
pub(crate) const FRAMEHASH: [&str; 9] = [
    "-map",
    "0",
    "-c",
    "copy",
    "-copyinkf",
    "-hash",
    "md5",
    "-f",
    "framehash",
];
