// FRePo (Zhou, Nezhadarya and Ba, NeurIPS 2022): only the last layer of a student is trained, by
// regression on the features of a network from a pool; the networks of the pool are trained on the
// set meanwhile, a step whenever they were used, and are of different ages.
#include <algorithm>
#include <cmath>

#include "core/sizes.h"
#include "methods/kernel/kernel.h"
#include "methods/kernel/label_margin.h"
#include "methods/kernel/ridge.h"
#include "methods/rate_options.h"
#include "retort/losses/losses.h"
#include "train/loop.h"

namespace retort::methods {
namespace {

struct Options {
  int64_t real_batch = 1024;
  int64_t pool_size = 10;
  int64_t pool_steps = 100;
  double pool_learning_rate = 3e-4;
  int64_t pool_batch = 1000;
  double regularisation = 1e-6;
  bool flip = true;
  double label_learning_rate = 3e-4;

  void declare(OptionSet& set) {
    set.add("real_batch", real_batch, "real images of all classes in one iteration", {.min = 1});
    set.add("pool_size", pool_size, "networks in the pool", {.min = 1, .max = 1000});
    set.add("pool_steps", pool_steps,
            "a network that was trained for more steps than this is replaced by a new one",
            {.min = 1});
    set.add("pool_learning_rate", pool_learning_rate, "learning rate of the pool's networks (Adam)",
            {.min = 0});
    set.add("pool_batch", pool_batch, "images of the set that a network is trained on in one step",
            {.min = 1});
    set.add("regularisation", regularisation,
            "added to the kernel's diagonal, as a share of the diagonal's mean", {.min = 0});
    set.add("flip", flip, "the regression sees every image of the set mirrored as well");
    set.add("label_learning_rate", label_learning_rate,
            "learning rate of the labels; 0: they stay fixed", {.min = 0});
  }
};

constexpr int64_t kRealRows = 256;       // rows of one pass without a graph
constexpr int64_t kSyntheticRows = 512;  // rows of one pass with a graph

/// A network of the pool.
struct Member {
  train::ModelState model;
  std::unique_ptr<optim::Optimizer> optimizer;
  int64_t age = 0;  // steps since it was made; the first ones begin at different ages
};

/// Features of the set with the way back.
struct Features {
  at::Tensor values;                        // float64 [M, F], no graph
  std::vector<nets::Observation> observed;  // of the only pass, where there is one
};

class FeatureRegression : public Objective {
 public:
  FeatureRegression(const Context& context, const Options& options)
      : context_(context),
        options_(options),
        real_images_(context.data.train, context.data.preprocessing, context.device) {
    const int64_t classes = context.data.classes();
    labels_ = losses::centred_one_hot(context.layout.labels(), classes).to(context.device) /
              std::sqrt(static_cast<double>(classes) / 10);
    for (int64_t g = 0; g < options.pool_size; ++g) {
      pool_.push_back(fresh(g, 0));
      pool_.back().age = options.pool_steps / options.pool_size * g;
    }
  }

  void begin(int64_t iteration, const SyntheticSet& set) override {
    iteration_ = iteration;
    // The set as it is after the last iteration's step is what that iteration's network learns
    // from.
    if (iteration > 0) train_on(set, pick(iteration - 1));
    take_real();
  }

  Cotangents evaluate(const SyntheticSet& set, int64_t) override {
    at::Tensor images = set.images, labels = labels_.to(at::kDouble);
    if (options_.flip) {
      images = at::cat({images, images.flip(3)});
      labels = at::cat({labels, labels});
    }
    const Features features = features_of(images);
    const at::Tensor& phi = features.values;
    const KernelRidge ridge(phi.mm(phi.t()), real_features_.mm(phi.t()), options_.regularisation);
    const at::Tensor residual = ridge.predict(labels) - real_.targets;
    const auto rows = static_cast<double>(residual.size(0));
    RidgeCotangents vjp = ridge.vjp(labels, residual / rows);
    const at::Tensor d_phi =
        (vjp.support + vjp.support.t()).mm(phi) + vjp.target.t().mm(real_features_);
    at::Tensor d_images = features_vjp(images, features, d_phi.to(images.scalar_type()));
    if (options_.flip) {
      const int64_t half = set.images.size(0);
      d_images = d_images.slice(0, 0, half) + d_images.slice(0, half).flip(3);
      vjp.labels = vjp.labels.slice(0, 0, half) + vjp.labels.slice(0, half);
    }
    const LabelMargin margin = label_margin(labels_.to(at::kDouble));
    Cotangents result{0.5 * residual.square().sum().item<double>() / rows + margin.loss, d_images};
    if (options_.label_learning_rate > 0)
      result.learned = {(vjp.labels + margin.gradient).to(labels_.scalar_type())};
    return result;
  }

