//! Settings of dataset nodes.

use super::table::{choice, kinds, table};

kinds! {
    /// Where the data come from.
    pub enum Dataset {
        /// Log-normal density fields of exactly known statistics.
        LogNormalFields(LogNormalFields) = "log_normal_fields",
    }
}

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

fn check_log_normal(
    fields: &LogNormalFields,
    found: &super::Found<'_>,
    reader: &mut super::Reader,
) {
    use crate::problem::Problem;
    if fields.side % 2 == 1 {
        reader.wrong_key(
            found,
            "side",
            Problem::new(format!("the side {} is odd", fields.side)).help("make it even"),
        );
    }
    if fields.slab_mpc_h > fields.box_mpc_h {
        let problem = Problem::new("the slab is thicker than the box");
        reader.wrong_key(
            found,
            "slab_mpc_h",
            problem.help(format!("at most {} Mpc/h", fields.box_mpc_h)),
        );
    }
    let cosmology = &fields.cosmology;
    if cosmology.omega_b >= cosmology.omega_m {
        let problem = Problem::new("there are more baryons than matter");
        let help = format!("`omega_b` must be below `omega_m`, {}", cosmology.omega_m);
        reader.wrong_key(found, "cosmology", problem.help(help));
    }
    let kept = |fraction: f64| (fraction * fields.maps as f64).round();
    if fields.maps as f64 - kept(fields.validation) - kept(fields.test) < 1.0 {
        reader.wrong_key(
            found,
            "maps",
            Problem::new("no map is left to train on")
                .help("keep a smaller fraction for validation and test"),
        );
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

choice! {
    /// The invertible map from physical values to what the network sees.
    pub enum Transform {
        #[doc = "(log10 x - mean) / standard deviation."]
        LogZScore = "log_zscore",
        #[doc = "log10 x scaled from [min, max] to [-1, 1]."]
        LogMinMax = "log_minmax",
        #[doc = "(x - mean) / standard deviation."]
        ZScore = "zscore",
    }
}
