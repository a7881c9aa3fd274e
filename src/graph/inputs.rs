//! What a node may read from: which port a role takes, and the limits and defaults that an input sets
//! for the settings of its users.

use super::data::{check_augment, check_told, check_train, settle_measure};
use crate::problem::Problem;
use crate::settings::{
    Conditions, Ddpm, Edm, Found, Init, Kind, Known, Objective, Prediction, Reader, Reference,
    SIGNAL_LEFT, Sample, Sampler, Settings, Spacing, Step, Train, Transform, Wanted, Weights,
};
use serde_json::Value;

/// What of an input bears on the settings of its users.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Facts {
    /// A dataset: height and width of its items, and whether it keeps none for validation.
    Data {
        /// Height and width, if they are known.
        sides: Option<[u64; 2]>,
        /// Whether nothing is kept for validation.
        unvalidated: bool,
        /// What a network sees of it.
        transform: Transform,
        /// What conditions its items have.
        conditions: Known,
        /// Whether they are maps of a periodic box.
        periodic: bool,
    },
    /// A training.
    Train {
        /// Whether it keeps a moving average.
        ema: bool,
        /// Whether it validates.
        validates: bool,
        /// How it learned.
        learned: Learned,
        /// What the network is told, and of the data how much of that there is.
        told: Option<Told>,
    },
    /// Nothing.
    Other,
}

/// How a network learned, as far as samplers care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Learned {
    /// At noise levels of discrete times.
    Discrete {
        /// How many there are.
        timesteps: u64,
        /// Whether the last of them holds no signal at all.
        zero_terminal: bool,
        /// The first time at which hardly any signal is left, if the network predicts noise: the clean sample
        /// is from there on a small difference, divided by a smaller number.
        blind_from: Option<u64>,
    },
    /// A flow.
    Flow,
    /// At noise levels of any size.
    Edm,
    /// Classes.
    Classes,
}

impl Learned {
    fn of(objective: &Objective) -> Self {
        match objective {
            Objective::Ddpm(ddpm) => Self::Discrete {
                timesteps: ddpm.timesteps,
                zero_terminal: ddpm.zero_terminal_snr,
                blind_from: blind_from(ddpm),
            },
            Objective::FlowMatching(_) => Self::Flow,
            Objective::Edm(_) => Self::Edm,
            Objective::Classification(_) => Self::Classes,
        }
    }
}

/// What a network is told beside the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Told {
    /// Classes rather than parameters.
    by_class: bool,
    /// How many of them there are, where that is known.
    count: Option<u64>,
    /// Whether it is told nothing now and then.
    drops: bool,
}

impl Told {
    fn of(train: &Train, data: Option<Known>) -> Option<Self> {
        let conditions = train.conditions.on()?;
        let drops = conditions.dropout() > 0.0;
        let by_class = matches!(conditions, Conditions::Classes(_));
        let count = data.and_then(|data| if by_class { data.classes } else { data.parameters });
        Some(Self { by_class, count, drops })
    }
}

impl Facts {
    /// The facts of an input, which itself reads from `below`.
    pub(super) fn of<'s>(
        settings: &Settings,
        below: impl IntoIterator<Item = &'s Settings>,
    ) -> Self {
        let data = below.into_iter().find_map(|settings| match settings {
            Settings::Dataset(data) => Some(data.conditions()),
            _ => None,
        });
        match settings {
            Settings::Dataset(data) => Self::Data {
                sides: data.geometry().map(|geometry| [geometry.height, geometry.width]),
                transform: data.transform(),
                conditions: data.conditions(),
                periodic: data.is_periodic(),
                unvalidated: data.split().is_some_and(|split| split.validation == 0),
            },
            Settings::Train(train) => Self::Train {
                ema: train.ema.on().is_some(),
                validates: train.validation.on().is_some(),
                learned: Learned::of(&train.objective),
                told: Told::of(train, data),
            },
            _ => Self::Other,
        }
    }
}

