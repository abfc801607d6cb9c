// The four selection methods. Herding and k-center look at features of a network trained on the
// real training part; forgetting looks at that training itself.
#include "methods/selection/selection.h"

#include "core/sizes.h"
#include "methods/selection/pick.h"
#include "retort/core/random.h"
#include "retort/data/batch_source.h"
#include "retort/data/class_sampler.h"
#include "retort/train/trainer.h"

namespace retort::methods {
namespace selection {
namespace {

/// The rows that a rule keeps of one class, as positions in `members`, or rows themselves.
using Rows = std::vector<int64_t>;

/// Runs `choose(class, members, count)` for every class and joins the rows; processes share the
/// classes.
template <class Choose>
Rows class_by_class(const Context& context, Choose&& choose) {
  std::vector<double> mine;
  for (const int64_t label : Share().within(*context.group).items(context.layout.classes())) {
    const auto c = to_size(label);
    const Rows rows = choose(c, context.data.train.rows_by_class[c], context.layout.counts[c]);
    mine.insert(mine.end(), rows.begin(), rows.end());
  }
  const std::vector<double> all = context.group->gather(mine);
  return {all.begin(), all.end()};
}

Rows at_positions(const Rows& members, const Rows& positions) {
  Rows rows;
  for (const int64_t i : positions) rows.push_back(members[to_size(i)]);
  return rows;
}

class RandomSelector : public Selector {
 public:
  explicit RandomSelector(const Context& context) : context_(context) {}

  Rows select() override {
    return class_by_class(context_, [&](size_t c, const Rows&, int64_t count) {
      RandomStream stream(context_.seed, "random.rows", c);
      return data::draw_rows(context_.data.train, stream, static_cast<int64_t>(c), count);
    });
  }

 private:
  Context context_;
};

train::ModelState train_on_real(const Context& context, const data::BatchSource& source,
                                int64_t epochs, train::Callbacks callbacks = {}) {
  train::TrainOptions options;
  options.schedule = "constant";
  options.epochs = epochs;
  Progress progress(context.progress, "training on real images, epochs", epochs);
  int64_t done = 0;
  callbacks.epoch = [&](const train::Epoch& epoch) { progress.update(++done, epoch.loss); };
  return train::train(context.network, source, options, {context.seed, "selection.network", 0},
                      context.device, callbacks);
}

/// Features of the given rows, [n, F] on the CPU; images pass in chunks, without a graph.
at::Tensor features_of(const Context& context, const train::ModelState& trained, const Rows& rows) {
  constexpr int64_t kChunk = 256;
  const auto source =
      data::real_source(context.data.train, context.data.preprocessing, context.device, rows);
  std::vector<at::Tensor> pieces;
  for (int64_t begin = 0; begin < source->size(); begin += kChunk) {
    Rows chunk;
    for (int64_t i = begin; i < std::min(begin + kChunk, source->size()); ++i) chunk.push_back(i);
    const nets::Observation seen = context.network.observe(
        {trained.theta, trained.state, source->get(chunk).images, {}, nets::NormMode::kFrozen},
        {"features"});
    pieces.push_back(seen.taps.at("features").to(at::kCPU));
  }
  return at::cat(pieces);
}

using PickByFeatures = Rows (*)(const at::Tensor& features, int64_t count);

class FeatureSelector : public Selector {
 public:
  FeatureSelector(const Context& context, int64_t epochs, PickByFeatures pick)
      : context_(context), epochs_(epochs), pick_(pick) {}

  Rows select() override {
    const auto source =
        data::real_source(context_.data.train, context_.data.preprocessing, context_.device);
    const train::ModelState trained = train_on_real(context_, *source, epochs_);
    return class_by_class(context_, [&](size_t, const Rows& members, int64_t count) {
      return at_positions(members, pick_(features_of(context_, trained, members), count));
    });
  }

 private:
  Context context_;
  int64_t epochs_;
  PickByFeatures pick_;
};

class ForgettingSelector : public Selector {
 public:
  ForgettingSelector(const Context& context, int64_t epochs) : context_(context), epochs_(epochs) {}

  Rows select() override {
    const data::Split& split = context_.data.train;
    const auto source = data::real_source(split, context_.data.preprocessing, context_.device);
    ForgettingCounter counter(split.size());
    const int64_t* labels = split.labels.data_ptr<int64_t>();
    train::Callbacks callbacks;
    callbacks.batch = [&](const Rows& rows, const at::Tensor& logits) {
      const at::Tensor found = logits.argmax(1).to(at::kCPU);
      const int64_t* classes = found.data_ptr<int64_t>();
      for (size_t i = 0; i < rows.size(); ++i) counter.see(rows[i], classes[i] == labels[rows[i]]);
    };
    train_on_real(context_, *source, epochs_, callbacks);
    return class_by_class(context_, [&](size_t, const Rows& members, int64_t count) {
      return pick_forgetting(counter, members, count);
    });
  }

 private:
  Context context_;
  int64_t epochs_;
};

/// A choice is made at once: iterations mean nothing to it.
class Selection : public Method {
 public:
  LoopDefaults defaults() const override { return {.iterations = 0}; }
};

class Random : public Selection {
 public:
  std::unique_ptr<Selector> selector(const Context& context) override {
    return std::make_unique<RandomSelector>(context);
  }
};

/// A method that trains a network on the real images first.
class TrainedMethod : public Selection {
 public:
  void declare(OptionSet& options) override {
    options.add("selection_epochs", epochs_,
                "epochs over the real images of the network that the selection looks at",
                {.min = 1, .max = 100000});
  }

 protected:
  int64_t epochs_ = 20;
};

template <Rows (*kPick)(const at::Tensor&, int64_t)>
class ByFeatures : public TrainedMethod {
 public:
  std::unique_ptr<Selector> selector(const Context& context) override {
    return std::make_unique<FeatureSelector>(context, epochs_, kPick);
  }
  std::vector<std::string> deviations() const override {
    return {
        "The feature network is the run's own, trained for a few epochs at a constant rate "
        "without augmentation; papers differ in how theirs is trained."};
  }
};

class Forgetting : public TrainedMethod {
 public:
  std::unique_ptr<Selector> selector(const Context& context) override {
    return std::make_unique<ForgettingSelector>(context, epochs_);
  }
  std::vector<std::string> deviations() const override {
    return {
        "Events are counted over a few epochs at a constant rate without augmentation; the "
        "paper counts them over a whole training of 200 epochs."};
  }
};

}  // namespace

}  // namespace selection

std::unique_ptr<Method> make_random() {
  return std::make_unique<selection::Random>();
}
std::unique_ptr<Method> make_herding() {
  return std::make_unique<selection::ByFeatures<selection::pick_herding>>();
}
std::unique_ptr<Method> make_kcenter() {
  return std::make_unique<selection::ByFeatures<selection::pick_kcenter>>();
}
std::unique_ptr<Method> make_forgetting() {
  return std::make_unique<selection::Forgetting>();
}

}  // namespace retort::methods
