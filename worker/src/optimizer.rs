//! AdamW whose state can be saved: its moments are tensors by the names of the parameters, and its
//! step count is a number. (The optimisers of tch can do neither.) It changes parameters in place.

use crate::fused;
use crate::net::{self, Tensors};
use ablate::problem::{Problem, Result};
use ablate::settings;
use tch::{Device, Tensor};

/// Prefixes of the two moments in an exported state, as PyTorch names them.
const PREFIXES: [&str; 2] = ["exp_avg.", "exp_avg_sq."];

/// Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2), as PyTorch computes it.
#[derive(Debug)]
pub struct AdamW {
    settings: settings::AdamW,
    steps: u64,
    /// Running means of the gradients and of their squares.
    moments: [Tensors; 2],
}

impl AdamW {
    /// Makes an optimiser of `parameters` that has not taken a step.
    pub fn new(settings: &settings::AdamW, parameters: &Tensors) -> Self {
        let zeros = || {
            let zero =
                |(name, weight): (&String, &Tensor)| (name.clone(), weight.detach().zeros_like());
            parameters.iter().map(zero).collect()
        };
        let moments = [zeros(), zeros()];
        Self { settings: settings.clone(), steps: 0, moments }
    }

    /// Returns how many steps were taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Takes one step of this learning rate along the gradients of `parameters`, those given at first,
    /// and forgets the gradients; a missing gradient counts as zero.
    pub fn step(&mut self, parameters: &Tensors, rate: f64) {
        self.steps += 1;
        let gradient = |parameter: &Tensor| {
            let gradient = parameter.grad();
            if gradient.defined() { gradient } else { parameter.detach().zeros_like() }
        };
        let gradients: Vec<Tensor> = parameters.values().map(gradient).collect();
        let weights: Vec<&Tensor> = parameters.values().collect();
        let [first, second] = self.moments.each_ref().map(|m| m.values().collect::<Vec<_>>());
        let s = &self.settings;
        let (beta_1, beta_2) = (s.beta_1, s.beta_2);
        let (weight_decay, epsilon) = (s.weight_decay, s.epsilon);
        let step = fused::Step { rate, beta_1, beta_2, weight_decay, epsilon };
        let gradients: Vec<&Tensor> = gradients.iter().collect();
        fused::adamw(&weights, &gradients, [&first, &second], self.steps, step);
        forget_gradients(parameters);
    }

    /// Returns copies of the moments, as `exp_avg.<name>` and `exp_avg_sq.<name>`.
    pub fn export(&self) -> Tensors {
        let named = |(prefix, moment): (&'static str, &Tensors)| {
            net::copies(moment)
                .into_iter()
                .map(move |(name, tensor)| (format!("{prefix}{name}"), tensor))
        };
        PREFIXES.into_iter().zip(&self.moments).flat_map(named).collect()
    }

    /// Takes back what [`AdamW::export`] gave after so many `steps`.
    ///
    /// # Errors
    /// If a moment is missing, unknown or of another shape.
    pub fn import(&mut self, steps: u64, state: &Tensors) -> Result<()> {
        let known = |name: &&String| PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        if let Some(name) = state.keys().find(|name| !known(name)) {
            return Err(Problem::system(format!("`{name}` is no moment of AdamW")));
        }
        for (prefix, moment) in PREFIXES.into_iter().zip(&self.moments) {
            let of_this = state.iter().filter_map(|(name, tensor)| {
                Some((name.strip_prefix(prefix)?.to_owned(), tensor.shallow_clone()))
            });
            net::load(moment, &of_this.collect())?;
        }
        self.steps = steps;
        Ok(())
    }
}

/// Scales all gradients down together where their common norm exceeds `largest`, as PyTorch's
/// `clip_grad_norm_` does; returns the norm before, a scalar tensor (0 without any gradient).
pub fn clip_gradients(parameters: &Tensors, largest: f64) -> Tensor {
    let norm = gradient_norm(parameters);
    let factor = (largest / (&norm + 1e-6)).clamp_max(1.0);
    // To ask a GPU would take longer than to multiply by one there.
    if norm.device() != Device::Cpu || factor.double_value(&[]) < 1.0 {
        let gradients = gradients(parameters);
        let factor = gradients.first().map_or(factor.shallow_clone(), |g| factor.to_kind(g.kind()));
        fused::scale(&gradients.iter().collect::<Vec<_>>(), &factor);
    }
    norm
}

