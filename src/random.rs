//! Random numbers that belong to (seed, purpose, index) and to nothing else. There is no running
//! generator whose state could be lost: number i of a stream is a function of the stream and of i,
//! so a resumed run, another batch size or another device draws the same numbers.

use rayon::prelude::*;

/// A stream of numbers; equal arguments give equal streams, for ever.
#[derive(Debug, Clone)]
pub struct Stream {
    // Two keys, so that two streams never share a stretch of numbers as two starts of one sequence could.
    place: u64,
    mask: u64,
}

/// Normal numbers that one thread draws at a time; an even number.
const STRETCH: usize = 1 << 14;

/// The increment of SplitMix64 (Steele, Lea & Flood 2014).
const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// The finaliser of SplitMix64: every bit of the result depends on every bit of `z`.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Turns a word into a number (64-bit FNV-1a), such as a parameter's name into the index of its stream.
pub fn hash(word: &str) -> u64 {
    word.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

impl Stream {
    /// Opens the stream of a seed for a purpose such as `noise`, at the index of a step or sample.
    pub fn new(seed: u64, purpose: &'static str, index: u64) -> Self {
        let run = mix(mix(seed.wrapping_add(GAMMA)) ^ hash(purpose));
        let place = mix(run ^ mix(index.wrapping_add(GAMMA)));
        Self { place, mask: mix(place ^ GAMMA) }
    }

    /// Draws 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.place = self.place.wrapping_add(GAMMA);
        mix(mix(self.place) ^ self.mask)
    }

    /// Draws a number in [0, 1), a multiple of 2^-53.
    pub fn next_uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Draws `n` numbers in [0, 1).
    pub fn uniform(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| self.next_uniform()).collect()
    }

    /// Draws a whole number in [0, bound); `bound` is at least 1 and the bias at most bound / 2^64.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// Draws `n` standard normal numbers (Box & Muller 1958), computed in 64 bits.
    ///
    /// They come in pairs, each from two draws, so any stretch of them can be drawn for itself: many are drawn by all
    /// threads that there are.
    pub fn normal_f32(&mut self, n: usize) -> Vec<f32> {
        let mut out = vec![0.0; n.next_multiple_of(2)];
        if n <= STRETCH {
            self.fill_normal(&mut out);
        } else {
            out.par_chunks_mut(STRETCH)
                .enumerate()
                .for_each(|(i, part)| self.after(i * STRETCH).fill_normal(part));
            *self = self.after(out.len());
        }
        out.truncate(n);
        out
    }

    /// Draws normal numbers, an even number of them.
    fn fill_normal(&mut self, out: &mut [f32]) {
        for pair in out.chunks_exact_mut(2) {
            // 1 - u lies in (0, 1], where the logarithm is finite.
            let radius = (-2.0 * (1.0 - self.next_uniform()).ln()).sqrt();
            let (sin, cos) = (std::f64::consts::TAU * self.next_uniform()).sin_cos();
            pair.copy_from_slice(&[(radius * cos) as f32, (radius * sin) as f32]);
        }
    }

    /// The stream after so many draws.
    fn after(&self, draws: usize) -> Self {
        Self { place: self.place.wrapping_add(GAMMA.wrapping_mul(draws as u64)), mask: self.mask }
    }

    /// Draws an order of the numbers 0..n, each order being equally likely (Fisher & Yates).
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for last in (1..n).rev() {
            order.swap(last, self.below(last as u64 + 1) as usize);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_normal_numbers_are_those_of_one_draw_after_the_other() {
        for n in [0, 1, STRETCH, STRETCH + 1, 3 * STRETCH + 7] {
            let (mut at_once, mut in_turn) =
                (Stream::new(1, "noise", 2), Stream::new(1, "noise", 2));
            let many = at_once.normal_f32(n);
            let few: Vec<f32> = (0..n.div_ceil(2)).flat_map(|_| in_turn.normal_f32(2)).collect();
            assert_eq!(many, few[..n]);
            assert_eq!(at_once.next_u64(), in_turn.next_u64(), "both go on alike");
        }
    }

    // The pinned numbers were computed with a second implementation, in Python. Changing one changes
    // every result: raise the revisions of train and sample instead.
    #[test]
    fn the_bits_of_a_stream_never_change() {
        let mut stream = Stream::new(7, "noise", 3);
        let drawn: Vec<u64> = (0..3).map(|_| stream.next_u64()).collect();
        let pinned =
            [2_154_391_952_042_078_421, 197_370_546_726_625_038, 14_264_222_408_839_588_854];
        assert_eq!(drawn, pinned);
    }

    #[test]
    fn the_normal_numbers_of_a_stream_never_change() {
        let drawn = Stream::new(7, "noise", 3).normal_f32(5);
        assert_eq!(drawn, [0.497_255_77, 0.033_479_37, 0.368_603_62, -1.682_878, 1.725_281_7]);
    }

    #[test]
    fn the_uniform_numbers_orders_and_choices_of_a_stream_never_change() {
        assert_eq!(
            Stream::new(0, "times", 0).uniform(2),
            [0.428_112_838_231_831_44, 0.899_842_325_342_689_5]
        );
        assert_eq!(Stream::new(0, "order", 0).permutation(8), [7, 2, 4, 5, 0, 3, 6, 1]);
        let mut stream = Stream::new(0, "times", 1);
        assert_eq!((0..4).map(|_| stream.below(1000)).collect::<Vec<_>>(), [430, 297, 773, 350]);
    }

    #[test]
    fn the_hash_of_a_word_is_fnv_1a() {
        // From the test vectors of Fowler, Noll & Vo.
        assert_eq!(hash(""), 0xCBF2_9CE4_8422_2325);
        assert_eq!(hash("a"), 0xAF63_DC4C_8601_EC8C);
        assert_eq!(hash("foobar"), 0x8594_4171_F739_67E8);
    }

    #[test]
    fn seed_purpose_and_index_each_make_another_stream() {
        let first = |seed, purpose, index| Stream::new(seed, purpose, index).next_u64();
        let all = [first(0, "a", 0), first(1, "a", 0), first(0, "b", 0), first(0, "a", 1)];
        for (i, a) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|b| a != b));
        }
    }

    #[test]
    fn a_longer_draw_begins_with_the_shorter_one() {
        let draw = |n| Stream::new(4, "noise", 9).normal_f32(n);
        assert_eq!(draw(7), draw(20)[..7]);
    }

    #[test]
    fn normal_numbers_have_the_moments_and_independence_of_a_normal_law() {
        let n = 400_000;
        let mut sums = [0.0; 5];
        // Many short streams: neighbouring indices must be as independent as one stream's numbers.
        let x: Vec<f64> = (0..n / 4)
            .flat_map(|index| Stream::new(1, "test", index as u64).normal_f32(4))
            .map(f64::from)
            .collect();
        for (i, v) in x.iter().enumerate() {
            let next = x[(i + 4) % n];
            for (sum, term) in sums.iter_mut().zip([*v, v * v, v.powi(3), v.powi(4), v * next]) {
                *sum += term / n as f64;
            }
        }
        // Five standard errors: sqrt(1, 2, 15, 96, 1) / sqrt(n).
        for (got, (want, spread)) in
            sums.into_iter().zip([(0.0, 1.0), (1.0, 2.0), (0.0, 15.0), (3.0, 96.0), (0.0, 1.0_f64)])
        {
            assert!((got - want).abs() < 5.0 * (spread / n as f64).sqrt(), "{got} is not {want}");
        }
    }

    #[test]
    fn choices_below_a_bound_are_even() {
        let mut stream = Stream::new(2, "test", 0);
        let mut counts = [0_i32; 7];
        (0..70_000).for_each(|_| counts[stream.below(7) as usize] += 1);
        assert!(counts.iter().all(|c| (c - 10_000).abs() < 500), "{counts:?}");
    }

    #[test]
    fn a_permutation_holds_every_number_once() {
        let mut order = Stream::new(1, "order", 0).permutation(100);
        assert_ne!(order, (0..100).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
        assert!(Stream::new(1, "order", 0).permutation(0).is_empty());
    }
}
