// CAFE (Wang et al., CVPR 2022): the class means of every layer are matched, real features are to
// be told apart by the synthetic class means, and how long a network is matched and trained on the
// set follows its accuracy on real images: it is matched until that stays within lambda_1, and
// trained between two matching steps until that changes by more than lambda_2.
#include "methods/matching/cafe.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "augment/siamese.h"
#include "core/item_sum.h"
#include "methods/class_share.h"
#include "methods/matching/matching.h"
#include "retort/data/class_sampler.h"
#include "train/loop.h"

namespace retort::methods {

namespace {

constexpr int64_t kRealRows = 640;  // of one pass without a graph
constexpr int64_t kTrainingBatch = 256;

struct Options {
  int64_t real_batch = 256;
  double early_layer_weight = 0.1;
  double feature_weight = 2;
  double discrimination_weight = 0.01;
  double student_learning_rate = 0.01;
  int64_t query_images = 128;
  int64_t watched = 10;
  double matching_spread = 0.04;  // lambda_1
  double training_spread = 0.03;  // lambda_2
  int64_t max_matching_steps = 100;
  int64_t max_inner_epochs = 100;

  void declare(OptionSet& set) {
    set.add("real_batch", real_batch, "real images of each class in one matching step", {.min = 1});
    set.add("early_layer_weight", early_layer_weight, "weight of what enters a convolution",
            {.min = 0});
    set.add("feature_weight", feature_weight, "weight of what enters the last layer", {.min = 0});
    set.add("discrimination_weight", discrimination_weight,
            "weight of the cross-entropy of real features by the synthetic class means",
            {.min = 0});
    set.add("student_learning_rate", student_learning_rate,
            "learning rate of the training on the set (SGD, batches of 256)", {.min = 0});
    set.add("query_images", query_images,
            "real images of each class on which the network's accuracy is watched", {.min = 1});
    set.add("watched", watched, "how many accuracies are compared", {.min = 2, .max = 1000});
    set.add("matching_spread", matching_spread,
            "a network is matched until its accuracies lie closer together than this",
            {.min = 0, .max = 1});
    set.add("training_spread", training_spread,
            "between two matching steps it is trained until they lie further apart than this",
            {.min = 0, .max = 1});
    set.add("max_matching_steps", max_matching_steps, "but for at most as many matching steps",
            {.min = 1});
    set.add("max_inner_epochs", max_inner_epochs,
            "but for at most as many epochs between two of them", {.min = 1});
  }
};

class FeatureAlignment : public Objective {
 public:
  FeatureAlignment(const Context& context, const Options& options)
      : context_(context),
        options_(options),
        real_(context.data.train, context.data.preprocessing, context.device),
        strategy_(augment::parse_strategy(context.augmentation)),
        layers_(compared_layers(context.network)),
        classes_(Share().within(*context.group).items(context.data.classes())),
        watcher_(options.watched) {}

  void begin(int64_t iteration, const SyntheticSet&) override {
    iteration_ = static_cast<uint64_t>(iteration);
    reached_ = -1;
    ended_ = false;
    watcher_ = Watcher(options_.watched);
    model_.theta = context_.network.initial(RandomStream(context_.seed, "cafe.network", iteration_))
                       .to(context_.device);
    if (context_.network.couples_rows())
      model_.state = context_.network.initial_state().to(context_.device);
  }

  /// Known only as far as the network's accuracies are.
  int64_t steps() const override { return reached_ + (ended_ ? 1 : 2); }

  Cotangents evaluate(const SyntheticSet& set, int64_t step) override {
    const at::NoGradGuard no_graph;
    while (reached_ < step) go_on(set, ++reached_);
    return match(set);
  }

 private:
  /// What the real features of all classes say.
  struct Told {
    ItemSum value, centres;
  };
  uint64_t step() const { return static_cast<uint64_t>(reached_); }

  /// Brings the network to a matching step, and says whether that is the last one.
  void go_on(const SyntheticSet& set, int64_t step) {
    if (step > 0) train_on(set);
    watcher_.see(accuracy("cafe.query", 0));
    const bool settled = watcher_.full() && watcher_.spread() < options_.matching_spread;
    ended_ = settled || step + 1 >= options_.max_matching_steps;
  }