/// Returns the Euclidean norm of all gradients together, a scalar tensor (0 without any gradient).
pub fn gradient_norm(parameters: &Tensors) -> Tensor {
    let gradients = gradients(parameters);
    match gradients.is_empty() {
        true => Tensor::from(0.0),
        false => fused::norm(&gradients.iter().collect::<Vec<_>>()),
    }
}

/// Lets all parameters be without a gradient.
pub fn forget_gradients(parameters: &Tensors) {
    fused::forget_gradients(&parameters.values().collect::<Vec<_>>());
}

fn gradients(parameters: &Tensors) -> Vec<Tensor> {
    parameters.values().map(Tensor::grad).filter(Tensor::defined).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    const RATE: f64 = 0.1;

    fn parameters() -> Tensors {
        let weight = Tensor::from_slice(&[1.0, -2.0]).set_requires_grad(true);
        Tensors::from([("weight".to_owned(), weight)])
    }

    /// One step on the loss sum(weight^2) / 2, whose gradient is the weight.
    fn descend(optimizer: &mut AdamW, parameters: &Tensors) {
        let weight = &parameters["weight"];
        (weight.square().sum(Kind::Double) * 0.5).backward();
        optimizer.step(parameters, RATE);
    }

    fn values(parameters: &Tensors) -> Vec<f64> {
        Vec::try_from(&parameters["weight"].detach()).unwrap()
    }

    #[test]
    fn the_first_step_goes_by_the_learning_rate_whatever_the_gradient() {
        let parameters = parameters();
        let settings = settings::AdamW { epsilon: 1e-16, ..settings::AdamW::default() };
        descend(&mut AdamW::new(&settings, &parameters), &parameters);
        for (got, want) in values(&parameters).into_iter().zip([0.9, -1.9]) {
            assert!((got - want).abs() < 1e-12, "{got}");
        }
    }

    #[test]
    fn weight_decay_shrinks_without_passing_through_the_moments() {
        let parameters = parameters();
        let settings =
            settings::AdamW { weight_decay: 0.5, epsilon: 1e-16, ..settings::AdamW::default() };
        descend(&mut AdamW::new(&settings, &parameters), &parameters);
        let want = 1.0 - 0.1 * 0.5 - 0.1;
        assert!((values(&parameters)[0] - want).abs() < 1e-12);
    }

    #[test]
    fn ten_steps_are_five_and_a_restart_and_five() {
        let settings = settings::AdamW::default();
        let (through, resumed) = (parameters(), parameters());
        let mut optimizer = AdamW::new(&settings, &through);
        (0..10).for_each(|_| descend(&mut optimizer, &through));

        let mut early = AdamW::new(&settings, &resumed);
        (0..5).for_each(|_| descend(&mut early, &resumed));
        let mut late = AdamW::new(&settings, &resumed);
        late.import(early.steps(), &early.export()).unwrap();
        (0..5).for_each(|_| descend(&mut late, &resumed));
        assert_eq!(values(&through), values(&resumed));
        assert_ne!(values(&through), values(&parameters()));
    }

    #[test]
    fn a_state_with_a_missing_or_a_foreign_moment_is_refused() {
        let parameters = parameters();
        let mut optimizer = AdamW::new(&settings::AdamW::default(), &parameters);
        let mut state = optimizer.export();
        let moment = state.remove("exp_avg_sq.weight").unwrap();
        assert!(optimizer.import(1, &state).is_err());
        state.insert("exp_avg_sq.weight".to_owned(), moment.shallow_clone());
        assert!(optimizer.import(1, &state).is_ok());
        state.insert("momentum.weight".to_owned(), moment);
        assert!(optimizer.import(1, &state).is_err());
    }

    #[test]
    fn a_long_gradient_is_cut_to_the_limit_and_a_short_one_is_left() {
        for (largest, want) in [(1.0, 1.0), (100.0, 5.0_f64.sqrt())] {
            let parameters = parameters();
            (parameters["weight"].square().sum(Kind::Double) * 0.5).backward();
            let before = clip_gradients(&parameters, largest).double_value(&[]);
            assert!((before - 5.0_f64.sqrt()).abs() < 1e-12);
            assert!((gradient_norm(&parameters).double_value(&[]) - want).abs() < 1e-5);
        }
    }

    #[test]
    fn without_gradients_nothing_moves() {
        let parameters = Tensors::from([(
            "weight".to_owned(),
            Tensor::ones([2], (Kind::Double, Device::Cpu)).set_requires_grad(true),
        )]);
        AdamW::new(&settings::AdamW::default(), &parameters).step(&parameters, RATE);
        assert_eq!(values(&parameters), [1.0, 1.0]);
        assert_eq!(clip_gradients(&parameters, 1.0).double_value(&[]), 0.0);
    }
}
