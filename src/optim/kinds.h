// The optimizers that the table lists.
#pragma once

#include "optim/optimizer.h"

namespace retort::optim {

std::unique_ptr<Optimizer> make_sgd(const OptimizerOptions& options, const at::Tensor& like);
std::unique_ptr<Optimizer> make_adam(const OptimizerOptions& options, const at::Tensor& like);
std::unique_ptr<Optimizer> make_adamw(const OptimizerOptions& options, const at::Tensor& like);
std::unique_ptr<Optimizer> make_lamb(const OptimizerOptions& options, const at::Tensor& like);

}  // namespace retort::optim