  double accuracy(const char* purpose, int64_t epoch) const {
    std::vector<double> right;
    for (const int64_t c : classes_) {
      const RandomStream choosing(context_.seed, purpose, iteration_, step(),
                                  static_cast<uint64_t>(epoch), static_cast<uint64_t>(c));
      const at::Tensor images = real_.draw(choosing, c, options_.query_images);
      const at::Tensor said =
          context_.network.predict(model_.theta.to(images.scalar_type()), model_.state, images);
      right.push_back(said.argmax(1).eq(c).to(at::kDouble).mean().item<double>());
    }
    right = context_.group->gather(right);
    return std::accumulate(right.begin(), right.end(), 0.0) / static_cast<double>(right.size());
  }

  void train_on(const SyntheticSet& set) {
    const at::Tensor images = set.images.to(at::kFloat);
    const auto source = data::tensor_source(images, set.labels.to(images.device()));
    const auto stream = [this](const char* purpose, int64_t epoch, int64_t batch) {
      return RandomStream(context_.seed, purpose, iteration_, step(), static_cast<uint64_t>(epoch),
                          static_cast<uint64_t>(batch));
    };
    const train::ShuffledBatches batches(
        *source, kTrainingBatch, strategy_,
        {[&](int64_t epoch) { return stream("cafe.order", epoch, 0); },
         [&](int64_t epoch, int64_t batch) { return stream("cafe.inner", epoch, batch); }});
    const auto optimizer = optim::make_optimizer({.name = "sgd", .momentum = 0}, model_.theta);
    train::Trainer trainer(context_.network, model_, *optimizer);
    Watcher watcher(options_.watched);
    for (int64_t epoch = 0; epoch < options_.max_inner_epochs; ++epoch) {
      trainer.pass(batches, epoch,
                   [&](int64_t, int64_t) { return options_.student_learning_rate; });
      watcher.see(accuracy("cafe.inner_query", epoch));
      if (watcher.full() && watcher.spread() > options_.training_spread) return;
    }
  }

  /// What the layers say of the images of one class.
  nets::Observation observe(const at::Tensor& images, nets::WithRespectTo back = {}) const {
    const at::ScalarType type = images.scalar_type();
    return context_.network.observe({model_.theta.to(type), typed_state(type), images}, layers_,
                                    back);
  }
  at::Tensor typed_state(at::ScalarType type) const {
    return model_.state.defined() ? model_.state.to(type) : model_.state;
  }

  at::Tensor augmentation(int64_t c) const {
    RandomStream draw(context_.seed, "cafe.augment", iteration_, step(), static_cast<uint64_t>(c));
    return augment::draw_shared(strategy_, context_.data.height, context_.data.width, draw);
  }

  double weight_of(const std::string& layer) const {
    return layer == "features" ? options_.feature_weight : options_.early_layer_weight;
  }

  /// Means of the layers over a real batch of class c; adds the discrimination of its features.
  std::map<std::string, at::Tensor> real_means(int64_t c, const at::Tensor& rows,
                                               const at::Tensor& centres, Told& told) const {
    const RandomStream choosing(context_.seed, "cafe.real", iteration_, step(),
                                static_cast<uint64_t>(c));
    const std::vector<int64_t> picked = real_.rows(choosing, c, options_.real_batch);
    const auto total = std::ssize(picked);
    const int64_t most =
        context_.network.couples_rows() ? total : context_.network.rows_at_once(kRealRows);
    std::map<std::string, at::Tensor> means;
    for (int64_t at = 0; at < total; at += most) {
      const at::ArrayRef<int64_t> some(picked.data() + at, to_size(std::min(most, total - at)));
      const at::Tensor images = real_.images(some).to(centres.scalar_type());
      const nets::Observation seen = observe(augment::apply(images, rows));
      const Discrimination here = discrimination(seen.taps.at("features"), centres, c);
      told.value.add(here.value);
      told.centres.add(here.centres);
      for (const std::string& layer : layers_) {
        const at::Tensor part = seen.taps.at(layer).sum(0) / static_cast<double>(total);
        means[layer] = means.count(layer) ? means[layer] + part : part;
      }
    }
    return means;
  }

