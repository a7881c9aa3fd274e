//! Bytes that are nearly right: seeds with bits flipped, pieces cut, doubled, swapped and replaced.

/// A small generator with a state that is all there is.
pub(crate) struct Mutator {
    state: u64,
}

impl Mutator {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    fn below(&mut self, bound: usize) -> usize {
        // Knuth's linear congruential generator; its high bits are good enough here.
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) as usize % bound.max(1)
    }

    /// One of the seeds with a few mistakes in it.
    pub(crate) fn next(&mut self, seeds: &[&[u8]]) -> Vec<u8> {
        const PIECES: [&[u8]; 14] = [
            b"\xff\xff\xff\xff",
            b"\0\0\0\0",
            b"-1",
            b"1e999",
            b"[",
            b"{",
            b": ",
            b"\n  ",
            b"$",
            b"&a ",
            b"*a",
            b"99999999999999999999",
            b"null",
            b"\"",
        ];
        let mut bytes = seeds[self.below(seeds.len())].to_vec();
        for _ in 0..1 + self.below(4) {
            let (at, to) = (self.below(bytes.len() + 1), self.below(bytes.len() + 1));
            let (low, high) = (at.min(to), at.max(to).min(at.min(to) + 64));
            match self.below(7) {
                0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                1 if at < bytes.len() => bytes[at] = self.below(256) as u8,
                2 => drop(bytes.drain(low..high)),
                3 => {
                    let piece = bytes[low..high].to_vec();
                    bytes.splice(at..at, piece);
                }
                4 => {
                    drop(bytes.splice(low..high, PIECES[self.below(PIECES.len())].iter().copied()))
                }
                5 => bytes.truncate(at),
                _ => {
                    let other = seeds[self.below(seeds.len())];
                    let from = self.below(other.len() + 1);
                    bytes.truncate(at);
                    bytes.extend(&other[from..]);
                }
            }
        }
        bytes
    }
}

/// Runs a target on many mutations of the seeds, and on the seeds themselves.
pub(crate) fn run(target: fn(&[u8]), seeds: &[&[u8]], rounds: usize) {
    seeds.iter().for_each(|seed| target(seed));
    let mut mutator = Mutator::new(0xAB1A7E);
    for _ in 0..rounds {
        let bytes = mutator.next(seeds);
        let shown = bytes.clone();
        let outcome = std::panic::catch_unwind(move || target(&bytes));
        assert!(outcome.is_ok(), "panicked on {:?}", String::from_utf8_lossy(&shown));
    }
}
