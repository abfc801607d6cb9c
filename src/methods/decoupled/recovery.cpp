#include "methods/decoupled/recovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>

#include "methods/decoupled/groups.h"
#include "retort/core/error.h"
#include "retort/core/random.h"

namespace retort::methods {
namespace {

constexpr const char* kDoing = "preparing to recover images";
constexpr double kAspect = 4.0 / 3;

std::vector<double> layer_weights(const RecoveryOptions& options, size_t layers) {
  std::vector<double> weights(layers, 1.0);
  if (!options.layer_weights.empty() && options.layer_weights.size() != layers)
    throw ConfigError(
        Report{kDoing,
               fmt::format("--layer-weights has {} numbers", options.layer_weights.size()),
               fmt::format("{}, one for each BatchNorm layer of the teacher", layers),
               {}});
  for (size_t i = 0; i < options.layer_weights.size(); ++i) {
    const std::string& text = options.layer_weights[i];
    const auto [stop, problem] =
        std::from_chars(text.data(), text.data() + text.size(), weights[i]);
    if (problem != std::errc() || stop != text.data() + text.size() || !(weights[i] >= 0))
      throw ConfigError(Report{kDoing,
                               "--layer-weights holds '" + text + "'",
                               "numbers from 0 on, joined by commas",
                               {}});
  }
  if (!weights.empty()) weights[0] *= options.first_layer_factor;
  return weights;
}

}  // namespace

void RecoveryOptions::declare(OptionSet& set) {
  set.add("teacher", teacher, "file of the teacher; `retort squeeze` makes one", {},
          Role::kExecution);
  set.add("statistics_weight", statistics_weight,
          "weight of the distance between BatchNorm statistics", {.min = 0});
  set.add("first_layer_factor", first_layer_factor, "times that of the first layer", {.min = 0});
  set.add("layer_weights", layer_weights, "weights of all layers, in order; empty: 1 for each");
  set.add("statistics_unit", statistics_unit,
          "raw, as published, or scale_free: blind to the scale of the layers before",
          {.choices = {"raw", "scale_free"}});
  set.add("crop_schedule", crop_schedule,
          "smallest crops: none, fixed at --crop-low, or falling to it from the whole image",
          {.choices = {"none", "fixed", "step", "linear", "cosine"}});
  set.add("crop_low", crop_low, "smallest area of a crop, as a share of the image",
          {.min = 0.001, .max = 1});
  set.add("crop_milestone", crop_milestone,
          "the share of the iterations after which --crop-low is reached", {.min = 0, .max = 1});
  set.add("crop_flip", crop_flip, "mirror half of the views");
  set.add("roll", roll, "views are rolled by up to as many pixels, with wrapping", {.min = 0});
  set.add("roll_both_ways", roll_both_ways, "also upwards and to the left");
  set.add("window_share", window_share, "whether a group shares one crop, flip and roll",
          {.choices = {"group", "image"}});
  set.add("grouping", grouping, "which images share statistics",
          {.choices = {"cross_class", "class_wise", "mixed"}});
  set.add("group_size", group_size, "images of a group", {.min = 1});
  set.add("groups_at_once", groups_at_once, "groups in one pass through the teacher",
          {.min = 1, .max = 100000});
  set.add("start_from", start_from,
          "initialisation: what --initialisation says; patches: real ones, chosen by the teacher",
          {.choices = {"initialisation", "patches"}});
  patches.declare(set);
}

double crop_low_at(const std::string& schedule, double low, double milestone, int64_t iteration,
                   int64_t iterations) {
  if (schedule == "fixed") return low;
  if (schedule == "none") return 1;
  const double end = milestone * static_cast<double>(iterations);
  const auto t = static_cast<double>(iteration);
  if (t >= end) return low;
  if (schedule == "step") return 1;
  const double left =
      schedule == "linear" ? 1 - t / end : (1 + std::cos(std::numbers::pi * t / end)) / 2;
  return low + (1 - low) * left;
}

Recovery::Recovery(const Context& context, const RecoveryOptions& options)
    : context_(context),
      options_(options),
      teacher_(train::open_teacher(options.teacher, kDoing, context.data, context.device)),
      groups_(make_groups(context.geometry.offsets(), options.grouping, options.group_size)) {
  const size_t layers = train::norm_layers(*teacher_.network).size();
  if (layers == 0 && options.statistics_weight > 0)
    throw ConfigError(
        Report{kDoing, "the teacher '" + teacher_.teacher.network + "' has no BatchNorm layers",
               "a teacher with BatchNorm, such as convnet-bn",
               "choose another --teacher, or --statistics-weight 0"});
  weights_ = layer_weights(options, layers);
}

std::vector<augment::Window> Recovery::windows_of(size_t group) const {
  const int64_t height = context_.geometry.height, width = context_.geometry.width;
  const double low = crop_low_at(options_.crop_schedule, options_.crop_low, options_.crop_milestone,
                                 iteration_, context_.iterations);
  const bool shared = options_.window_share == "group";
  const size_t count = shared ? 1 : groups_[group].size();
  std::vector<augment::Window> windows;
  Stream stream(context_.seed, "recovery.window", group, static_cast<uint64_t>(iteration_));
  for (size_t i = 0; i < count; ++i) {
    augment::Window window = augment::whole_window(height, width);
    if (options_.crop_schedule != "none")
      window = augment::draw_window(height, width, low, 1, kAspect, stream);
    window.flip = options_.crop_flip && stream.uniform() < 0.5;
    const int64_t lowest = options_.roll_both_ways ? -options_.roll : 0;
    window.roll_rows = lowest + stream.below(options_.roll - lowest + 1);
    window.roll_columns = lowest + stream.below(options_.roll - lowest + 1);
    windows.push_back(window);
  }
  windows.resize(groups_[group].size(), windows.front());
  return windows;
}

Cotangents Recovery::cotangents(const View& view) {
  Cotangents result{0, at::zeros_like(view.images)};
  const auto step = static_cast<size_t>(options_.groups_at_once);
  for (size_t begin = 0; begin < groups_.size(); begin += step)
    descend(view, begin, std::min(begin + step, groups_.size()), result);
  result.loss /= static_cast<double>(groups_.size());
  return result;
}

void Recovery::descend(const View& view, size_t begin, size_t end, Cotangents& result) const {
  std::vector<int64_t> rows, edges = {0};
  std::vector<augment::Window> windows;
  for (size_t g = begin; g < end; ++g) {
    rows.insert(rows.end(), groups_[g].begin(), groups_[g].end());
    edges.push_back(static_cast<int64_t>(rows.size()));
    for (const augment::Window& window : windows_of(g)) windows.push_back(window);
  }
  const at::Tensor index = at::tensor(rows, at::kLong);
  const at::Tensor images = view.images.index_select(0, index.to(view.images.device()));
  const auto size = images.sizes().slice(2);
  const augment::WindowMap map(windows, size, size, images.options());

  const auto type = images.scalar_type();
  const auto kept = train::kept_statistics(teacher_, type);
  std::vector<std::string> taps;
  if (options_.statistics_weight > 0)
    for (const auto& layer : kept) taps.push_back(layer.input);
  const size_t layers = taps.size();
  taps.emplace_back("logits");
  const nets::Observation seen =
      teacher_.network->observe({teacher_.theta.to(type),
                                 teacher_.state.defined() ? teacher_.state.to(type) : at::Tensor(),
                                 map.apply(images),
                                 {},
                                 nets::NormMode::kFrozen},
                                taps, {.images = true});

  // The mean over a group, so that groups of every size weigh the statistics alike.
  const at::Tensor labels = view.labels.index_select(0, index).to(images.device());
  const at::Tensor log_p = at::log_softmax(seen.taps.at("logits"), 1);
  at::Tensor weight = at::empty({images.size(0), 1}, images.options());
  for (size_t g = 0; g + 1 < edges.size(); ++g)
    weight.slice(0, edges[g], edges[g + 1]).fill_(1 / static_cast<double>(edges[g + 1] - edges[g]));
  const at::Tensor chosen = at::one_hot(labels, log_p.size(1)).to(type);
  result.loss -= (log_p * chosen * weight).sum().item<double>();
  std::map<std::string, at::Tensor> cotangents{{"logits", (log_p.exp() - chosen) * weight}};
  for (size_t l = 0; l < layers; ++l) {
    const losses::StatisticsUnit unit = options_.statistics_unit == "raw"
                                            ? losses::StatisticsUnit::kRaw
                                            : losses::StatisticsUnit::kScaleFree;
    const at::Tensor& input = seen.taps.at(kept[l].input);
    std::vector<at::Tensor> pieces;
    for (size_t g = 0; g + 1 < edges.size(); ++g) {
      const auto one = losses::statistics_distance(input.slice(0, edges[g], edges[g + 1]),
                                                   kept[l].moments, unit);
      const double factor = options_.statistics_weight * weights_[l];
      result.loss += factor * one.value;
      pieces.push_back(one.derivative * factor);
    }
    cotangents[kept[l].input] = at::cat(pieces);
  }
  result.images.index_copy_(0, index.to(images.device()),
                            map.adjoint(seen.pullback(cotangents).images));
}

at::Tensor Recovery::start(const at::Tensor& images, bool given) {
  if (given || options_.start_from == "initialisation") return images;
  return compose_patches(context_, teacher_, options_.patches);
}

at::Tensor Recovery::hash_tensor() const {
  uint64_t value = 0;
  std::from_chars(teacher_.hash.data(), teacher_.hash.data() + teacher_.hash.size(), value, 16);
  return at::full({1}, static_cast<int64_t>(value), at::kLong);
}

TensorMap Recovery::state() const {
  return {{"teacher", hash_tensor()}};
}

void Recovery::restore(const TensorMap& state) {
  const auto found = state.find("teacher");
  if (found != state.end() && found->second.equal(hash_tensor())) return;
  throw StateError(Report{"going on with the recovery of images",
                          "the run was begun with another teacher",
                          {},
                          "give the same --teacher, or choose another --out"});
}

}  // namespace retort::methods
