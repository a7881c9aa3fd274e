//! The conditions of items: classes or parameters as files hold them, and as a network is told of them.

use super::manifest::{Manifest, Parameter};
use crate::net::{Condition, Sides, Task, Told, What};
use ablate::npy;
use ablate::problem::{Problem, Result};
use ablate::settings::{self, Objective, Train};
use std::path::Path;
use tch::{Device, Tensor};

/// The conditions of a list of items.
#[derive(Debug, Clone, PartialEq)]
pub enum Conditions {
    /// The class of each item, below a number of classes.
    Classes {
        /// How many classes there are.
        all: usize,
        /// Those of the items.
        of: Vec<i64>,
    },
    /// The parameters of each item in their own units.
    Parameters {
        /// Which they are, with the ranges that become [0, 1].
        which: Vec<Parameter>,
        /// A row for each item.
        rows: Vec<f64>,
    },
}

/// What a network of these settings is for, on data of this manifest.
///
/// # Errors
/// If the data lack the conditions.
pub fn task(manifest: &Manifest, train: &Train) -> Result<Task> {
    let sides = Sides { height: manifest.side as i64, width: manifest.width() as i64 };
    let told = match train.conditions.on() {
        Some(conditions) => {
            let what = match Conditions::none(manifest, conditions)? {
                Conditions::Classes { all, .. } => What::Classes(all as i64),
                Conditions::Parameters { which, .. } => What::Parameters(which.len() as i64),
            };
            Some(Told { what, or_nothing: conditions.dropout() > 0.0 })
        }
        None => None,
    };
    let classes = manifest.classes.map(|classes| classes as i64);
    Ok(Task { channels: manifest.channels as i64, sides, told, classes })
}

impl Conditions {
    /// What a training reads of the items beside their maps: what its network is told, or is to find out.
    ///
    /// # Errors
    /// If the data lack it.
    pub fn of_training(manifest: &Manifest, train: &Train) -> Result<Option<Self>> {
        let wanted = match &train.objective {
            Objective::Classification(_) => {
                Some(settings::Conditions::Classes(settings::Dropout { dropout: 0.0 }))
            }
            _ => train.conditions.on(),
        };
        wanted.map(|wanted| Self::none(manifest, wanted)).transpose()
    }

    /// The conditions of no items.
    ///
    /// # Errors
    /// If the data lack them.
    pub fn none(manifest: &Manifest, conditions: settings::Conditions) -> Result<Self> {
        let lack = |what| Problem::system(format!("the items of the dataset have no {what}"));
        match conditions {
            settings::Conditions::Classes(_) => {
                let all = manifest.classes.ok_or_else(|| lack("classes"))?;
                Ok(Self::Classes { all, of: vec![] })
            }
            settings::Conditions::Parameters(_) if manifest.parameters.is_empty() => {
                Err(lack("parameters"))
            }
            settings::Conditions::Parameters(_) => {
                Ok(Self::Parameters { which: manifest.parameters.clone(), rows: vec![] })
            }
        }
    }

    /// Makes sure that the items of another dataset have these conditions, by their names or their number.
    ///
    /// # Errors
    /// If they have others.
    pub fn check_data(&self, other: &Manifest) -> Result<()> {
        let names =
            |all: &[Parameter]| -> Vec<String> { all.iter().map(|p| p.name.clone()).collect() };
        let (what, have) = match self {
            Self::Classes { all, .. } if other.classes.is_some_and(|n| n <= *all) => return Ok(()),
            Self::Classes { all, .. } => {
                let have =
                    other.classes.map_or("no classes".to_owned(), |n| format!("{n} classes"));
                (format!("{all} classes"), have)
            }
            Self::Parameters { which, .. } => {
                let (ours, theirs) = (names(which), names(&other.parameters));
                if ours == theirs {
                    return Ok(());
                }
                let have =
                    if theirs.is_empty() { "no parameters".to_owned() } else { theirs.join(", ") };
                (ours.join(", "), have)
            }
        };
        let problem =
            Problem::new(format!("the network was trained with {what}, and the items have {have}"));
        Err(problem.help("take conditions from a dataset that has the same"))
    }

    /// Reads those of all items of a split, from the folder of the dataset.
    ///
    /// # Errors
    /// If the file cannot be read, or holds others than `self`, the conditions of no items, allows.
    pub fn of_split(self, folder: &Path, split: &str) -> Result<Self> {
        let (name, columns) = match &self {
            Self::Classes { .. } => ("labels", None),
            Self::Parameters { which, .. } => ("parameters", Some(which.len())),
        };
        let path = folder.join(format!("{split}.{name}.npy"));
        let array = npy::read_f64(&path)?;
        if array.shape.get(1).copied() != columns || array.shape.len() > 2 {
            let (shape, path) = (&array.shape, path.display());
            let what =
                format!("{path} has the shape {shape:?}, other than the data of the training");
            return Err(Problem::new(what));
        }
        match self {
            Self::Classes { all, .. } => {
                let of: Vec<i64> = array.data.iter().map(|class| *class as i64).collect();
                Self::check_classes(&of, all)?;
                Ok(Self::Classes { all, of })
            }
            Self::Parameters { which, .. } => Ok(Self::Parameters { which, rows: array.data }),
        }
    }

