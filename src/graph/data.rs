//! What data allow: the limits that they set for the trainings and measures that read them, and that external files
//! set for the data.

use super::inputs::Facts;
use crate::problem::Problem;
use crate::settings::{
    Augmentation, Conditions, Dataset, Found, Known, Measure, Model, Objective, PowerSpectrum,
    Reader, Space, Step, Train, Transform,
};
use serde_json::Value;

/// Refuses what cannot be done to the maps.
pub(super) fn check_augment(
    train: &Train,
    sides: Option<[u64; 2]>,
    periodic: bool,
    reader: &mut Reader,
) {
    let asks = |one| train.augment.contains(&one);
    let problem = match sides {
        Some([h, w]) if h != w && asks(Augmentation::QuarterTurns) => {
            Problem::new(format!("maps of {h} x {w} pixels cannot be turned by 90 degrees"))
                .help("leave `quarter_turns` out")
        }
        _ if asks(Augmentation::Roll) && !periodic => {
            Problem::new("the items are no maps of a periodic box, whose edges meet")
                .help("leave `roll` out, or give an npy its `box_mpc_h`")
        }
        _ => return,
    };
    reader.wrong_key(&Found::root(&Value::Null), "augment", problem);
}

/// Refuses conditions that the items do not have.
pub(super) fn check_told(train: &Train, data: Known, reader: &mut Reader) {
    if matches!(train.objective, Objective::Classification(_)) && !data.has_classes {
        let problem = Problem::new("the items of the dataset have no classes to learn");
        let help = "take a dataset that has them, such as an npy with `labels`";
        reader.wrong_key(&Found::root(&Value::Null), "data", problem.help(help));
    }
    let (what, has, other) = match train.conditions.on() {
        Some(Conditions::Classes(_)) => {
            ("classes", data.has_classes, data.has_parameters.then_some("parameters"))
        }
        Some(Conditions::Parameters(_)) => {
            ("parameters", data.has_parameters, data.has_classes.then_some("classes"))
        }
        None => return,
    };
    if has {
        return;
    }
    let problem = Problem::new(format!("the items of the dataset have no {what}"));
    let help = match other {
        Some(other) => format!("they have {other}: take `conditions: {other}`"),
        None => "take a dataset that has them (`labels` or `parameters` of an npy), or `conditions: off`".to_owned(),
    };
    reader.wrong_key(&Found::root(&Value::Null), "conditions", problem.help(help));
}

/// Refuses a measure that the data do not allow, and settles the form in which it compares values, which the data
/// decide where the spec does not.
pub(super) fn settle_measure(measure: &mut Measure, facts: &Facts, reader: &mut Reader) {
    let Facts::Data { transform, periodic, conditions, .. } = facts else { return };
    let word = measure.word();
    let mut refuse = |setting: Option<&str>, problem: Problem| {
        let path = ["measure", word].into_iter().chain(setting);
        let path = path.map(|key| Step::Key(key.to_owned())).collect();
        reader.wrong::<()>(&Found { value: &Value::Null, path }, problem);
    };
    if measure.needs_box() && !periodic {
        let problem =
            Problem::new("the items are no maps of a periodic box, so they have no wave numbers");
        refuse(None, problem.help("give an npy its `box_mpc_h`, or take another measure"));
    }
    if let Measure::PowerSpectrum(PowerSpectrum { matched: true, .. }) = measure
        && !(conditions.has_classes || conditions.has_parameters)
    {
        let problem = Problem::new("the items of the dataset have no conditions to match");
        refuse(Some("matched"), problem.help("leave `matched` out"));
    }
    let Some(space) = measure.space() else { return };
    if *space == Some(Space::Log) && *transform == Transform::Bytes {
        let problem = Problem::new("pixels of images may be 0, which has no logarithm");
        refuse(Some("space"), problem.help("take `space: linear`"));
    }
    let seen_as = match transform {
        Transform::LogZScore | Transform::LogMinMax => Space::Log,
        Transform::ZScore | Transform::MinMax | Transform::Bytes => Space::Linear,
    };
    space.get_or_insert(seen_as);
}

/// Limits that external files set for a dataset; `None` if one is broken, which is then noted.
pub(super) fn check_dataset(
    dataset: &Dataset,
    found: &Found<'_>,
    reader: &mut Reader,
) -> Option<()> {
    let (setting, file, group_setting, group) = match dataset {
        Dataset::Npy(s) => ("file", &s.file, "group", s.group),
        Dataset::CamelsCmd(s) => ("maps", &s.maps, "maps_per_simulation", s.maps_per_simulation),
        Dataset::ImageFolder(s) => ("folder", &s.folder, "folder", 1),
        _ => return Some(()),
    };
    let before = reader.count();
    let items = match (dataset, &file.shape[..]) {
        (Dataset::ImageFolder(_), [items, _]) => *items,
        (_, [items, _, _]) | (Dataset::Npy(_), [items, _, _, _]) => *items,
        (_, shape) => {
            let what =
                if shape.is_empty() { "is not a `.npy` file" } else { "is of another shape" };
            let problem = Problem::new(format!("{} {what}", file.path.display()));
            reader.wrong_key(found, setting, problem.help("[n, h, w] is needed, or [n, c, h, w]"));
            return None;
        }
    };
    if !items.is_multiple_of(group) {
        let problem =
            Problem::new(format!("{items} items are not a whole number of groups of {group}"));
        reader.wrong_key(
            found,
            group_setting,
            problem.help("give the number that belong together"),
        );
    }
    if dataset.split().is_none_or(|split| split.train == 0) {
        let problem = Problem::new("nothing is left to train on");
        let help = "keep a smaller fraction for validation and test";
        reader.wrong_key(found, setting, problem.help(help));
    }
    (reader.count() == before).then_some(())
}

/// Limits that the data set for a training.
pub(super) fn check_train(
    train: &Train,
    sides: Option<[u64; 2]>,
    unvalidated: bool,
    reader: &mut Reader,
) {
    let found = &Found::root(&Value::Null);
    let (factor, what) = train.model.divisor();
    if let Some(side) = sides.into_iter().flatten().find(|side| !side.is_multiple_of(factor)) {
        let sentence =
            format!("{what} divides the side by {factor}, and {side} is not divisible by that");
        let help = match train.model {
            Model::Dit(_) => "take another `patch`, or data of another side",
            _ => "take fewer `multipliers`, or data of another side",
        };
        reader.wrong_key(found, "model", Problem::new(sentence).help(help));
    }
    if train.validation.on().is_some() && unvalidated {
        let problem = Problem::new("the dataset keeps nothing for validation");
        reader.wrong_key(
            found,
            "validation",
            problem.help("give it `validation: 0.1`, or train with `validation: off`"),
        );
    }
}
