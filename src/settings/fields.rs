//! Density fields that are made: their settings, and those of the universes that they are of.

use super::dataset::{Transform, check_split};
use super::reader::{Found, Reader};
use super::table::{choice, table};
use crate::problem::Problem;

table! {
    /// Log-normal maps of projected dark-matter density: a periodic slab of a ΛCDM universe, every
    /// map a simulation of its own. Their power spectrum is known exactly.
    pub struct LogNormalFields {
        #[doc = "Pixels along one side of a map; even."]
        side: u64 [8.0..=1024.0];
        #[doc = "Maps in all, over the three splits."]
        maps: u64 [4.0..=1e6];
        #[doc = "Seed of the maps; map i depends on (seed, i) alone."]
        seed: u64 [0.0..=9e15] = 0;
        #[doc = "Side of the periodic box, in Mpc/h."]
        box_mpc_h: f64 [1.0..=1e4] = 100.0;
        #[doc = "Thickness of the projected slab, in Mpc/h; at most the side of the box."]
        slab_mpc_h: f64 [0.1..=1e4] = 20.0;
        #[doc = "The flat ΛCDM universe."]
        cosmology: Cosmology = Cosmology::default();
        #[doc = "Fraction of the simulations kept for validation."]
        validation: f64 [0.0..=0.5] = 0.1;
        #[doc = "Fraction of the simulations kept for tests."]
        test: f64 [0.0..=0.5] = 0.1;
        #[doc = "What the network sees; fitted on the train split, inverted after sampling."]
        transform: Transform = Transform::LogZScore;
    }
    check check_log_normal;
}

/// Refuses slabs that are thicker than their box.
fn check_slab(slab_mpc_h: f64, box_mpc_h: f64, found: &Found<'_>, reader: &mut Reader) {
    if slab_mpc_h > box_mpc_h {
        let problem = Problem::new("the slab is thicker than the box");
        reader.wrong_key(found, "slab_mpc_h", problem.help(format!("at most {box_mpc_h} Mpc/h")));
    }
}

fn check_log_normal(fields: &LogNormalFields, found: &Found<'_>, reader: &mut Reader) {
    check_even(fields.side, found, reader);
    check_slab(fields.slab_mpc_h, fields.box_mpc_h, found, reader);
    check_cosmology(&fields.cosmology, fields.cosmology.omega_m, found, reader);
    check_split("maps", fields.maps, fields.validation, fields.test, found, reader);
}

table! {
    /// Gaussian maps of the density in units of its mean, 1 + delta: the linear power of a periodic slab and
    /// nothing else, so that values may be negative. The control beside log-normal fields.
    pub struct GaussianFields {
        #[doc = "Pixels along one side of a map; even."]
        side: u64 [8.0..=1024.0];
        #[doc = "Maps in all, over the three splits."]
        maps: u64 [4.0..=1e6];
        #[doc = "Seed of the maps; map i depends on (seed, i) alone."]
        seed: u64 [0.0..=9e15] = 0;
        #[doc = "Side of the periodic box, in Mpc/h."]
        box_mpc_h: f64 [1.0..=1e4] = 100.0;
        #[doc = "Thickness of the projected slab, in Mpc/h; at most the side of the box."]
        slab_mpc_h: f64 [0.1..=1e4] = 20.0;
        #[doc = "The flat ΛCDM universe."]
        cosmology: Cosmology = Cosmology::default();
        #[doc = "Fraction of the simulations kept for validation."]
        validation: f64 [0.0..=0.5] = 0.1;
        #[doc = "Fraction of the simulations kept for tests."]
        test: f64 [0.0..=0.5] = 0.1;
        #[doc = "What the network sees; fitted on the train split, inverted after sampling."]
        transform: Transform = Transform::ZScore;
    }
    check check_gaussian;
}

