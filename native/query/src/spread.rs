//! How numbers are spread: their count, sum, least and greatest exactly, what so many of a hundred do not exceed within 1 %.
//!
//! Numbers below 256 have a bucket each; above, each power of two is 128 buckets (a log-linear histogram, as in HdrHistogram). So
//! it takes a few KB, however many numbers there are.

/// See the head of this file.
#[derive(Clone, Debug, Default)]
pub struct Spread {
    /// How many.
    pub count: u64,
    /// All together.
    pub sum: u128,
    /// The least; 0 when there are none.
    pub least: u64,
    /// The greatest.
    pub most: u64,
    buckets: Vec<u64>,
}

/// Buckets of a power of two, as a power of two.
const BITS: u32 = 7;

impl Spread {
    pub(crate) fn add(&mut self, number: u64) {
        let bucket = bucket(number);
        if bucket >= self.buckets.len() {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
        self.least = if self.count == 0 { number } else { self.least.min(number) };
        self.most = self.most.max(number);
        self.count += 1;
        self.sum += u128::from(number);
    }

    /// The least number that so many of a hundred do not exceed.
    pub fn percentile(&self, percent: u64) -> u64 {
        let rank = (u128::from(self.count) * u128::from(percent)).div_ceil(100).max(1);
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += u128::from(*count);
            if seen >= rank {
                return middle(bucket).clamp(self.least, self.most);
            }
        }
        self.most
    }
}

fn bucket(number: u64) -> usize {
    let shift = (63 - (number | 1).leading_zeros()).saturating_sub(BITS);
    ((shift as usize) << BITS) + (number >> shift) as usize
}

/// The number in the middle of a bucket.
fn middle(bucket: usize) -> u64 {
    let shift = (bucket >> BITS).saturating_sub(1);
    let low = ((bucket - (shift << BITS)) as u64) << shift;
    low + ((1 << shift) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn percentiles_are_those_of_the_sorted_numbers_within_one_percent(
            numbers in proptest::collection::vec((0u32..64, any::<u64>()).prop_map(|(shift, any)| any >> shift), 1..200),
        ) {
            let (mut spread, mut sorted) = (Spread::default(), numbers.clone());
            numbers.iter().for_each(|number| spread.add(*number));
            sorted.sort_unstable();
            prop_assert_eq!(spread.count, numbers.len() as u64);
            prop_assert_eq!(spread.sum, numbers.iter().map(|number| u128::from(*number)).sum());
            prop_assert_eq!((spread.least, spread.most), (sorted[0], sorted[sorted.len() - 1]));
            for percent in [0, 1, 50, 99, 100] {
                let exact = sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1];
                let found = spread.percentile(percent as u64);
                prop_assert!(found.abs_diff(exact) <= exact / 100, "{found} for {exact}");
                prop_assert!(exact >= 256 || found == exact);
            }
        }
    }
}
