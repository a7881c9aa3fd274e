//! What a network learns, as an objective asks for it: which noisy samples it sees, what it is to say of
//! them, and what its answer means to a sampler. Training and sampling agree on it here.

use crate::loss;
use crate::net::{Condition, Input, Network};
use crate::noise::{Level, Process};
use crate::predict;
use crate::random::Stream;
use crate::samplers::Predicted;
use crate::samplers::karras::Preconditioning;
use ablate::settings::{Edm, FlowMatching, Loss, Objective, Prediction, TimeDirection};
use std::cell::RefCell;
use tch::{Kind, Tensor};

/// The units of time in which networks are asked: a thousand to the whole of it.
const NETWORK_TIMES: f64 = 1000.0;

/// What a network learns.
#[derive(Debug, Clone)]
pub enum Rule {
    /// Denoising in a process of discrete times.
    Discrete(Discrete),
    /// The velocity along straight paths.
    Flow(FlowMatching),
    /// Denoising at levels of any size.
    Edm(EdmRule),
}

/// Denoising at levels of any size, with the scaling of EDM around the network.
#[derive(Debug, Clone, PartialEq)]
pub struct EdmRule {
    /// The scaling.
    pub around: Preconditioning,
    /// Mean and standard deviation of ln sigma in training.
    pub ln_sigma: (f64, f64),
    /// The distance between what the network says and should say.
    pub loss: Loss,
}

/// Denoising in a process of discrete times.
#[derive(Debug, Clone)]
pub struct Discrete {
    /// The levels of noise.
    pub process: Process,
    /// What the network predicts.
    pub prediction: Prediction,
    /// Largest signal-to-noise ratio that counts in the weight of a time.
    pub min_snr: Option<f64>,
    /// The distance between prediction and target.
    pub loss: Loss,
}

impl Rule {
    /// Makes the rule that settings ask for; `None` of a classifier's.
    pub fn new(objective: &Objective) -> Option<Self> {
        match objective {
            Objective::Ddpm(ddpm) => Some(Self::Discrete(Discrete {
                process: Process::new(ddpm),
                prediction: ddpm.prediction,
                min_snr: ddpm.min_snr.on(),
                loss: ddpm.loss,
            })),
            Objective::FlowMatching(flow) => Some(Self::Flow(flow.clone())),
            Objective::Edm(edm) => Some(Self::Edm(EdmRule {
                around: Preconditioning {
                    sigma_data: edm.sigma_data.unwrap_or_else(|| Edm::sigma_of(false)),
                },
                ln_sigma: (edm.p_mean, edm.p_std),
                loss: edm.loss,
            })),
            Objective::Classification(_) => None,
        }
    }

    /// Returns `n` random times for training, `[n]`: int64 below T, or 64-bit numbers: in [0, 1) of a flow, sigma of
    /// `edm`.
    pub fn draw_times(&self, stream: &mut Stream, n: i64) -> Tensor {
        match self {
            Self::Discrete(rule) => {
                let bound = rule.process.timesteps() as u64;
                let times: Vec<i64> = (0..n).map(|_| stream.below(bound) as i64).collect();
                Tensor::from_slice(&times)
            }
            Self::Flow(_) => Tensor::from_slice(&stream.uniform(n as usize)),
            Self::Edm(rule) => {
                let z = Tensor::from_slice(&stream.normal_f32(n as usize)).to_kind(Kind::Double);
                (z * rule.ln_sigma.1 + rule.ln_sigma.0).exp()
            }
        }
    }

    /// Returns `n` times spread evenly over all, `[n]`, as [`Rule::draw_times`].
    pub fn even_times(&self, n: i64) -> Tensor {
        let share = |i: i64| (i as f64 + 0.5) / n as f64;
        match self {
            Self::Discrete(rule) => {
                let all = rule.process.timesteps() as f64;
                let times: Vec<i64> =
                    (0..n).map(|i| ((i as f64 + 0.5) * all / n as f64) as i64).collect();
                Tensor::from_slice(&times)
            }
            Self::Flow(_) => Tensor::from_slice(&(0..n).map(share).collect::<Vec<f64>>()),
            Self::Edm(rule) => {
                // The quantiles of the normal law.
                let shares = Tensor::from_slice(&(0..n).map(share).collect::<Vec<f64>>());
                let z = (shares * 2.0 - 1.0).erfinv() * 2.0_f64.sqrt();
                (z * rule.ln_sigma.1 + rule.ln_sigma.0).exp()
            }
        }
    }

