// What the networks of a search are trained on.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "augment/siamese.h"
#include "augment/training_strategy.h"
#include "core/file.h"
#include "core/limits.h"
#include "eval/coresets.h"
#include "eval/search.h"
#include "retort/core/error.h"
#include "train/learning_rate.h"

namespace retort::eval {
namespace {

int64_t whole_number(const std::string& text, const char* option) {
  int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, value);
  if (problem == std::errc() && stop == end && value > 0 && value <= 1'000'000) return value;
  throw ConfigError(ErrorMessage{fmt::format("reading {}", option),
                                 "'" + text + "' is not a whole number above 0",
                                 "whole numbers, such as 10",
                                 {}});
}

/// An empty set in the data's own space, to choose real images for.
synthetic::Bundle shell_of(const data::Dataset& data, int64_t each) {
  synthetic::Bundle shell;
  shell.class_names = data.class_names;
  shell.preprocessing = data.preprocessing;
  shell.data_name = data.name;
  shell.data_hash = data.hash;
  shell.labels = at::arange(data.classes(), at::kLong).repeat_interleave(each);
  shell.images = at::zeros({shell.labels.size(0), data.channels, data.height, data.width});
  return shell;
}

}  // namespace

void SearchOptions::declare(OptionSet& set) {
  set.group("Search");
  set.add("epochs", epochs, "epochs of a network on a set", {.min = 1, .max = 1e6});
  set.add("whole_set_epochs", whole_set_epochs, "epochs of a network on the whole set",
          {.min = 1, .max = 1e6});
  set.add("random", random, "random real images as a proxy, as many as the first set has");
  set.add("random_draws", random_draws, "different choices of random images, a proxy each",
          {.min = 1, .max = 100});
  set.add("images_per_class", images_per_class, "of random images, where there is no set");
  set.add("early_stopping", early_stopping,
          "the whole set for as many steps as the first proxy takes, as a proxy");
  set.add("whole_set", whole_set, "train on the whole set too: what the rankings are held against");
  set.add("learning_rate", learning_rate, "learning rate, SGD with momentum 0.9",
          {.min = 1e-9, .max = 1e3});
  set.add("schedule", schedule, "the rate's course; `retort list schedules` shows them");
  set.add("augmentation", augmentation, "of all trainings; auto: the set's, else the data's");
  set.add("batch_size", batch_size, "images in a step", {.min = 1, .max = 1e6});
  set.add("held_out", held_out,
          "share of the training images that networks are ranked on, where the data have no "
          "validation part",
          {.min = 0.001, .max = 0.5});
  set.add("tops", tops, "correlation over so many of the networks that are best on the whole set");
  set.add("seed", seed, "seed of initial parameters, orders, augmentation and random images",
          {.min = 0, .max = kLargestSeed});
}

std::vector<int64_t> SearchOptions::top_counts() const {
  std::vector<int64_t> counts;
  for (const std::string& text : tops) counts.push_back(whole_number(text, "--tops"));
  return counts;
}

int64_t Proxy::steps() const {
  return train::passes(training) * ((images + training.batch_size - 1) / training.batch_size);
}

Proxies::Proxies(const std::vector<std::pair<std::string, synthetic::Bundle>>& sets,
                 const data::Dataset& data, const SearchOptions& options, at::Device device)
    : data_(data), options_(options), device_(device) {
  for (const auto& [name, bundle] : sets) add_set(name, bundle);
  const synthetic::Bundle shell =
      sets.empty() ? shell_of(data, whole_number(options.images_per_class, "--images-per-class"))
                   : sets.front().second;
  for (int64_t draw = 0; options.random && draw < options.random_draws; ++draw) {
    chosen_.push_back(std::make_unique<synthetic::Bundle>(choose_coreset(
        shell, data, {"random", 0, static_cast<uint64_t>(options.seed + draw)}, device)));
    add_set(options.random_draws > 1 ? fmt::format("random {}", draw + 1) : "random",
            *chosen_.back());
  }
  if (options.early_stopping && !all_.empty()) {
    const int64_t each = (data.train.size() + options.batch_size - 1) / options.batch_size;
    add_real("early stopping", std::max<int64_t>(1, (all_.front().steps() + each / 2) / each));
  }
  if (options.whole_set) add_real("whole set", options.whole_set_epochs);
  if (all_.empty())
    throw ConfigError(ErrorMessage{"preparing a search",
                                   "there is nothing to train on",
                                   "--sets, --random or --whole-set",
                                   {}});
  all_.back().whole = options.whole_set;
}

void Proxies::add_set(const std::string& name, const synthetic::Bundle& bundle) {
  Proxy proxy;
  proxy.name = name;
  proxy.training.epochs = options_.epochs;
  proxy.training.augmentation = options_.augmentation != "auto" ? options_.augmentation
                                : bundle.augmentation.empty()
                                    ? augment::default_strategy(data_.mirrorable)
                                    : bundle.augmentation;
  sources_.push_back(synthetic::bundle_source(bundle, device_));
  proxy.preprocessing = &bundle.preprocessing;
  proxy.images = bundle.images.size(0);
  proxy.bytes = bundle.stored_bytes();
  uint64_t hash = 0;
  for (const at::Tensor& tensor : {bundle.images, bundle.labels, bundle.soft_labels})
    if (tensor.defined()) {
      const at::Tensor host = tensor.to(at::kCPU).contiguous();
      hash = hash_bytes(host.data_ptr(), host.nbytes(), hash);
    }
  proxy.identity = hex(hash);
  proxy.source = sources_.back().get();
  all_.push_back(proxy);
  finish(all_.back());
}

void Proxies::add_real(const std::string& name, int64_t epochs) {
  Proxy proxy;
  proxy.name = name;
  proxy.training.epochs = epochs;
  proxy.training.augmentation = options_.augmentation != "auto"
                                    ? options_.augmentation
                                    : augment::default_strategy(data_.mirrorable);
  sources_.push_back(data::real_source(data_.train, data_.preprocessing, device_));
  proxy.preprocessing = &data_.preprocessing;
  proxy.images = data_.train.size();
  proxy.bytes = static_cast<int64_t>(data_.train.images.nbytes()) + proxy.images;
  proxy.identity = fmt::format("{} {}", data_.hash, proxy.images);
  proxy.source = sources_.back().get();
  all_.push_back(proxy);
  finish(all_.back());
}

/// What all trainings share; ConfigError on unknown words.
void Proxies::finish(Proxy& proxy) const {
  proxy.training.learning_rate = options_.learning_rate;
  proxy.training.schedule = options_.schedule;
  proxy.training.batch_size = options_.batch_size;
  augment::parse_training_strategy(proxy.training.augmentation);
  train::learning_rate_at(proxy.training, 0);
}

}  // namespace retort::eval
