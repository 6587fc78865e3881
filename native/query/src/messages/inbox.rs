//! What is on the way to one process.

use ahash::AHashMap;
use elixir_scope_clock::Nanos;
use std::collections::VecDeque;

/// Deliveries that are remembered of a stream while others may come that were not seen.
const LOOSE: usize = 1 << 16;

/// A message that is on the way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) id: u64,
    pub(super) time: Nanos,
    pub(super) digest: i64,
    pub(super) from: u32,
    /// What it holds is made once.
    pub(super) unique: bool,
    pub(super) alias: bool,
    /// The alias was used before, so it may not be in use any more.
    pub(super) again: bool,
    /// Whether it may be asked for.
    pub(super) open: bool,
}

/// What is on the way from one process to another.
#[derive(Clone, Default)]
pub(super) struct Stream {
    /// In the order of their sending; `None`: it is decided.
    queue: VecDeque<Option<Sent>>,
    /// How many were taken off the front of the queue.
    base: u64,
    lines: AHashMap<i64, Line>,
    /// The number of the last send that was delivered for sure.
    sure: Option<u64>,
    /// Until when sends were forgotten that may still come.
    pub(super) forgotten: Option<Nanos>,
    /// How many lines are loose, at least.
    loose: usize,
}

/// Messages of one content.
#[derive(Clone, Default)]
pub(super) struct Line {
    /// Their places in the queue, counted from the first of all.
    waiting: VecDeque<u64>,
    loose: Option<Loose>,
    pub(super) muddle: Option<Muddle>,
}

/// What deliveries were taken for, while others may come that were sent before the sender was watched.
#[derive(Clone, Default)]
struct Loose {
    /// Those of them that are asked for, by their places in the answer.
    pairs: Vec<usize>,
    count: usize,
    /// When the last of them was sent, and its number.
    latest: Nanos,
    last: u64,
}

/// Nobody knows which of these were delivered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Muddle {
    /// How many may still come.
    pub(super) left: usize,
    /// The number of the last of them.
    pub(super) last: u64,
    /// Others have sent that content too.
    mixed: bool,
}

impl Line {
    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.loose.is_none() && self.muddle.is_none()
    }

    /// Whether one may be on the way.
    pub(super) fn is_open(&self) -> bool {
        !self.waiting.is_empty() || self.muddle.is_some()
    }

    /// How many are on the way.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}

impl Stream {
    /// The line of a content, without a muddle from which nothing can come any more.
    pub(super) fn line(&mut self, digest: i64) -> Option<&mut Line> {
        let sure = self.sure;
        let line = self.lines.get_mut(&digest)?;
        if line.muddle.is_some_and(|muddle| muddle.left == 0 || sure >= Some(muddle.last)) {
            line.muddle = None;
        }
        if line.is_idle() {
            self.lines.remove(&digest);
            return None;
        }
        self.lines.get_mut(&digest)
    }

    fn new_line(&mut self, digest: i64) -> &mut Line {
        self.lines.entry(digest).or_default()
    }

    pub(super) fn push(&mut self, sent: Sent) {
        let place = self.base + self.queue.len() as u64;
        self.queue.push_back(Some(sent));
        self.lines.entry(sent.digest).or_default().waiting.push_back(place);
    }

    /// Notes what a delivery was taken for, while others may come that were not seen.
    pub(super) fn loosen(&mut self, sent: &Sent, pair: Option<usize>) {
        if self.loose < LOOSE {
            self.loose += 1;
            let loose = self.new_line(sent.digest).loose.get_or_insert_default();
            loose.pairs.extend(pair);
            (loose.count, loose.latest, loose.last) = (loose.count + 1, sent.time, sent.id);
        }
    }

    /// All that was not seen has come: what is loose is sure.
    pub(super) fn settle(&mut self) {
        if std::mem::take(&mut self.loose) > 0 {
            self.lines.values_mut().for_each(|line| line.loose = None);
            self.lines.retain(|_, line| !line.is_idle());
        }
    }