  /// Class after class twice, so that no more than one class's maps are in memory: for the centres,
  /// and for the gradients. Processes share the classes.
  Cotangents match(const SyntheticSet& set) const {
    const ProcessGroup& group = *context_.group;
    std::vector<at::Tensor> centres, rows;
    for (const int64_t c : classes_) {
      rows.push_back(augmentation(c));
      const at::Tensor images = set.images.slice(0, set.offset(c), set.offset(c + 1));
      centres.push_back(observe(augment::apply(images, rows.back())).taps.at("features").mean(0));
    }
    const at::Tensor like = at::empty({context_.network.feature_size()}, set.images.options());
    const at::Tensor all_centres = at::stack(group.gather(centres, like));
    Told told{{group, at::empty({}, like.options())}, {group, all_centres}};
    std::vector<std::map<std::string, at::Tensor>> real;
    for (size_t i = 0; i < rows.size(); ++i)
      real.push_back(real_means(classes_[i], rows[i], all_centres, told));
    const at::Tensor d_centres = told.centres.total();
    Cotangents result{0, at::zeros_like(set.images)};
    std::vector<at::Tensor> losses;
    for (size_t i = 0; i < rows.size(); ++i)
      losses.push_back(align(set, classes_[i], rows[i], real[i],
                             d_centres[classes_[i]] * options_.discrimination_weight,
                             result.images));
    const std::vector<double> all = group.gather(numbers_of(losses));
    result.loss = std::accumulate(
        all.begin(), all.end(),
        told.value.total().to(at::kDouble).item<double>() * options_.discrimination_weight);
    group.gather_rows(result.images, rows_of(classes_, set.offsets));
    return result;
  }

  /// The alignment of class c; writes the cotangents of its images.
  at::Tensor align(const SyntheticSet& set, int64_t c, const at::Tensor& rows,
                   const std::map<std::string, at::Tensor>& real, const at::Tensor& d_centre,
                   const at::Tensor& cotangents) const {
    const int64_t begin = set.offset(c), end = set.offset(c + 1);
    const double share = 1.0 / static_cast<double>(end - begin);
    const nets::Observation seen =
        observe(augment::apply(set.images.slice(0, begin, end), rows), {.images = true});
    at::Tensor loss = at::zeros({}, set.images.options().dtype(at::kDouble));
    std::map<std::string, at::Tensor> slopes;
    for (const std::string& layer : layers_) {
      const at::Tensor& found = seen.taps.at(layer);
      const at::Tensor gap = found.mean(0) - real.at(layer);
      loss += gap.square().sum().to(at::kDouble) * weight_of(layer);
      at::Tensor slope = gap * (2 * weight_of(layer));
      if (layer == "features") slope = slope + d_centre;
      slopes[layer] = (slope * share).unsqueeze(0).expand_as(found).contiguous();
    }
    cotangents.slice(0, begin, end).copy_(augment::pullback(rows, seen.pullback(slopes).images));
    return loss;
  }

  const Context context_;
  const Options options_;
  const data::ClassSampler real_;
  const augment::Strategy strategy_;
  const std::vector<std::string> layers_;
  const std::vector<int64_t> classes_;  // of this process
  uint64_t iteration_ = 0;
  int64_t reached_ = -1;  // the step that the network is at; -1: the iteration has just begun
  bool ended_ = false;    // that step is the last
  Watcher watcher_;
  train::ModelState model_;
};

}  // namespace

std::unique_ptr<Method> make_cafe() {
  return std::make_unique<MethodOf<Options, FeatureAlignment>>(
      LoopDefaults{.iterations = 2000,
                   .image_learning_rate = 0.1,
                   .image_momentum = 0.5,
                   .initialisation = "noise",
                   .protocol = "dm",
                   .image_schedule = "late_halvings"},
      std::vector<std::string>{
          "An iteration is one network, as in the published code, and ends after "
          "max-matching-steps at the latest, its inner trainings after max-inner-epochs; the "
          "published code has no such bounds and may never end.",
          "Layers are compared where they enter a convolution or the last layer, after their "
          "pooling; the published code compares what enters the pooling and weighs the last block "
          "before and after it. The features weigh 2 because it counts them twice.",
          "Accuracies that are watched are those of one look; in the published code a tenth of the "
          "look before is left in each.",
          "The cross-entropy of real images, which the published code adds to the loss, does not "
          "depend on the synthetic ones and is left out.",
          "BatchNorm sees one class at a time.",
          "Published accuracies are under 600 epochs without and 1,000 with augmentation; "
          "--augmentation none is CAFE, and the data set's strategy CAFE+DSA."});
}

}  // namespace retort::methods