  std::vector<synthetic::ParameterGroup> learned() override {
    if (options_.label_learning_rate == 0) return {};
    return {{.name = "labels",
             .value = labels_,
             .learning_rate = options_.label_learning_rate,
             .momentum = 0.9,
             .rate_option = kLabelRateOption}};
  }

  void complete(synthetic::Bundle& bundle) const override {
    bundle.soft_labels = labels_.to(at::kCPU).contiguous();
    bundle.soft_label_kind = "targets";
  }

  TensorMap state() const override {
    TensorMap all;
    std::vector<int64_t> counts;
    for (size_t g = 0; g < pool_.size(); ++g) {
      const Member& member = pool_[g];
      const std::string at = std::to_string(g);
      all["theta." + at] = member.model.theta;
      if (context_.network.couples_rows()) all["state." + at] = member.model.state;
      const TensorMap moments = member.optimizer->state();
      const auto steps = moments.at("count").item<int64_t>();
      if (steps > 0) {
        all["first." + at] = moments.at("velocity");
        all["second." + at] = moments.at("square");
      }
      counts.push_back(member.age);
      counts.push_back(steps);
    }
    all["counts"] = at::tensor(counts, at::kLong);
    return all;
  }

  void restore(const TensorMap& state) override {
    const auto counts = state.at("counts").accessor<int64_t, 1>();
    for (size_t g = 0; g < pool_.size(); ++g) {
      const auto load = [&](const std::string& name) {
        return state.at(name + "." + std::to_string(g))
            .to(context_.device, at::kFloat, false, true);
      };
      const auto place = static_cast<int64_t>(2 * g);
      Member& member = pool_[g];
      member.model.theta = load("theta");
      if (context_.network.couples_rows()) member.model.state = load("state");
      member.age = counts[place];
      const TensorMap moments = member.optimizer->state();
      moments.at("count").fill_(counts[place + 1]);
      if (counts[place + 1] == 0) continue;
      moments.at("velocity").copy_(load("first"));
      moments.at("square").copy_(load("second"));
    }
  }

 private:
  Member fresh(int64_t place, int64_t iteration) const {
    const RandomStream stream(context_.seed, "frepo.network", static_cast<uint64_t>(place),
                              static_cast<uint64_t>(iteration));
    Member member{{context_.network.initial(stream).to(context_.device),
                   context_.network.initial_state().to(context_.device)},
                  nullptr};
    member.optimizer = optim::make_optimizer({.name = "adamw"}, member.model.theta);
    return member;
  }

  size_t pick(int64_t iteration) const {
    RandomStream draw(context_.seed, "frepo.pick", static_cast<uint64_t>(iteration));
    return to_size(draw.uniform_int(options_.pool_size));
  }

  /// One step of Adam on the set, or a new network where this one is too old.
  void train_on(const SyntheticSet& set, size_t place) {
    Member& member = pool_[place];
    if (member.age > options_.pool_steps) {
      member = fresh(static_cast<int64_t>(place), iteration_);
      return;
    }
    RandomStream draw(context_.seed, "frepo.update", static_cast<uint64_t>(iteration_));
    const at::Tensor rows =
        at::tensor(draw.sample(set.images.size(0), options_.pool_batch)).to(set.images.device());
    const at::Tensor before = member.model.state;
    train::Trainer(context_.network, member.model, *member.optimizer)
        .step({set.images.index_select(0, rows),
               {labels_.index_select(0, rows), losses::Kind::kSquared}},
              options_.pool_learning_rate);
    // The reference's statistics are 0.1 old + 0.9 new; ours are 0.9 old + 0.1 new.
    if (context_.network.couples_rows()) member.model.state = 9 * member.model.state - 8 * before;
    ++member.age;
  }

