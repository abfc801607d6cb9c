#include "synthetic/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace retort::synthetic {
namespace {

bool finite(const at::Tensor& tensor) {
  return at::isfinite(tensor).all().item<bool>();
}

std::string image_problem(const Bundle& bundle) {
  const at::Tensor& images = bundle.images;
  if (!images.defined() || images.scalar_type() != at::kFloat) return "images are not float32";
  if (images.dim() != 4) return "images are not of shape [M, C, H, W]";
  if (images.numel() == 0) return "there are no images";
  if (!finite(images)) return "images hold a number that is not finite";
  return {};
}

std::string label_problem(const Bundle& bundle) {
  const at::Tensor& labels = bundle.labels;
  const int64_t count = bundle.images.size(0);
  if (bundle.class_names.empty()) return "there are no class names";
  if (!labels.defined() || labels.scalar_type() != at::kLong) return "labels are not int64";
  if (labels.dim() != 1 || labels.size(0) != count)
    return fmt::format("labels are not one for each of {} images", count);
  const auto least = labels.min().item<int64_t>(), most = labels.max().item<int64_t>();
  if (least < 0 || most >= bundle.classes())
    return fmt::format("label {} is out of range: there are {} classes", least < 0 ? least : most,
                       bundle.classes());
  if (!labels.slice(0, 1).ge(labels.slice(0, 0, count - 1)).all().item<bool>())
    return "images are not ordered class after class";
  return {};
}

std::string soft_label_problem(const Bundle& bundle) {
  const at::Tensor& soft = bundle.soft_labels;
  if (!soft.defined()) return {};
  if (soft.scalar_type() != at::kFloat || soft.dim() != 2 ||
      soft.size(0) != bundle.images.size(0) || soft.size(1) != bundle.classes())
    return fmt::format("soft labels are not float32 of shape [{}, {}]", bundle.images.size(0),
                       bundle.classes());
  if (!finite(soft)) return "soft labels hold a number that is not finite";
  if (bundle.soft_label_kind == "targets") return {};
  if (bundle.soft_label_kind == "weights")
    return soft.min().item<float>() < 0 ? "soft labels hold a negative weight" : "";
  if (bundle.soft_label_kind != "probabilities")
    return "the kind of soft labels '" + bundle.soft_label_kind + "' is not known";
  return are_distributions(soft) ? "" : "soft labels are not probabilities: " + spread_of(soft);
}

std::string preprocessing_problem(const Bundle& bundle) {
  const data::Preprocessing& preprocessing = bundle.preprocessing;
  const int64_t channels = bundle.images.size(1);
  if (preprocessing.kind() == "mean_std" && std::ssize(preprocessing.mean()) != channels)
    return fmt::format("mean and std have {} channels, images {}", preprocessing.mean().size(),
                       channels);
  const int64_t pixels = bundle.images[0].numel();
  if (preprocessing.kind() == "zca" && preprocessing.zca_mean().numel() != pixels)
    return fmt::format("the whitening is for images of {} numbers, these have {}",
                       preprocessing.zca_mean().numel(), pixels);
  return {};
}

std::string whitening_problem(const TensorMap& tensors) {
  for (const char* name : {"zca_mean", "zca_matrix", "zca_inverse"}) {
    const auto found = tensors.find(name);
    if (found == tensors.end()) return fmt::format("the tensor '{}' is missing", name);
    if (found->second.scalar_type() != at::kFloat || !finite(found->second))
      return fmt::format("the tensor '{}' is not float32 and finite", name);
  }
  const at::Tensor& mean = tensors.at("zca_mean");
  const std::vector<int64_t> square(2, mean.numel());
  if (mean.dim() != 1 || tensors.at("zca_matrix").sizes() != at::IntArrayRef(square) ||
      tensors.at("zca_inverse").sizes() != at::IntArrayRef(square))
    return "zca_mean, zca_matrix and zca_inverse are not of shapes [D], [D, D] and [D, D]";
  return {};
}

}  // namespace

bool are_distributions(const at::Tensor& rows) {
  constexpr double kRounding = 0.01;  // of half precision, summed over classes
  return rows.min().item<double>() >= -1e-6 &&
         rows.to(at::kDouble).sum(1).sub(1).abs().max().item<double>() <= kRounding;
}

std::string spread_of(const at::Tensor& rows) {
  const at::Tensor sums = rows.to(at::kDouble).sum(1);
  return fmt::format("rows hold {:.4g} to {:.4g} and sum to {:.4g} to {:.4g}",
                     rows.min().item<double>(), rows.max().item<double>(),
                     sums.min().item<double>(), sums.max().item<double>());
}

std::string bundle_problem(const Bundle& bundle) {
  std::string problem = image_problem(bundle);
  if (problem.empty()) problem = label_problem(bundle);
  if (problem.empty()) problem = soft_label_problem(bundle);
  if (problem.empty()) problem = preprocessing_problem(bundle);
  if (!problem.empty()) return problem;
  if (bundle.student_learning_rate && !std::isfinite(*bundle.student_learning_rate))
    return "the student learning rate is not finite";
  const at::Tensor& rates = bundle.step_learning_rates;
  if (rates.defined() && (rates.scalar_type() != at::kDouble || rates.dim() != 1 ||
                          rates.numel() == 0 || !finite(rates)))
    return "the learning rates of steps are not finite float64 numbers in a row";
  for (const auto& [name, tensor] : bundle.compact)
    if (tensor.is_floating_point() && !finite(tensor))
      return "the tensor '" + name + "' holds a number that is not finite";
  return {};
}

data::Preprocessing restore(const StoredPreprocessing& stored, std::string& problem) {
  if (stored.kind == "none") return {};
  if (stored.kind == "mean_std") {
    const auto usable = [](double value) { return std::isfinite(value); };
    const bool good = !stored.mean.empty() && stored.mean.size() == stored.deviation.size() &&
                      std::all_of(stored.mean.begin(), stored.mean.end(), usable) &&
                      std::all_of(stored.deviation.begin(), stored.deviation.end(),
                                  [&](double value) { return usable(value) && value > 0; });
    if (good) return data::Preprocessing::mean_std(stored.mean, stored.deviation);
    problem = "mean and std are not one finite number a channel, std above 0";
  } else if (stored.kind == "zca") {
    problem = whitening_problem(stored.tensors);
    if (problem.empty())
      return data::Preprocessing::zca(stored.tensors.at("zca_mean"),
                                      stored.tensors.at("zca_matrix"),
                                      stored.tensors.at("zca_inverse"));
  } else {
    problem = "the preprocessing '" + stored.kind + "' is not known";
  }
  return {};
}

StoredPreprocessing stored_form(const data::Preprocessing& preprocessing) {
  StoredPreprocessing stored{
      preprocessing.kind(), preprocessing.mean(), preprocessing.deviation(), {}};
  if (stored.kind == "zca")
    stored.tensors = {{"zca_mean", preprocessing.zca_mean()},
                      {"zca_matrix", preprocessing.zca_matrix()},
                      {"zca_inverse", preprocessing.zca_inverse()}};
  return stored;
}

}  // namespace retort::synthetic
