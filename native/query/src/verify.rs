//! Reading a recording from end to end, and telling what is not as it should be.

use crate::index::Index;
use crate::part::Defined;
use crate::volume::Volume;
use ahash::AHashMap;
use elixir_scope_event::value::{self, Token};
use elixir_scope_event::{Definition, Kind, Malformed, varint};
use elixir_scope_segment::{Block, Damage, Event, ProcessEntry};

/// What was read, and what was wrong.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    /// Blocks that were read.
    pub blocks: u64,
    /// Their events.
    pub events: u64,
    /// Bytes of the payloads of these events.
    pub payload: u64,
    /// Blocks whose checksums are right and whose contents are not.
    pub problems: Vec<Damage>,
}

impl Index {
    /// Reads every event of a volume: whether its payload follows the format, whether what it refers to is defined, and
    /// whether the fronts of the blocks say what is in them.
    pub fn verify(&self, volume: usize) -> Verified {
        let mut found = Verified::default();
        let Some(volume) = self.volumes.get(volume) else { return found };
        for block in volume.segment.scan(0).flatten() {
            found.blocks += 1;
            if let Err(Malformed(what)) = verify_block(volume, &block, &mut found) {
                found.problems.push(Damage {
                    file: volume.segment.path().to_path_buf(),
                    offset: block.offset as u64,
                    bytes: u64::from(block.head.body),
                    what: format!("expected {what}"),
                });
            }
        }
        found
    }
}

fn verify_block(volume: &Volume, block: &Block<'_>, found: &mut Verified) -> Result<(), Malformed> {
    let front = block.front()?;
    let mut processes: AHashMap<u32, (u32, u32)> = AHashMap::new();
    let mut sites: AHashMap<u32, u32> = AHashMap::new();
    let mut kinds: AHashMap<Kind, u32> = AHashMap::new();
    let mut count = 0;
    for event in block.events() {
        let event = event?;
        count += 1;
        found.events += 1;
        found.payload += event.payload.len() as u64;
        *kinds.entry(event.kind).or_default() += 1;
        if let Some(process) = event.process {
            let (events, states) = processes.entry(process).or_default();
            (*events, *states) = (*events + 1, *states + u32::from(event.kind.is_state()));
        }
        if let Some(site) = event.site {
            *sites.entry(site).or_default() += 1;
        }
        verify_event(volume, &event)?;
    }
    let ensure = |holds: bool, what| if holds { Ok(()) } else { Err(Malformed(what)) };
    ensure(count == block.head.events, "as many events as the head of the block says")?;
    let told = |entry: &ProcessEntry| (entry.process, (entry.events, entry.states));
    ensure(
        front.processes.iter().map(told).collect::<AHashMap<_, _>>() == processes,
        "the processes of the front",
    )?;
    let told = front.sites.iter().map(|entry| (entry.site, entry.events));
    ensure(told.collect::<AHashMap<_, _>>() == sites, "the sites that the front names")?;
    ensure(front.kinds.into_iter().collect::<AHashMap<_, _>>() == kinds, "the kinds that the front names")?;
    for place in block.places() {
        let place = place?;
        let event = block.events_from(&place).next().ok_or(Malformed("an event at each place"))??;
        let right = (event.kind, event.time, event.process) == (place.kind, place.time, place.process);
        ensure(right, "the event that is told of at each place")?;
    }
    Ok(())
}

fn verify_event(volume: &Volume, event: &Event<'_>) -> Result<(), Malformed> {
    // A word whose meaning was lost with a killed VM is defined as unknown: that is told, and no fault of the file.
    let defined =
        |number: Option<u32>| number.is_none_or(|number| volume.definition(u64::from(number)).is_some());
    if !defined(event.process) || !defined(event.site) {
        return Err(Malformed("definitions of the process and the site of each event"));
    }
    let process = event.process.and_then(|number| volume.definition(u64::from(number)));
    if matches!(process, Some(Defined::Other(Definition::Atom(_) | Definition::Site(_) | Definition::Term(_))))
    {
        return Err(Malformed("a process where an event names one"));
    }
    value::check(event.payload)?;
    let mut rest = event.payload;
    varint::take(&mut rest)?;
    while !rest.is_empty() {
        if let Token::Reference(number) = value::take(&mut rest)?
            && volume.definition(number).is_none()
        {
            return Err(Malformed("definitions of all that a payload names"));
        }
    }
    Ok(())
}
