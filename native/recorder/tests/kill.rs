//! `kill -9` of a program that records: whatever it knew to be recorded is found, in order, once, and nothing else.
//!
//! This program starts itself, waits until the child has recorded for a while, kills it and opens what it left.

mod common;

use common::{Scene, Sizes, event_for_sure, numbers, open};
use elixir_scope_event::LossCause;
use elixir_scope_store::RunPath;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Tells the child where to record, and with what sizes.
const CHILD: &str = "ELIXIR_SCOPE_KILL";
const ROUNDS: u64 = 50;
const THREADS: u32 = 3;

fn main() {
    if let Ok(orders) = std::env::var(CHILD) {
        return record_until_killed(&orders);
    }
    let started = Instant::now();
    // The files of the child must not end within a block alone: sizes and moments differ from round to round.
    let rounds: Vec<u64> = (0..ROUNDS).collect();
    std::thread::scope(|scope| {
        for half in rounds.chunks(ROUNDS as usize / 2) {
            scope.spawn(move || half.iter().for_each(|round| kill_and_open(*round)));
        }
    });
    println!("killed {ROUNDS} programs and found all that they recorded, in {:?}", started.elapsed());
}

fn sizes(round: u64) -> Sizes {
    let ring = [4 << 10, 64 << 10, 1 << 20][round as usize % 3];
    let segment = [64 << 10, 1 << 20][round as usize % 2];
    let block = [500, 4 << 10, 64 << 10][round as usize / 2 % 3].min(segment / 8);
    Sizes { ring, segment, block, ..Sizes::default() }
}

/// Each thread writes how many of its events were recorded into eight bytes of a file, after each event.
fn record_until_killed(orders: &str) {
    let (round, dir) = orders.split_once(' ').expect("a round and a folder");
    let dir = PathBuf::from(dir);
    let _scene = Scene::start(&dir, sizes(round.parse().expect("a number")));
    let confirmed = File::options().write(true).open(dir.join("confirmed")).expect("made by the parent");
    std::thread::scope(|scope| {
        for pid in 1..=THREADS {
            let confirmed = &confirmed;
            scope.spawn(move || {
                for number in 0u64.. {
                    event_for_sure(pid, number);
                    let place = u64::from(pid - 1) * 8;
                    confirmed.write_all_at(&(number + 1).to_le_bytes(), place).expect("written");
                }
            });
        }
    });
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn kill_and_open(round: u64) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let confirmed = dir.path().join("confirmed");
    std::fs::write(&confirmed, [0; 8 * THREADS as usize]).expect("written");
    let orders = format!("{round} {}", dir.path().display());
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    let mut child = Killed(command.env(CHILD, orders).spawn().expect("started"));
    // From the first events to some hundred thousand.
    let enough = [1, 40, 700, 9_000, 30_000][round as usize % 5] + round * 13;
    let deadline = Instant::now() + Duration::from_secs(60);
    while counts(&confirmed).iter().any(|count| *count < enough) {
        assert!(child.0.try_wait().expect("asked").is_none(), "round {round}: the child ended by itself");
        assert!(Instant::now() < deadline, "round {round}: the child is stuck");
        std::thread::yield_now();
    }
    child.0.kill().expect("killed");
    child.0.wait().expect("waited for");

    let run = RunPath::find(dir.path()).expect("a run");
    let recording = open(&run);
    let index = recording.index();
    assert_eq!(index.damage(), [], "round {round}");
    let found = numbers(&index);
    for (pid, confirmed) in (1..).zip(counts(&confirmed)) {
        let numbers = &found[&pid];
        let in_order = numbers.iter().copied().eq(0..numbers.len() as u64);
        assert!(in_order, "round {round}: process {pid} is not in order");
        let recorded = numbers.len() as u64;
        // The last event may have been recorded and not confirmed.
        assert!(
            (confirmed..=confirmed + 1).contains(&recorded),
            "round {round}: process {pid} confirmed {confirmed} events, {recorded} were found"
        );
    }
    // The threads come back with what a full ring refuses, and that is all that may be missing.
    assert!(index.gaps().iter().all(|gap| gap.cause == LossCause::Full), "round {round}: {:?}", index.gaps());
    // Opening changes nothing: a second look finds the same.
    assert_eq!(numbers(&open(&run).index()), found, "round {round}");
}

fn counts(confirmed: &Path) -> Vec<u64> {
    let bytes = std::fs::read(confirmed).expect("read");
    bytes.as_chunks::<8>().0.iter().map(|count| u64::from_le_bytes(*count)).collect()
}
