//! Maps of dark matter from particle-mesh simulations: particles start on a lattice, displaced in
//! second-order Lagrangian perturbation theory (Bouchet et al. 1995; Scoccimarro 1998), fall in each
//! other's gravity on a mesh with the step factors of FastPM (Feng et al. 2016, MNRAS 463, 2273), and
//! are projected through slabs of the periodic box. A simulation depends on its seed alone, and runs
//! in one thread, so that its last bits do not depend on how many run beside it.

use super::cosmology::{Growth, LinearPower};
use super::fourier::{Fourier, signed};
use super::splitmix;
use ablate::settings::Cosmology;
use realfft::num_complex::Complex64;
use std::f64::consts::TAU;

/// Geometry of the simulations and their maps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Geometry {
    /// Particles along one side of the box, and pixels along one side of a map; even.
    pub side: usize,
    /// Cells of the force mesh along one side; a multiple of `side`.
    pub mesh: usize,
    /// Side of the periodic box, in Mpc/h.
    pub box_mpc_h: f64,
    /// Steps from a = 0.1 to today, equal in a.
    pub steps: usize,
    /// Slabs into which the box is cut along each axis.
    pub slabs: usize,
}

/// The expansion factor at which perturbation theory hands over to the mesh.
const START: f64 = 0.1;

/// A position, displacement, momentum or force: its three components.
pub type Vector = [f64; 3];

/// How far the particles of a lattice move by today, in Mpc/h; particles in C order.
#[derive(Debug, Clone, PartialEq)]
pub struct Displacements {
    /// At first order, which grows as D.
    pub first: Vec<Vector>,
    /// At second order, which grows as D^2.
    pub second: Vec<Vector>,
}

/// Simulations of one geometry and universe.
#[derive(Debug, Clone)]
pub struct Simulation {
    geometry: Geometry,
    omega_m: f64,
    growth: Growth,
    /// Standard deviation of a linear mode today for unit white noise, by the square of its whole-number wave vector.
    amplitude: Vec<f64>,
    particles: Lattice,
    mesh: Lattice,
}

impl Simulation {
    /// Prepares simulations of a universe.
    ///
    /// # Panics
    /// As [`Simulation::with_power`].
    pub fn new(geometry: Geometry, cosmology: &Cosmology) -> Self {
        let power = LinearPower::new(cosmology);
        Self::with_power(geometry, cosmology.omega_m, |k_h_mpc| power.at(k_h_mpc))
    }

    /// Prepares simulations with this linear power today, in (Mpc/h)^3 for k in h/Mpc.
    ///
    /// # Panics
    /// If the side is not even, the mesh not a multiple of it, or there are no steps or slabs.
    pub fn with_power(geometry: Geometry, omega_m: f64, power: impl Fn(f64) -> f64) -> Self {
        let Geometry { side, mesh, box_mpc_h, steps, slabs } = geometry;
        assert!(side > 0 && side.is_multiple_of(2), "the side is even");
        assert!(mesh > 0 && mesh.is_multiple_of(side), "the mesh is a multiple of the side");
        assert!(steps > 0 && slabs > 0, "there are steps and slabs");
        let density = (side as f64 / box_mpc_h).powi(3);
        let deviation = |squared: usize| match squared {
            0 => 0.0,
            _ => (power(TAU / box_mpc_h * (squared as f64).sqrt()) * density).sqrt(),
        };
        Self {
            geometry,
            omega_m,
            growth: Growth::new(omega_m),
            amplitude: (0..=3 * (side / 2).pow(2)).map(deviation).collect(),
            particles: Lattice::new(side, box_mpc_h),
            mesh: Lattice::new(mesh, box_mpc_h),
        }
    }

    /// The displacement fields for white noise of unit variance, one number a particle.
    ///
    /// # Panics
    /// If there are not `side`^3 numbers.
    pub fn displacements(&self, white: &[f64]) -> Displacements {
        let lattice = &self.particles;
        let mut work = lattice.work();
        let mut potential = lattice.fourier.no_modes();
        lattice.fourier.forward(white, &mut potential);
        lattice.each_mode(|mode, row| potential[mode] *= self.amplitude[lattice.squared(row)]);
        lattice.over_k_squared(&mut potential);
        let first = lattice.gradient(&potential, &mut work);
        let source = lattice.second_order_source(&potential, &mut work);
        lattice.fourier.forward(&source, &mut potential);
        lattice.over_k_squared(&mut potential);
        // -D2 / D^2 today.
        let growth = 3.0 / 7.0 * self.omega_m.powf(-1.0 / 143.0);
        potential.iter_mut().for_each(|mode| *mode *= growth);
        let second = lattice.gradient(&potential, &mut work);
        Displacements { first, second }
    }

