//! Linear theory of structure in a flat ΛCDM universe without radiation or neutrinos. Wave numbers
//! are in h/Mpc outside; the fit of Eisenstein & Hu (1998, ApJ 496, 605) works in 1/Mpc inside.
//! Numbers in parentheses are that paper's equations.

use ablate::settings::Cosmology;
use std::f64::consts::{E, PI};

/// Temperature of the microwave background, in K.
const T_CMB: f64 = 2.7255;

/// The quantities of the Eisenstein & Hu fit for one universe.
#[derive(Debug, Clone, PartialEq)]
pub struct TransferFit {
    h: f64,
    baryon_fraction: f64,
    k_eq: f64,
    sound_horizon_mpc: f64,
    k_silk: f64,
    alpha_c: f64,
    beta_c: f64,
    alpha_b: f64,
    beta_b: f64,
    beta_node: f64,
}

impl TransferFit {
    /// The fit for a universe.
    pub fn new(c: &Cosmology) -> Self {
        let (w, wb) = (c.omega_m * c.h * c.h, c.omega_b * c.h * c.h);
        let (fb, fc) = (c.omega_b / c.omega_m, (c.omega_m - c.omega_b) / c.omega_m);
        let theta = T_CMB / 2.7;
        let z_eq = 2.50e4 * w * theta.powi(-4); // (2)
        let k_eq = 7.46e-2 * w * theta.powi(-2); // (3)
        let b1 = 0.313 * w.powf(-0.419) * (1.0 + 0.607 * w.powf(0.674)); // (4)
        let b2 = 0.238 * w.powf(0.223);
        let z_d = 1291.0 * w.powf(0.251) / (1.0 + 0.659 * w.powf(0.828)) * (1.0 + b1 * wb.powf(b2));
        let r_d = 31.5 * wb * theta.powi(-4) * (1e3 / z_d); // (5)
        let r_eq = 31.5 * wb * theta.powi(-4) * (1e3 / z_eq);
        let ratio = ((1.0 + r_d).sqrt() + (r_d + r_eq).sqrt()) / (1.0 + r_eq.sqrt());
        let s = 2.0 / (3.0 * k_eq) * (6.0 / r_eq).sqrt() * ratio.ln(); // (6)
        let k_silk = 1.6 * wb.powf(0.52) * w.powf(0.73) * (1.0 + (10.4 * w).powf(-0.95)); // (7)
        let a1 = (46.9 * w).powf(0.670) * (1.0 + (32.1 * w).powf(-0.532)); // (11)
        let a2 = (12.0 * w).powf(0.424) * (1.0 + (45.0 * w).powf(-0.582));
        let bb1 = 0.944 / (1.0 + (458.0 * w).powf(-0.708)); // (12)
        let bb2 = (0.395 * w).powf(-0.0266);
        let y = (1.0 + z_eq) / (1.0 + z_d);
        let root = (1.0 + y).sqrt();
        let g = y * (-6.0 * root + (2.0 + 3.0 * y) * ((root + 1.0) / (root - 1.0)).ln()); // (15)
        Self {
            h: c.h,
            baryon_fraction: fb,
            k_eq,
            sound_horizon_mpc: s,
            k_silk,
            alpha_c: a1.powf(-fb) * a2.powf(-fb.powi(3)),
            beta_c: 1.0 / (1.0 + bb1 * (fc.powf(bb2) - 1.0)),
            alpha_b: 2.07 * k_eq * s * (1.0 + r_d).powf(-0.75) * g, // (14)
            beta_b: 0.5 + fb + (3.0 - 2.0 * fb) * ((17.2 * w).powi(2) + 1.0).sqrt(), // (24)
            beta_node: 8.41 * w.powf(0.435),                        // (23)
        }
    }

    /// The transfer function, acoustic oscillations included.
    pub fn transfer(&self, k_h_mpc: f64) -> f64 {
        let k = k_h_mpc * self.h;
        let q = k / (13.41 * self.k_eq); // (10)
        let ks = k * self.sound_horizon_mpc;
        let t0 = |alpha: f64, beta: f64| {
            let c = 14.2 / alpha + 386.0 / (1.0 + 69.9 * q.powf(1.08)); // (20)
            let l = (E + 1.8 * beta * q).ln();
            l / (l + c * q * q) // (19)
        };
        let f = 1.0 / (1.0 + (ks / 5.4).powi(4)); // (18)
        let cold = f * t0(1.0, self.beta_c) + (1.0 - f) * t0(self.alpha_c, self.beta_c); // (17)
        let s_tilde = self.sound_horizon_mpc / (1.0 + (self.beta_node / ks).powi(3)).cbrt(); // (22)
        let damped = self.alpha_b / (1.0 + (self.beta_b / ks).powi(3))
            * (-(k / self.k_silk).powf(1.4)).exp();
        let x = k * s_tilde;
        let baryons = (t0(1.0, 1.0) / (1.0 + (ks / 5.2).powi(2)) + damped) * x.sin() / x; // (21)
        self.baryon_fraction * baryons + (1.0 - self.baryon_fraction) * cold // (16)
    }
}

/// The transfer function without acoustic oscillations (26, 28 to 31).
pub fn transfer_without_wiggles(k_h_mpc: f64, c: &Cosmology) -> f64 {
    let (w, wb, theta) = (c.omega_m * c.h * c.h, c.omega_b * c.h * c.h, T_CMB / 2.7);
    let fb = c.omega_b / c.omega_m;
    let s = 44.5 * (9.83 / w).ln() / (1.0 + 10.0 * wb.powf(0.75)).sqrt();
    let a = 1.0 - 0.328 * (431.0 * w).ln() * fb + 0.38 * (22.3 * w).ln() * fb * fb;
    let g = c.omega_m * c.h * (a + (1.0 - a) / (1.0 + (0.43 * k_h_mpc * c.h * s).powi(4)));
    let q = k_h_mpc * theta * theta / g;
    let l = (2.0 * E + 1.8 * q).ln();
    l / (l + (14.2 + 731.0 / (1.0 + 62.5 * q)) * q * q)
}

