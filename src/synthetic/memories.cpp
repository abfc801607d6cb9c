#include "synthetic/memories.h"

#include <fmt/format.h>

#include <cmath>

#include "retort/core/error.h"
#include "retort/core/random.h"
#include "synthetic/separable.h"

namespace retort::synthetic {
namespace {

struct Options {
  int64_t bases = 16, downsample = 2, addressers = 0;
  std::string start = "xavier";
  double basis_rate = 1, coefficient_rate = 1;

  void declare(OptionSet& set) {
    set.add("bases", bases, "number of bases, images that all classes share and combine",
            {.min = 1});
    set.add("downsample", downsample, "bases are smaller than the images by this factor, each way",
            {.min = 1});
    set.add("addressers", addressers,
            "number of addressing matrices, each of which gives one image of every class; 0: as "
            "many as the bytes of --images-per-class allow",
            {.min = 0});
    set.add("memory_start", start,
            "xavier: random numbers, whatever the images start from; images: principal components "
            "of the images to start from",
            {.choices = {"xavier", "images"}});
    set.add("basis_rate", basis_rate,
            "learning rate of the bases, as a multiple of --image-learning-rate", {.min = 0});
    set.add("coefficient_rate", coefficient_rate,
            "learning rate of the coefficients, as a multiple of --image-learning-rate",
            {.min = 0});
  }
};

int64_t basis_numbers(const SetLayout& budget, int64_t downsample) {
  return budget.channels * (budget.height / downsample) * (budget.width / downsample);
}

int64_t budget_numbers(const SetLayout& budget) {
  return budget.size() * budget.channels * budget.height * budget.width;
}

class Memories : public Parametrisation {
 public:
  Memories(const ParametrisationInput& input, const Options& options, int64_t addressers)
      : options_(options), layout_(input.budget), seed_(input.seed) {
    layout_.counts.assign(layout_.counts.size(), addressers);
    const std::vector<int64_t> small = {layout_.height / options.downsample,
                                        layout_.width / options.downsample};
    const auto kind = at::TensorOptions().dtype(input.type).device(input.device);
    bases_ = at::zeros({options.bases, layout_.channels, small[0], small[1]}, kind);
    coefficients_ = at::zeros({layout_.size(), options.bases}, kind);
    upsampling_ = interpolation(small, {layout_.height, layout_.width}, kind);
  }

  const SetLayout& layout() const override { return layout_; }
  bool starts_from_images() const override { return options_.start == "images"; }
  void initialise(const at::Tensor& images) override {
    TORCH_CHECK(images.size(0) == layout_.size(), images.size(0), " images cannot initialise ",
                layout_.size());
    fill_xavier(bases_, "memories.bases");
    fill_xavier(coefficients_, "memories.coefficients");
    if (starts_from_images()) take_components(images);
  }
  at::Tensor decode() const override {
    // Upsampling and the combination are linear and commute: K bases are upsampled, not N images.
    return at::matmul(coefficients_, large_bases()).view(shape());
  }
  std::vector<at::Tensor> pullback(const at::Tensor& cotangents) const override {
    const at::Tensor flat = cotangents.flatten(1);  // [N, D]
    const at::Tensor of_large = at::matmul(coefficients_.t(), flat);
    return {
        upsampling_.adjoint(of_large.view({-1, layout_.channels, layout_.height, layout_.width})),
        at::matmul(flat, large_bases().t())};
  }
  std::vector<ParameterGroup> parameters() override {
    return {{"bases", bases_, options_.basis_rate},
            {"coefficients", coefficients_, options_.coefficient_rate}};
  }
  TensorMap compact() const override {
    return {{"bases", bases_}, {"coefficients", coefficients_}};
  }

 private:
  std::vector<int64_t> shape() const {
    return {layout_.size(), layout_.channels, layout_.height, layout_.width};
  }
  at::Tensor large_bases() const { return upsampling_.apply(bases_).flatten(1); }  // [K, D]

  /// Uniform within sqrt(6 / (rows + columns)) of the table that the first axis numbers.
  void fill_xavier(at::Tensor& table, const char* purpose) const {
    const int64_t rows = table.size(0), columns = table.numel() / rows;
    const auto bound = static_cast<float>(std::sqrt(6.0 / static_cast<double>(rows + columns)));
    at::Tensor values = at::empty(table.sizes(), at::kFloat);
    RandomStream(seed_, purpose)
        .fill_uniform(values.data_ptr<float>(), values.numel(), -bound, bound);
    table.copy_(values);
  }

