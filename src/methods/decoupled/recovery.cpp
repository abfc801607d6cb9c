#include "methods/decoupled/recovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <numeric>

#include "core/sizes.h"
#include "methods/decoupled/groups.h"
#include "methods/shards.h"
#include "optim/schedule.h"
#include "retort/core/error.h"
#include "retort/core/random.h"

namespace retort::methods {
namespace {

constexpr const char* kDoing = "preparing to recover images";
constexpr double kAspect = 4.0 / 3;
constexpr double kLargestFactor = 1e6;  // float32 holds the product of all that weigh a layer

std::vector<double> layer_weights(const RecoveryOptions& options, size_t layers) {
  std::vector<double> weights(layers, 1.0);
  if (!options.layer_weights.empty() && options.layer_weights.size() != layers)
    throw ConfigError(
        ErrorMessage{kDoing,
                     fmt::format("--layer-weights has {} numbers", options.layer_weights.size()),
                     fmt::format("{}, one for each BatchNorm layer of the teacher", layers),
                     {}});
  for (size_t i = 0; i < options.layer_weights.size(); ++i) {
    const std::string& text = options.layer_weights[i];
    const auto [stop, problem] =
        std::from_chars(text.data(), text.data() + text.size(), weights[i]);
    if (problem != std::errc() || stop != text.data() + text.size() || !(weights[i] >= 0) ||
        weights[i] > kLargestFactor)
      throw ConfigError(ErrorMessage{kDoing,
                                     "--layer-weights holds '" + text + "'",
                                     "numbers from 0 to 1e6, joined by commas",
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
          "weight of the distance between BatchNorm statistics", {.min = 0, .max = kLargestFactor});
  set.add("first_layer_factor", first_layer_factor, "factor on the weight of the first layer",
          {.min = 0, .max = kLargestFactor});
  set.add("layer_weights", layer_weights, "weights of all layers, in order; empty: 1 for each");
  set.add("statistics_unit", statistics_unit,
          "raw, as published, or scale_free: blind to the scale of the layers before",
          {.choices = {"raw", "scale_free"}});
  set.add("crop_schedule", crop_schedule,
          "smallest crops: none, fixed at --min-crop-area, or falling to it from the whole image",
          {.choices = {"none", "fixed", "step", "linear", "cosine"}});
  set.add("min_crop_area", min_crop_area, "smallest area of a crop, as a share of the image",
          {.min = 0.001, .max = 1});
  set.add("crop_milestone", crop_milestone,
          "the share of the iterations after which --min-crop-area is reached",
          {.min = 0, .max = 1});
  set.add("crop_flip", crop_flip, "mirror half of the views");
  set.add("roll", roll, "views are rolled by up to this many pixels, with wrapping", {.min = 0});
  set.add("roll_both_ways", roll_both_ways, "roll upwards and to the left as well");
  set.add("crop_share", crop_share, "whether a group shares one crop, flip and roll",
          {.choices = {"group", "image"}});
  set.add("grouping", grouping, "which images share statistics",
          {.choices = {"cross_class", "class_wise", "mixed"}});
  set.add("group_size", group_size, "images in a group", {.min = 1});
  set.add("groups_at_once", groups_at_once, "groups in one pass through the teacher",
          {.min = 1, .max = 100000});
  set.add("start_from", start_from,
          "initialisation: what --initialisation says; patches: real ones, chosen by the teacher",
          {.choices = {"initialisation", "patches"}});
  patches.declare(set);
  set.add("shard", shard, kShardHelp);
}

double min_crop_area_at(const std::string& schedule, double low, double milestone,
                        int64_t iteration, int64_t iterations) {
  if (schedule == "fixed") return low;
  if (schedule == "none") return 1;
  const double end = milestone * static_cast<double>(iterations);
  const auto t = static_cast<double>(iteration);
  if (t >= end) return low;
  if (schedule == "step") return 1;
  return low + (1 - low) * optim::Schedule(schedule).factor(t, end);
}

Recovery::Recovery(const Context& context, const RecoveryOptions& options)
    : context_(context),
      options_(options),
      teacher_(teachers::open_teacher(options.teacher, kDoing, context.data, context.device)),
      groups_(make_groups(context.layout.offsets(), options.grouping, options.group_size)) {
  const size_t layers = teachers::norm_layers(*teacher_.network).size();
  if (layers == 0 && options.statistics_weight > 0)
    throw ConfigError(ErrorMessage{
        kDoing, "the teacher '" + teacher_.teacher.network + "' has no BatchNorm layers",
        "a teacher with BatchNorm, such as convnet-bn",
        "choose another --teacher, or --statistics-weight 0"});
  weights_ = layer_weights(options, layers);
  passes_ = make_passes();
  share_ = parse_shard(options.shard).within(*context.group);
}

std::optional<std::vector<int64_t>> Recovery::rows() const {
  std::vector<int64_t> mine;
  for (const int64_t i : share_.items(std::ssize(passes_))) {
    const std::vector<int64_t>& rows = passes_[to_size(i)].rows;
    mine.insert(mine.end(), rows.begin(), rows.end());
  }
  return mine;
}

std::vector<augment::Crop> Recovery::crops_of(size_t group) const {
  const int64_t height = context_.layout.height, width = context_.layout.width;
  const double low = min_crop_area_at(options_.crop_schedule, options_.min_crop_area,
                                      options_.crop_milestone, iteration_, context_.iterations);
  const bool shared = options_.crop_share == "group";
  const size_t count = shared ? 1 : groups_[group].size();
  std::vector<augment::Crop> crops;
  RandomStream stream(context_.seed, "recovery.window", group, static_cast<uint64_t>(iteration_));
  for (size_t i = 0; i < count; ++i) {
    augment::Crop crop = augment::whole_image(height, width);
    if (options_.crop_schedule != "none")
      crop = augment::draw_crop(height, width, low, 1, kAspect, stream);
    crop.flip = options_.crop_flip && stream.uniform() < 0.5;
    const int64_t lowest = options_.roll_both_ways ? -options_.roll : 0;
    crop.roll_rows = lowest + stream.uniform_int(options_.roll - lowest + 1);
    crop.roll_columns = lowest + stream.uniform_int(options_.roll - lowest + 1);
    crops.push_back(crop);
  }
  crops.resize(groups_[group].size(), crops.front());
  return crops;
}

std::vector<Recovery::Pass> Recovery::make_passes() const {
  std::vector<Pass> passes;
  const auto step = to_size(options_.groups_at_once);
  for (size_t begin = 0; begin < groups_.size(); begin += step) {
    Pass pass{begin, std::min(begin + step, groups_.size()), {}, {0}};
    for (size_t g = pass.begin; g < pass.end; ++g) {
      pass.rows.insert(pass.rows.end(), groups_[g].begin(), groups_[g].end());
      pass.edges.push_back(std::ssize(pass.rows));
    }
    passes.push_back(std::move(pass));
  }
  return passes;
}

Cotangents Recovery::evaluate(const SyntheticSet& set, int64_t) {
  Cotangents result{0, at::zeros_like(set.images)};
  std::vector<double> losses, groups;
  for (const int64_t i : share_.items(std::ssize(passes_))) {
    const Pass& pass = passes_[to_size(i)];
    losses.push_back(descend(set, pass, result.images));
    groups.push_back(static_cast<double>(pass.end - pass.begin));
  }
  losses = context_.group->gather(losses);
  groups = context_.group->gather(groups);
  result.loss = std::accumulate(losses.begin(), losses.end(), 0.0) /
                std::max(std::accumulate(groups.begin(), groups.end(), 0.0), 1.0);
  return result;
}

double Recovery::descend(const SyntheticSet& set, const Pass& pass,
                         const at::Tensor& cotangents_of_images) const {
  double loss = 0;
  std::vector<augment::Crop> crops;
  for (size_t g = pass.begin; g < pass.end; ++g)
    for (const augment::Crop& crop : crops_of(g)) crops.push_back(crop);
  const at::Device device = set.images.device();
  const at::Tensor rows = at::tensor(pass.rows, at::kLong);
  const at::Tensor images = set.images.index_select(0, rows.to(device));
  const auto size = images.sizes().slice(2);
  const augment::CropMap map(crops, size, size, images.options());

  const auto type = images.scalar_type();
  std::vector<teachers::KeptStatistics> kept;
  if (options_.statistics_weight > 0) kept = teachers::kept_statistics(teacher_, type);
  std::vector<std::string> taps;
  for (const auto& layer : kept) taps.push_back(layer.tap);
  taps.emplace_back("logits");
  const at::Tensor state = teacher_.state.defined() ? teacher_.state.to(type) : at::Tensor();
  const nets::Observation seen = teacher_.network->observe(
      {teacher_.theta.to(type), state, map.apply(images), pass.edges, nets::NormMode::kFrozen},
      taps, {.images = true});

  const at::Tensor labels = set.labels.index_select(0, rows).to(device);
  std::map<std::string, at::Tensor> cotangents;
  cotangents["logits"] = cotangents_of_logits(seen.taps.at("logits"), labels, pass, loss);
  for (size_t l = 0; l < kept.size(); ++l)
    cotangents[taps[l]] = cotangents_of_moments(seen.taps.at(taps[l]), kept[l].moments,
                                                options_.statistics_weight * weights_[l], loss);
  at::Tensor(cotangents_of_images)
      .index_copy_(0, rows.to(device), map.adjoint(seen.pullback(cotangents).images));
  return loss;
}

at::Tensor Recovery::cotangents_of_logits(const at::Tensor& logits, const at::Tensor& labels,
                                          const Pass& pass, double& loss) const {
  // The mean over a group, so that groups of every size weigh the statistics alike.
  at::Tensor weight = at::empty({logits.size(0), 1}, logits.options());
  for (size_t g = 0; g + 1 < pass.edges.size(); ++g)
    weight.slice(0, pass.edges[g], pass.edges[g + 1])
        .fill_(1 / static_cast<double>(pass.edges[g + 1] - pass.edges[g]));
  const at::Tensor log_p = at::log_softmax(logits, 1);
  const at::Tensor chosen = at::one_hot(labels, logits.size(1)).to(logits.scalar_type());
  loss -= (log_p * chosen * weight).sum().item<double>();
  return (log_p.exp() - chosen) * weight;
}

at::Tensor Recovery::cotangents_of_moments(const at::Tensor& found, const losses::Moments& kept,
                                           double weight, double& loss) const {
  const auto unit = options_.statistics_unit == "raw" ? losses::StatisticsUnit::kRaw
                                                      : losses::StatisticsUnit::kScaleFree;
  at::Tensor cotangents = at::empty_like(found);
  for (int64_t g = 0; g < found.size(0); ++g) {
    const auto one = losses::statistics_distance(losses::from_rows(found[g]), kept, unit);
    loss += weight * one.value;
    cotangents[g].copy_(losses::as_rows(one.derivative) * weight);
  }
  return cotangents;
}

at::Tensor Recovery::starting_images(const at::Tensor& images, bool given) {
  if (given || options_.start_from == "initialisation") return images;
  return compose_patches(context_, teacher_, options_.patches);
}

}  // namespace retort::methods