    /// Those of a list: a class, or the parameters, in each row.
    ///
    /// # Errors
    /// If there is no such class, or a row is of another length.
    pub fn listed(self, rows: &[Vec<f64>]) -> Result<Self> {
        match self {
            Self::Classes { all, .. } => {
                let of: Vec<i64> =
                    rows.iter().map(|row| row.first().map_or(-1, |class| *class as i64)).collect();
                Self::check_classes(&of, all)?;
                Ok(Self::Classes { all, of })
            }
            Self::Parameters { which, .. } => {
                if let Some(row) = rows.iter().find(|row| row.len() != which.len()) {
                    let names: Vec<&str> = which.iter().map(|p| p.name.as_str()).collect();
                    let what = format!("a row of `conditions` has {} numbers", row.len());
                    let help = format!("the network knows {}", names.join(", "));
                    return Err(Problem::new(what).help(help));
                }
                Ok(Self::Parameters { which, rows: rows.concat() })
            }
        }
    }

    fn check_classes(of: &[i64], all: usize) -> Result<()> {
        match of.iter().find(|class| !(0..all as i64).contains(*class)) {
            Some(class) => Err(Problem::new(format!("there is no class {class}"))
                .help(format!("the network knows {all}, numbered from 0"))),
            None => Ok(()),
        }
    }

    /// Every class once.
    pub fn every_class(self) -> Self {
        match self {
            Self::Classes { all, .. } => Self::Classes { all, of: (0..all as i64).collect() },
            other => other,
        }
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Classes { of, .. } => of.len(),
            Self::Parameters { which, rows } => rows.len() / which.len().max(1),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those of the items with these numbers.
    pub fn choose(&self, items: impl Iterator<Item = usize>) -> Self {
        match self {
            Self::Classes { all, of } => {
                Self::Classes { all: *all, of: items.map(|i| of[i]).collect() }
            }
            Self::Parameters { which, rows } => {
                let k = which.len();
                let rows = items.flat_map(|i| rows[i * k..(i + 1) * k].to_vec()).collect();
                Self::Parameters { which: which.clone(), rows }
            }
        }
    }

    /// What a network is told of the items, parameters scaled from their ranges to [0, 1].
    pub fn condition(&self, device: Device) -> Condition {
        let values = match self {
            Self::Classes { of, .. } => Tensor::from_slice(of),
            Self::Parameters { which, rows } => {
                let scaled = |(x, p): (&f64, &Parameter)| {
                    let range = p.high - p.low;
                    // A parameter that never varies says nothing.
                    let share = if range > 0.0 { (x - p.low) / range } else { 0.0 };
                    share as f32
                };
                let scaled: Vec<f32> = rows.iter().zip(which.iter().cycle()).map(scaled).collect();
                Tensor::from_slice(&scaled).view([-1, which.len() as i64])
            }
        };
        Condition::new(values.to_device(device))
    }

    /// The first parameter that lies outside the range of the training, with its value.
    pub fn outside(&self) -> Option<(&Parameter, f64)> {
        let Self::Parameters { which, rows } = self else { return None };
        let mut cells = which.iter().cycle().zip(rows);
        let found = cells.find(|(p, x)| !(p.low..=p.high).contains(*x));
        found.map(|(p, x)| (p, *x))
    }

    /// Writes them as `[n]` int64 classes or `[n, k]` float64 parameters.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        match self {
            Self::Classes { of, .. } => npy::write_i64(path, &[of.len()], of),
            Self::Parameters { which, rows } => {
                npy::write_f64(path, &[self.len(), which.len()], rows)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters() -> Conditions {
        let parameter = |name: &str, low, high| Parameter { name: name.to_owned(), low, high };
        let which = vec![parameter("omega_m", 0.1, 0.5), parameter("h", 0.7, 0.7)];
        Conditions::Parameters { which, rows: vec![] }
    }

    #[test]
    fn a_list_is_checked_against_what_the_network_knows() {
        let classes = || Conditions::Classes { all: 10, of: vec![] };
        let of = classes().listed(&[vec![9.0], vec![0.0]]).unwrap();
        assert_eq!(of, Conditions::Classes { all: 10, of: vec![9, 0] });
        let problem = classes().listed(&[vec![10.0]]).unwrap_err().to_string();
        assert!(problem.contains("no class 10"), "{problem}");
        let problem = parameters().listed(&[vec![0.3]]).unwrap_err().to_string();
        assert!(problem.contains("omega_m, h"), "{problem}");
        assert_eq!(classes().every_class().len(), 10);
    }

    #[test]
    fn parameters_are_chosen_by_row_and_told_if_they_leave_their_range() {
        let rows = [vec![0.1, 0.7], vec![0.3, 0.7], vec![0.5, 0.7]];
        let all = parameters().listed(&rows).unwrap();
        assert_eq!((all.len(), all.outside()), (3, None));
        let Conditions::Parameters { rows, .. } = all.choose([2, 0].into_iter()) else {
            unreachable!()
        };
        assert_eq!(rows, [0.5, 0.7, 0.1, 0.7]);
        let far = parameters().listed(&[vec![0.6, 0.7]]).unwrap();
        assert_eq!(far.outside().map(|(p, x)| (p.name.as_str(), x)), Some(("omega_m", 0.6)));
    }
}