/// The linear power spectrum today, normalised to sigma_8.
#[derive(Debug, Clone)]
pub struct LinearPower {
    fit: TransferFit,
    n_s: f64,
    amplitude: f64,
}

impl LinearPower {
    /// The spectrum of a universe.
    pub fn new(c: &Cosmology) -> Self {
        let mut power = Self { fit: TransferFit::new(c), n_s: c.n_s, amplitude: 1.0 };
        power.amplitude = (c.sigma_8 / power.sigma(8.0)).powi(2);
        power
    }

    /// P(k) in (Mpc/h)^3 for k in h/Mpc; 0 at k = 0.
    pub fn at(&self, k_h_mpc: f64) -> f64 {
        if k_h_mpc <= 0.0 {
            return 0.0;
        }
        self.amplitude * k_h_mpc.powf(self.n_s) * self.fit.transfer(k_h_mpc).powi(2)
    }

    /// A, in P = A k^n_s T^2.
    pub fn amplitude(&self) -> f64 {
        self.amplitude
    }

    /// Standard deviation of the density in spheres of this radius, by the trapezoidal rule in ln k.
    pub fn sigma(&self, radius_mpc_h: f64) -> f64 {
        const POINTS: usize = 8193;
        let (low, high) = (1e-5_f64.ln(), 1e3_f64.ln());
        let step = (high - low) / (POINTS - 1) as f64;
        let value = |i: usize| {
            let k = (low + step * i as f64).exp();
            let x = k * radius_mpc_h;
            let window = if x < 1e-2 {
                1.0 - x * x / 10.0
            } else {
                3.0 * (x.sin() - x * x.cos()) / x.powi(3)
            };
            let weight = if i == 0 || i == POINTS - 1 { 0.5 } else { 1.0 };
            weight * k.powi(3) * self.at(k) * window * window / (2.0 * PI * PI)
        };
        ((0..POINTS).map(value).sum::<f64>() * step).sqrt()
    }
}

/// The Hubble rate in units of today's, E(a).
pub fn expansion(a: f64, omega_m: f64) -> f64 {
    (omega_m * a.powi(-3) + 1.0 - omega_m).sqrt()
}

/// Growth of linear structure, not normalised: D(a) = 5/2 Omega_m E(a) ∫ da' / (a' E(a'))^3, which tends to a.
pub fn growth(a: f64, omega_m: f64) -> f64 {
    let expansion = |a: f64| expansion(a, omega_m);
    // a' = a x^(2/5) removes the root of the integrand at 0.
    let (nodes, weights) = gauss_legendre(64);
    let integrand = |(node, weight): (&f64, &f64)| {
        let x = 0.5 * (node + 1.0);
        let u = a * x.powf(0.4);
        0.5 * weight * 0.4 * a * x.powf(-0.6) / (u * expansion(u)).powi(3)
    };
    2.5 * omega_m * expansion(a) * nodes.iter().zip(&weights).map(integrand).sum::<f64>()
}

/// Growth in units of today's, and how it enters the steps of a particle-mesh code (Feng et al. 2016, MNRAS 463, 2273).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth {
    omega_m: f64,
    today: f64,
}

impl Growth {
    /// The growth in a universe with this density of matter.
    pub fn new(omega_m: f64) -> Self {
        Self { omega_m, today: growth(1.0, omega_m) }
    }

    /// D(a), 1 today.
    pub fn displacement(&self, a: f64) -> f64 {
        growth(a, self.omega_m) / self.today
    }

    /// g(a) = a^3 E dD/da: growth of the momentum a^3 E dx/da.
    pub fn momentum(&self, a: f64) -> f64 {
        let rate = expansion(a, self.omega_m);
        let slowing = growth(a, self.omega_m) * (-1.5 * self.omega_m * a.powi(-4) / rate) / rate;
        let slope = slowing + 2.5 * self.omega_m * rate / (a * rate).powi(3);
        a.powi(3) * rate * slope / self.today
    }

    /// G(a) = dg/da = 3/2 Omega_m D / (a^2 E): growth of the force.
    pub fn force(&self, a: f64) -> f64 {
        1.5 * self.omega_m * self.displacement(a) / (a * a * expansion(a, self.omega_m))
    }
}

/// Nodes and weights of Gauss-Legendre quadrature on [-1, 1], by Newton's method.
fn gauss_legendre(n: usize) -> (Vec<f64>, Vec<f64>) {
    let root = |i: usize| {
        let mut x = (PI * (i as f64 + 0.75) / (n as f64 + 0.5)).cos();
        let mut slope = 1.0;
        for _ in 0..100 {
            let (mut p0, mut p1) = (1.0, x);
            for k in 2..=n {
                let k = k as f64;
                (p0, p1) = (p1, ((2.0 * k - 1.0) * x * p1 - (k - 1.0) * p0) / k);
            }
            slope = n as f64 * (x * p1 - p0) / (x * x - 1.0);
            let step = p1 / slope;
            x -= step;
            if step.abs() < 1e-16 {
                break;
            }
        }
        (x, 2.0 / ((1.0 - x * x) * slope * slope))
    };
    (0..n).map(root).unzip()
}
