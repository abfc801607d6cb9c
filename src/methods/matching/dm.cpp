// Distribution matching (Zhao and Bilen, WACV 2023, algorithm 1): a fresh random network every
// iteration, and for every class the squared distance between the mean features of a real batch and
// of the synthetic images, both under one siamese augmentation. First-order only. With experts, the
// network is one in training, of any age, in place of a fresh one.
#include "methods/matching/dm.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "augment/siamese.h"
#include "core/sizes.h"
#include "methods/deviations.h"
#include "methods/matching/network_pool.h"
#include "methods/shards.h"
#include "retort/data/class_sampler.h"

namespace retort::methods {
namespace {

struct Options : PoolOptions {
  int64_t real_batch = 256;
  std::string shard = "0/1";

  void declare(OptionSet& set) {
    PoolOptions::declare(set);
    set.add("real_batch", real_batch, "real images of each class in one iteration", {.min = 1});
    set.add("shard", shard, kShardHelp);
  }
};

ConfigError inseparable(const std::string& network) {
  return ConfigError(
      ErrorMessage{"preparing 'dm'", "network '" + network + "' joins the classes (BatchNorm)",
                   "with --shard a network without, such as convnet", "choose another --network"});
}

constexpr int64_t kRealRows = 640;        // rows of one pass without a graph: memory against speed
constexpr int64_t kSyntheticRows = 1024;  // rows of one pass with a graph

/// The rows of every class where all have equally many, else 0.
int64_t even_rows(const std::vector<int64_t>& offsets) {
  const auto classes = std::ssize(offsets) - 1;
  const int64_t each = offsets.back() / classes;
  for (int64_t c = 0; c <= classes; ++c)
    if (offsets[to_size(c)] != c * each) return 0;
  return each;
}

/// Means over the rows of each class, [K, D].
at::Tensor class_means(const at::Tensor& features, const std::vector<int64_t>& offsets) {
  const int64_t each = even_rows(offsets);
  if (each > 0 && !features.is_cpu())  // a GPU waits for launches, not for sums
    return features.view({-1, each, features.size(1)}).mean(1);
  std::vector<at::Tensor> means;
  for (size_t c = 0; c + 1 < offsets.size(); ++c)
    means.push_back(features.slice(0, offsets[c], offsets[c + 1]).mean(0));
  return at::stack(means);
}

/// d loss / d feature row: 2 gap / (images of the class).
at::Tensor slopes(const at::Tensor& gap, const std::vector<int64_t>& offsets) {
  if (const int64_t each = even_rows(offsets); each > 0)
    return (gap * (2.0 / static_cast<double>(each)))
        .unsqueeze(1)
        .expand({-1, each, -1})
        .reshape({-1, gap.size(1)});
  std::vector<at::Tensor> parts;
  for (size_t c = 0; c + 1 < offsets.size(); ++c) {
    const int64_t count = offsets[c + 1] - offsets[c];
    parts.push_back(
        (gap[static_cast<int64_t>(c)] * (2.0 / static_cast<double>(count))).expand({count, -1}));
  }
  return at::cat(parts);
}

class DistributionMatching : public Objective {
 public:
  DistributionMatching(const Context& context, const Options& options)
      : context_(context),
        options_(options),
        pool_(optional_pool(context, options, "preparing 'dm'")),
        real_(context.data.train, context.data.preprocessing, context.device),
        strategy_(augment::parse_strategy(context.augmentation)) {
    const int64_t classes = context.layout.classes();
    last_ = classes;
    const Share shard = parse_shard(options.shard);
    if (!separable()) {
      if (shard.count > 1) throw inseparable(context.network.name());
      return;
    }
    const Share share = shard.within(*context.group);
    first_ = share.begin(classes);
    last_ = share.end(classes);
  }

  std::optional<std::vector<int64_t>> rows() const override {
    if (!separable()) return {};
    const std::vector<int64_t> offsets = context_.layout.offsets();
    std::vector<int64_t> mine;
    for (int64_t row = offsets[to_size(first_)]; row < offsets[to_size(last_)]; ++row)
      mine.push_back(row);
    return mine;
  }

  std::string identity() const override { return pool_ ? pool_->identity() : std::string(); }

  void begin(int64_t iteration, const SyntheticSet&) override {
    draws_ = next_.iteration == iteration ? std::move(next_) : draw(iteration);
    next_ = {};
    theta_ = draws_.theta.to(context_.device);
    state_ = context_.network.initial_state().to(context_.device);
    real_means_ = real_means();
  }

  Cotangents evaluate(const SyntheticSet& set, int64_t) override {
    Cotangents result{0, at::zeros_like(set.images)};
    std::vector<at::Tensor> losses;
    // Passes of several classes bound the memory.
    const int64_t limit =
        separable() ? context_.network.rows_at_once(kSyntheticRows) : set.images.size(0);
    for (int64_t first = first_; first < last_;) {
      int64_t last = first + 1;
      while (last < last_ && set.offset(last + 1) - set.offset(first) <= limit) ++last;
      losses.push_back(match(set, first, last, result.images));
      first = last;
    }
    result.loss = sum_of(losses);
    return result;
  }

