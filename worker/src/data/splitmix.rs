//! The portable random numbers of the field generators: SplitMix64 with random access, and normals
//! from it by Box and Muller. Part of the datasets' definition: it never changes.

const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// Output number `i` (0-based) of SplitMix64 with this seed (Steele, Lea & Flood 2014).
pub fn output(seed: u64, i: u64) -> u64 {
    let mut z = seed.wrapping_add(i.wrapping_add(1).wrapping_mul(GAMMA));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

const UNIT: f64 = 1.0 / (1_u64 << 53) as f64;

/// `n` standard normal numbers: pair j from the outputs 2j and 2j + 1.
pub fn normals(seed: u64, n: usize) -> Vec<f64> {
    let mut out = Vec::with_capacity(n + 1);
    for j in 0..n.div_ceil(2) as u64 {
        let u1 = ((output(seed, 2 * j) >> 11) as f64 + 1.0) * UNIT;
        let u2 = (output(seed, 2 * j + 1) >> 11) as f64 * UNIT;
        let radius = (-2.0 * u1.ln()).sqrt();
        let angle = std::f64::consts::TAU * u2;
        out.push(radius * angle.cos());
        out.push(radius * angle.sin());
    }
    out.truncate(n);
    out
}

/// The numbers 0..n in an order that depends on the seed (Fisher & Yates).
pub fn permutation(seed: u64, n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    for (t, i) in (1..n).rev().enumerate() {
        let u = (output(seed, t as u64) >> 11) as f64 * UNIT;
        order.swap(i, (u * (i + 1) as f64) as usize);
    }
    order
}

/// `n` points of a Latin hypercube with cell-centred values: one column for each (low, high).
pub fn latin_hypercube(seed: u64, n: usize, ranges: &[(f64, f64)]) -> Vec<Vec<f64>> {
    let columns: Vec<Vec<usize>> =
        (0..ranges.len()).map(|c| permutation(output(seed, c as u64), n)).collect();
    let value = |row: usize, c: usize| {
        let (low, high) = ranges[c];
        low + (high - low) * (columns[c][row] as f64 + 0.5) / n as f64
    };
    (0..n).map(|row| (0..ranges.len()).map(|c| value(row, c)).collect()).collect()
}
