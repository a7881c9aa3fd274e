//! Times the measures on arrays in memory, for `benches/measures`, whose folder of arrays it is given: prints one object,
//! the least seconds of some runs by name, and what was measured.

use ablate::npy;
use ablate::settings::Binning;
use ablate_worker::measure::features;
use ablate_worker::measure::one_point::{self, Sorted};
use ablate_worker::measure::power_spectrum::{Contrast, Estimator, Grid, spectra};
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;
use tch::Tensor;

/// Side of the boxes, in Mpc/h.
const BOX_MPC_H: f64 = 25.0;

/// Bins of the one-point density.
const BINS: usize = 50;

/// The least seconds of some runs, and what the last one gave.
fn timed<T>(runs: usize, mut work: impl FnMut() -> T) -> (f64, T) {
    let mut once = || {
        let begin = Instant::now();
        let out = work();
        (begin.elapsed().as_secs_f64(), out)
    };
    let first = once();
    (1..runs).fold(first, |(least, _), _| {
        let (seconds, out) = once();
        (least.min(seconds), out)
    })
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().expect("the folder of the arrays"));
    let threads: i32 = arguments.next().map_or(1, |word| word.parse().expect("a number"));
    rayon::ThreadPoolBuilder::new().num_threads(threads as usize).build_global().expect("once");
    tch::set_num_threads(threads);
    let read = |name: &str| npy::read_f64(&folder.join(name)).expect("an array of the bench");
    let power = |name: &str, dimensions: u32| {
        let array = read(name);
        let side = *array.shape.last().expect("a side");
        let grid = Grid { side, dimensions, box_mpc_h: BOX_MPC_H };
        timed(5, || {
            let estimator = Estimator::new(grid, Binning::Floor, 2);
            spectra(&estimator, &array.data, Contrast::OWN).expect("densities")
        })
    };
    let (maps, spectra_of_maps) = power("maps.npy", 2);
    let (cube, spectrum_of_box) = power("box.npy", 3);
    let fields = read("maps.npy").data;
    let (low, high) = (0.0, 8.0);
    let edges: Vec<f64> = (0..=BINS).map(|i| low + (high - low) * i as f64 / BINS as f64).collect();
    let (density, of_all) = timed(5, || one_point::density(&fields, &edges));
    let halves = || fields[..fields.len() / 5].split_at(fields.len() / 10);
    let (wasserstein, distance) = timed(3, || {
        let (a, b) = halves();
        one_point::wasserstein(&Sorted::new(a.to_vec()), &Sorted::new(b.to_vec()))
    });
    let [a, b] = ["features_a.npy", "features_b.npy"].map(|name| {
        let array = read(name);
        Tensor::from_slice(&array.data).view([array.shape[0] as i64, array.shape[1] as i64])
    });
    let (frechet, apart) = timed(5, || features::frechet(&a, &b));
    let out = json!({
        "maps": { "seconds": maps, "value": spectra_of_maps[0] },
        "box": { "seconds": cube, "value": spectrum_of_box[0] },
        "density": { "seconds": density, "value": of_all },
        "wasserstein": { "seconds": wasserstein, "value": distance },
        "frechet": { "seconds": frechet, "value": apart },
    });
    writeln!(std::io::stdout(), "{out}").expect("who asked is there");
}
