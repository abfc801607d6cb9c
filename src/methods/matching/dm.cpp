// Distribution matching (Zhao and Bilen, WACV 2023, algorithm 1): a fresh random network every
// iteration, and for every class the squared distance between the mean features of a real batch and
// of the synthetic images, both under one siamese augmentation. First-order only.
#include "methods/matching/dm.h"

#include <algorithm>

#include "augment/siamese.h"
#include "core/sizes.h"
#include "methods/deviations.h"
#include "retort/data/class_sampler.h"

namespace retort::methods {
namespace {

struct Options {
  int64_t real_batch = 256;

  void declare(OptionSet& set) {
    set.add("real_batch", real_batch, "real images of each class in one iteration", {.min = 1});
  }
};

constexpr int64_t kRealRows = 640;        // rows of one pass without a graph: memory against speed
constexpr int64_t kSyntheticRows = 1024;  // rows of one pass with a graph

/// Means over the rows of each class, [K, D].
at::Tensor class_means(const at::Tensor& features, const std::vector<int64_t>& offsets) {
  std::vector<at::Tensor> means;
  for (size_t c = 0; c + 1 < offsets.size(); ++c)
    means.push_back(features.slice(0, offsets[c], offsets[c + 1]).mean(0));
  return at::stack(means);
}

class DistributionMatching : public Objective {
 public:
  DistributionMatching(const Context& context, const Options& options)
      : context_(context),
        options_(options),
        real_(context.data.train, context.data.preprocessing, context.device),
        strategy_(augment::parse_strategy(context.augmentation)) {}

  void begin(int64_t iteration, const SyntheticSet&) override {
    const uint64_t seed = context_.seed;
    const auto index = static_cast<uint64_t>(iteration);
    theta_ = context_.network.initial(RandomStream(seed, "dm.network", index)).to(context_.device);
    state_ = context_.network.initial_state().to(context_.device);
    std::vector<at::Tensor> rows;
    for (int64_t c = 0; c < context_.data.classes(); ++c) {
      RandomStream draw(seed, "dm.augment", index, static_cast<uint64_t>(c));
      rows.push_back(
          augment::draw_shared(strategy_, context_.data.height, context_.data.width, draw));
    }
    rows_ = at::cat(rows);
    real_means_ = real_means(index);
  }

  Cotangents evaluate(const SyntheticSet& set, int64_t) override {
    const auto classes = std::ssize(set.offsets) - 1;
    Cotangents result{0, at::zeros_like(set.images)};
    // Without BatchNorm the classes are separable: passes of several classes bound the memory.
    const int64_t limit = context_.network.couples_rows()
                              ? set.images.size(0)
                              : context_.network.rows_at_once(kSyntheticRows);
    for (int64_t first = 0; first < classes;) {
      int64_t last = first + 1;
      while (last < classes && set.offset(last + 1) - set.offset(first) <= limit) ++last;
      match(set, first, last, result);
      first = last;
    }
    return result;
  }

 private:
  /// The augmentation row of every image: class c's for rows offsets[c]..offsets[c + 1] - 1.
  at::Tensor rows_of(const std::vector<int64_t>& offsets, int64_t first) const {
    std::vector<int64_t> owner;
    for (size_t c = 0; c + 1 < offsets.size(); ++c)
      owner.insert(owner.end(), to_size(offsets[c + 1] - offsets[c]),
                   first + static_cast<int64_t>(c));
    return rows_.index_select(0, at::tensor(owner, at::kLong)).to(context_.device);
  }

  /// Mean features of a real batch of every class, [K, D], in large passes over all classes.
  at::Tensor real_means(uint64_t iteration) const {
    const at::NoGradGuard no_graph;
    std::vector<int64_t> picked, offsets{0};
    for (int64_t c = 0; c < context_.data.classes(); ++c) {
      const RandomStream draw(context_.seed, "dm.real", iteration, static_cast<uint64_t>(c));
      const std::vector<int64_t> drawn = real_.rows(draw, c, options_.real_batch);
      picked.insert(picked.end(), drawn.begin(), drawn.end());
      offsets.push_back(std::ssize(picked));
    }
    const at::Tensor rows = rows_of(offsets, 0);
    const int64_t total = offsets.back();
    const int64_t step =
        context_.network.couples_rows() ? total : context_.network.rows_at_once(kRealRows);
    std::vector<at::Tensor> features;
    for (int64_t at = 0; at < total; at += step) {
      const int64_t end = std::min(total, at + step);
      const at::Tensor images =
          real_.images(at::ArrayRef<int64_t>(picked).slice(to_size(at), to_size(end - at)));
      features.push_back(
          features_of(augment::apply(images, rows.slice(0, at, end)), {}).taps.at("features"));
    }
    return class_means(at::cat(features), offsets);
  }

  nets::Observation features_of(const at::Tensor& images, nets::WithRespectTo back) const {
    const at::ScalarType type = images.scalar_type();
    return context_.network.observe({theta_.to(type), state_.to(type), images}, {"features"}, back);
  }

  /// Adds the loss and the cotangents of classes first..last-1.
  void match(const SyntheticSet& set, int64_t first, int64_t last, Cotangents& result) const {
    const int64_t begin = set.offset(first), end = set.offset(last);
    std::vector<int64_t> offsets;
    for (int64_t c = first; c <= last; ++c) offsets.push_back(set.offset(c) - begin);
    const at::Tensor rows = rows_of(offsets, first);
    const nets::Observation observed =
        features_of(augment::apply(set.images.slice(0, begin, end), rows), {.images = true});
    const at::Tensor gap =
        class_means(observed.taps.at("features"), offsets) - real_means_.slice(0, first, last);
    result.loss += gap.square().sum().item<double>();
    std::vector<at::Tensor> parts;  // d loss / d feature row: 2 gap / (images of the class)
    for (int64_t c = first; c < last; ++c) {
      const int64_t count = set.offset(c + 1) - set.offset(c);
      parts.push_back((gap[c - first] * (2.0 / static_cast<double>(count))).expand({count, -1}));
    }
    const at::Tensor vjp = observed.pullback({{"features", at::cat(parts)}}).images;
    result.images.slice(0, begin, end).copy_(augment::pullback(rows, vjp));
  }

  const Context context_;
  const Options options_;
  const data::ClassSampler real_;
  const augment::Strategy strategy_;
  at::Tensor theta_, state_, rows_, real_means_;
};

}  // namespace

std::unique_ptr<Method> make_dm() {
  return std::make_unique<MethodOf<Options, DistributionMatching>>(
      LoopDefaults{.iterations = 20000,
                   .image_learning_rate = 1.0,
                   .image_momentum = 0.5,
                   .initialisation = "real"},
      std::vector<std::string>{
          "Networks with BatchNorm take any number of real images per class; the reference needs "
          "256 in each.",
          "Augmentations are drawn from named streams, one per class and iteration; the reference "
          "seeds them from the clock, and classes that come within one millisecond share a draw.",
          "The saved set is the one that is evaluated; the reference saves it one update later.",
          kAllOfAnAugmentation});
}

}  // namespace retort::methods
