//! Many tensors in one vector, so that one operation treats them all: on a GPU a step of the optimiser
//! would else be thousands of tiny kernels, more than the network itself.

use super::Tensors;
use tch::Tensor;

/// A vector and, by name, the views of its parts.
#[derive(Debug)]
pub struct Flat {
    vector: Tensor,
    views: Tensors,
}

impl Flat {
    /// Copies tensors, at least one and all of one kind and device, into a new vector.
    pub fn copy(of: &Tensors) -> Self {
        let vector = join(of.values());
        let parts = split(&vector, of);
        let views = of.keys().cloned().zip(parts).collect();
        Self { vector, views }
    }

    /// Makes a vector of zeros with a part for each tensor.
    pub fn zeros(like: &Tensors) -> Self {
        let flat = Self::copy(like);
        let _ = flat.vector.shallow_clone().zero_();
        flat
    }

    /// Returns the vector itself `[numbers in all]`; changing it changes the views.
    pub fn vector(&self) -> Tensor {
        self.vector.shallow_clone()
    }

    /// Returns the views, each of the shape of its tensor.
    pub fn views(&self) -> &Tensors {
        &self.views
    }
}

/// Returns a new vector with the numbers of all tensors, one after the other, without gradients.
pub fn join<'t>(tensors: impl Iterator<Item = &'t Tensor>) -> Tensor {
    let parts: Vec<Tensor> = tensors.map(|tensor| tensor.detach().reshape([-1])).collect();
    Tensor::cat(&parts, 0)
}

/// Returns the parts of a vector that [`join`] made of `like`, as views of their shapes.
pub fn split(vector: &Tensor, like: &Tensors) -> Vec<Tensor> {
    let sizes: Vec<i64> = like.values().map(|tensor| tensor.numel() as i64).collect();
    let parts = vector.split_with_sizes(&sizes, 0);
    parts.iter().zip(like.values()).map(|(part, like)| part.view(like.size().as_slice())).collect()
}

/// Returns the gradients of all tensors as one vector; zeros where there is none.
pub fn join_gradients(tensors: &Tensors) -> Tensor {
    let gradients: Vec<Tensor> = tensors
        .values()
        .map(|tensor| {
            let gradient = tensor.grad();
            if gradient.defined() { gradient } else { tensor.detach().zeros_like() }
        })
        .collect();
    join(gradients.iter())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    #[test]
    fn the_views_have_the_shapes_of_the_tensors_and_the_memory_of_the_vector() {
        let a = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0]).view([2, 2]);
        let b = Tensor::from_slice(&[5.0]);
        let tensors = Tensors::from([("a".to_owned(), a.shallow_clone()), ("b".to_owned(), b)]);
        let flat = Flat::copy(&tensors);
        assert_eq!(flat.views()["a"], a);
        let _ = flat.vector().fill_(9.0);
        assert_eq!(flat.views()["b"].double_value(&[0]), 9.0);
        assert_eq!(a.double_value(&[0, 0]), 1.0);
        assert_eq!(Flat::zeros(&tensors).vector().sum(Kind::Double).double_value(&[]), 0.0);
    }

    #[test]
    fn a_missing_gradient_counts_as_zero() {
        let weight = |value: f64| Tensor::from_slice(&[value]).set_requires_grad(true);
        let tensors = Tensors::from([("a".to_owned(), weight(2.0)), ("b".to_owned(), weight(3.0))]);
        tensors["b"].square().sum(Kind::Double).backward();
        let gradients: Vec<f64> = Vec::try_from(join_gradients(&tensors)).unwrap();
        assert_eq!(gradients, [0.0, 6.0]);
    }
}
