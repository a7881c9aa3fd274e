//! The items behind a role in physical units, with what belongs to each: its simulation and its conditions.

use crate::data::conditions::Conditions;
use crate::data::manifest::Manifest;
use crate::data::maps::Maps;
use crate::serve::{Context, inputs};
use ablate::job::Input;
use ablate::npy;
use ablate::problem::{Problem, Result};
use ablate::settings::{self, Dropout, Space};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Items of one or several inputs, one after another.
pub(super) struct Fields {
    /// Describes the items of the first input.
    pub(super) manifest: Manifest,
    /// Numbers, `[n, c, h, w]` in C order.
    pub(super) data: Vec<f64>,
    /// The simulation that each item is from; every sample is one of its own.
    pub(super) groups: Vec<usize>,
    /// The class or the parameters of each item, as the bits of its numbers; empty if they have none.
    conditions: Vec<Vec<u64>>,
}

impl Fields {
    /// Reads the items behind a role; where those of an input would be many more than `most` numbers, evenly
    /// chosen ones.
    ///
    /// # Errors
    /// If they cannot be read, or those of several inputs differ in form.
    pub(super) fn read(context: &Context<'_>, role: &str, most: usize) -> Result<Self> {
        let mut all: Option<Self> = None;
        for input in inputs(context.job, role)? {
            let mut one = Self::of(role, input, most)?;
            let Some(all) = &mut all else {
                all = Some(one);
                continue;
            };
            check_alike(&one.manifest, &all.manifest)?;
            let first = all.groups.iter().max().map_or(0, |last| last + 1);
            all.groups.extend(one.groups.iter().map(|group| first + group));
            all.data.append(&mut one.data);
            all.conditions.append(&mut one.conditions);
        }
        all.ok_or_else(|| Problem::system(format!("`{role}` has no input")))
    }

    fn of(role: &str, input: &Input, most: usize) -> Result<Self> {
        let manifest = Manifest::read(&input.folder)?;
        let each = manifest.numbers().max(1);
        let (data, step) = match input.port.as_str() {
            "out" => {
                let array = npy::read_f64(&input.folder.join("samples.npy"))?;
                let step = array.data.len().div_ceil(most).max(1);
                let chosen = array.data.chunks_exact(each).step_by(step);
                let data = if step > 1 { chosen.flatten().copied().collect() } else { array.data };
                (data, step)
            }
            _ => {
                let maps = Maps::open(&manifest, input)?;
                let step = (maps.len() * each).div_ceil(most).max(1);
                ((0..maps.len()).step_by(step).flat_map(|i| maps.physical(i)).collect(), step)
            }
        };
        if data.is_empty() {
            return Err(Problem::system(format!("`{role}` has nothing to measure")));
        }
        let count = data.len() / each;
        let group = if input.port == "out" { 1 } else { manifest.group.unwrap_or(1) };
        let conditions: Vec<_> = conditions(input, &manifest)?.into_iter().step_by(step).collect();
        if !conditions.is_empty() && conditions.len() != count {
            let (n, m) = (count, conditions.len());
            return Err(Problem::system(format!("`{role}` has {n} items and {m} conditions")));
        }
        let groups = (0..count).map(|i| i * step / group).collect();
        Ok(Self { manifest, data, groups, conditions })
    }

    /// Numbers in an item.
    pub(super) fn each(&self) -> usize {
        self.manifest.numbers().max(1)
    }

    /// How many items there are.
    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    /// The items.
    pub(super) fn items(&self) -> impl Iterator<Item = &[f64]> {
        self.data.chunks_exact(self.each())
    }

