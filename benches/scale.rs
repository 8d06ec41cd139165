//! More cores than this machine has: what the mesh costs with up to 64 workers, by a model.
//!
//! Operations are counted on the server's own streams and ports (`tests/owner_work.rs` says what
//! the counts depend on), each is measured here on two cores, and the model multiplies. It knows of
//! two cores that share a cache: no second socket, no slower memory, no network card, and nothing
//! of reading the publishers' sockets.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "scale/cost.rs"]
mod cost;
#[path = "scale/model.rs"]
mod model;
#[path = "../tests/owner_work/rig.rs"]
mod rig;

use cost::Costs;
use model::{Load, RATE, count, price};

/// As the server has it: frames are freed on other cores than they were made on.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const WORKERS: [u32; 5] = [1, 2, 8, 32, 64];

fn main() {
    // `cargo bench` says so; `cargo test` only wants to know that this compiles.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let Some([first, second]) = cores.first_chunk() else {
        println!("scale: needs two cores to measure what crosses from one to another");
        return;
    };
    let costs = Costs::measure([*first, *second]);
    prices(&costs);
    one_message(&costs);
    one_stream(&costs);
    many_streams(&costs, false);
    many_streams(&costs, true);
}

fn prices(costs: &Costs) {
    println!("\nMeasured, on two cores: medians in ns (NaN: the system does not tell)");
    let lines = [
        (
            "message made: copied, classified, framed, logged",
            costs.make,
        ),
        (
            "mail: one more reference, a place in the letter",
            costs.mail,
        ),
        ("letter to a worker that is awake", costs.letter),
        ("  its bell, if it sleeps: CPU of the sender", costs.ring),
        ("  from the bell to the letter in hand", costs.wake_delay),
        (
            "letter of one frame taken and logged, by one awake",
            costs.take,
        ),
        (
            "  by one that slept: all its CPU time",
            costs.wake.unwrap_or(f64::NAN),
        ),
        ("reference up and down, by one core", costs.count),
        ("  while another core does so too", costs.count_shared),
        ("cache line from one core to the other", costs.crossing),
        ("player: its next frame found and gathered", costs.cursor),
        (
            "  written to a loopback socket that another core reads",
            costs.send,
        ),
    ];
    for (what, ns) in lines {
        println!("  {what:<56} {ns:>8.0}");
    }
}

fn one_message(costs: &Costs) {
    println!("\nCounted per message, players on all workers, and what it costs its owner");
    println!(
        "{:>8} {:>6} {:>8} {:>6} {:>11} {:>10} {:>10} {:>16} {:>10}",
        "", "", "", "", "", "µs, all", "µs, all", "messages/s that", "last of",
    );
    println!(
        "{:>8} {:>6} {:>8} {:>6} {:>11} {:>10} {:>10} {:>16} {:>10}",
        "workers",
        "mails",
        "letters",
        "bells",
        "references",
        "awake",
        "asleep",
        "fill a core",
        "drops, µs",
    );
    for workers in WORKERS {
        let (slept, woke) = (count(workers, true), count(workers, false));
        let [asleep, awake] = [slept, woke].map(|counted| price(&counted, costs));
        // Worst case: all who hold the frame drop it at the same moment, and queue up for its line.
        let drops = f64::from(workers - 1) * costs.crossing;
        println!(
            "{workers:>8} {:>6} {:>8} {:>6} {:>11} {:>10.1} {:>10.1} {:>16.0} {:>10.1}",
            slept.mails,
            slept.letters,
            slept.rings,
            slept.references[1],
            awake / 1e3,
            asleep / 1e3,
            1e9 / (costs.make + asleep),
            drops / 1e3,
        );
    }
}

fn one_stream(costs: &Costs) {
    println!("\nOne stream, {RATE} messages a second, 10,000 players");
    forecasts(costs, |workers| Load {
        workers,
        streams: 1,
        players: 10_000,
        one_owner: true,
    });
}

fn many_streams(costs: &Costs, one_owner: bool) {
    let whose = if one_owner {
        "all with one owner"
    } else {
        "spread over all workers"
    };
    println!("\n1,000 such streams, {whose}, 10 players each");
    forecasts(costs, |workers| Load {
        workers,
        streams: 1_000,
        players: 10,
        one_owner,
    });
}

/// Shares in per cent of a core. No line where players alone ask for more than there is.
fn forecasts(costs: &Costs, load: impl Fn(u32) -> Load) {
    println!(
        "{:>8} {:>10} {:>10} {:>14} {:>12} {:>12} {:>10}",
        "workers",
        "watching",
        "asleep, %",
        "messages/turn",
        "owner: mesh",
        "other: mesh",
        "players"
    );
    for workers in WORKERS {
        let found = load(workers).forecast(costs);
        let shown = |value: f64, digits| match found.gathered {
            Some(_) => format!("{value:.digits$}"),
            None => "-".into(),
        };
        println!(
            "{workers:>8} {:>10.1} {:>10} {:>14} {:>12} {:>12} {:>10.1}",
            found.watching,
            shown(found.asleep * 100.0, 0),
            shown(found.gathered.unwrap_or_default(), 0),
            shown(found.distributing * 100.0, 2),
            shown(found.receiving * 100.0, 2),
            found.serving * 100.0,
        );
    }
}
