// KIP (Nguyen, Chen and Lee, ICLR 2021): images such that regression on them with the tangent
// kernel of an infinitely wide network predicts real images well. No network is trained or drawn.
// The convolutional kernels of the second paper are left out.
#include <torch/csrc/autograd/autograd.h>

#include "methods/kernel/kernel.h"
#include "methods/kernel/ridge.h"
#include "methods/kernel/tangent_kernel.h"
#include "methods/rate_options.h"
#include "retort/losses/losses.h"

namespace retort::methods {
namespace {

struct Options {
  int64_t real_batch = 5000;
  int64_t hidden_layers = 1;
  double regularisation = 1e-6;
  std::string kernel_labels = "fixed";
  double label_learning_rate = 4e-2;

  void declare(OptionSet& set) {
    set.add("real_batch", real_batch,
            "real images in one iteration, balanced over the classes as far as there are enough",
            {.min = 1});
    set.add("hidden_layers", hidden_layers,
            "hidden layers of the fully connected network behind the kernel",
            {.min = 1, .max = 20});
    set.add("regularisation", regularisation,
            "added to the kernel's diagonal, as a share of the diagonal's mean", {.min = 0});
    set.add(
        "kernel_labels", kernel_labels,
        "fixed (one-hot), learned, or solved (label solve: the best ones for the images as they "
        "are, by least squares)",
        {.choices = {"fixed", "learned", "solved"}});
    set.add("label_learning_rate", label_learning_rate, "learning rate of learned labels",
            {.min = 0});
  }
};

class KernelInducingPoints : public Objective {
 public:
  KernelInducingPoints(const Context& context, const Options& options)
      : context_(context),
        options_(options),
        real_images_(context.data.train, context.data.preprocessing, context.device),
        labels_(losses::centred_one_hot(context.layout.labels(), context.data.classes())
                    .to(context.device)) {}

  void begin(int64_t iteration, const SyntheticSet&) override {
    real_ = balanced("kip.real", static_cast<uint64_t>(iteration));
  }

  Cotangents evaluate(const SyntheticSet& set, int64_t) override {
    const at::AutoGradMode graph(true);
    const at::Tensor points = set.images.to(at::kDouble).flatten(1).detach().requires_grad_(true);
    const at::Tensor k_ss = tangent_kernel(points, points, options_.hidden_layers);
    const at::Tensor k_ts = tangent_kernel(flat(real_), points, options_.hidden_layers);
    const KernelRidge ridge(k_ss.detach(), k_ts.detach(), options_.regularisation);
    // Solved labels are where the loss is least: its derivative by them is 0, and its derivative by
    // the images is the one at these labels.
    const at::Tensor labels =
        solved() ? ridge.solve_labels(real_.targets) : labels_.to(at::kDouble);
    const at::Tensor residual = ridge.predict(labels) - real_.targets;
    const RidgeCotangents vjp = ridge.vjp(labels, residual / static_cast<double>(residual.numel()));
    const at::Tensor found =
        torch::autograd::grad({k_ss, k_ts}, {points}, {vjp.support, vjp.target})[0];
    Cotangents result{0.5 * residual.square().mean().item<double>(),
                      found.view(set.images.sizes()).to(set.images.scalar_type())};
    if (learned_labels()) result.learned = {vjp.labels.to(labels_.scalar_type())};
    return result;
  }

  std::vector<synthetic::ParameterGroup> learned() override {
    if (!learned_labels()) return {};
    return {{.name = "labels",
             .value = labels_,
             .learning_rate = options_.label_learning_rate,
             .momentum = 0.9,
             .rate_option = kLabelRateOption}};
  }

  void complete(synthetic::Bundle& bundle) const override {
    const at::NoGradGuard no_graph;
    at::Tensor labels = labels_;
    if (solved()) {
      // A batch of its own, the same for every look at the set.
      const RealBatch real = balanced("kip.solve", 0);
      const at::Tensor points = bundle.images.to(context_.device, at::kDouble).flatten(1);
      labels = KernelRidge(tangent_kernel(points, points, options_.hidden_layers),
                           tangent_kernel(flat(real), points, options_.hidden_layers),
                           options_.regularisation)
                   .solve_labels(real.targets);
    }
    if (!solved() && !learned_labels()) return;
    bundle.soft_labels = labels.to(at::kCPU, at::kFloat).contiguous();
    bundle.soft_label_kind = "targets";
  }

 private:
  bool solved() const { return options_.kernel_labels == "solved"; }
  bool learned_labels() const { return options_.kernel_labels == "learned"; }

  static at::Tensor flat(const RealBatch& real) { return real.images.flatten(1).to(at::kDouble); }

  /// As many real images of every class as fit, at least one.
  RealBatch balanced(const char* purpose, uint64_t index) const {
    const int64_t each = std::max<int64_t>(1, options_.real_batch / real_images_.classes());
    std::vector<int64_t> rows;
    for (int64_t c = 0; c < real_images_.classes(); ++c) {
      const RandomStream draw(context_.seed, purpose, index, static_cast<uint64_t>(c));
      const std::vector<int64_t> drawn = real_images_.rows(draw, c, each);
      rows.insert(rows.end(), drawn.begin(), drawn.end());
    }
    return real_rows(real_images_, rows);
  }

  const Context context_;
  const Options options_;
  const data::ClassSampler real_images_;
  at::Tensor labels_;  // [M, K], centred
  RealBatch real_;
};

}  // namespace

std::unique_ptr<Method> make_kip() {
  return std::make_unique<MethodOf<Options, KernelInducingPoints>>(
      LoopDefaults{.iterations = 300,
                   .image_learning_rate = 4e-2,
                   .image_momentum = 0.9,
                   .initialisation = "real",
                   .protocol = "frepo",
                   .image_optimiser = "adam"},
      std::vector<std::string>{
          "The kernel is the fully connected one; the convolutional kernels behind the published "
          "64.7 % on CIFAR-10 are not computed.",
          "Accuracies are those of networks of finite width trained on the set; the paper's are "
          "those of the regression itself.",
          "Images with the same direction have a kernel with a kink; the derivative by their angle "
          "is taken as 0 there."});
}

}  // namespace retort::methods