  /// The processes share the passes over the real images.
  void take_real() {
    RandomStream draw(context_.seed, "frepo.real", static_cast<uint64_t>(iteration_));
    real_ = real_rows(real_images_, draw.sample(real_images_.size(), options_.real_batch));
    const int64_t all = real_.images.size(0), step = context_.network.rows_at_once(kRealRows);
    const at::Tensor features =
        at::empty({all, context_.network.feature_size()}, real_.images.options());
    std::vector<int64_t> mine;
    for (const int64_t pass : Share().within(*context_.group).items((all + step - 1) / step)) {
      const int64_t begin = pass * step, end = std::min(all, begin + step);
      features.slice(0, begin, end)
          .copy_(observe(real_.images.slice(0, begin, end), {}).taps.at("features"));
      for (int64_t row = begin; row < end; ++row) mine.push_back(row);
    }
    context_.group->gather_rows(features, mine);
    real_features_ = features.to(at::kDouble);
  }

  nets::Observation observe(const at::Tensor& images, nets::WithRespectTo back) const {
    const Member& member = pool_[pick(iteration_)];
    return context_.network.observe(
        {member.model.theta, member.model.state, images, {}, nets::NormMode::kFrozen}, {"features"},
        back);
  }

  std::vector<at::Tensor> pieces(const at::Tensor& rows) const {
    return rows.split(context_.network.rows_at_once(kSyntheticRows));
  }

  /// One pass keeps its graph; several are run again on the way back, for the memory's sake.
  Features features_of(const at::Tensor& images) const {
    Features all;
    const std::vector<at::Tensor> parts = pieces(images);
    std::vector<at::Tensor> values;
    for (const at::Tensor& part : parts) {
      nets::Observation seen = observe(part, {.images = parts.size() == 1});
      values.push_back(seen.taps.at("features"));
      if (parts.size() == 1) all.observed.push_back(std::move(seen));
    }
    all.values = at::cat(values).to(at::kDouble);
    return all;
  }

  at::Tensor features_vjp(const at::Tensor& images, const Features& features,
                          const at::Tensor& cotangents) const {
    if (!features.observed.empty())
      return features.observed.front().pullback({{"features", cotangents}}).images;
    const std::vector<at::Tensor> parts = pieces(images), weights = pieces(cotangents);
    std::vector<at::Tensor> found;
    for (size_t i = 0; i < parts.size(); ++i)
      found.push_back(
          observe(parts[i], {.images = true}).pullback({{"features", weights[i]}}).images);
    return at::cat(found);
  }

  const Context context_;
  const Options options_;
  const data::ClassSampler real_images_;
  at::Tensor labels_;  // [M, K], learned
  std::vector<Member> pool_;
  int64_t iteration_ = 0;
  RealBatch real_;
  at::Tensor real_features_;  // float64 [T, F]
};

}  // namespace

std::unique_ptr<Method> make_frepo() {
  return std::make_unique<MethodOf<Options, FeatureRegression>>(
      LoopDefaults{.iterations = 500000,
                   .image_learning_rate = 3e-4,
                   .image_momentum = 0.9,
                   .initialisation = "real",
                   .network = "wideconv-bn",
                   .protocol = "frepo",
                   .image_optimiser = "lamb",
                   .image_schedule = "cosine_to_tenth"},
      std::vector<std::string>{
          "Features go through the network in float32 and the regression is float64; the reference "
          "is float32 throughout.",
          "Real images are drawn anew in every iteration; the reference passes through shuffled "
          "epochs.",
          "Running variances of BatchNorm divide by the number of values less one; the reference's "
          "by "
          "the number.",
          "The augmentation of students is that of DSA (one operation a batch), whose ranges of "
          "colour, scale and cutout are not the reference's.",
          "The set at the end is the result; the reference keeps the one that was best on the test "
          "images."});
}

}  // namespace retort::methods
