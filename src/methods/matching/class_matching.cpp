#include "methods/matching/class_matching.h"

#include <algorithm>
#include <numeric>

#include "core/sizes.h"
#include "methods/class_share.h"

namespace retort::methods {
namespace {

constexpr int64_t kRealRows = 640;  // rows of one pass without a graph

}  // namespace

void ClassMatchingOptions::declare(OptionSet& set) {
  PoolOptions::declare(set);
  set.add("real_batch", real_batch, "real images of each class in one iteration", {.min = 1});
  set.add("synthetic_batch", synthetic_batch,
          "synthetic images of each class in one iteration, chosen anew; 0: all", {.min = 0});
  set.add("cross_entropy_weight", cross_entropy_weight,
          "weight of a trained network's cross-entropy of the synthetic images; 0: none",
          {.min = 0});
}

ClassMatching::ClassMatching(const Context& context, const ClassMatchingOptions& options,
                             const std::string& method)
    : context_(context),
      options_(options),
      pool_(context, options, "preparing '" + method + "'"),
      real_(context.data.train, context.data.preprocessing, context.device),
      strategy_(augment::parse_strategy(context.augmentation)),
      classes_(Share().within(*context.group).items(context.layout.classes())) {}

std::optional<std::vector<int64_t>> ClassMatching::rows() const {
  return rows_of(classes_, context_.layout.offsets());
}

void ClassMatching::begin(int64_t iteration, const SyntheticSet&) {
  iteration_ = static_cast<uint64_t>(iteration);
  networks_ = draw_networks(iteration_);
}

RandomStream ClassMatching::stream(const char* purpose, int64_t c) const {
  return RandomStream(context_.seed, purpose, iteration_, static_cast<uint64_t>(c));
}

at::Tensor ClassMatching::augmentation(const char* purpose, int64_t c) const {
  RandomStream draw = stream(purpose, c);
  return augment::draw_shared(strategy_, context_.data.height, context_.data.width, draw);
}

Cotangents ClassMatching::evaluate(const SyntheticSet& set, int64_t) {
  const at::NoGradGuard no_graph;
  Cotangents result{0, at::zeros_like(set.images)};
  std::vector<at::Tensor> losses;
  for (const int64_t c : classes_)
    if (set.offset(c) < set.offset(c + 1)) losses.push_back(match_chosen(set, c, result.images));
  const std::vector<double> all = context_.group->gather(numbers_of(losses));
  result.loss = std::accumulate(all.begin(), all.end(), 0.0);
  return result;
}

at::Tensor ClassMatching::match_chosen(const SyntheticSet& set, int64_t c,
                                       const at::Tensor& cotangents) {
  const int64_t begin = set.offset(c), end = set.offset(c + 1);
  const std::vector<int64_t> rows = chosen(c, end - begin);
  if (rows.empty())
    return match(set.images.slice(0, begin, end), c, cotangents.slice(0, begin, end));
  const at::Tensor index = at::tensor(rows, at::kLong).to(set.images.device()) + begin;
  const at::Tensor images = set.images.index_select(0, index);
  const at::Tensor found = at::zeros_like(images);
  const at::Tensor loss = match(images, c, found);
  at::Tensor(cotangents).index_copy_(0, index, found);
  return loss;
}

/// Which images of a class an iteration looks at; empty: all.
std::vector<int64_t> ClassMatching::chosen(int64_t c, int64_t count) const {
  if (options_.synthetic_batch == 0 || count <= options_.synthetic_batch) return {};
  return stream("matching.synthetic", c).sample(count, options_.synthetic_batch);
}

at::Tensor ClassMatching::match(const at::Tensor& images, int64_t c, const at::Tensor& cotangents) {
  const at::Tensor rows = augmentation("matching.augment", c);
  at::Tensor loss = add_comparison(images, c, rows, cotangents);
  if (options_.cross_entropy_weight == 0) return loss;
  const at::Tensor again = one_augmentation() ? rows : augmentation("matching.augment_again", c);
  return loss + add_cross_entropy(images, c, again, cotangents);
}

at::Tensor ClassMatching::add_comparison(const at::Tensor& images, int64_t c,
                                         const at::Tensor& rows, const at::Tensor& cotangents) {
  ClassView view{c, seen_in_real(c, rows, images.scalar_type()), {}};
  const at::Tensor augmented = augment::apply(images, rows);
  std::vector<nets::Observation> seen;
  for (const at::Tensor& network : networks_.compared) {
    const at::Tensor theta = network.to(images.scalar_type());
    seen.push_back(context_.network.observe({theta, {}, augmented}, taps(), {.images = true}));
    view.synthetic.push_back(seen.back().taps);
  }
  const FeatureGap gap = compare(view);
  for (size_t k = 0; k < seen.size(); ++k)
    cotangents.add_(augment::pullback(rows, seen[k].pullback(gap.slopes[k]).images));
  return gap.value.to(at::kDouble);
}

at::Tensor ClassMatching::add_cross_entropy(const at::Tensor& images, int64_t c,
                                            const at::Tensor& rows,
                                            const at::Tensor& cotangents) const {
  const at::Tensor theta = networks_.trained.to(images.scalar_type());
  const at::Tensor labels = at::full({images.size(0)}, c, images.options().dtype(at::kLong));
  const nets::Gradient found = context_.network.gradient({theta, {}, augment::apply(images, rows)},
                                                         {labels}, {.images = true});
  cotangents.add_(augment::pullback(rows, found.images), options_.cross_entropy_weight);
  return found.loss.to(at::kDouble) * options_.cross_entropy_weight;
}

std::vector<Taps> ClassMatching::seen_in_real(int64_t c, const at::Tensor& rows,
                                              at::ScalarType type) const {
  const std::vector<int64_t> picked =
      real_.rows(stream("matching.real", c), c, options_.real_batch);
  const auto total = std::ssize(picked);
  const int64_t step = context_.network.rows_at_once(kRealRows);
  std::vector<std::map<std::string, std::vector<at::Tensor>>> parts(networks_.compared.size());
  for (int64_t at = 0; at < total; at += step) {
    const at::ArrayRef<int64_t> some(picked.data() + at, to_size(std::min(step, total - at)));
    const at::Tensor images = augment::apply(real_.images(some).to(type), rows);
    for (size_t k = 0; k < parts.size(); ++k) {
      const at::Tensor theta = networks_.compared[k].to(type);
      for (const auto& [name, tap] : context_.network.observe({theta, {}, images}, taps()).taps)
        parts[k][name].push_back(tap);
    }
  }
  std::vector<Taps> whole(parts.size());
  for (size_t k = 0; k < parts.size(); ++k)
    for (const auto& [name, tensors] : parts[k]) whole[k][name] = at::cat(tensors);
  return whole;
}

}  // namespace retort::methods