    /// The items with these ascending numbers, one after another; all of them as they are.
    pub(super) fn chosen(&self, items: &[usize]) -> Cow<'_, [f64]> {
        if items.len() == self.len() {
            return Cow::Borrowed(&self.data);
        }
        let each = self.each();
        items.iter().flat_map(|i| &self.data[i * each..(i + 1) * each]).copied().collect()
    }

    /// Changes values into the form in which they are compared.
    ///
    /// # Errors
    /// If a value has no logarithm, or is no number.
    pub(super) fn seen_in(mut self, space: Option<Space>, role: &str) -> Result<Self> {
        let space = space.ok_or_else(|| {
            Problem::system("the job does not say in which space values are compared")
        })?;
        if space == Space::Log {
            for value in &mut self.data {
                if *value <= 0.0 {
                    let problem =
                        Problem::new(format!("`{role}` holds {value}, which has no logarithm"));
                    return Err(problem.help("take `space: linear`"));
                }
                *value = value.log10();
            }
        }
        match self.data.iter().find(|value| !value.is_finite()) {
            Some(value) => {
                Err(Problem::new(format!("`{role}` holds {value}, which is no number to compare")))
            }
            None => Ok(self),
        }
    }

    /// The items of samples and of a reference that have equal conditions, as their numbers.
    ///
    /// # Errors
    /// If some have no conditions, or no two are equal.
    pub(super) fn matched(&self, reference: &Self) -> Result<Vec<[Vec<usize>; 2]>> {
        for (what, of) in [("samples", self), ("items of the reference", reference)] {
            if of.conditions.is_empty() {
                let problem = Problem::new(format!("the {what} have no conditions to match"));
                return Err(problem.help("leave `matched` out"));
            }
        }
        let mut found: BTreeMap<&Vec<u64>, [Vec<usize>; 2]> = BTreeMap::new();
        for (side, of) in [self, reference].into_iter().enumerate() {
            for (i, condition) in of.conditions.iter().enumerate() {
                found.entry(condition).or_default()[side].push(i);
            }
        }
        let pairs: Vec<_> =
            found.into_values().filter(|pair| pair.iter().all(|side| !side.is_empty())).collect();
        if pairs.is_empty() {
            let problem = Problem::new("no sample has the conditions of an item of the reference");
            return Err(
                problem.help("draw them with `conditions: { from: DATASET.test, each: 4 }`")
            );
        }
        Ok(pairs)
    }
}

/// Makes sure that items have the same form.
///
/// # Errors
/// If they have not.
pub(super) fn check_alike(ours: &Manifest, theirs: &Manifest) -> Result<()> {
    let form = |m: &Manifest| (m.channels, m.side, m.width(), m.box_mpc_h);
    if form(ours) == form(theirs) {
        return Ok(());
    }
    let told = |m: &Manifest| {
        let of_box = m.box_mpc_h.map_or(String::new(), |side| format!(" over {side} Mpc/h"));
        format!("[{}, {}, {}]{of_box}", m.channels, m.side, m.width())
    };
    let sentence = format!("items of {} are compared with items of {}", told(ours), told(theirs));
    Err(Problem::new(sentence).help("take samples and a reference of one form"))
}

/// The conditions of the items of an input as bits, if they have any.
fn conditions(input: &Input, manifest: &Manifest) -> Result<Vec<Vec<u64>>> {
    if input.port == "out" {
        let path = input.folder.join("conditions.npy");
        if !path.exists() {
            return Ok(vec![]);
        }
        let array = npy::read_f64(&path)?;
        let each = array.shape.get(1).copied().unwrap_or(1).max(1);
        return Ok(array.data.chunks(each).map(bits).collect());
    }
    let dropout = Dropout { dropout: 0.0 };
    let wanted = match (manifest.classes, manifest.parameters.is_empty()) {
        (Some(_), _) => settings::Conditions::Classes(dropout),
        (None, false) => settings::Conditions::Parameters(dropout),
        (None, true) => return Ok(vec![]),
    };
    match Conditions::none(manifest, wanted)?.of_split(&input.folder, &input.port)? {
        Conditions::Classes { of, .. } => {
            Ok(of.iter().map(|class| bits(&[*class as f64])).collect())
        }
        Conditions::Parameters { which, rows } => Ok(rows.chunks(which.len()).map(bits).collect()),
    }
}

fn bits(numbers: &[f64]) -> Vec<u64> {
    numbers.iter().map(|x| x.to_bits()).collect()
}
