// Gradient matching (Zhao, Mopuri and Bilen, ICLR 2021, algorithm 1; with siamese augmentation Zhao
// and Bilen, ICML 2021): a fresh random network every iteration, trained on the synthetic set
// between matching steps; in every step and for every class the distance D between the gradients by
// theta of a real batch and of the synthetic images. With v = dD/dg at the synthetic gradient g,
// dD/dX = (d2l / dX dtheta) v is one directional derivative: no graph of a graph is kept.
#include "methods/gradient/gradient_matching.h"

#include <algorithm>
#include <numeric>

#include "core/sizes.h"

namespace retort::methods::gradient {
namespace {

constexpr int64_t kCalibrationImages = 16;  // of every class
constexpr int64_t kCalibrationBatches = 4;  // averaged by the proper calibration
constexpr double kStatisticsShare = 0.1;    // of a batch in the running statistics: PyTorch's

losses::GradientMetric metric_of(const std::string& distance) {
  if (distance == "mse") return losses::GradientMetric::kSquared;
  if (distance == "cos") return losses::GradientMetric::kCosine;
  return losses::GradientMetric::kLayerwise;
}

Loops loops_of(const Options& options, const std::vector<int64_t>& counts) {
  Loops loops = published_loops(*std::max_element(counts.begin(), counts.end()));
  if (options.outer_loop > 0) loops.outer = options.outer_loop;
  if (options.inner_loop > 0) loops.inner = options.inner_loop;
  return loops;
}

/// The labels of groups of rows that belong to classes first, first + 1, ...
at::Tensor labels_of(const std::vector<int64_t>& offsets, int64_t first, at::Device device) {
  std::vector<int64_t> labels;
  for (size_t c = 0; c + 1 < offsets.size(); ++c)
    labels.insert(labels.end(), to_size(offsets[c + 1] - offsets[c]),
                  first + static_cast<int64_t>(c));
  return at::tensor(labels, at::kLong).to(device);
}

}  // namespace

at::Tensor calibrated_state(const nets::Network& network, const Student& student,
                            const std::vector<at::Tensor>& batches, bool proper) {
  at::Tensor state = proper ? at::zeros_like(student.state) : student.state, sum;
  for (const at::Tensor& images : batches) {
    const at::Tensor after =
        network.observe({student.theta, state, images, {}, nets::NormMode::kUpdating}, {"logits"})
            .state;
    if (!proper) state = after;
    if (proper) sum = sum.defined() ? sum + after : after;
  }
  if (!proper) return state;
  // From statistics of zero a step leaves just the batch's share.
  return sum / (kStatisticsShare * static_cast<double>(batches.size()));
}

void Options::declare(OptionSet& set) {
  set.add("real_batch", real_batch, "real images of each class in one matching step", {.min = 1});
  set.add("outer_loop", outer_loop,
          "matching steps in one iteration; 0: as published for the images per class", {.min = 0});
  set.add("inner_loop", inner_loop,
          "epochs of training on the synthetic set between two matching steps; 0: as published for "
          "the images per class",
          {.min = 0});
  set.add("student_learning_rate", student_learning_rate,
          "learning rate of that training (SGD, batches of 256)", {.min = 0});
  set.add("distance", distance,
          "distance between gradients: ours (cosines of the rows of every layer), mse or cos (of "
          "the whole)",
          {.choices = {"ours", "mse", "cos"}});
  set.add("batchnorm_calibration", batchnorm_calibration,
          "statistics of BatchNorm while gradients are matched: reference (one step of their "
          "moving average) or proper (the mean over real batches)",
          {.choices = {"reference", "proper"}});
}

GradientMatching::GradientMatching(const Context& context, const Options& options,
                                   const Bounds& bounds)
    : context_(context),
      options_(options),
      bounds_(bounds),
      real_(context.data.train, context.data.preprocessing, context.device),
      metric_(metric_of(options.distance)),
      loops_(loops_of(options, context.layout.counts)) {
  if (options.augmented) strategy_ = augment::parse_strategy(context.augmentation);
  for (const nets::Slot& slot : context.network.parameters().slots)
    spans_.push_back(losses::gradient_span(slot.shape, slot.offset));
}

void GradientMatching::begin(int64_t iteration, const SyntheticSet&) {
  place_ = {context_.seed, static_cast<uint64_t>(iteration), 0};
  const RandomStream draw(context_.seed, "gradient.network", place_.iteration);
  student_.theta = context_.network.initial(draw).to(context_.device);
  student_.state = context_.network.initial_state().to(context_.device);
  reached_ = -1;
}

void GradientMatching::go_on(const SyntheticSet& set, int64_t step) {
  const at::ScalarType type = set.images.scalar_type();
  student_ = {student_.theta.to(type), student_.state.to(type)};
  place_.step = static_cast<uint64_t>(step);
  if (step > 0)
    train_inner(context_.network, set, strategy_, loops_.inner, options_.student_learning_rate,
                place_, student_);
  if (context_.network.couples_rows()) calibrate();
}

Cotangents GradientMatching::evaluate(const SyntheticSet& set, int64_t step) {
  while (reached_ < step) go_on(set, ++reached_);
  std::vector<at::Tensor> rows;
  const int64_t classes = std::ssize(set.offsets) - 1;
  for (int64_t c = 0; c < classes; ++c) {
    RandomStream draw(context_.seed, "gradient.augment", place_.iteration, place_.step,
                      static_cast<uint64_t>(c));
    rows.push_back(augment::draw_shared(strategy_, set.images.size(2), set.images.size(3), draw));
  }
  rows_ = at::cat(rows);
  Cotangents result{0, at::empty_like(set.images)};
  // The classes are separable, with frozen BatchNorm too: processes share them, and groups of them
  // bound the memory.
  const Share share = Share().within(*context_.group);
  const int64_t begin = share.begin(classes), end = share.end(classes);
  std::vector<double> losses;
  for (int64_t first = begin, last = 0; first < end; first = last) {
    last = end_of_group(first, end, set);
    const at::Tensor found = match(set, first, last, result.images).to(at::kCPU, at::kDouble);
    losses.insert(losses.end(), found.data_ptr<double>(), found.data_ptr<double>() + found.numel());
  }
  losses = context_.group->gather(losses);
  result.loss = std::accumulate(losses.begin(), losses.end(), 0.0);
  std::vector<int64_t> mine;
  for (int64_t row = set.offset(begin); row < set.offset(end); ++row) mine.push_back(row);
  context_.group->gather_rows(result.images, mine);
  return result;
}

/// One past the last class, before `end`, of the pass that begins with `first`.
int64_t GradientMatching::end_of_group(int64_t first, int64_t end, const SyntheticSet& set) const {
  const int64_t numbers = std::min(bounds_.gradient, context_.network.spare_bytes() / 16);
  const int64_t most = numbers / context_.network.parameters().size;
  int64_t last = first + 1;
  while (last < end && last - first < most &&
         set.offset(last + 1) - set.offset(first) <= context_.network.rows_at_once(bounds_.rows))
    ++last;
  return last;
}

/// The losses of classes first..last-1; writes their cotangents.
at::Tensor GradientMatching::match(const SyntheticSet& set, int64_t first, int64_t last,
                                   at::Tensor& cotangents) const {
  const int64_t begin = set.offset(first), end = set.offset(last);
  std::vector<int64_t> offsets;
  for (int64_t c = first; c <= last; ++c) offsets.push_back(set.offset(c) - begin);
  const at::Tensor rows = rows_of(offsets, first), images = set.images.slice(0, begin, end);
  const nets::Inputs inputs{student_.theta, student_.state,
                            rows.defined() ? augment::apply(images, rows) : images, offsets,
                            nets::NormMode::kFrozen};
  const losses::Targets targets{labels_of(offsets, first, context_.device)};
  const at::Tensor real = real_gradients(first, last);  // [G, P]
  const nets::Gradient synthetic = context_.network.gradient(
      inputs, targets, {}, std::min(bounds_.kept, context_.network.spare_bytes() / 4));
  const losses::GradientDistance distance =
      losses::gradient_distance(synthetic.theta, real, spans_, metric_);
  const at::Tensor vjp = context_.network
                             .gradient_jvp(inputs, targets, distance.derivative, {.images = true},
                                           synthetic.kept.get())
                             .images;
  cotangents.slice(0, begin, end).copy_(rows.defined() ? augment::pullback(rows, vjp) : vjp);
  return distance.value;
}

/// Gradients at a real batch of each of classes first..last-1, [G, P].
at::Tensor GradientMatching::real_gradients(int64_t first, int64_t last) const {
  const at::NoGradGuard no_graph;
  std::vector<at::Tensor> gradients, images;
  std::vector<int64_t> offsets{0};
  int64_t begin = first;
  for (int64_t c = first; c < last; ++c) {
    images.push_back(augmented_real(c));
    offsets.push_back(offsets.back() + images.back().size(0));
    if (c + 1 < last &&
        offsets.back() + options_.real_batch <= context_.network.rows_at_once(bounds_.rows))
      continue;
    const nets::Inputs inputs{student_.theta, student_.state, at::cat(images), offsets,
                              nets::NormMode::kFrozen};
    const at::Tensor labels = labels_of(offsets, begin, context_.device);
    gradients.push_back(context_.network.gradient(inputs, {labels}).theta);
    images.clear();
    offsets = {0};
    begin = c + 1;
  }
  return at::cat(gradients);
}

/// Different random real images of class c, all of them where `count` are more than it has.
at::Tensor GradientMatching::real_images(int64_t c, int64_t count, const char* purpose) const {
  const RandomStream stream(place_.seed, purpose, place_.iteration, place_.step,
                            static_cast<uint64_t>(c));
  return real_.draw(stream, c, count).to(student_.theta.scalar_type());
}

/// A real batch of class c under the augmentation that its synthetic images get.
at::Tensor GradientMatching::augmented_real(int64_t c) const {
  const at::Tensor images = real_images(c, options_.real_batch, "gradient.real");
  if (strategy_.operations.empty()) return images;
  return augment::apply(images, rows_.narrow(0, c, 1));
}

/// The augmentation of every image: class `first` + i's for offsets[i]..offsets[i + 1] - 1.
at::Tensor GradientMatching::rows_of(const std::vector<int64_t>& offsets, int64_t first) const {
  if (strategy_.operations.empty()) return {};
  const at::Tensor owners = labels_of(offsets, first, at::Device(at::kCPU));
  return rows_.index_select(0, owners);
}

void GradientMatching::calibrate() {
  const bool proper = options_.batchnorm_calibration == "proper";
  const int64_t wanted = proper ? kCalibrationBatches : 1;
  std::vector<std::vector<at::Tensor>> parts(to_size(wanted));
  for (int64_t c = 0; c < context_.data.classes(); ++c) {
    const at::Tensor all = real_images(c, kCalibrationImages * wanted, "gradient.calibration");
    const int64_t size = all.size(0), each = std::min(kCalibrationImages, size);
    for (int64_t b = 0; b < wanted; ++b)  // a small class gives the same images again
      parts[to_size(b)].push_back(
          all.narrow(0, std::min(b * kCalibrationImages, size - each), each));
  }
  std::vector<at::Tensor> batches;
  for (const auto& part : parts) batches.push_back(at::cat(part));
  student_.state = calibrated_state(context_.network, student_, batches, proper);
}

}  // namespace retort::methods::gradient