    /// Positions at the expansion factor `a` in the approximation of Zel'dovich (1970), in [0, box).
    pub fn first_order(&self, displacements: &Displacements, a: f64) -> Vec<Vector> {
        let growth = self.growth.displacement(a);
        let offset = |i: usize, axis: usize| growth * displacements.first[i][axis];
        self.displaced(offset)
    }

    /// Positions at the expansion factor `a` in second-order perturbation theory, in [0, box).
    pub fn second_order(&self, displacements: &Displacements, a: f64) -> Vec<Vector> {
        let growth = self.growth.displacement(a);
        let Displacements { first, second } = displacements;
        self.displaced(|i, axis| growth * first[i][axis] + growth * growth * second[i][axis])
    }

    /// The lattice, each particle moved by an offset.
    fn displaced(&self, offset: impl Fn(usize, usize) -> f64) -> Vec<Vector> {
        let Geometry { side, box_mpc_h, .. } = self.geometry;
        let place = |row: usize| row as f64 * box_mpc_h / side as f64;
        let moved = |i: usize| {
            let rows = [i / (side * side), i / side % side, i % side];
            let at = |axis: usize| wrap(place(rows[axis]) + offset(i, axis), box_mpc_h);
            [at(0), at(1), at(2)]
        };
        (0..side.pow(3)).map(moved).collect()
    }

    /// Positions today after all steps, in [0, box), for white noise of unit variance, one number a particle.
    ///
    /// # Panics
    /// If there are not `side`^3 numbers.
    pub fn positions(&self, white: &[f64]) -> Vec<Vector> {
        let start = self.displacements(white);
        let mut positions = self.second_order(&start, START);
        let mut momenta = self.momenta(&start);
        drop(start);
        let mut work = self.mesh.work();
        let mut pending = 0.0;
        for step in 0..self.geometry.steps {
            let factors = self.factors(step);
            let forces = self.forces(&positions, &mut work);
            // The closing kick of the last step and the opening one of this step share their forces.
            let kick = pending + factors.opening_kick;
            self.kick_and_drift(&mut positions, &mut momenta, &forces, kick, factors.drift);
            pending = factors.closing_kick;
        }
        // The very last kick would change momenta only.
        positions
    }

    /// Momenta a^3 E dx/da at the start.
    fn momenta(&self, start: &Displacements) -> Vec<Vector> {
        let (d, g) = (self.growth.displacement(START), self.growth.momentum(START));
        let momentum = |(first, second): (&Vector, &Vector)| {
            let along = |axis: usize| g * first[axis] + 2.0 * d * g * second[axis];
            [along(0), along(1), along(2)]
        };
        start.first.iter().zip(&start.second).map(momentum).collect()
    }

    /// The factors of step `step`: kick by the forces at its start, drift, kick by those at its end.
    fn factors(&self, step: usize) -> Factors {
        let at = |k: usize| START + (1.0 - START) * k as f64 / self.geometry.steps as f64;
        let (begin, end) = (at(step), at(step + 1));
        let middle = (begin * end).sqrt();
        let (d, g) = (|a: f64| self.growth.displacement(a), |a: f64| self.growth.momentum(a));
        // FastPM's 3/2 Omega_m / (a^2 E) dg / G is dg / D, because G = 3/2 Omega_m D / (a^2 E).
        Factors {
            opening_kick: (g(middle) - g(begin)) / d(begin),
            drift: (d(end) - d(begin)) / g(middle),
            closing_kick: (g(end) - g(middle)) / d(end),
        }
    }

    /// The force on each cell of the mesh: minus the gradient of the inverse Laplacian of the density contrast.
    fn forces(&self, positions: &[Vector], work: &mut Work) -> Vec<Vector> {
        self.contrast(positions, &mut work.field);
        let mut potential = self.mesh.fourier.no_modes();
        self.mesh.fourier.forward(&work.field, &mut potential);
        self.mesh.over_k_squared(&mut potential);
        self.mesh.gradient(&potential, work)
    }