  /// X = U S V^T of the averaged-down images without centring, since the decoder has no mean; the
  /// root of S goes to either side. Bases beyond the rank keep their random numbers and begin with
  /// coefficients of zero.
  void take_components(const at::Tensor& images) {
    const int64_t d = options_.downsample;
    const at::Tensor small = at::avg_pool2d(images.detach(), {d, d}).flatten(1);
    const auto [left, values, right] =
        at::linalg_svd(small.to(at::kCPU, at::kDouble), /*full_matrices=*/false);
    const int64_t rank =
        std::min(options_.bases, (values > 1e-6 * values[0]).sum().item<int64_t>());
    const at::Tensor root = values.narrow(0, 0, rank).sqrt();
    bases_.narrow(0, 0, rank)
        .copy_((root.unsqueeze(1) * right.narrow(0, 0, rank)).view_as(bases_.narrow(0, 0, rank)));
    coefficients_.zero_();
    coefficients_.narrow(1, 0, rank).copy_(left.narrow(1, 0, rank) * root);
  }

  const Options options_;
  SetLayout layout_;
  uint64_t seed_;
  at::Tensor bases_;         // [K, C, h, w]
  at::Tensor coefficients_;  // [N, K]; row c r + i is row c of addressing matrix i
  Separable upsampling_;     // of a basis to [C, H, W]
};

class Kind : public ParametrisationKind {
 public:
  void declare(OptionSet& set) override { options_.declare(set); }
  std::unique_ptr<Parametrisation> make(const ParametrisationInput& input) const override {
    const SetLayout& budget = input.budget;
    for (const int64_t count : budget.counts)
      if (count != budget.counts[0])
        refuse(
            "classes have different numbers of images, but an addressing matrix makes one image "
            "of every class",
            "the same number of images for every class", "choose another --parametrisation");
    if (budget.height % options_.downsample != 0 || budget.width % options_.downsample != 0)
      refuse(fmt::format("images of {}x{} have no sides a factor {} smaller", budget.height,
                         budget.width, options_.downsample),
             "a --downsample that divides both sides", {});
    const int64_t most = addressers_within(budget, options_.bases, options_.downsample);
    if (most < std::max<int64_t>(options_.addressers, 1)) refuse_size(budget);
    return std::make_unique<Memories>(input, options_,
                                      options_.addressers > 0 ? options_.addressers : most);
  }

 private:
  [[noreturn]] static void refuse(const std::string& found, const std::string& accepted,
                                  const std::string& advice) {
    throw ConfigError(ErrorMessage{"preparing memories", found, accepted, advice});
  }
  [[noreturn]] void refuse_size(const SetLayout& budget) const {
    const int64_t matrices = std::max<int64_t>(options_.addressers, 1);
    // In floating point: options of any size come here.
    const double numbers = static_cast<double>(options_.bases) *
                           (static_cast<double>(basis_numbers(budget, options_.downsample)) +
                            static_cast<double>(matrices) * static_cast<double>(budget.classes()));
    refuse(
        fmt::format("{} bases with {} addressing matri{} take {:.0f} numbers", options_.bases,
                    matrices, matrices == 1 ? "x" : "ces", numbers),
        fmt::format("the {} numbers of the images of --images-per-class", budget_numbers(budget)),
        "lower --bases or --addressers, or raise --downsample or --images-per-class");
  }

  Options options_;
};

}  // namespace

std::unique_ptr<ParametrisationKind> make_memories() {
  return std::make_unique<Kind>();
}

int64_t addressers_within(const SetLayout& budget, int64_t bases, int64_t downsample) {
  const int64_t all = budget_numbers(budget), each = basis_numbers(budget, downsample);
  if (each < 1 || bases > all / each) return 0;  // before a product that may not fit
  return (all - bases * each) / budget.classes() / bases;
}

at::Tensor combine(const at::Tensor& bases, const at::Tensor& coefficients, at::IntArrayRef size) {
  const Separable upsampling = interpolation(bases.sizes().slice(2), size, bases.options());
  return at::matmul(coefficients, upsampling.apply(bases).flatten(1))
      .view({coefficients.size(0), bases.size(1), size[0], size[1]});
}

}  // namespace retort::synthetic