/// Settles what depends on inputs: the default weights, and limits that inputs set.
pub(super) fn settle(settings: &mut Settings, facts: &[Facts], reader: &mut Reader) {
    for facts in facts {
        match (&mut *settings, facts) {
            (Settings::Sample(_), Facts::Train { learned: Learned::Classes, .. }) => {
                let problem = Problem::new("a classifier draws no samples");
                let help = "read from a training with another objective";
                reader.wrong_key(&Found::root(&Value::Null), "from", problem.help(help));
            }
            (Settings::Sample(sample), Facts::Train { ema, validates, learned, told }) => {
                let found = &Found::root(&Value::Null);
                settle_weights(&mut sample.weights, (*ema, *validates), (found, reader));
                settle_conditions(sample, *told, reader);
                settle_sampler(&mut sample.sampler, *learned, reader);
            }
            (Settings::Evaluate(evaluate), Facts::Data { .. }) => {
                settle_measure(&mut evaluate.measure, facts, reader);
            }
            (Settings::Evaluate(evaluate), Facts::Train { ema, validates, learned, .. }) => {
                let word = evaluate.measure.word();
                let path = crate::settings::keys(&["measure", word]);
                let found = &Found { value: &Value::Null, path };
                if *learned != Learned::Classes {
                    let problem = Problem::new("the training makes no classifier");
                    let help = "read from one with `objective: classification`, `model: lenet`";
                    reader.wrong_key(found, "classifier", problem.help(help));
                } else if let Some(weights) = evaluate.measure.weights() {
                    settle_weights(weights, (*ema, *validates), (found, reader));
                }
            }
            (Settings::Train(train), Facts::Train { ema, validates, .. }) => {
                if let Some(Init::From(init)) = train.init.as_deref_mut() {
                    let path = crate::settings::keys(&["init"]);
                    let found = &Found { value: &Value::Null, path };
                    settle_weights(&mut init.weights, (*ema, *validates), (found, reader));
                }
            }
            (
                Settings::Train(train),
                Facts::Data { sides, unvalidated, conditions, periodic, transform },
            ) => {
                if let Objective::Edm(edm) = &mut train.objective {
                    let standard = [Transform::ZScore, Transform::LogZScore].contains(transform);
                    edm.sigma_data.get_or_insert(Edm::sigma_of(standard));
                }
                check_train(train, *sides, *unvalidated, reader);
                check_augment(train, *sides, *periodic, reader);
                check_told(train, *conditions, reader);
            }
            _ => {}
        }
    }
}

/// What is allowed and yet probably not meant, with the settings it is about.
pub(super) fn warnings(settings: &Settings, facts: &[Facts]) -> Vec<(Vec<Step>, Problem)> {
    if let Settings::Sample(sample) = settings {
        let start = facts.iter().find_map(|facts| match facts {
            Facts::Train { learned: Learned::Discrete { blind_from, timesteps, .. }, .. } => {
                blind_start(&sample.sampler, *timesteps, (*blind_from)?)
            }
            _ => None,
        });
        return Vec::from_iter(start);
    }
    let Settings::Train(train) = settings else { return vec![] };
    let Objective::Ddpm(ddpm) = &train.objective else { return vec![] };
    let left = ddpm.signal_left();
    if left <= SIGNAL_LEFT {
        return vec![];
    }
    let sentence = format!(
        "at the last of {} times of the {} schedule {} of the variance is still signal, and samplers start from \
         noise alone",
        ddpm.timesteps,
        ddpm.schedule.word(),
        crate::words::significant(left)
    );
    let help = "take `rescale: true`, `schedule: cosine`, or `zero_terminal_snr: true` with `prediction: v`";
    let path = crate::settings::keys(&["objective", "ddpm", "timesteps"]);
    vec![(path, Problem::new(sentence).help(help))]
}

/// A share of signal in the variance at which an error of the predicted noise is thirty times larger in the clean
/// sample. On maps of which the mean matters, samplers that start with less and do not clip were off by factors
/// (docs/fields-ablation), in few steps or many.
const BLIND: f64 = 1e-3;

