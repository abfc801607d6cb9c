// CIM ("Condensing large-scale datasets directly with minimal information loss", ECCV 2026): every
// decoded image is paired with a real one that the teacher knows well, its anchor, and drawn to the
// anchor's features at one layer. It starts from the anchor as it is stored, shrunk in a mosaic.
#include <algorithm>
#include <numeric>

#include "augment/siamese.h"
#include "core/sizes.h"
#include "methods/class_share.h"
#include "methods/decoupled/decoupled.h"
#include "retort/core/error.h"
#include "retort/data/class_sampler.h"
#include "retort/losses/losses.h"
#include "teachers/loaded_teacher.h"

namespace retort::methods {
namespace {

constexpr const char* kDoing = "preparing 'cim'";
constexpr int64_t kRows = 256;  // of one pass

struct Options {
  std::string teacher;
  int64_t anchor_candidates = 300;
  std::string feature_layer = "features";

  void declare(OptionSet& set) {
    set.add("teacher", teacher, "file of the teacher; `retort squeeze` makes one", {},
            Role::kExecution);
    set.add("anchor_candidates", anchor_candidates,
            "real images of each class of which those of least loss become anchors", {.min = 1});
    set.add(
        "feature_layer", feature_layer,
        "where the teacher's features are compared: features (of the last layer), or LAYER.input");
  }
};

/// The `count` of `rows` with the least losses, in the order of these.
std::vector<int64_t> least(const std::vector<int64_t>& rows, const at::Tensor& losses,
                           int64_t count) {
  const at::Tensor values = losses.to(at::kCPU, at::kFloat).contiguous();
  const float* loss = values.data_ptr<float>();
  std::vector<size_t> order(rows.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [loss](size_t a, size_t b) { return loss[a] < loss[b]; });
  std::vector<int64_t> chosen;
  for (int64_t i = 0; i < count; ++i)  // a class with too few gives them again
    chosen.push_back(rows[order[to_size(i) % order.size()]]);
  return chosen;
}

class AnchoredRestoration : public Objective {
 public:
  AnchoredRestoration(const Context& context, const Options& options)
      : context_(context),
        options_(options),
        teacher_(teachers::open_teacher(options.teacher, kDoing, context.data, context.device)),
        real_(context.data.train, context.data.preprocessing, context.device),
        strategy_(augment::parse_strategy(context.augmentation)),
        classes_(Share().within(*context.group).items(context.layout.classes())) {
    const std::vector<std::string>& taps = teacher_.network->taps();
    if (std::find(taps.begin(), taps.end(), options.feature_layer) == taps.end())
      throw ConfigError::unknown(kDoing, "layer", options.feature_layer, taps);
  }

  std::string identity() const override { return "teacher " + teacher_.hash; }

  std::optional<std::vector<int64_t>> rows() const override {
    return rows_of(classes_, context_.layout.offsets());
  }

  at::Tensor starting_images(const at::Tensor& images, bool given) override {
    if (given) return images;
    std::vector<int64_t> all;
    for (const std::vector<int64_t>& rows : anchors())
      all.insert(all.end(), rows.begin(), rows.end());
    return real_.images(all).to(at::kCPU);
  }

  void begin(int64_t iteration, const SyntheticSet&) override {
    iteration_ = static_cast<uint64_t>(iteration);
  }

  Cotangents evaluate(const SyntheticSet& set, int64_t) override {
    const at::NoGradGuard no_graph;
    Cotangents result{0, at::zeros_like(set.images)};
    const std::vector<std::vector<int64_t>>& anchors = this->anchors();
    std::vector<at::Tensor> losses;
    const int64_t most = teacher_.network->rows_at_once(kRows);
    for (const int64_t c : classes_) {
      RandomStream draw(context_.seed, "cim.augment", iteration_, static_cast<uint64_t>(c));
      const at::Tensor rows =
          augment::draw_shared(strategy_, set.images.size(2), set.images.size(3), draw);
      for (int64_t at = set.offset(c); at < set.offset(c + 1); at += most) {
        const int64_t end = std::min(at + most, set.offset(c + 1));
        const at::ArrayRef<int64_t> mine(anchors[to_size(c)].data() + (at - set.offset(c)),
                                         to_size(end - at));
        losses.push_back(
            pull(set.images.slice(0, at, end), mine, rows, result.images.slice(0, at, end)));
      }
    }
    const std::vector<double> all = context_.group->gather(numbers_of(losses));
    result.loss = std::accumulate(all.begin(), all.end(), 0.0);
    return result;
  }