fn check_gaussian(fields: &GaussianFields, found: &Found<'_>, reader: &mut Reader) {
    check_even(fields.side, found, reader);
    check_slab(fields.slab_mpc_h, fields.box_mpc_h, found, reader);
    check_cosmology(&fields.cosmology, fields.cosmology.omega_m, found, reader);
    check_split("maps", fields.maps, fields.validation, fields.test, found, reader);
    if fields.transform.takes_log() {
        let problem = Problem::new("Gaussian densities may be negative, and have no logarithm");
        reader.wrong_key(found, "transform", problem.help("take `zscore` or `minmax`"));
    }
}

fn check_even(side: u64, found: &Found<'_>, reader: &mut Reader) {
    if side % 2 == 1 {
        let problem = Problem::new(format!("the side {side} is odd")).help("make it even");
        reader.wrong_key(found, "side", problem);
    }
}

/// Refuses more baryons than there is matter at its least.
fn check_cosmology(
    cosmology: &Cosmology,
    least_matter: f64,
    found: &Found<'_>,
    reader: &mut Reader,
) {
    if cosmology.omega_b >= least_matter {
        let problem = Problem::new("there are more baryons than matter");
        let help = format!("`omega_b` must be below `omega_m`, {least_matter}");
        reader.wrong_key(found, "cosmology", problem.help(help));
    }
}

table! {
    /// Maps of projected dark-matter density from particle-mesh simulations that start from
    /// second-order perturbation theory: filaments and halos, in the layout of CAMELS. Each simulation
    /// gives 3 axes times `slabs` maps, which stay in one split.
    pub struct ParticleMeshFields {
        #[doc = "Particles along one side of the box, and pixels along one side of a map; even."]
        side: u64 [8.0..=512.0] = 64;
        #[doc = "Simulations in all, over the three splits."]
        simulations: u64 [3.0..=1e5] = 200;
        #[doc = "Seed; simulation i depends on (seed, i) alone."]
        seed: u64 [0.0..=9e15] = 0;
        #[doc = "Side of the periodic box, in Mpc/h."]
        box_mpc_h: f64 [1.0..=1e4] = 25.0;
        #[doc = "Slabs into which the box is cut along each axis."]
        slabs: u64 [1.0..=64.0] = 5;
        #[doc = "Cells of the force mesh along one side, in units of `side`; 2 is more exact on small scales and four times as slow."]
        mesh: u64 [1.0..=4.0] = 1;
        #[doc = "Time steps from a = 0.1 to today."]
        steps: u64 [1.0..=1000.0] = 7;
        #[doc = "How Omega_m and sigma_8, the conditions, vary from simulation to simulation."]
        design: Design = Design::LatinHypercube;
        #[doc = "The flat ΛCDM universe; a Latin hypercube replaces its `omega_m` and `sigma_8`."]
        cosmology: Cosmology = Cosmology::default();
        #[doc = "Fraction of the simulations kept for validation."]
        validation: f64 [0.0..=0.5] = 0.1;
        #[doc = "Fraction of the simulations kept for tests."]
        test: f64 [0.0..=0.5] = 0.1;
        #[doc = "What the network sees; fitted on the train split, inverted after sampling."]
        transform: Transform = Transform::LogZScore;
    }
    check check_particle_mesh;
}

fn check_particle_mesh(fields: &ParticleMeshFields, found: &Found<'_>, reader: &mut Reader) {
    check_even(fields.side, found, reader);
    check_cosmology(
        &fields.cosmology,
        fields.design.least_matter(&fields.cosmology),
        found,
        reader,
    );
    check_split("simulations", fields.simulations, fields.validation, fields.test, found, reader);
}