/// The first time with less signal than that, if the network predicts noise.
fn blind_from(ddpm: &Ddpm) -> Option<u64> {
    if ddpm.prediction != Prediction::Epsilon {
        return None;
    }
    ddpm.alpha_bars().iter().position(|share| *share < BLIND).map(|t| t as u64)
}

/// A sampler that starts there and does not limit what it makes of it.
fn blind_start(sampler: &Sampler, timesteps: u64, from: u64) -> Option<(Vec<Step>, Problem)> {
    let (steps, spacing) = match sampler {
        Sampler::Ddim(ddim) if ddim.clip.on().is_none() => (ddim.steps, Some(ddim.spacing)),
        // Noise on the way is added after every step; in all of its steps each error is small.
        Sampler::Ddpm(ddpm) if ddpm.clip.on().is_none() => (ddpm.steps?, None),
        Sampler::Euler(ode) | Sampler::Heun(ode) | Sampler::DpmSolver(ode) => {
            (ode.steps, ode.spacing)
        }
        _ => return None,
    };
    let first = match spacing {
        Some(Spacing::Leading) => timesteps / steps.max(1) * steps.saturating_sub(1),
        _ => timesteps.saturating_sub(1),
    };
    let sentence = "sampling starts where less than a thousandth of the variance is signal, and the network predicts \
                    noise: what it makes of the clean sample is off by thirty times its error or more";
    let help = "take a sampler with `clip`, or train with `prediction: v`";
    let path = crate::settings::keys(&["sampler", sampler.word()]);
    (first >= from).then(|| (path, Problem::new(sentence).help(help)))
}

/// The port that a role reads, of a node of this kind.
pub(super) fn port(
    (user, role): (Kind, &str),
    reference: &Reference,
    kind: Kind,
) -> Result<&'static str, Problem> {
    let wanted: &[Kind] = match role {
        _ if user == Kind::Command => &Kind::ALL,
        "data" | "reference" | "conditions" => &[Kind::Dataset],
        "from" | "classifier" | "init" => &[Kind::Train],
        _ => &[Kind::Sample, Kind::Dataset, Kind::Command],
    };
    if !wanted.contains(&kind) {
        let words: Vec<&str> = wanted.iter().map(|kind| kind.word()).collect();
        let problem = Problem::new(format!("`{}` is a {} node", reference.node, kind.word()));
        return Err(problem.help(format!("`{role}` takes a {} node", words.join(" or "))));
    }
    match (kind, role, reference.port.as_deref()) {
        (Kind::Dataset, _, None) if user == Kind::Command => Ok("out"),
        (Kind::Dataset, _, Some("train")) | (Kind::Dataset, "data", None) => Ok("train"),
        (Kind::Dataset, _, Some("validation")) => Ok("validation"),
        (Kind::Dataset, _, Some("test")) | (Kind::Dataset, "reference" | "conditions", None) => {
            Ok("test")
        }
        (Kind::Dataset, _, None) => {
            Err(Problem::new(format!("which split of `{}`?", reference.node))
                .help(format!("write {0}.train, {0}.validation or {0}.test", reference.node)))
        }
        (Kind::Dataset, _, Some(port)) => {
            Err(Problem::new(format!("a dataset has no port `{port}`"))
                .help("its ports are train, validation and test"))
        }
        (_, _, None) => Ok("out"),
        (_, _, Some(port)) => {
            Err(Problem::new(format!("a {} node has no port `{port}`", kind.word()))
                .help(format!("write `{}` alone", reference.node)))
        }
    }
}

/// The split in place of a default port, where a measure compares with another one.
pub(super) fn split(
    settings: &Settings,
    role: &str,
    reference: &Reference,
    port: &'static str,
) -> &'static str {
    match settings {
        Settings::Evaluate(evaluate) if role == "reference" && reference.port.is_none() => {
            evaluate.measure.split()
        }
        _ => port,
    }
}