 private:
  /// What an iteration draws, on the CPU, of this process's classes.
  struct Draws {
    int64_t iteration = -1;
    at::Tensor theta;                    ///< [P]
    at::Tensor rows;                     ///< of augmentation, one a class
    std::vector<int64_t> picked;         ///< real images
    std::vector<int64_t> offsets = {0};  ///< of the classes in them
  };

  Draws draw(int64_t iteration) const {
    const uint64_t seed = context_.seed;
    const auto index = static_cast<uint64_t>(iteration);
    Draws drawn;
    drawn.iteration = iteration;
    const RandomStream network(seed, "dm.network", index);
    drawn.theta = pool_ ? pool_->any(network) : context_.network.initial(network);
    std::vector<at::Tensor> rows;
    for (int64_t k = first_; k < last_; ++k) {
      const auto c = static_cast<uint64_t>(k);
      RandomStream augmenting(seed, "dm.augment", index, c);
      rows.push_back(
          augment::draw_shared(strategy_, context_.data.height, context_.data.width, augmenting));
      const RandomStream choosing(seed, "dm.real", index, c);
      const std::vector<int64_t> real = real_.rows(choosing, k, options_.real_batch);
      drawn.picked.insert(drawn.picked.end(), real.begin(), real.end());
      drawn.offsets.push_back(std::ssize(drawn.picked));
    }
    if (!rows.empty()) drawn.rows = at::cat(rows);
    return drawn;
  }

  /// Without BatchNorm no class knows of another.
  bool separable() const { return !context_.network.couples_rows(); }

  /// The sum over all classes, in their order. While a GPU still computes the values, the next
  /// iteration's numbers are drawn.
  double sum_of(const std::vector<at::Tensor>& losses) {
    std::vector<double> values;
    if (!losses.empty()) {
      const at::Tensor mine = at::cat(losses);
      if (!mine.is_cpu() && next_.iteration < 0) next_ = draw(draws_.iteration + 1);
      const at::Tensor host = mine.to(at::kCPU);
      values.assign(host.data_ptr<double>(), host.data_ptr<double>() + host.numel());
    }
    if (separable()) values = context_.group->gather(values);
    return std::accumulate(values.begin(), values.end(), 0.0);
  }

  /// The augmentation row of every image of classes from `first` on, whose rows `offsets` part.
  at::Tensor rows_of(const std::vector<int64_t>& offsets, int64_t first) const {
    std::vector<int64_t> owner;
    for (size_t c = 0; c + 1 < offsets.size(); ++c)
      owner.insert(owner.end(), to_size(offsets[c + 1] - offsets[c]),
                   first - first_ + static_cast<int64_t>(c));
    return draws_.rows.index_select(0, at::tensor(owner, at::kLong));
  }

  /// Mean features of a real batch of each of this process's classes, in large passes over them.
  at::Tensor real_means() const {
    if (first_ == last_) return {};
    const at::NoGradGuard no_graph;
    const at::Tensor rows = rows_of(draws_.offsets, first_);
    const int64_t all = draws_.offsets.back();
    const int64_t step = separable() ? context_.network.rows_at_once(kRealRows) : all;
    std::vector<at::Tensor> features;
    for (int64_t at = 0; at < all; at += step) {
      const int64_t end = std::min(all, at + step);
      const at::Tensor images =
          real_.images(at::ArrayRef<int64_t>(draws_.picked).slice(to_size(at), to_size(end - at)));
      features.push_back(
          features_of(augment::apply(images, rows.slice(0, at, end)), {}).taps.at("features"));
    }
    return class_means(at::cat(features), draws_.offsets);
  }

  nets::Observation features_of(const at::Tensor& images, nets::WithRespectTo back) const {
    const at::ScalarType type = images.scalar_type();
    return context_.network.observe({theta_.to(type), state_.to(type), images}, {"features"}, back);
  }

  /// The losses of classes first..last-1; writes their cotangents.
  at::Tensor match(const SyntheticSet& set, int64_t first, int64_t last,
                   const at::Tensor& cotangents) const {
    const int64_t begin = set.offset(first), end = set.offset(last);
    std::vector<int64_t> offsets;
    for (int64_t c = first; c <= last; ++c) offsets.push_back(set.offset(c) - begin);
    const at::Tensor rows = rows_of(offsets, first);
    const nets::Observation observed =
        features_of(augment::apply(set.images.slice(0, begin, end), rows), {.images = true});
    const at::Tensor gap = class_means(observed.taps.at("features"), offsets) -
                           real_means_.slice(0, first - first_, last - first_);
    const at::Tensor vjp = observed.pullback({{"features", slopes(gap, offsets)}}).images;
    cotangents.slice(0, begin, end).copy_(augment::pullback(rows, vjp));
    return gap.square().sum(1).to(at::kDouble);
  }

  const Context context_;
  const Options options_;
  const std::unique_ptr<const NetworkPool> pool_;
  const data::ClassSampler real_;
  const augment::Strategy strategy_;
  Draws draws_, next_;
  at::Tensor theta_, state_, real_means_;
  int64_t first_ = 0, last_ = 0;  // the classes of this process are first_..last_ - 1
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
          "With --experts, networks are snapshots of experts of any age up to --max-age; the paper "
          "has random networks, which are the default.",
          kAllOfAnAugmentation});
}

}  // namespace retort::methods