    /// What deliveries were taken for is wrong, as it turns out: nobody knows which messages of that content have come. The
    /// answer is the pairs, and what waits.
    pub(super) fn part(&mut self, digest: i64) -> (Vec<usize>, Vec<Sent>) {
        let Some(loose) = self.lines.get_mut(&digest).and_then(|line| line.loose.take()) else {
            return Default::default();
        };
        let those = self.confuse(digest, |count| count + loose.count);
        if those.is_empty() {
            let muddle = Muddle { left: loose.count, last: loose.last, mixed: false };
            self.new_line(digest).muddle = Some(muddle);
        }
        (loose.pairs, those)
    }

    /// Takes all messages of a content off: nobody knows which of them come.
    pub(super) fn confuse(&mut self, digest: i64, left: impl Fn(usize) -> usize) -> Vec<Sent> {
        let those: Vec<Sent> = std::iter::from_fn(|| self.take(digest)).collect();
        if let Some(last) = those.last() {
            self.new_line(digest).muddle =
                Some(Muddle { left: left(those.len()), last: last.id, mixed: false });
        }
        those
    }

    /// Nothing of what nobody knows of a content can come any more.
    fn clear(&mut self, digest: i64) {
        if let Some(line) = self.lines.get_mut(&digest) {
            line.muddle = None;
            if line.is_idle() {
                self.lines.remove(&digest);
            }
        }
    }

    /// How many places the queue takes.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether nothing has to be remembered of it.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.lines.is_empty() && self.forgotten.is_none()
    }

    /// The first message of a content.
    pub(super) fn first(&self, digest: i64) -> Option<Sent> {
        let place = *self.lines.get(&digest)?.waiting.front()?;
        self.queue[(place - self.base) as usize]
    }

    /// Takes the first message of a content off.
    pub(super) fn take(&mut self, digest: i64) -> Option<Sent> {
        let line = self.lines.get_mut(&digest)?;
        let place = line.waiting.pop_front()?;
        if line.is_idle() {
            self.lines.remove(&digest);
        }
        let sent = self.queue[(place - self.base) as usize].take();
        self.trim();
        sent
    }

    /// Takes the oldest message off.
    pub(super) fn pop(&mut self) -> Option<Sent> {
        self.trim();
        let oldest = (*self.queue.front()?)?;
        self.take(oldest.digest)
    }

    /// Takes off the oldest message if it was sent before the one of a number.
    pub(super) fn pop_before(&mut self, id: u64) -> Option<Sent> {
        self.trim();
        let oldest = (*self.queue.front()?)?;
        if oldest.id < id { self.take(oldest.digest) } else { None }
    }

    /// A message was delivered for sure.
    pub(super) fn is_sure(&mut self, id: u64) {
        self.sure = self.sure.max(Some(id));
    }

    fn trim(&mut self) {
        while self.queue.front().is_some_and(Option::is_none) {
            self.queue.pop_front();
            self.base += 1;
        }
    }
}

/// What is on the way to a process, by sender.
#[derive(Clone, Default)]
pub(super) struct Inbox {
    pub(super) streams: AHashMap<u32, Stream>,
    /// Who sent what is on the way, by content: only where deliveries do not say whom they are from.
    senders: AHashMap<i64, Vec<u32>>,
    /// How many of a content may still come, where several have sent it and nobody knows whose came.
    mixed: AHashMap<i64, usize>,
    /// When the latest message was sent that is in a loose pair.
    loose: Option<Nanos>,
    /// How many streams there were when those that are over were taken out.
    swept: usize,
}

impl Inbox {
    pub(super) fn stream(&mut self, from: u32) -> &mut Stream {
        self.streams.entry(from).or_default()
    }

    /// Notes who sends a content.
    pub(super) fn note(&mut self, digest: i64, from: u32) {
        let senders = self.senders.entry(digest).or_default();
        if !senders.contains(&from) {
            senders.push(from);
        }
    }

