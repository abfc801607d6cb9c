// Cross-entropy, MoCo v2 and SimSiam. The head is a network of its own on features.
#include "teachers/squeeze_objective.h"

#include "losses/contrast.h"
#include "nets/layer_builder.h"
#include "retort/core/error.h"
#include "retort/losses/losses.h"

namespace retort::teachers {
namespace {

using nets::NormKind;
using nets::NormMode;

/// Features [N, F] as the images of a head.
at::Tensor as_images(const at::Tensor& features) {
  return features.view({features.size(0), features.size(1), 1, 1});
}

/// Linear, norm where there is one, ReLU, linear, `last`.
nets::Network make_head(const std::string& name, int64_t in, int64_t hidden, int64_t out,
                        NormKind norm, NormKind last) {
  return nets::Network(
      name,
      [=](nets::LayerBuilder& f, at::Tensor x) {
        x = f.linear("hidden", f.features(x), hidden);
        x = f.norm_act_pool("norm", x, {norm, nets::Activation::kRelu, nets::Pool::kNone});
        return f.norm("last", f.linear("out", x, out), last);
      },
      {in, 1, 1, out});
}

class Supervised : public SqueezeObjective {
 public:
  explicit Supervised(const nets::Network& network) : network_(network) {}
  int64_t views() const override { return 1; }
  at::Tensor initial_head(RandomStream) const override { return at::empty({0}); }

  LearnerStep step(const Learner& now, const std::vector<at::Tensor>& views,
                   const at::Tensor& labels, RandomStream) override {
    const nets::Gradient gradient =
        network_.gradient({now.theta, now.state, views[0], {}, NormMode::kUpdating}, {labels});
    return {gradient.loss, gradient.theta, at::zeros_like(now.head), gradient.state};
  }

 private:
  const nets::Network& network_;
};

/// Momentum contrast: keys come from a slowly following copy of network and head, over parts of a
/// shuffled batch so that BatchNorm tells no view from the other.
class Moco : public SqueezeObjective {
 public:
  Moco(const SqueezeOptions& options, const nets::Network& network, at::Device device)
      : options_(options),
        network_(network),
        head_(make_head("projector", network.feature_size(), network.feature_size(),
                        options.projection, NormKind::kNone, NormKind::kNone)) {
    at::Tensor queue = at::empty({options.queue, options.projection});
    RandomStream(static_cast<uint64_t>(options.seed), "squeeze.queue")
        .fill_normal(queue.data_ptr<float>(), queue.numel());
    queue_ = losses::unit_rows(queue).to(device);
  }

  int64_t views() const override { return 2; }
  at::Tensor initial_head(RandomStream stream) const override { return head_.initial(stream); }

  LearnerStep step(const Learner& now, const std::vector<at::Tensor>& views, const at::Tensor&,
                   RandomStream stream) override {
    follow(key_theta_, now.theta);
    follow(key_head_, now.head);
    const at::Tensor keys = make_keys(now, views[1], stream);
    const nets::Observation seen = network_.observe(
        {now.theta, now.state, views[0], {}, NormMode::kUpdating}, {"features"}, {.theta = true});
    const nets::Observation projected =
        head_.observe({now.head, {}, as_images(seen.taps.at("features"))}, {"logits"},
                      {.theta = true, .images = true});
    const losses::Contrast contrast =
        losses::info_nce(projected.taps.at("logits"), keys, queue_, options_.temperature);
    const nets::Vjp vjp = projected.pullback({{"logits", contrast.derivative}});
    enqueue(keys);
    return {contrast.loss, seen.pullback({{"features", vjp.images.flatten(1)}}).theta, vjp.theta,
            seen.state};
  }

  TensorMap memory() const override {
    return {{"key_theta", key_theta_},
            {"key_head", key_head_},
            {"queue", queue_},
            {"queue_place", at::scalar_tensor(place_, at::kLong)}};
  }
  void restore(const TensorMap& memory) override {
    const at::Device device = queue_.device();
    key_theta_ = memory.at("key_theta").to(device);
    key_head_ = memory.at("key_head").to(device);
    queue_ = memory.at("queue").to(device);
    place_ = memory.at("queue_place").item<int64_t>();
  }
  void begin(const Learner& start) override {
    key_theta_ = start.theta.clone();
    key_head_ = start.head.clone();
  }

 private:
  void follow(at::Tensor& slow, const at::Tensor& fast) const {
    slow.lerp_(fast, 1 - options_.key_momentum);
  }