    /// Returns the loss of a network, a scalar, on samples `x0` with noise `eps`, both `[n, c, h, w]`, at
    /// `times` `[n]`; `ask` gives what the network says of noisy samples at its own times, and may learn from the
    /// third argument which clean samples an answer means.
    pub fn loss(
        &self,
        ask: impl Fn(&Tensor, &Tensor, &dyn Fn(&Tensor) -> Tensor) -> Tensor,
        x0: &Tensor,
        eps: &Tensor,
        times: &Tensor,
    ) -> Tensor {
        match self {
            Self::Discrete(rule) => {
                let noisy = rule.process.noisy(x0, eps, times);
                let clean = |output: &Tensor| rule.clean(&noisy, output, times);
                let predicted = ask(&noisy, times, &clean);
                let target = rule.target(x0, eps, times);
                match rule.weights(times, x0) {
                    None => loss::mean(rule.loss, &predicted, &target),
                    Some(weights) => loss::weighted(rule.loss, &predicted, &target, &weights),
                }
            }
            Self::Flow(flow) => {
                let t = times.to_kind(x0.kind()).view([-1, 1, 1, 1]);
                let x = x0 * &t + eps * (t.ones_like() - &t);
                let clean = |output: &Tensor| &x + output * sign(flow) * (t.ones_like() - &t);
                let predicted = ask(&x, &flow_times(flow, times), &clean);
                loss::mean(flow.loss, &predicted, &((x0 - eps) * sign(flow)))
            }
            Self::Edm(rule) => {
                let sigma = times.to_kind(x0.kind()).view([-1, 1, 1, 1]);
                let x = x0 + eps * &sigma;
                let factors = rule.around.factors_of(&sigma);
                let clean = |output: &Tensor| &factors.skip * &x + &factors.out * output;
                let predicted = ask(&(&factors.input * &x), &sigma_times(times), &clean);
                loss::mean(rule.loss, &predicted, &((x0 - &factors.skip * &x) / &factors.out))
            }
        }
    }
}

impl Discrete {
    /// What the network is to predict.
    fn target(&self, x0: &Tensor, eps: &Tensor, times: &Tensor) -> Tensor {
        match self.prediction {
            Prediction::Epsilon => eps.shallow_clone(),
            Prediction::X0 => x0.shallow_clone(),
            Prediction::V => {
                let (alpha, sigma) = self.process.factors(times, x0);
                alpha * eps - sigma * x0
            }
        }
    }

    /// The clean samples that an output means, of samples `x` at `times` `[n]`.
    fn clean(&self, x: &Tensor, output: &Tensor, times: &Tensor) -> Tensor {
        let (alpha, sigma) = self.process.factors(times, x);
        match self.prediction {
            Prediction::Epsilon => (x - sigma * output) / alpha,
            Prediction::X0 => output.shallow_clone(),
            Prediction::V => alpha * x - sigma * output,
        }
    }

    /// The weights of samples at `times` `[n]`, `[n]`; `None` if all count alike.
    fn weights(&self, times: &Tensor, like: &Tensor) -> Option<Tensor> {
        let largest = self.min_snr?;
        let weight = |share: &f64| self.weight(Level::preserving(*share), largest);
        let table: Vec<f64> = self.process.alpha_bar.iter().map(weight).collect();
        let table = Tensor::from_slice(&table).to_kind(like.kind()).to_device(like.device());
        Some(table.index_select(0, times))
    }

    /// The weight of a level under which every prediction counts as if it were of the clean sample with
    /// weight min(SNR, largest) (Hang et al. 2023, eq. 6 and appendix).
    pub fn weight(&self, level: Level, largest: f64) -> f64 {
        let snr = level.snr();
        match self.prediction {
            // Without signal nothing of the clean sample can be learned, from whatever prediction.
            Prediction::Epsilon if snr == 0.0 => 1.0,
            Prediction::Epsilon => snr.min(largest) / snr,
            Prediction::X0 => snr.min(largest),
            Prediction::V => snr.min(largest) / (snr + 1.0),
        }
    }