/// The weights of a training that are read by default, and those that it does not have.
fn settle_weights(
    weights: &mut Option<Weights>,
    (ema, validates): (bool, bool),
    (found, reader): (&Found<'_>, &mut Reader),
) {
    let missing = match weights {
        Some(Weights::Ema | Weights::BestEma) if !ema => {
            Some("the training keeps no moving average (`ema: off`)")
        }
        Some(Weights::Best | Weights::BestEma) if !validates => {
            Some("the training does not validate (`validation: off`)")
        }
        _ => None,
    };
    if let Some(why) = missing {
        reader.wrong_key(
            found,
            "weights",
            Problem::new(why).help("take `weights: last`, or leave `weights` out"),
        );
    }
    weights.get_or_insert(match (ema, validates) {
        (true, true) => Weights::BestEma,
        (true, false) => Weights::Ema,
        _ => Weights::Last,
    });
}

/// What samples are told by default, and what their training lets them be told.
fn settle_conditions(sample: &mut Sample, told: Option<Told>, reader: &mut Reader) {
    let found = &Found::root(&Value::Null);
    let Some(told) = told else {
        let asked = [
            ("conditions", sample.conditions.is_some()),
            ("guidance_scale", sample.guidance_scale != 1.0),
        ];
        if let Some((setting, _)) = asked.iter().find(|(_, asked)| *asked) {
            let problem = Problem::new("the network was trained without conditions");
            let help = "give its training `conditions: classes` or `parameters`, or leave this out";
            reader.wrong_key(found, setting, problem.help(help));
        }
        return;
    };
    if sample.guidance_scale != 1.0 && !told.drops {
        let problem = Problem::new("guidance needs a network that was told nothing now and then");
        let help =
            "give its training `conditions: { …: { dropout: 0.1 } }`, or take `guidance_scale: 1`";
        reader.wrong_key(found, "guidance_scale", problem.help(help));
    }
    let problem = match (&sample.conditions, told.by_class) {
        (None, true) => {
            sample.conditions = Some(Wanted::AllClasses);
            return;
        }
        (None, false) => Problem::new(
            "`conditions` is missing: the network was trained with parameters",
        )
        .help("for example `conditions: { from: maps.test }`, or a list such as [[0.3, 0.8]]"),
        (Some(Wanted::AllClasses), false) => {
            Problem::new("the network was trained with parameters, not with classes")
                .help("take `{ from: maps.test }`, or a list such as [[0.3, 0.8]]")
        }
        (Some(Wanted::Listed(rows)), true) => match wrong_class(rows, told.count) {
            Some(problem) => problem,
            None => return,
        },
        (Some(Wanted::Listed(rows)), false) => match told.count {
            Some(count) if rows[0].len() as u64 != count => {
                let what = format!(
                    "{} numbers in a row, but the network knows {count} parameters",
                    rows[0].len()
                );
                Problem::new(what).help("write a row of them for each condition: [[0.3, 0.8]]")
            }
            _ => return,
        },
        _ => return,
    };
    reader.wrong_key(found, "conditions", problem);
}

/// What is wrong with classes in a list.
fn wrong_class(rows: &[Vec<f64>], classes: Option<u64>) -> Option<Problem> {
    let most = classes.unwrap_or(u64::MAX);
    let is_class = |row: &&Vec<f64>| match row[..] {
        [class] => class >= 0.0 && class.fract() == 0.0 && class < most as f64,
        _ => false,
    };
    let wrong = rows.iter().find(|row| !is_class(row))?;
    let shown: Vec<String> = wrong.iter().map(f64::to_string).collect();
    let problem = Problem::new(format!("[{}] is no class of the training", shown.join(", ")));
    Some(match classes {
        Some(count) => problem.help(format!("classes are whole numbers from 0 to {}", count - 1)),
        None => problem.help("classes are whole numbers from 0, each an item of the list"),
    })
}

/// Notes what is wrong with a sampler, below its word or at it.
fn wrong_sampler(sampler: &Sampler, setting: Option<&str>, problem: Problem, reader: &mut Reader) {
    let path = crate::settings::keys(&["sampler", sampler.word()]).into_iter();
    let path = path.chain(setting.map(|name| Step::Key(name.to_owned()))).collect();
    reader.wrong::<()>(&Found { value: &Value::Null, path }, problem);
}

/// Lets a training have its say about a sampler.
fn settle_sampler(sampler: &mut Sampler, learned: Learned, reader: &mut Reader) {
    let help = match (learned, &*sampler) {
        (Learned::Edm, Sampler::Karras(_)) | (Learned::Classes, _) => return,
        (Learned::Edm, _) => "take karras",
        (Learned::Discrete { .. }, Sampler::Karras(_)) => {
            "take ddpm, ddim, euler, heun or dpm_solver, or train by `edm`"
        }
        (Learned::Flow, Sampler::Karras(_)) => {
            "take euler, heun, midpoint or rk4, or train by `edm`"
        }
        (Learned::Discrete { timesteps, zero_terminal, .. }, _) => {
            return settle_discrete(sampler, timesteps, zero_terminal, reader);
        }
        (Learned::Flow, _) => return check_flow(sampler, reader),
    };
    let word = sampler.word();
    let whose = if learned == Learned::Edm { "does not go" } else { "goes" };
    let problem =
        Problem::new(format!("`{word}` {whose} along the noise levels of an `edm` objective"));
    wrong_sampler(sampler, None, problem.help(help), reader);
}

/// The limits and defaults of a sampler over the discrete times of a `ddpm` training.
fn settle_discrete(
    sampler: &mut Sampler,
    timesteps: u64,
    zero_terminal: bool,
    reader: &mut Reader,
) {
    if let Sampler::Midpoint(_) | Sampler::Rk4(_) = sampler {
        let word = sampler.word();
        let problem = Problem::new(format!(
            "`{word}` needs times between times, and the training has {timesteps} discrete ones"
        ));
        let help = "take ddpm, ddim, euler, heun or dpm_solver, or train by `flow_matching`";
        return wrong_sampler(sampler, None, problem.help(help), reader);
    }
    if let Some(steps) = sampler.steps().filter(|steps| *steps > timesteps) {
        let problem =
            Problem::new(format!("{steps} sampler steps, but the training has {timesteps} times"));
        let help = format!("at most {timesteps} steps");
        wrong_sampler(sampler, Some("steps"), problem.help(help), reader);
    }
    let in_sigma = matches!(sampler, Sampler::Euler(_) | Sampler::Heun(_) | Sampler::DpmSolver(_));
    if in_sigma && zero_terminal {
        let word = sampler.word();
        let problem = Problem::new(format!(
            "`{word}` walks in sigma / alpha, and the last time of the training has no finite one"
        ));
        let help = "take ddim or ddpm with `zero_terminal_snr`";
        wrong_sampler(sampler, None, problem.help(help), reader);
    }
    if let Sampler::Euler(ode) | Sampler::Heun(ode) | Sampler::DpmSolver(ode) = sampler {
        ode.spacing.get_or_insert(Spacing::Trailing);
    }
}

/// Refuses what only a process of discrete times has.
fn check_flow(sampler: &Sampler, reader: &mut Reader) {
    match sampler {
        Sampler::Ddpm(_) | Sampler::Ddim(_) | Sampler::DpmSolver(_) => {
            let word = sampler.word();
            let problem = Problem::new(format!(
                "`{word}` goes along the noise levels of a `ddpm` objective, and this network learned a flow"
            ));
            let help = "take euler, heun, midpoint or rk4";
            wrong_sampler(sampler, None, problem.help(help), reader);
        }
        Sampler::Euler(ode) | Sampler::Heun(ode) if ode.spacing.is_some() => {
            let problem = Problem::new("a flow is walked in even steps");
            wrong_sampler(sampler, Some("spacing"), problem.help("leave `spacing` out"), reader);
        }
        _ => {}
    }
}