    /// The density contrast on the mesh, by cloud in cell.
    fn contrast(&self, positions: &[Vector], contrast: &mut [f64]) {
        let mesh = self.geometry.mesh;
        let per_mpc_h = mesh as f64 / self.geometry.box_mpc_h;
        contrast.fill(0.0);
        for position in positions {
            let [x, y, z] = position.map(|c| neighbours(c * per_mpc_h, mesh));
            for (i, x_weight) in x {
                for (j, y_weight) in y {
                    let row = &mut contrast[(i * mesh + j) * mesh..][..mesh];
                    let weight = x_weight * y_weight;
                    row[z[0].0] += weight * z[0].1;
                    row[z[1].0] += weight * z[1].1;
                }
            }
        }
        let cells_a_particle = (mesh as f64 / self.geometry.side as f64).powi(3);
        contrast.iter_mut().for_each(|rho| *rho = *rho * cells_a_particle - 1.0);
    }

    /// Changes momenta by the forces at the positions, then positions by the momenta.
    fn kick_and_drift(
        &self,
        positions: &mut [Vector],
        momenta: &mut [Vector],
        forces: &[Vector],
        kick: f64,
        drift: f64,
    ) {
        let mesh = self.geometry.mesh;
        let per_mpc_h = mesh as f64 / self.geometry.box_mpc_h;
        for (position, momentum) in positions.iter_mut().zip(momenta) {
            let force = gather(forces, mesh, position.map(|c| c * per_mpc_h));
            for axis in 0..3 {
                momentum[axis] += kick * force[axis];
                let moved = position[axis] + drift * momentum[axis];
                position[axis] = wrap(moved, self.geometry.box_mpc_h);
            }
        }
    }

    /// Maps of the density in units of the mean, `side` rows of `side` pixels: for each axis as the line of sight,
    /// one for each slab. A particle belongs to one slab whole, and in the plane to its four nearest pixels.
    pub fn project(&self, positions: &[Vector]) -> Vec<Vec<f64>> {
        let Geometry { side, box_mpc_h, slabs, .. } = self.geometry;
        let (pixels, depth) = (side as f64 / box_mpc_h, slabs as f64 / box_mpc_h);
        // The mean count of a pixel is side / slabs.
        let mass = slabs as f64 / side as f64;
        let mut maps = vec![vec![0.0; side * side]; 3 * slabs];
        for (axis, maps) in maps.chunks_exact_mut(slabs).enumerate() {
            let (down, across) = [(1, 2), (0, 2), (0, 1)][axis];
            for position in positions {
                let map = &mut maps[((position[axis] * depth) as usize).min(slabs - 1)];
                for (i, weight) in neighbours(position[down] * pixels, side) {
                    for (j, part) in neighbours(position[across] * pixels, side) {
                        map[i * side + j] += mass * weight * part;
                    }
                }
            }
        }
        maps
    }

    /// The maps of one simulation: `slabs` maps along each of the three axes.
    pub fn maps(&self, seed: u64) -> Vec<Vec<f64>> {
        let white = splitmix::normals(seed, self.geometry.side.pow(3));
        self.project(&self.positions(&white))
    }
}

/// How much a step changes momenta and positions.
struct Factors {
    opening_kick: f64,
    drift: f64,
    closing_kick: f64,
}

/// A coordinate in [0, size).
fn wrap(x: f64, size: f64) -> f64 {
    if (0.0..size).contains(&x) {
        return x;
    }
    let wrapped = x.rem_euclid(size);
    // A tiny negative number plus `size` rounds to `size`.
    if wrapped < size { wrapped } else { 0.0 }
}

/// The two cells that share a particle at `u` cells from the origin, and its share in each.
fn neighbours(u: f64, side: usize) -> [(usize, f64); 2] {
    let whole = u as usize;
    let fraction = u - whole as f64;
    // Rounding can carry a coordinate just below the box's end to it.
    let low = if whole < side { whole } else { 0 };
    let high = if low + 1 < side { low + 1 } else { 0 };
    [(low, 1.0 - fraction), (high, fraction)]
}