    /// Returns what a network's output says of samples `x` at a time.
    pub fn read(&self, x: &Tensor, output: Tensor, time: usize) -> Predicted {
        let level = self.process.level(Some(time));
        match self.prediction {
            Prediction::Epsilon => Predicted::Eps(output),
            Prediction::X0 => {
                let eps = predict::eps_from_x0(x, &output, level);
                Predicted::Parts { x0: output, eps }
            }
            Prediction::V => Predicted::Parts {
                x0: predict::x0_from_v(x, &output, level),
                eps: predict::eps_from_v(x, &output, level),
            },
        }
    }
}

/// The times `[n]` at which the network of a flow is asked for samples at `times`, 0 for noise.
fn flow_times(flow: &FlowMatching, times: &Tensor) -> Tensor {
    let times = times.to_kind(Kind::Double);
    match flow.time_direction {
        TimeDirection::NoiseToData => times * NETWORK_TIMES,
        TimeDirection::DataToNoise => (times.ones_like() - times) * NETWORK_TIMES,
    }
}

/// What a network is told of noise levels `[n]`, a thousand to the unit.
fn sigma_times(sigma: &Tensor) -> Tensor {
    Preconditioning::noise_times(&sigma.to_kind(Kind::Double)) * NETWORK_TIMES
}

/// The sign of what the network of a flow says, for time that runs to the data.
fn sign(flow: &FlowMatching) -> f64 {
    match flow.time_direction {
        TimeDirection::NoiseToData => 1.0,
        TimeDirection::DataToNoise => -1.0,
    }
}

/// A network with the rule it learned by, as a sampler asks it.
pub struct Model<'m> {
    /// The network.
    pub network: &'m dyn Network,
    /// The rule.
    pub rule: &'m Rule,
    /// What it is told of the samples.
    pub condition: Option<Condition>,
    /// How much that counts.
    pub guidance: Guidance,
    /// The clean samples that it predicted last, if it looks at them.
    pub earlier: RefCell<Option<Tensor>>,
}

/// Classifier-free guidance (Ho & Salimans 2022): nothing + scale (told - nothing).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Guidance {
    /// The scale: 1 is none, 0 tells nothing; 1 + w of the paper.
    pub scale: f64,
    /// Share of the output that is scaled back to the standard deviation of the told one, sample by
    /// sample (Lin et al. 2023, section 3.4).
    pub rescale: f64,
}

impl Guidance {
    /// Lets the condition count as it is.
    pub const NONE: Self = Self { scale: 1.0, rescale: 0.0 };

    /// Returns how often a network is evaluated to be asked once.
    pub fn evaluations(self) -> usize {
        if self.scale == 0.0 || self.scale == 1.0 { 1 } else { 2 }
    }

    /// Returns the guided output from that of a network that was told, and of one that was not, both
    /// `[n, …]`.
    pub fn guide(self, told: &Tensor, nothing: &Tensor) -> Tensor {
        let guided = nothing + (told - nothing) * self.scale;
        if self.rescale == 0.0 {
            return guided;
        }
        let deviation = |x: &Tensor| {
            let all_but_first: Vec<i64> = (1..x.dim() as i64).collect();
            x.std_dim(all_but_first.as_slice(), true, true)
        };
        let scaled = &guided * (deviation(told) / deviation(&guided));
        scaled * self.rescale + guided * (1.0 - self.rescale)
    }
}

impl Model<'_> {
    /// What the network says of samples `x` `[n, c, h, w]` at its times `t` `[n]`.
    fn ask(&self, x: &Tensor, t: &Tensor) -> Tensor {
        let earlier = self.earlier.borrow();
        let ask = |x: &Tensor, t: &Tensor, condition: Option<&Condition>| {
            let earlier = earlier.as_ref();
            self.network.forward(&Input { condition, earlier, ..Input::new(x, t) })
        };
        let Some(condition) = &self.condition else { return ask(x, t, None) };
        if self.guidance.scale == 1.0 {
            return ask(x, t, Some(condition));
        }
        let nothing = condition.nothing();
        if self.guidance.scale == 0.0 {
            return ask(x, t, Some(&nothing));
        }
        let twice = |x: &Tensor| Tensor::cat(&[x, x], 0);
        let earlier = earlier.as_ref().map(twice);
        let both = self.network.forward(&Input {
            condition: Some(&condition.and(&nothing)),
            earlier: earlier.as_ref(),
            ..Input::new(&twice(x), &twice(t))
        });
        let n = x.size()[0];
        self.guidance.guide(&both.narrow(0, 0, n), &both.narrow(0, n, n))
    }
}

