//! What happens when the ring of a thread is full.

use crate::Session;
use crate::session::RingStart;
use elixir_scope_ring::file::Mapped;
use elixir_scope_ring::{Policy, Producer, Refused};
use std::time::{Duration, Instant};

/// What happens when the ring of a thread is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The new event is dropped, and counted.
    #[default]
    DropNew,
    /// The oldest events make room: a flight recording. Nothing is drained until somebody asks, or a trigger does.
    Overwrite,
    /// The thread waits for room so long at most; then the event is dropped, and counted. Nothing else runs on the
    /// scheduler meanwhile.
    Block(Duration),
}

impl Overflow {
    /// The policy of the rings.
    pub(crate) fn policy(self) -> Policy {
        match self {
            Overflow::Overwrite => Policy::Overwrite,
            Overflow::DropNew | Overflow::Block(_) => Policy::DropNew,
        }
    }
}

/// What makes a flight recording write down what it holds, without being asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Triggers {
    /// An exception of kind error leaves an instrumented function.
    pub errors: bool,
    /// One of kind exit does.
    pub exits: bool,
    /// Not more often than this. What triggers earlier is remembered until then.
    pub interval: Duration,
}

/// A thread spins for so long before it sleeps: the drain is often half way through.
const SPIN: Duration = Duration::from_micros(20);

/// The longest sleep.
const STEP: Duration = Duration::from_micros(100);

impl Session {
    /// A ring has refused a frame. Whether it was taken after all; if not it is counted.
    #[cold]
    pub(crate) fn refused(
        &self,
        ring: &mut RingStart,
        why: Refused,
        mut offer: impl FnMut(&mut Producer<Mapped>) -> Result<(), Refused>,
    ) -> bool {
        let bound = match (self.overflow, why) {
            (Overflow::Block(bound), Refused::Full) => bound,
            _ => Duration::ZERO,
        };
        let begun = Instant::now();
        while !bound.is_zero() && self.is_recording() {
            // Again and again: the drain may have looked just before this ring was full.
            self.wake();
            let waited = begun.elapsed();
            let Some(left) = bound.checked_sub(waited).filter(|left| !left.is_zero()) else { break };
            if waited < SPIN {
                std::hint::spin_loop();
            } else {
                std::thread::sleep(left.min(STEP));
            }
            if offer(&mut ring.producer).is_ok() {
                return true;
            }
        }
        ring.producer.count(why);
        false
    }

    /// An exception leaves an instrumented function: 0 error, 1 exit, 2 throw. Its event has been recorded.
    pub fn raised(&self, kind: u64) {
        if (kind == 0 && self.triggers.errors) || (kind == 1 && self.triggers.exits) {
            self.triggered.store(true, std::sync::atomic::Ordering::Release);
            self.wake();
        }
    }
}