/// The forces of the cells around a place, given in cells, by cloud in cell.
fn gather(forces: &[Vector], mesh: usize, place: Vector) -> Vector {
    let [x, y, z] = place.map(|u| neighbours(u, mesh));
    let mut sum = [0.0; 3];
    for (i, x_weight) in x {
        for (j, y_weight) in y {
            let row = &forces[(i * mesh + j) * mesh..][..mesh];
            for (k, z_weight) in z {
                let weight = x_weight * y_weight * z_weight;
                let force = &row[k];
                sum[0] += weight * force[0];
                sum[1] += weight * force[1];
                sum[2] += weight * force[2];
            }
        }
    }
    sum
}

/// A cubic lattice and the wave numbers of its modes.
#[derive(Debug, Clone)]
struct Lattice {
    side: usize,
    fourier: Fourier,
    /// Wave number of each row, in h/Mpc.
    k_h_mpc: Vec<f64>,
    /// The same for odd derivatives: the Nyquist row, whose sign is not known, holds 0.
    odd_k_h_mpc: Vec<f64>,
}

/// Room for one transform of a lattice.
struct Work {
    modes: Vec<Complex64>,
    field: Vec<f64>,
}

impl Lattice {
    fn new(side: usize, box_mpc_h: f64) -> Self {
        let k_h_mpc: Vec<f64> =
            (0..side).map(|row| TAU / box_mpc_h * signed(row, side) as f64).collect();
        let mut odd_k_h_mpc = k_h_mpc.clone();
        if side.is_multiple_of(2) {
            odd_k_h_mpc[side / 2] = 0.0;
        }
        Self { side, fourier: Fourier::new(side, 3), k_h_mpc, odd_k_h_mpc }
    }

    fn work(&self) -> Work {
        Work { modes: self.fourier.no_modes(), field: vec![0.0; self.fourier.points()] }
    }

    /// Calls `visit` with the index of each mode of the half lattice and its rows along the axes.
    fn each_mode(&self, mut visit: impl FnMut(usize, [usize; 3])) {
        let mut mode = 0;
        for i in 0..self.side {
            for j in 0..self.side {
                for k in 0..self.fourier.half() {
                    visit(mode, [i, j, k]);
                    mode += 1;
                }
            }
        }
    }

    /// The square of a mode's whole-number wave vector.
    fn squared(&self, rows: [usize; 3]) -> usize {
        rows.iter().map(|row| signed(*row, self.side).pow(2) as usize).sum()
    }

    /// Divides by k^2, and sets the mean to 0: minus the inverse Laplacian.
    fn over_k_squared(&self, modes: &mut [Complex64]) {
        let squares: Vec<f64> = self.k_h_mpc.iter().map(|k| k * k).collect();
        self.each_mode(|mode, [i, j, k]| modes[mode] /= squares[i] + squares[j] + squares[k]);
        modes[0] = Complex64::default();
    }

    /// The gradient of a field that is given by its modes.
    fn gradient(&self, modes: &[Complex64], work: &mut Work) -> Vec<Vector> {
        let mut gradient = vec![[0.0; 3]; self.fourier.points()];
        for axis in 0..3 {
            self.each_mode(|mode, rows| {
                let (k, z) = (self.odd_k_h_mpc[rows[axis]], modes[mode]);
                work.modes[mode] = Complex64::new(-k * z.im, k * z.re);
            });
            self.fourier.inverse(&mut work.modes, &mut work.field);
            for (vector, component) in gradient.iter_mut().zip(&work.field) {
                vector[axis] = *component;
            }
        }
        gradient
    }

    /// Minus the second derivative along two axes, into the work's field.
    fn second_derivative(&self, modes: &[Complex64], axes: [usize; 2], work: &mut Work) {
        let even = axes[0] == axes[1];
        let wave_numbers = if even { &self.k_h_mpc } else { &self.odd_k_h_mpc };
        self.each_mode(|mode, rows| {
            let [one, other] = axes.map(|axis| wave_numbers[rows[axis]]);
            work.modes[mode] = modes[mode] * (one * other);
        });
        self.fourier.inverse(&mut work.modes, &mut work.field);
    }