 private:
  /// Sum over pairs of the mean absolute difference of features; writes the cotangents.
  at::Tensor pull(const at::Tensor& images, at::ArrayRef<int64_t> mine, const at::Tensor& rows,
                  const at::Tensor& cotangents) const {
    const at::Tensor anchors = real_.images(mine).to(images.scalar_type());
    const std::string& layer = options_.feature_layer;
    const at::Tensor wanted = observe(augment::apply(anchors, rows), {}).taps.at(layer);
    const nets::Observation seen = observe(augment::apply(images, rows), {.images = true});
    const at::Tensor gap = seen.taps.at(layer) - wanted;
    const double share = 1.0 / static_cast<double>(gap[0].numel());
    const at::Tensor vjp = seen.pullback({{layer, gap.sign() * share}}).images;
    cotangents.copy_(augment::pullback(rows, vjp));
    return gap.abs().sum().to(at::kDouble) * share;
  }

  nets::Observation observe(const at::Tensor& images, nets::WithRespectTo back) const {
    const at::ScalarType type = images.scalar_type();
    const at::Tensor state = teacher_.state.defined() ? teacher_.state.to(type) : teacher_.state;
    return teacher_.network->observe(
        {teacher_.theta.to(type), state, images, {}, nets::NormMode::kFrozen},
        {options_.feature_layer}, back);
  }

  /// Training rows, one for each image, class by class: a function of seed and teacher alone. The
  /// first call is one of all processes.
  const std::vector<std::vector<int64_t>>& anchors() {
    if (!anchors_.empty()) return anchors_;
    std::vector<double> found;
    for (const int64_t c : classes_) {
      const RandomStream draw(context_.seed, "cim.anchors", static_cast<uint64_t>(c));
      const int64_t count = context_.layout.counts[to_size(c)];
      const std::vector<int64_t> rows =
          real_.rows(draw, c, std::max(options_.anchor_candidates, count));
      const at::Tensor images = real_.images(rows);
      const at::Tensor labels = at::full({images.size(0)}, c, images.options().dtype(at::kLong));
      const auto best = least(rows, losses::row_losses(teacher_.logits(images), {labels}), count);
      found.insert(found.end(), best.begin(), best.end());
    }
    auto next = context_.group->gather(found);
    auto row = next.begin();
    for (const int64_t count : context_.layout.counts) {
      anchors_.emplace_back(row, row + count);
      row += count;
    }
    return anchors_;
  }

  const Context context_;
  const Options options_;
  const teachers::LoadedTeacher teacher_;
  const data::ClassSampler real_;
  const augment::Strategy strategy_;
  const std::vector<int64_t> classes_;  // of this process
  std::vector<std::vector<int64_t>> anchors_;
  uint64_t iteration_ = 0;
};

}  // namespace

std::unique_ptr<Method> make_cim() {
  return std::make_unique<MethodOf<Options, AnchoredRestoration>>(
      LoopDefaults{.iterations = 200,
                   .image_learning_rate = 0.04,
                   .image_momentum = 0.9,
                   .initialisation = "real",
                   .network = "resnet18-bn",
                   .protocol = "rded",
                   .augmentation = "all:crop_cutout_flip",
                   .image_optimiser = "adam",
                   .clamp_pixels = true},
      std::vector<std::string>{
          "Made after a description of the published code, whose entry script leaves the "
          "distillation out and only evaluates; the paper itself was not at hand.",
          "Candidates for anchors are drawn at random from a class; the published code takes its "
          "first 300 images.",
          "What is learned is the mosaic; the published code learns what is added to it, so that "
          "its AdamW's decay pulls to the start. Here nothing decays.",
          "With --parametrisation pixels the images are their anchors, and nothing moves: "
          "multiformation is what it is for.",
          "Labels and post-training are those of the protocol; the published one is 1,000 epochs "
          "(300 on "
          "ImageNet-1K) of AdamW 1e-3, x0.2 after two thirds and five sixths, with a squared error "
          "on soft labels."});
}

}  // namespace retort::methods
