//! What networks are told of samples beside the time: a class, or parameters, or nothing, which has a
//! learned embedding of its own rather than zeros, the corner of the parameters' range.

use super::layers::{Linear, Width};
use super::start::Start;
use tch::{Kind, Tensor, nn};

/// What a network is told, as it is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// Which conditions there are.
    pub what: What,
    /// Whether it knows `nothing` too.
    pub or_nothing: bool,
}

/// Conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// One of so many classes.
    Classes(i64),
    /// So many numbers, each within [0, 1] over the range of the data.
    Parameters(i64),
}

/// The conditions of a batch.
#[derive(Debug)]
pub struct Condition {
    /// Classes `[n]` int64, or parameters `[n, k]`.
    values: Tensor,
    /// Who is told nothing, `[n]` bool.
    withheld: Tensor,
}

impl Condition {
    /// Tells everybody their classes `[n]` int64, or parameters `[n, k]`.
    pub fn new(values: Tensor) -> Self {
        let withheld = Tensor::zeros([values.size()[0]], (Kind::Bool, values.device()));
        Self { values, withheld }
    }

    /// The same, but those who are named in `withheld` `[n]` bool are told nothing.
    pub fn without(self, withheld: Tensor) -> Self {
        Self { withheld, ..self }
    }

    /// Classes `[n]` int64, or parameters `[n, k]`.
    pub fn values(&self) -> &Tensor {
        &self.values
    }

    /// Who is told nothing, `[n]` bool.
    pub fn withheld(&self) -> &Tensor {
        &self.withheld
    }

    /// Tells everybody nothing.
    pub fn nothing(&self) -> Self {
        Self { values: self.values.shallow_clone(), withheld: self.withheld.ones_like() }
    }

    /// Tells a batch twice as large: first this, then the other.
    pub fn and(&self, other: &Self) -> Self {
        Self {
            values: Tensor::cat(&[&self.values, &other.values], 0),
            withheld: Tensor::cat(&[&self.withheld, &other.withheld], 0),
        }
    }

    /// Tells `n` samples from the `i`-th of this batch on.
    pub fn narrow(&self, i: i64, n: i64) -> Self {
        Self { values: self.values.narrow(0, i, n), withheld: self.withheld.narrow(0, i, n) }
    }
}

/// Turns conditions into vectors.
#[derive(Debug)]
pub(super) enum ConditionEmbedding {
    /// A row for each class; of `nothing` the last one.
    Classes(Tensor),
    /// Two linear maps with an activation between them, and a vector for `nothing`.
    Parameters {
        first: Linear,
        activation: fn(&Tensor) -> Tensor,
        second: Linear,
        nothing: Option<Tensor>,
    },
}

/// Where an embedding keeps its parameters, and what is between its linear maps.
pub(super) struct Places {
    /// The table of classes.
    pub(super) table: &'static str,
    /// The linear maps of parameters, `.0` and `.2` below it, and `.nothing`.
    pub(super) maps: &'static str,
    pub(super) activation: fn(&Tensor) -> Tensor,
}

impl ConditionEmbedding {
    /// Declares an embedding in `width` channels.
    pub(super) fn new(path: &nn::Path, told: Told, width: i64, places: &Places) -> Self {
        match told.what {
            What::Classes(classes) => {
                let rows = classes + i64::from(told.or_nothing);
                Self::Classes((path / places.table).zeros("weight", &[rows, width]))
            }
            What::Parameters(count) => {
                let maps = path / places.maps;
                Self::Parameters {
                    first: Linear::new(&(&maps / 0), Width { from: count, to: width }),
                    activation: places.activation,
                    second: Linear::new(&(&maps / 2), Width { from: width, to: width }),
                    nothing: told.or_nothing.then(|| maps.zeros("nothing", &[width])),
                }
            }
        }
    }

    /// The embedded conditions, `[n, width]`.
    pub(super) fn forward(&self, condition: &Condition) -> Tensor {
        match self {
            Self::Classes(table) => {
                let nothing = table.size()[0] - 1;
                let rows = condition.values.masked_fill(&condition.withheld, nothing);
                table.index_select(0, &rows)
            }
            Self::Parameters { first, activation, second, nothing } => {
                let values = condition.values.to_kind(first.kind());
                let told = second.forward(&activation(&first.forward(&values)));
                match nothing {
                    Some(nothing) => {
                        nothing.unsqueeze(0).where_self(&condition.withheld.unsqueeze(1), &told)
                    }
                    None => told,
                }
            }
        }
    }

    /// How a table of classes starts: as PyTorch's embeddings.
    pub(super) fn start_of_table() -> Start {
        Start::Normal(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, no_grad};

    const PLACES: Places =
        Places { table: "table", maps: "maps", activation: |x: &Tensor| x.gelu("none") };

    fn embedding(what: What) -> (nn::VarStore, ConditionEmbedding) {
        let store = nn::VarStore::new(Device::Cpu);
        let told = Told { what, or_nothing: true };
        let embedding = ConditionEmbedding::new(&store.root(), told, 4, &PLACES);
        no_grad(|| store.variables().values_mut().for_each(|w| drop(w.uniform_(-1.0, 1.0))));
        (store, embedding)
    }

    fn is_same(a: &Tensor, b: &Tensor) -> bool {
        (a - b).abs().max().double_value(&[]) == 0.0
    }

    #[test]
    fn each_class_has_a_row_and_nothing_the_last() {
        let (store, embedding) = embedding(What::Classes(3));
        let table = &store.variables()["table.weight"];
        assert_eq!(table.size(), [4, 4]);
        let asked = Condition::new(Tensor::from_slice(&[2_i64, 0]))
            .without(Tensor::from_slice(&[false, true]));
        let out = embedding.forward(&asked);
        assert!(is_same(&out.get(0), &table.get(2)) && is_same(&out.get(1), &table.get(3)));
    }

    #[test]
    fn nothing_is_not_zero_and_hides_the_values() {
        let (store, embedding) = embedding(What::Parameters(2));
        let rows = |values: [f32; 4]| Condition::new(Tensor::from_slice(&values).view([2, 2]));
        let told = embedding.forward(&rows([0.0, 0.0, 0.5, 1.0]));
        let nothing = &store.variables()["maps.nothing"];
        assert!(!is_same(&told.get(0), nothing));
        for values in [[0.0, 0.0, 0.5, 1.0], [0.9, 0.1, 0.2, 0.3]] {
            let out = embedding.forward(&rows(values).nothing());
            assert!(is_same(&out.get(0), nothing) && is_same(&out.get(1), nothing));
        }
    }

    #[test]
    fn two_batches_are_told_one_after_the_other() {
        let (_store, embedding) = embedding(What::Classes(3));
        let asked = Condition::new(Tensor::from_slice(&[2_i64, 0]));
        let both = embedding.forward(&asked.and(&asked.nothing()));
        assert!(is_same(&both.narrow(0, 0, 2), &embedding.forward(&asked)));
        assert!(is_same(&both.narrow(0, 2, 2), &embedding.forward(&asked.nothing())));
        let second = embedding.forward(&asked.narrow(1, 1));
        assert!(is_same(&second.get(0), &both.get(1)));
    }
}