impl crate::samplers::Model for Model<'_> {
    fn predicted(&self, x: &Tensor, time: usize) -> Predicted {
        let times = Tensor::full([x.size()[0]], time as i64, (Kind::Int64, x.device()));
        let output = self.ask(x, &times);
        match self.rule {
            Rule::Discrete(rule) => {
                if self.network.looks_back() {
                    self.earlier.replace(Some(rule.clean(x, &output, &times)));
                }
                rule.read(x, output, time)
            }
            _ => unreachable!("it has no discrete times; the settings are checked"),
        }
    }

    fn velocity(&self, x: &Tensor, time: f64) -> Tensor {
        match self.rule {
            Rule::Flow(flow) => {
                let times = Tensor::full([x.size()[0]], time, (Kind::Double, x.device()));
                let velocity = self.ask(x, &flow_times(flow, &times)) * sign(flow);
                if self.network.looks_back() {
                    self.earlier.replace(Some(x + &velocity * (1.0 - time)));
                }
                velocity
            }
            _ => unreachable!("it is no flow; the settings are checked"),
        }
    }

    fn denoised(&self, x: &Tensor, sigma: f64) -> Tensor {
        let Rule::Edm(rule) = self.rule else {
            unreachable!("its levels are others; the settings are checked")
        };
        let factors = rule.around.factors(sigma);
        let times = Tensor::full([x.size()[0]], sigma, (Kind::Double, x.device()));
        let output = self.ask(&(x * factors.input), &sigma_times(&times));
        let clean = x * factors.skip + output * factors.out;
        if self.network.looks_back() {
            self.earlier.replace(Some(clean.shallow_clone()));
        }
        clean
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ablate::settings::{Ddpm, Off};
    use tch::Device;

    /// A network that knows the noise and the clean sample, and answers as the rule asks.
    struct Knowing<'k> {
        rule: &'k Rule,
        x0: Tensor,
        eps: Tensor,
    }

    impl Network for Knowing<'_> {
        fn forward(&self, input: &Input<'_>) -> Tensor {
            match self.rule {
                Rule::Discrete(rule) => rule.target(&self.x0, &self.eps, input.t),
                Rule::Flow(flow) => (&self.x0 - &self.eps) * sign(flow),
                Rule::Edm(rule) => {
                    let sigma = (input.t * (4.0 / NETWORK_TIMES)).exp().view([-1, 1, 1, 1]);
                    let factors = rule.around.factors_of(&sigma);
                    let x = &self.x0 + &self.eps * sigma;
                    (&self.x0 - factors.skip * x) / factors.out
                }
            }
        }
    }

    fn untold<'m>(network: &'m dyn Network, rule: &'m Rule) -> Model<'m> {
        Model {
            network,
            rule,
            condition: None,
            guidance: Guidance::NONE,
            earlier: RefCell::default(),
        }
    }

    fn rules() -> Vec<Rule> {
        let ddpm = |prediction| Objective::Ddpm(Ddpm { prediction, ..Ddpm::default() });
        let flow = |time_direction| {
            Objective::FlowMatching(FlowMatching { time_direction, ..FlowMatching::default() })
        };
        let (p_mean, p_std) = (-1.2, 1.2);
        let edm = Edm { sigma_data: Some(0.7), p_mean, p_std, loss: Loss::L2 };
        let all = [
            ddpm(Prediction::Epsilon),
            ddpm(Prediction::X0),
            ddpm(Prediction::V),
            flow(TimeDirection::NoiseToData),
            flow(TimeDirection::DataToNoise),
            Objective::Edm(edm),
        ];
        all.iter().filter_map(Rule::new).collect()
    }

    #[test]
    fn who_knows_the_answer_has_no_loss_and_is_understood() {
        let options = (Kind::Double, Device::Cpu);
        let (x0, eps) = (Tensor::rand([3, 1, 2, 2], options), Tensor::randn([3, 1, 2, 2], options));
        for rule in rules() {
            let knowing = Knowing { rule: &rule, x0: x0.shallow_clone(), eps: eps.shallow_clone() };
            let times = rule.draw_times(&mut Stream::new(3, "times", 0), 3);
            let ask = |x: &Tensor, t: &Tensor, clean: &dyn Fn(&Tensor) -> Tensor| {
                let said = knowing.forward(&Input::new(x, t));
                assert!((clean(&said) - &x0).abs().max().double_value(&[]) < 1e-9, "{rule:?}");
                said
            };
            let loss = rule.loss(ask, &x0, &eps, &times);
            assert!(loss.double_value(&[]) < 1e-20, "{rule:?}");
            let model = untold(&knowing, &rule);
            match &rule {
                Rule::Discrete(discrete) => {
                    let level = discrete.process.level(Some(400));
                    let x = &x0 * level.alpha() + &eps * level.sigma();
                    let (a, b) =
                        crate::samplers::Model::predicted(&model, &x, 400).parts(&x, level);
                    assert!((a - &x0).abs().max().double_value(&[]) < 1e-10, "{rule:?}");
                    assert!((b - &eps).abs().max().double_value(&[]) < 1e-10, "{rule:?}");
                }
                Rule::Flow(_) => {
                    let u = crate::samplers::Model::velocity(&model, &x0, 0.3);
                    assert!((u - (&x0 - &eps)).abs().max().double_value(&[]) < 1e-12);
                }
                Rule::Edm(_) => {
                    let x = &x0 + &eps * 3.0;
                    let clean = crate::samplers::Model::denoised(&model, &x, 3.0);
                    assert!((clean - &x0).abs().max().double_value(&[]) < 1e-12);
                }
            }
        }
    }

    #[test]
    fn times_of_a_flow_are_those_of_its_direction() {
        struct Asked(std::cell::RefCell<Vec<f64>>);
        impl Network for Asked {
            fn forward(&self, input: &Input<'_>) -> Tensor {
                self.0.borrow_mut().push(input.t.double_value(&[0]));
                input.x.zeros_like()
            }
        }
        let asked = Asked(std::cell::RefCell::default());
        for rule in &rules()[3..5] {
            let x = Tensor::zeros([1, 1, 1, 1], (Kind::Double, Device::Cpu));
            let _ = crate::samplers::Model::velocity(&untold(&asked, rule), &x, 0.25);
        }
        assert_eq!(*asked.0.borrow(), [250.0, 750.0]);
    }

    /// A network that says 1 where it is told a class, 3 where it is told nothing, times its place in the batch.
    struct Listening(std::cell::Cell<i64>);

    impl Network for Listening {
        fn forward(&self, input: &Input<'_>) -> Tensor {
            let condition = input.condition.expect("it is told something");
            self.0.set(self.0.get() + input.x.size()[0]);
            let said = condition.withheld().to_kind(Kind::Double) * 2.0 + 1.0;
            said.view([-1, 1, 1, 1]) * input.x
        }
    }

    #[test]
    fn guidance_goes_from_nothing_through_what_is_told_and_beyond() {
        let rule = &rules()[3];
        let x = Tensor::from_slice(&[1.0, 10.0]).view([2, 1, 1, 1]);
        for (scale, want, asked) in [(0.0, 3.0, 2), (1.0, 1.0, 2), (2.0, -1.0, 4), (0.5, 2.0, 4)] {
            let listening = Listening(std::cell::Cell::new(0));
            let condition = Some(Condition::new(Tensor::from_slice(&[4_i64, 5])));
            let guidance = Guidance { scale, rescale: 0.0 };
            let model = Model { condition, guidance, ..untold(&listening, rule) };
            let u = crate::samplers::Model::velocity(&model, &x, 0.25);
            assert_eq!(u, &x * want, "{scale}");
            assert_eq!(listening.0.get(), asked);
            assert_eq!(2 * guidance.evaluations() as i64, asked);
        }
    }

    #[test]
    fn a_weighted_loss_counts_clean_times_less() {
        let ddpm = Ddpm { min_snr: Off::On(5.0), ..Ddpm::default() };
        let Some(Rule::Discrete(rule)) = Rule::new(&Objective::Ddpm(ddpm)) else { unreachable!() };
        let weight = |time| rule.weight(rule.process.level(Some(time)), 5.0);
        assert!(weight(0) < 1e-2 && (weight(900) - 1.0).abs() < 1e-12);
        let times = Tensor::from_slice(&[0_i64, 900]);
        let like = Tensor::zeros([1], (Kind::Double, Device::Cpu));
        let table: Vec<f64> = Vec::try_from(rule.weights(&times, &like).unwrap()).unwrap();
        assert_eq!(table, [weight(0), weight(900)]);
    }
}
