//! The thread that packs and removes segments while the VM runs, so that the drain never waits for it.

use crate::Observer;
use elixir_scope_clock::Clock;
use elixir_scope_store::Keeper;
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often it looks when nobody wakes it.
const EVERY: Duration = Duration::from_secs(1);

/// Keeps a run tidy until it is stopped.
pub(crate) struct Housekeeping {
    stop: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Housekeeping {
    /// Starts the thread.
    pub(crate) fn start(keeper: Keeper, clock: Arc<Clock>, observer: Arc<dyn Observer>) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let work = Work { keeper, clock, observer, warned: None, stop: Arc::clone(&stop) };
        let thread = std::thread::Builder::new().name("elixir_scope_keeper".into()).spawn(|| work.run())?;
        Ok(Housekeeping { stop, thread: Mutex::new(Some(thread)) })
    }

    /// The thread, to be unparked when there is something to do.
    pub(crate) fn thread(&self) -> Option<std::thread::Thread> {
        self.thread.lock().as_ref().map(|thread| thread.thread().clone())
    }

    /// Waits until the run, which has ended, is tidy.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.lock().take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

struct Work {
    keeper: Keeper,
    clock: Arc<Clock>,
    observer: Arc<dyn Observer>,
    /// What the user was told last: the same is not told again and again.
    warned: Option<String>,
    stop: Arc<AtomicBool>,
}

impl Work {
    fn run(mut self) {
        loop {
            let ended = self.stop.load(Ordering::Acquire);
            let tidied = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                self.keeper.tidy(self.clock.now(), ended)
            }));
            match tidied {
                Ok(Ok(())) => {}
                Ok(Err(error)) => self.warn(error.to_string()),
                Err(_) => return self.warn("a bug in ElixirScope ended the thread; please report it".into()),
            }
            if ended {
                return;
            }
            std::thread::park_timeout(EVERY);
        }
    }

    fn warn(&mut self, what: String) {
        if self.warned.as_ref() != Some(&what) {
            self.observer.warned(&what);
            self.warned = Some(what);
        }
    }
}