    /// Who has sent a content that is on the way, or may be.
    pub(super) fn senders(&mut self, digest: i64, named: bool) -> Vec<u32> {
        let streams = &self.streams;
        let sends = |from: &u32| streams.get(from).is_some_and(|stream| stream.lines.contains_key(&digest));
        if named {
            return streams.keys().copied().filter(sends).collect();
        }
        let Some(senders) = self.senders.get_mut(&digest) else { return Vec::new() };
        senders.retain(sends);
        let found = senders.clone();
        if found.is_empty() {
            self.senders.remove(&digest);
            self.mixed.remove(&digest);
        }
        found
    }

    /// What a process has sent of a content may come as well as what others have.
    pub(super) fn mix(&mut self, digest: i64, from: u32) {
        let line = self.streams.get_mut(&from).and_then(|stream| stream.line(digest));
        if let Some(muddle) = line.and_then(|line| line.muddle.as_mut()).filter(|muddle| !muddle.mixed) {
            muddle.mixed = true;
            *self.mixed.entry(digest).or_default() += muddle.left;
        }
    }

    /// A process has sent one more of a content of which nobody knows what comes.
    pub(super) fn join(&mut self, digest: i64, from: u32, id: u64) -> bool {
        let line = self.streams.get_mut(&from).and_then(|stream| stream.line(digest));
        let Some(muddle) = line.and_then(|line| line.muddle.as_mut()) else { return false };
        (muddle.left, muddle.last) = (muddle.left + 1, id);
        if muddle.mixed {
            *self.mixed.entry(digest).or_default() += 1;
        }
        true
    }

    /// One of a mixed content has come. With the last of them the content is like any other again.
    pub(super) fn came(&mut self, digest: i64) {
        let Some(left) = self.mixed.get_mut(&digest) else { return };
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.mixed.remove(&digest);
            // Every stream with that content is of one of its senders: see `note`.
            for from in self.senders.get(&digest).into_iter().flatten() {
                self.streams.get_mut(from).into_iter().for_each(|stream| stream.clear(digest));
            }
        }
    }

    /// Forgets the streams of which nothing has to be remembered and whose senders have ended, now and then.
    pub(super) fn sweep(&mut self, ended: impl Fn(u32) -> bool) {
        if self.streams.len() < 2 * self.swept + 64 {
            return;
        }
        self.streams.retain(|from, stream| !stream.is_idle() || !ended(*from));
        let streams = &self.streams;
        self.senders.retain(|digest, senders| {
            senders.retain(|from| streams.get(from).is_some_and(|stream| stream.lines.contains_key(digest)));
            !senders.is_empty()
        });
        self.swept = self.streams.len();
    }

    /// Notes when a message of a loose pair was sent.
    pub(super) fn loosen(&mut self, sent: Nanos) {
        self.loose = self.loose.max(Some(sent));
    }

    /// A message that was sent at a time has come. What is taken for a later one that came before is another one: the answer is
    /// as that of [`Stream::part`].
    pub(super) fn contradict(&mut self, sent: Nanos) -> (Vec<usize>, Vec<Sent>) {
        let (mut pairs, mut those) = Default::default();
        if self.loose <= Some(sent) {
            return (pairs, those);
        }
        self.loose = None;
        for stream in self.streams.values_mut() {
            let later = |line: &Line| line.loose.as_ref().is_some_and(|loose| loose.latest > sent);
            let wrong = stream.lines.iter().filter(|(_, line)| later(line)).map(|(digest, _)| *digest);
            for digest in wrong.collect::<Vec<_>>() {
                let (more, waiting) = stream.part(digest);
                pairs.extend(more);
                those.extend(waiting);
            }
        }
        (pairs, those)
    }

    /// All that is on the way, in the order of its sending by each.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Sent> + '_ {
        self.streams.values_mut().flat_map(|stream| std::mem::take(&mut stream.queue)).flatten()
    }
}
