// Operations of libtorch on lists of tensors, which its C interface for Rust leaves out: one pass over memory on a
// CPU, a few kernels on a GPU, where one tensor at a time would be many of each.
//
// Each function takes arrays of `count` pointers to tensors that stay their owner's, all alive during the call, and
// returns nothing, or a message that `ablate_free` frees. No exception leaves.

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/stack.h>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <vector>

namespace {

using List = std::vector<at::Tensor>;
using Pointers = void *const *;

// A tensor is a counted reference: the list shares its memory.
List list(Pointers tensors, size_t count) {
    List all;
    all.reserve(count);
    for (size_t i = 0; i < count; i++) all.push_back(*static_cast<at::Tensor *>(tensors[i]));
    return all;
}

template <typename Work> char *guarded(Work work) {
    try {
        at::NoGradGuard without_gradients;
        work();
        return nullptr;
    } catch (const std::exception &problem) {
        return strdup(problem.what());
    } catch (...) {
        return strdup("an exception without words");
    }
}

} // namespace

extern "C" {

struct AblateAdamW {
    double rate, beta_1, beta_2, weight_decay, epsilon;
};

// A step of AdamW (Loshchilov & Hutter 2019) on weights and moments. `step` is a float32 scalar on their device: the
// number of this step, from 1.
char *ablate_adamw(size_t count, Pointers weights, Pointers gradients, Pointers first, Pointers second, void *step,
                   const AblateAdamW *settings) {
    return guarded([&] {
        List steps(count, *static_cast<at::Tensor *>(step));
        at::_fused_adamw_(list(weights, count), list(gradients, count), list(first, count), list(second, count), List(),
                          steps, settings->rate, settings->beta_1, settings->beta_2, settings->weight_decay,
                          settings->epsilon, /*amsgrad=*/false, /*maximize=*/false);
    });
}

// averages += weight (values - averages)
char *ablate_lerp(size_t count, Pointers averages, Pointers values, double weight) {
    return guarded([&] { at::_foreach_lerp_(list(averages, count), list(values, count), weight); });
}

// tensors *= factor, a scalar tensor on their device
char *ablate_scale(size_t count, Pointers tensors, void *factor) {
    return guarded([&] { at::_foreach_mul_(list(tensors, count), *static_cast<at::Tensor *>(factor)); });
}

// Puts the Euclidean norm of all tensors together into `norm`, an existing tensor that becomes a scalar; added up in
// 64 bits where `in_double` is not 0.
char *ablate_norm(size_t count, Pointers tensors, int in_double, void *norm) {
    return guarded([&] {
        std::optional<at::ScalarType> kind;
        if (in_double) kind = at::kDouble;
        auto norms = at::stack(at::_foreach_norm(list(tensors, count), 2, kind));
        *static_cast<at::Tensor *>(norm) = norms.square().sum().sqrt();
    });
}

// Parameters that have no gradient from now on, so that the next one is taken as it comes.
char *ablate_forget(size_t count, Pointers parameters) {
    return guarded([&] {
        for (size_t i = 0; i < count; i++) static_cast<at::Tensor *>(parameters[i])->mutable_grad() = at::Tensor();
    });
}

void ablate_free(char *message) { free(message); }

} // extern "C"
