#include "studies/statistics_study.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>

#include "losses/statistics.h"
#include "retort/losses/losses.h"
#include "teachers/squeeze.h"

namespace retort::studies {
namespace {

constexpr double kEpsilon = 1e-5;   // BatchNorm's
constexpr double kFirstLayer = 10;  // weight of the first layer's distance, as published

double deviation(const at::Tensor& x) {
  return x.std(/*unbiased=*/false).item<double>();
}

/// A layer's slice of a teacher's state, float64.
at::Tensor slice(const teachers::Teacher& teacher, int64_t offset, int64_t channels) {
  return teacher.state.narrow(0, offset, channels).to(at::kDouble);
}

/// Squared norms of a convolution's filters, one an output channel.
at::Tensor filter_norms(const teachers::Teacher& teacher, const nets::Network& network,
                        const std::string& conv) {
  const nets::Slot& slot = network.parameters().find(conv + ".weight");
  return teacher.theta.narrow(0, slot.offset, slot.count)
      .view({slot.shape[0], -1})
      .to(at::kDouble)
      .square()
      .sum(1);
}

/// Everything that a teacher's gradients need, float32.
struct Recipient {
  const teachers::Teacher& teacher;
  const nets::Network& network;
  std::vector<teachers::NormLayer> layers = teachers::norm_layers(network);