    /// The source of the second-order potential: the sum over i < j of f_ii f_jj - f_ij^2, f_ij being second derivatives.
    fn second_order_source(&self, modes: &[Complex64], work: &mut Work) -> Vec<f64> {
        let [xx, yy, zz] = [0, 1, 2].map(|axis| {
            self.second_derivative(modes, [axis, axis], work);
            work.field.clone()
        });
        let mut source: Vec<f64> =
            (0..xx.len()).map(|i| xx[i] * yy[i] + xx[i] * zz[i] + yy[i] * zz[i]).collect();
        for axes in [[0, 1], [0, 2], [1, 2]] {
            self.second_derivative(modes, axes, work);
            source.iter_mut().zip(&work.field).for_each(|(sum, f)| *sum -= f * f);
        }
        source
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GEOMETRY: Geometry = Geometry { side: 16, mesh: 16, box_mpc_h: 50.0, steps: 3, slabs: 4 };

    fn simulation() -> Simulation {
        Simulation::new(GEOMETRY, &Cosmology::default())
    }

    fn mean(map: &[f64]) -> f64 {
        map.iter().sum::<f64>() / map.len() as f64
    }

    #[test]
    fn mass_is_conserved_along_each_line_of_sight() {
        for maps in simulation().maps(3).chunks_exact(4) {
            let total = maps.iter().map(|map| mean(map)).sum::<f64>() / 4.0;
            assert!((total - 1.0).abs() < 1e-12, "{total}");
        }
    }

    #[test]
    fn mass_is_conserved_on_the_mesh() {
        let finer = Simulation::new(Geometry { mesh: 32, ..GEOMETRY }, &Cosmology::default());
        let mut contrast = vec![0.0; 32 * 32 * 32];
        finer.contrast(&finer.positions(&splitmix::normals(3, 4096)), &mut contrast);
        assert!(mean(&contrast).abs() < 1e-12);
    }

    #[test]
    fn positions_lie_in_the_box() {
        let positions = simulation().positions(&splitmix::normals(4, 4096));
        assert_eq!(positions.len(), 4096);
        assert!(positions.iter().flatten().all(|c| (0.0..50.0).contains(c)));
        assert_eq!(wrap(-1e-300, 50.0), 0.0);
        assert_eq!([wrap(-1.0, 50.0), wrap(50.0, 50.0), wrap(151.0, 50.0)], [49.0, 0.0, 1.0]);
        assert_eq!(neighbours(16.0, 16), [(0, 1.0), (1, 0.0)]);
    }

    #[test]
    fn white_noise_moved_by_cells_moves_the_maps() {
        let simulation = simulation();
        let white = splitmix::normals(5, 4096);
        // By 4 cells, one slab, along the second axis.
        let moved: Vec<f64> = (0..4096)
            .map(|i| white[i / 256 * 256 + (i / 16 % 16 + 12) % 16 * 16 + i % 16])
            .collect();
        let maps = simulation.project(&simulation.positions(&white));
        let moved = simulation.project(&simulation.positions(&moved));
        let rows_down = |map: &[f64]| [&map[256 - 64..], &map[..256 - 64]].concat();
        let columns_right = |map: &[f64]| -> Vec<f64> {
            (0..256).map(|i| map[i / 16 * 16 + (i % 16 + 12) % 16]).collect()
        };
        for slab in 0..4 {
            near(&moved[slab], &rows_down(&maps[slab]));
            near(&moved[4 + (slab + 1) % 4], &maps[4 + slab]);
            near(&moved[8 + slab], &columns_right(&maps[8 + slab]));
        }
    }

    fn near(got: &[f64], want: &[f64]) {
        let error = got.iter().zip(want).map(|(g, w)| (g - w).abs()).fold(0.0, f64::max);
        assert!(error < 1e-9, "{error}");
    }

    #[test]
    fn structure_grows_and_more_steps_agree() {
        let deviation = |steps: usize| {
            let simulation = Simulation::new(Geometry { steps, ..GEOMETRY }, &Cosmology::default());
            let contrast: f64 =
                simulation.maps(6).iter().flatten().map(|rho| (rho - 1.0).powi(2)).sum();
            (contrast / (12.0 * 256.0)).sqrt()
        };
        let (few, many) = (deviation(5), deviation(20));
        assert!(many > 0.5 && (few / many - 1.0).abs() < 0.1, "{few} {many}");
    }
}