table! {
    /// Maps like those of `particle_mesh_fields`, from particles moved by perturbation theory straight to today: fuzzy,
    /// without halos, and a tenth of the time.
    pub struct LptFields {
        #[doc = "Particles along one side of the box, and pixels along one side of a map; even."]
        side: u64 [8.0..=512.0] = 64;
        #[doc = "Simulations in all, over the three splits."]
        simulations: u64 [3.0..=1e5] = 200;
        #[doc = "Seed; simulation i depends on (seed, i) alone."]
        seed: u64 [0.0..=9e15] = 0;
        #[doc = "Side of the periodic box, in Mpc/h; below about 100 particles cross and the web is blurred."]
        box_mpc_h: f64 [1.0..=1e4] = 100.0;
        #[doc = "Slabs into which the box is cut along each axis."]
        slabs: u64 [1.0..=64.0] = 5;
        #[doc = "Order of the perturbation theory."]
        order: LptOrder = LptOrder::Second;
        #[doc = "How Omega_m and sigma_8, the conditions, vary from simulation to simulation."]
        design: Design = Design::LatinHypercube;
        #[doc = "The flat ΛCDM universe; a Latin hypercube replaces its `omega_m` and `sigma_8`."]
        cosmology: Cosmology = Cosmology::default();
        #[doc = "Fraction of the simulations kept for validation."]
        validation: f64 [0.0..=0.5] = 0.1;
        #[doc = "Fraction of the simulations kept for tests."]
        test: f64 [0.0..=0.5] = 0.1;
        #[doc = "What the network sees; fitted on the train split, inverted after sampling."]
        transform: Transform = Transform::LogZScore;
    }
    check check_lpt;
}

fn check_lpt(fields: &LptFields, found: &Found<'_>, reader: &mut Reader) {
    check_even(fields.side, found, reader);
    check_cosmology(
        &fields.cosmology,
        fields.design.least_matter(&fields.cosmology),
        found,
        reader,
    );
    check_split("simulations", fields.simulations, fields.validation, fields.test, found, reader);
}

choice! {
    /// Order of Lagrangian perturbation theory.
    pub enum LptOrder {
        #[doc = "Along straight lines (Zel'dovich 1970)."]
        First = "first",
        #[doc = "Of second order (Bouchet et al. 1995)."]
        Second = "second",
    }
}

choice! {
    /// How the parameters of simulations vary.
    pub enum Design {
        #[doc = "A Latin hypercube of cell centres: Omega_m in [0.1, 0.5], sigma_8 in [0.6, 1.0], as CAMELS LH."]
        LatinHypercube = "latin_hypercube",
        #[doc = "One universe, many seeds, as CAMELS CV."]
        CosmicVariance = "cosmic_variance",
        #[doc = "One seed; in the first half of the simulations Omega_m varies evenly over its range, in the second sigma_8, as CAMELS 1P."]
        OneParameter = "one_parameter",
    }
}

impl Design {
    /// The range of Omega_m in a Latin hypercube.
    pub const OMEGA_M: (f64, f64) = (0.1, 0.5);
    /// The range of sigma_8 in a Latin hypercube.
    pub const SIGMA_8: (f64, f64) = (0.6, 1.0);

    /// The smallest Omega_m that occurs.
    fn least_matter(self, cosmology: &Cosmology) -> f64 {
        match self {
            Self::LatinHypercube => Self::OMEGA_M.0,
            Self::CosmicVariance => cosmology.omega_m,
            Self::OneParameter => Self::OMEGA_M.0.min(cosmology.omega_m),
        }
    }
}

table! {
    /// A flat ΛCDM universe; the defaults are the fiducial values of CAMELS.
    pub struct Cosmology {
        #[doc = "Matter density in units of the critical one."]
        omega_m: f64 [0.05..=1.0] = 0.3;
        #[doc = "Baryon density in units of the critical one."]
        omega_b: f64 [0.001..=0.2] = 0.049;
        #[doc = "Hubble constant in units of 100 km/s/Mpc."]
        h: f64 [0.3..=1.2] = 0.6711;
        #[doc = "Tilt of the primordial power spectrum."]
        n_s: f64 [0.5..=1.5] = 0.9624;
        #[doc = "Standard deviation of the linear density in spheres of 8 Mpc/h today."]
        sigma_8: f64 [0.1..=2.0] = 0.8;
    }
}

impl Default for Cosmology {
    fn default() -> Self {
        Self { omega_m: 0.3, omega_b: 0.049, h: 0.6711, n_s: 0.9624, sigma_8: 0.8 }
    }
}
