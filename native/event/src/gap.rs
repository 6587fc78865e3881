//! Events that are missing, as an event says it.

use crate::value::{self, Token};
use crate::{LossCause, varint};
use elixir_scope_clock::Nanos;

/// An interval in which events are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Why.
    pub cause: LossCause,
    /// How many; 0 when that is unknown.
    pub count: u64,
    /// From when.
    pub from: Nanos,
    /// Until when.
    pub to: Nanos,
}

impl Gap {
    /// The payload of the event that tells of it.
    ///
    /// ```
    /// use elixir_scope_clock::Nanos;
    /// use elixir_scope_event::{Gap, LossCause};
    /// let gap = Gap { cause: LossCause::Full, count: 3, from: Nanos(10), to: Nanos(20) };
    /// assert_eq!(Gap::parse(&gap.payload()), Some(gap));
    /// ```
    pub fn payload(&self) -> Vec<u8> {
        let mut payload = vec![self.cause as u8];
        for number in [self.count, self.from.0, self.to.0] {
            value::put(&mut payload, Token::Integer(number as i64));
        }
        payload
    }

    /// The gap that a payload tells of, if it tells of one.
    pub fn parse(mut payload: &[u8]) -> Option<Self> {
        let cause = LossCause::from_number(u8::try_from(varint::take(&mut payload).ok()?).ok()?)?;
        let mut number = || match value::take(&mut payload) {
            Ok(Token::Integer(number)) => Some(number as u64),
            _ => None,
        };
        Some(Gap { cause, count: number()?, from: Nanos(number()?), to: Nanos(number()?) })
    }

    /// Whether it touches an interval, both ends included.
    pub fn touches(&self, from: Nanos, to: Nanos) -> bool {
        self.from <= to && self.to >= from
    }
}
