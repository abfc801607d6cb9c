// CAFE (Wang et al., CVPR 2022): the class means of every layer are matched, real features are to
// be told apart by the synthetic class means, and how long a network is matched and trained on the
// set follows its accuracy on real images: it is matched until that stays within lambda_1, and
// trained between two matching steps until that changes by more than lambda_2.
#include "methods/matching/cafe.h"

#include <algorithm>
#include <map>

#include "augment/siamese.h"
#include "core/sizes.h"
#include "methods/matching/matching.h"
#include "retort/data/class_sampler.h"
#include "train/loop.h"

namespace retort::methods {

std::vector<std::string> compared_layers(const nets::Network& network) {
  std::vector<std::string> layers;
  bool first = true;
  for (const std::string& tap : network.taps()) {
    const bool convolution = tap.ends_with(".input") && tap.find("conv") != std::string::npos;
    if (convolution && !first) layers.push_back(tap);
    if (convolution) first = false;
  }
  layers.emplace_back("features");
  return layers;
}

Discrimination discrimination(const at::Tensor& features, const at::Tensor& centres,
                              int64_t label) {
  const at::Tensor log_p = at::log_softmax(features.mm(centres.t()), 1);  // [R, K]
  at::Tensor slopes = log_p.exp();
  slopes.select(1, label).sub_(1);
  return {-log_p.select(1, label).sum(), slopes.t().mm(features)};
}

void Watcher::see(double value) {
  values_.push_back(value);
  if (std::ssize(values_) > length_) values_.pop_front();
}

double Watcher::spread() const {
  const auto [least, most] = std::minmax_element(values_.begin(), values_.end());
  return *most - *least;
}

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
  uint64_t step() const { return static_cast<uint64_t>(reached_); }

  /// Brings the network to a matching step, and says whether that is the last one.
  void go_on(const SyntheticSet& set, int64_t step) {
    if (step > 0) train_on(set);
    watcher_.see(accuracy("cafe.query", 0));
    const bool settled = watcher_.full() && watcher_.spread() < options_.matching_spread;
    ended_ = settled || step + 1 >= options_.max_matching_steps;
  }

  double accuracy(const char* purpose, int64_t epoch) const {
    double sum = 0;
    const int64_t classes = context_.data.classes();
    for (int64_t c = 0; c < classes; ++c) {
      const RandomStream choosing(context_.seed, purpose, iteration_, step(),
                                  static_cast<uint64_t>(epoch), static_cast<uint64_t>(c));
      const at::Tensor images = real_.draw(choosing, c, options_.query_images);
      const at::Tensor said =
          context_.network.predict(model_.theta.to(images.scalar_type()), model_.state, images);
      sum += said.argmax(1).eq(c).to(at::kDouble).mean().item<double>();
    }
    return sum / static_cast<double>(classes);
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
                                               const at::Tensor& centres,
                                               Discrimination& told) const {
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
      told.value += here.value;
      told.centres += here.centres;
      for (const std::string& layer : layers_) {
        const at::Tensor part = seen.taps.at(layer).sum(0) / static_cast<double>(total);
        means[layer] = means.count(layer) ? means[layer] + part : part;
      }
    }
    return means;
  }

  /// Class after class twice, so that no more than one class's maps are in memory: for the centres,
  /// and for the gradients.
  Cotangents match(const SyntheticSet& set) const {
    const int64_t classes = std::ssize(set.offsets) - 1;
    std::vector<at::Tensor> centres, rows;
    for (int64_t c = 0; c < classes; ++c) {
      rows.push_back(augmentation(c));
      const at::Tensor images = set.images.slice(0, set.offset(c), set.offset(c + 1));
      centres.push_back(observe(augment::apply(images, rows.back())).taps.at("features").mean(0));
    }
    const at::Tensor all_centres = at::stack(centres);
    Discrimination told{at::zeros({}, all_centres.options()), at::zeros_like(all_centres)};
    std::vector<std::map<std::string, at::Tensor>> real;
    for (int64_t c = 0; c < classes; ++c)
      real.push_back(real_means(c, rows[to_size(c)], all_centres, told));
    Cotangents result{0, at::zeros_like(set.images)};
    at::Tensor loss = told.value.to(at::kDouble) * options_.discrimination_weight;
    for (int64_t c = 0; c < classes; ++c)
      loss += align(set, c, rows[to_size(c)], real[to_size(c)],
                    told.centres[c] * options_.discrimination_weight, result.images);
    result.loss = loss.item<double>();
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