  at::Tensor make_keys(const Learner& now, const at::Tensor& view, RandomStream& stream) const {
    const at::Tensor order =
        at::tensor(stream.permutation(view.size(0)), at::kLong).to(view.device());
    const at::Tensor shuffled = view.index_select(0, order);
    std::vector<at::Tensor> keys;
    for (const at::Tensor& part : shuffled.chunk(std::min(options_.splits, view.size(0)))) {
      const nets::Observation seen =
          network_.observe({key_theta_, now.state, part, {}, NormMode::kBatch}, {"features"});
      keys.push_back(head_.observe({key_head_, {}, as_images(seen.taps.at("features"))}, {"logits"})
                         .taps.at("logits"));
    }
    const at::Tensor back = order.argsort();
    return losses::unit_rows(at::cat(keys)).index_select(0, back);
  }

  void enqueue(const at::Tensor& keys) {
    const at::Tensor places = (at::arange(keys.size(0)) + place_).remainder(queue_.size(0));
    queue_.index_copy_(0, places.to(at::kLong).to(queue_.device()), keys);
    place_ = (place_ + keys.size(0)) % queue_.size(0);
  }

  const SqueezeOptions options_;
  const nets::Network& network_;
  const nets::Network head_;
  at::Tensor key_theta_, key_head_, queue_;
  int64_t place_ = 0;
};

/// Each view predicts the other's projection, which is taken as given.
class SimSiam : public SqueezeObjective {
 public:
  SimSiam(const SqueezeOptions& options, const nets::Network& network)
      : network_(network),
        projector_(make_head("projector", network.feature_size(), options.projection,
                             options.projection, NormKind::kBatch, NormKind::kBatch)),
        predictor_(make_head("predictor", options.projection,
                             std::max<int64_t>(options.projection / 4, 1), options.projection,
                             NormKind::kBatch, NormKind::kNone)) {}

  int64_t views() const override { return 2; }
  at::Tensor initial_head(RandomStream stream) const override {
    const at::Tensor projector = projector_.initial(stream);
    RandomStream next(stream.next_u64(), "squeeze.predictor");
    return at::cat({projector, predictor_.initial(next)});
  }

  LearnerStep step(const Learner& now, const std::vector<at::Tensor>& views, const at::Tensor&,
                   RandomStream) override {
    const int64_t first = projector_.parameters().size;
    const at::Tensor projector = now.head.narrow(0, 0, first);
    const at::Tensor predictor = now.head.narrow(0, first, now.head.size(0) - first);
    at::Tensor state = now.state;
    std::vector<Way> ways;
    for (const at::Tensor& view : views) {
      ways.push_back(forward(now.theta, state, projector, predictor, view));
      state = ways.back().seen.state;
    }
    LearnerStep step{at::zeros({}, now.theta.options()), at::zeros_like(now.theta),
                     at::zeros_like(now.head), state};
    for (size_t i = 0; i < 2; ++i) {
      const losses::Contrast contrast = losses::negative_cosine(
          ways[i].predicted.taps.at("logits"), ways[1 - i].projected.taps.at("logits"));
      step.loss.add_(contrast.loss, 0.5);
      const nets::Vjp above = ways[i].predicted.pullback({{"logits", 0.5 * contrast.derivative}});
      const nets::Vjp below = ways[i].projected.pullback({{"logits", above.images.flatten(1)}});
      step.head.add_(at::cat({below.theta, above.theta}));
      step.theta.add_(ways[i].seen.pullback({{"features", below.images.flatten(1)}}).theta);
    }
    return step;
  }

 private:
  struct Way {
    nets::Observation seen, projected, predicted;
  };

  Way forward(const at::Tensor& theta, const at::Tensor& state, const at::Tensor& projector,
              const at::Tensor& predictor, const at::Tensor& view) const {
    const nets::WithRespectTo both{.theta = true, .images = true};
    Way way;
    way.seen = network_.observe({theta, state, view, {}, NormMode::kUpdating}, {"features"},
                                {.theta = true});
    way.projected = projector_.observe({projector, {}, as_images(way.seen.taps.at("features"))},
                                       {"logits"}, both);
    way.predicted = predictor_.observe({predictor, {}, as_images(way.projected.taps.at("logits"))},
                                       {"logits"}, both);
    return way;
  }

  const nets::Network& network_;
  const nets::Network projector_, predictor_;
};

}  // namespace

std::unique_ptr<SqueezeObjective> make_squeeze_objective(const SqueezeOptions& options,
                                                         const nets::Network& network,
                                                         at::Device device) {
  if (options.objective == "supervised") return std::make_unique<Supervised>(network);
  if (options.objective == "moco") return std::make_unique<Moco>(options, network, device);
  if (options.objective == "simsiam") return std::make_unique<SimSiam>(options, network);
  throw ConfigError::unknown("choosing how to squeeze", "objective", options.objective,
                             {"supervised", "moco", "simsiam"});
}

}  // namespace retort::teachers