  losses::Moments kept(const teachers::NormLayer& layer) const {
    return {teacher.state.narrow(0, layer.mean, layer.channels),
            teacher.state.narrow(0, layer.variance, layer.channels)};
  }
  nets::Observation see(const at::Tensor& images, const std::vector<std::string>& taps) const {
    return network.observe({teacher.theta, teacher.state, images, {}, nets::NormMode::kFrozen},
                           taps, {.images = true});
  }
};

/// Value and gradient by the images of all layers' distances, the first ten times.
std::pair<double, at::Tensor> all_layers(const Recipient& with, const at::Tensor& images,
                                         losses::StatisticsUnit unit) {
  std::vector<std::string> taps;
  for (const teachers::NormLayer& layer : with.layers) taps.push_back(layer.name + ".moments");
  const nets::Observation seen = with.see(images, taps);
  std::map<std::string, at::Tensor> cotangents;
  double value = 0;
  for (size_t l = 0; l < with.layers.size(); ++l) {
    const double weight = l == 0 ? kFirstLayer : 1;
    const auto distance = losses::statistics_distance(losses::from_rows(seen.taps.at(taps[l])[0]),
                                                      with.kept(with.layers[l]), unit);
    value += weight * distance.value;
    cotangents[taps[l]] = weight * losses::as_rows(distance.derivative).unsqueeze(0);
  }
  return {value, seen.pullback(cotangents).images};
}

double one_layer(const Recipient& with, const at::Tensor& x, const teachers::NormLayer& layer) {
  const std::string tap = layer.name + ".moments";
  const nets::Observation seen = with.see(x, {tap});
  const auto distance = losses::statistics_distance(losses::from_rows(seen.taps.at(tap)[0]),
                                                    with.kept(layer), losses::StatisticsUnit::kRaw);
  const at::Tensor cotangent = losses::as_rows(distance.derivative).unsqueeze(0);
  return seen.pullback({{tap, cotangent}}).images.norm().item<double>();
}

/// Chance of at least `up` of `all` with a fair coin.
double chance(int64_t up, int64_t all) {
  double sum = 0;
  for (int64_t k = up; k <= all; ++k)
    sum += std::exp(std::lgamma(all + 1.0) - std::lgamma(k + 1.0) - std::lgamma(all - k + 1.0) -
                    static_cast<double>(all) * std::numbers::ln2);
  return std::min(sum, 1.0);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

/// The teachers of one network, by kind.
struct Size {
  int64_t parameters = 0;
  std::vector<const Measured*> supervised, self_supervised;
};

/// Mean of a value over teachers.
template <class Value>
double mean(const std::vector<const Measured*>& teachers, Value&& value) {
  double sum = 0;
  for (const Measured* teacher : teachers) sum += value(*teacher);
  return sum / static_cast<double>(teachers.size());
}

/// Ratios self-supervised over supervised, one a layer.
template <class Value>
std::vector<double> ratios(const Size& size, Value&& value) {
  std::vector<double> all;
  for (size_t l = 0; l < size.supervised.front()->layers.size(); ++l) {
    const auto at = [&](const Measured& teacher) { return value(teacher.layers.at(l)); };
    all.push_back(mean(size.self_supervised, at) / mean(size.supervised, at));
  }
  return all;
}

int64_t above_one(const std::vector<double>& values) {
  return std::count_if(values.begin(), values.end(), [](double ratio) { return ratio > 1; });
}

std::vector<Size> sizes_of(const std::vector<Measured>& teachers) {
  std::map<std::string, Size> by_network;
  for (const Measured& teacher : teachers) {
    if (teacher.control || teacher.epochs == 0) continue;  // the floor is no teacher
    Size& size = by_network[teacher.network];
    size.parameters = teacher.parameters;
    (teacher.objective == "supervised" ? size.supervised : size.self_supervised)
        .push_back(&teacher);
  }
  std::vector<Size> sizes;
  for (auto& [network, size] : by_network)
    if (!size.supervised.empty() && !size.self_supervised.empty()) sizes.push_back(size);
  std::sort(sizes.begin(), sizes.end(),
            [](const Size& a, const Size& b) { return a.parameters < b.parameters; });
  return sizes;
}

std::string numbers(const std::vector<double>& values) {
  return fmt::format("{:.2f}", fmt::join(values, ", "));
}

}  // namespace

Spread spread_of(const at::Tensor& values) {
  const at::Tensor x = values.to(at::kDouble).clamp_min(1e-30), share = x / x.sum();
  const double channels = static_cast<double>(x.numel());
  Spread spread;
  spread.median = x.quantile(0.5).item<double>();
  spread.variation = deviation(x) / x.mean().item<double>();
  spread.log_deviation = deviation(x.log());
  spread.entropy =
      channels > 1 ? -(share * share.log()).sum().item<double>() / std::log(channels) : 1;
  spread.gaussian_entropy =
      0.5 * (std::log(2 * std::numbers::pi * std::numbers::e) + x.log().mean().item<double>());
  return spread;
}

std::vector<LayerStatistics> layer_statistics(const teachers::Teacher& teacher) {
  const auto network = teacher.build();
  std::vector<LayerStatistics> all;
  for (const teachers::NormLayer& layer : teachers::norm_layers(*network)) {
    const at::Tensor mean = slice(teacher, layer.mean, layer.channels),
                     variance = slice(teacher, layer.variance, layer.channels);
    LayerStatistics found;
    found.layer = layer.name;
    found.channels = layer.channels;
    found.largest_variance = variance.max().item<double>();
    found.least_mean = mean.min().item<double>();
    found.largest_mean = mean.max().item<double>();
    found.variance = spread_of(variance);
    found.mean_deviation = deviation(mean / (variance + kEpsilon).sqrt());
    if (!layer.conv.empty())
      found.response =
          spread_of(variance / filter_norms(teacher, *network, layer.conv).clamp_min(1e-30));
    all.push_back(found);
  }
  return all;
}

Signal signal_of(const teachers::Teacher& teacher, const nets::Network& network,
                 const at::Tensor& images, const at::Tensor& labels) {
  const Recipient with{teacher, network};
  Signal signal;
  const nets::Observation seen = with.see(images, {"logits"});
  const at::Tensor logits = seen.taps.at("logits");
  const losses::Targets targets{labels};
  signal.cross_entropy = losses::mean_loss(logits, targets).item<double>();
  at::Tensor slope = at::softmax(logits, 1);
  slope.scatter_add_(1, labels.unsqueeze(1), at::full({labels.size(0), 1}, -1.0, slope.options()));
  const at::Tensor by_class =
      seen.pullback({{"logits", slope / static_cast<double>(labels.size(0))}}).images;
  const auto [raw, by_raw] = all_layers(with, images, losses::StatisticsUnit::kRaw);
  const auto [free, by_free] = all_layers(with, images, losses::StatisticsUnit::kScaleFree);
  signal.raw = raw;
  signal.scale_free = free;
  signal.cross_entropy_gradient = by_class.norm().item<double>();
  signal.raw_gradient = by_raw.norm().item<double>();
  signal.scale_free_gradient = by_free.norm().item<double>();
  signal.cosine = (by_class * by_raw).sum().item<double>() /
                  (signal.cross_entropy_gradient * signal.raw_gradient);
  for (const teachers::NormLayer& layer : with.layers)
    signal.layers.push_back(one_layer(with, images, layer));
  signal.first_layer_share = kFirstLayer * signal.layers.front() / signal.raw_gradient;
  return signal;
}

teachers::Teacher rescaled(const teachers::Teacher& teacher, double factor) {
  teachers::Teacher result = teacher;
  result.theta = teacher.theta.clone();
  result.state = teacher.state.clone();
  const auto network = teacher.build();
  for (const teachers::NormLayer& layer : teachers::norm_layers(*network)) {
    if (layer.conv.empty()) continue;
    for (const nets::Slot& slot : network->parameters().slots)
      if (slot.name == layer.conv + ".weight" || slot.name == layer.conv + ".bias")
        result.theta.narrow(0, slot.offset, slot.count).mul_(factor);
    result.state.narrow(0, layer.mean, layer.channels).mul_(factor);
    result.state.narrow(0, layer.variance, layer.channels)
        .add_(kEpsilon)
        .mul_(factor * factor)
        .sub_(kEpsilon);
  }
  return result;
}

teachers::Teacher recalibrated(const teachers::Teacher& teacher, const at::Tensor& images,
                               int64_t batch_size) {
  teachers::Teacher result = teacher;
  result.state = teachers::recalibrated_batchnorm(*teacher.build(), teacher.theta, images,
                                                  teacher.preprocessing, batch_size);
  result.statistics = "recalibrated";
  return result;
}

Verdict judge(const std::vector<Measured>& teachers) {
  constexpr double kMost = 0.7, kSmallChance = 0.05;
  Verdict verdict;
  verdict.at_every_size = true;
  for (const Size& size : sizes_of(teachers)) {
    const std::vector<double> spread =
        ratios(size, [](const LayerStatistics& l) { return l.variance.log_deviation; });
    const std::vector<double> response = ratios(size, [](const LayerStatistics& l) {
      return l.response ? l.response->log_deviation : std::nan("");
    });
    const auto layers = std::ssize(spread);
    const int64_t up = above_one(spread), response_up = above_one(response);
    ++verdict.sizes;
    verdict.layers += layers;
    verdict.spread_up += up;
    verdict.response_up += response_up;
    if (static_cast<double>(std::min(up, response_up)) < kMost * static_cast<double>(layers))
      verdict.at_every_size = false;
    verdict.trend.push_back(median(spread));
    const auto ratio = [&](auto value) {
      return mean(size.self_supervised, value) / mean(size.supervised, value);
    };
    verdict.raw_ratio.push_back(ratio([](const Measured& m) { return m.noise.raw_gradient; }));
    verdict.scale_free_ratio.push_back(
        ratio([](const Measured& m) { return m.noise.scale_free_gradient; }));
  }
  if (verdict.sizes == 0) return verdict;
  const auto all_up = [](const std::vector<double>& values) {
    return above_one(values) == std::ssize(values);
  };
  verdict.spread_chance = chance(verdict.spread_up, verdict.layers);
  verdict.response_chance = chance(verdict.response_up, verdict.layers);
  verdict.spread = verdict.sizes >= 2 && verdict.at_every_size &&
                   std::max(verdict.spread_chance, verdict.response_chance) < kSmallChance &&
                   verdict.trend.back() > verdict.trend.front();
  verdict.signal_raw = all_up(verdict.raw_ratio);
  verdict.signal_scale_free = verdict.signal_raw && all_up(verdict.scale_free_ratio);
  return verdict;
}

std::vector<std::string> Verdict::lines() const {
  if (sizes == 0)
    return {
        "No verdict: a supervised and a self-supervised teacher of the same network are needed."};
  const auto word = [](bool yes) { return yes ? "supported" : "not supported"; };
  return {
      fmt::format("H1, statistics of self-supervised teachers are more uneven: {}. Larger in "
                  "{} of {} layers by ln RV (chance {:.3f}), in {} by the response to filters of "
                  "length 1 (chance {:.3f}); 70 % in both at every size: {}; median ratio by "
                  "growing size: {}.",
                  word(spread), spread_up, layers, spread_chance, response_up, response_chance,
                  at_every_size ? "yes" : "no", numbers(trend)),
      fmt::format("H2 raw, their gradient at noise is larger: {}; ratio by growing size: {}.",
                  word(signal_raw), numbers(raw_ratio)),
      fmt::format("H2 scale-free: {}; ratio by growing size: {}.", word(signal_scale_free),
                  numbers(scale_free_ratio)),
      "H3, better students, and H0, other causes, need students and are not tested here."};
}

}  // namespace retort::studies
